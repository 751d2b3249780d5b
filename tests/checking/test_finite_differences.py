"""Differences and their error bars: honest, entry by entry, on functions whose derivatives are known."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jacobian as jac

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks import differences as benchmark

Function = Callable[[Any], Any]


def text_of(kind: type[Exception], call: Callable[[], Any]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# -- error bars ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "richardson", "central", "forward"])
def test_error_bars_hold_over_the_suite(method: str) -> None:
    """Entry by entry |value - truth| is within the bar in at least 99 of 100, over all groups together."""
    found = benchmark.run(method, 2)
    groups = [found[group] for group in benchmark.GROUPS]
    total = sum(one.entries for one in groups)
    assert total > 2000
    assert sum(one.within for one in groups) >= 0.99 * total
    for group, one in zip(benchmark.GROUPS, groups, strict=True):
        assert one.share >= 0.97, group


def test_error_bars_are_not_too_wide() -> None:
    found = benchmark.run("richardson", 2)
    widest = {
        "smooth": 1e-11, "oscillating": 1e-9, "badly scaled": 1e-9, "float32": 1e-3, "nearly singular": 1e-6,
        "noisy": 1e-2,
    }  # fmt: skip
    for group, limit in widest.items():
        most = 400 if group == "oscillating" else 100  # extrapolated differences are better than they can know
        assert np.median(found[group].bars) < most, group  # times the error there is
        assert np.median(found[group].widths) < limit, group
        share = 0.1 if group == "noisy" else 0.01  # of results rounded to three digits some bars cannot be better
        assert found[group].useless <= share * found[group].entries, group


def test_the_benchmark_prints_the_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--draws", "1"]) == 0
    printed = capsys.readouterr().out
    for told in ("closed forms: with auto and Richardson at least ", "scipy.differentiate.jacobian: "):
        share = float(printed.partition(told)[2].partition(" %")[0])
        assert share >= 99


SMOOTH: list[tuple[str, Function, Function]] = [
    ("sin", np.sin, np.cos),
    ("exp", np.exp, np.exp),
    ("tanh", np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    ("square", np.square, lambda x: 2 * x),
    ("rational", lambda x: x / (1 + x * x), lambda x: (1 - x * x) / (1 + x * x) ** 2),
    ("gauss", lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    ("constant added", lambda x: 1e6 + np.sin(x), np.cos),
]


@settings(max_examples=150)
@given(
    which=st.integers(0, len(SMOOTH) - 1),
    x=st.floats(-5, 5).map(lambda x: 0.0 if abs(x) < 1e-12 else x),
    frequency=st.sampled_from([1e-3, 1.0, 7.0, 300.0]),
    method=st.sampled_from(["auto", "richardson", "central", "forward"]),
)
def test_any_smooth_function_anywhere(which: int, x: float, frequency: float, method: str) -> None:
    _, f, slope = SMOOTH[which]
    if f in (np.exp, np.tanh, np.square) and frequency > 7:
        frequency = 7.0
    d = jac.finite_difference(lambda x: f(frequency * x), np.array([x]), method=method)
    truth = frequency * slope(frequency * x)
    assert abs(d.values[0, 0] - truth) <= 3 * d.errors[0, 0] + 8 * np.spacing(abs(truth))


@settings(max_examples=60)
@given(exponent=st.floats(-8, 8), sign=st.sampled_from([-1, 1]), out=st.floats(-8, 8))
def test_any_scale_of_input_and_output(exponent: float, sign: int, out: float) -> None:
    scale, x = 10.0**out, sign * 10.0**exponent
    d = jac.finite_difference(lambda x: scale * np.arctan(x / abs(float(x0))), x0 := np.array(x), method="richardson")
    truth = scale / (2 * abs(x))
    assert abs(float(d.values) - truth) <= float(d.errors) <= 1e-8 * truth


def test_complex_step_and_central_differences_agree_with_closed_forms() -> None:
    x = np.array([0.3, -1.2, 2.0])
    truth = np.diag(np.cos(x))
    for method, width in (("complex", 1e-14), ("richardson", 1e-11), ("central", 1e-8), ("forward", 1e-5)):
        d = jac.finite_difference(np.sin, x, method=method)
        assert d.method == method
        assert np.all(np.abs(d.values - truth) <= d.errors)
        assert np.all(d.errors <= width)


def test_scipy_agrees() -> None:
    scipy = pytest.importorskip("scipy.differentiate")
    x = np.array([0.3, 1.7])

    def f(x: Any) -> Any:
        return np.stack([np.sin(x[0]) * x[1], np.exp(-x[0] * x[1]), np.log(x[1] + x[0] ** 2)])

    theirs = scipy.jacobian(f, x)
    ours = jac.finite_difference(f, x)
    assert np.all(np.abs(ours.values - theirs.df) <= ours.errors + theirs.error)


def test_what_cancels_inside_the_function_is_within_the_bars() -> None:
    """Of a saturated softmax the complex step is exact to no digit, and its scatter does not show it."""
    rng = np.random.default_rng(1)
    off = []
    for _ in range(20):
        K, V, q = rng.normal(size=(3, 4)), rng.normal(size=(3, 2)), 20 * rng.normal(size=4)

        def f(q: Any, K: Any = K, V: Any = V) -> Any:
            e = np.exp(K @ q - np.max((K @ q).real))
            return (e / np.sum(e)) @ V

        e = np.exp((K @ q - np.max(K @ q)).astype(np.longdouble))
        p = e / np.sum(e)
        truth = V.T @ (np.diag(p) - np.outer(p, p)) @ K
        d = jac.finite_difference(f, q)
        off += list(np.ravel(np.abs(d.values - truth) <= d.errors))
    assert np.mean(off) >= 0.99


def test_underflow_is_within_the_bars() -> None:
    x = np.array([11.0, 15.0], np.float32)
    for method in ("auto", "richardson", "central", "forward"):
        d = jac.finite_difference(lambda x: np.exp(-x * x), x, method=method)
        truth = -2 * x.astype(float) * np.exp(-(x.astype(float) ** 2))
        assert np.all(np.abs(d.values - np.diag(truth)) <= d.errors)


def test_oscillations_the_large_steps_miss_are_seen() -> None:
    """Whole periods between the points: every large step says zero."""
    d = jac.finite_difference(lambda x: np.sin(2048 * np.pi * x), np.array([1.0]), method="richardson")
    assert abs(d.values[0, 0] - 2048 * np.pi) <= d.errors[0, 0] < 1e-3
    assert d.steps[0, 0] < 1e-3


@pytest.mark.parametrize("x", [1e-10, 0.1, 1.0])
def test_close_to_the_end_of_the_domain(x: float) -> None:
    for f, truth in ((np.log, 1 / x), (np.sqrt, 0.5 / math.sqrt(x))):
        d = jac.finite_difference(f, np.array([x]), method="richardson")
        assert abs(d.values[0, 0] - truth) <= d.errors[0, 0] <= 1e-9 * truth
    d = jac.finite_difference(lambda x: np.log(x - 1), np.array([1 + 1e-6]))
    assert abs(d.values[0, 0] * (np.float64(1 + 1e-6) - 1) - 1) <= 1e-8


def test_at_the_end_of_the_domain_one_side_is_taken() -> None:
    d = jac.finite_difference(lambda x: x * np.sqrt(x), np.array([0.0]))
    assert d.one_sided[0, 0] and abs(d.values[0, 0]) <= d.errors[0, 0]
    d = jac.finite_difference(lambda x: np.sqrt(1 - x) + x, np.array([1.0]))
    assert d.useless[0, 0]  # its derivative is infinite
    assert "useless    ∂y[0]/∂x[0]: error bar" in str(d)


def test_float32_functions_stay_float32() -> None:
    x = np.array([0.3, 1.5], np.float32)
    for method in ("auto", "richardson"):
        d = jac.finite_difference(np.tanh, x, method=method)
        assert d.values.dtype == np.float32
        assert np.all(np.abs(d.values - np.diag(1 / np.cosh(x.astype(float)) ** 2)) <= d.errors)
        assert np.all(d.errors <= 1e-4)
        assert "of float32 input error bars are wide" in d.reason


def test_a_float64_function_of_float32_computation_inside() -> None:
    d = jac.finite_difference(
        lambda x: np.sin(x.astype(np.float32)).astype(float), np.array([0.7]), method="richardson"
    )
    assert abs(d.values[0, 0] - np.cos(0.7)) <= d.errors[0, 0] < 1e-4
    assert "noisy" in d.reason


# -- noise -----------------------------------------------------------------------------------------------------------


def noisy(x: Any) -> Any:
    seeds = np.abs(x).view(np.uint64)
    return np.sin(x) + 1e-6 * np.array([np.random.default_rng(int(seed)).normal() for seed in seeds])


def test_noise_is_found_and_reported() -> None:
    x = np.linspace(0.4, 2.0, 7)
    d = jac.finite_difference(noisy, x)
    assert np.all((d.noise > 2e-7) & (d.noise < 4e-6))
    assert np.all(np.abs(np.diag(d.values) - np.cos(x)) <= np.diag(d.errors))
    assert np.all(np.diag(d.errors) < 1e-3)
    assert "the function is noisy, up to " in d.reason
    assert "\n  noise      " in str(d)


@pytest.mark.parametrize("digits", [4, 6, 9])
def test_rounded_results(digits: int) -> None:
    x = np.linspace(0.4, 2.0, 7)
    d = jac.finite_difference(lambda x: np.round(np.sin(x), digits), x, method="richardson")
    assert np.all(d.noise < 10.0**-digits)
    assert np.all(d.noise > 0.1 * 10.0**-digits)
    assert np.all(np.abs(np.diag(d.values) - np.cos(x)) <= np.diag(d.errors))


def test_flat_parts_are_no_noise() -> None:
    """Below a threshold nothing changes, and the derivative there is zero."""
    d = jac.finite_difference(lambda x: np.maximum(np.abs(x) - 1e-3, 0) * np.sign(x), np.array([1e-5, 0.5]))
    assert d.values[0, 0] == 0 and d.errors[0, 0] < 1e-12
    assert np.all(d.noise < 1e-15)


def test_a_function_that_scatters_a_little_is_reported_as_noisy() -> None:
    rng = np.random.default_rng(0)
    d = jac.finite_difference(lambda x: np.sin(x) + 1e-7 * rng.normal(size=x.shape), np.array([0.5, 1.0]))
    assert np.all(d.noise > 1e-8)
    assert np.all(np.abs(np.diag(d.values) - np.cos([0.5, 1.0])) <= np.diag(d.errors))


def test_a_function_that_scatters_far_is_refused() -> None:
    values = iter([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    told = text_of(jac.errors.NoiseError, lambda: jac.finite_difference(lambda x: x * next(values), np.array([1.0])))
    assert told == (
        "finite_difference: the function gives another value each time it is called at the same point\n"
        "  entry: y[0]\n"
        "  got:   1, 2, 3, …\n"
        "  fix:   make it deterministic: seed its random numbers inside it, and let it change nothing"
    )


def test_the_same_call_gives_the_same_bits() -> None:
    x = np.random.default_rng(3).normal(size=(2, 3))
    once, again = (jac.finite_difference(lambda x: np.exp(x) @ x.T, x) for _ in range(2))
    np.testing.assert_array_equal(once.values, again.values)
    np.testing.assert_array_equal(once.errors, again.errors)


# -- kinks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "left", "right"),
    [
        (np.abs, 0.0, -1, 1),
        (lambda x: np.maximum(x, 0), 0.0, 0, 1),
        (lambda x: np.abs(x - 0.5) + np.sin(x), 0.5, math.cos(0.5) - 1, math.cos(0.5) + 1),
        (lambda x: np.abs(x) * 1e-6 + 1, 0.0, -1e-6, 1e-6),
        (lambda x: np.where(x > 2, 3 * x, x + 4), 2.0, 1, 3),
    ],
)
def test_kinks_are_found_with_both_sides(f: Function, x: float, left: float, right: float) -> None:
    for method in ("auto", "richardson", "central"):
        d = jac.finite_difference(f, np.array([x]), method=method)
        assert d.kinks[0, 0]
        np.testing.assert_allclose([d.left[0, 0], d.right[0, 0]], [left, right], rtol=1e-3, atol=1e-12)
        assert abs(d.values[0, 0] - (left + right) / 2) < 1e-3 * (right - left)
        assert d.errors[0, 0] >= 0.49 * (right - left)


def test_ties_of_max_are_kinks() -> None:
    d = jac.finite_difference(np.max, np.array([1.0, 2.0, 2.0]))
    assert d.kinks.tolist() == [False, True, True]
    assert "kinks      ∂y/∂a[1]: 0 from the left, 1 from the right; ∂y/∂a[2]: 0 from the left" in str(d)


@pytest.mark.parametrize("f", [np.sin, np.exp, lambda x: x * x * x, lambda x: np.sin(1e3 * x), lambda x: x * np.abs(x)])
def test_smooth_functions_have_none(f: Function) -> None:
    x = np.concatenate([np.zeros(1), np.random.default_rng(5).normal(size=20)])
    assert not jac.finite_difference(f, x).kinks.any()


def test_a_kink_nearby_is_none_here() -> None:
    d = jac.finite_difference(np.abs, np.array([1e-9, -1e-3, 0.7]), method="richardson")
    assert not d.kinks.any()
    np.testing.assert_allclose(np.diag(d.values), [1, -1, 1])
    d = jac.finite_difference(lambda x: np.abs(x - 1), np.array([1 + 1e-5]), method="richardson")
    assert not d.kinks.any() and abs(d.values[0, 0] - 1) <= d.errors[0, 0] < 1e-6


def test_the_last_digits_alone() -> None:
    """Between its jumps this function is smooth, and small steps would tell the slope of such a piece."""
    for x in (1e-7, 1e-6, 1e-5, 1e-4, 1e-3):
        d = jac.finite_difference(lambda x: (1 - np.cos(x)) / x**2, x)
        assert d.useless and abs(d.values + x / 12) <= d.errors


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.sign, 0.0),
        (np.floor, 2.0),
        (lambda x: np.where(x > 1, x + 1, x), 1.0),
        (lambda x: np.where(x == 1, 5.0, x), 1.0),
        (lambda x: np.sqrt(-2 + 1j * x), 0.0),
    ],
)
def test_jumps_at_the_point_are_named_and_have_no_derivative(f: Function, x: float) -> None:
    d = jac.finite_difference(f, x)
    assert d.jumps and d.useless and np.isnan(d.values) and np.isinf(d.errors)
    assert "\n  jumps      ∂y/∂x: the function jumps at the point" in str(d)
    assert not jac.finite_difference(f, x + 0.25).jumps


def test_what_is_very_steep_is_no_jump() -> None:
    for slope in (1e6, 1e9, 1e12):
        d = jac.finite_difference(lambda x, k=slope: np.tanh(k * x), 0.0, method="richardson")
        assert not d.jumps and abs(d.values - slope) <= d.errors


# -- complex inputs ---------------------------------------------------------------------------------------------------


def test_complex_inputs_are_moved_along_1_and_along_i() -> None:
    z = np.array([0.3 + 0.2j, -1 + 2j, 3])
    d = jac.finite_difference(lambda z: np.exp(z) @ np.diag(z), z)
    assert (d.method, d.values.dtype) == ("richardson", complex)
    assert d.reason == "asked for; the input is complex"
    assert np.all(np.abs(d.values - np.diag(np.exp(z) * (1 + z))) <= d.errors) and d.errors.max() < 1e-9
    assert abs(jac.finite_difference(np.sin, 1 + 2j).values - np.cos(1 + 2j)) < 1e-10
    single = jac.finite_difference(np.sin, z.astype(np.complex64))
    assert single.values.dtype == np.complex64
    assert np.all(np.abs(single.values - np.diag(np.cos(z))) <= single.errors)


def test_where_there_is_no_complex_derivative_the_bars_say_so() -> None:
    d = jac.finite_difference(np.conj, np.array([1 + 1j, 2.0]))
    np.testing.assert_allclose(np.diag(d.errors), 2.0)
    assert d.useless.tolist() == [[True, False], [False, True]]
    assert d.reason.endswith("along 1 and along i 2 of 4 entries differ: they have no complex derivative")


# -- the complex step -------------------------------------------------------------------------------------------------


def test_auto_takes_the_complex_step_where_it_is_confirmed_and_says_why() -> None:
    d = jac.finite_difference(lambda x: np.exp(x) * x, np.array([0.5]))
    assert (d.method, d.reason) == (
        "complex", "the function takes complex numbers, and extrapolated differences confirm the complex step",
    )  # fmt: skip


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.abs(x) * x,
        lambda x: np.conj(x) * x,
        lambda x: x * x.real,
        lambda x: np.where(x.real > 0, x, x.real) * x,
        lambda x: np.abs(x) ** 2 + 0 * x,
    ],
)
def test_functions_that_are_not_analytic_are_found_out(f: Function) -> None:
    x = np.array([-0.5, -1.5])
    truth = np.diag(jac.finite_difference(f, x, method="richardson").values)
    d = jac.finite_difference(f, x)
    assert d.method == "richardson"
    assert "the function is not analytic" in d.reason or "its result stays real" in d.reason
    np.testing.assert_array_equal(np.diag(d.values), truth)


def test_a_complex_step_that_is_wrong_is_refused() -> None:
    told = text_of(
        jac.errors.ArgumentError,
        lambda: jac.finite_difference(lambda z: np.conj(z) * z, np.array([2.0]), method="complex"),
    )
    assert told == (
        "finite_difference: the complex step is wrong here, the function is not analytic\n"
        "  entry: ∂y[0]/∂z[0]\n"
        "  got:   0 by complex step, 4 by differences\n"
        "  why:   abs, conj, real parts or comparisons of complex numbers, or branches\n"
        '  fix:   method="auto", or method="richardson"'
    )
    told = text_of(jac.errors.ArgumentError, lambda: jac.finite_difference(np.floor, np.array([2.5]), method="complex"))
    assert told.startswith(
        "finite_difference: the complex step needs a function that takes complex numbers\n  got:   Ty"
    )


# -- any callable, any nesting ---------------------------------------------------------------------------------------


def test_what_cannot_be_traced() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        out = np.empty(3)
        for k, value in enumerate(x.tolist()):
            total += math.sin(value)
            out[k] = total
        return out

    x = np.array([0.1, 0.2, 0.3])
    d = jac.finite_difference(f, x)
    assert np.all(np.abs(d.values - np.tril(np.ones((3, 3))) * np.cos(x)) <= d.errors)
    assert float(jac.finite_difference(math.sin, 0.5).values) == pytest.approx(math.cos(0.5))


def test_inputs_changed_in_place_do_no_harm() -> None:
    def f(x: Any) -> Any:
        x *= 2
        return x

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(jac.finite_difference(f, x).values, 2 * np.eye(2), rtol=1e-12)
    assert x.tolist() == [1.0, 2.0]


def test_nested_like_the_jacobian() -> None:
    def f(params: Any, x: Any) -> dict[str, Any]:
        return {"sum": params["a"][0] + params["b"] * x, "parts": [params["a"][1] * x, np.sum(x)]}

    params, x = {"a": (np.full(2, 3.0), np.full(2, 2.0)), "b": 0.5}, np.full(2, 5.0)
    ours = jac.jacobian(f, argnums=(0, 1))(params, x)
    d = jac.finite_difference(f, params, x, argnums=(0, 1))
    for pick in (
        lambda t: t["sum"][0]["b"], lambda t: t["sum"][0]["a"][0], lambda t: t["parts"][0][0]["a"][1],
        lambda t: t["parts"][0][1], lambda t: t["parts"][1][1], lambda t: t["parts"][1][0]["b"],
    ):  # fmt: skip
        assert pick(d).values.shape == pick(ours).shape
        np.testing.assert_allclose(pick(d).values, np.asarray(pick(ours)), atol=1e-10)
    assert d["parts"][0][0]["a"][1].names == ("y['parts'][0]", "params['a'][1]")
    assert isinstance(jac.finite_difference(f, params, x, argnums=1)["sum"], jac.Differences)
    assert isinstance(jac.finite_difference(f, params, x, argnums=(1,))["sum"], tuple)
    listed = jac.finite_difference(lambda x: x * 2, [1.0, 2.0])
    assert listed.values.shape == (2, 2)


def test_several_argnums_twice_and_negative() -> None:
    found = jac.finite_difference(lambda a, b: a * b, np.array([2.0]), np.array([3.0]), argnums=(0, -1, 0))
    np.testing.assert_allclose([one.values[0, 0] for one in found], [3.0, 2.0, 3.0])


def test_complex_values_between_or_at_the_end() -> None:
    d = jac.finite_difference(lambda x: np.exp(1j * x), np.array([0.3]))
    assert d.values.dtype == complex and d.method == "richardson"
    assert abs(d.values[0, 0] - 1j * np.exp(0.3j)) <= d.errors[0, 0]


def test_empty_and_scalar() -> None:
    assert jac.finite_difference(lambda x: x * 2, np.zeros(0)).values.shape == (0, 0)
    assert jac.finite_difference(lambda x: np.zeros((2, 0)) * x, 2.0).values.shape == (2, 0)
    d = jac.finite_difference(lambda x: x**2, 3)
    assert d.values.shape == () and float(d.values) == pytest.approx(6)


def test_where_it_raises_away_from_the_point() -> None:
    def f(x: Any) -> Any:
        if x[0] < 1:
            raise ValueError("outside")
        return x * x

    d = jac.finite_difference(f, np.array([1.0, 2.0]))
    assert d.one_sided[0, 0] and abs(d.values[0, 0] - 2) <= d.errors[0, 0] < 1e-6
    assert "  raised     ValueError: outside (away from the point)" in str(d)


# -- errors ----------------------------------------------------------------------------------------------------------

ERRORS: list[tuple[type[Exception], Callable[[], Any], str]] = [
    (
        jac.errors.NonFiniteError,
        lambda: jac.finite_difference(np.sin, np.array([[0.0, np.nan]])),
        (
            "finite_difference: x holds 1 value that is not finite\n"
            "  first: x[0, 1] = nan\n"
            "  why:   a difference there would mean nothing"
        ),
    ),
    (
        jac.errors.NonFiniteError,
        lambda: jac.finite_difference(lambda x: {"a": np.log(x)}, np.array([0.0, 0.0, 1.0])),
        (
            "finite_difference: the function's value['a'] at this point holds 2 values that are not finite\n"
            "  first: value['a'][0] = -inf\n"
            "  why:   a difference there would mean nothing"
        ),
    ),
    (
        jac.errors.ShapeError,
        lambda: jac.finite_difference(lambda x: x[x > 0.5], np.array([0.5, 1.0])),
        (
            "finite_difference: the shape of the function's result depends on the values of its arguments\n"
            "  got:   (1,) at the point, (2,) near it\n"
            "  fix:   differentiate a function whose result keeps its shape"
        ),
    ),
    (
        jac.errors.DTypeError,
        lambda: jac.finite_difference(lambda x: "text", np.array([0.5])),
        (
            "finite_difference: the function returned str, not an array of numbers\n"
            "  fix:   return an array, or a tuple, list or dict of arrays"
        ),
    ),
    (
        jac.errors.DTypeError,
        lambda: jac.finite_difference(lambda x: {"a": x, "b": None}, np.array([0.5])),
        (
            "finite_difference: the function returned NoneType, not an array of numbers\n"
            "  at:    output['b']\n"
            "  fix:   return an array, or a tuple, list or dict of arrays"
        ),
    ),
    (
        jac.errors.DTypeError,
        lambda: jac.finite_difference(lambda x: (), np.array([0.5])),
        "finite_difference: the function returned no array at all",
    ),
    (
        jac.errors.DTypeError,
        lambda: jac.finite_difference(lambda x: x, np.array([True])),
        (
            "cannot differentiate with respect to x: it holds booleans\n"
            "  got:   x bool[1]\n"
            "  fix:   give floating-point numbers, for example x.astype(float)"
        ),
    ),
    (
        jac.errors.ArgumentError,
        lambda: jac.finite_difference(np.sin, np.array([0.5]), argnums=1),
        "argnums=1, but the function was called with 1 positional arguments",
    ),
    (
        jac.errors.ArgumentError,
        lambda: jac.finite_difference(np.sin, np.array([0.5]), argnums="x"),
        "argnums must be a whole number or a tuple of them, not 'x'",
    ),
    (
        jac.errors.ArgumentError,
        lambda: jac.finite_difference(np.sin, np.array([0.5]), method="sideways"),
        "finite_difference: method must be one of auto, forward, central, richardson, complex, not 'sideways'",
    ),
    (
        jac.errors.ArgumentError,
        lambda: jac.finite_difference(np.sin, np.array([0.5j]), method="complex"),
        (
            "finite_difference: the complex step needs a real input\n"
            "  got:   x of complex128\n"
            '  fix:   method="auto", or method="richardson"'
        ),
    ),
    (
        jac.errors.ArgumentError,
        lambda: jac.finite_difference(3, np.array([0.5])),
        "finite_difference: the first argument must be a function, not int",
    ),
]


@pytest.mark.parametrize(("kind", "call", "text"), ERRORS, ids=[text.splitlines()[0][:60] for _, _, text in ERRORS])
def test_errors(kind: type[Exception], call: Callable[[], Any], text: str) -> None:
    assert text_of(kind, call) == text


def test_too_many_entries_are_refused_with_the_bill() -> None:
    with jac.memory_limit(1e6):
        told = text_of(jac.errors.MemoryLimitError, lambda: jac.finite_difference(lambda x: x, np.zeros(1000)))
    assert told.startswith("materialising these differences with their error bars needs 40.0 MB, the limit is 1.0 MB\n")


def test_an_error_of_the_function_at_the_point_is_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        jac.finite_difference(lambda x: 1 // 0, np.zeros(1))


# -- progress and pictures -------------------------------------------------------------------------------------------


def test_progress_counts_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Bar:
        def __init__(self, **options: Any) -> None:
            seen.append(options["total"])

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: int) -> None:
            seen.append(count)

    module = ModuleType("tqdm.auto")
    module.tqdm = Bar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", module)
    jac.finite_difference(np.sin, np.zeros(5), progress=True)
    assert seen[0] == 5 and sum(seen[1:]) == 5
    seen.clear()
    jac.finite_difference(np.sin, np.zeros(5))
    assert not seen


def test_without_tqdm_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert jac.finite_difference(np.sin, np.zeros(2), progress=True).values.shape == (2, 2)


def test_the_v_curve() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    d = jac.finite_difference(np.sin, np.array([0.5, 1.0]))
    forward, central, bar = d.plot((1, 1), ax=ax)
    assert forward.axes is ax and bar.axes is ax
    assert ax.get_xlabel() == "step" and ax.get_ylabel() == "error of ∂y[1]/∂x[1]"
    assert (forward.get_label(), central.get_label()) == ("forward", "central")
    for line in (forward, central):  # falls with the step, then rises again
        _, errors = line.get_data()
        least = int(np.argmin(errors))
        assert 5 < least < len(errors) - 5
        assert errors[0] > 1e3 * errors[least] and errors[-1] > 1e3 * errors[least]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    plt.sca(ax)
    assert d.plot(color="red")[0].get_color() == "red"
    plt.close(figure)


def test_plot_says_what_there_is() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    d = jac.finite_difference(np.sin, np.zeros(2))
    told = text_of(jac.errors.IndexingError, lambda: d.plot((0, 2)))
    assert told == ("plot: there is no entry [0, 2]\n  got:   shape (2, 2)\n  fix:   both index vectors in one tuple")
    told = text_of(jac.errors.IndexingError, jac.finite_difference(np.sin, np.zeros(0)).plot)
    assert told == "plot: there are no entries\n  got:   shape (0, 0)"


def test_an_infinite_error_bar_is_told_beside_the_finite_ones() -> None:
    told = str(jac.finite_difference(np.sign, np.array([0.0, 1.0])))
    assert " at most; infinite in 1 of 4 entries\n" in told
    assert "infinite" not in str(jac.finite_difference(np.sin, np.array([0.0, 1.0])))
