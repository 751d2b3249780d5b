"""Every attribute and method of an ndarray on a traced array: what NumPy says, with its Jacobian, or a refusal."""

from __future__ import annotations

import copy
import math
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import jacobian as jac
from jacobian.errors import JacobianError
from jacobian.tracing.tracer import Tracer
from tests.differences import central

M = np.array([[1.23, 2.61, -0.58], [0.32, 4.13, 1.47], [2.74, -2.29, 0.72]])
N = np.array([[0.5, 1.5, 2.0], [2.5, 0.7, -1.1], [0.9, 1.3, 3.1]])
INTS = np.arange(9).reshape(3, 3)

TRACED: dict[str, list[str]] = {
    "T": ["x.T"], "mT": ["x.mT", "x[None].mT"], "real": ["x.real", "(x * 1j).real"],
    "imag": ["(x * 2j).imag", "x.imag"], "flat": ["x.flat[2]", "x.flat[::2]", "np.sin(x.flat)", "sum(x.T.flat)"],
    "__abs__": ["abs(x)"], "__neg__": ["-x"], "__pos__": ["+x"],
    "__add__": ["x + N"], "__radd__": ["N + x", "1 + x"], "__iadd__": ["x.__iadd__(N)"],
    "__sub__": ["x - N"], "__rsub__": ["N - x", "1 - x"], "__isub__": ["x.__isub__(N)"],
    "__mul__": ["x * N"], "__rmul__": ["N * x", "2 * x"], "__imul__": ["x.__imul__(N)"],
    "__truediv__": ["x / N"], "__rtruediv__": ["N / x", "1 / x"], "__itruediv__": ["x.__itruediv__(N)"],
    "__floordiv__": ["x // N"], "__rfloordiv__": ["N // x"], "__ifloordiv__": ["x.__ifloordiv__(N)"],
    "__mod__": ["x % N"], "__rmod__": ["N % x", "7 % x"], "__imod__": ["x.__imod__(N)"],
    "__divmod__": ["divmod(x, N)[0]", "divmod(x, N)[1]"], "__rdivmod__": ["divmod(N, x)[1]"],
    "__pow__": ["x ** 2", "abs(x) ** N"], "__rpow__": ["2 ** x"], "__ipow__": ["x.__ipow__(3)"],
    "__matmul__": ["x @ N", "x @ N[0]"], "__rmatmul__": ["N @ x"], "__imatmul__": ["x.__imatmul__(N)"],
    "__getitem__": ["x[1]", "x[1, 2]", "x[[0, 0]]", "x[INTS > 3]", "x[..., None, 0]", "x[True]"],
    "__setitem__": ["x.__setitem__((0, 1), x[0, 0] ** 2)"], "__iter__": ["sum(x)", "[*x][1]", "np.stack([*x[0]])"],
    "__copy__": ["copy.copy(x)"], "__deepcopy__": ["copy.deepcopy(x)"],
    "astype": ["x.astype(np.longdouble).astype(float)", "x.astype(float, order='F')", "x.astype(float, copy=False)"],
    "clip": ["x.clip(0, 2)", "x.clip(max=1)", "x.clip(min=N)"], "compress": ["x.compress([True, False, True], axis=1)"],
    "conj": ["x.conj()"], "conjugate": ["x.conjugate()"], "copy": ["x.copy()", "x.copy(order='F')"],
    "cumprod": ["x.cumprod()", "x.cumprod(axis=1)"], "cumsum": ["x.cumsum()", "x.cumsum(0)"],
    "diagonal": ["x.diagonal()", "x.diagonal(1)", "x[None].diagonal(axis1=1, axis2=2)"], "dot": ["x.dot(N)",
    "x.dot(3.0)"],
    "fill": ["x.fill(3.0)", "x[0].fill(x[1, 1])"], "flatten": ["x.flatten()", "x.flatten('F')"],
    "max": ["x.max()", "x.max(axis=1, keepdims=True)", "x.max(0)"], "min": ["x.min()", "x.min(axis=0)"],
    "mean": ["x.mean()", "x.mean(axis=(0, 1))", "x.mean(1)", "x.mean(axis=0, out=x[2])"],
    "partition": ["x.partition(1)", "x.partition(1, axis=0)"], "prod": ["x.prod()", "x.prod(axis=1)"],
    "put": ["x.put([0, -1], [x[1, 1], 2.0])"], "ravel": ["x.ravel()", "x.ravel('F')", "x.T.ravel(order='C')"],
    "repeat": ["x.repeat(2)", "x.repeat([1, 0, 2], axis=0)"],
    "reshape": ["x.reshape(9)", "x.reshape((1, 9))", "x.reshape(-1, 1, order='F')", "x.reshape(9, copy=True)"],
    "round": ["x.round()", "x.round(1)"], "sort": ["x.sort()", "x.sort(axis=0)", "x.sort(kind='stable')"],
    "squeeze": ["x[None].squeeze()", "x[None].squeeze(axis=0)"],
    "std": ["x.std()", "x.std(axis=1, ddof=1)"], "sum": ["x.sum()", "x.sum(axis=-1)", "x.sum(0, keepdims=True)"],
    "swapaxes": ["x.swapaxes(0, 1)"], "take": ["x.take([0, 8, 8])", "x.take([2, 0], axis=1)"],
    "to_device": ["x.to_device('cpu')"], "trace": ["x.trace()", "x.trace(1)"],
    "transpose": ["x.transpose()", "x.transpose(1, 0)", "x.transpose((0, 1))", "x.transpose(None)"],
    "var": ["x.var()", "x.var(axis=0, keepdims=True)"], "view": ["x.view()", "x.view(float)", "x.view(np.ndarray)"],
}  # fmt: skip
"""Expressions whose values and Jacobians are compared, and what they leave in x."""

