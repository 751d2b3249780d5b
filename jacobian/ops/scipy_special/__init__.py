"""Ops for the functions of `scipy.special`. Imported by the registry once SciPy itself has been."""

from jacobian.ops.scipy_special import bessel, elliptic, entropy, error_functions, gamma, hypergeometric, twins

__all__ = ["bessel", "elliptic", "entropy", "error_functions", "gamma", "hypergeometric", "twins"]
