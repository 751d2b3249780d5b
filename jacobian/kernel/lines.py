"""The lines of a program, and their memory: what is overwritten, computed where it is wanted, and given up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple


class Call(NamedTuple):
    """A function of entries and what it is given, as the text has both; and where its result is written, if it is."""

    function: str
    given: str
    place: str = ""

    def into(self, place: str, *, on_all_cores: bool) -> str:
        """The call with its result written to that array."""
        if on_all_cores:
            return f"on_all_cores({self.function}, {self.given}, out={place})"
        return f"{self.function}({self.given}, out={place})"


class Line(NamedTuple):
    """One statement: the name that it assigns or whose array it changes, and which names it reads.

    A check assigns nothing that anybody need use: it ends the program, or lets it go on. One that is `late` only says
    something: it does so after all others, when it is known that the program goes on.

    `new` says that it makes an array of its own, `view_of` of which array it makes another view. `call` is the function
    of entries that it calls, whose result may be written to an array instead of a new one; `over` are arrays of its
    shape and dtype which it reads and may overwrite if they are needed no more. A statement that only `copies` says
    which array to which view of the one that it changes. A `blank` array is made of nothing, to be written to.

    `changes` says that it writes to an array made before, `adds` that it adds to it, `products` how many
    multiplications BLAS makes in it, `calls` that the kernel is called, which goes through patterns before it computes.

    A loop, which is one statement, may change several arrays made before: these are `changed`. `listed` is how many
    entries are written one by one, to positions in a list.
    """

    target: str
    text: str
    uses: frozenset[str]
    check: bool = False
    late: bool = False
    new: bool = False
    view_of: str = ""
    call: Call | None = None
    over: tuple[str, ...] = ()
    copies: tuple[str, str] | None = None
    blank: bool = False
    changes: bool = False
    adds: bool = False
    products: int = 0
    calls: bool = False
    changed: tuple[str, ...] = ()
    listed: int = 0

    def writing_to(self, name: str, *, on_all_cores: bool = False) -> str:
        """The statement with its result in that array."""
        assert self.call is not None
        return f"{self.target} = {self.call.into(name, on_all_cores=on_all_cores)}"

    def placed(self, copy: Line) -> Line:
        """The line with its result where it would be copied to, which is not to be overwritten."""
        assert copy.copies is not None
        place, on_all_cores = copy.copies[1], copy.text.startswith("on_all_cores")
        text = self.writing_to(place, on_all_cores=on_all_cores)
        return self._replace(text=text, uses=self.uses | {place}, new=False, over=())


def body(
    lines: Sequence[Line], kept: AbstractSet[str], brief: AbstractSet[str], given: AbstractSet[str] = frozenset()
) -> list[str]:  # fmt: skip
    """The text of lines; at its last use an array is overwritten, or given up if it is a brief one, unless it is kept.

    What is `given` was made before, and is given up, too.
    """
    lines = made_late(without_copies(lines, kept))
    last, made = _last_mentions(lines), _makers(lines)
    owner = _owners(lines, made)
    free = _last_uses(lines, owner, kept)
    done: dict[int, list[str]] = {}
    for name in sorted(((brief & made.keys()) | given) - kept):
        done.setdefault(last[name], []).append(name)
    found: list[str] = []
    for position, line in enumerate(lines):
        over = (name for name in line.over if free.get(owner.get(name, ""), -1) == position)
        found.append(next(map(line.writing_to, over), line.text))
        if position in done:
            found.append(f"del {', '.join(done[position])}")
    return found


def function_text(arguments: Iterable[str], texts: Sequence[str], result: str, name: str = "program") -> str:
    """The text of a function."""
    return "\n    ".join([f"def {name}({', '.join(arguments)}):", *texts, f"return {result}"])


def tuple_text(names: Iterable[str]) -> str:
    """The text of a tuple of names, however many these are."""
    return f"({''.join(f'{name}, ' for name in names)})"


def highest(lines: Sequence[Line], kept: AbstractSet[str], nbytes: Mapping[str, float]) -> float:
    """About how many bytes the arrays have at most that are made by lines and are there at the same time."""
    return max((height for _, height in heights(lines, kept, nbytes)), default=0.0)


def heights(
    lines: Sequence[Line], kept: AbstractSet[str], nbytes: Mapping[str, float]
) -> Iterator[tuple[Line, float]]:  # fmt: skip
    """The lines as they are run, each with the bytes of all arrays made by them that are there at that time."""
    lines = made_late(without_copies(lines, kept))
    last = _lifetimes(lines, kept)
    made = {name: position for name, position in _makers(lines).items() if lines[position].new or lines[position].blank}
    gone: dict[int, list[str]] = {}
    for name in made:
        gone.setdefault(last[name], []).append(name)
    total = 0.0
    for position, line in enumerate(lines):
        own = nbytes.get(line.target, 0.0) if made.get(line.target) == position else 0.0
        total += own
        yield line, total - (own if any(name in made and last[name] == position for name in line.over) else 0.0)
        total -= sum(nbytes.get(name, 0.0) for name in gone.get(position, ()))


def _last_mentions(lines: Sequence[Line]) -> dict[str, int]:
    """The last line that has a name."""
    last: dict[str, int] = {}
    for position, line in enumerate(lines):
        last.update(dict.fromkeys((*line.uses, line.target), position))
    return last


def _lifetimes(lines: Sequence[Line], kept: AbstractSet[str]) -> dict[str, int]:
    """Up to which line an array is there: as long as somebody reads it, or what may be a view of it."""
    last = _last_mentions(lines) | dict.fromkeys(kept, len(lines))
    for line in reversed(lines):
        if not (line.new or line.blank or line.changes or line.check):
            for name in line.uses:
                last[name] = max(last[name], last[line.target])
    return last


def _owners(lines: Sequence[Line], made: Mapping[str, int]) -> dict[str, str]:
    """For every array, or view of one, that was made here and is nobody else's: the array whose memory it is."""
    found: dict[str, str] = {}
    for name in made:
        line = lines[made[name]]
        if line.new:
            found[name] = name
        elif line.view_of in found:
            found[name] = found[line.view_of]
    return found


