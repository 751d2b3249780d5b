"""Errors are interface: the full text of each."""

from __future__ import annotations

import functools
import math
import re
import statistics
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.ops.registry import REGISTRY

X = np.ones(2)


def text_of(error: type[Exception], f: Any, *args: Any) -> str:
    """The message, with the line number of this file left out."""
    with pytest.raises(error) as caught:
        f(*args)
    return re.sub(r"test_errors\.py:\d+", "test_errors.py", str(caught.value))


def assigns(x: Any) -> Any:
    out = np.zeros(2)
    out[0] = x[0]
    return out


def assigns_slice(x: Any) -> Any:
    out = np.zeros(2)
    out[:] = x
    return out


def adds_in_place(x: Any) -> Any:
    y = np.ones(2)
    y += x
    return y


def assigns_behind(x: Any) -> Any:
    # fmt: off
    z = np.empty(2); z[:] = x  # noqa: E702
    # fmt: on
    return z


PARTS = (
    "out = np.zeros_like(x) or np.zeros(shape, like=x) can be assigned into, as can x.copy(); "
    "or collect the parts in a list and np.stack(parts) or np.concatenate(parts)"
)
PLAIN_NEEDED = "a traced array is used where NumPy needs a plain one, such as an index, a size, or an entry of a tuple"
STACK = (
    "np.stack([x0, x1]) for a list of traced values; leave np.asarray(x) out, x is an array already, or if it is a "
    "Jacobian, x.tensor()"
)
KEEP = "keep the array: NumPy functions take it (np.sin(x) instead of math.sin(x)), and so do comparisons"
PLAIN = "indices, sizes and axes must not depend on the input; np.stack([x0, x1]) builds arrays of traced values"


def f_float(x: Any) -> Any:
    return float(x)


def f_math(x: Any) -> Any:
    return math.sin(x)


def f_array(x: Any) -> Any:
    return np.array([x[0], x[1]])


def f_asarray(x: Any) -> Any:
    return np.asarray(x)


def f_index(x: Any) -> Any:
    return np.arange(5)[x[0]]


def f_unknown(x: Any) -> Any:
    return np.frompyfunc(abs, 1, 1)(x)


def f_dates(x: Any) -> Any:
    return np.busday_count(x, x)


def f_bits(x: Any) -> Any:
    return np.bitwise_and(x, 1)


def f_full(x: Any) -> Any:
    return np.full(3, x[0])


POLYNOMIALS = (
    "np.polyval(c[::-1], x), np.polymul, np.polyder, … take traced arrays; polyval(x, c), chebval(x, c), … take traced "
    "positions, and chebvander(x, degree) @ c takes traced coefficients"
)


def f_polynomial(x: Any) -> Any:
    return np.polynomial.Polynomial([1.0, 2.0])(x)


def f_attribute(x: Any) -> Any:
    return x.hypot


def f_copyto(x: Any) -> Any:
    np.copyto(np.zeros(2), x)


def f_round_trip(x: Any) -> Any:
    return x.tolist()


def f_float64(x: Any) -> Any:
    return np.float64(x[0])


def f_texts(x: Any) -> Any:
    return x.astype(str)


def f_matrix(x: Any) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return np.matrix(x)


def f_fortran(x: Any) -> Any:
    return np.asfortranarray(x)


def f_fill_diagonal(x: Any) -> Any:
    np.fill_diagonal(np.eye(2), x)


def f_add_at(x: Any) -> Any:
    np.add.at(np.zeros(2), [0], x[0])


def f_library(x: Any) -> Any:
    return statistics.fmean(x)


def f_long(x: Any) -> Any:
    return float(x) + 1000000 + 1000000 + 1000000 + 1000000 + 1000000 + 1000000 + 1000000 + 1000000 + 1000000


EYE = np.eye(2)


def f_vectorize(x: Any) -> Any:
    return np.vectorize(abs)(x)


def f_index_trick(x: Any) -> Any:
    return np.r_[x, 0.0]


def f_plain_method(x: Any) -> Any:
    return EYE.dot(x)


def f_scalar_length(x: Any) -> Any:
    return len(x[0])


