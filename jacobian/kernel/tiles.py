"""Programs in tiles: what is long along some axis is gone through part by part, and each part stays in the cache.

Lines whose arrays go along with that axis become a loop over its parts. What they sum over it is added up, what is read
after the loop is put together, and nothing else is ever there as a whole: a batch of any size takes as much memory as
one part of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil

import numpy as np

from jacobian.kernel.axes import spot
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.cuts import Cut, Program, Sorting, Within
from jacobian.kernel.effort import LINE, PRODUCT, line_effort
from jacobian.kernel.lines import Line, body, function_text, highest, tuple_text

PART = 2**20  # bytes of arrays that are there at once while a part is gone through: they stay in the cache
FOR_BLAS = 2**21  # the same beside products, which BLAS makes on all cores as long as they are large
SMALLEST = 2**19  # the same where there is less memory to spare:
SHARE = 8  # as much as is given, and so much less than that and the results together
LEAST = 3 * 2**19  # bytes of all parts, from which on they are told apart
SHORTEST = 8  # steps of a part
ROUGHLY = 2  # times as large a part may be
BEGINNING = 8  # times as long as its lines take to begin is what a part should take
MOSTLY = 0.55  # of the time within BLAS, from which on its matrices should stay as large as they are
HARDLY = 0.05  # of the time within BLAS, below which parts may be gone through on all cores: BLAS uses these itself
LONG = 2e4  # nanoseconds that a line takes in a part, from which on it is worthwhile to do two of them at once
SLOW = 3.0  # nanoseconds for an entry of a function that is no arithmetic
MOST_LINES = 1000  # of a program that is looked at
CANDIDATES = 4  # arrays that are tried
WORTHWHILE = 0.8  # of the memory that is needed otherwise

_SLOW = {
    np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh,
    np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh, np.arctan2, np.hypot, np.power, np.cbrt,
    np.logaddexp,
}  # fmt: skip


def text_in_tiles(code: Code, arguments: Iterable[str], results: Sequence[str]) -> str | None:
    """A program as a function that returns all results as a tuple; None where a loop saves too little."""
    lines = in_tiles(code, code.lines_in_turn(results), frozenset(results))
    if lines is None:
        return None
    made = {line.target for line in lines if line.target}
    return function_text(arguments, body(lines, frozenset(results), made), tuple_text(results))


def in_tiles(code: Code, lines: Sequence[Line], kept: frozenset[str]) -> list[Line] | None:
    """The lines with a loop among them; None where that saves too little."""
    nbytes = {name: _nbytes(symbol) for name, symbol in code.symbols.items()}
    made = sorted((line.target for line in lines if line.new), key=lambda name: -nbytes[name])
    before = highest(lines, kept, nbytes)
    if len(lines) > MOST_LINES or before < LEAST:
        return None
    loops = [loop for loop in _loops(Program(code, lines), made[:CANDIDATES], kept, nbytes) if loop.is_possible]
    best = min(loops, key=lambda loop: loop.peak, default=None)
    return None if best is None or best.peak > WORTHWHILE * before else best.lines


def _loops(
    program: Program, names: Iterable[str], kept: frozenset[str], nbytes: Mapping[str, float]
) -> Iterator[Loop]:  # fmt: skip
    """Loops over the axes of arrays, each with as few lines as that needs, and with more of what is made before."""
    seen: set[frozenset[str]] = set()
    for name in names:
        for axis, steps in enumerate(program.code.symbols[name].shape):
            more, cuts = {name: Cut(axis, 1)}, dict[str, Cut]()
            while more and steps >= 2 * SHORTEST:
                cuts |= more
                sorting = Sorting(program, cuts, steps)
                lines = frozenset(within.line.text for within in sorting.within)
                if lines not in seen:
                    yield Loop(sorting, kept, nbytes)
                seen.add(lines)
                more = {one: cut for one, cut in sorting.more().items() if one not in cuts}


def _nbytes(symbol: Symbol) -> float:
    return float(symbol.size * (8 if symbol.kind is None else symbol.kind.itemsize))


class Loop:
    """A loop over the parts of an axis that is cut, and the lines around it."""

    def __init__(self, sorting: Sorting, kept: frozenset[str], nbytes: Mapping[str, float]) -> None:
        self._sorting = sorting
        self._code = sorting.program.code
        self._kept = kept
        self._nbytes = dict(nbytes)
        self._together = sorting.together | (kept & sorting.cuts.keys())
        self._parts: dict[str, str] = {}  # of what is there as a whole, too
        self._sliced: dict[tuple[str, Cut], str] = {}
        self._start, self._stop = self._code.fresh("i"), self._code.fresh("i")
        self.is_possible = all(
            self._code.symbols[name].kind is not None for name in (*self._together, *sorting.sums)
        ) and bool(sorting.within)
        if not self.is_possible:
            return
        self._first: list[Line] = []
        self._inner: list[Line] = []
        self._sums: list[tuple[str, str]] = []
        self._is_at_once = False
        for within in sorting.within:
            self._write(within)
        alive, count = self._count()
        self.is_possible = count > 1
        self._step = ceil(sorting.steps / max(count, 1))
        self.lines = self._lines()
        self.peak = highest(self.lines, kept, nbytes) + alive * self._step / sorting.steps

    def _count(self) -> tuple[float, int]:
        """How many bytes are alive in all parts together, and how many parts there should be."""
        sorting = self._sorting
        alive = highest(self._inner, frozenset(), self._nbytes)
        lines = [within.line for within in sorting.within]
        effort = sum(line_effort(self._code, line) + self._beyond_arithmetic(line) for line in lines)
        by_blas = PRODUCT * sum(line.products for line in lines) / effort
        if alive < LEAST or by_blas > MOSTLY:
            return alive, 1
        given = sum(self._nbytes[line.target] for line in sorting.before if not (line.uses or line.blank or line.check))
        spare = given + (given + sum(self._nbytes.get(name, 0.0) for name in self._kept)) / SHARE
        part = min(PART if by_blas < HARDLY else FOR_BLAS, max(SMALLEST, spare))
        most = min(sorting.steps // SHORTEST, int(effort / (BEGINNING * LINE * len(self._inner))))
        if alive > ROUGHLY * PART * most:
            return alive, 1
        count = min(ceil(alive / part), most)
        self._is_at_once = by_blas < HARDLY and effort >= LONG * count * len(self._inner)
        return alive, min(2 * count, most) if self._is_at_once else count

    def _beyond_arithmetic(self, line: Line) -> float:
        """What a line takes for functions that are no arithmetic."""
        function = None if line.call is None else self._code.constants.get(line.call.function)
        return SLOW * self._code.symbols[line.target].size if function in _SLOW else 0.0

    # -- lines ------------------------------------------------------------------------------------------------------

    def _lines(self) -> list[Line]:
        """The lines of the whole program."""
        sorting = self._sorting
        made = {line.target for line in self._inner if line.target and not line.changes}
        pairs = {name for pair in self._sums for name in pair}
        uses = frozenset(name for line in self._inner for name in (*line.uses, line.target) if name) | pairs
        returned = f"return {tuple_text(f'({total}, {part})' for total, part in self._sums)}"
        texts = [*body(self._inner, pairs & made, made), returned]
        part, way = self._code.fresh("part"), "in_parts_at_once" if self._is_at_once else "in_parts"
        head, run = f"def {part}({self._start}, {self._stop}):", f"{way}({part}, {sorting.steps}, {self._step})"
        text = "\n    ".join(["\n        ".join([head, *texts]), run])
        changed = {line.target for line in self._inner if line.changes} | {total for total, _ in self._sums}
        loop = Line("", text, uses - made, check=True, changed=tuple(sorted(changed)))
        return [*sorting.before, *self._first, loop, *sorting.after]

    def _write(self, within: Within) -> None:
        """Write a line of the loop."""
        line = within.line
        names = {name: self._slice(name, cut) for name, cut in within.cuts.items() if name not in self._sorting.cuts}
        names |= {name: self._parts[name] for name in within.cuts if name in self._parts}
        is_added = line.changes and (within.adds or self._sorting.program.is_in(line, self._sorting.added_up))
        if is_added:
            self._add_up(within, names)
            return
        whole = line.target if line.target in self._together | self._sorting.sums and not line.changes else ""
        if whole:
            names[whole] = self._parts[whole] = self._code.fresh()
            self._nbytes[names[whole]] = self._nbytes[whole]
        self._inner.append(_renamed(line, names, within))
        if whole and within.adds:
            self._first.append(self._blank(whole, "zeros"))
            self._sums.append((whole, names[whole]))
        elif whole:
            assert within.made is not None
            self._first.append(self._blank(whole, "empty"))
            place = self._slice(whole, within.made)
            uses = frozenset([names[whole], place])
            text = f"{place}[...] = {names[whole]}"
            self._inner.append(Line(whole, text, uses, copies=(names[whole], place), changes=True))

    def _add_up(self, within: Within, names: Mapping[str, str]) -> None:
        """Write a line that writes or adds to a place: what it adds, with zeros to start from."""
        line, place = within.line, within.reading.written
        if not line.adds:
            start = place if within.adds else line.target
            self._first.append(Line(line.target, f"{start}[...] = 0", frozenset([line.target, start]), changes=True))
        part = self._code.fresh()
        text = f"{part} = {ast.unparse(_added(_tree(line, names, within)))}"
        uses = frozenset(names.get(name, name) for name in (*line.uses, *within.cuts))
        self._inner.append(Line(part, text, uses, new=True))
        self._sums.append((names.get(place, place), part))
        self._nbytes[part] = self._nbytes[place]

    def _blank(self, name: str, make: str) -> Line:
        symbol = self._code.symbols[name]
        dtype = self._code.constant(symbol.kind, "dtype")
        return Line(name, f"{name} = {make}({symbol.shape}, {dtype})", frozenset(), blank=True, new=True)

    def _slice(self, name: str, cut: Cut) -> str:
        """The part of an array that is there as a whole."""
        key = (name, cut)
        if key not in self._sliced:
            self._sliced[key] = part = self._code.fresh()
            start, stop = (one if cut.factor == 1 else f"{one}*{cut.factor}" for one in (self._start, self._stop))
            text = f"{part} = {name}[{':, ' * cut.axis}{start}:{stop}]"
            self._inner.insert(len(self._sliced) - 1, Line(part, text, frozenset([name]), view_of=name))
        return self._sliced[key]


def _renamed(line: Line, names: Mapping[str, str], within: Within) -> Line:
    """A line of a program as one that works on parts."""

    def part(name: str) -> str:
        return names.get(name, name)

    call, copies = line.call, line.copies
    if call is not None:
        given = ast.parse(f"({call.given},)", mode="eval").body
        assert isinstance(given, ast.Tuple)
        parts = map(_Renamed(names).visit, given.elts)
        call = call._replace(given=", ".join(map(ast.unparse, parts)), place=part(call.place))
    text = ast.unparse(ast.fix_missing_locations(_tree(line, names, within))).replace(":\n    ", ": ")
    return line._replace(
        target=line.target if line.changes else part(line.target), text=text,
        uses=frozenset(map(part, (*line.uses, *within.cuts))),
        call=call, copies=copies and (part(copies[0]), part(copies[1])), over=tuple(map(part, line.over)),
        view_of=part(line.view_of), late=False,
    )  # fmt: skip


def _tree(line: Line, names: Mapping[str, str], within: Within) -> ast.stmt:
    """A statement as one that works on parts: these are too small to be written on all cores."""
    [tree] = ast.parse(line.text).body
    _Renamed(names, within).generic_visit(tree)
    match tree:
        case ast.If(test=test) if line.late:  # the program as a whole will tell
            return ast.If(test, ast.parse("raise OtherwiseError").body, [])
        case ast.Expr(value=ast.Call(func=ast.Name(id="on_all_cores"), args=[function, *args], keywords=[word])):
            if isinstance(function, ast.Name) and function.id == "copyto":
                return ast.Assign([ast.Subscript(word.value, ast.Constant(...))], args[0])
            return ast.Expr(ast.Call(function, args, [word]))
    return tree


def _added(tree: ast.stmt) -> ast.expr:
    """What a statement writes, or adds, to a place."""
    match tree:
        case ast.AugAssign(value=value) | ast.Assign(value=value):
            return value
        case ast.Expr(value=ast.Call(func=function, args=args, keywords=words)):
            place = next(word.value for word in words if word.arg == "out")
            if ast.unparse(args[0]) == ast.unparse(place):  # `add(place, value, out=place)`
                return args[1]
            return ast.Call(function, args, [word for word in words if word.arg != "out"])
    raise AssertionError(ast.unparse(tree))


class _Renamed(ast.NodeTransformer):
    """Puts parts in the place of arrays, and lets shapes be those of parts."""

    def __init__(self, names: Mapping[str, str], within: Within | None = None) -> None:
        self._names = names
        self._label = None if within is None else within.label
        self._shapes = {} if within is None else within.reading.shapes
        self._counts = {} if within is None else within.reading.counts

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Another name."""
        return ast.Name(self._names.get(node.id, node.id), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call, with the axis that is cut as long as it happens to be."""
        axes = self._shapes.get(spot(node), ())
        self.generic_visit(node)
        for shape in node.args:
            if isinstance(shape, ast.Tuple):
                for place, one in enumerate(axes):
                    if one is not None and one.label == self._label:
                        shape.elts[place] = ast.Constant(-1)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """A comparison, with the number of entries that there are."""
        name = self._counts.get(spot(node))
        self.generic_visit(node)
        if name is not None:
            node.comparators = [ast.Attribute(ast.Name(self._names.get(name, name)), "size")]
        return node
