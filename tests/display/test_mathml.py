"""Formulas as MathML: well-formed, the same words as the text, text where they cannot be read."""

from xml.etree import ElementTree as ET

import pytest
from display.html_reader import read

import jacobian as jac
from jacobian.display.mathml import formula, mathml
from jacobian.ops import REGISTRY

SHOWN = {
    "∂y[i]/∂x[i] = 1 - y[i]**2": "∂yi∂xi=1−yi2",
    "∂y[i,j]/∂X[k,l] = δ[k,i] * y[i,j]": "∂yi,j∂Xk,l=δk,i⁢yi,j",
    "∂y/∂x[j] = Σ_k W[j,k] + 1": "∂y∂xj=∑kWj,k+1",
    "∂y/∂x = a / (b + c)": "∂y∂x=ab+c",
    "∂y/∂x = ∂y/∂v · ∂v/∂x": "∂y∂x=∂y∂v⁢·⁢∂v∂x",
    "∂L/∂h|direct = 2": "∂L∂h⁢|direct=2",
    "∂y/∂mu = sqrt(sigma) * abs(x)": "∂y∂μ=σ⁢|x|",
    "∂y[i]/∂x[j] = [0 <= i - j < 4]": "∂yi∂xj=[0≤i−j<4]",
    "∂y[i]/∂x[t[i],j] = 1": "∂yi∂xti,j=1",
    "∂y/∂x = -(a - b) * tanh(x)": "∂y∂x=(−(a−b))⁢tanh⁡(x)",
    "∂y/∂x = (a + b)**2 * inv(A)[j,i]": "∂y∂x=(a+b)2⁢A−1j,i",
}


@pytest.mark.parametrize(("text", "words"), SHOWN.items())
def test_reads_as_it_is_written(text: str, words: str) -> None:
    found = mathml(text)
    assert found is not None
    assert read(found).text == words
    assert read(found).all("math")[0].attrs["alttext"] == text


def test_a_power_of_an_entry_stands_above_its_indices() -> None:
    assert "<msubsup><mi>y</mi><mrow><mi>i</mi></mrow><mn>2</mn></msubsup>" in str(mathml("y[i]**2"))


@pytest.mark.parametrize("text", ["a <b> & c", "f(x, axis=0)", "a if b else c", "x[", "a" * 401])
def test_what_cannot_be_read_is_text(text: str) -> None:
    assert mathml(text) is None
    assert read(formula(text)).all("code")[0].text == text


@pytest.mark.filterwarnings("ignore")
def test_the_formulas_of_all_ops_are_well_formed() -> None:
    drawn, written = 0, 0
    for op in REGISTRY:
        if not op.built_in:
            continue
        for sample in op.samples[:1]:
            args, params = sample.draw(1)
            try:
                J = op.jacobian(*args, **params)
            except (jac.errors.JacobianError, TypeError, ValueError):
                continue
            if not isinstance(J, jac.Jacobian):
                continue
            found = mathml(J.formula)
            drawn += found is not None
            written += found is None
            if found is not None:
                ET.fromstring(found)
    assert drawn > 20 * written
