"""What every test starts from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jacobian.ops import REGISTRY


@pytest.fixture(autouse=True)
def registry_as_it_was() -> Iterator[None]:
    """Ops that a test declares are forgotten after it."""
    known = dict(REGISTRY._by_name), dict(REGISTRY._by_function)
    yield
    REGISTRY._by_name, REGISTRY._by_function = known
