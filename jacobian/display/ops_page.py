"""Pages of all ops, and of one: text for the command line, Markdown for `docs/`; made from the registry."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jacobian.display.declared import (
    Example,
    answers,
    derivative,
    example,
    grouped,
    kink_jacobian,
    kink_sample,
    kinks_met,
    known_ops,
    signature,
    structure,
    title,
)
from jacobian.display.entries import entry, jacobian_entries, values
from jacobian.ops.registry import SAME, Kink, Op

_FEW = 8
"""A Jacobian of more entries has no place in a table."""


def all_ops() -> str:
    """All ops as text, by the file that declares them."""
    lines: list[str] = []
    for group, ops in grouped().items():
        lines += [f"{group}: {title(group)}", ""]
        for op in ops:
            lines.append(f"{op.name}  {', '.join(answers(op))}".rstrip())
            lines += [f"    {line}" for line in (_plain(derivative(op)), structure(op), op.note) if line]
        lines.append("")
    return "\n".join([*lines, "python -m jacobian ops NAME shows one of them with an example."])


def one_op(op: Op) -> str:
    """Everything that is declared of an op, and its Jacobians at a sample."""
    facts = {
        "answers": ", ".join(answers(op)) or "only for itself",
        "signature": signature(op),
        "derivative": _plain(derivative(op)),
        "structure": structure(op),
        "note": op.note,
        "kinks": "\n".join(map(_kink_line, op.kinks)) or _kinks_of_others(op),
        "complex": _complex(op),
        "source": op.source,
        "declared": op.module.replace(".", "/") + ".py",
    }
    lines = [op.name, *(entry(name, text) for name, text in facts.items() if text)]
    found = example(op)
    return "\n".join([*lines, *([] if found is None else _shown(found))])


def _shown(found: Example) -> Iterable[str]:
    yield "\nan example"
    for name, value in found.arguments.items():
        yield entry(name, _argument(value))
    for J in found.jacobians:
        yield f"\n∂{J.names[0]}/∂{J.names[1]}"
        yield jacobian_entries(J)


def _argument(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return values(value)
    if isinstance(value, list):
        return "\n".join(_argument(item) for item in value)
    return repr(value)


def _kink_line(kink: Kink) -> str:
    return f"where {kink.where}: {kink.taken} is taken, with a {kink.warns}"


def _kinks_of_others(op: Op) -> str:
    met = list(kinks_met(op)) if op.family == "composite" else []
    return f"those of {', '.join(met)}" if met else ""


def _complex(op: Op) -> str:
    if op.family == "composite":
        return ""
    said = {"real part": "dy = real(J dz): not holomorphic where y is real", "refused": "refused"}
    return said.get(op.of_complex, "")


def _plain(text: str) -> str:
    return f"by {text.replace('`', '')}" if text.startswith("`") else text


# -- Markdown ---------------------------------------------------------------------------------------------------------


def ops_markdown() -> str:
    """The same page in Markdown."""
    intro = (
        "Made from the registry by `python -m jacobian ops --markdown`; `python -m jacobian ops NAME` shows one op "
        f"with an example. What is taken where there is no derivative: [kinks.md](kinks.md). {made_with()}"
    )
    parts = ["# All ops", "", intro]
    for group, ops in grouped().items():
        rows = [
            (f"`{op.name}`", _codes(answers(op)), _formula(op), structure(op), op.note)
            for op in ops
        ]  # fmt: skip
        parts += ["", f"## {group}", "", title(group), ""]
        parts += _table(("op", "answers for", "derivative", "structure of an example", "note"), rows)
    return "\n".join(parts)


def kinks_markdown() -> str:
    """Every kink, what is taken there, and how that compares with PyTorch, in Markdown."""
    ops = known_ops()
    rows = [_kink_row(op, kink) for op in ops for kink in op.kinks]
    met = {op.name: list(kinks_met(op)) for op in ops if op.family == "composite"}
    intro = (
        "Where an op has no derivative, or none that is finite, and what is taken there. A `KinkWarning`, or a "
        "`NonFiniteWarning` where what is taken is not finite, names the op and the entries. Made from the registry "
        f"by `python -m jacobian ops --kinks`. {made_with()}"
    )
    constants = (
        "Positions, comparisons and masks are constants, and nothing is told of them: where entries are equal, "
        "`x[np.argsort(x)]` has the derivative of `np.sort(x)` without its warning, and `np.where(x > 0, x, 0)` at 0 "
        "that of the branch that is taken."
    )
    columns = "The Jacobian and what PyTorch takes are those at the example, one operand after the other."
    table = _table(("op", "where", "taken", "example", "Jacobian there", "PyTorch there"), rows)
    others = _table(("function", "ops"), [(f"`{name}`", _codes(found)) for name, found in met.items() if found])
    composites = "Functions that are written in these ops have their kinks:"
    return "\n".join(["# Kinks", "", intro, "", constants, "", columns, "", *table, "", composites, "", *others])


def _kink_row(op: Op, kink: Kink) -> Sequence[str]:
    one = kink_sample(op, kink)
    found = kink_jacobian(op, kink)
    is_said = len(found) <= _FEW and (op.family != "linalg" or bool(kink.torch))
    shown = Example(op, one).arguments.items()
    arguments = ", ".join(f"{name} = {_compact(value)}" for name, value in shown)
    torch = "; ".join(f"`{call}`: {value if value is SAME else _numbers(value)}" for call, value in kink.torch.items())
    where = f"`{kink.where}`" if "=" in kink.where and " and " not in kink.where else kink.where
    return f"`{op.name}`", where, kink.taken.rstrip(","), arguments, _numbers(found) if is_said else "–", torch or "–"


def _compact(value: Any) -> str:
    return str(np.asarray(value).tolist()) if isinstance(value, np.ndarray) else f"{value}"


def _numbers(found: Iterable[float]) -> str:
    return ", ".join(f"{value + 0.0:g}" for value in found)


def _formula(op: Op) -> str:
    text = derivative(op)
    return f"by {text}" if text.startswith("`") else f"`{text}`" if text else ""


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def made_with() -> str:
    """The versions of NumPy and SciPy whose functions a page names."""
    versions = {"NumPy": np.__version__}
    if "scipy" in sys.modules:
        versions["SciPy"] = sys.modules["scipy"].__version__
    return f"With {' and '.join(f'{name} {_minor(version)}' for name, version in versions.items())}."


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]
