"""Terms to numbers: accesses become strided views, the network is contracted, the result written through a view.

What is done follows from the patterns alone, so it is written down once as a program and run for every set of arrays.
Terms whose arrays are NumPy's own take this way; any other array type that speaks NumPy's protocols takes the way of
dispatched NumPy calls (`dispatch.py`). Both give the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial, reduce
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jacobian.kernel.access import combine, indices, span
from jacobian.kernel.blocks import in_blocks
from jacobian.kernel.buffers import with_short_buffers
from jacobian.kernel.code import Code, Symbol
from jacobian.kernel.equations import Guard
from jacobian.kernel.injective import overlapping
from jacobian.kernel.masks import with_guards
from jacobian.kernel.memory import check as check_memory
from jacobian.kernel.network import contract, write_network
from jacobian.kernel.pattern import PROGRAMS, Pattern, Shape, open_guards
from jacobian.kernel.pieces import pieces_of
from jacobian.kernel.places import Labels, Named, Target, aligned, copied
from jacobian.kernel.products import added_to_matrices
from jacobian.kernel.runs import in_runs
from jacobian.kernel.scatter import listed_writer
from jacobian.kernel.specials import Placed, Special, without_specials
from jacobian.kernel.stacking import stacked_alike
from jacobian.kernel.term import Operator, Term
from jacobian.kernel.views import read, read_guard, steps_of, write_read

FEW_BOXES = 32  # terms whose places are compared with those of all terms before


class Given(NamedTuple):
    """A term as a program sees it: its pattern, symbols for its numbers, and which of its factors are operators."""

    pattern: Pattern
    factors: tuple[Symbol, ...]
    tables: tuple[Symbol, ...]
    scale: str
    operators: tuple[bool, ...]


Kind = tuple[Pattern, bool, tuple[bool, ...]]
"""What a program depends on: a term's pattern, whether a number stands in front, and which factors are operators."""


def kind_of(term: Term) -> Kind:
    """What programs for a term are remembered by."""
    return term.pattern, term.scale != 1, tuple(isinstance(factor.array, Operator) for factor in term.factors)


def numbers_of(term: Term) -> list[Any]:
    """The arguments that a program takes for a term."""
    return term.numbers if term.scale == 1 else [*term.numbers, term.scale]


def given(kind: Kind, prefix: str) -> tuple[Given, list[str]]:
    """Symbols for a term's numbers, and the names of the arguments."""
    pattern, scaled, operators = kind
    factors = tuple(Symbol(f"{prefix}f{k}", a.shape, rough=True) for k, a in enumerate(pattern.factors))
    tables = tuple(Symbol(f"{prefix}i{k}", table.shape) for k, table in enumerate(pattern.tables))
    scale = f"{prefix}c" if scaled else ""
    names = [*map(str, factors), *map(str, tables), *([scale] if scaled else [])]
    return Given(pattern, factors, tables, scale, operators), names


def write_core(
    code: Code, term: Given, dtype: np.dtype[Any], guards: Sequence[Guard] | None = None, target: Target | None = None
) -> Named:
    """Write the contraction of a term's factors; the axes of what it gives carry free indices, in their order.

    A free index that no factor carries is left out: the result is constant along it. `guards` are those to contract
    as well, all of them unless told otherwise. The target is written to if the result has just its axes.
    """
    pattern = term.pattern
    wanted = pattern.guards if guards is None else tuple(guards)
    out = pattern.carried(wanted)
    scale = [term.scale] if term.scale else []
    scale += [code.literal(pattern.idle)] if pattern.idle != 1 else []
    arrays = None if any(term.operators) else _arrays(code, term, wanted, dtype)
    if arrays is not None:
        return write_network(code, arrays, scale, out, target)
    special = code.constant(partial(_special_core, pattern, wanted, dtype, len(pattern.factors)), "contract")
    numbers = [*term.factors, *term.tables]
    text = f"{special}({' * '.join(scale) or '1'}, {', '.join(map(str, numbers))})"
    result = Named(code.let(text, numbers, tuple(pattern.sizes[index] for index in out), calls=True), out)
    return copied(code, result, target, dict(enumerate(pattern.sizes))) if target is not None else result


