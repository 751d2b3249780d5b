"""What is taken where an op has no derivative: documented for every op, warned of by name, compared with PyTorch."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian import programs, replay
from jacobian.display import declared
from jacobian.errors import JacobianWarning
from jacobian.ops import REGISTRY, Op, kinks
from jacobian.ops.registry import SAME, Kink
from jacobian.tracing.tree import leaves

DECLARED = [pytest.param(op, kink, id=f"{op.name}-{kink.where}") for op in REGISTRY if op.built_in for kink in op.kinks]
COMPARED = [
    pytest.param(op, kink, call, id=f"{op.name}-{call}")
    for op in REGISTRY if op.built_in for kink in op.kinks for call in kink.torch
]  # fmt: skip


def called_names(op: Op) -> set[str]:
    """What a warning may call an op: by its name, as NumPy does, or as a function that is written in it."""
    answers = {name.rpartition(".")[2] for name in declared.answers(op)}
    users = {one.name for one in REGISTRY if one.family == "composite" and op.name in declared.written_in(one)}
    running = {"running_max": "maximum.accumulate", "running_min": "minimum.accumulate"}.get(op.name)
    inner = declared.kinks_met(op) if op.family == "composite" else ()
    return {op.name, *answers, *users, *inner, *([running] if running else [])}


@pytest.mark.parametrize(("op", "kink"), DECLARED)
def test_at_a_kink_there_is_a_warning_that_names_op_and_entries(op: Op, kink: Kink) -> None:
    args, kwargs = declared.kink_sample(op, kink).draw()
    composite = op.family == "composite"
    operands = args if composite else op.bind(args, kwargs)[0]
    numbers = [
        k for k, x in enumerate(operands)
        if k not in op.constants
        and ((isinstance(x, float) and not composite) or (isinstance(x, np.ndarray) and x.dtype.kind == "f"))
    ]  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in numbers:
            for J in leaves(op.jacobian(*args, argnums=k, **kwargs)):
                J.tensor()
    ours = [str(one.message) for one in caught if one.category.__name__ == kink.warns]
    assert ours
    names = called_names(op)
    for text in ours:
        assert any(name in text.partition(" not ")[0] for name in names), text
        assert " here" in text or " at entr" in text
        assert kink.warns != "KinkWarning" or text.endswith(" is taken")


@pytest.mark.parametrize(("op", "kink"), DECLARED)
def test_what_is_taken_is_documented(op: Op, kink: Kink) -> None:
    assert kink.where and kink.taken and str(kink) in op.__doc__


def test_every_op_that_warns_has_a_documented_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody keeps a list: all ops are run on all their samples, and who asks for a warning is written down."""
    asked: list[str] = []
    for room, name in ((programs, "PROGRAMS"), (replay, "SCRIPTS")):  # programs ask whom they know: none stays behind
        monkeypatch.setattr(room, name, programs.Memory(getattr(room, name)._make, 10_000))
    modules = [module for name, module in sys.modules.items() if name.startswith("jacobian.ops.")]
    for name in ("warn_kink", "warn_ties"):
        for module in modules:
            if module is not kinks and hasattr(module, name):
                monkeypatch.setattr(module, name, lambda name, *_: asked.append(name))
    undocumented: dict[str, set[str]] = {}
    found = 0
    for op in REGISTRY:  # a composite may have the kinks of what it is written in
        if not op.built_in:
            continue
        for one in op.samples:
            asked.clear()
            declared.Example(op, one)
            found += bool(asked)
            if asked and not op.kinks and not (op.family == "composite" and any(declared.kinks_met(op))):
                undocumented.setdefault(op.name, set()).update(asked)
    assert found > 40
    assert not undocumented, "say kinks=[Kink(where, taken, at)] in the declarations of these ops"


