"""Terms as formulas in index notation: `∂y[i,k]/∂A[i,j] = B[j,k]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import count

from jacobian.kernel import surds
from jacobian.kernel.access import Form, Lookup, indices
from jacobian.kernel.term import Scalar, Term

LETTERS = "ijklmnpqrstuvw"

Names = Callable[[int], str]


def letter(position: int) -> str:
    """The n-th index name: i, j, …, then i1, j1, …"""
    turn, place = divmod(position, len(LETTERS))
    return LETTERS[place] + (str(turn) if turn else "")


def letters_of(term: Term) -> Names:
    """The term's own letters where it has them, else i, j, k, …"""
    return term.letters.__getitem__ if term.letters else letter


def form_text(form: Form, names: Names) -> str:
    """A position as text: `2*i + k - 1`, `t[i]`."""
    pieces: list[str] = []
    for atom, stride in form.parts:
        if isinstance(atom, Lookup):
            name = f"t{atom.table or ''}[{','.join(form_text(arg, names) for arg in atom.args)}]"
        else:
            name = names(atom)
        pieces.append(_signed(stride, name))
    if form.offset or not pieces:
        pieces.append(_signed(form.offset, ""))
    text = " ".join(pieces).removeprefix("+ ")
    return text.replace("- ", "-", 1) if text.startswith("- ") else text


def _signed(value: int, name: str) -> str:
    sign = "-" if value < 0 else "+"
    value = abs(value)
    if not name:
        return f"{sign} {value}"
    return f"{sign} {name}" if value == 1 else f"{sign} {value}*{name}"


def indexed(name: str, forms: Sequence[Form], names: Names) -> str:
    """`A[i,2*j]`; a scalar is its name alone."""
    return f"{name}[{','.join(form_text(form, names) for form in forms)}]" if forms else name


def indexed_label(name: str, rank: int) -> str:
    """A factor's bare name as a label with its positions written out: `B[@0,@1]`."""
    return f"{name}[{','.join(f'@{axis}' for axis in range(rank))}]" if name and rank else name


def factor_text(label: str, forms: Sequence[Form], names: Names, nth: int) -> str:
    """A factor's label with its positions filled in."""
    label = label or f"F{nth}"
    if "@" not in label:
        return indexed(label, forms, names)

    def position(match: re.Match[str]) -> str:
        text = form_text(forms[int(match.group(2))], names)
        return f"{match.group(1)}({text})" if match.group(1) == "*" and " " in text else match.group(1) + text

    return re.sub(r"(.?)@(\d+)", position, label)


def number_text(value: Scalar) -> str:
    """A scalar factor as short as it can be written exactly."""
    if isinstance(value, complex):
        short = f"{value:g}"
        return f"({short})" if complex(short) == value else f"({float(value.real)}{float(value.imag):+}j)"
    return surds.number(float(value))


def product_text(term: Term, names: Names, deltas: Iterable[str] = ()) -> str:
    """The right-hand side of one term, with its sign in front when negative."""
    pattern = term.pattern
    pieces = list(deltas)
    pieces += [
        factor_text(factor.text, access.forms, names, nth + 1)
        for nth, (factor, access) in enumerate(zip(term.factors, pattern.factors, strict=True))
    ]
    summed = [names(k) for k in range(len(pattern.sizes)) if k not in pattern.free]
    alone = len(pieces) == 1 and not pattern.guards and not summed and term.scale == 1
    scale = term.scale
    if not alone and not isinstance(scale, complex):
        scale, pieces = without_numbers(scale, pieces)
    pieces = [f"({piece})" if is_sum(piece) and not alone else piece for piece in pieces]
    for guard in pattern.guards:
        text = form_text(guard.form, names)
        pieces.append(f"[{text} = 0]" if guard.extent == 1 else f"[0 <= {text} < {guard.extent}]")
    sign = "-" if not isinstance(scale, complex) and scale < 0 else ""
    size = abs(scale) if sign else scale
    if size != 1 or not pieces:
        pieces.insert(0, number_text(size))
    body = " * ".join(pieces)
    if summed:
        body = f"Σ_{','.join(summed)} {body}"
    return sign + body


def without_numbers(scale: float, pieces: Sequence[str]) -> tuple[float, list[str]]:
    """Signs and numbers that stand first in a factor join the number in front: `-1/2 * 2 * x` is `-x`."""
    rest: list[str] = []
    for piece in pieces:
        if not is_sum(piece):
            if piece.startswith("-"):
                scale, piece = -scale, piece[1:]
            number = re.match(r"(\d+(?:\.\d+)?)(?:/(\d+))? \* ", piece)
            if number:
                scale = scale * float(number.group(1)) / float(number.group(2) or 1)
                piece = piece[number.end() :]
        rest.append(piece)
    return scale, rest


