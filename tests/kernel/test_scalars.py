"""Programs that work number by number do so with Python's numbers: nothing else about them is different."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jacobian as jac
from jacobian.errors import JacobianError, KinkWarning
from jacobian.kernel.code import Code
from jacobian.kernel.scalars import with_floats

FLOAT = np.dtype(float)
STEPS = {
    "add": "{a} + {b}", "subtract": "{a} - {b}", "multiply": "{a} * {b}", "by": "{a} / ({b} * {b} + 2)",
    "square": "{a} ** (2)", "negative": "-{a}", "half": "{a} * (0.5)", "sqrt": "{sqrt}({a} * {a} + 1)",
    "abs": "{absolute}({a})", "sign": "{sign}({a})", "larger": "{maximum}({a}, {b})",
    "smaller": "{minimum}({a}, {b})", "sin": "{sin}({a})", "tanh": "{tanh}({a})",
    "choice": "({a} if {a} > {b} else {b})", "cube": "{a} ** (3)", "angle": "{arctan2}({a}, {b} * {b} + 1)",
}  # fmt: skip
ROUNDED = {"sin", "tanh", "angle"}
UFUNCS = ("sqrt", "absolute", "sign", "maximum", "minimum", "sin", "tanh", "arctan2")


def program(steps: list[tuple[str, int, int]]) -> tuple[Code, str]:
    """Read four numbers from an array, go on from any two that there are, and return all of them in two arrays."""
    code = Code()
    names = {name: code.constant(getattr(np, name), name).name for name in UFUNCS}
    x = code.let("inputs[0]", (), (4,), kind=FLOAT)
    numbers = [code.let(f"{x}[{code.key(k)}]", [x], ()) for k in range(4)]
    for step, first, second in steps:
        a, b = numbers[first % len(numbers)], numbers[second % len(numbers)]
        kind = FLOAT if len(numbers) % 2 else None  # of some it is not known
        numbers.append(code.let(STEPS[step].format(a=a, b=b, **names), [a, b], (), kind=kind))
    whole = code.array(f"zeros(({len(numbers)},), {code.constant(FLOAT, 'dtype')})", (len(numbers),))
    for k, number in enumerate(numbers):
        code.do(f"{whole}[{k}] = {number}", [number, whole], whole)
    listed = code.let(f"array([{', '.join(map(str, numbers))}]) * {numbers[-1]}", numbers, (len(numbers),))
    return code, code.text(["inputs"], [str(whole), str(listed)])


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 40), st.integers(0, 40)), min_size=6, max_size=25
    ),
    st.lists(st.floats(-3, 3, allow_subnormal=False), min_size=4, max_size=4),
)
def test_any_steps(steps: list[tuple[str, int, int]], start: list[float]) -> None:
    code, text = program(steps)
    x = np.array(start)
    with np.errstate(all="ignore"):
        expected = code.compile(text)([x])
        if not np.isfinite(expected).all():
            return
        taken = {step for step, _, _ in steps}
        for exact in (True, False):
            same = exact or not ROUNDED & taken
            if not same and "sign" in taken:  # of what is zero but for rounding
                continue
            found = code.compile(with_floats(text, code, exact=exact))([x])
            for one, other in zip(found, expected, strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_allclose(one, other, rtol=0 if same else 1e-9, atol=0 if same else 1e-9)


def test_numbers_are_pythons() -> None:
    code, text = program(
        [("multiply", 0, 1), ("add", 4, 2), ("sin", 5, 5), ("square", 6, 6), ("cube", 7, 7), ("by", 4, 5)]
    )
    quick = with_floats(text, code, exact=False)
    lines = [line.strip() for line in quick.split("\n")]
    assert sum(".item(" in line for line in lines) == 4
    assert sum(line.startswith("if not isfinite") for line in lines) == 1
    exact = with_floats(text, code, exact=True)
    sin = next(name for name, value in code.constants.items() if value is np.sin)
    assert f"{sin}(" in exact and f"{sin}(" not in quick


def test_few_numbers_are_left_alone() -> None:
    code = Code()
    x = code.let("inputs[0]", (), (4,), kind=FLOAT)
    first = code.let(f"{x}[{code.key(0)}]", [x], ())
    text = code.text(["inputs"], [str(code.let(f"{first} * {x}", [first, x], (4,)))])
    assert with_floats(text, code, exact=False) == text


def test_inputs_that_are_numbers() -> None:
    code = Code()
    a, b = (code.let(f"inputs[{k}]", (), (), kind=FLOAT) for k in range(2))
    c = code.let("inputs[2]", (), (), kind=np.dtype(np.float32))
    total = a
    for other in (b, a, b, a, b, c, b):
        total = code.let(f"{total} * {other}", [total, other], ())
    text = code.text(["inputs"], [str(total)])
    quick = with_floats(text, code, exact=True)
    assert "inputs[0].item()" in quick and "inputs[1].item()" in quick and "inputs[2].item()" not in quick
    numbers = [np.array(1.1), np.float64(1.2), np.float32(1.3)]
    assert code.compile(quick)(numbers) == code.compile(text)(numbers)


def test_a_number_of_numpys_becomes_one_of_pythons_where_others_are_made_of_it() -> None:
    code = Code()
    x = code.let("inputs[0]", (), (4,), kind=FLOAT)
    y = code.let(f"{x}.dot({x})", [x], (), new=True, kind=FLOAT)
    z = code.let(f"{x}.dot({x} + 1)", [x], (), new=True, kind=FLOAT)
    total = code.let(f"{x}[{code.key(0)}]", [x], ())
    for _ in range(8):
        total = code.let(f"{total} * {y}", [total, y], ())
    scaled = code.let(f"{x} * {z}", [x, z], (4,), new=True, kind=FLOAT)
    text = code.text(["inputs"], [str(total), str(scaled)])
    quick = with_floats(text, code, exact=True)
    assert f"{y} = float({x}.dot({x}))" in quick and f"{z} = {x}.dot({x} + 1)" in quick
    start = [np.array([0.5, -1.0, 0.25, 0.75])]
    for one, other in zip(code.compile(quick)(start), code.compile(text)(start), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_minus_in_front_of_a_number_becomes_a_difference() -> None:
    """And steps from one number to the next are accumulated forward, where two inputs have many outputs."""

    def epidemic(rate: Any, loss: Any) -> Any:
        well, ill, told = 0.99, 0.01, []
        for _ in range(12):
            new, gone = rate * well * ill, loss * ill
            well, ill = well - new, ill + new - gone
            told.append(ill)
        return np.stack(told)

    rate, loss = np.array(0.4), np.array(0.1)
    J = jac.jacobian(epidemic, (0, 1))
    first = [np.asarray(one) for one in J(rate, loss)]
    texts: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        compiled = Code.compile
        patch.setattr(Code, "compile", lambda code, text: texts.append(text) or compiled(code, text))
        J(rate, loss)
    assert "(-1)" not in texts[-1] and "-1 *" not in texts[-1]
    assert texts[-1].count(" = zeros(") == texts[-1].count(".item(") == 2
    for one, other in zip(first, J(rate, loss), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


class Anew:
    """A function that is traced at every call."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f

    def __call__(self, *arguments: Any) -> Any:
        return self.f(*arguments)


