"""Derivations: their full text, and their code, which is run on its own and must give the Jacobian."""

import inspect
import re

import numpy as np
import pytest

import jacobian as jac
from jacobian.__main__ import main
from jacobian.display import derivation_steps

rng = np.random.default_rng(0)
W, x, b = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=3)
X, V, B = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
K, U, Z = rng.normal(size=(6, 4)), rng.normal(size=(6, 3)), rng.normal(size=(5, 3))
V2, labels = rng.normal(size=(2, 3)), np.array([0, 2, 1, 0, 2])
S = np.eye(3) + np.ones((3, 3)) / 4
softmax = jac.ops.network.softmax


def softmax_by_hand(z):
    m = np.max(z)
    e = np.exp(z - m)
    s = np.sum(e)
    return e / s


def cross_entropy_by_hand(Z):
    m = np.max(Z, axis=1, keepdims=True)
    logs = np.log(np.sum(np.exp(Z - m), axis=1, keepdims=True)) + m
    return -np.mean((Z - logs)[np.arange(5), labels])


def layer_norm(x):
    mu = np.mean(x, axis=-1, keepdims=True)
    d = x - mu
    var = np.mean(d**2, axis=-1, keepdims=True)
    return d / np.sqrt(var + 1e-5)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attention(Q, K, V):
    P = softmax(Q @ K.T / np.sqrt(4))
    return P @ V


def shared(x):
    s = np.sin(x)
    return s * x + np.exp(s)


def network(W1):
    h = np.tanh(X @ W1)
    o = h @ V2
    return np.sum(o**2)


