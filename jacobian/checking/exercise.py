"""Exercises: a function whose derivation is shown but for the Jacobian of one node, which is to be found."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jacobian.checking.case import Case
from jacobian.checking.derivation import Run
from jacobian.checking.verdict import ELSEWHERE, WRONG, Verdict, place
from jacobian.checking.verify import judge
from jacobian.errors import ArgumentError, report
from jacobian.kernel.expression import Jacobian
from jacobian.tracing.graph import Node
from jacobian.tracing.run import numbers_of
from jacobian.tracing.stripped import strip_all
from jacobian.tracing.tracer import record_bound

HIDDEN = "?"


@dataclass(frozen=True)
class Answer:
    """Whether an answer is right; truthy when it is. It does not give the solution away."""

    verdict: str
    text: str
    _judged: Verdict = field(repr=False)

    def __bool__(self) -> bool:
        return self.verdict != WRONG

    def __repr__(self) -> str:
        return self.text


def exercise(f: Callable[..., Any], *args: Any, blank: Any = None, argnums: int = 0, **kwargs: Any) -> Exercise:
    """Hide the local Jacobian of one node of `f` and ask for it.

    Args:
        f: written in plain NumPy; returns one array.
        *args: the point.
        blank: the node whose Jacobian is asked for: what `f` calls it, its name in `jac.trace`, or its number. Without
            it the derivative of the whole function is asked for.
        argnums: the argument by which the whole is differentiated.
        **kwargs: passed to `f`.

    Raises:
        ArgumentError: there is no such node, or it has no Jacobian.

    >>> import numpy as np, jacobian as jac
    >>> def layer(W, x):
    ...     a = W @ x
    ...     h = np.tanh(a)
    ...     return h.sum()
    >>> task = jac.exercise(layer, np.ones((2, 2)), np.array([0.1, 0.2]), blank="h")
    >>> print(task)
    Find ∂h/∂a, of the shape (2, 2).
      W  (2, 2)
      x  (2,)
      a = matmul(W, x)  (2,)   ∂a[i]/∂W[i,j] = x[j],  ∂a[i]/∂x[j] = W[i,j]
      h = tanh(a)  (2,)        ∂h/∂a = ?
      y = sum(h)  ()           ∂y/∂h[i] = 1
    >>> task.answer("dh[i]/da[j] = 1 - h[i]**2")
    wrong: 2 of 4 entries of ∂h/∂a are right; ∂h[0]/∂a[1] is not. task.hint() says what slipped.
    >>> print(task.hint())
    δ left out
    >>> bool(task.answer("dh[i]/da[j] = δ[i,j] * (1 - h[i]**2)"))
    True
    """
    return Exercise(f, args, kwargs, blank, argnums)


class Exercise:
    """A derivation with a blank. `answer` says right or wrong, `hint` what slipped, `solution` the rest.

    An answer is truthy when it is right, so that `assert task.answer(claim)` grades it.

    >>> import numpy as np, jacobian as jac
    >>> task = jac.exercise(lambda x: np.exp(x).sum(), np.zeros(2), blank="v1")
    >>> assert task.answer(lambda x: np.diag(np.exp(x)))
    >>> print(task.solution())
    ∂v1[i]/∂x[i] = v1[i]
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], blank: Any, argnums: int):
        (number,) = numbers_of(argnums, len(args))
        self._run = Run(f, args, kwargs, number)
        self._last: Verdict | None = None
        if not isinstance(self._run.of, Node):
            raise ArgumentError(report("exercise: the function does not depend on its arguments"))
        self._node = None if blank is None else self._found(blank)
        self._whole = (f, tuple(args), kwargs, number)

    def _found(self, blank: Any) -> Node:
        node = self._run.variables.get(blank) if isinstance(blank, str) else None
        node = self._run.trace.node(blank) if node is None else node
        if node.op is None:
            inner = ", ".join(n.name for n in self._run.trace.nodes if n.op is not None)
            raise ArgumentError(report(f"exercise: {node.name} is an input and has no Jacobian", nodes=inner))
        return node

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of the variables by which a derivative is asked for; `answer(claim, wrt=…)` chooses one."""
        if self._node is None:
            return (self._run.wrt.name,)
        return tuple(dict.fromkeys(parent.name for _, parent in self._node.parents))

    def answer(self, claim: Any, wrt: str | None = None, **options: Any) -> Answer:
        """Judge an answer, in any form that `verify` takes; a formula says itself by what it differentiates.

        Args:
            claim: an array, a function of the node's operands (and of the node itself), index notation, or a text.
            wrt: by which of the operands, where there are several.
            **options: `kind`, `layout` and `rtol` as in `verify`.
        """
        verdict = judge(self._case(claim, wrt, options))
        self._last = verdict
        return Answer(verdict.verdict, self._told(verdict), verdict)

    def hint(self) -> str:
        """What slipped in the last answer, by name."""
        if self._last is None:
            return "give an answer first"
        if self._last:
            return "the last answer is right"
        found = self._last.diagnosis
        return "nothing that is known by name" if found is None else " and ".join(found.slips)

    def explanation(self) -> str:
        """The whole verdict on the last answer; it holds the solution."""
        return "give an answer first" if self._last is None else str(self._last)

    def solution(self, wrt: str | None = None) -> str:
        """The Jacobian that was asked for, in index notation."""
        names = self.asked if wrt is None else (self._chosen(wrt),)
        return "\n".join(self._true(name).formula for name in names)

    # -- the node as a function ---------------------------------------------------------------------------------------

    def _true(self, name: str) -> Jacobian:
        if self._node is None:
            return self._run.jacobian
        return self._run.trace.jacobian(self._node, next(p for _, p in self._node.parents if p.name == name))

    def _chosen(self, wrt: str | None) -> str:
        if wrt is None:
            return self.asked[0]
        if wrt not in self.asked:
            raise ArgumentError(
                report(f"this exercise does not ask for ∂/∂{wrt}", fix=f"one of {', '.join(self.asked)}")
            )
        return wrt

    def _case(self, claim: Any, wrt: str | None, options: dict[str, Any]) -> Case:
        if self._node is None:
            f, args, kwargs, number = self._whole
            return Case(f, args, kwargs, claim, number, **options)
        if len(self.asked) > 1 and wrt is None and not isinstance(claim, str):
            raise ArgumentError(
                report("say by what the answer differentiates", fix=f"answer(claim, wrt={self.asked[0]!r})")
            )
        function, values = _as_function(self._node)
        number = self.asked.index(self._chosen(wrt))
        return Case(function, values, {}, claim, number, output_name=self._node.name, **options)

    # -- text ---------------------------------------------------------------------------------------------------------

    def _quotients(self) -> list[str]:
        out = self._run.output_name if self._node is None else self._node.name
        return [f"∂{out}/∂{name}" for name in self.asked]

    def _told(self, verdict: Verdict) -> str:
        quotient = re.sub(r"\[[^\]]*\]", "", verdict.quotient)
        only = "".join(f"; only {line}" for line in verdict.condition.splitlines())
        if verdict.verdict == ELSEWHERE:
            return f"right, in another layout: {quotient} in {verdict.layout}; J = {verdict.conversion}{only}"
        if verdict:
            return f"right: {quotient}{only}"
        extent = f"{verdict.right_entries} of {verdict.entries} entries of {quotient} are right"
        first = min(verdict.worst, key=lambda entry: (entry.out, entry.into), default=None)
        where = "" if first is None else f"; {place(verdict.names, first)} is not"
        return f"wrong: {extent}{where}. task.hint() says what slipped."

    def __str__(self) -> str:
        out = self._run if self._node is None else self._node
        shape = out.out_shape if isinstance(out, Run) else out.shape
        into = self._run.wrt.shape if self._node is None else self._node.parents[0][1].shape
        asked = " and ".join(self._quotients())
        head = f"Find {asked}" + (f", of the shape {tuple(shape) + tuple(into)}." if len(self.asked) == 1 else ".")
        rows = [self._row(node) for node in self._run.trace.nodes]
        width = max((len(left) for left, right in rows if right), default=0)
        return "\n".join([head, *(f"  {left:<{width}}   {right}".rstrip() for left, right in rows)])

    def _row(self, node: Node) -> tuple[str, str]:
        made = f" = {node.op.name}({', '.join(node.operand_names)})" if node.op is not None else ""
        left = f"{node.name}{made}  {tuple(node.shape)}"
        if node.op is None:
            return left, ""
        if node is self._node:
            return left, ",  ".join(f"{quotient} = {HIDDEN}" for quotient in self._quotients())
        if self._node is None:
            return left, ""
        return left, ",  ".join(dict.fromkeys(node.local(operand).formula for operand, _ in node.parents))

    __repr__ = __str__


def _as_function(node: Node) -> tuple[Callable[..., Any], tuple[np.ndarray, ...]]:
    """One node as a function of the nodes it was made from, and their values."""
    parents = list(dict.fromkeys(parent for _, parent in node.parents))
    places = {position: parents.index(parent) for position, parent in node.parents}
    op, params = node.op, node.params
    fixed = tuple(strip_all(operand) for operand in node.operands)
    assert op is not None

    def function(*values: Any) -> Any:
        operands = [values[places[k]] if k in places else operand for k, operand in enumerate(fixed)]
        return record_bound(op, operands, params)

    names = [re.sub(r"\W", "_", parent.name) for parent in parents]
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    )
    return function, tuple(np.asarray(strip_all(parent.value)) for parent in parents)
