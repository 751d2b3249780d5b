"""Terms as formulas in index notation: `∂y[i,k]/∂A[i,j] = B[j,k]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any

import numpy as np

from jacobian.kernel import covering, surds
from jacobian.kernel.access import Form, Lookup, combine, constant, indices
from jacobian.kernel.equations import Guard
from jacobian.kernel.latex import latex as parsed
from jacobian.kernel.latex import roughly
from jacobian.kernel.meanings import WORD, Meanings
from jacobian.kernel.progressions import progression
from jacobian.kernel.term import Factor, Scalar, Term
from jacobian.kernel.words import unused

FEW = 8  # entries of an array that are written below a formula

LETTERS = "ijklmnpqrstuvw"

Names = Callable[[int], str]


def letter(position: int) -> str:
    """The n-th index name: i, j, …, then i1, j1, …"""
    turn, place = divmod(position, len(LETTERS))
    return LETTERS[place] + (str(turn) if turn else "")


def table_name(number: int) -> str:
    """What a table of positions is called: t, t1, t2, …"""
    return f"t{number or ''}"


def letters(taken: Collection[str] = ()) -> Iterator[str]:
    """The index names that are nothing else's."""
    return (name for name in map(letter, count()) if name not in taken)


class Letters:
    """What the indices of a term are called, and the tables that its positions are looked up in.

    A table has a name, or is a text with `{}` for the position.
    """

    def __init__(self, indices: Sequence[str], tables: Sequence[str]) -> None:
        self._indices = indices
        self._tables = tables

    def __call__(self, index: int) -> str:
        """The name of an index."""
        return self._indices[index]

    def looked_up(self, table: int, positions: Sequence[str]) -> str:
        """The entry of a table."""
        text = self._tables[table]
        if "{}" not in text:
            return at(text, positions)
        (position,) = positions
        bare = text.replace("({})", "{}") if position.isidentifier() else text
        return bare.format(position)


def letters_of(term: Term) -> Letters:
    """The term's own letters where it has them, else i, j, k, …; none that an array in it bears."""
    return Spelling([term]).letters_of(term)


class Spelling:
    """What one formula calls what has no name yet, so that nothing in it bears the name of anything else."""

    def __init__(self, terms: Sequence[Term], names: Collection[str] = ()) -> None:
        self._terms, self._names = terms, names
        self._meanings = Meanings(terms, names)
        texts = [self._meanings.text(factor) for term in terms for factor in term.factors]
        words = {word for text in (*names, *texts) for word in WORD.findall(text)}
        self._tables: dict[int, str] = {}
        free = (name for name in map(table_name, count()) if name not in words)
        for table, text in _tables_of(terms).values():
            self._tables[id(table)] = text or next(free)
        self._unnamed: dict[int, str] = {}
        for factor in (factor for term in terms for factor in term.factors if not factor.text):
            self._unnamed.setdefault(id(factor.array), unused(f"F{len(self._unnamed) + 1}", words))
        self.taken = words | {"t", *self._tables.values()} if self._tables else words
        bound = sorted({name for text in texts for name in _BOUND.findall(text)})
        self._bound = dict(zip(bound, (name for name in BOUND if name not in self.taken), strict=False))

    @property
    def legend(self) -> list[str]:
        """What the names in the formula stand for that nobody gave: nodes, arrays, tables of positions."""
        meanings = Meanings(self._terms, self._names, with_legend=True)
        found = meanings.legend + [f"{name} = {_other_text(*other)}" for name, other in meanings.others.items()]
        unnamed = {id(f.array): tuple(np.shape(f.array)) for term in self._terms for f in term.factors if not f.text}
        found += [f"{name} = an array {unnamed[array]}" for array, name in self._unnamed.items()]
        tables = {id(table): table for term in self._terms for table in term.tables}
        return found + [f"{text} = {array_text(tables[one])}" for one, text in self._tables.items() if "{" not in text]

    def letters_of(self, term: Term, names: Sequence[str] | None = None) -> Letters:
        """Those of a term: its own, unless others are given."""
        own = list(term.letters if names is None else names)
        rest = letters({*self.taken, *own})
        own += islice(rest, len(term.pattern.sizes) - len(own))
        free = [next(rest) if name in self.taken else name for name in own]
        for index in first_only(term):
            free[index] = "0"
        return Letters(free, [self._tables[id(table)] for table in term.tables])

    def named_tables(self, term: Term) -> list[int]:
        """The tables of a term that have a name, rather than being written out."""
        return [slot for slot, table in enumerate(term.tables) if "{" not in self._tables[id(table)]]

    def number(self, value: Scalar) -> str:
        """A number in front: as the user wrote it, if it is one that the user wrote."""
        return (
            digits(value) if not isinstance(value, complex) and value in self._meanings.decimals else number_text(value)
        )

    def label(self, factor: Factor) -> str:
        """A factor's label, or a name for it."""
        text = self._meanings.text(factor) or self._unnamed[id(factor.array)]
        return _BOUND.sub(lambda match: self._bound.get(match[1]) or str(match[1]), text)