UNTRACEABLE = [
    (f_float, 1.0, "a traced array is turned into float", "return float(x)", KEEP),
    (f_math, 1.0, "a traced array is turned into float", "return math.sin(x)", KEEP),
    (f_array, X, "np.array cannot be traced", "return np.array([x[0], x[1]])", STACK),
    (f_asarray, X, "np.asarray cannot be traced", "return np.asarray(x)", STACK),
    (f_index, X, PLAIN_NEEDED,
     "return np.arange(5)[x[0]]", PLAIN),
    (assigns, X, "out[…] = x where out is a plain array cannot be traced", "out[0] = x[0]", PARTS),
    (assigns_slice, X, "out[…] = x where out is a plain array cannot be traced", "out[:] = x", PARTS),
    (adds_in_place, X, "np.add(…, out=…), or an in-place operator on a plain array, cannot be traced", "y += x",
     f"write y = y + x instead of y += x; leave out= out; or {PARTS}"),
    (f_unknown, X, "numpy.abs (vectorized) cannot be traced: no op answers for it",
     "return np.frompyfunc(abs, 1, 1)(x)",
     "write it with NumPy functions that can be traced, or declare it with jac.primitive(forward, rule)"),
    (f_dates, X, "numpy.busday_count cannot be traced: it works on dates, which have no derivative",
     "return np.busday_count(x, x)", "turn dates into numbers before the function is called"),
    (f_bits, X, "numpy.bitwise_and cannot be traced: it works on booleans and whole numbers",
     "return np.bitwise_and(x, 1)", "comparisons such as x > 0 are plain arrays: combine those"),
    (f_full, X, "np.full cannot be traced: it fills a plain array", "return np.full(3, x[0])",
     "np.broadcast_to(x, shape), or np.full_like(y, x)"),
    (f_polynomial, X, "numpy.polynomial makes plain arrays of what it is given, and cannot be traced",
     "return np.polynomial.Polynomial([1.0, 2.0])(x)",
     POLYNOMIALS),
    (f_attribute, X, "a traced array has no attribute 'hypot'", "return x.hypot", "np.hypot(x) may be traced"),
    (f_copyto, X, "np.copyto(out, …) where out is a plain array cannot be traced", "np.copyto(np.zeros(2), x)", PARTS),
    (f_round_trip, X, "a traced array is turned into a list by .tolist()", "return x.tolist()", KEEP),
    (assigns_behind, X, "out[…] = x where out is a plain array cannot be traced",
     "z = np.empty(2); z[:] = x  # noqa: E702", PARTS),
    (f_float64, X, "a traced array is turned into np.float64", "return np.float64(x[0])", KEEP),
    (f_texts, X, "a traced array cannot become one of str", "return x.astype(str)",
     "make it one outside of the function"),
    (f_matrix, X, "a traced array cannot become a matrix", "return np.matrix(x)",
     "leave it an array; @ is the matrix product"),
    (f_vectorize, X, "np.vectorize cannot be traced", "return np.vectorize(abs)(x)",
     "call the function on the array itself, or np.stack([f(v) for v in x])"),
    (f_index_trick, X, "np.r_[…] and np.c_[…] cannot be traced", "return np.r_[x, 0.0]",
     "np.concatenate, np.hstack or np.column_stack"),
    (f_plain_method, X, "EYE.dot(x) is a method of a plain array, which cannot be traced", "return EYE.dot(x)",
     "np.dot(EYE, x)"),
    (f_scalar_length, X, "a scalar has no length, and no entries to go through", "return len(x[0])",
     "np.atleast_1d(x) has one entry"),
    (f_fortran, X, "np.asfortranarray cannot be traced", "return np.asfortranarray(x)", STACK),
    (f_fill_diagonal, X, "np.fill_diagonal(out, …) where out is a plain array cannot be traced",
     "np.fill_diagonal(np.eye(2), x)", PARTS),
    (f_add_at, X, "np.add.at(out, …) where out is a plain array cannot be traced", "np.add.at(np.zeros(2), [0], x[0])",
     PARTS),
    (f_library, [1.0, 2.0], "statistics needs plain numbers where it is given a traced array",
     "return statistics.fmean(x)",
     "write it with NumPy functions that can be traced, or declare it with jac.primitive(forward, rule)"),
    (f_long, 1.0, "a traced array is turned into float", f"return float(x){' + 1000000' * 8} + 1…", KEEP),
]  # fmt: skip


@pytest.mark.parametrize(
    ("f", "x", "headline", "line", "fix"), UNTRACEABLE, ids=lambda value: getattr(value, "__name__", "")
)
def test_code_that_cannot_be_traced(f: Any, x: Any, headline: str, line: str, fix: str) -> None:
    expected = f"{headline}\n  line:  test_errors.py: {line}\n  fix:   {fix}"
    assert text_of(jac.errors.TraceError, jac.jacobian(f), x) == expected