def _arrays(code: Code, term: Given, guards: Sequence[Guard], dtype: np.dtype[Any]) -> list[Named] | None:
    """A term's factors, and guards applied to them or as arrays; None where guards are better applied in a call."""
    mark = code.mark()
    read = [
        write_read(code, symbol, access, term.pattern, term.tables)
        for symbol, access in zip(term.factors, term.pattern.factors, strict=True)
    ]
    found = with_guards(code, read, guards, term.pattern, term.tables, dtype) if guards else read
    if found is None:
        code.back_to(mark)
    return found


def _special_core(
    pattern: Pattern, guards: tuple[Guard, ...], dtype: np.dtype[Any], count: int, scale: complex, *numbers: Any
) -> np.ndarray:
    """The contraction of a term with guards or operators."""
    tables = numbers[count:]
    arrays: list[np.ndarray] = []
    labels: list[Labels] = []
    specials: list[tuple[Special, Labels]] = []
    for array, access in zip(numbers[:count], pattern.factors, strict=True):
        if isinstance(array, Operator):
            specials.append((Placed(array, access), tuple(dict.fromkeys(indices(*access.forms)))))
            continue
        found, axes = read(np.asarray(array), access, pattern, tables)
        arrays.append(found)
        labels.append(axes)
    if isinstance(scale, complex):  # before a real part may be taken
        if not arrays:
            arrays, labels = [np.ones(())], [()]
        arrays[0], scale = arrays[0] * scale, 1
    specials += [(guard, tuple(dict.fromkeys(indices(guard.form)))) for guard in guards]
    without_specials(specials, arrays, labels, pattern, tables, dtype)
    carried = {label for axes in labels for label in axes}
    out = tuple(index for index in pattern.free if index in carried)
    if scale != 1 or not arrays:
        arrays.append(np.asarray(scale))
        labels.append(())
    return contract(arrays, labels, out)


@lru_cache(maxsize=PROGRAMS)
def _core_program(
    kind: Kind, dtype: np.dtype[Any], guards: tuple[Guard, ...] | None
) -> tuple[Callable[..., Any], Labels]:
    code = Code()
    term, names = given(kind, "")
    result = write_core(code, term, dtype, guards)
    return code.compile(code.text(names, [str(result.symbol)])), result.labels


NOTICED = 2**26  # bytes of a product that is on the way to a Jacobian
ON_THE_WAY = "a product of Jacobians on the way to this one"
ELSE = 'order="auto" or "reverse", which go another way; a batch in parts'


def core(term: Term, dtype: np.dtype[Any], guards: Sequence[Guard] | None = None) -> tuple[np.ndarray, Labels]:
    """Contract a term's factors; returns the array and the free indices its axes stand for."""
    program, labels = _core_program(kind_of(term), dtype, None if guards is None else tuple(guards))
    nbytes = prod([term.pattern.sizes[label] for label in labels]) * dtype.itemsize
    if nbytes >= NOTICED:
        check_memory(
            nbytes, "×".join(str(term.pattern.sizes[label]) for label in labels), name=ON_THE_WAY, instead=ELSE
        )
    result = program(*numbers_of(term))
    if not labels and dtype.kind != "c":
        result = np.real(result)  # of complex factors only the real part is wanted
    return (np.asarray(result) if labels else np.asarray(result, dtype)), labels


def materialise(terms: Sequence[Term], shape: Shape, dtype: np.dtype[Any]) -> np.ndarray:
    """The tensor that the terms add up to; `shape` is the output's followed by the input's."""
    program = _tensor_program(tuple(map(kind_of, terms)), shape, dtype)
    numbers = [number for term in terms for number in numbers_of(term)]
    try:
        # Where NumPy would warn of errors, it would do so for every part of the result.
        return np.asarray(with_short_buffers(program, *numbers), dtype)
    except FloatingPointError:
        return np.asarray(with_short_buffers(program, *numbers, errors_raised=False), dtype)


@lru_cache(maxsize=PROGRAMS)
def _tensor_program(kinds: tuple[Kind, ...], shape: Shape, dtype: np.dtype[Any]) -> Callable[..., Any]:
    code, text = _tensor_code(kinds, shape, dtype)
    return code.compile(text)


def _tensor_code(kinds: Sequence[Kind], shape: Shape, dtype: np.dtype[Any]) -> tuple[Code, str]:
    code = Code()
    found = [given(kind, f"x{position}") for position, kind in enumerate(kinds)]
    names = [name for _, group in found for name in group]
    result = write_tensor(code, [term for term, _ in found], shape, dtype)
    return code, code.text(names, [str(result)])