def _tables_of(terms: Sequence[Term]) -> dict[int, tuple[Any, str | None]]:
    """The tables by their ids, and the text for those that need no name.

    Where an index runs over a part of an axis, the length of a table is what tells.
    """
    found: dict[int, tuple[Any, str | None]] = {}
    for term in terms:
        pattern, is_part = term.pattern, _is_part(term)
        for table, known in zip(term.tables, pattern.tables, strict=True):
            if is_part or id(table) not in found:
                found[id(table)] = (table, None if is_part else progression(table, known.bound))
    return found


def _is_part(term: Term) -> bool:
    """Whether an index that stands for a position by itself does not run over the whole axis."""
    pattern = term.pattern
    axes = zip((*pattern.out, *pattern.into), (*pattern.out_shape, *pattern.in_shape), strict=True)
    return any(form.is_plain and pattern.sizes[next(indices(form))] < size for form, size in axes)


def array_text(array: Any) -> str:
    """A small array of one axis with its entries, any other by its shape."""
    if isinstance(array, np.ndarray) and array.ndim == 1 and array.size <= FEW:
        return f"[{', '.join(f'{entry}' if array.dtype.kind in 'biu' else f'{entry:.6g}' for entry in array)}]"
    return f"an array {tuple(np.shape(array))}"


def _other_text(word: str, held: Any) -> str:
    """What bears a name only as its own is something else's: by its entries where these are few, and short."""
    is_list = isinstance(held, np.ndarray) and held.ndim == 1 and held.size <= FEW and held.dtype.kind in "biuf"
    short = is_list and all(float(f"{entry:.6g}") == entry for entry in held)
    return array_text(held) if short else f"{word} of another run"


def first_only(term: Term) -> set[int]:
    """Indices that are always 0, on an axis that has more positions: such an axis is read at 0, not at an index."""
    pattern = term.pattern
    ends = zip((*pattern.out, *pattern.into), (*pattern.out_shape, *pattern.in_shape), strict=True)
    longer = {next(indices(form)) for form, size in ends if form.is_plain and size > 1}
    return {index for index in longer if pattern.sizes[index] == 1}


BOUND = [*"abcdefgh", *(f"{name}{n}" for n in range(1, 9) for name in "abcdefgh")]
_BOUND = re.compile(r"@([a-h]\d?)(?!\w)")
"""An index that is summed inside a label, before it gets its letter: `Σ_@a`."""


def form_text(form: Form, names: Names) -> str:
    """A position as text: `2*i + k - 1`, `t[i]`."""
    pieces: list[str] = []
    for atom, stride in form.parts:
        if isinstance(atom, Lookup):
            args = [form_text(arg, names) for arg in atom.args]
            name = names.looked_up(atom.table, args) if isinstance(names, Letters) else at(table_name(atom.table), args)
            name = f"({name})" if " " in name and (form.offset or len(form.parts) > 1 or stride != 1) else name
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


def at(name: str, places: Iterable[object]) -> str:
    """`A[i,j]`, `X[0,3]`; a scalar is its name alone."""
    text = ",".join(map(str, places))
    return f"{name}[{text}]" if text else name


def indexed(name: str, forms: Sequence[Form], names: Names) -> str:
    """`A[i,2*j]`."""
    return at(name, (form_text(form, names) for form in forms))


def indexed_label(name: str, rank: int) -> str:
    """A factor's bare name as a label with its positions written out: `B[@0,@1]`."""
    return at(name, (f"@{axis}" for axis in range(rank))) if name else ""


def factor_text(label: str, forms: Sequence[Form], names: Names, nth: int) -> str:
    """A factor's label with its positions filled in."""
    label = label or f"F{nth}"
    if not is_placed(label):
        return indexed(label, forms, names)

    def position(match: re.Match[str]) -> str:
        if match["alone"]:
            offset = constant(int((match["sign"] or "+") + (match["offset"] or "0")))
            return form_text(combine((-1 if match["minus"] else 1, forms[int(match["alone"])]), (1, offset)), names)
        text = form_text(forms[int(match["axis"])], names)
        return f"({text})" if _binds(text, label[: match.start()].rstrip(), label[match.end() :].lstrip()) else text

    return _SUM_OF_NUMBERS.sub(lambda match: str(int(match[1]) + int(match[2] + match[3])), _PLACE.sub(position, label))


