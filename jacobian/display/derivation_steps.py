"""How a derivation is found: local Jacobians, then node by node from the output back, each line checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from jacobian import ops
from jacobian.display.derivation_check import agrees, evaluated, is_right
from jacobian.display.derivation_deltas import eliminate, settled, simplified
from jacobian.display.derivation_ground import Ground
from jacobian.display.derivation_nodes import node_code
from jacobian.display.derivation_parts import Definition, Line, Part, all_paths, readings
from jacobian.display.derivation_terms import Axes, Product, Read, Sum, of_jacobian, of_reshape
from jacobian.errors import DerivationError, report
from jacobian.kernel import notation
from jacobian.kernel.access import indices, plain
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Operator, Term
from jacobian.tracing.graph import Node
from jacobian.tracing.stripped import strip_all

LONG_TEXT, MANY_PRODUCTS = 160, 4
"""From here on what arrives at a node gets a name of its own."""

SHOWN_PATHS = 6


class Steps(Ground):
    """Everything a derivation says, found and checked."""

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnum: int, level: int = 0
    ) -> None:
        super().__init__(f, args, kwargs, argnum)
        self.level = level  # 1: local Jacobians with brackets or tables are taken as arrays; 2: all of them
        self.definitions: dict[str, Definition] = {}
        self.codes: dict[str, str | None] = {}  # of nodes, by name
        self.locals: dict[tuple[int, int], Sum] = {}
        self.parts: list[Part] = []
        self._tell_function()
        self._tell_locals()
        self.total = self._walk()
        self.formula = self._final()

    # -- what is said --------------------------------------------------------------------------------------------------

    def _tell_function(self) -> None:
        lines = []
        for node in self.run.trace.nodes:
            if node.op is None:
                continue
            self.codes[node.name] = node_code(node, self.scope)
            if self.codes[node.name] is None and self._runs(self._call(node), node.value):
                self.codes[node.name] = self._call(node)
            if isinstance(self.of, Node) and node.index <= self.of.index:
                shape = f"{node.shape}" if node.shape else "a number"
                code = self.codes[node.name]
                silent = f"{node.name}, {shape}: {node.op.name} of {', '.join(p.name for _, p in node.parents)}"
                lines.append(Line(f"{node.name} = {code}", shape) if code else Line("", silent))
        if lines:
            self.parts.append(Part("The function, operation by operation", tuple(lines)))

    def _call(self, node: Node) -> str:
        """A node that NumPy has no function for, as a call of the op."""
        assert node.op is not None
        parents = dict(node.parents)
        operands = [
            parents[k].name if k in parents else self.scope.text(operand) for k, operand in enumerate(node.operands)
        ]
        params = [f"{name}={self.scope.text(value, name)}" for name, value in node.params.items() if value is not None]
        return f"jac.ops.{node.op.name}.forward({', '.join([*operands, *params])})"

    def local(self, node: Node, operand: int, parent: Node) -> Sum:
        """A local Jacobian with its δ written out, checked."""
        key = (node.index, operand)
        if key not in self.locals:
            J = node.local(operand)
            self.locals[key] = self._short(node, J, parent) or self._opaque(node, operand, J, parent)
        return self.locals[key]

    def _short(self, node: Node, J: Jacobian, parent: Node) -> Sum | None:
        out, into = self.book.axes(node.shape), self.book.axes(parent.shape)
        assert node.op is not None
        if node.op.name in ("reshape", "ravel"):
            total = of_reshape(node.shape, parent.shape, self.book, out, into)
            if self._is_right(total, (node.name, parent.name), J.tensor()):
                return total
        try:
            total = simplified(of_jacobian(J, self.book, out, into, partial(self._label, node)))
        except _NoLabelError:
            return None
        if self.level and any(self.level > 1 or product.guards or _has_tables(product) for product in total.products):
            return None
        return total if self._is_right(total, (node.name, parent.name), J.tensor()) else None

    def _label(self, node: Node, term: Term, k: int) -> str:
        """A factor's label, if it says what the factor holds."""
        factor, access = term.factors[k], term.pattern.factors[k]
        array = factor.array.dense() if isinstance(factor.array, Operator) else np.asarray(strip_all(factor.array))
        if "onehot[" in factor.text:
            self._define_onehot(node)
        letters = [letter for letter in map(notation.letter, range(60)) if letter not in self.book.taken]
        names = dict(enumerate(letters[: array.ndim]))
        forms = tuple(plain(axis) for axis in range(array.ndim))
        sizes = {names[axis]: size for axis, size in enumerate(array.shape)}
        left = f"∂F[{','.join(sizes)}]" if sizes else "∂F"
        shape = tuple(access.shape)
        for label in readings(factor.text, node):
            text = notation.factor_text(label, forms, names.__getitem__, k + 1)
            if is_right(f"∂y/{left} = {text}", self.scope.values, ((), shape), sizes, array):
                return label
        raise _NoLabelError

    def _define_onehot(self, node: Node) -> None:
        """The labels of a classification as rows with a single 1."""
        labels, logits = node.params.get("labels"), node.operands[0]
        if (
            isinstance(labels, np.ndarray)
            and labels.ndim == 1
            and np.ndim(logits) == 2
            and "onehot" not in self.scope.values
        ):
            classes = np.shape(logits)[1]
            self.scope.values["onehot"] = np.eye(classes)[labels]
            code = f"np.eye({classes})[{self.scope.text(labels, 'labels')}]"
            self.definitions["onehot"] = Definition("onehot", self.scope.values["onehot"], None, code)

    def _opaque(self, node: Node, operand: int, J: Jacobian, parent: Node) -> Sum:
        """A rule that is no short formula: its Jacobian gets a name."""
        assert node.op is not None
        name = f"D_{node.name}" if f"D_{node.name}" not in self.scope.values else f"D_{node.name}_{parent.name}"
        code = self._call(node).replace(".forward(", ".jacobian(").removesuffix(")") + f", argnums={operand}).tensor()"
        array = np.array(J.tensor())
        self.scope.values[name] = array
        if not self._runs(code, array):
            code = ""
            self.scope.given[name] = array
        self.definitions[name] = Definition(name, array, None, code)
        out, into = self.book.axes(node.shape), self.book.axes(parent.shape)
        return Sum(out, into, (Product(reads=(Read(name, array, (*out, *into)),)),), self.book)

    def _runs(self, code: str, expected: Any) -> bool:
        jac = SimpleNamespace(ops=ops)
        try:
            return agrees(eval(code, {"np": np, "jac": jac, **self.scope.values}), expected)
        except Exception:
            return False

    def _tell_locals(self) -> None:
        if self.graph is None:
            return
        lines = []
        for node in reversed(self.graph.nodes):
            for operand, parent in self.graph.edges[node.index]:
                total = self.local(node, operand, parent)
                remark = self._remark(node, total)
                lines.append(Line(self._stated(total, (node.name, parent.name), node.local(operand).tensor()), remark))
        for node, parent in self.dropped:
            remark = f"{node.name} by {parent.name} is left out: what passes there cancels, whatever the values are"
            lines.append(Line("", remark))
        if lines:
            self.parts.append(Part("Local Jacobians", tuple(lines)))

    def _remark(self, node: Node, total: Sum) -> str:
        assert node.op is not None
        names = [read.label for product in total.products for read in product.reads if read.label in self.definitions]
        if names:
            return f"the rule of {node.op.name} is no short formula in the entries; {names[0]} holds its Jacobian"
        tables = self._tables_in(total)
        if tables:
            return f"{', '.join(tables)}: positions, looked up in a table that depends on data"
        if node.op.name in ("cumsum", "cumprod"):
            return "1 where the bracket holds, else 0"
        if any(product.guards for product in total.products):
            return "a bracket is 1 where it holds, else 0"
        return ""

    def _tables_in(self, total: Sum) -> list[str]:
        text = total.right(self.book.names(total.order()).__getitem__)
        return list(dict.fromkeys(re.findall(r"\bt\d*(?=\[)", text)))

    # -- the walk back -------------------------------------------------------------------------------------------------

    def _walk(self) -> Sum:
        of = self.of
        into = self.book.axes(self.wrt.shape)
        if not isinstance(of, Node) or self.graph is None:
            return Sum(self.book.axes(self.run.out_shape), into, (), self.book)
        out = self.book.axes(of.shape)
        if of is self.wrt:
            pairs = tuple(zip(out, into, strict=True))
            return Sum(out, into, (Product(deltas=pairs).bound({}),), self.book)
        arrived: dict[int, Sum] = {}
        self._tell_chain()
        uses: dict[int, list[tuple[Node, int]]] = {}
        for node in self.graph.nodes:
            for operand, parent in self.graph.edges[node.index]:
                uses.setdefault(parent.index, []).append((node, operand))
        for parent in self.graph.nodes:
            found = [(n, k) for n, k in uses.get(parent.index, []) if n is of or n.index in arrived]
            if parent is not of and found:
                arrived[parent.index] = self._step(parent, found, arrived, out)
        if self.wrt.index not in arrived:
            return Sum(out, into, (), self.book)
        return arrived[self.wrt.index]

    def _tell_chain(self) -> None:
        assert self.graph is not None
        assert isinstance(self.of, Node)
        found = all_paths(self.graph, self.of, self.wrt, SHOWN_PATHS + 1)
        left = f"∂{self.of.name}/∂{self.wrt.name}"
        if len(found) > SHOWN_PATHS:
            text = f"{left} is a sum over more than {SHOWN_PATHS} paths from {self.wrt.name} to {self.of.name}"
            self.parts.append(Part("The chain rule", (Line("", f"{text}: it is taken node by node"),)))
            return
        if len(found) == 1 and len(found[0]) < 3:
            return
        terms = [" · ".join(f"∂{b.name}/∂{a.name}" for b, a in pairwise(path)) for path in found]
        if len(found) > 1:
            terms = [f"{term}|direct" if "·" not in term else term for term in terms]
        why = (
            f"{len(found)} paths, one term each; · sums over the whole index vector between"
            if len(found) > 1
            else ("· sums over the whole index vector between")
        )
        self.parts.append(Part("The chain rule", (Line(f"{left} = {' + '.join(terms)}", why),)))

    def _step(self, parent: Node, uses: Sequence[tuple[Node, int]], arrived: Mapping[int, Sum], out: Axes) -> Sum:
        assert isinstance(self.of, Node)
        into, names = self.book.axes(parent.shape), (self.of.name, parent.name)
        expected = self._true(parent).tensor()
        products: list[Product] = []
        chain: list[tuple[Node, Node, Axes]] = []
        check: Any = 0
        for node, operand in uses:
            local = self.local(node, operand, parent)
            between = out if node is self.of else self.book.axes(node.shape)
            local = local.with_axes(between, into)
            if node is self.of:
                products += local.products
                check = check + node.local(operand).tensor()
            else:
                upstream = arrived[node.index].with_axes(out, between)
                free = tuple(index for form in between for index in indices(form))
                for up in upstream.products:
                    for down in local.with_axes(between, into).products:
                        joined = up.times(down)
                        products.append(
                            Product(
                                joined.scale, joined.deltas, joined.guards, joined.reads, free + joined.summed
                            ).bound({})
                        )
                check = check + (self._true(node) @ node.local(operand)).tensor()
            chain.append((node, parent, between))
        total = Sum(out, into, tuple(products), self.book)
        lines: list[Line] = []
        if any(node is not self.of for node, _, _ in chain):
            if not agrees(check, expected):
                raise _wrong(f"∂{names[0]}/∂{names[1]}", "the chain rule")
            order = list(indices(*out, *into, *(form for _, _, axes in chain for form in axes)))
            lines.append(Line(self._chain_text(chain, total, order), "the chain rule at this node"))
            lines.append(Line(self._stated(total, names, expected, order), "the Jacobians put in"))
        else:
            order = []
            lines.append(Line(self._stated(total, names, expected), f"the local Jacobian of {names[0]}"))
        total = self._reduced(total, names, expected, lines, [*order, *total.order()])
        total = self._named(total, names, parent, expected, lines)
        if len(lines) > 1:
            self.parts.append(Part(f"∂{names[0]}/∂{names[1]}", tuple(lines)))
        return total

    def _chain_text(self, chain: Sequence[tuple[Node, Node, Axes]], total: Sum, order: Sequence[int]) -> str:
        names = self.book.names(order)
        assert isinstance(self.of, Node)
        out, into = self.of.name, chain[0][1].name

        def at(name: str, forms: Axes) -> str:
            return notation.indexed(name, forms, names.__getitem__)

        terms = []
        for node, parent, between in chain:
            local = f"∂{at(node.name, between)}/∂{at(parent.name, total.into)}"
            if node is self.of:
                terms.append(f"{local}|direct")
                continue
            summed = ",".join(names[index] for form in between for index in indices(form))
            text = f"∂{at(out, total.out)}/∂{at(node.name, between)} * {local}"
            terms.append(f"Σ_{summed} {text}" if summed else text)
        return f"∂{at(out, total.out)}/∂{at(into, total.into)} = {' + '.join(terms)}"

    def _reduced(
        self, total: Sum, names: tuple[str, str], expected: Any, lines: list[Line], order: Sequence[int]
    ) -> Sum:
        """Eliminate one δ after the other; every index keeps its letter."""
        while (step := eliminate(total)) is not None:
            letters = self.book.names(order)
            index, form = letters[step.index], notation.form_text(step.form, letters.__getitem__)
            total = step.result
            lines.append(
                Line(self._stated(total, names, expected, order), f"δ: the sum over {index} leaves {index} = {form}")
            )
        before = self._right(total, order)
        total = simplified(total)
        if self._right(total, order) != before:
            lines.append(Line(self._stated(total, names, expected, order), "collected"))
        return total

    def _right(self, total: Sum, order: Sequence[int] = ()) -> str:
        return total.right(self.book.names([*order, *total.order()]).__getitem__)

    def _named(self, total: Sum, names: tuple[str, str], parent: Node, expected: Any, lines: list[Line]) -> Sum:
        """What has become long gets a name, before it is carried on."""
        if parent is self.wrt or (len(total.products) <= MANY_PRODUCTS and len(self._right(total)) <= LONG_TEXT):
            return total
        left = settled(total)
        free = tuple(dict.fromkeys(indices(*left.out, *left.into)))
        if any(product.deltas for product in left.products):
            left, free = total, tuple(dict.fromkeys(indices(*total.out, *total.into)))
        shape = tuple(self.book.sizes[index] for index in free)
        letters = self.book.names(left.order())
        name = f"G_{parent.name}"
        while name in self.scope.values:
            name += "_"
        axes = tuple(plain(index) for index in free)
        right = left.right(letters.__getitem__)
        at = notation.indexed(name, axes, letters.__getitem__)
        sizes = {letter: self.book.sizes[index] for index, letter in letters.items()}
        array = evaluated(f"∂y/∂{at} = {right}", self._values(), ((), shape), sizes)
        self.scope.values[name] = array
        self.definitions[name] = Definition(name, array, Sum((), axes, left.products, self.book))
        deltas = tuple(zip((*total.out, *total.into), (*left.out, *left.into), strict=True))
        short = Sum(
            total.out, total.into, (Product(deltas=deltas, reads=(Read(name, array, axes),)).bound({}),), self.book
        )
        lines.append(Line(f"{at} = {right}", "a name for it, as it has become long"))
        lines.append(Line(self._stated(short, names, expected), "with that name"))
        return short

    # -- checking ------------------------------------------------------------------------------------------------------

    def _values(self) -> dict[str, Any]:
        tables = {f"t{number or ''}": table for number, table in enumerate(self.book.tables) if table.size}
        return {**self.scope.values, **tables}

    def _is_right(self, total: Sum, names: tuple[str, str], expected: Any) -> bool:
        letters = self.book.names(total.order())
        sizes = {letter: self.book.sizes[index] for index, letter in letters.items()}
        shapes = np.shape(expected)[: len(total.out)], np.shape(expected)[len(total.out) :]
        return is_right(self._text(total, names, letters), self._values(), shapes, sizes, expected)

    def _text(self, total: Sum, names: tuple[str, str], letters: Mapping[int, str]) -> str:
        out, into = (
            notation.indexed(n, side, letters.__getitem__)
            for n, side in zip(names, (total.out, total.into), strict=True)
        )
        return f"∂{out}/∂{into} = {total.right(letters.__getitem__)}"

    def _stated(self, total: Sum, names: tuple[str, str], expected: Any, order: Sequence[int] = ()) -> str:
        """A line, after it was read and found to state what it should."""
        letters = self.book.names([*order, *total.order()])
        text = self._text(total, names, letters)
        sizes = {letter: self.book.sizes[index] for index, letter in letters.items()}
        shapes = np.shape(expected)[: len(total.out)], np.shape(expected)[len(total.out) :]
        if not is_right(text, self._values(), shapes, sizes, expected):
            raise _wrong(text, "its value")
        return text

    def _final(self) -> str:
        names = (self.run.output_name, self.wrt.name)
        self.settled = settled(self.total)
        expected = self.jacobian.tensor()
        text = self._stated(self.settled, names, expected)
        why = ""
        if self.settled.out + self.settled.into != self.total.out + self.total.into:
            why = "an index on both sides of the quotient is a δ: every other entry is 0"
        self.parts.append(Part("Result", (Line(text, why),)))
        return text


class _NoLabelError(Exception):
    """A factor whose label does not say what it holds. Never leaves this file."""


def _has_tables(product: Product) -> bool:
    return any(form.has_lookup for form in product.forms)


def _wrong(text: str, what: str) -> DerivationError:
    return DerivationError(
        report(
            f"a line of the derivation could not be verified: {what}", line=text, fix="this is a fault of jacobian's"
        )
    )