CONSTANT: dict[str, list[str]] = {
    "all": ["x.all()", "x.all(axis=0)"], "any": ["x.any()", "x.any(axis=1)"], "argmax": ["x.argmax()",
    "x.argmax(axis=0)"],
    "argmin": ["x.argmin()", "x.argmin(1)"], "argpartition": ["x.argpartition(1, axis=0)"],
    "argsort": ["x.argsort()", "x.argsort(axis=0)"], "nonzero": ["x.nonzero()[0]", "x.nonzero()[1]"],
    "searchsorted": ["np.sort(x[0]).searchsorted([0.1, 1.5])", "np.sort(x[0]).searchsorted(1.3, side='right')"],
    "shape": ["x.shape", "x[0].shape"], "ndim": ["x.ndim"], "size": ["x.size"], "dtype": ["x.dtype"],
    "itemsize": ["x.itemsize"], "nbytes": ["x.nbytes", "x[0].nbytes"], "device": ["x.device"],
    "strides": ["x.strides", "x.T.strides", "x[:, ::2].strides", "(x + N).strides", "x[:, 0].copy().strides"],
    "flags": [
        "x.flags.c_contiguous", "x.T.flags.f_contiguous", "x[:, 0].flags['C_CONTIGUOUS']", "x.flags.writeable",
        "x.diagonal().flags.writeable", "np.broadcast_to(x, (2, 3, 3)).flags.writeable", "x.flags.aligned",
    ],
    "base": ["x.base is None", "x.T.base is x", "x[1:][0].base is x", "x.copy().base is None"],
    "__lt__": ["x < N"], "__le__": ["x <= 1"], "__gt__": ["x > N"], "__ge__": ["N >= x"], "__eq__": ["x == N",
    "1 == x"],
    "__ne__": ["x != N"], "__contains__": ["1.23 in x", "7.0 in x", "x[0, 1] in x"], "__len__": ["len(x)",
    "len(x.T[:2])"],
    "__bool__": ["bool(x[0, 0])", "not x[0, 0]"], "__int__": ["int(x[0, 0])"],
    "__str__": ["str(x)", "f'{x}'"], "__format__": ["f'{x[0, 0]:.3f}'"],
    "__array_namespace__": ["x.__array_namespace__()"],
}  # fmt: skip
"""Expressions whose values are those of NumPy; they have no derivative."""

