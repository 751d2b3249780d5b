"""What is refused when something is assigned into a traced array: the full text of each error."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import DTypeError, IndexingError, ShapeError, TraceError
from tests.tracing.test_assignment import M, V


def text_of(error: type[Exception], f: Any, x: Any) -> str:
    with pytest.raises(error) as caught:
        jac.jacobian(f)(x)
    return re.sub(r"test_assignment_refused\.py:\d+", "test_assignment_refused.py", str(caught.value))


def f_diagonal(x: Any) -> Any:
    x.diagonal()[0] = 1


def f_broadcast(x: Any) -> Any:
    np.broadcast_to(x, (2, 3, 3))[0] = 1


def f_number(x: Any) -> Any:
    x[0, 0][...] = 1


def f_complex(x: Any) -> Any:
    x[0] = 1j


def f_complex_in_place(x: Any) -> Any:
    x *= 1j


def f_shape(x: Any) -> Any:
    x[1:] = np.ones(4)


def f_shape_in_place(x: Any) -> Any:
    x += np.ones((2, 3, 3))


def f_index(x: Any) -> Any:
    x[5] = 1


def f_text(x: Any) -> Any:
    x[0] = "1"


def f_real_part(x: Any) -> Any:
    (x * 1j).real[0] = 1


def f_out(x: Any) -> Any:
    np.sum(x, out=x[0])


def f_scattered(x: Any) -> Any:
    x.reshape(-1)[0] = 1


def f_mask(x: Any) -> Any:
    np.place(x, [True], 1.0)


def f_delete(x: Any) -> Any:
    del x[0]


def f_inner(x: Any) -> Any:
    jac.jacobian(lambda z: x.__setitem__(0, z))(x[0])


COPY = "x = x.copy() gives an array that can be changed"
REFUSED = [
    (f_diagonal, M, TraceError, ("an array is assigned into that np.diagonal made: it is read-only\n"
     "  line:  test_assignment_refused.py: x.diagonal()[0] = 1\n"
     "  fix:   np.fill_diagonal(x, v), or np.einsum('ii->i', x)[...] = v")),
    (f_broadcast, M, TraceError, ("an array is assigned into that np.broadcast_to made: it is read-only\n"
     "  line:  test_assignment_refused.py: np.broadcast_to(x, (2, 3, 3))[0] = 1\n"
     "  fix:   x = x.copy() gives an array of that shape that can be changed")),
    (f_number, M, TraceError, ("x[…] = v where x is a number cannot be traced: numbers do not change\n"
     "  line:  test_assignment_refused.py: x[0, 0][...] = 1\n"
     "  fix:   x = v, or y = x + 1")),
    (f_complex, M, DTypeError, ("complex numbers are assigned into an array of float64\n"
     "  fix:   x = x.astype(complex) before that, or assign v.real\n"
     "  line:  test_assignment_refused.py: x[0] = 1j")),
    (f_complex_in_place, M, DTypeError,
     ("np.multiply: a result of complex128 is not cast to float64 with casting='same_kind'\n"
     "  line:  test_assignment_refused.py: x *= 1j")),
    (f_shape, M, ShapeError, ("x[…] = v: a value of shape (4,) does not fit into entries of shape (2, 3)\n"
     "  got:   x float64[3,3], v float64[4]\n"
     "  fix:   give a value that broadcasts to (2, 3)\n"
     "  line:  test_assignment_refused.py: x[1:] = np.ones(4)")),
    (f_shape_in_place, M, ShapeError,
     ("np.add: a result of shape (2, 3, 3) does not fit into the array of shape (3, 3)\n"
     "  got:   result float64[2,3,3], x float64[3,3]\n"
     "  line:  test_assignment_refused.py: x += np.ones((2, 3, 3))")),
    (f_index, M, IndexingError, ("x[…] = v: index 5 is out of bounds for axis 0 with size 3\n"
     "  got:   x float64[3,3], v int[]\n"
     "  with:  key=5\n"
     "  line:  test_assignment_refused.py: x[5] = 1")),
    (f_text, M, DTypeError, ("<U1 is assigned into an array of float64\n"
     "  line:  test_assignment_refused.py: x[0] = \"1\"")),
    (f_real_part, V, TraceError, ("z.real[…] = v cannot be traced where z is complex\n"
     "  line:  test_assignment_refused.py: (x * 1j).real[0] = 1\n"
     "  fix:   z = v + 1j * z.imag")),
    (f_out, M, ShapeError, ("sum: out= has the shape (3,), the result ()\n"
     "  line:  test_assignment_refused.py: np.sum(x, out=x[0])")),
    (f_scattered, np.ones((4, 4))[::2, ::2], TraceError,
     ("a reshaped array is assigned into: whether it is a view depends on how the argument lies in memory\n"
     "  line:  test_assignment_refused.py: x.reshape(-1)[0] = 1\n"
     "  fix:   x = x.copy() before it is reshaped, or hand over np.ascontiguousarray(x)")),
    (f_mask, M, ShapeError, ("place: the mask has the shape (1,), the array (3, 3)\n"
     "  line:  test_assignment_refused.py: np.place(x, [True], 1.0)")),
    (f_delete, M, TraceError, ("del x[…]: the entries of an array cannot be deleted\n"
     "  line:  test_assignment_refused.py: del x[0]\n"
     "  fix:   np.delete(x, index) returns a new array")),
    (f_inner, V, TraceError,
     ("an array of the function around is assigned what a function computes while it is differentiated\n"
     "  line:  test_assignment_refused.py: jac.jacobian(lambda z: x.__setitem__(0, z))(x[0])\n"
     "  fix:   let the inner function return it, or make the array there: np.zeros(shape, like=v)")),
]  # fmt: skip


@pytest.mark.parametrize(("f", "x", "error", "text"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_refusals(f: Any, x: Any, error: Any, text: str) -> None:
    assert text_of(error, f, x) == text
