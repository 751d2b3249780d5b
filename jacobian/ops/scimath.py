"""`np.emath`: functions that go on with complex numbers where a real result ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jacobian.ops.families import composite
from jacobian.ops.registry import sample
from jacobian.ops.values import array_of

POSITIVE, BEYOND = (0.3, 2.5), (1.2, 2.5)


def _wide(x: Any, outside: Callable[[Any], Any]) -> Any:
    """Complex where any entry lies outside of the real domain."""
    x = array_of(x)
    return x + 0j if x.dtype.kind != "c" and np.any(outside(x)) else x


def _negative(x: Any) -> Any:
    return x < 0


def _beyond_one(x: Any) -> Any:
    return np.logical_or(x > 1, x < -1)


def _continued(function: Callable[..., Any], outside: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda x: function(_wide(x, outside))


for _name, _outside in (
    ("sqrt", _negative), ("log", _negative), ("log2", _negative), ("log10", _negative), ("arccos", _beyond_one),
    ("arcsin", _beyond_one), ("arctanh", _beyond_one),
):  # fmt: skip
    _domains = ((-2.0, -0.5), POSITIVE) if _outside is _negative else (BEYOND, (-0.9, 0.9))
    composite(
        f"emath_{_name}", _continued(getattr(np, _name), _outside), answers=(getattr(np.emath, _name),),
        samples=[sample((3,), domain=domain) for domain in _domains], note="complex where the real result ends.",
    )  # fmt: skip
composite(
    "emath_logn", lambda n, x: np.log(_wide(x, _negative)) / np.log(_wide(n, _negative)), answers=(np.emath.logn,),
    samples=[sample((), (3,), domain=BEYOND), sample(2.0, (3,), domain=(-2.0, -0.5))],
)  # fmt: skip
composite(
    "emath_power", lambda x, p: np.power(_wide(x, _negative), array_of(p)), answers=(np.emath.power,),
    samples=[sample((3,), 2.5, domain=POSITIVE), sample((3,), 0.5, domain=(-2.0, -0.5))],
)  # fmt: skip
