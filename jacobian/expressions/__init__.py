"""Expressions given as text, `tanh(W @ x + b)`, as Python functions.

The text is parsed by `ast` and walked: it is never evaluated as Python. Names of inputs, numbers, operators,
NumPy functions, a few methods and attributes, indexing and slices are what there is; everything else is an
`ExpressionError` that shows the place.
"""

from jacobian.expressions.expression import Expression, check_name
from jacobian.expressions.messages import did_you_mean

__all__ = ["Expression", "check_name", "did_you_mean"]
