"""Large products of short rows are made in other ways where that is worth it, which changes no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jacobian.kernel import products
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.places import Named, Target, copied
from jacobian.kernel.products import added_to_matrices, outer, product

WRITTEN = "broadcast_to"


def written(a: Any, b: Any, shape: Any, dtype: Any = None) -> tuple[str, np.ndarray]:
    """The program for a product, whose operands have axes of size 1 where they carry none; what it gives, checked."""
    rng = np.random.default_rng(0)
    code, arrays, named = Code(), [], []
    for name, own in (("a", a), ("b", b)):
        array = rng.normal(size=[size for size in own if size > 1][::-1]).astype(dtype or float).T
        labels = tuple(axis for axis, size in enumerate(own) if size > 1)
        arrays.append(array)
        named.append(Named(Symbol(name, array.shape, rough=True, kind=dtype and np.dtype(dtype)), labels))
    out = tuple(range(len(shape)))
    result = product(code, *named, out, dict(enumerate(shape)), None)
    text = code.text(["a", "b"], [str(result.symbol)])
    found = code.compile(text)(*arrays)
    np.testing.assert_array_equal(found, arrays[0].reshape(a) * arrays[1].reshape(b))
    return text, found


@pytest.mark.parametrize(
    ("a", "b", "shape", "copies"),
    [
        pytest.param((30, 1, 30, 1), (1, 30, 1, 30), (30, 30, 30, 30), 2, id="both, over two axes"),
        pytest.param((50, 1, 8, 1), (1, 50, 1, 8), (50, 50, 8, 8), 2, id="both, where three axes would be too many"),
        pytest.param((12, 24, 24, 1), (12, 1, 1, 24), (12, 24, 24, 24), 1, id="the last axis, where both are too many"),
        pytest.param((8, 8, 50, 1), (8, 1, 1, 100), (8, 8, 50, 100), 0, id="not one alone of long rows"),
        pytest.param((4, 1, 50, 1), (1, 4, 1, 100), (4, 4, 50, 100), 0, id="nothing for few uses"),
        pytest.param((10, 1, 10, 1), (1, 10, 1, 10), (10, 10, 10, 10), 0, id="nothing of small ones"),
    ],
)  # fmt: skip
def test_which_are_written_out(a: Any, b: Any, shape: Any, copies: int) -> None:
    assert written(a, b, shape)[0].count(WRITTEN) == copies


def test_long_rows_that_are_transposed_are_made_contiguous() -> None:
    text, _ = written((20, 1, 300), (1, 20, 300), (20, 20, 300))
    assert text.count("ascontiguousarray") + text.count(WRITTEN) == 2


@pytest.mark.parametrize("cheap", [0, 1, 8, 100])
def test_numbers_are_the_same_whatever_is_cheap(cheap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "WIDE", 1)
    monkeypatch.setattr(products, "CHEAP", cheap)
    for a, b in (((3, 1, 5, 1), (1, 4, 1, 6)), ((3, 4, 5, 1), (3, 1, 1, 6)), ((3, 4, 1, 1), (1, 1, 5, 6))):
        written(a, b, (3, 4, 5, 6))


BY_MATRICES = "outer"


@pytest.mark.parametrize(
    ("a", "b", "shape", "dtype", "is_made"),
    [
        pytest.param((64, 50, 1), (64, 1, 50), (64, 50, 50), "d", True, id="short rows"),
        pytest.param((64, 1, 50), (64, 50, 1), (64, 50, 50), "d", True, id="the row first"),
        pytest.param((64, 50, 1), (50, 50), (64, 50, 50), "d", True, id="both go on along the rows"),
        pytest.param((64, 50, 1), (1, 1, 3), (64, 50, 3), "f", False, id="few entries"),
        pytest.param((640, 50, 1), (1, 1, 3), (640, 50, 3), "f", True, id="very short rows, of another dtype"),
        pytest.param((640, 3, 1), (640, 1, 50), (640, 3, 50), "d", False, id="not worth the copies"),
        pytest.param((10, 50, 1), (10, 1, 300), (10, 50, 300), "d", False, id="long rows"),
        pytest.param((64, 50, 1), (64, 1, 50), (64, 50, 50), "e", False, id="not for BLAS"),
        pytest.param((300, 1, 1), (300, 40, 40), (300, 40, 40), "d", False, id="numbers"),
        pytest.param((60, 1, 150, 1), (1, 2, 150, 2), (60, 2, 150, 2), "d", True, id="columns that lie apart"),
        pytest.param((8, 1, 900, 1), (1, 2, 900, 2), (8, 2, 900, 2), "d", False, id="few of them"),
    ],
)  # fmt: skip
def test_which_are_made_by_matrices(a: Any, b: Any, shape: Any, dtype: str, is_made: bool) -> None:
    own = [(1,) * (len(shape) - len(one)) + one for one in (a, b)]
    text, found = written(*own, shape, dtype)
    assert (BY_MATRICES in text) == is_made
    assert found.dtype == np.dtype(dtype)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_matrices_are_made_in_their_place(axes: Any) -> None:
    """The place has gaps, and its axes lie in any order."""
    rng = np.random.default_rng(0)
    a, b, kind = rng.normal(size=(40, 30)), rng.normal(size=(40, 20)), np.dtype(float)
    size, wide = np.array([40, 30, 20]), np.array([45, 33, 25])
    order = np.argsort(axes)
    steps = [int(8 * np.prod(wide[list(axes[order[k] + 1 :])])) for k in range(3)]
    code = Code()
    whole = code.array("zeros(45 * 33 * 25)", (45 * 33 * 25,))
    target = Target(whole, (0, 1, 2), tuple(steps), 0, code.constant(kind, "dtype"), 8)
    named = [Named(Symbol("a", a.shape, kind=kind), (0, 1)), Named(Symbol("b", b.shape, kind=kind), (0, 2))]
    product(code, *named, (0, 1, 2), dict(enumerate(map(int, size))), target)
    text = code.text(["a", "b"], [str(whole)])
    assert (BY_MATRICES in text) == (axes[2] > 0)  # matrices have neighbours in a row, or in a column
    full = code.compile(text)(a, b)
    place = np.ndarray(tuple(size), kind, full, 0, tuple(steps))
    np.testing.assert_array_equal(place, a[:, :, None] * b[:, None, :])
    assert np.count_nonzero(full) == place.size


def test_no_number_is_worth_less_in_a_matrix() -> None:
    column, row = np.array([[1e-300], [np.inf], [np.nan], [-0.0]]), np.array([[1e-20, 1.0, -np.inf]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(outer(column, row), column * row)
    out = np.empty((3, 4)).T
    assert outer(column[:, :1], row[:, :2], out[:, :2]) is not None
    np.testing.assert_array_equal(out[:, :2], column * row[:, :2])


@pytest.mark.parametrize(
    ("shape", "is_added"),
    [((64, 1, 1), True), ((64, 50, 1), True), ((64, 1, 50), True), ((1, 1, 50), True), ((64, 50, 50), False)],
)
def test_what_is_a_column_or_a_row_of_matrices_is_added_as_they_are_made(shape: Any, is_added: bool) -> None:
    rng = np.random.default_rng(0)
    a, b, more, kind = rng.normal(size=(64, 50)), rng.normal(size=(64, 50)), rng.normal(size=shape), np.dtype(float)
    labels, sizes = tuple(k for k, size in enumerate(shape) if size > 1), {0: 64, 1: 50, 2: 50}
    code = Code()
    whole = code.array("zeros((64, 50, 64, 50))", (64, 50, 64, 50))
    target = Target(whole, (0, 1, 2), (8 * 160050, 8 * 3200, 8), 0, code.constant(kind, "dtype"), 8)
    factors = [Named(Symbol("a", a.shape, kind=kind), (0, 1)), Named(Symbol("b", b.shape, kind=kind), (0, 2))]
    product(code, *factors, (0, 1, 2), sizes, target)
    summand = Named(Symbol("more", tuple(sizes[k] for k in labels), kind=kind), labels)
    later = target._replace(fresh=False)
    assert added_to_matrices(code, summand, later, sizes) == is_added
    assert not added_to_matrices(code, summand, later._replace(offset=8), sizes)
    if not is_added:
        copied(code, summand, later, sizes)
    text = code.text(["a", "b", "more"], [str(whole)])
    assert ("add(" in text) == (not is_added)
    found = code.compile(text)(a, b, more.reshape([sizes[k] for k in labels]))
    expected = a[:, :, None] * b[:, None, :] + more
    np.testing.assert_allclose(found[range(64), :, range(64)], expected, rtol=1e-12, atol=1e-15)


def test_what_is_read_before_is_not_added_as_it_is_made() -> None:
    kind, sizes = np.dtype(float), {0: 64, 1: 50, 2: 50}
    code = Code()
    whole = code.array("zeros((64, 50, 50))", (64, 50, 50))
    target = Target(whole, (0, 1, 2), (8 * 2500, 8 * 50, 8), 0, code.constant(kind, "dtype"), 8)
    factors = [Named(Symbol("a", (64, 50), kind=kind), (0, 1)), Named(Symbol("b", (64, 50), kind=kind), (0, 2))]
    product(code, *factors, (0, 1, 2), sizes, target)
    code.let(f"{whole}.sum()", [whole], ())
    summand = Named(Symbol("more", (64,), kind=kind), (0,))
    assert not added_to_matrices(code, summand, target._replace(fresh=False), sizes)
