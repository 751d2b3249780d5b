"""The bill before materialising: how many bytes are too many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jacobian.errors import ArgumentError, MemoryLimitError, report

_LIMIT: ContextVar[float | None] = ContextVar("jacobian_memory_limit", default=None)


def available() -> int:
    """Bytes of memory the machine says are free for use."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123 - `pathlib` would be imported for this
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    found = installed()
    return 8 * 2**30 if found is None else found // 2


def installed() -> int | None:
    """Bytes of memory that the machine has; None where it does not say."""
    return _pages("SC_PHYS_PAGES")


def free() -> int:
    """Bytes that nothing at all is kept in: fewer than are available, but quickly told."""
    return _pages("SC_AVPHYS_PAGES") or 0


def _pages(name: str) -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf(name)
    except (AttributeError, ValueError, OSError):
        return None


@contextmanager
def memory_limit(limit: float) -> Iterator[None]:
    """Let no Jacobian be materialised that needs more than `limit` bytes, within a `with` block.

    Without it the limit is half of the memory that is available at that moment.

    >>> import numpy as np, jacobian as jac
    >>> J = jac.jacobian(np.sin)(np.zeros(1000))
    >>> with jac.memory_limit(1e6):
    ...     np.asarray(J)
    Traceback (most recent call last):
    ...
    jacobian.errors.MemoryLimitError: materialising this Jacobian needs 8.0 MB, the limit is 1.0 MB
      shape:     (1000,) × (1000,) float64
      holds:     8.0 kB, diagonal
      instead:   J @ dx, u @ J, J[index], J.diagonal(), J.to_scipy()
      limit:     half of the memory available, or what jac.memory_limit says
    """
    given: object = limit
    if not isinstance(given, int | float) or not given >= 0:
        raise ArgumentError(report(f"memory_limit: the limit must be a number of bytes, not {limit!r}"))
    token = _LIMIT.set(limit)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def human(count: float) -> str:
    """A number of bytes as a person writes it.

    >>> human(274877906944)
    '275 GB'
    """
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if count < 999.5 or unit == "PB":
            digits = 0 if unit == "B" or count >= 99.5 else 1
            return f"{count:.{digits}f} {unit}"
        count /= 1000
    raise AssertionError


def is_limited() -> bool:
    """Whether somebody has set a limit."""
    return _LIMIT.get() is not None


def check(
    nbytes: int, shape: str | Callable[[], str], holds: str | Callable[[], str] | None = None,
    name: str = "this Jacobian",
    instead: str = "J @ dx, u @ J, J[index], J.diagonal(), J.to_scipy()",
) -> None:  # fmt: skip
    """Refuse with the bill when `nbytes` is above the limit."""
    limit = _LIMIT.get()
    if limit is None:
        if nbytes < 2**26 or nbytes <= free() // 2:  # to ask for what is available takes longer
            return
        limit = available() // 2
    if nbytes > limit:
        raise MemoryLimitError(
            report(
                f"materialising {name} needs {human(nbytes)}, the limit is {human(limit)}",
                shape=shape() if callable(shape) else shape,
                holds=holds() if callable(holds) else holds,
                instead=instead,
                limit="half of the memory available, or what jac.memory_limit says",
            )
        )
