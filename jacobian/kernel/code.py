"""Straight-line NumPy programs: what is to be computed is written down once and run as often as wanted.

The kernel writes its contractions this way, so that everything indices decide is decided once per pattern; the chain
rule over a graph writes all of its contractions into one program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from math import isfinite, prod
from typing import Any, TypeVar

import numpy as np

from jacobian.errors import JacobianError
from jacobian.kernel.arraylike import Shaped
from jacobian.kernel.choices import ONE, Masked
from jacobian.kernel.facts import LARGE, SEVERAL, Facts, kind_beside
from jacobian.kernel.lines import Call, Line, body, function_text, tuple_text
from jacobian.kernel.pattern import Shape
from jacobian.kernel.reuse import FILLED, WORTHWHILE, Reused
from jacobian.kernel.subscripts import subscript
from jacobian.kernel.threads import in_parts, in_parts_at_once, on_all_cores

T = TypeVar("T")
PROGRAM = "<jacobian program>"  # where the compiler says that its lines are from


class OtherwiseError(Exception):
    """Raised by a program at numbers for which it was not written."""


OTHERWISE = (OtherwiseError, ArithmeticError, np.linalg.LinAlgError)
"""What programs end with there: floating-point errors are raised, and a matrix may have no inverse."""

NOT_PLAYED = (*OTHERWISE, ValueError, IndexError, JacobianError)
"""What a whole call may end with that is written down: tracing will tell."""


_FUNCTIONS = (
    "add array ascontiguousarray broadcast_to copyto count_nonzero divide einsum empty matmul multiply ndarray "
    "negative subtract vdot zeros"
)
_OURS = {one.__name__: one for one in (OtherwiseError, on_all_cores, in_parts, in_parts_at_once)}
_ALWAYS: dict[str, Any] = {**_OURS, **{name: getattr(np, name) for name in _FUNCTIONS.split()}}


class Symbol(Shaped):
    """An array of a program: its name and its shape. Two symbols are the same array when they are the same object.

    `rough` says that it may be a view with strides that BLAS does not take; `kind` is its dtype, where that is known;
    `strides` and `offset` are those, in bytes, of a place in a result.
    """

    __slots__ = ("kind", "name", "offset", "rough", "shape", "strides")

    def __init__(
        self, name: str, shape: Shape, *, rough: bool = False, kind: np.dtype[Any] | None = None
    ) -> None:  # fmt: skip
        self.name = name
        self.shape = shape
        self.rough = rough
        self.kind = kind
        self.strides: Shape | None = None
        self.offset = 0

    def __str__(self) -> str:
        """The name, as the program's text has it."""
        return self.name


