"""Expressions given as text: what they may say, and the full text of what they are told when they may not."""

import inspect
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacobian.errors import ExpressionError, JacobianError, ShapeError, UsageError
from jacobian.expressions import Expression, check_name, did_you_mean
from jacobian.expressions.inputs import read_input, read_upstream
from jacobian.expressions.vocabulary import elements_asked_for, functions

X = np.array([0.5, -1.5, 2.0])
W = np.arange(6.0).reshape(2, 3) / 7 + 0.1
A = np.array([[2.0, 0.3, 0.1], [0.2, 1.5, 0.4], [0.5, 0.1, 3.0]])
VALUES = {"x": X, "W": W, "A": A}


def evaluate(text: str) -> object:
    return Expression(text, VALUES)(*VALUES.values())


def error_of(text: str) -> str:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text)
    return str(caught.value)


MEANINGS = {
    "tanh(W @ x + 1)": np.tanh(W @ X + 1),
    "-x + +x * 2 - x / 3": -X + X * 2 - X / 3,
    "x ** 2 % 3 // 1": X**2 % 3 // 1,
    "np.linalg.inv(A) - inv(A) + numpy.linalg.inv(A)": np.linalg.inv(A),
    "det(A) + np.linalg.det(A)": 2 * np.linalg.det(A),
    "fft(x).real + np.fft.fft(x).imag": np.fft.fft(X).real + np.fft.fft(X).imag,
    "W.T": W.T,
    "W.T.T.sum(axis=(0, 1), keepdims=True)": W.sum(axis=(0, 1), keepdims=True),
    "x.mean() + x.reshape(3, 1).T": X.mean() + X.reshape(3, 1).T,
    "einsum('ij, j -> i', W, x)": W @ X,
    "norm(A, 'fro') + norm(x, ord=1)": np.linalg.norm(A) + np.abs(X).sum(),
    "x[1:] - x[:-1]": X[1:] - X[:-1],
    "x[::-1][0]": X[2],
    "W[0, 1:, newaxis] + W[..., 0]": W[0, 1:, None] + W[..., 0],
    "x[[0, 2]] + x[x > 0]": X[[0, 2]] + X[X > 0],
    "where(x >= 0.5, x, -x)": np.abs(X),
    "(x == 2) + (x != 2) + (x < 2) + (x <= 2)": (X == 2) + (X != 2) + (X < 2) + (X <= 2.0),
    "concatenate((x, x)) + hstack([x, x])": 2 * np.concatenate((X, X)),
    "x @ array([1, 2, 3])": X @ np.array([1, 2, 3]),
    "np.add.reduce(x) + add.accumulate(x) + multiply.outer(x, x)": X.sum() + np.cumsum(X) + np.outer(X, X),
    "pi * np.pi + e ** 0 + x.shape[0]": np.pi**2 + 1 + 3,
    "eigh(A + A.T).eigenvalues + eigh(A + A.T)[0]": 2 * np.linalg.eigvalsh(A + A.T),
    "slogdet(A).logabsdet": np.linalg.slogdet(A)[1],
    "x.astype('float32')": X.astype(np.float32),
    "W.reshape(-1, order='F')": W.T.ravel(),
    "abs(x) + max(x) + sum(W)": np.abs(X) + X.max() + W.sum(),
    "2 ** 10 + 7 // 2 - 7 % 4": 1024,
    " x\n  + 1 ": X + 1,
    "2 ** 62 * 4": float(2**64),
    "2 ** -1": 0.5,
    "softmax(x)": np.exp(X) / np.exp(X).sum(),
    "relu(x)": np.maximum(X, 0),
}


@pytest.mark.parametrize("text", MEANINGS)
def test_means_what_numpy_means(text: str) -> None:
    result = np.asarray(evaluate(text))
    np.testing.assert_allclose(result, MEANINGS[text], rtol=1e-14)
    assert result.shape == np.shape(MEANINGS[text])


