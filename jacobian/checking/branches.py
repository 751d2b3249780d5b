"""Where a claim that is right holds: on one branch of a function with kinks, or on all.

The points beside the given one lie on the same branch. Others are looked for farther away: the sides that the function
takes at each of its kinks are compared, and a claim that is wrong where they differ is right on its own branch alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from jacobian.checking.derivation import Run
from jacobian.checking.points import is_symmetric
from jacobian.errors import JacobianError
from jacobian.kernel import syntax
from jacobian.ops import texts
from jacobian.tracing.graph import Node
from jacobian.tracing.stripped import strip_all

Array = np.ndarray[Any, np.dtype[Any]]

CLEARLY = 1e-3
"""A claim is wrong elsewhere only if it is off by so much of the largest entry: what overflows there is no branch."""

SCALES = (3.0, 0.3, 30.0, 0.03)
LARGE, FEW, SHOWN = 2**18, 3, 3
FEW_CONSTANTS = 2**12  # entries of a constant that are compared
OTHERWISE = "elsewhere it is wrong"
ITSELF = "where the function, which looks at its numbers, takes the same course as at the given point"


class Side(NamedTuple):
    """On which side of a kink a node is, entry by entry; `told` says it of a side that all entries are on."""

    told: Callable[[], str]
    sides: Array


def holds_where(
    here: Run, argnum: int, at: Callable[[Sequence[Any]], Run | None], is_off: Callable[[Run], Array | None]
) -> str:  # fmt: skip
    """On which branch alone a claim is right; empty where it is right on all that were found.

    `at` runs the function with other arguments, `is_off` says by how much the claim differs from the truth there.
    """
    sides = _sides(here)
    if not sides and not here.trace._graph.seen:
        return ""
    found: list[Run] = []
    for args in list(_elsewhere(here.args, argnum))[: FEW if here.tensor.size > LARGE else None]:
        run = at(args)
        off = None if run is None else is_off(run)
        if run is None or off is None or not np.max(off, initial=0.0) > CLEARLY * np.max(np.abs(run.tensor), initial=0):
            continue
        if _course(run) != _course(here):
            return apart(here, [run])
        found.append(run)
    return apart(here, [run for run in found if _changed(sides, run)])


def apart(here: Run, runs: Sequence[Run]) -> str:
    """On which branch the given point lies, where some others all lie on other ones; empty where one does not."""
    sides, course = _sides(here), _course(here)
    strayed = [run for run in runs if _course(run) != course]
    changed = [_changed(sides, run) for run in runs if run not in strayed]
    if not runs or not all(changed):
        return ""
    if strayed:
        return f"{ITSELF}; {OTHERWISE}"
    told = list(dict.fromkeys(side.told() for side in min(changed, key=len)))
    return f"where {' and '.join(told[:SHOWN])}; {OTHERWISE}"


def _changed(sides: Sequence[Side], run: Run) -> list[Side]:
    """The sides that are others in another run."""
    return [mine for mine, its in zip(sides, _sides(run), strict=True) if _differ(mine, its)]


def _elsewhere(args: Sequence[Any], number: int) -> Iterator[tuple[Any, ...]]:
    """Arguments of which the one that is differentiated by is turned round, stretched, shuffled and drawn anew."""
    given = np.asarray(args[number])
    if not given.size or given.dtype.kind == "c":
        return
    given = given.astype(float)
    rng = np.random.default_rng(5)
    first = given.copy()
    first.flat[int(np.argmax(np.abs(given)))] *= -1
    size = float(np.sqrt(np.mean(given**2))) or 1.0
    values = [-given, first, *(scale * given for scale in SCALES)]
    if given.size > 1:
        values += [np.reshape(given.ravel()[::-1], given.shape), np.roll(given, 1, -1)]
    values += [size * rng.standard_normal(given.shape) for _ in range(2)]
    for value in values:
        value = (value + np.swapaxes(value, -1, -2)) / 2 if is_symmetric(args[number]) else value
        yield (*args[:number], np.asarray(value, np.result_type(args[number], np.float32)), *args[number + 1 :])


def _course(run: Run) -> list[Hashable]:
    """What a run did; of a function that looks at its numbers also with which constants."""
    is_seen = run.trace._graph.seen
    return [
        ("" if node.op is None else node.op.name, node.shape, _constants(node) if is_seen else ())
        for node in run.trace.nodes
    ]


def _constants(node: Node) -> Hashable:
    """What a node was made with beside what is traced; the condition of a choice is looked at as a side."""
    if node.op is None or node.op.name == "where":
        return ()
    traced = {k for k, _ in (*node.parents, *node.given)}
    given = [(k, one) for k, one in enumerate(node.operands) if k not in traced]
    return tuple((key, _told(one)) for key, one in (*given, *node.params.items()) if key not in traced)


def _told(value: Any) -> Hashable:
    if isinstance(value, tuple | list):
        return tuple(map(_told, value))
    array = strip_all(value)
    if not isinstance(array, np.ndarray):
        return repr(array)
    return array.shape, (array.tobytes() if array.dtype.kind in "biuf" and array.size <= FEW_CONSTANTS else None)


def _differ(mine: Side, its: Side) -> bool:
    return mine.sides.shape == its.sides.shape and not np.array_equal(mine.sides, its.sides)


# -- sides ------------------------------------------------------------------------------------------------------------


def _sides(run: Run) -> list[Side]:
    """The sides of all nodes; as many for every run that takes the same course."""
    found: list[Side] = []
    for node in run.trace.nodes:
        if node.op is None:
            continue
        if node.op.name == "where":
            told = f"the condition of {_made(node)} holds at the same entries as at the given point"
            found.append(Side(partial(str, told), np.asarray(strip_all(node.params["condition"]))))
        elif switches := _switches(node.op.derivative):
            found += [_side(node, over, under) for over, under in switches]
        elif any(kink.where.startswith(_CHOICES) for kink in node.op.kinks):
            told = f"{_made(node)} takes the same entries as at the given point"
            found += [Side(partial(str, told), _pattern(node, operand)) for operand, _ in node.parents]
    return found


_CHOICES = ("entries", "a margin")
"""So begin the kinks of ops that choose among entries."""


def _made(node: Node) -> str:
    assert node.op is not None
    return f"{node.op.name}({', '.join(node.operand_names)})"


def _pattern(node: Node, operand: int) -> Array:
    """Which entries of an operand make which of the result, and with which sign."""
    try:
        return np.asarray(np.sign(np.real(node.local(operand).tensor())))
    except JacobianError:
        return np.zeros(0)


def _side(node: Node, over: str, under: str) -> Side:
    """Where one expression in a node's operands is larger than another."""
    assert node.op is not None
    operands = tuple(strip_all(operand) for operand in node.operands)
    values = {**node.params, **dict(zip(node.op.operands, operands, strict=False)), "y": strip_all(node.value)}
    try:
        with np.errstate(all="ignore"):
            difference = np.asarray(texts.evaluate(f"({over}) - ({under})", **values))
    except (TypeError, ValueError, NameError):
        difference = np.zeros(0)
    sides = np.sign(difference)

    def told() -> str:
        names = dict(zip(node.op.operands, node.operand_names, strict=False)) | {"y": node.name}  # type: ignore[union-attr]
        names |= {word: f"{value:g}" for word, value in node.params.items() if isinstance(value, int | float)}
        one, other = (re.sub(r"\b[A-Za-z_]\w*\b", lambda word: names.get(word[0], word[0]), x) for x in (over, under))
        if (sides > 0).all() or (sides < 0).all():
            return f"{one} {'>' if (sides > 0).all() else '<'} {other}"
        if other == "0":
            return f"{one} has the signs that it has at the given point"
        return f"{one} > {other} at the same entries as at the given point"

    return Side(told, sides)


