"""A derivation as a piece of a page: formulas in MathML, remarks beside them, code as code."""

from __future__ import annotations

from html import escape

from jacobian.display.derivation import Derivation
from jacobian.display.derivation_parts import Line, Part
from jacobian.display.mathml import formula
from jacobian.display.tables import code


def derivation_section(derivation: Derivation) -> str:
    """Heading, the lines under their titles, matrix forms, the code."""
    pieces = [f"<h3>{escape(derivation.title)}</h3>", *map(_part, derivation.parts)]
    if derivation.matrix:
        lines = "".join(f'<li><span class="is">{code(text)}</span></li>' for text in derivation.matrix)
        pieces.append(f'<h4>In matrices</h4><ul class="steps">{lines}</ul>')
        if any("L/" in text for text in derivation.matrix):
            pieces.append(f'<p class="note">G is what arrives, ∂L/∂{escape(derivation.names[0])}.</p>')
    pieces.append(f"<h4>In NumPy</h4><pre>{escape(derivation.code)}</pre>")
    return "".join(pieces)


def _part(part: Part) -> str:
    title = f"<h4>{escape(part.title)}</h4>"
    if part.title.startswith("The function"):
        width = max((len(line.formula) for line in part.lines), default=0) + 2
        text = "\n".join(f"{line.formula:<{width}}# {line.why}" if line.why else line.formula for line in part.lines)
        return f"{title}<pre>{escape(text)}</pre>"
    return f'{title}<ol class="steps">{"".join(map(_line, part.lines))}</ol>'


def _line(line: Line) -> str:
    shown = f'<span class="is">{formula(line.formula)}</span>' if line.formula else ""
    why = f'<span class="why">{escape(line.why)}</span>' if line.why else ""
    return f"<li>{shown}{why}</li>"