ERRORS = {
    "tahn(W @ x)": """\
tahn is not a function that an expression may call
    tahn(W @ x)
    ^^^^
  fix:   did you mean tanh or tan or atan?""",
    "W @ z": """\
z is not given
    W @ z
        ^
  fix:   give its shape, z=3,4, or its value, z=2.5""",
    "é + δ * x": """\
é is not given
    é + δ * x
    ^
  fix:   give its shape, é=3,4, or its value, é=2.5""",
    "1 + (lambda: x)()": """\
this is not a function: it cannot be called
    1 + (lambda: x)()
         ^^^^^^^^^
  fix:   multiply with *""",
    "lambda: x": """\
lambda is not part of an expression
    lambda: x
    ^^^^^^^^^""",
    "stack([x for i in W])": """\
a comprehension is not part of an expression
    stack([x for i in W])
          ^^^^^^^^^^^^^^
  fix:   use functions of whole arrays: sum, stack, einsum, …""",
    "x.__class__": """\
.__class__ is not an attribute that may be used
    x.__class__
    ^^^^^^^^^^^""",
    "x._data": """\
._data is not an attribute that may be used
    x._data
    ^^^^^^^""",
    "x.dtype": """\
.dtype is not an attribute that may be used
    x.dtype
    ^^^^^^^""",
    "x.tofile('a')": """\
.tofile() is not a method that may be called
    x.tofile('a')
    ^^^^^^^^""",
    "x.sort()": """\
.sort() is not a method that may be called
    x.sort()
    ^^^^^^
  fix:   sort(x, …) is a function: call it so""",
    "x.sum": """\
.sum is a method
    x.sum
    ^^^^^
  fix:   call it: .sum()""",
    "x.T()": """\
.T is an attribute, not a method
    x.T()
    ^^^
  fix:   leave the parentheses out: .T""",
    "x(3)": """\
x is not a function: it cannot be called
    x(3)
    ^
  fix:   multiply with *""",
    "np.save('a', x)": """\
np.save is not a function that an expression may call
    np.save('a', x)
    ^^^^^^^
  fix:   only functions that make arrays from arrays, without side effects, may be called""",
    "np.random.normal(x)": """\
np.random.normal is not a function that an expression may call
    np.random.normal(x)
    ^^^^^^^^^^^^^^^^
  fix:   only functions that make arrays from arrays, without side effects, may be called""",
    "__import__('os')": """\
__import__ is not a function that an expression may call
    __import__('os')
    ^^^^^^^^^^""",
    "np.linalg": """\
np.linalg is not a function that an expression may call
    np.linalg
    ^^^^^^^^^
  fix:   only functions that make arrays from arrays, without side effects, may be called""",
    "x * tanh": """\
tanh is a function, not a value
    x * tanh
        ^^^^
  fix:   call it: tanh(x)""",
    "np.linalg.inv": """\
np.linalg.inv is a function, not a value
    np.linalg.inv
    ^^^^^^^^^^^^^
  fix:   call it: np.linalg.inv(x)""",
    "np + x": """\
np is a module, not a value
    np + x
    ^^
  fix:   call one of its functions: np.tanh(x)""",
    "x.astype(float)": """\
float is a type, not a value
    x.astype(float)
             ^^^^^
  fix:   name a type as a text: 'float'""",
    "x ^ 2": """\
^ is not part of an expression
    x ^ 2
    ^^^^^
  fix:   a power is written **; logical_xor(a, b) works entry by entry""",
    "x if 1 else W": """\
if … else is not part of an expression
    x if 1 else W
    ^^^^^^^^^^^^^
  fix:   where(condition, a, b) chooses entry by entry""",
    "x and W": """\
and / or is not part of an expression
    x and W
    ^^^^^^^
  fix:   logical_and(a, b), logical_or(a, b) work entry by entry""",
    "not x": """\
not is not part of an expression
    not x
    ^^^^^
  fix:   logical_not(a) works entry by entry""",
    "0 < x < 1": """\
comparisons cannot be chained
    0 < x < 1
    ^^^^^^^^^
  fix:   write logical_and(a < b, b < c)""",
    "x is W": """\
is is not part of an expression
    x is W
    ^^^^^^
  fix:   compare entry by entry with ==""",
    "sum(*x)": """\
unpacking with * is not part of an expression
    sum(*x)
        ^^
  fix:   write the arguments out""",
    "sum(x, **x)": """\
unpacking with ** is not part of an expression
    sum(x, **x)
             ^
  fix:   write the arguments out""",
    "exp(x, out=x)": """\
exp: the argument out= may not be given
    exp(x, out=x)
               ^""",
    "zeros(3, dtype='O')": """\
zeros: the text 'O' means nothing here
    zeros(3, dtype='O')
                   ^^^""",
    "norm(A, 'fr')": """\
norm: the text 'fr' means nothing here
    norm(A, 'fr')
            ^^^^
  fix:   did you mean fro?""",
    "'abc'": """\
a text is not a value
    'abc'
    ^^^^^
  fix:   texts can only be arguments: norm(A, 'fro')""",
    "f'{x}'": """\
an f-string is not part of an expression
    f'{x}'
    ^^^^^^""",
    "b'a' + x": """\
bytes are not part of an expression
    b'a' + x
    ^^^^""",
    "1j * x": """\
complex numbers are not part of an expression
    1j * x
    ^^""",
    "{1: x}": """\
a dict is not part of an expression
    {1: x}
    ^^^^^^""",
    "(y := x)": """\
an assignment is not part of an expression
    (y := x)
     ^^^^^^
  fix:   inputs are given after the expression: x=3""",
    "[1, 2, 3] * x": """\
*: operators need arrays or numbers, not [1, 2, 3]; write array([…])
    [1, 2, 3] * x
    ^^^^^^^^^^^^^""",
    "x.shape * 1000000000": """\
*: operators need arrays or numbers, not (3,); write array([…])
    x.shape * 1000000000
    ^^^^^^^^^^^^^^^^^^^^""",
    "x[5]": """\
indexing: index 5 is out of bounds for axis 0 with size 3
    x[5]
    ^^^^""",
    "1 / 0 + x": """\
/: division by zero
    1 / 0 + x
    ^^^^^""",
    "9**9**9": """\
**: the result is too large for a float
    9**9**9
    ^^^^^^^""",
    "(-8) ** (1/3)": """\
**: the result 1+1.732j is complex
    (-8) ** (1/3)
    ^^^^^^^^^^^^^""",
    "x + zeros(10**12)": """\
zeros: 1e+12 elements are more than the 1e+08 allowed
    x + zeros(10**12)
        ^^^^^^^^^^^^^""",
    "": """\
the expression is empty
  fix:   write one, such as "tanh(W @ x + b)\"""",
    "x + " * 2000 + "x": "the expression has 8001 characters; the longest that is read has 4000",
    "-" * 3000 + "x": "the expression is nested too deeply\n    " + "-" * 100,
}