@lru_cache(maxsize=512)
def _switches(derivative: str) -> tuple[tuple[str, str], ...]:
    """What a derivative as text compares with what.

    >>> _switches("∂y/∂x = where(x > 0, 1.0, slope)"), _switches("∂y/∂x = clip(x - t, -d, d), ∂y/∂t the same")
    ((('x', '0'),), (('x - t', '-d'), ('x - t', 'd')))
    """
    right = derivative.partition(" = ")[2] if derivative.startswith("∂y/∂") else ""
    pieces = [right, *(right[: match.start()] for match in re.finditer(r",? /? ?(?:n,|∂)|, ", right))]
    trees = [tree for piece in pieces if (tree := _tree(piece)) is not None]
    pairs = [pair for tree in trees[:1] for node in ast.walk(tree) for pair in _compared(node)]
    return tuple(dict.fromkeys((ast.unparse(over), ast.unparse(under)) for over, under in pairs))


def _tree(text: str) -> ast.expr | None:
    try:
        return syntax.expression(text.strip()).body
    except SyntaxError:
        return None


_ZERO = ast.Constant(0)


def _compared(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    match node:
        case ast.Compare(left=left, ops=[ast.Gt() | ast.Lt() | ast.GtE() | ast.LtE()], comparators=[right]):
            return [(left, right)]
        case ast.Call(func=ast.Name(id="sign" | "abs"), args=[inside]):
            return [(inside, _ZERO)]
        case ast.Call(func=ast.Name(id="clip"), args=[inside, low, high]):
            return [(inside, low), (inside, high)]
        case ast.Call(func=ast.Name(id="maximum" | "minimum"), args=[left, right]):
            return [(left, right)]
    return []
