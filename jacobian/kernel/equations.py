"""Composition asks for `in2 = out1` axis by axis; this file solves such equations between indices by substitution.

What is tried, in this order, on an equation `E = 0` where E is a form:

1. constants: true or false at once; a common divisor of all strides is taken out;
2. an index with stride ±1 whose value can never leave its range is replaced by the rest of the equation;
3. mixed radix: where E = m·H + L and |L| < m always, E = 0 is H = 0 and L = 0; an index whose stride divides m is
   split into digits when that helps. This is what makes reshape after reshape symbolic;
4. two indices `s·i + c = t·j`: the solutions are an arithmetic progression, described by one new index;
5. an index with stride ±1 is replaced although the replacement may leave its range, which a guard then cuts off;
6. what is left becomes a one-hot guard.

A **guard** `(form, n)` is a factor that is 1 where 0 <= form < n and 0 elsewhere. A one-hot factor is a guard with
n = 1; the Jacobian of a cumulative sum is one with n the length. No array exists for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd
from typing import NamedTuple

from jacobian.kernel.access import Form, Lookup, Table, affine, combine, constant, indices, inside, span, substitute


class Guard(NamedTuple):
    """A factor that is 1 where `0 <= form < extent` and 0 elsewhere."""

    form: Form
    extent: int


class NoSolutionError(Exception):
    """The equations contradict each other: the term is zero. Never leaves the kernel."""


class System:
    """Equations and ranges over indices, and the substitution that solves them."""

    def __init__(self, sizes: Sequence[int], tables: Sequence[Table]) -> None:
        self.sizes = list(sizes)
        self.tables = tables
        self.bindings: dict[int, Form] = {}
        self.guards: list[Guard] = []

    def apply(self, form: Form) -> Form:
        """The form after everything that is solved so far."""
        return substitute(form, self.bindings) if self.bindings else form

    def solve(self, equations: Iterable[Form]) -> None:
        """Make every form zero. Safe substitutions come first, guards only when nothing else is left."""
        pending = list(equations)
        while pending:
            waiting: list[Form] = []
            for equation in pending:
                rest = self._safely(self.apply(equation))
                if rest is not None:
                    waiting.append(rest)
            if len(waiting) == len(pending):
                self._with_guard(self.apply(waiting.pop(0)))
            pending = waiting

    def restrict(self, form: Form, extent: int) -> None:
        """Demand `0 <= form < extent`."""
        form = self.apply(form)
        if not self.restrict_alone(form, extent):
            self.guards.append(Guard(form, extent))

    def restrict_alone(self, form: Form, extent: int) -> bool:
        """Demand `0 <= form < extent` if that needs no guard; says whether it now holds."""
        form = self.apply(form)
        low, high = span(form, self.sizes, self.tables)
        if low >= 0 and high < extent:
            return True
        if high < 0 or low >= extent:
            raise NoSolutionError
        if len(form.parts) == 1 and not form.has_lookup:
            ((index, stride),) = form.parts
            assert isinstance(index, int)
            self._narrow(index, *_range(form.offset, stride, extent))
            return True
        return False

    def fresh(self, size: int) -> int:
        """A new index."""
        self.sizes.append(size)
        return len(self.sizes) - 1

    def bind(self, index: int, form: Form) -> None:
        """Replace an index by a form, everywhere."""
        step = {index: form}
        for bound, old in self.bindings.items():
            self.bindings[bound] = substitute(old, step)
        self.bindings[index] = form
        self.guards = [Guard(substitute(guard.form, step), guard.extent) for guard in self.guards]

    def settle_guards(self) -> None:
        """Drop guards that always hold, turn those over one index into a smaller range."""
        guards, self.guards = self.guards, []
        for position, guard in enumerate(guards):
            before = len(self.bindings)
            self.restrict(guard.form, guard.extent)
            if len(self.bindings) != before:  # a range shrank: the others may hold by now
                self.guards += [Guard(self.apply(other.form), other.extent) for other in guards[position + 1 :]]
                self.settle_guards()
                return
        self.guards = list(dict.fromkeys(self.guards))

    def _narrow(self, index: int, first: int, last: int) -> None:
        first, last = max(first, 0), min(last, self.sizes[index] - 1)
        if first > last:
            raise NoSolutionError
        if first > 0 or last < self.sizes[index] - 1:
            self.bind(index, affine(first, [(self.fresh(last - first + 1), 1)]))

    def _safely(self, equation: Form) -> Form | None:
        """Solve without a guard; returns what could not be solved, or None."""
        reduced = _without_common_divisor(equation)
        if reduced is None:
            return None
        if (choice := self._replaceable(reduced, must_stay_inside=True)) is not None:
            self.bind(*choice)
            return None
        for part in self._digits(reduced) or ():
            rest = self._safely(self.apply(part))
            if rest is not None:
                self._with_guard(self.apply(rest))
            reduced = None
        if reduced is None or self._progression(reduced):
            return None
        return reduced

    def _with_guard(self, equation: Form) -> None:
        reduced = self._safely(equation)
        if reduced is None:
            return
        choice = self._replaceable(reduced, must_stay_inside=False)
        if choice is None:
            self.guards.append(Guard(reduced, 1))
            return
        index, form = choice
        extent = self.sizes[index]
        self.bind(index, form)
        self.restrict(form, extent)

    def _replaceable(self, equation: Form, *, must_stay_inside: bool) -> tuple[int, Form] | None:
        """The index to replace, the one with the largest range first, and what replaces it."""
        best: tuple[int, Form] | None = None
        for atom, stride in equation.parts:
            if isinstance(atom, Lookup) or abs(stride) != 1:
                continue
            rest = combine((-stride, Form(equation.offset, tuple(p for p in equation.parts if p[0] != atom))))
            if atom in indices(rest) or (
                must_stay_inside and not inside(rest, self.sizes[atom], self.sizes, self.tables)
            ):
                continue
            if best is None or self.sizes[atom] >= self.sizes[best[0]]:
                best = (atom, rest)
        return best

    def _digits(self, equation: Form) -> tuple[Form, Form] | None:
        """Write E as m·H + L with |L| < m; then E = 0 is H = 0 and L = 0."""
        strides = sorted({abs(stride) for _, stride in equation.parts})
        moduli = sorted({gcd(a, b) for a in strides for b in strides} - {1})
        for modulus in moduli:
            split = self._split(equation, modulus)
            if split is not None:
                return split
        return None

    def _split(self, equation: Form, modulus: int) -> tuple[Form, Form] | None:
        cuts: dict[int, int] = {}  # index -> how many values its low digit has
        for atom, stride in equation.parts:
            if stride % modulus == 0 or isinstance(atom, Lookup):
                continue
            digits, rest = divmod(modulus, abs(stride))
            if rest == 0 and self.sizes[atom] > digits:
                if self.sizes[atom] % digits:
                    return None
                cuts[atom] = digits
        trial = equation
        sizes = list(self.sizes)
        for index, digits in cuts.items():
            sizes += [digits, self.sizes[index] // digits]
            low, high = len(sizes) - 2, len(sizes) - 1
            trial = substitute(trial, {index: affine(0, [(low, 1), (high, digits)])})
        low_parts = [part for part in trial.parts if part[1] % modulus]
        high_parts = [(atom, stride // modulus) for atom, stride in trial.parts if stride % modulus == 0]
        if not low_parts or not high_parts:
            return None
        quotient, remainder = divmod(trial.offset, modulus)
        for carry in (0, 1):
            low_form = affine(remainder - carry * modulus, low_parts)
            least, greatest = span(low_form, sizes, self.tables)
            if -modulus < least and greatest < modulus:
                for index, digits in cuts.items():
                    low, high = self.fresh(digits), self.fresh(self.sizes[index] // digits)
                    self.bind(index, affine(0, [(low, 1), (high, digits)]))
                return low_form, affine(quotient + carry, high_parts)
        return None

    def _progression(self, equation: Form) -> bool:
        """Solve `a·i + b·j + c = 0` over two plain indices by one new index; also `a·i + c = 0`."""
        if equation.has_lookup or len(equation.parts) > 2:
            return False
        if len(equation.parts) == 1:
            (index, stride) = equation.parts[0]
            assert isinstance(index, int)
            self._fix(index, -equation.offset // stride)
            return True
        (i, a), (j, b) = equation.parts
        assert isinstance(i, int)
        assert isinstance(j, int)
        # a and b have no common divisor: i = i0 + |b|·k runs through all solutions.
        i0 = (-equation.offset * pow(a, -1, abs(b))) % abs(b) if abs(b) > 1 else 0
        j0 = -(equation.offset + a * i0) // b
        step_i, step_j = abs(b), -a * abs(b) // b
        in_i, in_j = _range(i0, step_i, self.sizes[i]), _range(j0, step_j, self.sizes[j])
        first, last = max(in_i[0], in_j[0]), min(in_i[1], in_j[1])
        if first > last:
            raise NoSolutionError
        k = self.fresh(last - first + 1)
        self.bind(i, affine(i0 + step_i * first, [(k, step_i)]))
        self.bind(j, affine(j0 + step_j * first, [(k, step_j)]))
        return True

    def _fix(self, index: int, value: int) -> None:
        if not 0 <= value < self.sizes[index]:
            raise NoSolutionError
        self.bind(index, constant(value))


def _without_common_divisor(equation: Form) -> Form | None:
    """The equation divided by the strides' common divisor; None when it is true; raises when it is false."""
    if not equation.parts:
        if equation.offset:
            raise NoSolutionError
        return None
    divisor = 0
    for _, stride in equation.parts:
        divisor = gcd(divisor, stride)
    if equation.offset % divisor:
        raise NoSolutionError
    if divisor == 1:
        return equation
    return Form(equation.offset // divisor, tuple((atom, stride // divisor) for atom, stride in equation.parts))


def _range(offset: int, stride: int, extent: int) -> tuple[int, int]:
    """The first and the last k with `0 <= offset + stride·k < extent`."""
    low, high = (-offset, extent - 1 - offset) if stride > 0 else (offset + 1 - extent, offset)
    stride = abs(stride)
    return -(-low // stride), high // stride
