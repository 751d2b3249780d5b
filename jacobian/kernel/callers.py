"""Who called: the user's frame, for errors and warnings that name a line."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType

import numpy as np

from jacobian.kernel.code import PROGRAM


def _folder(file: str) -> str:
    """The folder that holds a file; `pathlib` would be imported for this alone."""
    return os.path.realpath(file).rpartition(os.sep)[0]


_INNER = tuple(folder + os.sep for folder in (_folder(_folder(__file__)), _folder(np.__file__)))
_LIBRARIES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STANDARD = (os.__file__.rpartition(os.sep)[0] + os.sep, "<frozen ")


def is_inner(file: str) -> bool:
    """Whether a file belongs to this package, its programs included, or to NumPy."""
    return file.startswith((*_INNER, "<__array_function__", PROGRAM))


def is_library(file: str) -> bool:
    """Whether a file was installed, by pip or with Python, rather than written by the user."""
    return file.startswith(_STANDARD) or any(part in file for part in _LIBRARIES)


def nearest_frame() -> FrameType | None:
    """The innermost frame that belongs neither to this package nor to NumPy."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inner(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def user_frame() -> FrameType | None:
    """The innermost frame of the user's own code; that of a library when there is no other."""
    frame = nearest = nearest_frame()
    while frame is not None:
        file = frame.f_code.co_filename
        if not is_inner(file) and not is_library(file):
            return frame
        frame = frame.f_back
    return nearest


def warn(warning: Warning) -> None:
    """Warn at the user's line."""
    frame = user_frame()
    if frame is None:
        warnings.warn(warning, stacklevel=3)
        return
    names = frame.f_globals
    warnings.warn_explicit(
        warning, type(warning), frame.f_code.co_filename, frame.f_lineno, module=names.get("__name__"),
        registry=names.setdefault("__warningregistry__", {}),
    )  # fmt: skip


def expression_line() -> str | None:
    """The place in the text of an expression that is being evaluated at this moment, if one is: that is the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inner(frame.f_code.co_filename):
        if frame.f_code.co_name == "guarded":
            return str(frame.f_locals["self"].line(frame.f_locals["node"]))
        frame = frame.f_back
    return None


def composite_called() -> str:
    """What the user called, if that is a composite that is being traced through at this moment; else nothing."""
    frame: FrameType | None = sys._getframe(1)
    found = ""
    while frame is not None and is_inner(frame.f_code.co_filename):
        op = frame.f_locals.get("self") if frame.f_code.co_name == "compute" else None
        found = str(getattr(op, "called", "")) if getattr(op, "family", "") == "composite" else found
        frame = frame.f_back
    return found
