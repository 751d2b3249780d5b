"""Every exception and warning of the package.

Each error says what is wrong with the sizes in it, shows what was got and how to mend it.
All of them derive from `JacobianError`, and from the built-in that a NumPy user would expect
(`ShapeError` is a `ValueError`, `TraceError` a `TypeError`, …), so that either can be caught.
"""

from __future__ import annotations

from numpy.linalg import LinAlgError


def report(headline: str, **lines: object) -> str:
    """Lay out an error: one headline, then aligned `name: value` lines; `None` lines are left out.

    >>> print(report("matmul: label j is 3 in A but 4 in B", spec="A[i,j], B[j,k]", fix="B's first axis must be 3"))
    matmul: label j is 3 in A but 4 in B
      spec:  A[i,j], B[j,k]
      fix:   B's first axis must be 3
    """
    shown = {name: str(value) for name, value in lines.items() if value is not None}
    width = max([6, *(len(name) + 1 for name in shown)])
    below = "\n" + " " * (width + 3)
    texts = {name: value.replace("\n", below) for name, value in shown.items()}
    return "\n".join([headline, *(f"  {name + ':':<{width}} {value}" for name, value in texts.items())])


class JacobianError(Exception):
    """Base class of every error this package raises on purpose."""

    refused: Exception | None = None
    """What NumPy said, where this tells of it: a function of ours that was written with NumPy's tells of it anew."""


class ShapeError(JacobianError, ValueError):
    """Shapes, axes or sizes do not fit together."""


class LabelError(JacobianError, ValueError):
    """Index notation that cannot be read, or labels bound to two sizes."""


class DTypeError(JacobianError, TypeError):
    """Booleans, strings, objects: values with respect to which nothing can be differentiated."""


class NonFiniteError(JacobianError, ValueError):
    """NaN or infinity where a finite number is needed."""


class TraceError(JacobianError, TypeError):
    """A call that cannot be traced; names the call, the line of the user's code and the way out."""


class TracedAttributeError(TraceError, AttributeError):
    """A traced array has no such attribute or method."""


class MissingAttributeError(JacobianError, AttributeError):
    """A Jacobian lacks an attribute that arrays have; names what has it."""


class ArgumentError(JacobianError, TypeError):
    """An argument of one of our own functions is not what it must be."""


class IndexingError(JacobianError, IndexError):
    """An index that does not fit the array or the Jacobian."""


class MemoryLimitError(JacobianError, MemoryError):
    """Materialising would need more memory than the limit allows; carries the bill."""


class MissingExtraError(JacobianError, ImportError):
    """A package that comes with one of the extras is needed and not there."""


class ExpressionError(JacobianError, ValueError):
    """An expression given as text that cannot be read; shows the place."""


class UsageError(JacobianError, ValueError):
    """The command line was used in a way it does not know."""


class FileError(JacobianError, OSError):
    """A file cannot be written."""


class SingularError(JacobianError, LinAlgError):
    """A matrix that has to be invertible, or positive definite, is not; NumPy's error is a base class."""


class ConvergenceError(JacobianError, LinAlgError):
    """A decomposition that is found step by step was not found; NumPy's error is a base class."""


class NoiseError(JacobianError, ValueError):
    """A function gives another value each time it is called at the same point, and they lie far apart."""


class DisagreementError(JacobianError, AssertionError):
    """A Jacobian does not agree with finite differences; carries the report."""


class JacobianWarning(UserWarning):
    """Base class of the package's warnings."""


class KinkWarning(JacobianWarning):
    """A derivative was taken where the function has none; names the op, the entries and the value chosen."""


class NonFiniteWarning(JacobianWarning):
    """A Jacobian holds NaN or infinity; names the op and the entries."""


class DerivationError(JacobianError):
    """A line of a derivation could not be verified: a fault of this package's, which is told rather than printed."""
