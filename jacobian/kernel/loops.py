"""A loop over the parts of an axis, written out: the lines of a program that go along with it, and those around it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cached_property

from jacobian.kernel import syntax
from jacobian.kernel.axes import spot
from jacobian.kernel.cuts import Cut, Sorting, Within
from jacobian.kernel.lines import Line, body, heights, highest, tuple_text

LOOP = "a loop"  # where nobody reads its text


class Loop:
    """A loop over the parts of an axis that is cut, and the lines around it."""

    def __init__(self, sorting: Sorting, kept: frozenset[str], nbytes: Mapping[str, float]) -> None:
        self.sorting = sorting
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
        self.inner: list[Line] = []
        self._sums: list[tuple[str, str]] = []
        self._hosts: set[str] = set()  # memory that is read in the loop and written to
        for within in sorting.within:
            self._write(within)

    # -- memory -----------------------------------------------------------------------------------------------------

    def part(self, share: float) -> float:
        """How many bytes are there at once in a part that is such a share of all steps; sums are as large as ever."""
        sums = {part for _, part in self._sums}
        nbytes = {name: size * (1 if name in sums else share) for name, size in self._nbytes.items()}
        return highest(self.inner, frozenset(sums), nbytes)

    @cached_property
    def beside(self) -> tuple[float, float]:
        """How many bytes are there at once beside a part, and how many at most before or after the loop."""
        found = list(heights(self._around(LOOP), self._kept, self._nbytes))
        at = next(height for line, height in found if line.text == LOOP)
        return at, max(height for _, height in found)

    @property
    def scattered(self) -> int:
        """How many entries are written in rows of a part, between which there are those of others."""
        written = {name for line in self.inner if line.changes for name in (*line.uses, line.target)}
        slices = [(self.sorting.symbol(name), cut) for (name, cut), part in self._sliced.items() if part in written]
        return sum(symbol.size for symbol, cut in slices if cut.axis)

    # -- lines ------------------------------------------------------------------------------------------------------

    def lines(self, step: int, way: str = "in_parts") -> list[Line]:
        """The lines of the whole program."""
        made, added = self._made, {name for pair in self._sums for name in pair}  # to what is part of a place, too
        returned = f"return {tuple_text(f'({total}, {part})' for total, part in self._sums)}"
        texts = [*body(self.inner, added & made, made), returned]
        part = self._code.fresh("part")
        head, run = f"def {part}({self._start}, {self._stop}):", f"{way}({part}, {self.sorting.steps}, {step})"
        return self._around("\n    ".join(["\n        ".join([head, *texts]), run]))

    @property
    def _made(self) -> set[str]:
        """What is made in the loop."""
        return {line.target for line in self.inner if line.target and not line.changes}

    def _around(self, text: str) -> list[Line]:
        """The lines of the whole program, with the loop as one of that text."""
        uses = {name for line in self.inner for name in (*line.uses, line.target) if name}
        uses |= {name for pair in self._sums for name in pair}
        changed = {line.target for line in self.inner if line.changes} | {total for total, _ in self._sums}
        loop = Line("", text, frozenset(uses - self._made), check=True, changed=tuple(sorted(changed)))
        early, late = self._told_apart()
        return [*early, *self._first, loop, *late, *self.sorting.after]

    def _told_apart(self) -> tuple[list[Line], list[Line]]:
        """What is to be done before the loop, and what can be done after it: it holds no more than there is anyway."""
        sorting, program = self.sorting, self.sorting.program
        needed = {name for line in (*self._first, *self.inner) for name in (*line.uses, line.target)}
        touched = {program.memory(name) for name in needed}
        changed = program.changed | self._hosts
        later = {name for line in sorting.after for name in line.uses}
        early: list[Line] = []
        late: list[Line] = []
        for line in reversed(sorting.before):
            is_read = (line.new or line.view_of) and changed.isdisjoint(map(program.memory, (line.target, *line.uses)))
            is_made = is_read or (program.is_place(line) and program.memory(line.target) not in touched)
            more = [name for name in line.uses - needed - later if name in program.makers]
            is_held = sum(self._nbytes.get(name, 0.0) for name in more) <= self._nbytes.get(line.target, 0.0)
            if is_made and is_held and line.target in later - needed and line.target not in self._kept:
                late.append(line)
                later |= line.uses
            else:
                early.append(line)
                needed |= line.uses
        return early[::-1], late[::-1]

    def _write(self, within: Within) -> None:
        """Write a line of the loop."""
        line = within.line
        names = {name: self._slice(name, cut) for name, cut in within.cuts.items() if name not in self.sorting.cuts}
        names |= {name: self._parts[name] for name in within.cuts if name in self._parts}
        is_added = line.changes and (within.adds or self.sorting.program.is_in(line, self.sorting.added_up))
        if is_added:
            self._add_up(within, names)
            return
        whole = line.target if line.target in self._together | self.sorting.sums and not line.changes else ""
        if whole:
            names[whole] = self._parts[whole] = self._code.fresh()
            self._nbytes[names[whole]] = self._nbytes[whole]
        self.inner.append(_renamed(line, names, within))
        if whole and within.adds:
            self._first.append(self._blank(whole, "zeros"))
            self._sums.append((whole, names[whole]))
        elif whole:
            assert within.made is not None
            host = self._host(within)
            alias = Line(whole, f"{whole} = {host}", frozenset([host]), view_of=host)
            self._first.append(alias if host else self._blank(whole, "empty"))
            self._hosts |= {self.sorting.program.memory(host)} if host else set()
            place = self._slice(whole, within.made)
            uses = frozenset([names[whole], place])
            text = f"{place}[...] = {names[whole]}"
            self.inner.append(Line(whole, text, uses, copies=(names[whole], place), changes=True))

    def _add_up(self, within: Within, names: Mapping[str, str]) -> None:
        """Write a line that writes or adds to a place: what it adds, with zeros to start from."""
        line, place = within.line, within.reading.written
        if not line.adds:
            start = place if within.adds else line.target
            self._first.append(Line(line.target, f"{start}[...] = 0", frozenset([line.target, start]), changes=True))
        part = self._code.fresh()
        text = f"{part} = {ast.unparse(_added(_tree(line, names, within)))}"
        uses = frozenset(names.get(name, name) for name in (*line.uses, *within.cuts))
        self.inner.append(Line(part, text, uses, new=True))
        self._sums.append((names.get(place, place), part))
        self._nbytes[part] = self._nbytes[place]

    def _host(self, within: Within) -> str:
        """An array whose parts a function of entries reads, and nobody later: what it makes is put together there."""
        line, program, symbols = within.line, self.sorting.program, self._code.symbols
        lines = [*(one.line for one in self.sorting.within), *self.sorting.after]
        early = {one.target for one in self.sorting.before if one.new}
        for name in sorted(early & within.cuts.keys()) if line.call is not None else ():
            memory, alike = program.memory(name), (symbols[name].shape, symbols[name].kind)
            users = [one for one in lines if any(program.memory(used) == memory for used in one.uses)]
            is_free = users == [line] and memory not in program.changed | set(map(program.memory, self._kept))
            if is_free and within.cuts[name] == within.made and alike == (
                symbols[line.target].shape, symbols[line.target].kind
            ):  # fmt: skip
                return name
        return ""

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
            self.inner.insert(len(self._sliced) - 1, Line(part, text, frozenset([name]), view_of=name))
        return self._sliced[key]


def _renamed(line: Line, names: Mapping[str, str], within: Within) -> Line:
    """A line of a program as one that works on parts."""

    def part(name: str) -> str:
        return names.get(name, name)

    call, copies = line.call, line.copies
    if call is not None:
        given = syntax.expression(f"({call.given},)").body
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
    [tree] = syntax.statements(line.text).body
    _Renamed(names, within).generic_visit(tree)
    match tree:
        case ast.If(test=test) if line.late:  # the program as a whole will tell
            return ast.If(test, syntax.statements("raise OtherwiseError").body, [])
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
