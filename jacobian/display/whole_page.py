"""`report`: everything that is known of a function's Jacobians at a point, on one page that needs no network."""

from __future__ import annotations

import inspect
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from jacobian.backpropagation import backprop
from jacobian.chain import Trace, trace
from jacobian.checking.check import check
from jacobian.checking.report import Report
from jacobian.checking.verdict import Verdict
from jacobian.checking.verify import verify
from jacobian.display import backprop_page, graph_page
from jacobian.display.chain_section import chain_section
from jacobian.display.derivation import derive
from jacobian.display.derivation_section import derivation_section
from jacobian.display.mathml import formula
from jacobian.display.page import html as jacobian_html
from jacobian.display.page_frame import Section, frame
from jacobian.display.sheets import quiet
from jacobian.display.tables import Head, code, table
from jacobian.display.titles import expression
from jacobian.display.words import shape_text, value_text
from jacobian.errors import ArgumentError, FileError, JacobianError
from jacobian.errors import report as told
from jacobian.functional import value_and_jacobian
from jacobian.kernel.expression import Jacobian
from jacobian.tracing.graph import Node
from jacobian.tracing.run import argument_names, numbers_of
from jacobian.tracing.tree import is_container, leaves

Made = TypeVar("Made")

LONGEST_SOURCE = 80  # lines
UNFOLDED = 64  # entries of a Jacobian whose numbers are seen at once


