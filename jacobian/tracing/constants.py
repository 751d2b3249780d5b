"""NumPy functions whose results do not depend smoothly on their input, and those that cannot be traced at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.ops.values import look, memory_axes

_NAMES = """
shape ndim size argmax argmin nanargmax nanargmin argsort argpartition nonzero flatnonzero argwhere searchsorted
lexsort digitize count_nonzero isnan isfinite isinf isposinf isneginf signbit isclose allclose array_equal
array_equiv equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not logical_xor
any all isin iscomplexobj isrealobj iscomplex isreal result_type can_cast
min_scalar_type shares_memory may_share_memory array_repr array_str array2string common_type spacing einsum_path
tril_indices_from triu_indices_from diag_indices_from
""".split()

CONSTANT_FUNCTIONS: frozenset[Callable[..., Any]] = frozenset(
    [*(getattr(np, name) for name in _NAMES), np.linalg.matrix_rank, look, memory_axes]
)
"""Shape-, integer- or boolean-valued: computed on the values, with no derivative."""

OF_SHAPES: frozenset[Callable[..., Any]] = frozenset(
    {
        np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.result_type, np.common_type, np.einsum_path,
        np.tril_indices_from, np.triu_indices_from, np.diag_indices_from, memory_axes,
    }
)  # fmt: skip
"""Those that do not look at numbers."""

REFUSED: dict[str, tuple[str, str]] = {
    "full": ("it fills a plain array", "np.broadcast_to(x, shape), or np.full_like(y, x)"),
    "save": ("it writes a file", "save the result of the function"),
    "savetxt": ("it writes a file", "save the result of the function"),
    "savez": ("it writes a file", "save the result of the function"),
    "frexp": ("its parts are not smooth", "np.log2(np.abs(x)) for the size"),
    "wofz": (
        "no op answers for it",
        "wofz(x) is np.exp(-x**2) + 2j / np.sqrt(np.pi) * scipy.special.dawsn(x), wofz(1j * x) scipy.special.erfcx(x)",
    ),
    "_riemann_zeta": (
        "SciPy has no derivative of zeta(x) by x",
        "scipy.special.zeta(x, q) has one by q; or declare yours with jac.primitive(forward, rule)",
    ),
    "nextafter": ("it has no derivative", "add a small number"),
    "savez_compressed": ("it writes a file", "save the result of the function"),
    **dict.fromkeys(
        "bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_invert invert".split(),
        ("it works on booleans and whole numbers", "comparisons such as x > 0 are plain arrays: combine those"),
    ),
    **dict.fromkeys(
        "bitwise_count bitwise_left_shift bitwise_right_shift left_shift right_shift gcd lcm packbits unpackbits "
        "ravel_multi_index unravel_index".split(),
        ("it works on whole numbers, which have no derivative", "give it plain arrays, such as np.argmax(x) returns"),
    ),
    **dict.fromkeys(
        "busday_count busday_offset is_busday datetime_as_string isnat".split(),
        ("it works on dates, which have no derivative", "turn dates into numbers before the function is called"),
    ),
}

ASSIGNING = frozenset("copyto put put_along_axis place putmask fill_diagonal".split())
"""Functions that assign into an array, which has to be a traced one."""

REFUSED_ATTRIBUTES: dict[str, str] = {
    "ctypes": "x has no memory of its own; compute with NumPy functions",
    "data": "x has no memory of its own; compute with NumPy functions",
    "dump": "save the result of the function",
    "dumps": "save the result of the function",
    "tobytes": "save the result of the function",
    "tofile": "save the result of the function",
    "byteswap": "x.astype(dtype) for another dtype",
    "getfield": "x.real and x.imag for the parts of complex numbers",
    "setfield": "x[index] = v",
    "setflags": "jac.jacobian never changes the arrays it is given; x.copy() may be assigned into",
    "resize": "np.resize(x, shape), or np.pad, returns a new array",
    "choose": "indices must not depend on the input; np.where(condition, a, b) or np.select(conditions, choices)",
}
"""What an ndarray has by name and a traced array cannot have, with the way out."""
