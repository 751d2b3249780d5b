"""All workloads by name: those whose dense Jacobian is wanted, and the small ones that are called a thousand times."""

from __future__ import annotations

from benchmarks.workloads import algebra, elementwise, indexing, networks, small
from benchmarks.workloads.workload import Workload

DENSE: dict[str, Workload] = {
    **elementwise.WORKLOADS, **networks.WORKLOADS, **algebra.WORKLOADS, **indexing.WORKLOADS
}  # fmt: skip
SMALL: dict[str, Workload] = dict(small.WORKLOADS)

__all__ = ["DENSE", "SMALL", "Workload"]