class Code(Facts):
    """A program under construction. Equal expressions are computed once.

    `reused` is for a program that is run often and hands out its large results by `Reused.lend`: their memory by name.
    """

    def __init__(self, reused: dict[str, Reused] | None = None) -> None:
        super().__init__()
        self.reused = reused
        self.exact = False  # whether what is recorded is to be as NumPy has it to the last bit: values are, slopes not
        self.lines: list[Line] = []
        self.constants: dict[str, Any] = dict(_ALWAYS)
        self.symbols: dict[str, Symbol] = {}  # what lines assign
        self._known: dict[str, Symbol] = {}
        self._constant_names: dict[int, Symbol] = {}
        self._made: dict[Hashable, Symbol] = {}  # constants by what they are
        self._given_up: set[str] = set()  # at their last use
        self.settled: set[str] = set()  # what is the same at every run
        self._stacks: dict[tuple[str, ...], Symbol] = {}
        self._count = 0

    def fresh(self, prefix: str = "t") -> str:
        """A name that is not used yet: `exp2_6` where `exp26` may be another one."""
        self._count += 1
        return f"{prefix}{'_' if prefix[-1].isdigit() else ''}{self._count}"

    def let(
        self, text: str, uses: Iterable[Symbol], shape: Shape, *, rough: bool = False, check: bool = False,
        new: bool = False, view_of: Symbol | None = None, kind: np.dtype[Any] | None = None, products: int = 0,
        calls: bool = False,
    ) -> Symbol:  # fmt: skip
        """Assign an expression to a new name; a check is to run even if nobody uses the name."""
        known = self._known.get(text)
        if known is not None:
            return known
        symbol = Symbol(self.fresh(), shape, rough=rough, kind=kind if view_of is None else view_of.kind)
        names, owner = frozenset([use.name for use in uses]), "" if view_of is None else view_of.name
        self.lines.append(
            Line(
                symbol.name, f"{symbol.name} = {text}", names, check, new=new, view_of=owner, products=products,
                calls=calls,
            )
        )  # fmt: skip
        self._known[text] = self.symbols[symbol.name] = symbol
        if symbol.size >= SEVERAL:
            self._given_up.add(symbol.name)
        return symbol

    def apply(
        self, text: str, function: str, arguments: Sequence[Symbol | str], shape: Shape, *, rough: bool = False,
        kind: np.dtype[Any] | None = None, products: int = 0,
    ) -> Symbol:  # fmt: skip
        """Assign a function of entries, which one of its arguments may be overwritten with when it is needed no more.

        `text` is how it is written otherwise. Unless its dtype is told it is that of the arguments, if they have one.
        """
        symbols = [one for one in arguments if isinstance(one, Symbol)]
        kind = kind or kind_beside(symbols)
        start = len(self.lines)
        symbol = self.let(text, symbols, shape, rough=rough, new=True, kind=kind, products=products)
        if kind is not None and len(self.lines) > start:
            given = ", ".join(map(str, arguments))
            over = tuple(
                one.name for one in symbols
                if shape and symbol.size >= LARGE and one.shape == shape and one.kind == kind and one.rough <= rough
            )  # fmt: skip
            self.lines[-1] = self.lines[-1]._replace(call=Call(function, given), over=over)
            if function == "multiply" and len(arguments) == 2:
                self._note_product(symbol, arguments)
        return symbol

    def key(self, key: Any) -> Symbol:
        """An index of numbers and slices, which is made once."""
        return self.made_once(("key", repr(key)), lambda: key)

    def array(self, text: str, shape: Shape, uses: Iterable[Symbol] = ()) -> Symbol:
        """A new array to be written to: never the same as another."""
        symbol = Symbol(self.fresh("full"), shape)
        names = frozenset(use.name for use in uses)
        self.lines.append(Line(symbol.name, f"{symbol} = {text}", names, blank=not names))
        self.symbols[symbol.name] = symbol
        self._given_up.add(symbol.name)
        return symbol

    def place(self, whole: Symbol, shape: Shape, offset: int, strides: Shape, dtype: Symbol) -> Symbol:
        """A view of an array to be written to, by its offset and strides in bytes."""
        kind = self.constants[dtype.name]
        one = kind.itemsize
        key = subscript(shape, offset // one, tuple(step // one for step in strides), whole.shape)
        text = f"ndarray({shape}, {dtype}, {whole}, {offset}, {strides})"
        if key is not None:  # takes a quarter of the time
            text = f"{whole}[{self.key(key)}]"
        symbol = self.let(text, [whole], shape, kind=kind)
        symbol.strides, symbol.offset = strides, offset
        return symbol

    def result(self, make: str, shape: Shape, dtype: np.dtype[Any], *, may_be_lent: bool = True) -> Symbol:
        """Such an array for a result, made by `zeros` or `empty`."""
        text = f"{make}({shape}, {self.constant(dtype, 'dtype')})"
        least = FILLED if make == "empty" else WORTHWHILE
        if self.reused is None or not may_be_lent or prod(shape) * dtype.itemsize < least:
            symbol = self.array(text, shape)
        else:
            memory = Reused(getattr(np, make), shape, dtype)
            symbol = self.array(f"{self.constant(memory, 'memory')}.fresh()", shape)
            self.reused[symbol.name] = memory
        symbol.kind = dtype
        return symbol

    def memories(self, results: Iterable[str]) -> list[Reused | None]:
        """By which memory each of the results is lent, if it is."""
        return [(self.reused or {}).get(name) for name in results]

    def is_own(self, name: str) -> bool:
        """Whether an array is made here, and no view of another one."""
        return name in self.settled or any(line.new or line.blank for line in self.lines if line.target == name)

    def is_large(self, shape: Shape, dtype: np.dtype[Any]) -> bool:
        """Whether a result of a program that runs often is so large that it is better computed where it stays."""
        return self.reused is not None and prod(shape) * dtype.itemsize >= WORTHWHILE

    def do(
        self, text: str, uses: Iterable[Symbol], changed: Symbol, *, adds: bool = False, products: int = 0,
        call: Call | None = None, listed: int = 0,
    ) -> None:  # fmt: skip
        """A statement that changes an array, one made by `array`: it stands for no expression."""
        names = frozenset(use.name for use in uses)
        line = Line(changed.name, text, names, changes=True, adds=adds, products=products)
        self.lines.append(line._replace(call=call, listed=listed))

    def copy(self, text: str, symbol: Symbol, place: Symbol, whole: Symbol) -> None:
        """Copy an array to a view of an array where nobody wrote yet; it may be computed there in the first place."""
        same = symbol.shape == place.shape and symbol.kind is not None and symbol.kind == place.kind
        copies = (symbol.name, place.name) if same else None
        uses = frozenset([symbol.name, place.name])
        self.lines.append(Line(whole.name, text, uses, copies=copies, changes=True))

    def stack(self, symbols: Sequence[Symbol], shape: Shape) -> Symbol:
        """Arrays of one shape and dtype one after another, as an array of that shape; computed there where it can be.

        Nobody writes there any more, so that the same arrays are stacked once.
        """
        (kind,) = {symbol.kind for symbol in symbols}
        assert kind is not None
        names, first = tuple(symbol.name for symbol in symbols), symbols[0]
        whole = self._stacks.get(names)
        if whole is None or whole.shape != shape:
            dtype = self.constant(kind, "dtype")
            self._stacks[names] = whole = self.array(f"empty({shape}, {dtype})", shape)
            whole.kind = kind
            steps = tuple(kind.itemsize * prod(first.shape[axis + 1 :]) for axis in range(first.ndim))
            for number, symbol in enumerate(symbols):
                place = self.place(whole, symbol.shape, number * symbol.size * kind.itemsize, steps, dtype)
                self.copy(f"{place}[...] = {symbol}", symbol, place, whole)
        return whole

    def put_together(
        self, shape: Shape, dtype: np.dtype[Any], parts: Sequence[tuple[str, str, Sequence[Symbol]]]
    ) -> Symbol:  # fmt: skip
        """An array that is filled part by part and then only read; a part is a subscript, a text, and what it uses."""
        text = f"{shape} {dtype} {[part[:2] for part in parts]}"
        if text not in self._known:
            whole = self.array(f"empty({shape}, {self.constant(dtype, 'dtype')})", shape)
            for place, given, uses in parts:
                self.do(f"{whole}[{place}] = {given}", [*uses, whole], whole)
            self._known[text] = whole
        return self._known[text]

    def refuse_where(self, condition: Symbol) -> None:
        """End the program where the condition holds anywhere: then it is not the one to run."""
        holds, _, of = self.anywhere(condition)
        self.lines.append(Line("", f"if {holds}: raise OtherwiseError", frozenset([of.name]), check=True))

    def call_where(self, condition: Symbol, function: Callable[[Any], object], argument: Symbol) -> None:
        """Call a function of an array, which says something about it, where the condition holds anywhere."""
        holds, spelled, of = self.anywhere(condition)
        text = f"if {holds}: {self.constant(function, 'say')}({spelled if argument is condition else argument})"
        names = frozenset([of.name] if argument is condition else [of.name, argument.name])
        self.lines.append(Line("", text, names, check=True, late=True))

    def refuse_unless(self, condition: str, *uses: Symbol) -> None:
        """End the program unless the condition about arrays holds."""
        names = frozenset([use.name for use in uses])
        self.lines.append(Line("", f"if not {condition}: raise OtherwiseError", names, check=True))

    def constant(self, value: Any, prefix: str = "k") -> Symbol:
        """A value that is always the same."""
        known = self._constant_names.get(id(value))
        if known is None:
            array = isinstance(value, np.ndarray)
            known = Symbol(
                self.fresh(prefix), tuple(np.shape(value)) if array else (), kind=value.dtype if array else None
            )  # fmt: skip
            self.constants[known.name] = value  # kept alive, so that its id stays its own
            self._constant_names[id(value)] = known
        return known

    def made_once(self, key: Hashable, make: Callable[[], Any], prefix: str = "k") -> Symbol:
        """A value that is always the same, by what tells it from others: made where nobody has asked for it yet."""
        if key not in self._made:
            self._made[key] = self.constant(make(), prefix)
        return self._made[key]

    def arrays(self, symbols: Sequence[Symbol]) -> list[np.ndarray] | None:
        """The arrays of symbols that are always the same; None unless all of them are."""
        found = [self.constants[symbol.name] for symbol in symbols if symbol.name in self.constants]
        return found if len(found) == len(symbols) else None

    def literal(self, value: Any) -> str:
        """A value as the program's text has it: a plain number by its digits, anything else by a name."""
        plain = is_number(value) or type(value) is bool or value is None
        if not plain:
            return self.constant(value).name
        text = f"({value!r})"
        if is_number(value):
            self._plain[text] = value
        return text

    def beside(self, number: T, array: Symbol) -> T | Symbol:
        """A plain number as it stands beside an array: an array, too, as NumPy would make one of it at every call.

        Only where that has the array's dtype: a number of Python's changes none.
        """
        plain = self.number(str(number))
        if plain is None or array.kind != np.float64 or not array.shape:
            return number
        made = self.made_once(("number", repr(float(plain))), lambda: np.array(float(plain)), "number")
        self._plain[made.name] = plain
        return made

    def times(self, left: Symbol, right: Symbol, shape: Shape) -> Symbol:
        """A product, entry by entry; by what is one by something as a quotient."""
        if prod(shape) < LARGE:
            for one, other in ((left, right), (right, left)):
                divisor = self.reciprocal(other)
                if divisor is not None:
                    return self.apply(f"{one} / {divisor}", "divide", [one, divisor], shape)
        return self.apply(f"{left} * {right}", "multiply", [left, right], shape)

    def masked(self, symbol: Symbol) -> Masked | None:
        """What is kept of an array where it is masked, as far as that is known."""
        number, bare = self.multiple(symbol)
        found = self._masked.get(bare.name)
        if found is None or number == 1 or found.kept != ONE:
            return found if number == 1 else None
        return found._replace(kept=self.literal(number * 1.0))

    def _note_product(self, product: Symbol, factors: Sequence[Symbol | str]) -> None:
        """Remember a product with a mask as what is masked."""
        for one, other in (factors, factors[::-1]):
            if isinstance(one, Symbol) and isinstance(other, Symbol) and one.shape == other.shape == product.shape:
                masked = self._masked.get(one.name)
                if masked is not None and masked.kept == ONE and other.kind == np.float64:
                    self.note_masked(product, masked._replace(kept=other.name))

    @property
    def nbytes(self) -> int:
        """What the constants hold."""
        return sum(value.nbytes for value in self.constants.values() if isinstance(value, np.ndarray))

    def mark(self) -> tuple[int, int]:
        """Where the program stands, for `back_to`."""
        return len(self.lines), len(self._known)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what was written since, of which nothing is used; nothing may have been changed since."""
        del self.lines[mark[0] :]
        for key in list(self._known)[mark[1] :]:
            del self._known[key]

    def _needed(self, results: Iterable[str], *, checks: bool) -> list[int]:
        """The lines that results depend on, and the checks if these are wanted."""
        needed = set(results)
        lines: list[int] = []
        for position in range(len(self.lines) - 1, -1, -1):
            line = self.lines[position]
            if line.target in needed or (checks and line.check):
                needed |= line.uses
                lines.append(position)
        return lines[::-1]

    def names_for(self, results: Iterable[str]) -> set[str]:
        """What is assigned or changed on the way to results."""
        return {self.lines[position].target for position in self._needed(results, checks=False)}

    def lines_for(self, results: Iterable[str]) -> list[Line]:
        """The lines that run when results are wanted, and the checks."""
        return [self.lines[position] for position in self._needed(results, checks=True)]

    def lines_in_turn(self, results: Iterable[str]) -> list[Line]:
        """The same, as they run."""
        return [self.lines[position] for position in self._in_turn(results)]

    def _in_turn(self, results: Iterable[str], *, checks: bool = True) -> list[int]:
        return sorted(self._needed(results, checks=checks), key=lambda position: self.lines[position].late)

    def _body(self, positions: Iterable[int], kept: set[str]) -> list[str]:
        return body([self.lines[position] for position in positions], kept, self._given_up)

    def text(
        self, arguments: Iterable[str], results: Sequence[str], *, checks: bool = True, always_several: bool = False
    ) -> str:  # fmt: skip
        """The program as a function that returns all results; of one result just this, unless it is to be a tuple."""
        lines = self._in_turn(results, checks=checks)
        is_one = len(results) == 1 and not always_several
        returned = results[0] if is_one else tuple_text(results)
        return function_text(arguments, self._body(lines, set(results)), returned)

    def text_of_parts(self, arguments: Iterable[str], results: Sequence[str]) -> str:
        """The program as a function that does what several results need and returns a function for each of them."""
        return self._parts(arguments, results, frozenset(), "program")

    def text_in_stages(self, arguments: Iterable[str], first: Sequence[str], later: Sequence[str]) -> str:
        """The program as a function that makes the checks and returns first results, and what is to be run later.

        That is a function without arguments which returns a function for each of the later results.
        """
        start = self._in_turn(first)
        done = frozenset(start)
        kept = {
            name for position in self._needed(later, checks=False) if position not in done
            for name in self.lines[position].uses
        }  # fmt: skip
        texts = self._body(start, {*first, *later, *kept})
        texts += self._parts((), later, done, "later").split("\n")
        return function_text(arguments, texts, tuple_text([*first, "later"]))

    def _last_body(self, positions: Sequence[int], kept: set[str], before: frozenset[int]) -> list[str]:
        """The lines of a function within others that runs once; what it alone reads of theirs is given up by it."""
        made = {self.lines[position].target for position in before}
        given = {name for position in positions for name in self.lines[position].uses & made & self._given_up} - kept
        lines = body([self.lines[position] for position in positions], kept, self._given_up, given)
        return [f"nonlocal {', '.join(sorted(given))}", *lines] if given else lines

    def _parts(self, arguments: Iterable[str], results: Sequence[str], done: frozenset[int], name: str) -> str:
        """A function that returns a function for each result; some lines have been run already, outside of it."""
        needed = [
            [position for position in self._needed([result], checks=False) if position not in done]
            for result in results
        ]
        uses = Counter(position for lines in needed for position in lines)
        own = [[position for position in lines if uses[position] == 1] for lines in needed]
        used = [
            {result, *(name for position in lines for name in self.lines[position].uses)}
            for lines, result in zip(own, results, strict=True)
        ]
        readers = Counter(name for names in used for name in names)
        common = [position for position in sorted(uses) if uses[position] > 1]
        texts = self._last_body(common, {*readers}, done)
        for number, (lines, result) in enumerate(zip(own, results, strict=True)):
            shared = {name for name in used[number] if readers[name] > 1}
            part = function_text(
                (), self._last_body(lines, {result, *shared}, done.union(common)), result, f"part{number}"
            )
            texts += part.split("\n")
        returned = tuple_text(f"part{number}" for number in range(len(results)))
        return function_text(arguments, texts, returned, name)

    def compile(self, text: str) -> Callable[..., Any]:
        """The function of that text, which was made here."""
        namespace = dict(self.constants)
        exec(compile(text, PROGRAM, "exec"), namespace)
        program: Callable[..., Any] = namespace["program"]
        return program


def run_text(text: str, scope: dict[str, Any]) -> dict[str, Any]:
    """Run statements in that scope, and hand it back with what they assigned."""
    exec(compile(text, PROGRAM, "exec"), scope)
    return scope


def is_number(value: Any) -> bool:
    """Whether a value is a number of Python's that a text can say."""
    return type(value) is int or (type(value) is float and isfinite(value))