CASES = {
    "elementwise chain": (lambda x: np.sin(x) ** 2, (x,), 0, "∂y/∂x = 2 diag(v1 ⊙ cos(x))"),
    "affine by W": (lambda X, W, b: X @ W + b, (X, V, b), 1, "∂L/∂W = Xᵀ G"),
    "affine by X": (lambda X, W, b: X @ W + b, (X, V, b), 0, "∂L/∂X = G Wᵀ"),
    "affine by b": (lambda X, W, b: X @ W + b, (X, V, b), 2, "∂L/∂b = Gᵀ 1"),
    "loss": (lambda W: np.sum(np.tanh(X @ W + b) ** 2), (V,), 0, "∂y/∂W = 2 Xᵀ (v3 ⊙ (1 - v3**2))"),
    "network": (network, (rng.normal(size=(4, 2)),), 0, "∂y/∂W1 = 2 Xᵀ ((o V2ᵀ) ⊙ (1 - h**2))"),
    "softmax": (lambda W, x: softmax(W @ x), (W, x), 1, "∂y/∂x = diag(y) W - y (Wᵀ y)ᵀ"),
    "softmax by W": (lambda W, x: softmax(W @ x), (W, x), 0, None),
    "softmax by hand": (softmax_by_hand, (x,), 0, "∂y/∂z = diag(e) / s - y eᵀ / s"),
    "cross entropy": (
        lambda Z: jac.ops.network.cross_entropy(Z, labels), (Z,), 0, "∂y/∂Z = (softmax(Z) - onehot) / 5",
    ),
    "cross entropy by hand": (cross_entropy_by_hand, (Z,), 0, None),
    "quadratic form": (lambda x, A: x @ A @ x, (rng.normal(size=3), S), 0, "∂y/∂x = v1 + A x"),
    "quadratic form by A": (lambda x, A: x @ A @ x, (rng.normal(size=3), S), 1, "∂y/∂A = x xᵀ"),
    "A X B": (lambda A, X, B: A @ X @ B, (S, W, B), 1, "∂vec(y)/∂vec(X) = Bᵀ ⊗ A"),
    "inverse": (lambda A: np.linalg.inv(A), (S,), 0, "∂vec(y)/∂vec(A) = -yᵀ ⊗ y"),
    "logarithm of a determinant": (lambda A: np.log(np.linalg.det(A)), (S,), 0, "∂y/∂A = A⁻ᵀ"),
    "slogdet": (lambda A: np.linalg.slogdet(A)[1], (S,), 0, "∂y/∂A = A⁻ᵀ"),
    "solve": (lambda A, b: np.linalg.solve(A, b), (S, b), 0, None),
    "layer norm": (layer_norm, (X,), 0, None),
    "attention by Q": (attention, (X, K, U), 0, None),
    "attention by K": (attention, (X, K, U), 1, None),
    "attention by V": (attention, (X, K, U), 2, "∂L/∂V = Pᵀ G"),
    "convolution": (lambda x, w: np.convolve(x, w), (x, b), 0, None),
    "convolution by its kernel": (lambda x, w: np.convolve(x, w), (x, b), 1, None),
    "images": (
        lambda x, w: jac.ops.network.conv2d(x, w), (rng.normal(size=(1, 2, 4, 4)), rng.normal(size=(2, 2, 2, 2))), 1,
        None,
    ),
    "reshape, transpose, slice": (lambda X: X.reshape(2, 10).T[1:, :], (X,), 0, None),
    "every other entry": (lambda X: np.sin(X).ravel()[::2], (X,), 0, None),
    "cumulative sum": (lambda x: np.cumsum(x) * 2, (x,), 0, None),
    "shared nodes": (shared, (x,), 0, "∂y/∂x = diag(s) + diag(v3 ⊙ cos(x)) + diag(x ⊙ cos(x))"),
    "concatenate": (lambda x: np.concatenate([x, x**2]), (x,), 0, None),
    "sort": (lambda x: np.sort(x) ** 2, (x,), 0, None),
    "trace": (lambda A: np.trace(A @ A), (S,), 0, "∂y/∂A = 2 Aᵀ"),
    "mean of squares": (lambda W: np.mean((U @ W - K[:, 0]) ** 2), (b,), 0, "∂y/∂W = (Uᵀ v2) / 3"),
    "a mean of seven": (lambda x: np.mean(np.concatenate([x, b]) ** 2), (x,), 0, None),
    "pi": (lambda x: np.sin(2 * np.pi * x), (x,), 0, "∂y/∂x = 2 π diag(cos(v1))"),
    "root": (lambda x: x / np.sqrt(2.0), (x,), 0, "∂y/∂x = I_4 / sqrt(2)"),
    "a third": (lambda x: x**2 / 3, (x,), 0, "∂y/∂x = 2 / 3 diag(x)"),
    "many digits": (lambda x: 1.2345678 * x, (x,), 0, "∂y/∂x = 1.2345678 I_4"),
    "gelu": (gelu, (x,), 0, None),
    "scaled attention": (lambda Q: softmax(Q @ K[:3].T / np.sqrt(3.0)) @ K[:3], (X,), 0, None),
    "rows of one length": (lambda X: X / np.linalg.norm(X, axis=1, keepdims=True), (X,), 0, None),
    "standardised columns": (lambda X: (X - np.mean(X, axis=0)) / np.std(X, axis=0), (X,), 0, None),
    "variances": (lambda X: np.var(X, axis=1, ddof=1), (X,), 0, None),
    "differences": (lambda X: np.sum((X[1:] - X[:-1]) ** 2) / 7, (X,), 0, None),
    "one-sided differences": (lambda x: np.gradient(x), (x,), 0, None),
    "product of a softmax": (lambda x: np.prod(softmax(x)), (x,), 0, None),
    "padded": (lambda x: np.pad(np.cos(x), 1), (x,), 0, None),
    "two sums of one": (lambda x: np.cumsum(np.concatenate([x, x])), (x,), 0, None),
    "rolled twice": (lambda x: np.linalg.norm(np.roll(x, 1) - np.mean(np.roll(x, 1))), (x,), 0, None),
    "one entry": (lambda x: x - np.log(np.sum(np.exp(x), keepdims=True)), (x,), 0, None),
    "relu": (lambda x: np.maximum(W @ x, 0), (x,), 0, "∂y/∂x = diag(where(v1 > 0, 1.0, 0.0)) W"),
    "where": (lambda x: np.where(x > 0, x, 0.1 * x), (x,), 0, None),
    "variance": (lambda x: np.var(x), (x,), 0, "∂y/∂x = (x - mean(x)) / 2"),
    "norm": (lambda x: np.linalg.norm(x), (x,), 0, "∂y/∂x = x / y"),
    "outer product": (lambda x: np.outer(x, x), (x,), 0, "∂L/∂x = G x + Gᵀ x"),
    "not its input": (lambda x: np.ones(2), (x,), 0, None),
    "the input itself": (lambda x: x, (x,), 0, "∂x/∂x = I_4"),
    "float32": (lambda x: np.tanh(x), (x.astype(np.float32),), 0, "∂y/∂x = diag(1 - y**2)"),
    "a number by a number": (lambda t: np.sin(t) * t, (0.5,), 0, None),
}  # fmt: skip

WITH_CALLS = {
    "eigenvalues": (lambda A: np.linalg.eigvalsh(A), (S + np.diag([1.0, 2.0, 4.0]),), 0, "∂L/∂"),
    "cumulative product": (lambda x: np.cumprod(x), (x,), 0, "∂y/∂x = D_y"),
    "second order": (jac.jacobian(lambda x: x @ S @ x), (b,), 0, None),
}
"""Where no short formula exists, code calls the rule."""


