"""A chain in a notebook: a row per link, and the orders side by side."""

from itertools import pairwise, product

import numpy as np
import pytest
from display.html_reader import read
from display.pieces import check_is_at_home_anywhere, rows_of

import jacobian as jac
from jacobian import algebra
from jacobian.display.orders import orders

RNG = np.random.default_rng(6)
A, B, X = RNG.normal(size=(5, 4)), RNG.normal(size=(2, 5)), RNG.normal(size=4)
NET = jac.Chain(lambda v: B @ v, np.tanh, lambda x: A @ x)


def test_a_row_for_every_link() -> None:
    root = read(NET.explain(X)._repr_mimebundle_()["text/html"])
    check_is_at_home_anywhere(root)
    rows = rows_of(root.all("table")[0])
    assert rows[0] == ["link", "op", "maps", "local Jacobian", "heat map", "einsum", "holds"]
    assert [row[0] for row in rows[1:]] == ["J3", "J2", "J1"]
    assert rows[1][1] == "<lambda>matmul" and rows[2][1] == "tanh"
    assert rows[2][2:4] == ["(5) → (5)", "∂y2[i]/∂y1[i] = 1 - y2[i]**2(5)×(5) diagonal"]
    assert [row[5] for row in rows[1:]] == ["ij->i|j", "i->i|i", "ij->i|j"]
    assert len(root.all("table")[0].all("img")) == 3


def test_the_orders_stand_side_by_side() -> None:
    root = read(NET.explain(X)._repr_mimebundle_()["text/html"])
    rows = rows_of(root.all("table")[1])
    assert rows[0] == ["order", "forward", "reverse", "best bracketing", "as one network"]
    assert rows[1][:3] == ["bracketing", "J3·(J2·J1)", "(J3·J2)·J1"]
    costs = NET.costs(X)
    assert rows[2][:3] == ["multiplications", "60", "50"] and rows[2][4] == str(costs["best"].multiplications)
    assert [row[0] for row in rows[2:]] == ["multiplications", "bytes made", "largest array"]
    assert root.all("table")[1].all("strong"), "the least is in bold"


def bracketings(parts):
    """Every way to multiply neighbours."""
    if len(parts) == 1:
        yield parts[0], 0
    for cut in range(1, len(parts)):
        for (left, a), (right, b) in product(bracketings(parts[:cut]), bracketings(parts[cut:])):
            counting = algebra.Counting()
            yield counting.contract(left @ right), a + b + counting.multiplications


@pytest.mark.parametrize("sizes", [(3, 7, 2, 9, 4), (1, 8, 8, 8, 8), (8, 8, 8, 1), (6, 1, 6, 1, 6), (5, 5)])
def test_the_best_bracketing_is_the_best_of_all(sizes) -> None:
    locals_ = [jac.Jacobian.einsum("ij->i|j", np.ones((m, n))) for m, n in pairwise(sizes)]
    found = {order.name: order for order in orders(locals_)}
    assert found["best"].cost.multiplications == min(work for _, work in bracketings(locals_))
    assert found["best"].cost.multiplications <= found["reverse"].cost.multiplications
    for order in found.values():
        assert sum(step.multiplications for step in order.products) == order.cost.multiplications


def test_forward_and_reverse_cost_what_the_chain_says() -> None:
    found = {order.name: order.cost for order in orders(NET.locals(X))}
    costs = NET.costs(X)
    assert found["forward"] == costs["forward"] and found["reverse"] == costs["reverse"]
    assert found["as one"][1:] == costs["best"][1:]


def test_explain_is_text_that_names_the_bracketings() -> None:
    text = NET.explain(X)
    assert isinstance(text, str) and text._repr_mimebundle_()["text/plain"] == text
    lines = text.splitlines()
    assert lines[0] == "Chain of 3: z = <lambda>(tanh(<lambda>(x)))"
    assert lines[7:9] == ["forward      J3·(J2·J1)", "reverse      (J3·J2)·J1"]


def test_a_chain_shows_its_links_and_after_a_call_its_jacobians() -> None:
    net = jac.Chain(np.sum, np.sin)
    fresh = net._repr_mimebundle_()
    assert fresh["text/plain"] == "Chain z = sum(sin(x))"
    assert "chain.explain(x)" in read(fresh["text/html"]).text
    net.jacobian(X)
    root = read(net._repr_mimebundle_()["text/html"])
    check_is_at_home_anywhere(root)
    assert rows_of(root.all("table")[0])[2][3].startswith("∂y1[i]/∂x[i] = cos(x[i])")


def test_one_link_and_many_links() -> None:
    assert read(jac.Chain(np.sin).explain(X)._repr_mimebundle_()["text/html"]).all("table")
    many = jac.Chain(*([np.sin] * 40))
    root = read(many.explain(X)._repr_mimebundle_()["text/html"])
    assert len(root.all("table")[0].all("tr")) == 41
