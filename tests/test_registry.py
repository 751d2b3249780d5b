"""One declaration per op: what follows from it, and that nobody has to edit a list."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.ops import texts
from jacobian.ops.registry import REGISTRY, Op, Registry
from tests.differences import central
from tests.ops import test_rules

ROOT = Path(__file__).parent.parent


def test_every_op_has_samples_a_name_and_documentation() -> None:
    for op in filter(lambda op: op.built_in, REGISTRY):  # an example of a docstring may have left one of its own
        assert op.samples or op.family == "composite", op
        assert op.__doc__ and op.name in op.__doc__, op
        assert getattr(jac.ops, op.name) is not None
    assert len(REGISTRY) > 120


def test_no_function_has_two_ops() -> None:
    seen: dict[Any, str] = {}
    for op in REGISTRY:
        for function in op.answers:
            assert seen.setdefault(function, op.name) == op.name


@pytest.fixture
def own_op() -> Any:
    """The op that CONTRIBUTING declares, taken from its text."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    namespace: dict[str, Any] = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), namespace)
    return namespace["hyperbola"]


def test_a_new_op_in_one_declaration_gets_its_tests_documentation_and_formula(own_op: Any) -> None:
    assert own_op in list(REGISTRY)
    assert jac.ops.hyperbola is own_op
    cases = [(own_op, sample) for sample in own_op.samples]
    assert len(cases) >= 3
    for op, sample in cases:  # the generated tests, on the new op
        test_rules.test_first_order(op, sample)
        test_rules.test_second_order(op, sample)
        test_rules.test_op_called_directly(op, sample)
    assert own_op.jacobian(np.ones(2)).formula == "∂y[i]/∂x[i] = x[i] / y[i]"
    assert "x / y" in own_op.__doc__
    J = jac.jacobian(lambda x: own_op(2 * x).sum())(np.array([1.0, -2.0]))
    np.testing.assert_allclose(np.asarray(J), 2 * np.array([2.0, -4.0]) / np.sqrt([5.0, 17.0]))


def test_generated_tests_find_what_the_registry_holds() -> None:
    """The list of cases is made from the registry, so an op that is added is tested without editing anything."""
    named = {case.values[0].name for case in test_rules.CASES}
    assert named >= {op.name for op in REGISTRY if op.samples and op.name in REGISTRY._built_in}


def test_primitive_with_a_rule_per_operand() -> None:
    scaled = jac.primitive(
        lambda A, x: A @ x / np.sum(x),
        lambda y, A, x: jac.Jacobian.einsum("j->i|ij", x / np.sum(x), i=np.shape(A)[0]),
        lambda y, A, x: (A - y[:, None]) / np.sum(x),
        name="scaled",
        operands=("A", "x"),
    )
    A, x = np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0, 4.0])
    J = jac.jacobian(lambda A, x: np.sin(scaled(A, x)), argnums=(0, 1))(A, x)
    np.testing.assert_allclose(np.asarray(J[0]), central(lambda A: np.sin(A @ x / np.sum(x)), A), atol=1e-9)
    np.testing.assert_allclose(np.asarray(J[1]), central(lambda x: np.sin(A @ x / np.sum(x)), x), atol=1e-9)
    H = jac.hessian(lambda x: np.sum(scaled(A, x)))(x)
    np.testing.assert_allclose(
        np.asarray(H), central(lambda v: np.asarray(jac.jacobian(lambda x: np.sum(scaled(A, x)))(v)), x), atol=1e-7
    )
    assert isinstance(scaled(A, x), np.ndarray)


def test_texts_know_the_operands_by_their_names() -> None:
    cubed = jac.primitive(lambda t: t**3, "3*t**2", name="cubed_by_name")
    J = cubed.jacobian(np.array([2.0]))
    assert J.formula == "∂y[i]/∂t[i] = 3*t[i]**2" and J.item() == 12
    assert cubed.derivative == "∂y/∂t = 3*t**2"
    decay = jac.primitive(lambda t, rate: np.exp(-rate * t), "-rate * y", "-x1 * y", name="decay")
    other = jac.primitive(lambda a, b: np.exp(-b * a), "-rate * y", "-t * y", name="decay2", operands=("t", "rate"))
    t, rate = np.array([0.5, 1.0]), 2.0
    for op in (decay, other):
        for k in (0, 1):
            J = jac.jacobian(op, argnums=k)(t, rate)
            expected = np.diag(-rate * np.exp(-rate * t)) if k == 0 else -t * np.exp(-rate * t)
            np.testing.assert_allclose(np.asarray(J), expected)
            assert jac.check(op, t, rate, argnums=k)


def test_registry_is_a_collection() -> None:
    registry = Registry()
    assert len(registry) == 0 and "sin" not in registry
    registry.add(REGISTRY["sin"])
    assert "sin" in registry and [op.name for op in registry] == ["sin"]
    assert registry.find(np.sin) is REGISTRY["sin"] and registry.find(np.busday_count) is None
    with pytest.raises(AttributeError, match="there is no op 'nonsense'"):
        _ = jac.ops.nonsense


def test_an_own_op_does_not_take_the_name_of_a_built_in_one() -> None:
    mine = jac.primitive(np.sin, "cos(x)")
    assert jac.ops.sin is not mine and mine.name == "sin"
    assert jac.jacobian(lambda x: mine(x))(np.zeros(2)).structure == "diagonal"


def test_ops_keep_python_numbers_weak() -> None:
    assert jac.ops.multiply(np.ones(2, np.float32), 2.0).dtype == np.float32


@pytest.mark.parametrize("op", [op for op in REGISTRY if op.family == "elementwise"], ids=lambda op: op.name)
def test_derivatives_written_as_text_can_be_read(op: Op) -> None:
    """What `elementwise` refuses of a user's op; ours are not looked at when the package is imported."""
    found = [part.partition(" = ")[2] for part in re.split(r", (?=∂)", op.derivative)]
    assert found
    for text in found:
        texts.check(op.name, text, None)