class Case(NamedTuple):
    """What is reported on; `of` is the expression, `kind` to `rtol` what the claim is."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    argnums: tuple[int, ...]
    of: str
    claim: Any
    kind: str
    layout: str | None = None
    rtol: float | None = None


def report(
    f: Callable[..., Any],
    *args: Any,
    path: str | os.PathLike[str],
    argnums: int | Sequence[int] | None = None,
    claim: Any = None,
    kind: str = "jacobian",
    **kwargs: Any,
) -> Path:
    """Write one HTML page with all that is known of the Jacobians of `f` at this point; returns its path.

    It holds the Jacobians with heat maps and numbers, formulas and their derivation, the graph, the chain with the
    orders of multiplication, backpropagation node by node, and the check against finite differences; with a claim also
    the verdict on it. The page is one file: it needs no network and no script, and can be printed.

    Args:
        f: written in plain NumPy, as for `jacobian`.
        *args: its positional arguments.
        path: where the page is written; a file that is there is replaced.
        argnums: which of them to differentiate by; all of them unless given.
        claim: a derivative from paper, as for `verify`, by the first of `argnums` unless a formula says it itself.
        kind: what the claim is, as for `verify`.
        **kwargs: keyword arguments of `f`.

    Raises:
        FileError: the page cannot be written there; also an `OSError`.
        What `jacobian` and `verify` raise. Where one part of the page cannot be made, it says so, and the rest stands.

    >>> import tempfile, numpy as np, jacobian as jac
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = jac.report(lambda W, x: np.tanh(W @ x), np.ones((2, 3)), np.ones(3), path=f"{folder}/layer.html")
    ...     path.name, path.read_text(encoding="utf-8")[:15]
    ('layer.html', '<!DOCTYPE html>')
    """
    where = writable(path)
    numbers = numbers_of(tuple(range(len(args))) if argnums is None else argnums, len(args))
    of = expression(f)
    name = getattr(f, "__name__", "f")
    if of in ("", name):
        of = f"{'f' if name == '<lambda>' else name}({', '.join(argument_names(f, len(args)))})"
    return write(page(Case(f, args, kwargs, tuple(numbers), of, claim, kind)), where)


def writable(path: str | os.PathLike[str]) -> Path:
    """The path, if a file may be written there: known before any work is done.

    Raises:
        ArgumentError: it is no path.
        FileError: it is a folder, or lies in none.
    """
    given: object = path
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise ArgumentError(told("report: path must be the name of a file", got=repr(path), fix='path="report.html"'))
    where = Path(path)
    if os.path.isdir(where):  # noqa: PTH112 - a Path raises where a name is too long
        raise FileError(told(f"report: {where} is a folder", fix=f"name a file in it: {where / 'report.html'}"))
    if not os.path.isdir(where.parent):  # noqa: PTH112
        raise FileError(told(f"report: there is no folder {where.parent}", fix="make it first, or give another path"))
    return where


def write(text: str, where: Path) -> Path:
    """Write the page.

    Raises:
        FileError: it cannot be written.
    """
    try:
        where.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:  # a ValueError where the name holds a null character
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise FileError(told(f"report: {where} cannot be written: {why}", fix="give another path")) from None
    return where


def page(case: Case, foot: str = "") -> str:
    """The text of the page; `foot` is HTML at its end."""
    value, found = value_and_jacobian(case.f, argnums=case.argnums)(*case.args, **case.kwargs)
    jacobians = [J for J in leaves(found) if isinstance(J, Jacobian)]
    with quiet():  # the line above has warned
        verdict = None if case.claim is None else _verdict(case)
        graph = trace(case.f, *case.args, **case.kwargs)
        report_ = _or_error(lambda: check(case.f, *case.args, argnums=case.argnums, **case.kwargs))
        sections = [Section("The function", "function", _function(case, graph, value))]
        if verdict is not None:
            sections.append(Section("The claim", "claim", _claim(case, verdict)))
        sections += [
            Section("Jacobians", "jacobians", "".join(map(_jacobian, jacobians))),
            Section("Derivation", "derivation", _derivations(case)),
            Section("Graph", "graph", _attempt(lambda: _wide(graph_page.html(graph)))),
            Section("Chain and orders", "chain", _chains(case, graph)),
            Section("Backpropagation", "backpropagation", _attempt(lambda: _backpropagation(case))),
            Section("Check against finite differences", "check", _check(report_)),
        ]
    output = jacobians[0].names[0] if jacobians else "y"
    output = re.sub(r"[\[(.'].*", "", output) if is_container(value) else output  # all of them, not the first
    title = f"{output} = {case.of}" if case.of else output
    return frame(title, _summary(verdict, report_), sections, foot + _colophon())


# -- sections ----------------------------------------------------------------------------------------------------------


def _function(case: Case, graph: Trace, value: Any) -> str:
    """Its source, and a row for every input and output."""
    rows = [("input", node.name, node.value) for node in graph.nodes if node.op is None]
    outputs = [of.name if isinstance(of, Node) else "" for of in leaves(graph.output)]
    rows += [("output", name or "y", one) for name, one in zip(outputs, leaves(value), strict=True)]
    body = [
        (Head(code(name)), what, shape_text(np.shape(one)), _dtype(one), value_text(one)) for what, name, one in rows
    ]
    shown = table("Inputs and output", ("name", "is", "shape", "type", "values"), body)
    return f"{_source(case.f)}{_wide(shown)}"


def _dtype(value: Any) -> str:
    return str(getattr(value, "dtype", type(value).__name__))


def _source(f: Callable[..., Any]) -> str:
    if not inspect.isfunction(f) or f.__name__ == "<lambda>":
        return ""
    try:
        lines = textwrap.dedent(inspect.getsource(f)).rstrip().splitlines()
    except (OSError, TypeError):
        return ""
    return f"<pre>{escape(chr(10).join(lines))}</pre>" if len(lines) <= LONGEST_SOURCE else ""


def _jacobian(J: Jacobian) -> str:
    """Heading, formula, then what a notebook shows; few numbers are unfolded."""
    shown = jacobian_html(J)
    if J.size <= UNFOLDED:
        shown = shown.replace("<details><summary>All", "<details open><summary>All", 1)
    name = f"∂{J.names[0]}/∂{J.names[1]}"
    return f'<h3>{escape(name)}</h3><div class="formula">{formula(J.formula)}</div>{_wide(shown)}'


def _derivations(case: Case) -> str:
    def one(number: int) -> str:
        return derivation_section(derive(case.f, *case.args, argnums=number, **case.kwargs))

    return "".join(_attempt(lambda number=number: one(number)) for number in case.argnums)  # type: ignore[misc]


def _chains(case: Case, graph: Trace) -> str:
    nodes = [node for number in case.argnums for node in leaves(graph.inputs[number]) if isinstance(node, Node)]
    return "".join(_attempt(lambda node=node: chain_section(graph, node)) for node in nodes)  # type: ignore[misc]


def _backpropagation(case: Case) -> str:
    return _wide(backprop_page.html(backprop(case.f, *case.args, **case.kwargs)))


def _check(found: Report | JacobianError | MemoryError) -> str:
    """The verdict in words, and a row for every Jacobian."""
    if not isinstance(found, Report):
        return _refusal(found)
    head = ("Jacobian", "entries", "agree", "differ", "undecided", "at a kink", "largest difference", "its error bar")
    rows = []
    for one in found.parts:
        place = one.worst[0] if len(one.worst) else None
        largest = ("", "") if place is None else (f"{one.difference[place]:.1e}", f"{one.errors[place]:.1e}")
        counts = (one.ours.size, one.agreed, *map(np.count_nonzero, (one.differ, one.undecided, one.kinks)))
        rows.append((Head(code(f"∂{one.name[0]}/∂{one.name[1]}")), *(f"{n:,}" for n in counts), *largest))
    shown = table(f"Entry by entry; method: {', '.join(dict.fromkeys(one.method for one in found.parts))}", head, rows)
    return f"{_wide(shown)}<pre>{escape(str(found))}</pre>"


def _verdict(case: Case) -> Verdict:
    return verify(
        case.f, *case.args, claim=case.claim, argnums=case.argnums[0], kind=case.kind, layout=case.layout,
        rtol=case.rtol, **case.kwargs,
    )  # fmt: skip


def _claim(case: Case, verdict: Verdict) -> str:
    """What was claimed, whether it is right, and what slipped."""
    said = ""
    if isinstance(case.claim, str):
        said = f'<p>Claimed:</p><div class="formula">{formula(case.claim)}</div>'
    elif callable(case.claim):
        said = _source(case.claim)
    return f"{said}{_judged(bool(verdict), str(verdict).splitlines()[0])}<pre>{escape(str(verdict))}</pre>"


# -- parts -------------------------------------------------------------------------------------------------------------


def _summary(verdict: Verdict | None, found: Report | JacobianError | MemoryError) -> str:
    lines = []
    if verdict is not None:
        lines.append(_judged(bool(verdict), f"The claim is {str(verdict).splitlines()[0]}"))
    if isinstance(found, Report):
        lines.append(_judged(bool(found), f"The Jacobians are {str(found).splitlines()[0]}"))
    return "".join(lines)


def _judged(good: bool, text: str) -> str:
    """A sentence that says whether it is good; colour only repeats it."""
    kind, sign = ("good", "✓") if good else ("bad", "✗")
    return f'<p class="verdict {kind}"><span aria-hidden="true">{sign} </span>{escape(text)}</p>'


def _colophon() -> str:
    version = sys.modules["jacobian"].__version__  # what stands right of this room is not imported
    layout = "J[j,i] = ∂y[j]/∂x[i]: output axes first, rows in C order"
    return f"<p>Made by jacobian {version} with NumPy {np.__version__}. {layout}.</p>"


def _wide(inside: str) -> str:
    return f'<div class="wide">{inside}</div>'


def _or_error(make: Callable[[], Made]) -> Made | JacobianError | MemoryError:
    try:
        return make()
    except (JacobianError, MemoryError) as error:
        return error


def _attempt(make: Callable[[], str]) -> str:
    """A section, or why there is none."""
    found = _or_error(make)
    return found if isinstance(found, str) else _refusal(found)


def _refusal(error: BaseException) -> str:
    return f'<p class="note">This part cannot be made here:</p><pre>{escape(str(error))}</pre>'