def program_of(terms: Sequence[Term], shape: Shape, dtype: np.dtype[Any]) -> list[str]:
    """The lines that make the full tensor, with the numbers that terms and factors bear in an explanation.

    Those that only give up memory are left out.
    """
    _, text = _tensor_code(list(map(kind_of, terms)), shape, dtype)
    lines = [line.strip() for line in text.split("\n")[1:]]
    words = {"f": "factor", "i": "table", "c": "scale"}

    def told(match: re.Match[str]) -> str:
        term, kind, number = match.groups()
        return f"term{int(term) + 1}.{words[kind]}{int(number) + 1 if number else ''}"

    return [re.sub(r"\bx(\d+)([fic])(\d*)\b", told, line) for line in lines if not line.startswith("del ")]


def write_tensor(
    code: Code, terms: Sequence[Given], shape: Shape, dtype: np.dtype[Any], *, is_result: bool = True
) -> Symbol:  # fmt: skip
    """Write the program that makes the full tensor of a sum of terms; a result may be lent, other arrays are not."""
    if len(terms) == 1 and _is_all(terms[0].pattern, shape) and not _fills(code, terms[0], dtype):
        return _whole(code, terms[0], dtype)
    terms = [part for term in stacked_alike(code, terms) for part in _without_look_ups(code, term)]
    terms = in_blocks(code, terms, shape, partial(_block, code, dtype))
    terms = sorted(terms, key=_turn)
    boxes = [_box(term.pattern) for term in terms]
    margins = [
        (max(0, *(-box[axis][0] for box in boxes), 0), max(0, *(box[axis][1] + 1 - extent for box in boxes), 0))
        for axis, extent in enumerate(shape)
    ]
    wide = tuple(low + extent + high for (low, high), extent in zip(margins, shape, strict=True))
    make = "empty" if terms and _is_all(terms[0].pattern, wide) else "zeros"
    full = code.result(make, wide, dtype, may_be_lent=is_result)
    starts = [low for low, _ in margins]
    for position, term in enumerate(terms):
        # Adding is always right; whether nobody wrote there yet is only asked where that is quickly told.
        fresh = position < FEW_BOXES and all(_apart(boxes[position], earlier) for earlier in boxes[:position])
        _write(code, full, term, starts, dtype, fresh=fresh)
    if wide == shape:
        return full
    picks = ", ".join(f"{low}:{low + extent}" for (low, _), extent in zip(margins, shape, strict=True))
    return code.let(f"{full}[{picks}]", [full], shape)


def _block(code: Code, dtype: np.dtype[Any], terms: Sequence[Given], shape: Shape) -> Symbol:
    return write_tensor(code, terms, shape, dtype, is_result=False)


def _without_look_ups(code: Code, term: Given) -> list[Given]:
    """The term as some that are written to where nothing is looked up, if all tables are known and that is quicker."""
    tables = code.arrays(term.tables)
    if not tables or not any(form.has_lookup for form in (*term.pattern.out, *term.pattern.into)):
        return [term]
    parts = in_runs(term.pattern, tables)
    return [term] if parts is None else [term._replace(pattern=part) for part in parts]


def _turn(term: Given) -> tuple[int, int]:
    """The largest terms are written first; of those as large products, which are made where they are written."""
    return -term.pattern.entries, -min(len(term.factors), 2)


def _is_all(pattern: Pattern, shape: Shape) -> bool:
    """Whether the contracted term is the tensor itself, written in full."""
    return (
        not open_guards(pattern) and pattern.is_plain and tuple(pattern.sizes[index] for index in pattern.free) == shape
    )


def _fills(code: Code, term: Given, dtype: np.dtype[Any]) -> bool:
    """Whether a term that is the result is computed into memory that is asked for before."""
    pattern = term.pattern
    shape = tuple(pattern.sizes[index] for index in pattern.free)
    computed = len(term.factors) > 1 and pattern.carried(pattern.guards) == pattern.free
    return computed and code.is_large(shape, dtype) and not any(term.operators)