REFUSED: dict[str, tuple[str, str]] = {
    "__and__": ("x & 1", "x & y is for whole numbers and booleans"), "__rand__": ("1 & x",
    "x & y is for whole numbers"),
    "__iand__": ("x.__iand__(1)", "x & y is for"), "__or__": ("x | 1", "x | y is for"), "__ror__": ("1 | x",
    "x | y is for"),
    "__ior__": ("x.__ior__(1)", "x | y is for"), "__xor__": ("x ^ 1", "x ^ y is for"), "__rxor__": ("1 ^ x",
    "x ^ y is for"),
    "__ixor__": ("x.__ixor__(1)", "x ^ y is for"), "__invert__": ("~x", "~x is for whole numbers and booleans"),
    "__lshift__": ("x << 1", "x << y is for"), "__rlshift__": ("1 << x", "x << y is for"),
    "__ilshift__": ("x.__ilshift__(1)", "x << y is for"), "__rshift__": ("x >> 1", "x >> y is for"),
    "__rrshift__": ("1 >> x", "x >> y is for"), "__irshift__": ("x.__irshift__(1)", "x >> y is for"),
    "__array__": ("np.asarray(x)", "a traced array is used where NumPy needs a plain one"),
    "__delitem__": ("x.__delitem__(0)", "cannot be deleted"),
    "__float__": ("float(x[0, 0])", "a traced array is turned into float"),
    "__complex__": ("complex(x[0, 0])", "a traced array is turned into complex"),
    "__index__": ("[1, 2][x[0, 0]]", "a traced array is used where NumPy needs a plain one, such as an index"),
    "__reduce_ex__": ("pickle.dumps(x)", "a traced array cannot be pickled"),
    "item": ("x.item(0)", "a traced array is turned into a Python number by .item()"),
    "tolist": ("x.tolist()", "a traced array is turned into a list by .tolist()"),
    "byteswap": ("x.byteswap()", "a traced array has no attribute 'byteswap'"),
    "choose": ("x.choose([x, x])", "a traced array has no attribute 'choose'"),
    "ctypes": ("x.ctypes", "a traced array has no attribute 'ctypes'"),
    "data": ("x.data", "a traced array has no attribute 'data'"),
    "dump": ("x.dump('file')", "a traced array has no attribute 'dump'"),
    "dumps": ("x.dumps()", "a traced array has no attribute 'dumps'"),
    "getfield": ("x.getfield(float)", "a traced array has no attribute 'getfield'"),
    "resize": ("x.resize((2, 2))", "a traced array has no attribute 'resize'"),
    "setfield": ("x.setfield(1, float)", "a traced array has no attribute 'setfield'"),
    "setflags": ("x.setflags(write=False)", "a traced array has no attribute 'setflags'"),
    "tobytes": ("x.tobytes()", "a traced array has no attribute 'tobytes'"),
    "tofile": ("x.tofile('file')", "a traced array has no attribute 'tofile'"),
}  # fmt: skip
"""What cannot be traced, and how the error begins."""

MISSING = frozenset(
    """
    __array_finalize__ __array_interface__ __array_struct__ __array_wrap__ __class_getitem__ __dlpack__
    __dlpack_device__ __setstate__
    """.split()
)
"""Names that NumPy and others look for to get at an array's memory: a traced array does not have them."""

OWN = frozenset("__array_function__ __array_priority__ __array_ufunc__ __hash__ __repr__".split())
"""What every stand-in for an array has its own of."""

