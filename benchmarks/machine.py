"""What the numbers were measured on, and with."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any


def describe(libraries: list[str], peak: float) -> dict[str, Any]:
    """Processor, cores, versions and the measured peak of multiplication."""
    versions = {name: metadata.version(name) for name in ("jacobian", "numpy", "opt_einsum", *libraries)}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
        "multiplications per second": peak,
        "load": load(),
    }


def load() -> float | None:
    """How many processes wanted a core in the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
