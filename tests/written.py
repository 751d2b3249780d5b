"""The programs that are written for a function which is called again and again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from jacobian.kernel.code import Code


def spelled(code: Code, text: str) -> str:
    """The text with plain numbers by their digits, which programs hold as arrays."""
    return re.sub(r"\bnumber\d+\b", lambda found: f"({code.constants[found[0]].item():g})", text)


def texts_of(f: Callable[..., Any], *args: Any, monkeypatch: pytest.MonkeyPatch, calls: int = 4) -> list[str]:
    """The text of every script that is compiled while a function is called so often."""
    texts: list[str] = []
    compiled = Code.compile

    def compile_text(code: Code, text: str) -> Callable[..., Any]:
        texts.extend([spelled(code, text)] if text.startswith("def program(inputs)") else [])
        return compiled(code, text)

    monkeypatch.setattr(Code, "compile", compile_text)
    for _ in range(calls):
        f(*args)
    monkeypatch.undo()
    return texts
