"""`jac.check`: right ones agree, wrong ones are found, and the report says where and whose fault it likely is."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.checking import check as room
from jacobian.ops import REGISTRY, Op, Sample
from tests.ops.test_rules import flat_inputs, one_array, through_numpy, with_input

Function = Callable[..., Any]


def shown(report: jac.Report) -> str:
    """The report with error bars and differences left out: they depend on the machine."""
    text = re.sub(r"± \S+", "± …", str(report))
    return re.sub(r"(off by|difference|more than|error bar) [\d.e+-]+", r"\1 …", text)


def wrong_cube() -> Any:
    return jac.primitive(lambda x: x**3, "2 * x**2", name="cube")


# -- right -----------------------------------------------------------------------------------------------------------


def test_a_right_jacobian() -> None:
    W, x = np.arange(6.0).reshape(2, 3) / 6, np.array([0.1, 0.2, 0.3])
    report = jac.check(lambda W, x: np.tanh(W @ x), W, x, argnums=(0, 1))
    assert report
    report.raise_if_wrong()
    assert (report.entries, report.agreeing, report.differing, report.undecided) == (18, 18, 0, 0)
    assert shown(report).splitlines()[0] == "right: all 18 entries agree with finite differences (complex)"
    assert repr(report) == "<Report right: all 18 entries agree with finite differences (complex)>"


@pytest.mark.parametrize("method", ["auto", "richardson", "central", "forward", "complex"])
def test_by_every_method(method: str) -> None:
    assert jac.check(lambda x: np.exp(x) * x, np.array([0.3, 1.0]), method=method)
    assert not jac.check(lambda x: np.sum(wrong_cube()(x)), np.array([0.3, 1.0]), method=method)


def test_nested_arguments_results_and_keywords() -> None:
    def f(params: Any, x: Any, *, k: float) -> dict[str, Any]:
        return {"sum": params["a"] + k * x, "parts": [params["b"] * x, np.sum(x)]}

    report = jac.check(f, {"a": np.ones(2), "b": 0.5}, np.full(2, 5.0), argnums=(0, 1), k=3.0)
    assert report and len(report.parts) == 9
    assert report.entries == 4 + 2 + 4 + 4 + 2 + 4 + 2 + 1 + 2


def test_floats_of_single_precision_integers_and_scalars() -> None:
    assert jac.check(np.tanh, np.array([0.3, 2.0], np.float32))
    assert jac.check(lambda x: x * x, np.array([1, 2]))
    assert jac.check(lambda x: x * x, 3.0)
    assert str(jac.check(lambda x: x, 2.0)).startswith("right: its entry agrees with finite differences (complex)\n")
    assert jac.check(lambda x: x * 2, np.zeros(0))
    assert str(jac.check(lambda x: x * 2, np.zeros(0))) == "right: there are no entries to compare"


def test_derivatives_of_derivatives() -> None:
    assert jac.check(jac.jacobian(lambda x: np.sum(np.sin(x) ** 3)), np.array([0.3, 1.0]))


def test_of_badly_scaled_and_ill_conditioned_functions() -> None:
    scales = 10.0 ** np.linspace(-8, 8, 5)
    assert jac.check(lambda x: np.sin(x / scales), scales * np.linspace(0.3, 1.2, 5))
    A = np.vander(np.linspace(0.5, 1, 5))
    assert jac.check(np.linalg.inv, A)
    assert jac.check(lambda A: np.linalg.solve(A, np.ones(5)), A)


def test_saturated_entries_agree() -> None:
    """What is nothing but rounding beside the output is decided: it is that small."""
    W = np.random.default_rng(0).normal(size=(20, 200))
    report = jac.check(lambda x: np.tanh(W @ x), np.random.default_rng(1).normal(size=200))
    assert report and report.undecided == 0


def every_first_sample() -> list[Any]:
    return [pytest.param(op, sample, id=op.name) for op in REGISTRY for sample in op.samples[:1]]


@pytest.mark.parametrize(("op", "sample"), every_first_sample())
def test_every_op(op: Op, sample: Sample) -> None:
    """No false alarm in the whole registry, and nothing that could not be decided, by itself and node by node."""
    args, kwargs = sample.draw(6)
    for k, x in enumerate(flat_inputs(args, kwargs)):

        def f(value: Any, k: int = k) -> Any:
            return one_array(through_numpy(op, with_input(args, k, value), kwargs))

        report = jac.check(f, x, nodes=True)
        assert report, str(report)
        assert report.undecided == 0, str(report)
        assert report.nodes is not None and report.nodes.skipped == 0


# -- wrong -----------------------------------------------------------------------------------------------------------


def test_a_wrong_jacobian_is_reported() -> None:
    report = jac.check(lambda x: wrong_cube()(x), np.array([1.0, 2.0]))
    assert not report
    assert shown(report) == (
        "WRONG: 2 of 4 entries differ from finite differences (complex)\n"
        "  ∂y[1]/∂x[1]  ours 8  differences 12 ± …  off by …\n"
        "  ∂y[0]/∂x[0]  ours 2  differences 3 ± …  off by …\n"
        "  likely    our Jacobian: it is off by more than … error bars"
    )
    with pytest.raises(AssertionError) as caught:
        report.raise_if_wrong()
    assert isinstance(caught.value, jac.errors.DisagreementError)
    assert str(caught.value) == str(report)


def test_one_wrong_entry_among_many_large_ones_is_found() -> None:
    """A norm over the array would not see it."""
    wrong = np.diag(np.full(50, 1e8))
    wrong[3, 4] = 1e-3
    skewed = jac.primitive(lambda x: 1e8 * x, lambda y, x: wrong, name="skewed")
    report = jac.check(lambda x: skewed(x), np.linspace(1e-9, 2e-9, 50))
    assert report.differing == 1
    assert shown(report).splitlines()[1] == "  ∂y[3]/∂x[4]  ours 0.001  differences 0 ± …  off by …"


@pytest.mark.parametrize("off", [1e-6, 1e-3, 1.0])
def test_small_errors_are_seen(off: float) -> None:
    slightly = jac.primitive(np.sin, lambda y, x: np.diag(np.cos(x) * (1 + off)), name="slightly")
    assert not jac.check(lambda x: slightly(x), np.array([0.3, 1.0]))
    assert jac.check(lambda x: slightly(x), np.array([0.3, 1.0]), rtol=2 * off)
    assert jac.check(lambda x: slightly(x), np.array([0.3, 1.0]), atol=2 * off)


def test_a_report_fits_on_a_screen() -> None:
    bad = jac.primitive(lambda x: np.abs(x) ** 3, "x**2", name="bad")
    x = np.linspace(0.1, 2, 40).reshape(5, 8)
    x[:, :4] = 0

    def f(x: Any) -> Any:
        return {"a": bad(x), "b": np.abs(np.floor(x)), "c": np.maximum(x, x[0]), "d": np.abs(x), "e": np.sqrt(x)}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jac.errors.NonFiniteWarning)
        report = jac.check(f, x, nodes=True)
    assert not report and report.undecided
    for told in ("WRONG: ", "\n  likely    ", "\n  kinks     ", "\n  undecided ", "\n  nodes     "):
        assert told in str(report)
    assert len(re.findall(r"and \d+ more", str(report))) == 4
    lines = str(report).splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 120


def test_transposed_and_missing_factors_are_found() -> None:
    A = np.arange(6.0).reshape(2, 3)
    transposed = jac.primitive(lambda x: A[:, :2] @ x, lambda y, x: A[:, :2].T, name="transposed")
    report = jac.check(lambda x: transposed(x), np.ones(2))
    assert report.differing == 2 and not report


# -- nodes -----------------------------------------------------------------------------------------------------------


def test_the_first_wrong_node_is_named_inside_a_large_function() -> None:
    cube = wrong_cube()
    worse = jac.primitive(np.cos, "sin(x)", name="worse")

    def f(x: Any, W: Any) -> Any:
        for _ in range(5):
            x = np.tanh(W @ x)
        x = cube(x) + x
        for _ in range(5):
            x = np.tanh(W @ x)
        return np.sum(worse(x))

    report = jac.check(f, np.array([0.2, 0.5]), np.array([[0.9, 0.3], [-0.2, 1.1]]), nodes=True)
    assert report.nodes is not None and not report.nodes
    assert "the first wrong one is v11 = cube(v10) float64[2], by v10:" in str(report)
    assert report.nodes.checked == 11


def test_a_wrong_node_that_does_not_matter_makes_the_report_false() -> None:
    cube = wrong_cube()
    report = jac.check(lambda x: np.sin(x) + 0 * cube(x), np.array([1.0]), nodes=True)
    assert not report and report.differing == 0
    assert str(report).startswith("WRONG: a node is, though 1 of 1 entries agree with finite differences (complex)\n")


def test_right_nodes() -> None:
    report = jac.check(
        lambda A, b: np.linalg.solve(A, np.sin(b)) * b, 2 * np.eye(2) + 1, np.ones(2), argnums=(0, 1), nodes=True
    )
    assert report and report.nodes is not None and report.nodes.checked == 3
    assert str(report).endswith("\n  nodes     3 checked, every local Jacobian agrees")


def test_nodes_of_complex_numbers() -> None:
    assert jac.check(lambda x: np.abs(np.fft.fft(np.exp(1j * x))), np.array([0.1, 0.5, 0.7]), nodes=True)
    conjugate = jac.primitive(np.square, lambda y, z: np.diag(2 * np.conj(z)), name="conjugate", holomorphic=True)
    report = jac.check(lambda x: np.real(conjugate(np.exp(1j * x))), np.array([0.1, 0.5]), nodes=True)
    assert not report and "conjugate" in str(report)


def test_complex_inputs() -> None:
    z = np.array([0.3 + 0.2j, -1 + 2j, 3])
    assert jac.check(lambda z: {"a": np.exp(z) * z, "b": (z @ z,)}, z, nodes=True)
    bad = jac.primitive(np.sin, lambda y, z: np.diag(np.conj(np.cos(z))), name="bad", holomorphic=True)
    report = jac.check(lambda z: bad(z * z), z, nodes=True)
    assert report.differing == 2  # where z * z is real, the wrong rule is right
    assert "ours 0.601165+0.405987j  differences 0.605975+0.398773j ± " in str(report)
    assert "the first wrong one is v2 = bad(v1) complex128[3], by v1:" in str(report)


# -- kinks, noise, what cannot be decided ------------------------------------------------------------------------------


def test_kinks_are_excluded_and_named() -> None:
    x = np.array([0.0, 1.0, -2.0])
    for f in (lambda x: np.maximum(x, 0), np.abs, lambda x: np.where(x > 0, x, 0.0)):
        report = jac.check(f, x)
        assert report and report.agreeing == 8
        assert "  kinks     ∂y[0]/∂x[0]: ours " in str(report)
    report = jac.check(np.max, np.array([1.0, 2.0, 2.0]))
    assert report
    assert shown(report) == (
        "right: 1 of 3 entries agree with finite differences (complex)\n"
        "  largest difference … at ∂y/∂a[0], error bar …\n"
        "  kinks     ∂y/∂a[1]: ours 1, between 0 from the left and 1 from the right\n"
        "            ∂y/∂a[2]: ours 0, between 0 from the left and 1 from the right\n"
        "            max is not differentiable here; the first of the equal entries is taken"
    )


def test_a_value_outside_both_sides_of_a_kink_is_wrong() -> None:
    beyond = jac.primitive(np.abs, lambda y, x: np.diag(np.where(x == 0, 2.0, np.sign(x))), name="beyond")
    report = jac.check(lambda x: beyond(x), np.array([0.0, 1.0]))
    assert not report and report.differing == 1
    assert "likely    our Jacobian" in str(report)


def test_where_differences_cannot_tell_nothing_is_called_wrong() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jac.errors.NonFiniteWarning)
        report = jac.check(np.sqrt, np.array([0.0, 1.0]))
    assert report and report.undecided == 1
    assert "  undecided ∂y[0]/∂x[0]: ours inf, differences " in str(report)
    assert "an error bar larger than the difference: the differences cannot tell" in str(report)


def test_when_nothing_is_decided_the_report_is_not_true() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jac.errors.NonFiniteWarning)
        report = jac.check(np.sqrt, np.array([0.0]))
    assert not report
    assert str(report).startswith("UNDECIDED: finite differences (richardson) have no usable value in 1 of 1 entries")


def test_noise_widens_the_bars_and_gives_no_false_alarm() -> None:
    noisy = jac.primitive(lambda x: np.round(np.sin(x), 6), lambda y, x: np.diag(np.cos(x)), name="noisy")
    report = jac.check(lambda x: noisy(x), np.linspace(0.4, 1.2, 5))
    assert report and report.differing == 0
    bad = jac.primitive(lambda x: np.round(np.sin(x), 6), lambda y, x: np.diag(np.cos(x) * 1.01), name="bad")
    assert not jac.check(lambda x: bad(x), np.linspace(0.4, 1.2, 5))


def test_a_difference_of_few_error_bars_is_not_called_ours() -> None:
    off = jac.primitive(lambda x: np.round(np.sin(x), 6), lambda y, x: np.diag(np.cos(x) + 3e-4), name="off")
    report = jac.check(lambda x: off(x), np.array([0.5]), method="central")
    if report.differing:
        assert "likely    not clear: some differences are only" in str(report) or "likely    our" in str(report)


def test_where_the_function_raises_nearby_one_side_is_compared() -> None:
    def f(x: Any) -> Any:
        if np.any(x < 1):
            raise ValueError("outside")
        return x * x

    assert jac.check(f, np.array([1.0, 2.0])).agreeing == 4


def test_a_jump_at_the_point_is_undecided() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jac.errors.KinkWarning)
        report = jac.check(lambda x: np.where(x > 1, x + 1, x), np.array([1.0, 3.0]))
    assert report and report.undecided == 1 and report.agreeing == 3
    assert "  undecided ∂y[0]/∂x[0]: ours 1, differences nan ± inf" in str(report)


# -- many entries, warnings, errors ------------------------------------------------------------------------------------


def test_very_large_jacobians_are_sampled_and_the_report_says_so() -> None:
    report = jac.check(lambda x: (x[1:] - x[:-1]) ** 2, np.random.default_rng(0).normal(size=20000))
    assert report
    assert str(report).splitlines()[0].endswith("(complex), 16 of 20000 columns, drawn at random")


def test_other_warnings_are_given_as_ever() -> None:
    def f(x: Any) -> Any:
        warnings.warn("look here", UserWarning, stacklevel=1)
        return x * 2

    with pytest.warns(UserWarning, match="look here"):
        assert jac.check(f, np.ones(1))


def text_of(kind: type[Exception], call: Callable[[], Any]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


ERRORS: list[tuple[type[Exception], Callable[[], Any], str]] = [
    (
        jac.errors.ArgumentError, lambda: jac.check(np.sin, np.ones(1), method="sideways"),
        "check: method must be one of auto, forward, central, richardson, complex, not 'sideways'",
    ),
    (
        jac.errors.ArgumentError, lambda: jac.check(np.sin, np.ones(1), rtol=-1),
        "check: rtol must be a number that is not negative, not -1",
    ),
    (
        jac.errors.ArgumentError, lambda: jac.check(np.sin, np.ones(1), atol="a"),
        "check: atol must be a number that is not negative, not 'a'",
    ),
    (
        jac.errors.ArgumentError, lambda: jac.check(np.sin, np.ones(1), argnums=3),
        "argnums=3, but the function was called with 1 positional arguments",
    ),
    (
        jac.errors.NonFiniteError, lambda: jac.check(np.sin, np.array([np.inf])),
        ("check: x holds 1 value that is not finite\n"
        "  first: x[0] = inf\n"
        "  why:   a difference there would mean nothing"),
    ),
    (
        jac.errors.ArgumentError, lambda: jac.check("sin", np.ones(1)),
        "check: the first argument must be a function, not str",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "call", "text"), ERRORS, ids=[text.splitlines()[0][:60] for _, _, text in ERRORS])
def test_errors(kind: type[Exception], call: Callable[[], Any], text: str) -> None:
    assert text_of(kind, call) == text


def test_what_cannot_be_traced_is_refused_as_ever() -> None:
    assert text_of(jac.errors.TraceError, lambda: jac.check(lambda x: float(x[0]) * x, np.ones(1)))


def test_the_room_is_no_public_name() -> None:
    assert room.check is jac.check
