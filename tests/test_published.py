"""Every published identity: the package's Jacobian is the published one, entry by entry."""

import numpy as np
import pytest
from published import Identity, load

import jacobian as jac

IDENTITIES = load()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("identity", IDENTITIES, ids=[identity.name for identity in IDENTITIES])
def test_equals_the_published_jacobian(identity: Identity, seed: int) -> None:
    args = identity.draw(seed)
    derivative = jac.hessian if identity.is_hessian else jac.jacobian
    ours = np.asarray(derivative(identity.function, argnums=identity.argnum)(*args))
    published = np.asarray(identity.jacobian(*args))
    assert ours.shape == published.shape
    np.testing.assert_allclose(ours, published, rtol=1e-8, atol=1e-8 * np.abs(published).max())


def test_nothing_is_left_out() -> None:
    assert len(IDENTITIES) == 78
    assert len({(identity.name, identity.wrt) for identity in IDENTITIES}) == 78
    assert sum(identity.is_hessian for identity in IDENTITIES) == 3