@pytest.mark.parametrize("text", ERRORS, ids=lambda text: text[:30])
def test_says_what_is_wrong_and_where(text: str) -> None:
    assert error_of(text) == ERRORS[text]


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("y = tanh(x)", "leave the assignment out: write the expression, then the inputs as x=3 W=2,3"),
        ("x += 1", "leave the assignment out: write the expression, then the inputs as x=3 W=2,3"),
        ("import os", "write one expression, not a statement"),
    ],
)
def test_statements(text: str, fix: str) -> None:
    assert error_of(text).startswith("cannot be read: ")
    assert error_of(text).endswith(f"\n  fix:   {fix}")


@pytest.mark.parametrize("text", ["x +", "(x", "x y", "x\0", "((" * 200, "tanh(x))", "1__0", "x; W", "'", "\\", "@x"])
def test_what_is_not_python_is_an_error_with_a_caret(text: str) -> None:
    lines = error_of(text).splitlines()
    assert lines[0].startswith("cannot be read: ")
    assert lines[2].strip() == "^"


def test_a_long_text_is_shown_around_the_place() -> None:
    lines = error_of("stack([" + "x, " * 500 + "tahn(x)])").splitlines()
    assert len(lines[1]) <= 104
    start = lines[2].index("^")
    assert lines[1][start : start + 4] == "tahn"


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9 + x", "x ** 9**9**9", "10**400 * x", "2.0**5000 * x", "arange(10**15)", "arange(0, 1, 1e-12)",
        "ones((10**5, 10**5))", "eye(10**6)", "tri(10**6)", "linspace(0, 1, 10**10)", "tile(x, 10**9)",
        "x.repeat(10**10)", "repeat(x, 10**10)", "pad(A, 10**6)", "diag(x, 10**6)", "diagflat(x, k=10**6)",
        "broadcast_to(x, (10**9, 3))", "full((10**9, 10), 1.0)", "fft(x, 10**10)", "resize(x, (10**6, 10**6))",
        "hanning(10**10)", "indices((10**5, 10**5))", "identity(10**6)", "vander(x, 10**10)", "1 << 10**9",
    ],
)  # fmt: skip
def test_silly_sizes_are_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    error_of(text)
    assert time.perf_counter() - start < 1


