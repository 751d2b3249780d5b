"""The user's line, and what it was doing: where outside this package a call came from.

Only errors ask. What reads source code is imported when they do.
"""

from __future__ import annotations

import os
import sys
from itertools import islice
from types import FrameType

from jacobian.kernel import syntax
from jacobian.kernel.callers import expression_line, is_inner, is_library, nearest_frame, user_frame

LONGEST_LINE = 100


def shown_line() -> str | None:
    """The user's line as an error shows it: `model.py:12: y = float(x)`; or the place in an expression."""
    frame = user_frame()
    return expression_line() or (None if frame is None else _shown(frame, frame.f_lineno))


def line_that_raised(error: BaseException) -> str | None:
    """The line on which an error was raised, shown likewise."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return None if step is None else _shown(step.tb_frame, step.tb_lineno)


def _shown(frame: FrameType, number: int) -> str:
    """A line with its place, cut when it is long."""
    import linecache

    name = frame.f_code.co_filename
    place, text = f"{name.rpartition(os.sep)[2]}:{number}", linecache.getline(name, number, frame.f_globals).strip()
    text = text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"
    return f"{place}: {text}" if text else place


def library() -> str | None:
    """The library that stands between the user's line and this package, such as `scipy`."""
    frame = nearest_frame()
    if frame is None or frame is user_frame() or not is_library(frame.f_code.co_filename):
        return None
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] or None


def passes_through(package: str, function: str = "") -> bool:
    """Whether code of this part of NumPy, or this function of it, stands between the user's line and this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inner(frame.f_code.co_filename):
        if str(frame.f_globals.get("__name__")).startswith(package) and function in ("", frame.f_code.co_name):
            return True
        frame = frame.f_back
    return False


def assigns_to_item() -> bool:
    """Whether the user's line is storing into `out[…]` at this moment."""
    frame = user_frame()
    return frame is not None and _instruction(frame) in ("STORE_SUBSCR", "STORE_SLICE")


def called() -> str:
    """The function the user's line is calling at this moment, as written: `"np.array"`; empty when it is none."""
    import ast

    frame = user_frame()
    if frame is None or not _instruction(frame).startswith(("CALL", "PRECALL")):
        return ""
    try:
        node = syntax.expression(_expression(frame).strip()).body
    except SyntaxError:
        return ""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _instruction(frame: FrameType) -> str:
    import dis

    at = frame.f_lasti
    while at > 0 and dis.opname[frame.f_code.co_code[at]] == "CACHE":  # where the frame of a Python function stands
        at -= 2
    return dis.opname[frame.f_code.co_code[at]]


def _expression(frame: FrameType) -> str:
    """The source of what is being evaluated, by the positions that the compiler noted."""
    import linecache

    places = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), (None,) * 4)
    first, last, start, end = places
    if first is None or last is None or start is None or end is None:
        return ""
    file = frame.f_code.co_filename
    lines = [linecache.getline(file, number, frame.f_globals).encode() for number in range(first, last + 1)]
    lines[-1] = lines[-1][:end]  # columns count bytes
    lines[0] = lines[0][start:]
    return b"".join(lines).decode(errors="replace")