@pytest.mark.parametrize("name", [*CASES, *WITH_CALLS])
def test_code_alone_gives_the_jacobian(name):
    f, args, argnum, _ = (CASES | WITH_CALLS)[name]
    derivation = jac.derive(f, *args, argnums=argnum)
    scope = dict(derivation.inputs)
    exec(derivation.code, scope)
    J = np.asarray(jac.jacobian(f, argnums=argnum)(*args))
    assert scope["J"].shape == J.shape
    np.testing.assert_allclose(scope["J"], J, rtol=1e-5 if J.dtype == np.float32 else 1e-9, atol=1e-12)
    if name in CASES:
        assert "import jacobian" not in derivation.code
        assert "D_" not in str(derivation)
    assert len(derivation.code.splitlines()) < 40


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[3]])
def test_matrix_form(name):
    f, args, argnum, form = CASES[name]
    assert form in jac.derive(f, *args, argnums=argnum).matrix


@pytest.mark.parametrize("name", CASES)
def test_result_is_right_as_it_is_read(name):
    f, args, argnum, _ = CASES[name]
    derivation = jac.derive(f, *args, argnums=argnum)
    text = derivation.formula
    known = {"y", "δ", "Σ", "inv", "where", "cos", "exp", "sin", "mean", *inspect.signature(f).parameters}
    words = {word for word in re.findall(r"[^\W\d_]\w*", text.replace("∂", "")) if len(word) > 1 or word.isupper()}
    if not words <= known or text.endswith("= 0") or name == "float32":
        return  # of constants and intermediates `verify` knows nothing
    assert jac.verify(f, *args, claim=text, argnums=argnum)


@pytest.mark.parametrize("name", CASES)
def test_latex_is_balanced_ascii(name):
    f, args, argnum, _ = CASES[name]
    derivation = jac.derive(f, *args, argnums=argnum)
    for text in (derivation.latex, *re.findall(r"\$([^$]+)\$", derivation.markdown), derivation.jacobian.latex):
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}")
        assert text.count(r"\left") == text.count(r"\right")
        assert not set(text) & set("δ∂Σ·ᵀ⊙⊗"), text


def test_text_of_a_loss():
    def loss(W):
        A = X @ W
        return np.sum(A**2)

    assert str(jac.derive(loss, V)) == LOSS


LOSS = """\
∂y/∂W: y a number, W (4, 3)

The function, operation by operation
  A = X @ W                                             (5, 3)
  v2 = A**2                                             (5, 3)
  y = np.sum(v2)                                        a number

Local Jacobians
  ∂A[i,j]/∂W[k,l] = δ[j,l] * X[i,k]
  ∂v2[i,j]/∂A[k,l] = 2 * δ[i,k] * δ[j,l] * A[i,j]
  ∂y/∂v2[i,j] = 1

The chain rule
  ∂y/∂W = ∂y/∂v2 · ∂v2/∂A · ∂A/∂W                       · sums over the whole index vector between

∂y/∂A
  ∂y/∂A[i,j] = Σ_k,l ∂y/∂v2[k,l] * ∂v2[k,l]/∂A[i,j]     the chain rule at this node
  ∂y/∂A[i,j] = Σ_k,l 2 * δ[i,k] * δ[j,l] * A[k,l]       the Jacobians put in
  ∂y/∂A[i,j] = Σ_l 2 * δ[j,l] * A[i,l]                  δ: the sum over k leaves k = i
  ∂y/∂A[i,j] = 2 * A[i,j]                               δ: the sum over l leaves l = j

∂y/∂W
  ∂y/∂W[i,j] = Σ_k,l ∂y/∂A[k,l] * ∂A[k,l]/∂W[i,j]       the chain rule at this node
  ∂y/∂W[i,j] = Σ_k,l 2 * δ[j,l] * A[k,l] * X[k,i]       the Jacobians put in
  ∂y/∂W[i,j] = Σ_k 2 * A[k,j] * X[k,i]                  δ: the sum over l leaves l = j

Result
  ∂y/∂W[i,j] = Σ_k 2 * A[k,j] * X[k,i]

In matrices
  ∂y/∂W = 2 Xᵀ A

In NumPy
  import numpy as np
  # given: W (4, 3), X (5, 4)
  A = X @ W
  J = 2 * np.einsum("kj,ki->ij", A, X)"""


def test_text_of_two_paths():
    text = str(jac.derive(softmax_by_hand, x))
    assert "∂y/∂z = ∂y/∂e · ∂e/∂v2 · ∂v2/∂z + ∂y/∂s · ∂s/∂e · ∂e/∂v2 · ∂v2/∂z" in text
    assert "  v2 by m is left out: what passes there cancels, whatever the values are" in text
    assert "  ∂y[i]/∂z[j] = δ[i,j] * e[i] / s - y[i] * e[j] / s" in text


