"""What the names in formulas stand for, and one formula from several runs: no name in it stands for two arrays.

Within a run of a function no two things bear one name. Jacobians of different runs are multiplied and added, too, and
there `x` may be two arrays. Whoever made a factor therefore knows what the words in its label stand for: its `Scope`.
That is asked for when a formula is, never before. Arrays are told apart by what they hold: of equal arrays it is true
that they are one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.term import Array, Factor, Scope, Term
from jacobian.kernel.words import unused
from jacobian.kernel.written import written_out

WORD = re.compile(r"(?<![\w@])[^\W\d]\w*")


class Name(str):
    """The name of an output or an input, with the scope in which it is one."""

    __slots__ = ("scope",)

    scope: Scope | None

    def __new__(cls, text: str, scope: Scope | None = None) -> Name:
        """The name as text, and more."""
        name = super().__new__(cls, text)
        name.scope = scope
        return name

    def __reduce__(self) -> Any:
        """Pickled with what it stands for, not with the run."""
        return Name, (str(self), known(self.scope, self))


class Given:
    """A scope of arrays by name, or of what stands for them."""

    def __init__(self, held: Mapping[str, Any], decimals: frozenset[float] = frozenset()) -> None:
        self._held, self.decimals = held, decimals

    def holds(self, word: str) -> Any:
        """What was given for it."""
        return self._held.get(word)

    def written(self, word: str) -> None:
        """Nothing: it was written out before."""

    def defined(self, word: str) -> None:
        """Nothing: that is known to the run alone."""


class Meaning(NamedTuple):
    """Equal for arrays of equal numbers."""

    shape: tuple[int, ...]
    dtype: str
    digest: str


def meaning_of(held: Any) -> Hashable:
    """What is equal for arrays of equal numbers; anything else is like nothing but itself."""
    if isinstance(held, Meaning):
        return held
    if isinstance(held, tuple):
        return tuple(map(meaning_of, held))
    if not isinstance(held, np.ndarray | np.generic) or held.dtype.hasobject:
        return id(held)
    from hashlib import blake2b  # which loads a library

    entries: Any = np.ascontiguousarray(held).reshape(-1).view(np.uint8)
    return Meaning(held.shape, held.dtype.str, blake2b(entries, digest_size=16).hexdigest())


def known(scope: Scope | None, text: str) -> Given | None:
    """What a scope knows of the words in a text, without the arrays themselves: to be pickled."""
    if scope is None:
        return None
    words = dict.fromkeys(WORD.findall(text))
    held = {word: scope.holds(word) for word in words}
    return Given({word: meaning_of(one) for word, one in held.items() if one is not None}, scope.decimals)


def text_of(factor: Factor, kept: Collection[str] = ()) -> str:
    """A factor's label, in which short things without a name are written out, unless they are to keep theirs."""
    text, scope = factor.text, factor.scope
    return text if scope is None else written_out(text, lambda word: None if word in kept else scope.written(word))


def portable(term: Term) -> Term:
    """A term to be pickled: labels are text, and know what they speak of without the run."""
    factors = ((factor.array, text_of(factor), factor.scope) for factor in term.factors)
    return term.with_factors(tuple(Factor(array, text, known(scope, text)) for array, text, scope in factors))


class _Use(NamedTuple):
    """A text in a formula, and who knows what its words stand for."""

    text: str
    scope: Scope | None
    array: Array = None  # what the text stands for if it is a name that the scope does not know

    def defined(self, word: str) -> str | None:
        """What is told of a word that nobody gave."""
        return None if self.scope is None else self.scope.defined(word)

    @property
    def key(self) -> tuple[int, int]:
        """The same for texts in which words stand for the same."""
        return id(self.scope), id(self.array)

    def holds(self, word: str) -> Any:
        """What a word in it stands for; None of a function's name."""
        found = None if self.scope is None else self.scope.holds(word)
        return self.array if found is None and word == self.text.removeprefix("∂") else found


def _definitions(uses: Sequence[_Use]) -> list[_Use]:
    """What is to be told of the names in some texts, and then of those in what is told."""
    found: dict[tuple[int, str], _Use | None] = {}
    waiting = list(uses)
    while waiting:
        use = waiting.pop(0)
        for word in WORD.findall(use.text) if use.scope is not None else ():
            if (id(use.scope), word) not in found:
                text = None if use.scope is None else use.scope.defined(word)
                told = None if text is None else _Use(f"{word} = {text}", use.scope)
                found[id(use.scope), word] = told
                waiting += [told] if told is not None else []
    return [told for told in found.values() if told is not None]


