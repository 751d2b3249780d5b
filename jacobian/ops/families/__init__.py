"""The families that make an op from one line: elementwise, multilinear, layout, reduction; and `primitive`."""

from jacobian.ops.families.elementwise import aligned, diagonal, elementwise, elementwise_pattern
from jacobian.ops.families.layout import along, from_tables, gather, layout, moved
from jacobian.ops.families.multilinear import Einsum, check_labels, multilinear, multilinear_pattern
from jacobian.ops.families.primitive import composite, primitive
from jacobian.ops.families.reduction import (
    count_reduced,
    kept,
    reduced,
    reduced_axes,
    reduction,
    reduction_pattern,
    spelled_output,
)

__all__ = [
    "Einsum", "aligned", "along", "check_labels", "composite", "count_reduced", "diagonal", "elementwise",
    "elementwise_pattern", "from_tables", "gather", "kept", "layout", "moved", "multilinear", "multilinear_pattern",
    "primitive", "reduced", "reduced_axes", "reduction", "reduction_pattern", "spelled_output",
]  # fmt: skip
