"""A plan a person can read: to Jacobians what EXPLAIN is to SQL."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from jacobian.kernel.access import indices
from jacobian.kernel.counting import reach
from jacobian.kernel.memory import human
from jacobian.kernel.network import Plan, plan
from jacobian.kernel.notation import factor_text, form_text, letters_of
from jacobian.kernel.term import Operator, Term

if TYPE_CHECKING:
    from jacobian.kernel.expression import Jacobian


def plan_of(term: Term) -> Plan | None:
    """How a term's arrays would be contracted; None when there is nothing to contract."""
    pattern = term.pattern
    labels = [tuple(dict.fromkeys(indices(*access.forms))) for access in pattern.factors]
    labels += [tuple(dict.fromkeys(indices(guard.form))) for guard in pattern.guards]
    if not labels:
        return None
    shapes = tuple(tuple(pattern.sizes[index] for index in axes) for axes in labels)
    carried = {index for axes in labels for index in axes}
    return plan(tuple(labels), shapes, tuple(index for index in pattern.free if index in carried))


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
        f"  holds {human(J.nbytes)}, dense {human(J.dense_nbytes)}",
        f"  reaches {'' if entries.exact else 'at most '}{entries.entries} of {J.size} entries",
    ]
    for nth, term in enumerate(J.terms):
        lines += [f"term {nth + 1}: {J.formula_of([term])}"]
        lines += [f"  {line}" for line in _term(term)]
    if J.origin is not None and J.origin.orders is not None:
        lines += ["orders of elimination:", *(f"  {line}" for line in J.origin.orders().splitlines())]
    return "\n".join(lines)


def _term(term: Term) -> list[str]:
    pattern, letter = term.pattern, letters_of(term)
    sizes = ", ".join(f"{letter(index)}={size}" for index, size in enumerate(pattern.sizes))
    lines = [f"indices: {sizes or 'none'}"]
    for nth, (factor, access) in enumerate(zip(term.factors, pattern.factors, strict=True)):
        positions = ",".join(form_text(form, letter) for form in access.forms)
        kind = "operator, applied" if isinstance(factor.array, Operator) else "array"
        label = factor_text(factor.text, access.forms, letter, nth + 1)
        lines.append(f"factor {nth + 1}: {kind} {access.shape} read at [{positions}]: {label}")
    for guard in pattern.guards:
        text = form_text(guard.form, letter)
        if guard.extent == 1:
            lines.append(f"one-hot factor [{text} = 0]: this equation has no substitution")
        else:
            lines.append(f"guard [0 <= {text} < {guard.extent}]: ones and zeros, no array")
    if not pattern.factors and not pattern.guards:
        lines.append("no array: the indices say it all")
    found = plan_of(term)
    if found is not None and len(pattern.factors) + len(pattern.guards) > 1:
        lines.append(f"einsum: {found.equation}")
        lines.append(f"path: {', then '.join(found.steps)}")
        lines.append(
            f"multiplications: {found.multiplications:,} ({found.naive_multiplications:,} without an order), "
            f"largest intermediate {int(found.info.largest_intermediate):,} entries"
        )
    written = prod(pattern.sizes[index] for index in pattern.free)
    lines.append(f"writes {written:,} entries")
    return lines