class Meanings:
    """What the words of one formula are called in it.

    What the left side names keeps its name; of the others the first one does, beginning next to the input. What is told
    of names that nobody gave uses the same ones.
    """

    def __init__(self, terms: Sequence[Term], names: Collection[str] = (), *, with_legend: bool = False) -> None:
        self._called: dict[tuple[tuple[int, int], str], str] = {}
        self._dropped: set[tuple[tuple[int, int], str]] = set()  # what is called like another of the same meaning
        self.others: dict[str, tuple[str, Any]] = {}  # what bears a new name as another thing has its own
        self._names = names
        uses = [self._use(factor) for term in terms for factor in reversed(term.factors) if factor.label]
        ends = [_Use(name, getattr(name, "scope", None), name) for name in names]
        scopes = {id(use.scope): use.scope for use in (*uses, *ends)}.values()
        self.decimals = {number for scope in scopes if scope is not None for number in scope.decimals}
        runs = {id(use.scope) for use in uses} | {id(end.scope) for end in ends if end.scope is not None}
        if len(runs) == 1:
            ends = []  # of that run, or renamed by somebody who knows it
        self._told = _definitions((*uses, *(end for end in ends if end.scope is not None))) if with_legend else []
        users: dict[str, dict[tuple[int, int], _Use]] = {}
        for use in (*ends, *uses, *self._told):
            for word in WORD.findall(use.text):
                users.setdefault(word, {})[use.key] = use
        taken = set(users)
        for word, different in users.items():
            if len(different) > 1:
                self._tell_apart(word, list(different.values()), taken)
        self._make_one([(word, use) for word, different in users.items() for use in different.values()])

    def text(self, factor: Factor) -> str:
        """A factor's label with its words as they are called in this formula."""
        return self._renamed(self._use(factor))

    @property
    def legend(self) -> list[str]:
        """What the names stand for that nobody gave: `v1 = sum(x)`; that of one name once."""
        told = [use for use in self._told if (use.key, use.text.partition(" ")[0]) not in self._dropped]
        return list(dict.fromkeys(map(self._renamed, told)))

    def _renamed(self, use: _Use) -> str:
        return WORD.sub(lambda match: self._called.get((use.key, match[0]), match[0]), use.text)

    def _use(self, factor: Factor) -> _Use:
        text = text_of(factor, self._names)
        return _Use(text, factor.scope, factor.array if text.removeprefix("∂").isidentifier() else None)

    def _tell_apart(self, word: str, uses: Sequence[_Use], taken: set[str]) -> None:
        held = {id(one): one for one in (use.holds(word) for use in uses) if one is not None}
        if len(held) < 2:
            return
        names: dict[Hashable, str] = {}
        for use in uses:
            one = use.holds(word)
            if one is None:
                continue
            meaning = meaning_of(one)
            if meaning not in names:
                names[meaning] = unused(word, taken) if names else word
                taken.add(names[meaning])
                if names[meaning] != word and use.defined(word) is None:
                    self.others[names[meaning]] = word, one
            self._called[use.key, word] = names[meaning]

    def _make_one(self, found: Sequence[tuple[str, _Use]]) -> None:
        """Call an array that nobody named like another one that it is: runs within one another number their own."""
        arrays = [(word, use, use.holds(word)) for word, use in found if use.scope is not None]
        arrays = [one for one in arrays if isinstance(one[2], np.ndarray) and one[2].ndim]
        counts = Counter(_kind(held) for _, _, held in arrays)
        named = [_Named(word, use, held, use.defined(word)) for word, use, held in arrays if counts[_kind(held)] > 1]
        kept: list[_Named] = []
        for one in sorted(named, key=lambda one: one.text is not None):
            same = one.text is not None and next((other for other in kept if one.is_like(other)), None)
            if same:
                name = self._called.get((same.use.key, same.word), same.word)
                self._dropped |= {(one.use.key, one.word)} if name != one.word else set()
                self._called[one.use.key, one.word] = name
            else:
                kept.append(one)


class _Named(NamedTuple):
    """A word, where it is used, the array that it stands for, and what is told of it if nobody named it."""

    word: str
    use: _Use
    held: np.ndarray
    text: str | None

    @property
    def is_constant(self) -> bool:
        """Whether it is an array that the function captured, rather than computed."""
        return self.text is not None and self.text.startswith(("[", "an array"))

    def is_like(self, other: _Named) -> bool:
        """Whether it is the same as another one, not only by chance at this point."""
        if _kind(self.held) != _kind(other.held):
            return False
        if self.is_constant and (other.text is None or other.is_constant):
            return _is_same(self.held, other.held)
        if other.text is None or self.text is None:
            return False
        alike = self.text == other.text or (
            self.use.scope is not other.use.scope and _without_numbers(self.text) == _without_numbers(other.text)
        )
        return alike and _is_same(self.held, other.held)


def _kind(held: np.ndarray) -> tuple[Any, ...]:
    return held.shape, held.dtype


def _is_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether it is one array, or a copy: equal ones that hold one number throughout may be so by chance."""
    if one is other or one.__array_interface__ == other.__array_interface__:
        return True
    return bool(one.size and (one != one.flat[0]).any()) and np.array_equal(one, other)


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "", text)
