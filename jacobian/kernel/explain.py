"""A plan a person can read: to Jacobians what EXPLAIN is to SQL."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import TYPE_CHECKING

from jacobian.kernel.access import indices
from jacobian.kernel.counting import reach
from jacobian.kernel.dispatch import is_foreign
from jacobian.kernel.lower import program_of
from jacobian.kernel.memory import human
from jacobian.kernel.network import Plan, plan
from jacobian.kernel.notation import Spelling, factor_text, form_text, letters_of
from jacobian.kernel.term import Operator, Term

if TYPE_CHECKING:
    from jacobian.kernel.expression import Jacobian

LONGEST = 20  # lines of a program that are shown


def plan_of(term: Term) -> Plan | None:
    """How a term's arrays would be contracted; None when there is nothing to contract."""
    pattern = term.pattern
    labels = [tuple(dict.fromkeys(indices(*access.forms))) for access in pattern.factors]
    labels += [tuple(dict.fromkeys(indices(guard.form))) for guard in pattern.guards]
    if not labels:
        return None
    shapes = tuple(tuple(pattern.sizes[index] for index in axes) for axes in labels)
    return plan(tuple(labels), shapes, pattern.carried(pattern.guards))


def multiplications(term: Term) -> int:
    """Multiplications to contract the term, in the order opt_einsum chose."""
    found = plan_of(term)
    return 0 if found is None or len(term.pattern.factors) + len(term.pattern.guards) < 2 else found.multiplications


def explain(J: Jacobian) -> str:
    """The text of `J.explain()`."""
    count, entries = len(J.terms), reach(J.terms, J.shape)
    lines = [
        f"Jacobian {J.out_shape} × {J.in_shape} {J.dtype}: {count} term{'' if count == 1 else 's'}, {J.structure}",
        f"  {J.formula}",
        *([f"  where {', '.join(J.legend)}"] if J.legend else []),
        f"  holds {human(J.nbytes)}, dense {human(J.dense_nbytes)}",
        f"  reaches {'' if entries.exact else 'at most '}{entries.entries} of {J.size} entries",
    ]
    for nth, term in enumerate(J.terms):
        lines += [f"term {nth + 1}: {J.formula_of([term])}"]
        lines += [f"  {line}" for line in _term(term, J.spelling)]
    lines += _program(J)
    if J.origin is not None and J.origin.orders is not None:
        lines += ["orders of elimination:", *(f"  {line}" for line in J.origin.orders().splitlines())]
    return "\n".join(lines)


def _program(J: Jacobian) -> list[str]:
    """The lines that run when the full tensor is asked for."""
    if not J.terms or any(is_foreign(factor.array) for term in J.terms for factor in term.factors):
        return []
    lines = program_of(J.terms, J.shape, J.dtype)
    cut = len(lines) - LONGEST if len(lines) > LONGEST + 1 else 0
    more = [f"… and {cut} more lines"] if cut else []
    return ["made dense by:", *(f"  {line}" for line in [*lines[: len(lines) - cut], *more])]


def _contraction(term: Term) -> list[str]:
    """What runs: factors over the same indices are multiplied, lone indices summed, and the rest is one einsum.

    Numbers are factors over no index.
    """
    pattern = term.pattern
    if len(pattern.factors) + len(pattern.guards) < 2:
        return []
    letter = letters_of(term)
    alike = Counter(
        tuple(dict.fromkeys(indices(*forms)))
        for forms in (*(access.forms for access in pattern.factors), *((guard.form,) for guard in pattern.guards))
    )
    lines: list[str] = []
    extra = 0
    for axes, count in alike.items():
        if count > 1:
            extra += (count - 1) * prod(pattern.sizes[index] for index in axes)
            what = f"factors over [{','.join(map(letter, axes))}]" if axes else "numbers"
            lines.append(f"first: {count} {what} are multiplied into one")
    carriers = Counter(index for axes in alike for index in axes)
    alone = [index for index, count in carriers.items() if count == 1 and index not in pattern.free]
    if alone:
        lines.append(f"first: the only factor with it is summed over {', '.join(map(letter, alone))}")
    left = [tuple(index for index in axes if index not in alone) for axes in alike]
    if len(left) < 2:
        return [*lines, f"multiplications: {extra:,}"]
    shapes = tuple(tuple(pattern.sizes[index] for index in axes) for axes in left)
    found = plan(tuple(left), shapes, tuple(index for index in pattern.free if index in carriers))
    total, naive = found.multiplications + extra, found.naive_multiplications + extra
    largest = int(found.info.largest_intermediate)
    lines += [f"einsum: {found.equation}", f"path: {', then '.join(found.steps)}"]
    lines.append(f"multiplications: {total:,} ({naive:,} without an order), largest intermediate {largest:,} entries")
    return lines


def _term(term: Term, spelling: Spelling) -> list[str]:
    pattern = term.pattern
    letter = spelling.letters_of(term)
    sizes = ", ".join(f"{letter(index)}={size}" for index, size in enumerate(pattern.sizes))
    lines = [f"indices: {sizes or 'none'}"]
    for nth, (factor, access) in enumerate(zip(term.factors, pattern.factors, strict=True)):
        positions = ",".join(form_text(form, letter) for form in access.forms)
        kind = "operator, applied" if isinstance(factor.array, Operator) else "array"
        label = factor_text(spelling.label(factor), access.forms, letter, nth + 1)
        lines.append(f"factor {nth + 1}: {kind} {access.shape} read at [{positions}]: {label}")
    for guard in pattern.guards:
        text = form_text(guard.form, letter)
        if guard.extent == 1:
            lines.append(f"one-hot factor [{text} = 0]: this equation has no substitution")
        else:
            lines.append(f"guard [0 <= {text} < {guard.extent}]: ones and zeros, no array")
    if not pattern.factors and not pattern.guards:
        lines.append("no array: the indices say it all")
    lines += _contraction(term)
    written = pattern.entries
    lines.append(f"writes {written:,} {'entry' if written == 1 else 'entries'}")
    return lines