def _whole(code: Code, term: Given, dtype: np.dtype[Any]) -> Symbol:
    result = write_core(code, term, dtype)
    free, sizes = term.pattern.free, term.pattern.sizes
    shape = tuple(sizes[index] for index in free)
    if result.labels == free:
        return result.symbol
    wide = aligned(code, result, free)
    return code.let(f"broadcast_to({wide}, {shape})", [wide], shape)


Box = list[tuple[int, int]]
"""The first and the last position that a term writes to along every axis."""


def _box(pattern: Pattern) -> Box:
    """The same for differences between an axis of the output and one of the input, which tell diagonals apart."""
    between = [combine((1, out), (-1, into)) for out, into in product(pattern.out, pattern.into)]
    return [span(form, pattern.sizes, pattern.tables) for form in (*pattern.out, *pattern.into, *between)]


def _apart(one: Box, other: Box) -> bool:
    """Whether two terms provably write to different entries: there is an axis on which their ranges do not meet."""
    return any(high < first or last < low for (low, high), (first, last) in zip(one, other, strict=True))


def _write(code: Code, full: Symbol, term: Given, starts: Sequence[int], dtype: np.dtype[Any], *, fresh: bool) -> None:
    """Write the contracted term into the result, through a strided view of it; add, unless nobody wrote there yet."""
    pattern = term.pattern
    forms = (*pattern.out, *pattern.into)
    labels = pattern.carried(pattern.guards)
    [memory] = code.memories([full.name])
    tables = code.arrays(term.tables)
    listed = listed_writer(pattern, starts, labels, full.shape, dtype, fresh=fresh, tables=tables)
    if listed is not None:
        result = write_core(code, term, dtype)
        numbers = [full, result.symbol, *term.tables]
        alone = fresh and not overlapping(pattern, full.shape)
        if memory is not None and not (alone and tables is not None):
            listed = memory.noted(listed)
        writing = code.constant(listed, "write")
        code.do(f"{writing}({', '.join(map(str, numbers))})", numbers, full, listed=pattern.entries)
        return
    at = tuple(form.offset + start for form, start in zip(forms, starts, strict=True))
    if not pattern.free:
        result = write_core(code, term, dtype)
        text = f"{full}[{', '.join(map(str, at)) or '()'}] {'=' if fresh else '+='} {result.symbol}"
        code.do(text, [result.symbol], full)
        if memory is not None and not fresh:
            memory.added_to(((), sum(place * step for place, step in zip(at, _steps(full, dtype), strict=True)), ()))
        return
    bytes_ = _steps(full, dtype)
    steps = steps_of(forms, bytes_)
    target = Target(
        full, pattern.free, tuple(steps[index] for index in pattern.free),
        sum(place * step for place, step in zip(at, bytes_, strict=True)), code.constant(dtype, "dtype"),
        dtype.itemsize, fresh,
    )  # fmt: skip
    mask = None if any(term.operators) else _mask(pattern)
    guards = pattern.guards if mask is None else ()
    if mask is not None:
        target = target._replace(pieces=tuple(pieces_of(mask)))
    if memory is not None:
        entries = tuple(pattern.sizes[index] for index in pattern.free), target.offset, target.strides
        if not fresh:
            memory.added_to(entries)
        elif target.pieces is None:
            memory.overwritten(entries)
    covers = pattern.carried(guards) == pattern.free
    result = write_core(code, term, dtype, guards, target if covers else None)
    every = dict(enumerate(pattern.sizes))
    if result.symbol is not full and (fresh or not added_to_matrices(code, result, target, every)):
        copied(code, result, target, every)


def _steps(full: Symbol, dtype: np.dtype[Any]) -> Shape:
    return tuple(dtype.itemsize * prod(full.shape[axis + 1 :]) for axis in range(full.ndim))


def _mask(pattern: Pattern) -> np.ndarray | None:
    """Where all guards hold, over the free indices; None when there is none, or one that does more than that."""
    if not pattern.guards or open_guards(pattern) != pattern.guards:
        return None
    masks: list[np.ndarray] = []
    for guard in pattern.guards:
        mask, labels = read_guard(guard, pattern, (), np.dtype(bool))
        order = [index for index in pattern.free if index in labels]
        mask = mask.transpose([labels.index(index) for index in order])
        masks.append(np.expand_dims(mask, [k for k, index in enumerate(pattern.free) if index not in order]))
    return np.asarray(reduce(np.logical_and, masks))