def is_placed(label: str) -> bool:
    """Whether a label has its positions written out, rather than being a name that they are put behind."""
    return re.search(r"@\d", label) is not None


_SUM_OF_NUMBERS = re.compile(r"(?<=[\[,(])(\d+) ([+-]) (\d+)(?=[\],)])")
_PLACE = re.compile(
    r"(?<=[\[,])(?P<minus>-?)@(?P<alone>\d+)(?: (?P<sign>[+-]) (?P<offset>\d+))?(?=[\],])|@(?P<axis>\d+)"
)
"""One position, and a number beside it if that is all that stands between brackets; or one in other company."""


def _binds(text: str, before: str, after: str) -> bool:
    """Whether what stands beside a position binds more tightly than its own signs."""
    if is_sum(text) or text.startswith("-") or " % " in text:
        return before.endswith(("*", "/", "%", "-", "+")) or after.startswith(("*", "/", "%"))
    return "*" in text and (before.endswith(("**", "/", "%")) or after.startswith("**"))


def digits(number: Any) -> str:
    """A number, all of it: `2`, `0.1`, `1e-05`."""
    if isinstance(number, bool):
        return str(number)
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def number_text(value: Scalar) -> str:
    """A scalar factor as short as it can be written exactly."""
    if isinstance(value, complex):
        short = f"{value:g}"
        return f"({short})" if complex(short) == value else f"({float(value.real)}{float(value.imag):+}j)"
    return surds.number(float(value))


def product_text(term: Term, names: Names, deltas: Iterable[str] = (), spelling: Spelling | None = None) -> str:
    """The right-hand side of one term, with its sign in front when negative."""
    label, number = (spelling.label, spelling.number) if spelling else (lambda factor: factor.text, number_text)
    labels = [label(factor) for factor in term.factors]
    term = _with_ranges_of_sums(term, labels, spelling)
    pattern = term.pattern
    pieces = list(deltas)
    pieces += [
        factor_text(one, access.forms, names, nth + 1)
        for nth, (one, access) in enumerate(zip(labels, pattern.factors, strict=True))
    ]
    summed = [names(k) for k in range(len(pattern.sizes)) if k not in pattern.free]
    alone = len(pieces) == 1 and not pattern.guards and not summed and term.scale == 1
    scale = term.scale
    if not alone and not isinstance(scale, complex):
        scale, pieces = without_numbers(scale, pieces)
    pieces = [f"({piece})" if is_sum(piece) and not alone else piece for piece in pieces]
    pieces += filter(None, (_guard_text(guard, names, pattern.sizes) for guard in pattern.guards))
    sign = "-" if not isinstance(scale, complex) and scale < 0 else ""
    size = abs(scale) if sign else scale
    if size != 1 or not pieces:
        pieces.insert(0, number(size))
    body = joined(pieces)
    if summed:
        body = f"Σ_{','.join(summed)} {body}"
    return sign + body


def _guard_text(guard: Guard, names: Names, sizes: Sequence[int]) -> str:
    """`[0 <= i - j < 3]`, `[i < 2]`; empty where it always holds."""
    text = form_text(guard.form, names)
    index = next(indices(guard.form), None)
    if index is not None:
        short = covering.range_text(guard, names(index), sizes[index])
        if short is not None:
            return f"[{short}]" if short else ""
    return f"[{text} = 0]" if guard.extent == 1 else f"[0 <= {text} < {guard.extent}]"


def _with_ranges_of_sums(term: Term, labels: Sequence[str], spelling: Spelling | None) -> Term:
    """The term with guards for summed indices that its arrays, as they are read, would let go further."""
    pattern = term.pattern
    summed = [index for index in range(len(pattern.sizes)) if index not in pattern.free]
    spots = [(one.form, one.extent) for one in pattern.guards]
    spots += covering.looked_up(pattern, spelling.named_tables(term) if spelling else range(len(pattern.tables)))
    for label, access in zip(labels, pattern.factors, strict=True):
        for axis, spot in enumerate(zip(access.forms, access.shape, strict=True)):
            if not is_placed(label) or re.search(rf"[\[,]@{axis}[\],]", label):
                spots.append(spot)
    return covering.told(term, summed, spots)


def _is_read(label: str) -> bool:
    """Whether a label is entries of an array, which count as 0 beyond its ends: `2 * x[@0]`, and not `cos(x[@0])`."""
    return not is_placed(label) or re.fullmatch(r"(-?[\d./]+ \* )?\w+\[@\d+(,@\d+)*\]", label) is not None