@pytest.mark.parametrize(("op", "kink", "call"), COMPARED)
def test_pytorch_takes_what_the_table_says(op: Op, kink: Kink, call: str) -> None:
    torch = pytest.importorskip("torch")
    found = declared.Example(op, declared.kink_sample(op, kink))
    tensors = [torch.tensor(np.asarray(found.operands[name]), dtype=torch.float64) for name in op.operands]

    def function(*values: Any) -> Any:
        return eval(call, {"torch": torch}, dict(zip(op.operands, values, strict=True)))

    theirs = [value for J in torch.autograd.functional.jacobian(function, tuple(tensors)) for value in J.ravel()]
    ours = declared.kink_jacobian(op, kink)
    value = kink.torch[call]
    np.testing.assert_allclose(np.array(theirs), ours if value is SAME else value, atol=1e-12)
    if value is not SAME:
        assert not np.allclose(np.array(value, float), ours, equal_nan=True), "say SAME"


@pytest.mark.parametrize("name", ["median", "cond", "norm", "ptp", "eigh"])
def test_functions_written_in_other_ops_have_their_kinks(name: str) -> None:
    if name in REGISTRY and REGISTRY[name].family == "composite":
        assert list(declared.kinks_met(REGISTRY[name]))


def test_hypot_at_the_origin_is_a_norm() -> None:
    x = np.array([0.0, 3.0])
    with pytest.warns(jac.errors.KinkWarning, match=r"^hypot is not differentiable at entry \[0\]; 0 is taken$"):
        J = jac.jacobian(lambda x: np.hypot(x, np.array([0.0, 4.0])))(x)
    np.testing.assert_allclose(J.tensor(), np.diag([0.0, 0.6]))


def test_ties_of_partition_and_running_extremes_are_named() -> None:
    x = np.array([2.0, 1.0, 2.0, 3.0])
    with pytest.warns(jac.errors.KinkWarning, match=r"^partition is not differentiable here; the order of np.argpart"):
        jac.jacobian(lambda x: np.partition(x, 2))(x).tensor()
    with pytest.warns(jac.errors.KinkWarning, match=r"^maximum.accumulate is not differentiable at entry \[2\]; the"):
        J = jac.jacobian(np.maximum.accumulate)(x)
    np.testing.assert_allclose(J.tensor(), np.eye(4)[[0, 0, 2, 3]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", JacobianWarning)
        jac.jacobian(lambda x: np.partition(x, 3))(x).tensor()  # only what is equal to the kth entry matters


def test_halves_are_kinks_of_round() -> None:
    with pytest.warns(jac.errors.KinkWarning, match=r"^round is not differentiable at entry \[1\]; 0 is taken$"):
        jac.jacobian(lambda x: np.round(x, 1))(np.array([0.1, 0.25])).tensor()


def test_the_largest_norm_warns_by_its_own_name() -> None:
    with pytest.warns(jac.errors.KinkWarning, match=r"^norm of order inf is not differentiable here; the first of"):
        jac.jacobian(lambda x: np.linalg.norm(x, np.inf))(np.array([1.0, -1.0])).tensor()


@pytest.mark.parametrize(
    ("by_positions", "at_once"),
    [
        (lambda x: x[np.argsort(x, kind="stable")], np.sort),
        (lambda x: np.take_along_axis(x, np.argsort(x, kind="stable"), 0), np.sort),
        (lambda x: x[np.argpartition(x, 1)], lambda x: np.partition(x, 1)),
        (lambda x: np.where(x > 1, x, 0), None),
        (lambda x: x * (x > 1), None),
        (lambda x: x[np.argmax(-x)], None),
    ],
)
def test_positions_and_comparisons_are_constants_and_warn_of_nothing(by_positions: Any, at_once: Any) -> None:
    x = np.array([1.0, 1.0, 2.0])
    J = jac.jacobian(by_positions)(x).tensor()  # a warning would be an error
    if at_once is not None:
        with pytest.warns(JacobianWarning, match="not differentiable"):
            other = jac.jacobian(at_once)(x).tensor()
        np.testing.assert_array_equal(J, other)
