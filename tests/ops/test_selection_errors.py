"""What is selected wrongly: the error speaks of the function that was called, on the user's line."""

from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import ArgumentError, IndexingError, JacobianError, ShapeError

A = np.arange(6.0).reshape(2, 3)


def pair(x: Any) -> list[Any]:
    return [x[:, 0], x[:, 1]]


CASES: list[tuple[Any, type[Exception], str]] = [
    (
        lambda x: np.take_along_axis(x, np.array([[0, 5]]), axis=1), IndexingError,
        ("take_along_axis: index 5 is out of bounds for axis 1 with size 3\n"
        "  got:   arr float64[2,3], indices int64[1,2]\n  with:  axis=1"),
    ),
    (
        lambda x: np.take_along_axis(x, np.array([[0.0, 1.0]]), axis=1), IndexingError,
        ("take_along_axis: arrays used as indices must be of integer (or boolean) type\n"
        "  got:   arr float64[2,3], indices float64[1,2]\n  with:  axis=1"),
    ),
    (
        lambda x: np.take_along_axis(x, np.array([0, 1]), axis=1), ShapeError,
        ("take_along_axis: `indices` and `arr` must have the same number of dimensions\n"
        "  got:   arr float64[2,3], indices int64[2]\n  with:  axis=1"),
    ),
    (
        lambda x: np.take_along_axis(x, np.array([[0, 1]]), axis=3), IndexingError,
        ("take_along_axis: axis 3 is out of bounds for array of dimension 2\n"
        "  got:   arr float64[2,3], indices int64[1,2]\n  with:  axis=3"),
    ),
    (
        lambda x: np.compress([1, 0, 0, 0, 0, 0, 1], x), IndexingError,
        "compress: index 6 is out of bounds for axis 0 with size 6\n  got:   condition list[7], a float64[2,3]",
    ),
    (
        lambda x: np.choose(np.array([0, 3]), pair(x)), ShapeError,
        "choose: index 3 is out of bounds for 2 choices\n  got:   a int64[2], choices [float64[2], float64[2]]",
    ),
    (
        lambda x: np.choose(np.array([-1, 0]), pair(x)), ShapeError,
        "choose: index -1 is out of bounds for 2 choices\n  got:   a int64[2], choices [float64[2], float64[2]]",
    ),
    (
        lambda x: np.choose(np.array([0.0, 1.0]), pair(x)), ArgumentError,
        ("choose: Cannot cast array data from dtype('float64') to dtype('int64') according to the rule 'safe'\n"
        "  got:   a float64[2], choices [float64[2], float64[2]]"),
    ),
    (
        lambda x: np.select([x > 0], [x, x]), ShapeError,
        ("select: list of cases must be same length as list of conditions\n"
        "  got:   condlist [bool[2,3]], choicelist [float64[2,3], float64[2,3]]"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("f", "kind", "text"), CASES, ids=[text.splitlines()[0] for _, _, text in CASES])
def test_the_function_and_the_line_are_named(f: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as error:
        jac.jacobian(f)(A)
    told, _, line = str(error.value).rpartition("\n")
    assert told == text
    assert line.startswith("  line:  test_selection_errors.py:")
    assert isinstance(error.value, JacobianError)


@pytest.mark.parametrize("mode", ["clip", "wrap"])
def test_other_modes_take_any_number(mode: Any) -> None:
    numbers = np.array([-3, 7])
    J = jac.jacobian(lambda x: np.choose(numbers, pair(x), mode=mode))(A)
    np.testing.assert_array_equal(J @ A, np.choose(numbers, pair(A), mode=mode))
