"""`derive`: a derivation as a person would write it on paper, each line of it verified, and the code it ends in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from types import SimpleNamespace
from typing import Any

import numpy as np

from jacobian import ops
from jacobian.display.derivation_check import agrees
from jacobian.display.derivation_code import NotPlainError, Writer, tensor_lines
from jacobian.display.derivation_matrix import MatrixForm, matrix_forms, on_paper
from jacobian.display.derivation_nodes import FEW, HELPERS
from jacobian.display.derivation_parts import Line, Part
from jacobian.display.derivation_steps import Steps
from jacobian.errors import DerivationError, report
from jacobian.kernel.code import run_text
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.latex import latex, name_latex
from jacobian.tracing.run import numbers_of

COLUMN = 56
"""Where remarks stand."""


class Derivation:
    """A derivation: `str()` is text; `.latex`, `.markdown`, `.code`; in a notebook it shows itself.

    `parts` are its lines under their titles, `formula` is the last one, `matrix` its matrix forms as text, `inputs`
    the arrays that the code is to be run with, `jacobian` the Jacobian itself.

    >>> import numpy as np, jacobian as jac
    >>> d = jac.derive(lambda x: x @ x, np.ones(3))
    >>> print(d.code)
    import numpy as np
    # given: x (3,)
    J = 2 * x
    """

    def __init__(self, steps: Steps) -> None:
        self.formula = steps.formula
        self.jacobian: Jacobian = steps.jacobian
        self.names = (steps.run.output_name, steps.wrt.name)
        self._shapes = (tuple(steps.run.out_shape), tuple(steps.wrt.shape))
        self.parts: tuple[Part, ...] = tuple(steps.parts)
        self._forms = _verified_forms(steps, self._shapes)
        self.matrix = tuple(f"{form.left} = {on_paper(form.code)}" for form in self._forms)
        self.code, self.inputs = _program(steps, self._shapes)

    @property
    def title(self) -> str:
        """`∂y/∂W, y (5, 3) by W (4, 3)`."""
        out, into = (
            f"{name} {shape}" if shape else f"{name} a number"
            for name, shape in zip(self.names, self._shapes, strict=True)
        )
        return f"∂{self.names[0]}/∂{self.names[1]}: {out}, {into}"

    def __str__(self) -> str:
        """The derivation as text."""
        lines = [self.title]
        for part in self.parts:
            lines += ["", part.title]
            for line in part.lines:
                lines += _as_text(line)
        if self._forms:
            lines += ["", "In matrices"]
            for form, text in zip(self._forms, self.matrix, strict=True):
                lines += _as_text(Line(text, _what(form, self.names[0])))
        lines += ["", "In NumPy", *(f"  {line}".rstrip() for line in self.code.splitlines())]
        return "\n".join(lines)

    __repr__ = __str__

    @property
    def latex(self) -> str:
        """All formulas as one `aligned` environment that MathJax renders."""
        rows: list[str] = []
        for part in self.parts:
            rows.append(rf"&\textbf{{{_in_text(part.title)}}}")
            shown = _code_latex if _is_code(part) else _latex_of
            rows += [_row(line, shown) for line in part.lines if line.formula]
        rows += [rf"&{_form_latex(form)}" for form in self._forms]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    @property
    def markdown(self) -> str:
        """The derivation in Markdown, formulas in LaTeX."""
        lines = [f"### ${_heading(self.names)}$"]
        for part in self.parts:
            lines += ["", f"**{_title_markdown(part.title)}**", ""]
            if _is_code(part):
                lines += [
                    "```python",
                    *(line.formula + (f"  # {line.why}" if line.why else "") for line in part.lines),
                    "```",
                ]
                continue
            for line in part.lines:
                why = f"*{line.why}*" if line.why else ""
                shown = f"$\\displaystyle {_latex_of(line.formula)}$" if line.formula else ""
                lines.append("- " + " — ".join(one for one in (shown, why) if one))
        if self._forms:
            lines += ["", "**In matrices**", ""]
            for form in self._forms:
                what = _what(form, self.names[0])
                lines.append(f"- $\\displaystyle {_form_latex(form)}$" + (f" — *{what}*" if what else ""))
        lines += ["", "**In NumPy**", "", "```python", *self.code.splitlines(), "```"]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        return self.markdown

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {
            "text/plain": str(self),
            "text/markdown": self.markdown,
            "text/latex": f"$${self.latex}$$",
        }


def derive(f: Callable[..., Any], *args: Any, argnums: int | Sequence[int] = 0, **kwargs: Any) -> Any:
    """The derivation of `∂y/∂x`, step by step, as a person would write it; a tuple of them for a tuple of argnums.

    Local Jacobians, the chain rule, what is put in, every δ that is eliminated, the result in index notation and,
    where there is one, in matrices, and NumPy code that computes it. Every line is read again and evaluated before it
    is shown, and the code has been run. Index positions, brackets and sums are to be read as `verify` reads them.

    Raises:
        ArgumentError: the function is complex on the way, returns more than one array, or the arrays are so large
            that the lines cannot be checked in numbers.
        DerivationError: a line did not hold: a fault of this package's.

    >>> import numpy as np, jacobian as jac
    >>> d = jac.derive(lambda W, x: np.tanh(W @ x), np.ones((2, 3)), np.ones(3))
    >>> print(d.formula)
    ∂y[i]/∂W[i,j] = (1 - y[i]**2) * x[j]
    >>> print(d.matrix[-1])
    ∂L/∂W = (G ⊙ (1 - y**2)) xᵀ
    """
    several = isinstance(argnums, tuple | list)
    numbers = numbers_of(argnums, len(args))
    found = tuple(_derived(f, args, kwargs, number) for number in numbers)
    return found if several else found[0]


def _derived(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], number: int) -> Derivation:
    """A derivation; where positions become too involved to be carried on, their Jacobians are taken as arrays."""
    for level in (0, 1):
        try:
            return Derivation(Steps(f, args, kwargs, number, level))
        except DerivationError:
            continue
    return Derivation(Steps(f, args, kwargs, number, 2))


# -- code --------------------------------------------------------------------------------------------------------------


def _writer(steps: Steps) -> Writer:
    return Writer(steps.book, [*steps.scope.values, *_tables(steps)])


def _tables(steps: Steps) -> dict[str, Any]:
    return {f"t{number or ''}": table for number, table in enumerate(steps.book.tables) if table.size}


def _verified_forms(steps: Steps, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> list[MatrixForm]:
    """The matrix forms whose code gives what it should."""
    out, _ = shapes
    J = steps.jacobian.tensor()
    rng = np.random.default_rng(0)
    found = []
    for form in matrix_forms(steps.total, (steps.run.output_name, steps.wrt.name), shapes, _writer(steps)):
        G = rng.normal(size=out)
        expected = {
            "J": lambda: J,
            "C": steps.jacobian.matrix,
            "F": lambda: steps.jacobian.matrix(order="F"),
        }.get(form.what, lambda G=G: np.tensordot(G, J, len(out)))()
        if not _is_short(form.code):
            continue
        scope = {**steps.scope.values, **({form.what: G} if form.what not in "JCF" else {})}
        if agrees(_run_expression(form.code, scope), expected):
            found.append(form)
    return found


def _is_short(code: str) -> bool:
    return len(code) <= 200


def _run_expression(code: str, values: Mapping[str, Any]) -> Any:
    scope: dict[str, Any] = {"np": np, "jac": SimpleNamespace(ops=ops)}
    for name in _helpers(code):
        run_text(HELPERS[name], scope)
    try:
        with np.errstate(all="ignore"):
            return eval(code, {**scope, **values})
    except (ValueError, TypeError, IndexError, NameError, np.linalg.LinAlgError):
        return np.asarray(np.nan)


def _helpers(code: str) -> list[str]:
    return [name for name in HELPERS if re.search(rf"(?<![\w.]){name}\(", code)]


def _program(steps: Steps, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[str, dict[str, Any]]:
    """The code of the Jacobian, after it was run on its own and gave it; and the arrays it needs."""
    shape = (*shapes[0], *shapes[1])
    try:
        body = tensor_lines(steps.total, shape, "J", _writer(steps))
    except NotPlainError:
        body = None
    found = _assembled(steps, body) if body is not None else None
    if found is None or not _reproduces(*found, steps.jacobian.tensor()):
        raise DerivationError(
            report(
                "the code of the derivation does not give the Jacobian",
                formula=steps.formula,
                fix="this is a fault of jacobian's",
            )
        )
    return found


def _reproduces(code: str, inputs: Mapping[str, Any], expected: Any) -> bool:
    try:
        with np.errstate(all="ignore"):
            scope = run_text(code, dict(inputs))
    except (ValueError, TypeError, IndexError, NameError, ArithmeticError):
        return False
    return agrees(scope["J"], expected)


def _assembled(steps: Steps, body: list[str]) -> tuple[str, dict[str, Any]]:
    """What the last lines need stands before them: tables, values of nodes, names; nothing else."""
    sources = _sources(steps)
    order = list(sources)
    needed: set[str] = set()
    waiting = list(body)
    while waiting:
        words = set(re.findall(r"[^\W\d]\w*", waiting.pop()))
        for name in words & sources.keys() - needed:
            needed.add(name)
            waiting += sources[name]
    lines = [line for name in order if name in needed for line in sources[name]] + body
    text = "\n".join(lines)
    words = set(re.findall(r"[^\W\d]\w*", text))
    given = {name: value for name, value in steps.scope.given.items() if name in words and name not in needed}
    head = ["import numpy as np", *(["import jacobian as jac"] if re.search(r"\bjac\.", text) else [])]
    helpers = [part for name in _helpers(text) for part in ("", *HELPERS[name].splitlines())]
    space = [""] if helpers else []
    shown = [f"{name} {np.shape(value)}" if np.ndim(value) else name for name, value in given.items()]
    told = [f"# given: {', '.join(shown)}"]
    return "\n".join([*head, *helpers, *space, *(told if given else []), *lines]), given


def _sources(steps: Steps) -> dict[str, list[str]]:
    """For every name what makes it, in an order in which it can be run."""
    sources: dict[str, list[str]] = {}
    inputs = {node.name for node in steps.run.trace.nodes if node.op is None} | set(steps.run.input_names)
    for name, table in _tables(steps).items():
        sources[name] = [_literal(name, table)]
    for name, value in steps.scope.given.items():
        if name not in inputs and not _was_captured(steps, name, value) and np.size(value) <= FEW:
            sources[name] = [_literal(name, value)]
    for node in steps.run.trace.nodes:
        if node.op is not None:
            code = steps.codes[node.name]
            sources[node.name] = [f"{node.name} = {code}" if code else _literal(node.name, node.value)]
    for name, definition in steps.definitions.items():
        if definition.code:
            sources[name] = [f"{name} = {definition.code}"]
        elif definition.total is not None:
            sources[name] = tensor_lines(definition.total, np.shape(definition.array), name, _writer(steps))
    return sources


def _was_captured(steps: Steps, name: str, value: Any) -> bool:
    return steps.scope.captured.get(id(value)) == name


def _literal(name: str, value: Any) -> str:
    return f"{name} = np.array({np.asarray(value).tolist()})"


# -- showing -----------------------------------------------------------------------------------------------------------


def _as_text(line: Line) -> list[str]:
    if not line.formula:
        return [f"  {line.why}"]
    if not line.why:
        return [f"  {line.formula}"]
    if len(line.formula) > COLUMN - 4:
        return [f"  {line.formula}", f"{'':{COLUMN}}{line.why}"]
    return [f"  {line.formula}".ljust(COLUMN) + line.why]


def _what(form: MatrixForm, out: str) -> str:
    if form.what == "J":
        return "⊙, powers and quotients entry by entry" if set("⊙/*") & set(on_paper(form.code)) else ""
    if form.what == "F":
        return 'column-major vec, columns below one another: J.matrix(order="F")'
    if form.what == "C":
        return "row-major vec, rows one after the other: J.matrix()"
    return f"downstream, {form.what} being {form.left.partition('/')[0]}/∂{out}"


def _is_code(part: Part) -> bool:
    return part.title.startswith("The function")


def _heading(names: tuple[str, str]) -> str:
    return rf"\frac{{\partial {name_latex(names[0])}}}{{\partial {name_latex(names[1])}}}"


def _title_markdown(title: str) -> str:
    match = re.fullmatch(r"∂(\w+)/∂(\w+)", title)
    return f"${_heading((match[1], match[2]))}$" if match else escape(title, quote=False)


def _in_text(title: str) -> str:
    match = re.fullmatch(r"∂(\w+)/∂(\w+)", title)
    return f"${_heading((match[1], match[2]))}$" if match else title


def _latex_of(formula: str) -> str:
    direct = formula.replace("|direct", " * DIRECT_MARK")
    shown = latex(direct.replace(" · ", " * DOT_MARK * "))
    if shown is None:
        return rf"\text{{{formula}}}"
    shown = shown.replace(r"\,\mathrm{DOT\_MARK}\,", r" \cdot ")
    return re.sub(_QUOTIENT + r"\\,\\mathrm\{DIRECT\\_MARK\}", r"\\left.\1\\right|_{\\text{direct}}", shown)


_BRACES = r"\{\\partial [^{}]*(?:\{[^{}]*\}[^{}]*)*\}"
_QUOTIENT = rf"(\\frac{_BRACES}{_BRACES})"


def _code_latex(code: str) -> str:
    special = {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", **{sign: f"\\{sign}" for sign in "{}$&#_%"}}
    return rf"\texttt{{{''.join(special.get(sign, sign) for sign in code)}}}"


def _row(line: Line, latex_of: Callable[[str], str]) -> str:
    shown = "&" + latex_of(line.formula)
    return shown + (rf" && \text{{{_plain(line.why)}}}" if line.why else "")


def _plain(why: str) -> str:
    return why.replace("δ", r"$\delta$").replace("·", r"$\cdot$").replace("_", r"\_")


def _form_latex(form: MatrixForm) -> str:
    match = re.fullmatch(r"∂(vec\()?(\w+)\)?/∂(vec\()?(\w+)\)?", form.left)
    assert match is not None
    names = [name_latex(match[2]), name_latex(match[4])]
    if match[1]:
        names = [rf"\operatorname{{vec}} {name}" for name in names]
    return rf"\frac{{\partial {names[0]}}}{{\partial {names[1]}}} = {on_paper(form.code, latex=True)}"
