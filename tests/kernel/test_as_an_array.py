"""What a Jacobian does where an array would be, and what it refuses, with the way out."""

from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import ArgumentError, JacobianError, MissingAttributeError, ShapeError

X = np.array([1.0, 2.0, 3.0])
J = jac.jacobian(lambda x: x**2 / 3)(X)
NUMBER = jac.jacobian(lambda x: x**2 / 3)(2.0)
ONE = jac.jacobian(lambda x: x**2 / 3)(X[:1])


def assign(key: Any) -> None:
    J[key] = 1.0


def delete(key: Any) -> None:
    del J[key]


@pytest.mark.parametrize("digits", [None, 0, 2, -1])
def test_it_is_rounded(digits: int | None) -> None:
    rounded = round(J) if digits is None else round(J, digits)
    np.testing.assert_array_equal(rounded, np.asarray(J).round(digits or 0))
    assert round(NUMBER, digits) == round(4 / 3, digits)
    assert type(round(NUMBER)) is int


def test_its_entries_are_looked_for() -> None:
    assert 4 / 3 in J
    assert 0 in J
    assert 0.5 not in J
    assert "text" not in J
    assert X * 0 in J
    assert 4 / 3 in NUMBER


def test_one_entry_is_a_number() -> None:
    assert (int(NUMBER), float(NUMBER), complex(NUMBER)) == (1, 4 / 3, 4 / 3 + 0j)
    assert (int(ONE), float(ONE)) == (0, 2 / 3)
    assert f"{NUMBER:.3f} {ONE:.3f}" == "1.333 0.667"
    assert f"{J}" == str(J)


def test_rows_are_walked_through() -> None:
    assert len(J) == 3
    np.testing.assert_array_equal(list(J), np.asarray(J))
    assert bool(np.all(jac.jacobian(lambda x: x**2 / 3)(X) == J))


@pytest.mark.parametrize(
    ("f", "kind", "text"),
    [
        (
            lambda: assign(0), ArgumentError,
            ("a Jacobian never changes: nothing can be assigned to its entries\n"
            "  fix:   A = np.array(J) is an array of your own, to be changed: A[...] = ..."),
        ),
        (
            lambda: assign((0, slice(None))), ArgumentError,
            ("a Jacobian never changes: nothing can be assigned to its entries\n"
            "  fix:   A = np.array(J) is an array of your own, to be changed: A[...] = ..."),
        ),
        (
            lambda: delete(0), ArgumentError,
            "a Jacobian never changes: its entries cannot be deleted\n  fix:   np.delete(J, index, axis)",
        ),
        (
            lambda: float(J), ShapeError,
            ("only a Jacobian with one entry is a number; this one has 9\n"
            "  fix:   J[index] is one of them, np.asarray(J) all"),
        ),
        (
            lambda: int(J), ShapeError,
            ("only a Jacobian with one entry is a number; this one has 9\n"
            "  fix:   J[index] is one of them, np.asarray(J) all"),
        ),
        (
            lambda: f"{J:.2f}", ArgumentError,
            ("a Jacobian of 9 entries is not formatted as a number, by '.2f'\n"
            "  fix:   np.array2string(np.asarray(J), precision=2), or np.round(J, 2)"),
        ),
        (
            lambda: J.round(2), AttributeError,
            ("a Jacobian has no round, which arrays have\n"
            "  fix:   np.asarray(J).round(...), of the full tensor; np.round(J, ...) sees it, too"),
        ),
        (
            lambda: J.tolist(), AttributeError,
            "a Jacobian has no tolist, which arrays have\n  fix:   np.asarray(J).tolist(...), of the full tensor",
        ),
        (
            lambda: J.flat, AttributeError,
            "a Jacobian has no flat, which arrays have\n  fix:   np.asarray(J).flat, of the full tensor",
        ),
    ],
)  # fmt: skip
def test_what_it_refuses(f: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as error:
        f()
    assert str(error.value) == text
    assert isinstance(error.value, JacobianError)


def test_what_no_array_has_is_missing_as_everywhere() -> None:
    with pytest.raises(AttributeError, match=r"^'Jacobian' object has no attribute 'gradient'$"):
        J.gradient  # noqa: B018
    assert not hasattr(J, "__array_struct__")


def test_nothing_is_written_to_a_jacobian() -> None:
    J = jac.jacobian(np.sin)(np.ones(3))
    text = (
        "a Jacobian never changes: nothing can be written to it by out=\n"
        "  fix:   A = np.array(J) is an array of your own, to be changed: A[...] = ..."
    )
    for write in (
        lambda: np.add(J, 1, out=J), lambda: np.multiply(np.ones((3, 3)), 2, out=J), lambda: np.clip(J, 0, 1, out=J),
        lambda: np.dot(J, J, out=J),
    ):  # fmt: skip
        with pytest.raises(ArgumentError) as caught:
            write()
        assert str(caught.value) == text
    with pytest.raises(MissingAttributeError) as missing:
        J.fill(0)
    assert str(missing.value) == (
        "a Jacobian has no fill, which arrays have\n  fix:   A = np.array(J) is an array of your own: A.fill(...)"
    )


def test_the_tensor_cannot_be_made_writeable() -> None:
    f = jac.jacobian(lambda x: np.sin(x) * x)
    for _ in range(4):
        J = f(np.ones(3))
        with pytest.raises(ValueError, match="WRITEABLE"):
            np.asarray(J).setflags(write=True)


def test_what_it_lacks_is_not_among_its_attributes() -> None:
    J = jac.jacobian(np.sin)(np.ones(3))
    assert not hasattr(J, "sum") and "sum" not in dir(J) and "tensor" in dir(J)


def test_an_entry_as_a_number() -> None:
    assert type(J.item(1, 1)) is float and J.item(1, 1) == J[1, 1] and NUMBER.item() == float(NUMBER)
    with pytest.raises(JacobianError):
        J.item(3, 0)
