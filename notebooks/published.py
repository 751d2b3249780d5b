"""Published identities as data: drawing their arguments and evaluating their two sides in plain NumPy.

The data are `data/matrix_cookbook.json` and `data/identities.json`. The fifth notebook shows them, the tests hold the
package to them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

DATA = Path(__file__).parent / "data"


def matrix_power_by_products(X: Array, power: int) -> Array:
    """`X` to a whole power, as repeated products."""
    result = np.eye(X.shape[0])
    for _ in range(power):
        result = result @ X
    return result


def adjugate(X: Array) -> Array:
    """det(X) X⁻¹."""
    return np.linalg.det(X) * np.linalg.inv(X)


def _series(X: Array, first: int) -> Array:
    """Σ (-1)^k X^(2k + first) / (2k + first)!, truncated far below rounding for ‖X‖ of a few units."""
    term = X if first else np.eye(X.shape[0])
    total = term
    for k in range(1, 20):
        n = 2 * k + first
        term = -(term @ X @ X) * (factorial(n - 2) / factorial(n))
        total = total + term
    return total


def matrix_sine(X: Array) -> Array:
    """sin of a matrix, by its power series."""
    return _series(X, 1)


def matrix_cosine(X: Array) -> Array:
    """cos of a matrix, by its power series."""
    return _series(X, 0)


def toeplitz_alpha(A: Array) -> Array:
    """α(A) of the Matrix Cookbook, eq. 144: upper Toeplitz, its k-th superdiagonal Tr of A with k rows and columns cut.

    Its first row holds the sums of the diagonals of `A` above the main one, its first column of those below.
    """
    n = A.shape[0]
    return np.array([[np.trace(A, offset=i - j) for j in range(n)] for i in range(n)])


NAMESPACE: dict[str, Any] = {
    "np": np,
    "einsum": np.einsum,
    "I": np.eye,
    "eye": np.eye,
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "tr": np.trace,
    "pinv": np.linalg.pinv,
    "kron": np.kron,
    "outer": np.outer,
    "norm": np.linalg.norm,
    "tril": np.tril,
    "diag": np.diag,
    "eigh": np.linalg.eigh,
    "solve": np.linalg.solve,
    "sign": np.sign,
    "mpow": matrix_power_by_products,
    "adj": adjugate,
    "sinm": matrix_sine,
    "cosm": matrix_cosine,
    "toep_alpha": toeplitz_alpha,
}

SECOND_ORDER = ("Hessian", "d^2 ")


@dataclass(frozen=True)
class Identity:
    """One published identity: `f` and its Jacobian `J` (or Hessian) with respect to one argument, as NumPy text."""

    name: str
    f: str
    J: str
    wrt: str
    args: tuple[tuple[str, tuple[int, ...], str], ...]
    published: str
    section: str = ""
    constraints: str = ""
    as_printed: str = ""  # where what was printed does not hold, that; `J` is then the formula put right

    @property
    def is_hessian(self) -> bool:
        """Whether what was published is the second derivative."""
        return self.published.startswith(SECOND_ORDER)

    @property
    def argnum(self) -> int:
        """Position of the argument that is differentiated."""
        return [name for name, _, _ in self.args].index(self.wrt)

    def draw(self, seed: int) -> list[Array]:
        """Arguments of the kinds that the identity asks for."""
        rng = np.random.default_rng(seed)
        return [draw(rng, shape, kind) for _, shape, kind in self.args]

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The left side, in plain NumPy: a function of the arguments under their published names."""
        return self._compiled(self.f)

    @cached_property
    def jacobian(self) -> Callable[..., Any]:
        """The right side: what was published, as a function of the same arguments."""
        return self._compiled(self.J)

    @cached_property
    def claim(self) -> Callable[..., Any]:
        """The right side to the letter: `jacobian`, except where what was printed does not hold."""
        return self._compiled(self.as_printed or self.J)

    def _compiled(self, text: str) -> Callable[..., Any]:
        names = ", ".join(name for name, _, _ in self.args)
        compiled: Callable[..., Any] = eval(f"lambda {names}: {text}", dict(NAMESPACE))
        return compiled


def draw(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    """An argument of a kind: general, sym (symmetric), spd (positive definite), inv (well-conditioned)."""
    if kind == "general" and shape == ():
        return np.asarray(rng.uniform(0.5, 2.0))
    X = rng.standard_normal(shape)
    if kind == "general":
        return X
    if kind == "sym":
        return (X + X.T) / 2
    if kind == "spd":
        return X @ X.T / shape[0] + np.eye(shape[0])
    if kind == "inv":
        U, _, V = np.linalg.svd(X)
        values = rng.uniform(1.0, 2.0, shape[0])
        values[0] *= np.sign(np.linalg.det(U @ V))
        return (U * values) @ V
    raise AssertionError(f"unknown kind {kind}")


def load() -> list[Identity]:
    """Every identity of every collection."""
    found = []
    for path in sorted(DATA.glob("*.json")):
        for entry in json.loads(path.read_text()).get("identities", []):
            args = tuple((arg["name"], tuple(arg["shape"]), arg["kind"]) for arg in entry["args"])
            prefix = "cookbook:" if path.stem == "matrix_cookbook" else ""
            found.append(
                Identity(
                    prefix + entry["eq"],
                    entry["f"],
                    entry["J"],
                    entry["wrt"],
                    args,
                    entry["published"],
                    entry["section"],
                    entry["constraints"],
                    entry.get("as_printed", ""),
                )
            )
    return found
