"""The user's line: where outside this package a call came from."""

from __future__ import annotations

import linecache
import os
import re
import sys
from pathlib import Path
from types import FrameType

PACKAGE = str(Path(__file__).resolve().parent.parent)
_NUMPY = os.sep + "numpy" + os.sep


def user_frame() -> FrameType | None:
    """The innermost frame that belongs neither to this package nor to NumPy."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) and _NUMPY not in name and not name.startswith("<__array_function__"):
            return frame
        frame = frame.f_back
    return None


def user_line() -> tuple[str, str]:
    """`("model.py:12", "y = float(x)")`; empty texts when there is no such line."""
    frame = user_frame()
    if frame is None:
        return "", ""
    name, number = frame.f_code.co_filename, frame.f_lineno
    return f"{Path(name).name}:{number}", linecache.getline(name, number, frame.f_globals).strip()


def shown_line() -> str | None:
    """The user's line as an error shows it."""
    place, text = user_line()
    return f"{place}: {text}" if text else place or None


def assigns_to_item(text: str) -> bool:
    """Whether a line looks like `out[i] = …`."""
    return re.search(r"^[\w.]+\s*\[.*\]\s*[-+*/@]?=(?!=)", text) is not None


def builds_array(text: str) -> str | None:
    """The array-building call on a line, `np.array` or `np.asarray`, if there is one."""
    match = re.search(r"\b\w+\.(?:array|asarray|asanyarray|ascontiguousarray|fromiter)\b", text)
    return match.group() if match else None