def rational(x: Any) -> Any:
    a, b, c = x[0], x[1], x[2]
    p = a * b - c
    q = p * p + a
    return np.stack([q * b, a / c, q * q - p * c, np.sqrt(b * b + 1) * q])


def outcome(J: Callable[..., Any], x: np.ndarray) -> tuple[Any, list[str]]:
    """The tensor or the error, and what was warned of."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found: Any = np.asarray(J(x))
        except JacobianError as error:
            found = str(error)
    return found, sorted({str(one.message) for one in said})


@pytest.mark.parametrize("x", [
    [1e200, 1e200, 1.0], [1e155, 1e155, 1e300], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1e-200, 3.0, 1e-200],
    [1.0, 1e308, 2.0], [1e50, 1e50, 1.0], [1e-160, 2.0, 1e-300],
])  # fmt: skip
def test_numbers_that_are_too_large(x: list[float]) -> None:
    """Where NumPy would say that a number is too large, it does."""
    J = jac.jacobian(rational)
    for k in range(4):
        J(np.array([1.0, 2.0, 3.0 + k]))
    found, said = outcome(J, np.array(x))
    expected, told = outcome(jac.jacobian(Anew(rational)), np.array(x))
    np.testing.assert_array_equal(found, expected)
    assert said == told


def test_values_are_those_of_numpy() -> None:
    """To the last bit, where they are asked for."""

    def f(x: Any, p: Any) -> Any:
        r = x[0] ** 2 + np.sin(x[1]) * x[2]
        s = np.exp(r * p) / (1 + x[1] * x[1])
        return np.stack([r, s, r * s - x[2], np.tanh(s) * x[0]])

    rng, value_and_J = np.random.default_rng(3), jac.value_and_jacobian(f)
    for _ in range(20):
        x, p = rng.normal(size=3), float(rng.normal())
        y, J = value_and_J(x, p)
        np.testing.assert_array_equal(y, f(x, p))
        np.testing.assert_allclose(np.asarray(J), np.asarray(jac.jacobian(Anew(f))(x, p)), rtol=1e-12)


def test_other_dtypes_are_left_alone() -> None:
    J = jac.jacobian(rational)
    for _ in range(4):
        found = np.asarray(J(np.array([0.1, 0.2, 0.3], np.float32)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, np.asarray(jac.jacobian(Anew(rational))(np.array([0.1, 0.2, 0.3], np.float32)))
    )


def sign_of_nan(x: Any) -> Any:
    a, b, c = x[0], x[1], x[2]
    t = a * b * c * a * b * c
    return np.sign(t * t - t * t * 2) * a + b + c * b


def hidden(x: Any) -> Any:
    a, b, c = x[0], x[1], x[2]
    t = a * b * c
    u = t * t
    return 1 / (u * u) + a * b + np.arctan(u * u) * c


@pytest.mark.parametrize("f", [sign_of_nan, hidden])
@pytest.mark.parametrize("with_value", [True, False])
def test_what_is_too_large_on_the_way_only(f: Callable[..., Any], with_value: bool) -> None:
    """It need not be seen in what comes out, and is told all the same."""

    def tensor(called: Callable[..., Any]) -> Callable[..., Any]:
        evaluate = (jac.value_and_jacobian if with_value else jac.jacobian)(called)
        return lambda x: np.asarray(evaluate(x)[1]) if with_value else np.asarray(evaluate(x))

    J = tensor(f)
    for k in range(4):
        J(np.array([1.0, 2.0, 3.0 + k]))
    x = np.array([1e40, 1e40, 1e40])
    found, said = outcome(J, x)
    expected, told = outcome(tensor(Anew(f)), x)
    np.testing.assert_array_equal(found, expected)
    assert said == told and told


def test_zeros_keep_their_signs() -> None:
    """Of two zeros NumPy takes one as the larger."""

    def f(x: Any) -> Any:
        a, b, c = x[0], x[1], x[2]
        return np.copysign(b, np.maximum(a, -a)) * c + (a * b + c) * (a * b - c) - b + np.minimum(a, 0.0) * c

    value_and_J = jac.value_and_jacobian(f)
    for a in (1.0, -2.0, 3.0, 0.5, 0.0, -0.0):
        x = np.array([a, 2.0, 1.0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KinkWarning)
            y, J = value_and_J(x)
            expected = jac.jacobian(Anew(f))(x)
        np.testing.assert_array_equal(y, f(x))
        np.testing.assert_allclose(np.asarray(J), np.asarray(expected), rtol=1e-12)