SPACE = {"np": np, "N": N, "INTS": INTS, "copy": copy, "pickle": pickle}


def expression(text: str) -> Callable[[Any], Any]:
    """A function of x that leaves x unchanged to its caller."""
    code = compile(text, "<expression>", "eval")
    return lambda x: eval(code, {**SPACE, "x": x})


def test_every_name_is_decided() -> None:
    names = {name for name in dir(np.ndarray) if name not in dir(object) or name in ("__eq__", "__str__", "__format__")}
    decided = {*TRACED, *CONSTANT, *REFUSED, *MISSING, *OWN}
    assert not names - decided, f"nobody decided about {sorted(names - decided)}"
    kinds = (TRACED, CONSTANT, REFUSED, MISSING, OWN)
    assert sum(map(len, kinds)) == len(decided)
    assert not {name for name in decided - names if not name.startswith("__")}


@pytest.mark.parametrize("text", [text for texts in TRACED.values() for text in texts])
@pytest.mark.parametrize("order", ["C", "F"])
def test_traced(text: str, order: Any) -> None:
    f = expression(text)

    def both(x: Any) -> Any:
        result = f(x)
        return np.concatenate([np.ravel(x), np.ravel(x if result is None else result)])

    def alike(value: Any) -> Any:
        return both(np.array(value, order=order))

    x = np.array(M, order=order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jac.errors.KinkWarning)
        value, J = jac.value_and_jacobian(both)(x)
    np.testing.assert_array_equal(x, M)
    np.testing.assert_allclose(value, alike(M), rtol=1e-13)
    np.testing.assert_allclose(np.asarray(J), central(alike, M), rtol=1e-6, atol=1e-8)
    found = [f(np.array(M, order=order)), None]

    def keep(x: Any) -> Any:
        found[1] = f(x)
        return x

    jac.trace(keep, x)
    if isinstance(found[1], Tracer):
        assert found[1].shape == np.shape(found[0]) and found[1].dtype == np.asarray(found[0]).dtype


@pytest.mark.parametrize("text", [text for texts in CONSTANT.values() for text in texts])
def test_constant(text: str) -> None:
    found: list[Any] = []

    def f(x: Any) -> Any:
        found.append(expression(text)(x))
        return x

    jac.trace(f, M)
    expected = expression(text)(M.copy())
    assert not isinstance(found[0], Tracer)
    assert type(found[0]) is type(expected) or np.asarray(expected).dtype == bool
    np.testing.assert_array_equal(found[0], expected)


@pytest.mark.parametrize(("text", "headline"), REFUSED.values(), ids=REFUSED)
def test_refused(text: str, headline: str) -> None:
    with pytest.raises(JacobianError, match=re.escape(headline)) as caught:
        jac.jacobian(expression(text))(M)
    assert "\n  line:  " in str(caught.value) and "\n  fix:   " in str(caught.value)


def test_missing() -> None:
    def f(x: Any) -> Any:
        for name in MISSING:
            assert not hasattr(x, name), name
        assert repr(x).startswith("traced array(")
        with pytest.raises(TypeError, match="unhashable"):
            hash(x)
        return x

    jac.trace(f, M)


def test_attributes_that_are_assigned_to() -> None:
    def f(x: Any) -> Any:
        x.real = x * 2
        x.flat = [x[0, 0], x[0, 1]]
        return x

    np.testing.assert_allclose(np.asarray(jac.jacobian(f)(M)), central(lambda x: f(x.copy()), M), atol=1e-8)
    for statement, headline in {
        "x.shape = (9,)": "x.shape = … cannot be traced", "x.dtype = int": "x.dtype = … cannot be traced",
        "x.strides = (8, 8)": "x.strides = … cannot be traced", "x.imag = 1": "z.imag = v cannot be traced",
        "(x * 1j).real = 1": "z.real = v cannot be traced where z is complex",
    }.items():  # fmt: skip
        space = dict(SPACE)
        exec(f"def g(x):\n    {statement}\n    return x", space)
        with pytest.raises(JacobianError, match=re.escape(headline)):
            jac.jacobian(space["g"])(M)  # type: ignore[arg-type]