def test_wrong_shapes_name_labels_sizes_and_the_fix() -> None:
    A, C = np.ones((2, 3)), np.ones((4, 5))
    expected = (
        "matmul: label j is 3 in A but 4 in B\n"
        "  spec:  A[i,j], B[j,k] -> Y[i,k]\n"
        "  got:   A float64[2,3], B float64[4,5]\n"
        "  bound: i=2, j=3 (from A)\n"
        "  fix:   B's first axis must be 3"
    )
    assert text_of(jac.errors.ShapeError, jac.ops.matmul, A, C) == expected
    assert text_of(jac.errors.ShapeError, jac.ops.matmul.jacobian, A, C) == expected

    def f(A: Any) -> Any:
        return A @ C

    assert text_of(jac.errors.ShapeError, jac.jacobian(f), A) == f"{expected}\n  line:  test_errors.py: return A @ C"


def test_shapes_that_do_not_broadcast() -> None:
    def f(x: Any) -> Any:
        return x + np.ones(3)

    assert text_of(jac.errors.ShapeError, jac.jacobian(f), X) == (
        "add: operands could not be broadcast together with shapes (2,) (3,) \n"
        "  got:   x1 float64[2], x2 float64[3]\n"
        "  line:  test_errors.py: return x + np.ones(3)"
    )


@pytest.mark.parametrize(
    ("value", "kind", "got", "fix"),
    [
        (np.array([True, False]), "booleans", "bool[2]", "give floating-point numbers, for example x.astype(float)"),
        ("text", "text", "<U4[]", "give floating-point numbers"),
        (np.array([object()]), "Python objects", "object[1]", "give floating-point numbers"),
    ],
)
def test_inputs_that_are_not_numbers(value: Any, kind: str, got: str, fix: str) -> None:
    def f(x: Any) -> Any:
        return x * 2

    assert text_of(jac.errors.DTypeError, jac.jacobian(f), value) == (
        f"cannot differentiate with respect to x: it holds {kind}\n  got:   x {got}\n  fix:   {fix}"
    )


def test_values_that_are_not_finite() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.log(x) * 2)

    assert text_of(jac.errors.NonFiniteError, jac.jacobian(f), np.array([1.0, np.nan])) == (
        "x holds 1 value that is not finite\n  first: x[1] = nan\n  why:   the Jacobian there would mean nothing"
    )
    with np.errstate(divide="ignore"):
        assert text_of(jac.errors.NonFiniteError, jac.jacobian(f), np.array([1.0, 0.0])) == (
            "log(…) holds 1 value that is not finite\n  first: log(…)[1] = -inf\n  why:   it reaches the output"
        )


def test_outputs_that_are_no_arrays() -> None:
    assert text_of(jac.errors.DTypeError, jac.jacobian(lambda x: None), X) == (
        "the function returned None where an array is needed\n"
        "  fix:   return an array, or a tuple, list or dict of arrays"
    )
    assert text_of(jac.errors.DTypeError, jac.jacobian(lambda x: (x, "text")), X) == (
        "the function returned a str where an array is needed\n"
        "  at:    output[1]\n"
        "  fix:   return an array, or a tuple, list or dict of arrays"
    )


def test_arguments_of_our_own_functions() -> None:
    assert text_of(jac.errors.ArgumentError, jac.jacobian(lambda x: x, argnums=2), X) == (
        "argnums=2, but the function was called with 1 positional arguments"
    )
    assert text_of(jac.errors.ArgumentError, lambda: jac.trace(3, X)) == (  # type: ignore[arg-type]
        "the first argument must be a function, not int"
    )
    with pytest.raises(jac.errors.ArgumentError, match="order must be one of auto, forward, reverse, not 'sideways'"):
        jac.jacobian(np.sin, order="sideways")
    assert text_of(jac.errors.ArgumentError, lambda: jac.ops.sin.jacobian(X, argnums=1)) == (
        "sin has 1 operands; there is no number 1"
    )
    assert text_of(jac.errors.ArgumentError, jac.primitive, np.sin) == (
        "primitive needs a Jacobian rule for every operand\n  fix:   primitive(forward, rule)"
    )


