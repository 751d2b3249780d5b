"""Index notation: how it is read and bound to sizes, and what is said when it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from jacobian.errors import DTypeError, LabelError, ShapeError
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.spec import Spec, parse

from .strategies import examples, numbers

einsum = Jacobian.einsum


def dense(operands: list[str], out: str, into: str, arrays: list[np.ndarray], sizes: dict[str, int]) -> np.ndarray:
    """What the notation means, by `np.einsum`: every axis gets a label of its own, tied by δ to the label it shows."""
    capital = dict(zip(out + into, "ABCDEFGH", strict=False))
    axes = [chr(ord("A") + k) for k in range(len(out + into))]
    assert len(capital) <= len(axes)
    deltas = [np.eye(sizes[label]) for label in out + into]
    if not sizes:
        return np.prod([float(array) for array in arrays])
    tied = [label + axis for label, axis in zip(out + into, axes, strict=True)]
    carried = set("".join(operands))
    ones = [label for label in sizes if label not in carried]
    text = ",".join([*operands, *ones, *tied]) + "->" + "".join(axes)
    return np.asarray(np.einsum(text, *arrays, *(np.ones(sizes[label]) for label in ones), *deltas))


@st.composite
def notations(draw: st.DrawFn) -> tuple[list[str], str, str, list[np.ndarray], dict[str, int]]:
    every = {label: draw(st.integers(1, 3)) for label in "ijkl"}
    group = st.lists(st.sampled_from("ijkl"), max_size=3).map("".join)
    operands = draw(st.lists(st.lists(st.sampled_from("ijkl"), min_size=1, max_size=3).map("".join), max_size=3))
    out, into = draw(group), draw(group)
    arrays = [numbers(draw, tuple(every[label] for label in labels)) for labels in operands]
    used = {*out, *into, *"".join(operands)}
    return operands, out, into, arrays, {label: every[label] for label in sorted(used)}


@given(notations())
@examples(200)
def test_a_notation_means_what_numpy_einsum_says(notation: Any) -> None:
    operands, out, into, arrays, sizes = notation
    J = einsum(f"{','.join(operands)}->{out}|{into}", *arrays, **sizes)
    assert_array_equal(np.asarray(J), dense(operands, out, into, arrays, sizes))
    assert J.out_shape == tuple(sizes[label] for label in out)
    assert J.in_shape == tuple(sizes[label] for label in into)


def test_a_spec_is_read_and_printed() -> None:
    spec = parse(" jk , kl -> ...ik | ...ij ")
    assert spec == Spec((("j", "k"), ("k", "l")), ("...", "i", "k"), ("...", "i", "j"))
    assert str(spec) == "jk,kl->...ik|...ij"
    assert parse("->|") == Spec((), (), ())
    assert parse("ij,->i|j").operands == (("i", "j"), ())


def test_the_jacobian_of_a_matrix_product() -> None:
    B = np.arange(6.0).reshape(3, 2)
    J = einsum("jk->ik|ij", B, i=2)
    assert J.shape == (2, 2, 2, 3)
    assert_array_equal(np.asarray(J), np.einsum("jk,ia->ikaj", B, np.eye(2)))
    assert J.formula == "∂y[i,k]/∂x[i,j] = A[j,k]"


def test_nothing_before_the_arrow_is_no_operand_or_one_scalar() -> None:
    assert einsum("->i|i", i=3).structure == "identity"
    assert_array_equal(np.asarray(einsum("->i|i", 2.5, i=3)), 2.5 * np.eye(3))
    assert np.asarray(einsum("->|", 4.0)) == 4
    assert np.asarray(einsum(",->|", 4.0, 5.0)) == 20
    assert np.asarray(einsum("->|")) == 1


def test_an_operand_label_on_neither_side_is_summed() -> None:
    A = np.arange(6.0).reshape(2, 3)
    assert_array_equal(np.asarray(einsum("ij->i|", A)), A.sum(1))
    assert_array_equal(np.asarray(einsum("ii->|", np.eye(3))), 3)


def test_dots_are_a_batch_on_both_sides() -> None:
    W = np.arange(24.0).reshape(2, 4, 3)
    J = einsum("...ij->...i|...j", W)
    assert J.shape == (2, 4, 2, 3)
    assert J.structure == "block-diagonal over axis 0"
    assert_array_equal(J[1, :, 1, :], W[1])
    assert not np.asarray(J)[0, :, 1].any()


def test_batches_broadcast() -> None:
    W, d = np.arange(6.0).reshape(1, 2, 3), np.arange(10.0).reshape(5, 2)
    J = einsum("...ij,...i->...i|...j", W, d)
    assert J.shape == (5, 2, 5, 3)
    x = np.arange(15.0).reshape(5, 3)
    assert_array_equal(J @ x, d * (x @ W[0].T))
    fewer = einsum("ij,...i->...i|...j", W[0], d)
    assert_array_equal(np.asarray(fewer), np.asarray(J))
    given = einsum("ij->...i|...j", W[0], batch=(2, 2))
    assert given.shape == (2, 2, 2, 2, 2, 3)
    assert einsum("ij->...i|...j", W[0], batch=4).shape == (4, 2, 4, 3)
    assert einsum("...i->i|", np.ones((2, 3, 4))).shape == (4,)


def test_sizes_may_be_numpy_integers() -> None:
    assert einsum("->i|i", i=np.int64(3)).shape == (3, 3)


def test_empty_and_missing_axes() -> None:
    assert np.asarray(einsum("ij->i|j", np.ones((0, 3)))).shape == (0, 3)
    assert_array_equal(np.asarray(einsum("ij->i|", np.ones((2, 0)))), [0, 0])
    assert einsum("ij->i|", np.ones((2, 0))).structure == "zero"
    assert np.asarray(einsum("->i|i", i=0)).shape == (0, 0)


def test_operands_are_snapshots() -> None:
    B = np.ones((2, 2))
    J = einsum("ij->i|j", B)
    B[:] = 7
    assert_array_equal(np.asarray(J), np.ones((2, 2)))
    assert B.flags.writeable


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        (["f4"], "f4"), (["f8"], "f8"), (["f4", "f8"], "f8"), (["i4"], "f8"), (["i8", "f4"], "f8"), (["u1"], "f8"),
        (["f2"], "f2"), (["c8"], "c8"), (["f8", "c8"], "c16"),
    ],
)  # fmt: skip
def test_types_are_kept_and_integers_promoted(dtypes: list[str], result: str) -> None:
    J = einsum(",".join("i" * len(dtypes)) + "->i|i", *(np.ones(2, dtype) for dtype in dtypes))
    assert J.dtype == np.dtype(result)
    assert np.asarray(J).dtype == np.dtype(result)


def test_small_integers_do_not_overflow() -> None:
    J = einsum("i->|i", np.full(1000, 100, np.int8))
    assert J @ np.full(1000, 100, np.int8) == 10**7


FORM = "\n  form:  operands -> output axes | input axes"

MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: einsum(3),  # type: ignore[arg-type]
        LabelError,
        "a spec is text such as 'jk->ik|ij', not int\n  got:   3",
    ),
    (lambda: einsum("ij|k"), LabelError, f"spec 'ij|k' needs exactly one '->'{FORM}"),
    (lambda: einsum("i->j->k|l"), LabelError, f"spec 'i->j->k|l' needs exactly one '->'{FORM}"),
    (
        lambda: einsum("ij->ij", np.eye(2)),
        LabelError,
        (
            f"spec 'ij->ij' needs exactly one '|' after '->'{FORM}\n"
            "  fix:   put the output's labels before '|' and the input's behind it, for example 'jk->ik|ij'"
        ),
    ),
    (
        lambda: einsum("i1->i|i", np.eye(2)),
        LabelError,
        (
            "spec 'i1->i|i': '1' is not a label\n"
            "  fix:   labels are single letters; '...' may stand once in a group for shared batch axes"
        ),
    ),
    (
        lambda: einsum("...i...->i|i", np.eye(2)),
        LabelError,
        (
            "spec '...i...->i|i': '.' is not a label\n"
            "  fix:   labels are single letters; '...' may stand once in a group for shared batch axes"
        ),
    ),
    (
        lambda: einsum("ij,jk->i|k", np.eye(2)),
        ShapeError,
        "the spec names 2 operands but 1 were given\n  spec:  ij,jk->i|k\n  got:   (2, 2)",
    ),
    (
        lambda: einsum("i->i|i"),
        ShapeError,
        "the spec names 1 operands but 0 were given\n  spec:  i->i|i\n  got:   no operand",
    ),
    (
        lambda: einsum("ij->i|j", np.ones(3)),
        ShapeError,
        "operand 1 has 1 axes but its labels 'ij' name 2\n  spec:  ij->i|j\n  got:   operand 1 of shape (3,)",
    ),
    (
        lambda: einsum("->i|i", np.ones(3), i=3),
        ShapeError,
        "operand 1 has 1 axes but its labels '' name 0\n  spec:  ->i|i\n  got:   operand 1 of shape (3,)",
    ),
    (
        lambda: einsum("...ij->i|j", np.ones(3)),
        ShapeError,
        "operand 1 has 1 axes but its labels '...ij' name 2\n  spec:  ...ij->i|j\n  got:   operand 1 of shape (3,)",
    ),
    (
        lambda: einsum("ij,jk->i|k", np.ones((2, 3)), np.ones((4, 5))),
        ShapeError,
        (
            "label j is 3 in operand 1 but 4 in operand 2\n"
            "  spec:  ij,jk->i|k\n"
            "  bound: i=2 (from operand 1), j=3 (from operand 1)"
        ),
    ),
    (
        lambda: einsum("ij->i|j", np.ones((2, 3)), j=4),
        ShapeError,
        (
            "label j is 3 in operand 1 but 4 in keyword j=4\n"
            "  spec:  ij->i|j\n"
            "  bound: i=2 (from operand 1), j=3 (from operand 1)"
        ),
    ),
    (
        lambda: einsum("...i,...i->...i|", np.ones((2, 3)), np.ones((4, 3))),
        ShapeError,
        "batch axes (2,) and (4,) (operand 2) do not broadcast\n  spec:  ...i,...i->...i|",
    ),
    (
        lambda: einsum("i->i|i", np.ones(2), k=3),
        LabelError,
        "size given for label k, which the spec does not use\n  spec:  i->i|i",
    ),
    (
        lambda: einsum("i->i|i", np.ones(2), batch=3),
        LabelError,
        "batch= given, but the spec has no '...'\n  spec:  i->i|i",
    ),
    (
        lambda: einsum("->i|i", i=2.0),
        LabelError,
        "the size of label i must be a whole number, not 2.0\n  spec:  ->i|i",
    ),
    (
        lambda: einsum("->i|i", i=-1),
        LabelError,
        "the size of label i must be a whole number, not -1\n  spec:  ->i|i",
    ),
    (
        lambda: einsum("->i|i", i=True),
        LabelError,
        "the size of label i must be a whole number, not True\n  spec:  ->i|i",
    ),
    (
        lambda: einsum("->...|...", batch=(2, "x")),
        LabelError,
        "the size of label '...' must be a whole number, not 'x'\n  spec:  ->...|...",
    ),
    (
        lambda: einsum("->...i|...i", i=2),
        LabelError,
        "no operand says what '...' is\n  spec:  ->...i|...i\n  fix:   give it: batch=(2, 3)",
    ),
    (
        lambda: einsum("jk->ik|ij", np.eye(2)),
        LabelError,
        "label i has no size: no operand carries it\n  spec:  jk->ik|ij\n  fix:   give it as a keyword: i=3",
    ),
    (
        lambda: einsum("i->i|i", np.array([True, False])),
        DTypeError,
        (
            "einsum: operand 1 must hold numbers, not bool\n"
            "  fix:   convert it first, for example with np.asarray(operand, float)"
        ),
    ),
    (
        lambda: einsum("i,->i|i", np.ones(2), "a"),
        DTypeError,
        (
            "einsum: operand 2 must hold numbers, not <U1\n"
            "  fix:   convert it first, for example with np.asarray(operand, float)"
        ),
    ),
    (
        lambda: einsum("ij->i|j", [[1, 2], [3]]),
        DTypeError,
        (
            "einsum: operand 1 must hold numbers, not object\n"
            "  fix:   convert it first, for example with np.asarray(operand, float)"
        ),
    ),
]


@pytest.mark.parametrize(("mistake", "kind", "text"), MISTAKES)
def test_what_a_mistake_says(mistake: Callable[[], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        mistake()
    assert type(caught.value) is kind
    assert str(caught.value) == text
