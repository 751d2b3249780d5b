"""Names in formulas that nobody gave, written out: `sin(x[@0])` in place of `v1[@0]`, as long as that is short."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from jacobian.kernel.latex import split_positions

COMPARISON, SUM, NEGATIVE, PRODUCT, POWER, WHOLE = range(6)
"""How tightly a text holds together; a whole is a name, an entry, a call or a number."""

_NAME = re.compile(r"(?<![\w@.])([^\W\d]\w*)(\[(?:[^\[\]]|\[[^\[\]]*\])*\])?(?!\w|\()")


class Written(NamedTuple):
    """An array entry by entry: the text, in which `@0`, `@1`, … stand for the position, how many, how it holds."""

    text: str
    rank: int
    holds: int = WHOLE

    def within(self, least: int) -> str:
        """The text as part of another one that wants it to hold together so well; in brackets if it does not."""
        return self.text if self.holds >= least else f"({self.text})"

    def at(self, positions: list[str]) -> Written:
        """The same where the positions are others."""

        def place(match: re.Match[str]) -> str:
            text = positions[int(match[1])]
            before, after = self.text[: match.start()], self.text[match.end() :]
            alone = before.endswith(("[", ",")) and after.startswith(("]", ","))
            return text if alone or re.fullmatch(r"@?\w+", text) else f"({text})"

        return self._replace(text=re.sub(r"@(\d+)", place, self.text))


def written_out(label: str, find: Callable[[str], Written | None]) -> str:
    """A label with what is found for the names in it.

    >>> found = {"v1": Written("x[@0] + 1", 1, SUM), "v2": Written("x[1]", 0)}
    >>> written_out("v2 * v1[@1]**2", found.get), written_out("cos(v1[0])", found.get), written_out("v1", found.get)
    ('x[1] * (x[@1] + 1)**2', 'cos(x[0] + 1)', 'x[@0] + 1')
    """

    def written(match: re.Match[str]) -> str:
        found = find(match[1])
        positions = split_positions(match[2][1:-1]) if match[2] else []
        if found is None or len(positions) != found.rank:
            return match[0]
        found = found.at(positions)
        before, after = label[: match.start()], label[match.end() :].lstrip()
        is_argument = before.rstrip().endswith(("(", ",")) and after.startswith((")", ","))
        return found.text if is_argument else found.within(WHOLE)

    alone = find(label) if label.isidentifier() else None
    text = alone.within(SUM) if alone is not None else _NAME.sub(written, label)
    has_place = "@" in label if alone is None else alone.rank > 0
    return text if "@" in text or not has_place else label  # else nothing would say any more which axes it has