def test_a_rule_of_the_wrong_shape_is_found_out() -> None:
    bad = jac.primitive(lambda x: x**2, lambda y, x: 2 * x, name="bad_square")
    assert text_of(jac.errors.ShapeError, jac.jacobian(bad), X) == (
        "bad_square: the rule of operand 0 returned a Jacobian of the wrong shape\n"
        "  got:    (2,) × ()\n"
        "  needed: (2,) × (2,) (output × operand)\n"
        "  fix:    entry by entry it is a diagonal: np.diag(…), or as text, '3 * x**2'"
    )


RULES: list[tuple[Any, Any, str]] = [
    (lambda x: np.ones((3, 2)) @ x, "x", ("odd: its derivative is text, but it does not work entry by entry\n"
     "  got:   operands of the shape (2,), output (3,)\n"
     "  fix:   give its Jacobian: a function, called as rule(y, *operands)")),
    (np.sum, "2 * x", ("odd: its derivative is text, but it does not work entry by entry\n"
     "  got:   operands of the shape (2,), output ()\n"
     "  fix:   give its Jacobian: a function, called as rule(y, *operands)")),
    (lambda x: [1.0, 2.0], "x",
     "odd: the forward must return an array of numbers, not list\n  fix:   return np.array(…)"),
    (lambda x: (x, x), "x", "odd: the forward must return an array of numbers, not tuple\n  fix:   return np.array(…)"),
    (lambda x: "x", "x", "odd: the forward must return an array of numbers, not str"),
    (lambda x: None, "x", "odd: the forward must return an array of numbers, not NoneType"),
    (lambda x: np.array(["a", "b"]), "x", "odd: the forward must return an array of numbers, not one of <U1"),
    (np.exp, lambda y, x: "a", "odd: rule 0 must return a Jacobian or an array of numbers, not str"),
    (np.exp, lambda y, x: None, "odd: rule 0 must return a Jacobian or an array of numbers, not NoneType"),
    (np.exp, lambda y, x: [[1], [1, 2]],
     "odd: rule 0 must return a Jacobian or an array of numbers, not list of objects"),
    (np.exp, lambda y, x: 1j * np.eye(2), "odd: rule 0 returns complex numbers, but the output is real"),
    (np.exp, lambda x: np.diag(x), ("odd: rule 0 does not take the output and the operands: too many positional "
     "arguments\n  got:   rule(x)\n  fix:   a rule is called as rule(y, x)")),
    (np.exp, lambda y, x, n: x, ("odd: rule 0 does not take the output and the operands: missing a required argument: "
     "'n'\n  got:   rule(y, x, n)\n  fix:   a rule is called as rule(y, x)")),
]  # fmt: skip


@pytest.mark.parametrize(("forward", "rule", "text"), RULES)
def test_a_rule_or_a_forward_that_cannot_be_meant_is_told(forward: Any, rule: Any, text: str) -> None:
    odd = jac.primitive(forward, rule, name="odd", operands=("x",))
    told = text_of(jac.errors.JacobianError, odd.jacobian, X)
    assert told == text