def test_what_numpy_rejects_is_shown_with_its_place() -> None:
    text = error_of("tanh(W @ W)")
    assert text.startswith("@: matmul: ")
    assert text.endswith("\n    tanh(W @ W)\n         ^^^^^")


def test_long_sums() -> None:
    assert np.array_equal(evaluate(" + ".join(["x"] * 200)), sum([X] * 199, X))
    for count in (300, 400, 500, 999):
        with suppress(ExpressionError):
            evaluate(" + ".join(["x"] * count))


def test_our_own_errors_pass_unchanged() -> None:
    with pytest.raises(JacobianError):
        evaluate("softmax(x, axis=7)")


def test_is_a_function_of_its_inputs() -> None:
    f = Expression("a @ b", ("a", "b"))
    assert list(inspect.signature(f).parameters) == ["a", "b"]
    assert f(X, b=X) == X @ X
    assert f.used == {"a", "b"}
    assert Expression("a", ("a", "b")).used == {"a"}
    assert repr(f) == "Expression('a @ b', inputs=('a', 'b'))"
    with pytest.raises(TypeError):
        f(X)


def test_an_input_hides_a_function_and_a_constant() -> None:
    assert Expression("e * det", ("det", "e"))(2.0, 3.0) == 6.0
    with pytest.raises(ExpressionError, match="det is not a function"):
        Expression("det(x)", ("det", "x"))


@pytest.mark.parametrize("name", ["lambda", "_x", "1x", "a b", "", "np", "numpy", "ﬁ", "__class__"])
def test_names_that_inputs_cannot_have(name: str) -> None:
    with pytest.raises(ExpressionError, match="cannot be the name of an input"):
        check_name(name)


def test_nothing_dangerous_is_in_the_vocabulary() -> None:
    forbidden = {
        "load", "loadtxt", "genfromtxt", "fromfile", "fromfunction", "fromiter", "frombuffer", "fromregex",
        "fromstring", "save", "savez", "savetxt", "savez_compressed", "memmap", "frompyfunc", "vectorize",
        "apply_along_axis", "apply_over_axes", "piecewise", "put", "place", "putmask", "copyto",
        "fill_diagonal", "put_along_axis", "seterr", "seterrcall", "set_printoptions", "setbufsize", "test",
        "info", "show_config", "shares_memory", "empty", "empty_like", "eval", "exec", "open", "compile",
        "getattr", "bmat", "asmatrix", "ndarray", "dtype", "nditer", "left_shift", "from_dlpack",
        "array2string", "printoptions", "random",
    }  # fmt: skip
    short = {name.rpartition(".")[2] for name in functions()}
    assert not short & forbidden
    assert not any(part.startswith("_") for name in functions() for part in name.split("."))
    assert not any(isinstance(function, type) for function in functions().values())


def test_every_layer_can_be_called() -> None:
    layers = {"linear", "relu", "sigmoid", "softmax", "log_softmax", "cross_entropy", "mse", "layer_norm", "batch_norm"}
    assert layers | {"conv2d", "max_pool2d", "attention"} <= set(functions())


