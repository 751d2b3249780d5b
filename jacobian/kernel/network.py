"""Contraction of a network of arrays: `opt_einsum` finds the order, once per network of shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
import opt_einsum

from jacobian.kernel.bracketing import LONGEST, best_bracketing
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.facts import LARGE, kind_beside
from jacobian.kernel.pairwise import dot, pair
from jacobian.kernel.pattern import CACHE, PROGRAMS, Shape
from jacobian.kernel.places import Labels, Named, Target, arranged, copied, reshaped, written

MODERATE = 1e30
MANY_ARRAYS = 10  # above that many one search has to do
LONG_SUM = 2**9  # numbers that are better added in pairs, as `add.reduce` does: one after another rounding adds up


class Plan(NamedTuple):
    """How a network is contracted: the einsum, and opt_einsum's account of it."""

    equation: str
    info: Any

    @property
    def steps(self) -> tuple[str, ...]:
        """The einsums of the chosen order, one after another."""
        return tuple(contraction[2] for contraction in self.info.contraction_list)

    @property
    def multiplications(self) -> int:
        """Multiplications of numbers in the chosen order; additions are not counted."""
        return sum(self._multiplications(step) for step in self.steps)

    @property
    def naive_multiplications(self) -> int:
        """Multiplications when all arrays are multiplied at once, for every assignment of all labels."""
        return self._multiplications(self.equation)

    def _multiplications(self, equation: str) -> int:
        labels = set(equation) - set(",->")
        return equation.count(",") * prod(int(self.info.size_dict[label]) for label in labels)


def equation_of(labels: tuple[Labels, ...], out: Labels) -> str:
    """The einsum string of a network, lettered by first appearance."""
    symbol: dict[int, str] = {}
    for label in (label for operand in (*labels, out) for label in operand):
        symbol.setdefault(label, opt_einsum.get_symbol(len(symbol)))
    inputs = ",".join("".join(symbol[label] for label in operand) for operand in labels)
    return f"{inputs}->{''.join(symbol[label] for label in out)}"


@lru_cache(maxsize=CACHE)
def plan(labels: tuple[Labels, ...], shapes: tuple[Shape, ...], out: Labels) -> Plan:
    """The plan for a network of those shapes."""
    equation = equation_of(labels, out)
    # "auto" calls a search whose costs are wrong when a label stands on three arrays, as next to every diagonal factor;
    # dynamic programming counts them right, but is slow on large networks.
    searches: tuple[Any, ...] = ("auto", "dp") if 2 < len(labels) <= MANY_ARRAYS else ("auto",)
    if 2 < len(labels) <= LONGEST:  # and for chains, however long, the best bracketing is found directly
        sizes = {
            label: size
            for axes, shape in zip(labels, shapes, strict=True)
            for label, size in zip(axes, shape, strict=True)
        }
        searches = (
            *searches,
            best_bracketing([frozenset(axes) for axes in labels], sizes, frozenset(out)),
        )
    found = [opt_einsum.contract_path(equation, *shapes, shapes=True, optimize=search)[1] for search in searches]
    return min((Plan(equation, info) for info in found), key=lambda plan: plan.multiplications)


def write_network(
    code: Code, arrays: Sequence[Named], scale: Sequence[str], out: Labels, target: Target | None = None
) -> Named:
    """Write the contraction of a network, times the numbers in `scale`; labels not in `out` are summed.

    Arrays over the same labels are multiplied and lone labels summed before any path is sought.
    """
    arrays, scale = _with_one_number(code, [_without_ones(code, named, out) for named in arrays], scale)
    numbers = [*scale, *(str(named.symbol) for named in arrays if not named.labels)]
    uses = [named.symbol for named in arrays if not named.labels]
    left = _summed_alone(code, _products_of_alike(code, [named for named in arrays if named.labels]), set(out))
    numbers += [str(named.symbol) for named in left if not named.labels]
    uses += [named.symbol for named in left if not named.labels]
    left = [named for named in left if named.labels]
    if not left:
        return Named(_number(code, numbers, uses), ())
    if numbers:
        smallest = min(range(len(left)), key=lambda k: left[k].symbol.size)
        symbol, labels = left[smallest]
        number = _number(code, numbers, uses)
        if len(left) == 1 and target is not None and labels == out:
            return written(code, "multiply", (symbol, code.beside(number, symbol)), target, _sizes(left))
        kind = kind_beside([symbol, *uses])  # numbers of Python's change no dtype
        plain = code.number(str(number))
        given, divisor = code.beside(number, symbol), code.reciprocal(symbol)
        if divisor is None:
            scaled = code.apply(f"{symbol} * {given}", "multiply", [symbol, given], symbol.shape, kind=kind)
        else:
            scaled = code.apply(f"{given} / {divisor}", "divide", [given, divisor], symbol.shape, kind=kind)
        if plain is not None and kind is not None and kind.kind == "f":
            code.note_multiple(scaled, plain, symbol)
        left[smallest] = Named(scaled, labels)
    return _along_path(code, left, out, target)