def test_arguments_that_do_not_fit() -> None:
    for text, error in {
        "x.to_device('gpu')": "there is no device 'gpu'", "x.fill([1, 2])": "x.fill(v) needs a number",
        "x.astype(np.float32, casting='safe')": "astype: float64 is not cast to float32 with casting='safe'",
        "x.view(np.int64)": "x.view(int64) cannot be traced: it reads bytes",
        "x.flat[99]": "index 99 is out of bounds",
        "np.array([x[0]], ndmin=3, like=x)": "np.array(…, ndmin=…) cannot be",
        "x.flat.__setitem__(99, 1)": "x.flat[…] = v: index 99 is out of bounds",
    }.items():  # fmt: skip
        with pytest.raises(JacobianError, match=re.escape(error)):
            jac.jacobian(expression(text))(M)


def test_flat_is_an_iterator() -> None:
    def f(x: Any) -> Any:
        flat = x.T.flat
        assert (
            len(flat) == 9 and flat.base is not None and (flat == x.T.ravel()).all() and not (flat != x.T.ravel()).any()
        )
        assert (flat < 2).sum() == (flat <= 2).sum() == 9 - (flat > 2).sum() == 9 - (flat >= 2).sum()
        first, second = next(flat), next(flat)
        assert (flat.index, flat.coords) == (2, (0, 2))
        for k, entry in enumerate(x.T.flat):
            x.T.flat[k] = entry * second
        kept = x.flat[:2]
        kept[0] = 9.0
        return x * first + np.sum(x.flat.copy()) + np.multiply(x.flat, x.flat).sum() + kept[1]

    np.testing.assert_allclose(jac.value_and_jacobian(f)(M)[0], f(M.copy()))
    np.testing.assert_allclose(np.asarray(jac.jacobian(f)(M)), central(lambda x: f(x.copy()), M), rtol=1e-8)


def test_flat_of_what_depends_on_no_input_is_a_plain_array() -> None:
    def f(x: Any) -> Any:
        assert np.asarray(np.ones_like(x).flat).sum() == 9
        with pytest.raises(JacobianError):
            np.asarray(x.flat)
        return x

    jac.trace(f, M)


def interpolated(x: Any) -> Any:
    table = np.array([0.0, 1.0, 4.0, 9.0, 16.0])
    at = np.floor(x).astype(int)
    weight = x - at
    return table[at] * (1 - weight) + table[at + 1] * weight


def test_whole_numbers_are_constants() -> None:
    x = np.array([0.25, 2.6, 1.7])
    for f in (
        interpolated,
        lambda x: np.stack([x[k] * int(2 * x[k]) for k in range(3)]),
        lambda x: np.stack([x[k] ** (1 + math.floor(x[k])) for k in range(3)]),
        lambda x: x * np.astype(np.floor(x), int),
        lambda x: x * (np.astype(x - 1, bool) + math.ceil(x[0]) + math.trunc(x[1])),
        lambda x: x * x.astype(np.int8) + x.astype(bool),
    ):
        for _ in range(4):
            np.testing.assert_allclose(np.asarray(jac.jacobian(f)(x)), central(f, x), atol=1e-7)
    g = jac.jacobian(interpolated)  # what is looked up is another entry with other numbers
    for k in range(5):
        np.testing.assert_allclose(np.diag(np.asarray(g(x / (1 + k)))), 2 * np.floor(x / (1 + k)) + 1)


def test_what_would_lose_a_derivative_is_refused() -> None:
    for text in ("float(x[0, 0])", "complex(x[0, 0])", "np.array(x)"):
        with pytest.raises(JacobianError):
            jac.jacobian(expression(f"{text} * x"))(M)