def test_numbers_of_python_and_lists_are_fine() -> None:
    half = jac.primitive(lambda x: 0.5 * float(x), "0.5", name="half")
    assert np.asarray(half.jacobian(2.0)) == 0.5
    swap = jac.primitive(lambda x: x[::-1], lambda y, x: [[0, 1], [1, 0]], name="swap")
    np.testing.assert_array_equal(np.asarray(jac.jacobian(swap)(X)), [[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize("zero", [0, 0.0, np.float64(0), np.array(0), False, 0j])
def test_a_jacobian_is_not_divided_by_zero(zero: Any) -> None:
    J = jac.jacobian(np.sin)(X)
    assert text_of(jac.errors.ArgumentError, lambda: J / zero) == "J / c: c must not be 0"


def test_a_jacobian_is_divided_by_numbers_only() -> None:
    J = jac.jacobian(np.sin)(X)
    assert text_of(jac.errors.ArgumentError, lambda: J / "2") == "J / c: c must be a number, not str"
    np.testing.assert_array_equal(np.asarray(J / np.float32(2)), np.asarray(J) / 2)


def test_kinks_are_named() -> None:
    with pytest.warns(jac.errors.KinkWarning) as caught:
        jac.jacobian(np.abs)(np.array([1.0, 0.0, -1.0, 0.0])).tensor()
    assert str(caught[0].message) == "absolute is not differentiable at entries [1], [3]; 0 is taken"
    with pytest.warns(jac.errors.KinkWarning) as caught:
        jac.jacobian(np.max)(np.array([1.0, 2.0, 2.0])).tensor()
    assert str(caught[0].message) == "max is not differentiable here; the first of the equal entries is taken"


def test_every_error_of_ours_is_also_the_builtin_a_numpy_user_expects() -> None:
    assert issubclass(jac.errors.ShapeError, ValueError)
    assert issubclass(jac.errors.TraceError, TypeError)
    assert issubclass(jac.errors.IndexingError, IndexError)
    assert issubclass(jac.errors.MemoryLimitError, MemoryError)
    assert issubclass(jac.errors.TracedAttributeError, AttributeError)


def test_derivatives_that_are_not_finite_are_named() -> None:
    with pytest.warns(jac.errors.NonFiniteWarning) as caught:
        J = jac.jacobian(np.sqrt)(np.array([4.0, 0.0]))
    assert str(caught[0].message) == "the derivative of sqrt is not finite at entry [1]"
    assert np.asarray(J)[0, 0] == 0.25 and np.isinf(np.asarray(J)[1, 1])


# -- what the errors of inner calls would have been -----------------------------------------------------------------


def test_a_number_where_axes_are_needed() -> None:
    def f(x: Any) -> Any:
        return x @ 2

    assert text_of(jac.errors.ShapeError, jac.jacobian(f), X) == (
        "matmul: B has the labels j,k, but no axes\n"
        "  spec:  A[j], B[j,k] -> Y[k]\n"
        "  got:   A float64[2], B int[]\n"
        "  fix:   a number is multiplied by *\n"
        "  line:  test_errors.py: return x @ 2"
    )


def test_arguments_that_are_not_what_they_must_be() -> None:
    J = jac.jacobian(np.sin)(X)
    text_of_the_full_tensor = (
        "np.add of the full tensor: operands could not be broadcast together with shapes (2,2) (3,)\n  J:     (2, 2)"
    )
    for call, error, text in (
        (lambda: jac.jacobian(np.sum)([[1, 2], [3]]), "DTypeError", "a is not an array: its rows differ in length"),
        (
            lambda: J + np.ones(3), "ShapeError",
            text_of_the_full_tensor,
        ),
        (lambda: J[::0], "IndexingError", "axis 0 cannot be sliced: slice step cannot be zero\n  shape: (2, 2)"),
        (lambda: J.predict("a"), "ArgumentError", "predict: dx must be an array of numbers, not str"),
        (lambda: J.predict(1j * X), "ArgumentError", "predict: dx must be an array of numbers of float64, not complex"),
        (
            lambda: J + {}, "ArgumentError",
            "np.add of the full tensor: unsupported operand type(s) for +: 'float' and 'dict'\n  J:     (2, 2)",
        ),
        (
            lambda: jac.backprop(np.sin, X, upstream="a"), "ArgumentError",
            "backprop: upstream must be an array of numbers, not str",
        ),
        (lambda: jac.memory_limit("a").__enter__(), "ArgumentError",  # type: ignore[arg-type]
            "memory_limit: the limit must be a number of bytes, not 'a'"),
        (lambda: jac.memory_limit(-1).__enter__(), "ArgumentError",
            "memory_limit: the limit must be a number of bytes, not -1"),
    ):  # fmt: skip
        assert text_of(getattr(jac.errors, error), call) == text


def test_the_bill_of_a_product_speaks_of_the_product() -> None:
    J = jac.jacobian(np.sin)(np.zeros(1000))
    bill = (
        "materialising {} needs 8.0 MB, the limit is 1.0 MB\n"
        "  shape:   (1000, 1000) float64\n"
        "  instead: {}\n"
        "  limit:   half of the memory available, or what jac.memory_limit says"
    )
    with jac.memory_limit(1e6):
        for call, name, instead in (
            (lambda: J @ np.ones((1000, 1000)), "J @ dx", "give dx fewer columns at a time"),
            (lambda: np.ones((1000, 1000)) @ J, "u @ J", "give u fewer rows at a time"),
            (lambda: J[:], "J[…]", "pick fewer entries at a time"),
        ):
            assert text_of(jac.errors.MemoryLimitError, call) == bill.format(name, instead)


def test_the_truth_of_an_array() -> None:
    def f(x: Any) -> Any:
        return x if x else 2 * x

    def g(x: Any) -> Any:
        return x if x > 0 else 2 * x

    for function, condition in ((f, "x"), (g, "x > 0")):
        assert text_of(jac.errors.ShapeError, jac.jacobian(function), X) == (
            "an array of several entries is neither true nor false\n"
            f"  line:  test_errors.py: return x if {condition} else 2 * x\n"
            "  fix:   np.where(condition, a, b) chooses entry by entry; .any() or .all() asks about all entries"
        )
        assert jac.jacobian(function)(np.ones(1)).structure == "identity"


def test_warnings_point_at_the_users_line() -> None:
    for f, kind in ((np.abs, jac.errors.KinkWarning), (np.sqrt, jac.errors.NonFiniteWarning)):
        with pytest.warns(kind) as caught:
            jac.jacobian(f)(np.zeros(2))
        assert (caught[0].filename, caught[0].lineno) == (__file__, sys._getframe().f_lineno - 1)


def test_primitives_are_checked_when_they_are_declared() -> None:
    for rules, text in (
        (("3 * q",), "broken: the derivative '3 * q' uses q\n  known: x, y, NumPy's and SciPy's names"),
        (("3 *",), "broken: the derivative '3 *' cannot be read: invalid syntax"),
        (("x2",), "broken: the derivative 'x2' uses x2\n  known: x, y, NumPy's and SciPy's names"),
        (("x3", "1"), "broken: the derivative 'x3' uses x3\n  known: x1, x2, y, NumPy's and SciPy's names"),
        (
            ("3*x^2",),
            "broken: the derivative '3*x^2' uses ^, which is no power\n  fix:   a power is written **: '3*x**2'",
        ),
    ):
        declare = functools.partial(jac.primitive, np.sin, *rules, name="broken")
        assert text_of(jac.errors.ExpressionError, declare) == text
    two = "broken: {} in the derivative {!r} may be the operand of that name, or {}\n  fix:   write {}, or "
    two += "call the operand something else"
    for operands, rules, text in (
        (("t",), ("3 * q",), "broken: the derivative '3 * q' uses q\n  known: t, x, y, NumPy's and SciPy's names"),
        (("y",), ("1 - y**2",), two.format("y", "1 - y**2", "the output", "x")),
        (("x2", "x1"), ("x2", "x1"), two.format("x2", "x2", "operand 1", "x1")),
    ):
        declare = functools.partial(jac.primitive, np.sin, *rules, name="broken", operands=operands)
        assert text_of(jac.errors.ExpressionError, declare) == text
    assert "broken" not in REGISTRY
    assert text_of(jac.errors.ArgumentError, jac.primitive, 3, "1") == (
        "primitive: the forward must be a function, not int"
    )
    assert text_of(jac.errors.ArgumentError, functools.partial(jac.primitive, np.sin, np.cos, "1", name="broken")) == (
        "broken: rule 1 is str, no function\n  fix:   every rule a function, or every rule a text"
    )
    short = jac.primitive(lambda a, b: a * b, "3 * x", name="short")
    assert text_of(jac.errors.ArgumentError, lambda: jac.jacobian(short, argnums=1)(X, X)) == (
        "short has no derivative for operand 1\n  got:   3 * x"
    )


def test_names_of_inner_functions_do_not_leak() -> None:
    def f(x: Any) -> Any:
        return np.outer(x, x, out=np.eye(2))

    assert text_of(jac.errors.TraceError, jac.jacobian(f), X) == (
        "outer(…, out=…) cannot be traced where out is a plain array\n"
        "  line:  test_errors.py: return np.outer(x, x, out=np.eye(2))\n"
        "  fix:   leave out= out and use the returned array"
    )
    for call, text in (
        (lambda: jac.ops.dot(X, X, out=X), "dot: dot() got an unexpected keyword argument 'out'"),
        (lambda: jac.ops.flat_outer(X, X, out=X), "outer: outer() got an unexpected keyword argument 'out'"),
        (lambda: jac.ops.take(X), "take: take() missing 1 required positional argument: 'indices'"),
        (lambda: jac.jacobian(lambda x: np.kron(x, "a"))(X), "kron: invalid data type for einsum"),
    ):
        assert text_of(jac.errors.ArgumentError, call).partition("\n")[0] == text


def test_sections_that_are_not_equal() -> None:
    def f(x: Any) -> Any:
        return np.split(x, 2)

    assert text_of(jac.errors.ShapeError, jac.jacobian(f), np.ones(3)) == (
        "split: 3 entries along axis 0 cannot be cut into 2 equal sections\n"
        "  fix:   np.array_split allows unequal ones\n"
        "  line:  test_errors.py: return np.split(x, 2)"
    )


def test_argnums_name_something() -> None:
    text = "argnums is empty: there is nothing to differentiate by\n  fix:   argnums=0"
    assert text_of(jac.errors.ArgumentError, jac.jacobian(np.sin, argnums=()), X) == text
    assert text_of(jac.errors.ArgumentError, functools.partial(jac.finite_difference, np.sin, X, argnums=())) == text
    first, second = jac.jacobian(np.sin, argnums=(0, 0))(X)
    assert first.structure == second.structure == "diagonal"


@pytest.mark.parametrize("differentiate", [jac.jacobian, jac.value_and_jacobian, jac.hessian])
def test_the_point_is_given_to_what_is_returned(differentiate: Any) -> None:
    called = differentiate.__name__
    for point, got in ((X, "ndarray"), ([X, X], "list"), (1.5, "1.5"), (None, "NoneType")):
        assert text_of(jac.errors.ArgumentError, lambda point=point: differentiate(np.sin, point)) == (
            f"{called}: argnums must be a whole number or a tuple of them, not {got}\n"
            f"  fix:   {called}(f)(x): what it returns is called with the point; argnums=0 says which argument"
        )
    assert text_of(jac.errors.ArgumentError, lambda: differentiate(X)) == (
        f"{called}: the first argument must be a function, not ndarray\n"
        f"  fix:   {called}(f)(x): the function first, then what it returns is called with the point"
    )


def test_one_array_is_needed_where_a_link_hands_on_several() -> None:
    chain = jac.Chain(lambda p: p[0] * p[1], lambda x: (x, x**2))
    assert text_of(jac.errors.DTypeError, chain.jacobian, X) == (
        "the function returned a tuple where an array is needed\n"
        "  fix:   return one array here: np.concatenate or np.stack of them"
    )


def test_an_op_without_operands_says_what_it_needs() -> None:
    assert text_of(jac.errors.ArgumentError, jac.ops.inv.jacobian) == (
        "inv.jacobian needs the operands at which the Jacobian is taken\n  fix:   inv.jacobian(A)"
    )


def test_a_tuple_of_numbers_is_no_array() -> None:
    told = text_of(jac.errors.TraceError, jac.jacobian(np.sin), (1.0, 2.0)).splitlines()
    assert told[0] == PLAIN_NEEDED


def test_a_prediction_with_another_function_is_refused() -> None:
    W = np.ones((2, 2))
    J = jac.jacobian(lambda x: np.tanh(W @ x))(X)
    assert J.predict(0.01 * X).order == pytest.approx(2, abs=0.1)
    W[:] = 0
    assert text_of(jac.errors.ArgumentError, J.predict, 0.01 * X) == (
        "predict: the function gives another value at the point than when it was differentiated\n"
        "  fix:   differentiate it again: an array that it reads has changed, or it draws random numbers"
    )


@pytest.mark.parametrize("size", [2, 300])  # the larger array is not copied
@pytest.mark.parametrize("calls", [1, 5])
def test_a_prediction_with_another_derivative_is_refused(size: int, calls: int) -> None:
    W = np.ones((size, size))
    f = jac.jacobian(lambda x: np.tanh(W @ x))
    for _ in range(calls):
        J = f(np.zeros(size))
    step = np.full(size, 1e-3 / size)
    assert J.predict(step).order == pytest.approx(3, abs=0.1)
    W *= 2  # at 0 the value is the same
    assert text_of(jac.errors.ArgumentError, J.predict, step) == (
        "predict: the function has another derivative at the point than when it was differentiated\n"
        "  fix:   differentiate it again: an array that it reads has changed, or it draws random numbers"
    )


def test_a_prediction_at_a_kink_warns_once() -> None:
    with pytest.warns(jac.errors.KinkWarning):
        J = jac.jacobian(np.abs)(np.zeros(2))
    assert np.array_equal(J.predict(X).actual, X)


def test_only_what_is_ours_is_listed() -> None:
    assert not {"Any", "TYPE_CHECKING", "annotations"} & set(dir(jac))
    assert {"jacobian", "verify", "ops"} <= set(dir(jac))
