"""Random programs of views, writes and arithmetic: the same numbers as NumPy, and the Jacobian of the complex step."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import jacobian as jac
from tests.kernel.strategies import EFFORT

SHAPES: list[tuple[int, ...]] = [(), (1,), (4,), (2, 3), (3, 3), (3, 1), (2, 2, 3), (0, 2)]
Pool = list[Any]


def basic_key(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """A basic index: numbers, slices with steps of either sign, `...` and None."""
    keys: list[Any] = []
    for size in shape[: rng.integers(0, len(shape) + 1)]:
        kind = rng.integers(0, 5)
        if kind == 0 and size:
            keys.append(int(rng.integers(-size, size)))
        elif kind == 1:
            keys.append(slice(None, None, int(rng.choice([-2, -1, 2]))))
        elif kind == 2:
            keys.append(slice(int(rng.integers(0, size + 1)), None))
        elif kind == 3:
            keys.append(slice(None, int(rng.integers(-size, size + 1))))
        else:
            keys.append(slice(None))
    if rng.integers(0, 4) == 0:
        keys.insert(int(rng.integers(0, len(keys) + 1)), None)
    if rng.integers(0, 4) == 0:
        keys.append(Ellipsis)
    return tuple(keys)


def any_key(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """A basic index, a mask, or integers that may repeat."""
    kind = rng.integers(0, 5)
    if kind == 0:
        return rng.integers(0, 2, shape).astype(bool)
    if kind == 1 and shape and 0 not in shape:
        return rng.integers(-shape[0], shape[0], int(rng.integers(1, 5)))
    if kind == 2 and len(shape) > 1 and 0 not in shape:
        count = (int(rng.integers(1, 4)), int(rng.integers(1, 3)))
        order: Any = "F" if rng.integers(0, 2) else "C"
        return tuple(np.array(rng.integers(0, size, count), order=order) for size in shape[:2])
    if kind == 3 and len(shape) > 1 and 0 not in shape:
        return (slice(None), rng.integers(0, shape[1], 3))
    return basic_key(shape, rng)


def value_for(shape: tuple[int, ...], pool: Pool, rng: np.random.Generator) -> Any:
    """Something that fits: a number, an entry of an array, or its entries over and over, perhaps broadcast."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return float(rng.normal())
    source = pool[rng.integers(len(pool))]
    if not np.size(source) or kind == 1:
        return np.sum(source) * 0.5
    shape = tuple(1 if rng.integers(0, 4) == 0 else size for size in shape)
    if rng.integers(0, 3) == 0:
        return np.resize(source, shape[::-1]).T * 1.0
    return np.resize(source, shape[rng.integers(0, len(shape) + 1) :] if kind == 2 else shape) * 1.0


def views(pool: Pool, rng: np.random.Generator) -> None:
    a = pool[rng.integers(len(pool))]
    shape = np.shape(a)
    kind = rng.integers(0, 8)
    if kind == 0:
        pool.append(a.T)
    elif kind == 1:
        pool.append(a.reshape(-1) if rng.integers(0, 2) else a.ravel())
    elif kind == 2:
        pool.append(a.reshape(shape[::-1]) if rng.integers(0, 2) else np.reshape(a, (-1, 1), order="F"))
    elif kind == 3 and len(shape) == 2 and shape[0] == shape[1]:
        pool.append(np.einsum("ii->i", a))
    elif kind == 4 and len(shape) > 1:
        pool.append(np.swapaxes(a, 0, -1)[..., ::-1])
    elif kind == 5 and len(shape) > 1:
        pool.append(a.diagonal() if rng.integers(0, 2) else np.squeeze(a))
    else:
        pool.append(a[basic_key(shape, rng)])


def writes(pool: Pool, rng: np.random.Generator) -> None:
    a = pool[rng.integers(len(pool))]
    key = any_key(np.shape(a), rng)
    picked = np.zeros(np.shape(a))[key]
    kind = rng.integers(0, 6)
    value = value_for(np.shape(picked), pool, rng)
    if kind == 0:
        a[key] += value
    elif kind == 1:
        a[key] *= 0.5
    elif kind == 2 and np.ndim(a) and len(a) > 1:
        a[1:] = a[:-1]
    else:
        a[key] = value


def changes(pool: Pool, rng: np.random.Generator) -> None:
    place = rng.integers(len(pool))
    a = pool[place]
    other = value_for(np.shape(a), pool, rng)
    kind = rng.integers(0, 5)
    if kind == 0 and np.ndim(a):
        np.add(a, other, out=a)
    elif kind == 1 and np.ndim(a):
        np.multiply(a, other, out=a, where=rng.integers(0, 2, np.shape(a)).astype(bool))
    elif kind == 2 and np.ndim(a):
        mask = rng.integers(0, 2, np.shape(a)).astype(bool)
        if rng.integers(0, 2):
            np.copyto(a, other, where=mask)
        elif np.size(other):
            np.putmask(a, mask, other)
    elif kind == 3 and np.size(a) and np.ndim(a):
        a.flat[rng.integers(0, np.size(a), 3)] = other if np.ndim(other) == 0 else np.ravel(other)
        np.add.at(a, rng.integers(0, len(a), 3), 0.25)
    else:
        pool[place] = operator.isub(a, other)


def copies(pool: Pool, rng: np.random.Generator) -> None:
    a = pool[rng.integers(len(pool))]
    makers: list[Callable[[Any], Any]] = [
        lambda a: a.copy(), lambda a: np.sin(a), lambda a: a * 0.5, lambda a: a + a.T if np.ndim(a) == 1 else 2 * a,
        np.zeros_like, lambda a: a[...], lambda a: np.concatenate([np.ravel(a), np.ravel(a)[:1]]),
    ]  # fmt: skip
    pool.append(makers[rng.integers(len(makers))](a))


def program(steps: list[tuple[Callable[[Pool, np.random.Generator], None], int]]) -> Callable[[Any], Any]:
    """A function of an array that runs these steps and returns all that there is then, and some of what was before."""

    def run(x: Any) -> Any:
        pool: Pool = [x]
        before: Pool = []
        for step, seed in steps:
            before.append(np.sum(pool[-1]) * 1.0)
            try:
                step(pool, np.random.default_rng(seed))
            except (ValueError, TypeError):  # what NumPy does not do, a traced array does not do either
                before.append(1.0)
        return np.concatenate([np.ravel(one) for one in (*pool, *before)])

    return run


def complex_step(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    columns = []
    for entry in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[entry] += 1e-30j
        columns.append(np.imag(f(moved)) / 1e-30)
    return np.array(columns)


STEPS = st.tuples(st.sampled_from([views, writes, changes, copies]), st.integers(0, 10**6))


@given(st.sampled_from(SHAPES), st.sampled_from("CF"), st.lists(STEPS, min_size=1, max_size=8))
@settings(max_examples=250 * EFFORT)
def test_programs(shape: tuple[int, ...], order: Any, steps: Any) -> None:
    x = np.array(np.random.default_rng(3).uniform(0.5, 1.5, shape), order=order)
    f = program(steps)
    kept = x.copy(order="K")
    value, J = jac.value_and_jacobian(f)(x)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_allclose(value, f(kept), rtol=1e-12, atol=1e-12)
    expected = np.moveaxis(complex_step(f, x).reshape(x.size, np.size(value)), 0, -1).reshape(J.shape)
    np.testing.assert_allclose(np.asarray(J), expected, rtol=1e-10, atol=1e-10)