def _with_ranges(term: Term, spelling: Spelling) -> Term:
    """The term with guards for the indices that the axes of output and input would let go further."""
    pattern, alone = term.pattern, first_only(term)
    spots = [*covering.ends(pattern), *covering.looked_up(pattern, spelling.named_tables(term))]
    spots += [(guard.form, guard.extent) for guard in pattern.guards]
    spots += covering.reads_elsewhere(pattern, [_is_read(spelling.label(factor)) for factor in term.factors])
    return covering.told(term, [index for index in pattern.free if index not in alone], spots)


def joined(pieces: Iterable[str]) -> str:
    """Factors as a product; what is 1 over something divides the others.

    >>> joined(["1 / x[i]", "2", "y[i]"]), joined(["1/2", "1 / s"])
    ('2 * y[i] / x[i]', '1/2 * 1 / s')
    """
    body = ""
    for piece in sorted(pieces, key=lambda piece: piece.startswith("1 / ")):
        divides = piece.startswith("1 / ") and body and not re.fullmatch(r"\d+/\d+", body)
        body += piece[1:] if divides else f" * {piece}" if body else piece
    return body


def without_numbers(scale: float, pieces: Sequence[str]) -> tuple[float, list[str]]:
    """Signs and numbers that stand first in a factor join the number in front: `-1/2 * 2 * x` is `-x`."""
    rest: list[str] = []
    for piece in pieces:
        if not is_sum(piece):
            if piece.startswith("-"):
                scale, piece = -scale, piece[1:]
            number = re.match(r"(\d+(?:\.\d+)?)(?:/(\d+))? ([*/]) ", piece)
            if number:
                scale = scale * float(number[1]) / float(number[2] or 1)
                piece = ("1 / " if number[3] == "/" else "") + piece[number.end() :]
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


def formula(
    terms: Sequence[Term], names: tuple[str, str], ranks: tuple[int, int], spelling: Spelling | None = None
) -> str:
    """The whole Jacobian as one line of index notation, or some of its terms as it spells them.

    When all terms read and write the same positions these stand on the left, a shared index being a δ;
    otherwise every axis has an index of its own on the left and the δ are written out.
    """
    out_name, in_name = names
    spelling = spelling or Spelling(terms, names)
    terms = [covering.inside_only(term, [not _is_read(spelling.label(f)) for f in term.factors]) for term in terms]
    if terms and all(
        (term.pattern.out, term.pattern.into, term.pattern.sizes) ==
        (terms[0].pattern.out, terms[0].pattern.into, terms[0].pattern.sizes)
        for term in terms
    ):  # fmt: skip
        told = [_with_ranges(term, spelling) for term in terms]
        if any(one is not term for one, term in zip(told, terms, strict=True)):
            told = [_with_ranges(covering.standing(term), spelling) for term in terms]
        terms = told
        pattern, own = terms[0].pattern, terms[0].letters
        names_of = spelling.letters_of(terms[0])
        left = _quotient(indexed(out_name, pattern.out, names_of), indexed(in_name, pattern.into, names_of))
        each = [spelling.letters_of(term, own) for term in terms]
        texts = [product_text(term, one, spelling=spelling) for term, one in zip(terms, each, strict=True)]
        return f"{left} = {sum_text(texts)}"
    axes = list(islice(letters(spelling.taken), sum(ranks)))
    out, into = axes[: ranks[0]], axes[ranks[0] :]
    left = _quotient(at(out_name, out), at(in_name, into))
    return f"{left} = {sum_text(_with_deltas(term, axes, spelling) for term in terms) or '0'}"


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


def _with_deltas(term: Term, axes: Sequence[str], spelling: Spelling) -> str:
    term = _with_ranges(covering.standing(term), spelling)
    named = dict.fromkeys(first_only(term), "0")
    pending: list[tuple[str, Form]] = []
    for axis, form in zip(axes, (*term.pattern.out, *term.pattern.into), strict=True):
        index = next(indices(form), -1)
        if form.is_plain and index not in named:
            named[index] = axis
        else:
            pending.append((axis, form))
    fresh = letters({*spelling.taken, *axes})
    for index in range(len(term.pattern.sizes)):
        if index not in named:
            named[index] = next(fresh)
    names = spelling.letters_of(term, [named[index] for index in range(len(named))])
    bound = {form_index for _, form in pending for form_index in indices(form)} & set(term.pattern.free)
    deltas = [f"δ[{axis},{form_text(form, names)}]" for axis, form in pending]
    body = product_text(term, names, deltas, spelling)
    loose = [named[index] for index in sorted(bound) if named[index] not in (*axes, "0")]
    if loose:
        sign, rest = ("-", body[1:]) if body.startswith("-") else ("", body)
        body = f"{sign}Σ_{','.join(loose)} {rest}"
    return body


def latex(text: str) -> str:
    """A formula as LaTeX: subscripts for positions, fractions for quotients."""
    return parsed(text) or roughly(text)
