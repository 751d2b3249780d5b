"""The programs that are written for a function which is called again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jacobian.kernel.code import Code


def texts_of(f: Callable[..., Any], *args: Any, monkeypatch: pytest.MonkeyPatch, calls: int = 4) -> list[str]:
    """The text of every script that is compiled while a function is called so often."""
    texts: list[str] = []
    compiled = Code.compile

    def compile_text(code: Code, text: str) -> Callable[..., Any]:
        texts.extend([text] if text.startswith("def program(inputs)") else [])
        return compiled(code, text)

    monkeypatch.setattr(Code, "compile", compile_text)
    for _ in range(calls):
        f(*args)
    monkeypatch.undo()
    return texts
