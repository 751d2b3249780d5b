"""Factors of several runs made into one: the words of its label are of several scopes, and no word of two.

In a function's derivative that is differentiated once more there are two runs: in what is computed of both, `v3` may be
two arrays. What a word stands for is looked up when a label is read, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from jacobian.kernel.meanings import WORD, meaning_of
from jacobian.kernel.term import Factor, Label, Scope, Term


class Joint:
    """A scope made of others; one of them, None, is that of the run which is not over yet."""

    def __init__(self, scopes: Sequence[Scope | None]) -> None:
        self._scopes = list(scopes)
        self._words: dict[str, tuple[Scope, str]] = {}  # what a word is in which of the scopes

    @property
    def is_open(self) -> bool:
        """Whether one of the runs is not over yet."""
        return any(one is None or is_open(one) for one in self._scopes)

    def close(self, scope: Scope) -> None:
        """That run is over, and this is its scope."""
        for one in self._scopes:
            if isinstance(one, Joint):
                one.close(scope)
        self._scopes = [scope if one is None else one for one in self._scopes]

    @property
    def decimals(self) -> frozenset[float]:
        """Those of all runs."""
        return frozenset().union(*(scope.decimals for scope in self._scopes if scope is not None))

    def said(self, number: int, text: str) -> str:
        """A text of one of the scopes with its words as they are called here."""
        scope = self._scopes[number]
        return text if scope is None else self._of(scope, text)

    def _called(self, scope: Scope, word: str) -> str:
        held = scope.holds(word)
        if held is None:
            return word
        joint = "_" if word[-1:].isdigit() else ""
        for name in (word if n == 1 else f"{word}{joint}{n}" for n in count(1)):
            known, own = self._words.setdefault(name, (scope, word))
            if (known, own) == (scope, word) or meaning_of(known.holds(own)) == meaning_of(held):
                return name
        raise AssertionError  # the numbers do not end

    def holds(self, word: str) -> Any:
        """The array of that name."""
        known = self._words.get(word)
        return None if known is None else known[0].holds(known[1])

    def written(self, word: str) -> Any:
        """The array written out, in which words are called as they are here."""
        known = self._words.get(word)
        found = None if known is None else known[0].written(known[1])
        return None if known is None or found is None else found._replace(text=self._of(known[0], found.text))

    def defined(self, word: str) -> str | None:
        """What a name stands for that nobody gave, in which words are called as they are here."""
        known = self._words.get(word)
        found = None if known is None else known[0].defined(known[1])
        return None if known is None or found is None else self._of(known[0], found)

    def _of(self, scope: Scope, text: str) -> str:
        return WORD.sub(lambda match: self._called(scope, match[0]), text)


def is_open(scope: Scope | None) -> bool:
    """Whether a scope still waits for that of a run."""
    return isinstance(scope, Joint) and scope.is_open


def within(term: Term, scope: Scope) -> Term:
    """The term with that scope for every factor that has none, or waits for one."""
    for factor in term.factors:
        if isinstance(factor.scope, Joint) and factor.scope.is_open:
            factor.scope.close(scope)
    if all(factor.scope is not None for factor in term.factors):
        return term
    return term.with_factors(tuple(f if f.scope is not None else f._replace(scope=scope) for f in term.factors))


def in_one_scope(
    factors: Sequence[Factor], told: Callable[[Label, Callable[[], str]], Label]
) -> tuple[list[Factor], Scope | None]:  # fmt: skip
    """The factors with labels that are all of one scope, made of the old ones by `told`, and that scope."""
    scopes = list({id(factor.scope): factor.scope for factor in factors if factor.label}.values())
    if len(scopes) < 2:
        return list(factors), scopes[0] if scopes else None
    joint, keys = Joint(scopes), [id(scope) for scope in scopes]

    def said(factor: Factor) -> Factor:
        if not factor.label:
            return factor
        number = keys.index(id(factor.scope))
        return Factor(factor.array, told(factor.label, lambda: joint.said(number, factor.text)), joint)

    return list(map(said, factors)), joint