def _with_one_number(
    code: Code, arrays: Sequence[Named], scale: Sequence[str]
) -> tuple[list[Named], list[str]]:  # fmt: skip
    """Plain numbers in front of a network and of its arrays as one, where there is one in front of it anyway."""
    total: int | float = 1
    names: list[str] = []
    for text in scale:
        number = code.number(text)
        if number is None or not _is_moderate(total * number):
            names.append(text)
        else:
            total *= number
    found = list(arrays)
    if total != 1:
        for position, named in enumerate(arrays):
            number, symbol = code.multiple(named.symbol)
            if _is_moderate(total * number):
                total *= number
                found[position] = named._replace(symbol=symbol)
    return found, names if total == 1 else [code.literal(total), *names]


def _is_moderate(number: float) -> bool:
    """Whether a number can be multiplied with others beforehand, without too large or too small a product."""
    return MODERATE >= abs(number) >= 1 / MODERATE


def _without_ones(code: Code, named: Named, out: Labels) -> Named:
    """The array without summed axes of size 1: nothing is summed there."""
    axes = list(zip(named.labels, named.symbol.shape, strict=True))
    kept = [(label, size) for label, size in axes if size != 1 or label in out]
    if len(kept) == len(axes):
        return named
    return Named(reshaped(code, named.symbol, tuple(size for _, size in kept)), tuple(label for label, _ in kept))


def _number(code: Code, numbers: Sequence[str], uses: Sequence[Symbol]) -> Symbol:
    """The product of numbers; a plain one stands in front of the rest, where it may meet another one."""
    if len(numbers) < 2:
        name = numbers[0] if numbers else "1"
        return code.symbols[name] if name in code.symbols else Symbol(name, ())
    plain = code.number(numbers[0])
    if plain is None or code.number(numbers[1]) is not None:
        return code.let(" * ".join(numbers), uses, ())
    rest = _number(code, numbers[1:], uses)
    result = code.let(f"{numbers[0]} * {rest}", uses if len(numbers) == 2 else [rest], ())
    code.note_multiple(result, plain, rest)
    return result


def _sizes(arrays: Sequence[Named]) -> dict[int, int]:
    return {label: n for named in arrays for label, n in zip(named.labels, named.symbol.shape, strict=True)}


def _along_path(code: Code, left: list[Named], out: Labels, target: Target | None) -> Named:
    sizes = _sizes(left)
    if len(left) == 1:
        (only,) = left
        return copied(code, only, target, sizes) if target is not None else Named(arranged(code, only, out), out)
    path = plan(tuple(named.labels for named in left), tuple(named.symbol.shape for named in left), out).info.path
    for number, step in enumerate(path):
        chosen = [left[position] for position in sorted(step)]
        left = [named for position, named in enumerate(left) if position not in step]
        while len(chosen) > 1:
            first, second, *others = chosen
            kept = {label for named in (*left, *others) for label in named.labels}.union(out)
            last = not left and not others
            following = path[number + 1] if not others and not last else ()
            later = _summed_next(left, following, {*first.labels, *second.labels} & kept, out)
            found = pair(code, first, second, kept, out if last else None, sizes, target if last else None, later)
            chosen = [found, *others]
        left += chosen
    return left[0]


def _summed_next(left: Sequence[Named], step: Sequence[int], own: set[int], out: Labels) -> Labels:
    """The labels over which a result with labels `own`, put behind the arrays that are left, is summed in a step."""
    if len(left) not in step:
        return ()
    partners = {label for position in step if position < len(left) for label in left[position].labels}
    others = {label for position, named in enumerate(left) if position not in step for label in named.labels}
    return tuple(sorted((own & partners) - others - set(out)))


