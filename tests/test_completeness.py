"""Every function of NumPy's that dispatches is decided about, and what Autograd differentiates is handled."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

import jacobian as jac
from benchmarks import coverage
from jacobian.ops.registry import REGISTRY
from jacobian.tracing.constants import CONSTANT_FUNCTIONS, REFUSED
from jacobian.tracing.writers import MAKERS, WRITERS

README = Path(__file__).parent.parent / "README.md"
SPACES = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft, "np.emath": np.emath}


def dispatched() -> Iterator[tuple[str, Callable[..., Any]]]:
    """All public functions of the installed NumPy that reach a traced array by NumPy's protocols."""
    for place, space in SPACES.items():
        for name in sorted(dir(space)):
            function = getattr(space, name)
            if not name.startswith("_") and isinstance(function, np.ufunc | type(np.sum)):
                yield f"{place}.{name}", function


FUNCTIONS = dict(dispatched())


def classes(name: str, function: Callable[..., Any]) -> list[str]:
    known = {
        "handled": REGISTRY.find(function) is not None or function in MAKERS or function in WRITERS,
        "constant": function in CONSTANT_FUNCTIONS,
        "refused": function.__name__ in REFUSED,
    }
    return [kind for kind, applies in known.items() if applies]


def test_functions_are_found() -> None:
    assert len(FUNCTIONS) > 350
    assert {"np.sin", "np.sum", "np.linalg.qr", "np.fft.fft", "np.emath.sqrt"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_decided_about(name: str) -> None:
    found = classes(name, FUNCTIONS[name])
    assert found, f"nobody decided about {name}: declare an op, or name it in tracing/constants.py"
    assert len(found) == 1, f"{name} is {' and '.join(found)}"


@pytest.mark.parametrize("name", [name for name, f in FUNCTIONS.items() if classes(name, f) == ["refused"]])
def test_what_is_refused_says_why_and_what_to_do(name: str) -> None:
    """Called with traced arguments, as many as it takes, it raises the reason and the way out."""
    function = FUNCTIONS[name]
    why, fix = REFUSED[function.__name__]

    def call(x: Any) -> Any:
        for count in (1, 2, 3, 4):
            try:
                return function(*[x] * count)
            except TypeError as error:
                if isinstance(error, jac.errors.JacobianError):
                    raise
        raise AssertionError(name)

    with pytest.raises(jac.errors.TraceError) as caught:
        jac.jacobian(call)(np.ones(2))
    assert why in str(caught.value)
    assert fix in str(caught.value)


def test_names_that_are_refused_exist() -> None:
    numpys = {function.__name__ for function in FUNCTIONS.values()} | set(dir(np))
    scipys = set(dir(pytest.importorskip("scipy.special")._ufuncs))
    assert set(REFUSED) - {"full"} <= numpys | scipys


def autograd_names() -> Iterator[tuple[str, Any]]:
    """What Autograd has a derivative for, as NumPy calls it."""
    pytest.importorskip("autograd")
    core = importlib.import_module("autograd.core")
    for place in ("", ".linalg", ".fft"):
        theirs = importlib.import_module(f"autograd.numpy{place}")
        ours = importlib.import_module(f"numpy{place}")
        for name in sorted(dir(ours)):
            function = getattr(theirs, name, None)
            if callable(function) and function in core.primitive_vjps:
                yield f"np{place}.{name}", getattr(ours, name)


def test_everything_that_autograd_differentiates_is_handled() -> None:
    names = dict(autograd_names())
    assert len(names) > 100
    undispatched = {name for name, function in names.items() if name not in FUNCTIONS}
    assert undispatched <= {"np.full"}, "it takes no traced array, and says what does"
    missing = [name for name in names if name not in undispatched and REGISTRY.find(FUNCTIONS[name]) is None]
    assert not missing


def rows() -> list[str]:
    return [line for line in README.read_text().splitlines() if re.match(r"\| (`np|all)", line)]


@pytest.mark.skipif(not np.__version__.startswith("2.4"), reason="the README counts the names of NumPy 2.4")
def test_the_readme_counts_as_we_do() -> None:
    """Our numbers, and those of the peers that are installed."""
    shown, found = rows(), coverage.table().splitlines()[2:]
    assert len(shown) == len(found) == len(coverage.PLACES) + 1
    missing = {place for place, peer in enumerate(coverage.PEERS, 5) if coverage.theirs(peer) is None}
    for line, row in zip(shown, found, strict=True):
        cells, expected = ([cell.strip() for cell in text.split("|")[1:-1]] for text in (line, row))
        for place, (cell, counted) in enumerate(zip(cells, expected, strict=True)):
            assert place in missing or cell == counted


@pytest.mark.parametrize("peer", coverage.PEERS)
def test_no_peer_handles_what_we_do_not(peer: str) -> None:
    if coverage.theirs(peer) is None:
        pytest.skip(f"{peer} is not installed")
    assert coverage.beyond(peer) == []
