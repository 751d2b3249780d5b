"""What every test starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import settings

from jacobian import replay
from jacobian.__main__ import main
from jacobian.ops import REGISTRY
from jacobian.programs import Memory

Run = Callable[..., tuple[int, str, str]]

try:
    import scipy.special  # noqa: F401
except ImportError:  # what needs it is not tested
    pass
else:
    REGISTRY.later.arrive()  # the ops for SciPy's functions, so that generated tests find them

# The same examples every time: a failure is a change of the code, not of the draw. Another draw, and more of it:
# JACOBIAN_TEST_EFFORT=6 python -m pytest tests/kernel --hypothesis-profile=default
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def registry_as_it_was() -> Iterator[None]:
    """Ops that a test declares are forgotten after it."""
    known = dict(REGISTRY._by_name), dict(REGISTRY._by_function)
    yield
    REGISTRY._by_name, REGISTRY._by_function = known


@pytest.fixture(autouse=True)
def own_draws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that draws from its module's generator draws the same, whichever tests ran before it."""
    if hasattr(request.module, "RNG"):
        monkeypatch.setattr(request.module, "RNG", np.random.default_rng(2026))


@pytest.fixture
def no_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is known yet, so that a first one is traced."""
    monkeypatch.setattr(replay, "SCRIPTS", Memory(replay.Kind, replay.REMEMBERED))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line with those words: its status, and what it prints to both streams."""

    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