def _last_uses(lines: Sequence[Line], owner: Mapping[str, str], kept: AbstractSet[str]) -> dict[str, int]:
    """The last line that reads an array or a view of it, for arrays that are made here and that nobody keeps.

    A line may keep an array if it makes something that is neither new nor known to be a view.
    """
    found: dict[str, int] = {}
    held = {owner[name] for name in kept if name in owner}
    for position, line in enumerate(lines):
        read = {owner[name] for name in line.uses if name in owner}
        found.update(dict.fromkeys(read, position))
        if not (line.new or line.view_of or line.changes or not line.target):
            held |= read
    return {name: position for name, position in found.items() if name not in held}


def without_copies(lines: Sequence[Line], kept: AbstractSet[str]) -> list[Line]:
    """The lines with arrays computed in the place that they would be copied to, where that makes no difference.

    It makes none for an array that is made here and that nobody reads once the place may change. Until it is copied
    nobody else writes there: a copy is only made to where nothing has been written. The place, and the array that it is
    a view of, are made before.
    """
    lines = read_early(lines)
    made = _makers(lines)
    owner = _owners(lines, made)
    last = _last_uses(lines, owner, kept)
    places: dict[int, Line] = {}
    dropped: set[int] = set()
    earlier: dict[int, int] = {}  # which lines are to stand before which others
    for position, line in enumerate(lines):
        name, place = line.copies or ("", "")
        start = made.get(name, -1)
        if owner.get(name) != name or lines[start].call is None or name not in last or start in places:
            continue
        if last[name] > _next_change(lines, position):
            continue
        needed = [made[one] for one in (line.target, place) if start < made.get(one, -1) != position]
        if all(lines[one].uses <= {line.target} for one in needed):
            places[start] = line
            dropped.add(position)
            earlier |= {one: min(start, earlier.get(one, start)) for one in needed}
    before: dict[int, list[Line]] = {}
    for position in sorted(earlier):
        before.setdefault(earlier[position], []).append(lines[position])
    found: list[Line] = []
    for position, line in enumerate(lines):
        found += before.get(position, ())
        if position in places:
            found.append(line.placed(places[position]))
        elif position not in earlier and position not in dropped:
            found.append(line)
    return found


def _next_change(lines: Sequence[Line], position: int) -> int:
    """The next line that changes what a line changes."""
    whole = lines[position].target
    later = range(position + 1, len(lines))
    return next((k for k in later if whole in _changed(lines[k])), len(lines))


def _changed(line: Line) -> tuple[str, ...]:
    return (line.target,) if line.changes else line.changed


def read_early(lines: Sequence[Line]) -> list[Line]:
    """The lines with an array that is copied to a place read before the place changes, where that can be done."""
    found = list(lines)
    for position in range(len(found)):
        if found[position].copies is not None:
            change = _next_change(found, position)
            early = _readers(found, position, change)
            late = [k for k in range(change, len(found)) if k not in early]
            found[change:] = [found[k] for k in (*early, *late)]
    return found


def _readers(lines: Sequence[Line], position: int, change: int) -> list[int]:
    """What reads an array after the place that it is copied to has changed; none of it if not all can be done before.

    It can where it makes something from what there is already, and from nothing that changes.
    """
    name, _ = lines[position].copies or ("", "")
    late = {line.target for line in lines[change:]}  # made, or changed
    late |= {line.target for line in lines[:change] if not line.new and line.uses & late}  # or a view of that
    views = {name}
    found: list[int] = []
    for k in range(change, len(lines)):
        line = lines[k]
        if not line.uses & views:
            continue
        if line.check or line.changes or not (line.new or line.view_of) or line.uses & late:
            return []
        found.append(k)
        late.discard(line.target)
        if line.view_of in views:
            views.add(line.target)
    return found


def made_late(lines: Sequence[Line]) -> list[Line]:
    """The lines with blank arrays made when writing to them begins: what is computed before may need the room."""
    waiting: dict[str, Line] = {}
    found: list[Line] = []
    for line in lines:
        if line.blank:
            waiting[line.target] = line
            continue
        found += [waiting.pop(name) for name in sorted({*line.uses, line.target}) if name in waiting]
        found.append(line)
    return [*found, *waiting.values()]


def _makers(lines: Sequence[Line]) -> dict[str, int]:
    """The first line of every target: later ones change it."""
    made: dict[str, int] = {}
    for position, line in enumerate(lines):
        made.setdefault(line.target, position)
    return made