def _products_of_alike(code: Code, arrays: Sequence[Named]) -> list[Named]:
    """Arrays over the same indices, multiplied: a chain of elementwise maps is one array."""
    groups: dict[Labels, list[Symbol]] = {}
    for symbol, labels in arrays:
        groups.setdefault(labels, []).append(symbol)
    return [Named(_product(code, symbols), labels) for labels, symbols in groups.items()]


def _product(code: Code, symbols: Sequence[Symbol]) -> Symbol:
    first, *others = symbols
    if len(symbols) < 3 or first.size < LARGE:
        for other in others:
            first = code.times(first, other, first.shape)
        return first
    total = code.array(f"{first} * {others[0]}", first.shape, [first, others[0]])
    for other in others[1:]:
        code.do(f"multiply({total}, {other}, out={total})", [other], total)
    return total


def _summed(code: Code, named: Named, kept: set[int]) -> Named:
    """The array summed over the labels that are not kept."""
    axes = tuple(axis for axis, label in enumerate(named.labels) if label not in kept)
    if not axes:
        return named
    labels = tuple(label for label in named.labels if label in kept)
    shape = tuple(size for axis, size in enumerate(named.symbol.shape) if axis not in axes)
    quick = summed_by_product(code, named.symbol, axes)
    if quick is not None:
        return Named(reshaped(code, quick, shape), labels)
    axis = axes[0] if len(axes) == 1 else axes
    text = f"add.reduce({named.symbol}, {axis})"
    return Named(code.let(text, [named.symbol], shape, new=True, kind=named.symbol.kind), labels)


def summed_by_product(code: Code, symbol: Symbol, axes: Sequence[int]) -> Symbol | None:
    """The sum over axes that lie side by side, as a product with ones; None where `add.reduce` is as good.

    That one begins a loop of its own for every short row, and takes long to begin itself. Other axes come out merged.
    """
    start, stop = axes[0], axes[-1] + 1
    count, kind = prod(symbol.shape[start:stop]), symbol.kind
    together = len(axes) == stop - start
    if kind is None or kind.char not in "fd" or not together or not 1 < count <= LONG_SUM:
        return None
    before, after = prod(symbol.shape[:start]), prod(symbol.shape[stop:])
    is_small, is_last = symbol.size < LARGE, after == 1
    if (symbol.rough and not is_small) or (is_small and before > 1 and not is_last):
        return None
    front, behind = ((size,) if size > 1 or not is_small else () for size in (before, after))
    wide = reshaped(code, symbol, (*front, count) if is_last else (*front, count, *behind))
    summing = ones(code, (count,), kind)
    given = (wide, summing) if is_last else (summing, wide)
    text = dot(*given) if is_small else f"matmul({given[0]}, {given[1]})"
    result = front if is_last else (*front, *behind)
    return code.let(text, given, result, new=True, kind=kind, products=symbol.size)


def ones(code: Code, shape: Shape, kind: np.dtype[Any]) -> Symbol:
    """An array of ones that is always the same."""
    return code.made_once(("ones", shape, kind), lambda: np.ones(shape, kind), "ones")


def _summed_alone(code: Code, arrays: Sequence[Named], kept: set[int]) -> list[Named]:
    """Sum every array over the indices that it alone carries: no product with another array is wanted of them."""
    count = Counter(label for named in arrays for label in named.labels)
    wanted = kept | {label for label, uses in count.items() if uses > 1}
    return [_summed(code, named, wanted) for named in arrays]


@lru_cache(maxsize=PROGRAMS)
def _contraction(labels: tuple[Labels, ...], shapes: tuple[Shape, ...], out: Labels) -> Callable[..., np.ndarray]:
    code = Code()
    arrays = [Symbol(f"a{position}", shape, rough=True) for position, shape in enumerate(shapes)]
    named = [Named(array, axes) for array, axes in zip(arrays, labels, strict=True)]
    result = write_network(code, named, (), out)
    return code.compile(code.text(map(str, arrays), [str(result.symbol)]))


def contract(arrays: Sequence[np.ndarray], labels: Sequence[Labels], out: Labels) -> np.ndarray:
    """Contract arrays whose axes carry labels; labels not in `out` are summed."""
    return np.asarray(_contraction(tuple(labels), tuple(array.shape for array in arrays), out)(*arrays))