def test_a_batch_keeps_its_blocks():
    derivation = jac.derive(layer_norm, X)
    assert "δ[i,k]" in derivation.formula
    assert "J[i, j, i, k]" in derivation.code


def test_several_inputs_give_several_derivations():
    by_W, by_x = jac.derive(lambda W, x: np.tanh(W @ x), W, x, argnums=(0, 1))
    assert by_W.formula == "∂y[i]/∂W[i,j] = (1 - y[i]**2) * x[j]"
    assert by_x.matrix[0] == "∂y/∂x = diag(1 - y**2) W"


def test_latex_tells_the_function_too():
    derivation = jac.derive(lambda x_1: np.sum({"a": 2 * x_1}["a"]), np.ones(3))
    title = r"&\textbf{The function, operation by operation} \\"
    assert derivation.latex.splitlines()[1:4] == [
        title,
        r"&\texttt{v1 = 2 * x\_1} && \text{(3,)} \\",
        r"&\texttt{y = np.sum(v1)} && \text{a number} \\",
    ]


def test_notebook_shows_text_markdown_and_latex():
    bundle = jac.derive(lambda x: x**2, x)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/markdown", "text/latex"}
    assert bundle["text/latex"].startswith("$$\\begin{aligned}")
    assert "```python\nimport numpy as np" in bundle["text/markdown"]


def test_names_are_made_identifiers():
    derivation = jac.derive(lambda k: np.exp(k) * k, x)
    assert derivation.formula == "∂y[i]/∂k[i] = v1[i] + k[i] * v1[i]"


def test_long_upstream_gets_a_name():
    def deep(x):
        for _ in range(4):
            x = np.tanh(W.T @ np.tanh(W @ x)) + x * x
        return x

    derivation = jac.derive(deep, x)
    assert "a name for it, as it has become long" in str(derivation)


def test_a_place_may_be_one_number_looked_up():
    derivation = jac.derive(lambda x: np.max(np.roll(x, 1, axis=-1)), np.array([1.0, 3.0, 2.0]))
    assert derivation.formula == "∂y/∂x[i] = δ[i,t[2]]"
    assert derivation.code.splitlines()[1:] == ["t = np.array([2, 0, 1])", "J = np.zeros((3,))", "J[t[2]] = 1"]


def test_a_line_that_does_not_hold_is_never_shown(monkeypatch):
    monkeypatch.setattr(derivation_steps, "is_right", lambda text, *_: not text.startswith("∂y/∂W"))
    with pytest.raises(jac.errors.DerivationError) as error:
        jac.derive(lambda W: np.sum(W**2), V)
    assert str(error.value).splitlines()[0] == "a line of the derivation could not be verified: its value"


def test_complex_numbers_are_refused():
    with pytest.raises(jac.errors.ArgumentError) as error:
        jac.derive(lambda x: np.fft.fft(x).real, np.ones(3))
    assert str(error.value) == (
        "derive writes derivations in real numbers; v1 is complex\n"
        "  at:    v1 = fft(x) complex128[3]\n"
        "  fix:   J.formula states the whole, jac.backprop every node"
    )


def test_large_arrays_are_refused():
    with pytest.raises(jac.errors.ArgumentError, match="derive checks every line in numbers, and these arrays are"):
        jac.derive(lambda x: x * 2, np.ones(3000))


def test_command_line(capsys):
    assert main(["softmax(W @ x)", "W=3,4", "x=4", "--wrt", "x", "--derive"]) == 0
    assert "  ∂y/∂x = diag(y) W - y (Wᵀ y)ᵀ" in capsys.readouterr().out.splitlines()


def test_formulas_bear_the_names_of_variables():
    def f(W, x):
        h = W @ x
        a = np.tanh(h)
        return a**2

    assert jac.jacobian(f)(W, x).formula == "∂y[i]/∂W[i,j] = 2 * a[i] * (1 - a[i]**2) * x[j]"


def test_the_code_may_sum_to_a_number_over_index_grids():
    def f(x):
        u = np.outer((x / np.sum(x)).ravel()[:4], np.ones(4))
        return np.einsum("i,i->", u.ravel(), u.ravel())

    at = np.arange(1.0, 9.0).reshape(2, 2, 2)
    derivation = jac.derive(f, at)
    assert "\nG_v1[...] = np.sum((0 <= 4*i + 2*j + k)" in derivation.code
    scope = dict(derivation.inputs)
    exec(derivation.code, scope)
    assert np.allclose(scope["J"], jac.jacobian(f)(at).tensor(), rtol=1e-13, atol=0)
