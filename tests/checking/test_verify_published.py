"""No false alarm: every published identity is judged right; what the Cookbook prints wrongly is judged wrong."""

from typing import Any

import pytest
from published import Identity, load

import jacobian as jac

IDENTITIES = load()


def derivative(identity: Identity) -> Any:
    return jac.jacobian(identity.function, argnums=identity.argnum) if identity.is_hessian else identity.function


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("identity", IDENTITIES, ids=[identity.name for identity in IDENTITIES])
def test_every_published_identity_is_right(identity: Identity, seed: int) -> None:
    args = identity.draw(seed)
    verdict = jac.verify(derivative(identity), *args, claim=identity.jacobian, argnums=identity.argnum)
    assert verdict.verdict == "right", verdict
    as_array = jac.verify(derivative(identity), *args, claim=identity.jacobian(*args), argnums=identity.argnum)
    assert as_array.verdict == "right", as_array