@given(st.text(alphabet="xWA()[]{}.,:+-*/@%<>=!&|^~'\"_ 0123456789eTabcdlmnpsu\\\n#δé", max_size=40))
def test_any_text_is_evaluated_or_refused_by_an_error_of_ours(text: str) -> None:
    with np.errstate(all="ignore"), suppress(JacobianError):
        evaluate(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2,3", (2, 3)), ("(2,3)", (2, 3)), ("( 2 , 3 )", (2, 3)), ("4", (4,)), ("(4,)", (4,)), ("4,", (4,)),
        ("()", ()), ("0", (0,)), ("2,0,3", (2, 0, 3)),
    ],
)  # fmt: skip
def test_shapes_are_drawn(text: str, expected: tuple[int, ...]) -> None:
    array = read_input("x", text, np.random.default_rng(0))
    assert array.shape == expected
    assert array.dtype == np.float64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.5", 2.5), ("3.", 3.0), ("-2", -2.0), ("1e-3", 0.001), ("[1,2]", [1, 2]), ("(1.5, 2)", [1.5, 2]), ("[]", []),
        ("[[1, -2.5], [3, 4]]", [[1, -2.5], [3, 4]]),
    ],
)  # fmt: skip
def test_values_are_read(text: str, expected: object) -> None:
    array = read_input("x", text, np.random.default_rng(0))
    np.testing.assert_array_equal(array, np.asarray(expected, float))
    assert array.dtype == np.float64


FORMS = "\n  give:  a shape (3,4), a value (2.5 or [1,2,3]) or a file (A.npy)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x= has no value" + FORMS),
        ("abc", "x=abc cannot be read" + FORMS),
        ("[1,2", "x=[1,2 cannot be read" + FORMS),
        ("__import__('os')", "x=__import__('os') cannot be read" + FORMS),
        ("['a']", "x=['a'] does not hold numbers" + FORMS),
        ("[True]", "x=[True] does not hold numbers" + FORMS),
        ("{1: 2}", "x={1: 2} does not hold numbers" + FORMS),
        ("[[1,2],[3]]", "x=[[1,2],[3]] is not an array: its rows differ in length" + FORMS),
        ("(3", "x=(3 cannot be read" + FORMS),
        ("100000,100000", "x=100000,100000 has 1e+10 elements; at most 1e8 are drawn"),
    ],
)
def test_inputs_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_input("x", text, np.random.default_rng(0))
    assert str(caught.value) == message


def test_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "weights.npy", W.astype(np.float32))
    read = read_input("W", str(tmp_path / "weights.npy"), rng)
    np.testing.assert_array_equal(read, W.astype(np.float32))
    assert read.dtype == np.float32

    with pytest.raises(UsageError) as caught:
        read_input("W", str(tmp_path / "weight.npy"), rng)
    assert str(caught.value) == (f"W: there is no file {tmp_path / 'weight.npy'}\n  fix:   did you mean weights.npy?")

    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match=r"objects\.npy cannot be read: Object arrays cannot be loaded"):
        read_input("W", str(tmp_path / "objects.npy"), rng)

    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(UsageError, match=r"text\.npy cannot be read"):
        read_input("W", str(tmp_path / "text.npy"), rng)

    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(UsageError, match=r"folder\.npy cannot be read"):
        read_input("W", str(tmp_path / "folder.npy"), rng)


def test_upstream() -> None:
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(read_upstream("ones", (2, 3), rng), np.ones((2, 3)))
    assert read_upstream("5,2,3", (2, 3), rng).shape == (5, 2, 3)
    assert read_upstream("[1,0,0]", (3,), rng).tolist() == [1, 0, 0]
    with pytest.raises(ShapeError) as caught:
        read_upstream("4", (2, 3), rng)
    assert str(caught.value) == (
        "upstream: its last axes must be those of the output\n"
        "  got:   upstream (4,), output (2, 3)\n"
        "  fix:   leave it out, write --upstream ones, or give that shape"
    )


def test_did_you_mean() -> None:
    assert did_you_mean("layernorm", functions()) == "did you mean layer_norm?"
    assert did_you_mean("qqq", functions()) is None


def test_elements_asked_for() -> None:
    assert elements_asked_for("np.eye", (3,), {}) == 9
    assert elements_asked_for("eye", (3, 4), {}) == 12
    assert elements_asked_for("zeros", (), {"shape": (2, 5)}) == 10
    assert elements_asked_for("arange", (10,), {}) == 10
    assert elements_asked_for("arange", (2, 10, 2), {}) == 4
    assert elements_asked_for("arange", (0, 1), {"step": 0.1}) == 10
    assert elements_asked_for("tile", (X, (2, 2)), {}) == 12
    assert elements_asked_for("pad", (A,), {"pad_width": 1}) == 25
    assert elements_asked_for("tanh", (X,), {}) == 0