def is_sum(text: str) -> bool:
    """Whether a text is a sum outside its brackets, and needs brackets as a factor."""
    depth = 0
    for place, character in enumerate(text):
        depth += character in "([{"
        depth -= character in ")]}"
        if depth == 0 and character in "+-" and place and text[place - 1] == " ":
            return True
    return False


def formula(terms: Sequence[Term], names: tuple[str, str], ranks: tuple[int, int]) -> str:
    """The whole Jacobian as one line of index notation.

    When all terms read and write the same positions these stand on the left, a shared index being a δ;
    otherwise every axis has an index of its own on the left and the δ are written out.
    """
    out_name, in_name = names
    if terms and all(
        (term.pattern.out, term.pattern.into, term.pattern.sizes) ==
        (terms[0].pattern.out, terms[0].pattern.into, terms[0].pattern.sizes)
        for term in terms
    ):  # fmt: skip
        pattern, names_of = terms[0].pattern, letters_of(terms[0])
        left = _quotient(indexed(out_name, pattern.out, names_of), indexed(in_name, pattern.into, names_of))
        return f"{left} = {sum_text(product_text(term, names_of) for term in terms)}"
    axes = [letter(k) for k in range(sum(ranks))]
    out, into = axes[: ranks[0]], axes[ranks[0] :]
    left = _quotient(
        f"{out_name}[{','.join(out)}]" if out else out_name, f"{in_name}[{','.join(into)}]" if into else in_name
    )
    return f"{left} = {sum_text(_with_deltas(term, axes) for term in terms) or '0'}"


def _quotient(out: str, into: str) -> str:
    return f"∂{out}/∂{into}"


def sum_text(texts: Iterable[str]) -> str:
    """Texts added up; what has a minus in front is subtracted, and stands last."""
    body = ""
    for text in sorted(texts, key=lambda text: text.startswith("-")):
        if not body:
            body = text
        elif text.startswith("-"):
            body += f" - {text[1:]}"
        else:
            body += f" + {text}"
    return body


def _with_deltas(term: Term, axes: Sequence[str]) -> str:
    named: dict[int, str] = {}
    pending: list[tuple[str, Form]] = []
    for axis, form in zip(axes, (*term.pattern.out, *term.pattern.into), strict=True):
        index = next(indices(form), -1)
        if form.is_plain and index not in named:
            named[index] = axis
        else:
            pending.append((axis, form))
    fresh = (name for name in map(letter, count(len(axes))))
    for index in range(len(term.pattern.sizes)):
        if index not in named:
            named[index] = next(fresh)
    bound = {form_index for _, form in pending for form_index in indices(form)} & set(term.pattern.free)
    deltas = [f"δ[{axis},{form_text(form, named.__getitem__)}]" for axis, form in pending]
    body = product_text(term, named.__getitem__, deltas)
    loose = [named[index] for index in sorted(bound) if named[index] not in axes]
    if loose:
        sign, rest = ("-", body[1:]) if body.startswith("-") else ("", body)
        body = f"{sign}Σ_{','.join(loose)} {rest}"
    return body


def latex(text: str) -> str:
    """A formula as LaTeX: subscripts for positions, fractions for quotients."""
    from jacobian.kernel.latex import latex as parsed  # only when it is asked for

    return parsed(text) or _roughly(text)


def _roughly(text: str) -> str:
    """The same for labels that are not written as Python reads them, piece by piece."""
    left, _, right = text.partition(" = ")
    out, _, into = left.partition("/∂")
    head = rf"\frac{{{_pieces(out)}}}{{{_pieces('∂' + into)}}}"
    return f"{head} = {_pieces(right)}"


def _pieces(text: str) -> str:
    text = re.sub(r"Σ_([\w,]+) ", r"\\sum_{\1} ", text)
    previous = ""
    while previous != text:  # innermost brackets first
        previous = text
        text = re.sub(r"([A-Za-z_δ][\w'.]*)\[([^\[\]]*)\]", lambda m: f"{_name(m[1])}_{{{m[2]}}}", text)
    text = re.sub(r"\[([^\[\]]*(?:<|=)[^\[\]]*)\]", r"\\left[\1\\right]", text)
    text = re.sub(r"\*\*\(([^()]*)\)", r"^{(\1)}", text)
    text = re.sub(r"\*\*(-?[\w.]+)", r"^{\1}", text)
    text = re.sub(r"\b(sin|cos|tan|exp|log|tanh|sinh|cosh)\(", r"\\\1(", text)
    text = text.replace(" * ", r"\,").replace("*", r"\,").replace("<=", r"\le ")
    return text.replace("∂", r"\partial ").replace("δ", r"\delta").replace("·", r"\cdot ")


def _name(name: str) -> str:
    return name if len(name) == 1 else rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
