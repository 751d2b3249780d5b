"""The command line: `python -m jacobian "tanh(W @ x + b)" W=3,4 x=4 b=3`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import jacobian
from jacobian.checking.comparison import compare
from jacobian.checking.index_notation import is_formula, parse
from jacobian.display.entries import entry, jacobian_entries, values
from jacobian.errors import ArgumentError, JacobianError, UsageError, report
from jacobian.expressions import Expression, did_you_mean
from jacobian.expressions.inputs import read_input, read_upstream
from jacobian.kernel.memory import human
from jacobian.ops import REGISTRY

AGREES, DIFFERS, BAD_USAGE = 0, 1, 2

_EPILOG = """\
inputs:
  W=3,4           an array of this shape, drawn from the standard normal distribution (see --seed)
  b=3             a vector of shape (3,)
  s=()            a scalar, drawn
  t=2.5           a value: whatever has a point, an exponent, a sign or a bracket (t=3. is the scalar three)
  x=[1,2,3]       a value; z=[1+2j,3] holds complex numbers
  A=path.npy      a file that numpy.save has written

expressions:
  names of inputs, numbers, + - * / ** @ % //, comparisons, indexing and slices, .T, methods such as x.sum(axis=0),
  NumPy's functions by name (tanh, np.linalg.inv or inv, einsum("ij,j->i", W, x)), the layers of
  jacobian.ops.network (softmax, relu, layer_norm, ...), pi and e. Nothing else: it is not run as Python.

examples:
  python -m jacobian "tanh(W @ x + b)" W=3,4 x=4 b=3
  python -m jacobian "x @ A @ x" A=4,4 x=4 --wrt x
  python -m jacobian "softmax(x)" x=[1,2,3] --upstream [1,0,0]
  python -m jacobian "(x[1:] - x[:-1])**2" x=1000000
  python -m jacobian "inv(A) @ b" A=A.npy b=3 --explain
  python -m jacobian "softmax(W @ x)" W=3,4 x=4 --claim "dy[i]/dx[j] = y[i]*(W[i,j] - y[k]*W[k,j])"
  python -m jacobian "softmax(W @ x)" W=3,4 x=4 --wrt x --derive
  python -m jacobian "softmax(W @ x)" W=3,4 x=4 --html report.html
  python -m jacobian "A @ B" A=2,3 B=3,4 --wrt A --claim "G @ B.T" --kind downstream

documentation of all ops, of some of them with examples, and as the pages docs/ops.md and docs/kinks.md:
  python -m jacobian ops
  python -m jacobian ops inv solve
  python -m jacobian ops --markdown
  python -m jacobian ops --kinks

exit status:
  0  every Jacobian agrees with central differences; the claim is right
  1  one differs; the claim is wrong
  2  bad usage, or an expression that cannot be differentiated
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(report(message, fix="python -m jacobian --help shows examples"))


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m jacobian",
        description="Print the generalized Jacobian of a NumPy expression with respect to each of its inputs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("expression", help='NumPy, in quotes: "tanh(W @ x + b)"')
    add("inputs", nargs="*", metavar="name=value", help="its inputs: a shape, a value or a .npy file each")
    add("--wrt", action="append", metavar="NAME", help="differentiate with respect to this input only (repeat, or a,b)")
    add("--claim", metavar="TEXT", help="judge this derivative: index notation, or an expression of the inputs and y")
    add("--kind", choices=("jacobian", "downstream", "hessian"), default="jacobian", help="what the claim is")
    add("--layout", choices=("numerator", "denominator"), help="the only layout in which the claim is to count")
    add("--rtol", type=float, metavar="X", help="how far an entry of the claim may be off; 1e-3 if it was rounded")
    add("--upstream", metavar="VALUE", help="also print upstream·J; 'ones', or given like an input")
    add("--order", choices=("auto", "forward", "reverse"), default="auto", help="order of elimination")
    add("--explain", action="store_true", help="also print terms, contraction paths and costs")
    add("--derive", action="store_true", help="write the derivation, step by step, and NumPy code that computes it")
    add("--html", metavar="FILE", help="also write all of it, with pictures, as one page that needs no network")
    add("--seed", type=int, default=0, metavar="N", help="seed of what is drawn (default 0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    >>> main(["a * x", "a=2.0", "x=[1,2,3]", "--wrt", "x"])
    y = a * x
      shape      (3,) float64
      value      [2. 4. 6.]
    <BLANKLINE>
    ∂y/∂x
      formula    ∂y[i]/∂x[i] = 2
      shape      (3,) × (3,)
      structure  diagonal
      matrix     3 × 3
                 [[2. 0. 0.]
                  [0. 2. 0.]
                  [0. 0. 2.]]
      check      agrees with central differences in all 9 entries; ...
    0
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with _warnings_as_lines():
            if words[:1] == ["ops"] and not any("=" in word for word in words):
                return _ops(words[1:])
            options = _parser().parse_intermixed_args([_protect(word) for word in words])
            return _run(options)
    except JacobianError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return BAD_USAGE
    except MemoryError as error:
        print(f"MemoryError: {error}", file=sys.stderr)
        return BAD_USAGE


def _protect(word: str) -> str:
    """An expression may begin with a minus; a leading space keeps it from being read as an option."""
    return f" {word}" if word.startswith("-") and not word.startswith("--") and word != "-h" else word


def _run(options: argparse.Namespace) -> int:
    texts = _inputs(options.inputs)
    function = Expression(options.expression, texts)
    for name in texts:
        if name not in function.used:
            fix = did_you_mean(name, function.used) or "leave it out, or use it"
            raise UsageError(report(f"{name} is given, but the expression does not use it", fix=fix))
    wrt = _wrt(options.wrt, list(texts))
    _refuse_without_claim(options)
    if options.seed < 0:
        raise UsageError(f"--seed must not be negative, not {options.seed}")
    where = None if options.html is None else _writable(options.html)
    rng = np.random.default_rng(options.seed)
    args = [read_input(name, text, rng) for name, text in texts.items()]
    argnums = tuple(list(texts).index(name) for name in wrt)
    if options.claim is not None:
        status = _judge(function, args, options, argnums)
    elif options.derive:
        print("\n\n".join(_told(function, args, options, argnums)))
        status = AGREES
    else:
        status = _jacobians(function, args, options, wrt, argnums, rng)
    if where is not None:
        _page(function, texts, args, options, argnums, where)
    return status


def _refuse_without_claim(options: argparse.Namespace) -> None:
    """What says more of a claim needs one."""
    kind = options.kind if options.kind != "jacobian" else None
    given = {"--kind": kind, "--layout": options.layout, "--rtol": options.rtol}
    for option, value in given.items():
        if value is not None and options.claim is None:
            what = "says what a claim is" if option == "--kind" else "says how a claim is judged"
            raise UsageError(report(f"{option} {value} {what}", fix="give the claim: --claim TEXT"))


def _writable(text: str) -> Path:
    """Where the page goes: refused before any work is done."""
    from jacobian.display.whole_page import writable

    return writable(text)


def _page(
    function: Expression,
    texts: Mapping[str, str],
    args: Sequence[Any],
    options: argparse.Namespace,
    argnums: Sequence[int],
    where: Path,
) -> None:
    """Write the page, and say where it is."""
    from jacobian.display.whole_page import Case, page, write

    given = [function.text, *(f"{name}={text}" for name, text in texts.items()), "--seed", str(options.seed)]
    foot = f"<p>The numbers are those of <code>{escape(shlex.join(['python', '-m', 'jacobian', *given]))}</code>.</p>"
    case = Case(
        function, tuple(args), {}, tuple(argnums), function.text, options.claim, options.kind, options.layout,
        options.rtol,
    )  # fmt: skip
    write(page(case, foot), where)
    print(f"\npage written to {where} ({human(where.stat().st_size)})")


def _jacobians(
    function: Expression,
    args: Sequence[Any],
    options: argparse.Namespace,
    wrt: Sequence[str],
    argnums: Sequence[int],
    rng: np.random.Generator,
) -> int:
    """Print value, Jacobians and how they compare with differences."""
    y, jacobians = jacobian.value_and_jacobian(function, argnums=argnums, order=options.order)(*args)
    if isinstance(y, tuple | list):
        raise ArgumentError(
            report(f"the expression gives {len(y)} values, not one array", fix="stack them: stack([a, b])")
        )
    upstream = None if options.upstream is None else read_upstream(options.upstream, np.shape(y), rng)
    output = jacobians[0].names[0]
    print(f"{output} = {function.text}")
    _print("shape", f"{np.shape(y)} {np.asarray(y).dtype}")
    _print("value", values(np.asarray(y)))
    if upstream is not None:
        _print("upstream", f"shape {upstream.shape}\n{values(upstream)}")
    agreed = True
    for name, argnum, J in zip(wrt, argnums, jacobians, strict=True):
        print(f"\n∂{output}/∂{name}")
        print(jacobian_entries(J))
        if upstream is not None:
            downstream = np.asarray(upstream @ J)
            _print("downstream", f"upstream·J, shape {downstream.shape}\n{values(downstream)}")
        if options.explain:
            _print("explain", J.explain())
        comparison = compare(function, args, argnum, J)
        _print("check", str(comparison))
        agreed = agreed and bool(comparison)
    return AGREES if agreed else DIFFERS


def _judge(function: Expression, args: Sequence[Any], options: argparse.Namespace, argnums: Sequence[int]) -> int:
    """Print the verdict on a claim."""
    names = function.inputs
    if options.wrt is None and not is_formula(options.claim) and len(names) > 1:
        raise UsageError(report("say by what the claim differentiates", fix=f"--wrt {names[0]}"))
    if len(argnums) > 1 and options.wrt is not None:
        raise UsageError(report("a claim differentiates by one input", got=f"--wrt {','.join(options.wrt)}"))
    argnum = argnums[0]
    verdict = jacobian.verify(
        function, *args, claim=options.claim, argnums=argnum, kind=options.kind, layout=options.layout,
        rtol=options.rtol,
    )  # fmt: skip
    print("\n\n".join([str(verdict), *_told(function, args, options, (_differentiated(options, names, argnum),))]))
    return AGREES if verdict else DIFFERS


def _differentiated(options: argparse.Namespace, names: Sequence[str], argnum: int) -> int:
    """By which input a claim differentiates; a formula says it itself."""
    return names.index(parse(options.claim, "y").into) if is_formula(options.claim) else argnum


def _told(
    function: Expression, args: Sequence[Any], options: argparse.Namespace, argnums: tuple[int, ...]
) -> Iterator[str]:
    """The derivation and what the Jacobians cost, as far as they are asked for."""
    if options.derive:
        yield from map(str, jacobian.derive(function, *args, argnums=argnums))
    if options.explain:
        yield from (J.explain() for J in jacobian.jacobian(function, argnums=argnums)(*args))


def _ops(words: Sequence[str]) -> int:
    """Documentation of all ops, or of those named."""
    from jacobian.display import ops_page

    parser = _Parser(prog="python -m jacobian ops", description="Print what is known of ops.", allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="ops to show, each with an example")
    page = parser.add_mutually_exclusive_group()
    page.add_argument("--markdown", action="store_true", help="all ops, in Markdown")
    page.add_argument("--kinks", action="store_true", help="what is taken where there is no derivative, in Markdown")
    options = parser.parse_args(words)
    for name in options.names:
        if name not in REGISTRY:
            fix = (
                did_you_mean(name, [op.name for op in REGISTRY if op.built_in])
                or "python -m jacobian ops names them all"
            )
            raise UsageError(report(f"there is no op {name!r}", fix=fix))
    if options.names and (options.markdown or options.kinks):
        raise UsageError(report("a page in Markdown is one of all ops", fix="give no names"))
    if options.names:
        print("\n\n".join(ops_page.one_op(REGISTRY[name]) for name in options.names))
    else:
        make = ops_page.ops_markdown if options.markdown else ops_page.kinks_markdown if options.kinks else None
        print((make or ops_page.all_ops)())
    return AGREES


def _inputs(words: Sequence[str]) -> Mapping[str, str]:
    if not words:
        raise UsageError(report("no inputs are given", fix="give each a shape, x=3,4, or a value, x=2.5"))
    texts: dict[str, str] = {}
    for word in words:
        name, equals, text = word.strip().partition("=")
        if not equals:
            raise UsageError(report(f"{word!r} is not an input", fix="write name=shape, name=value or name=file.npy"))
        if name in texts:
            raise UsageError(f"{name} is given twice: {texts[name]} and {text}")
        texts[name.strip()] = text
    return texts


def _wrt(words: Sequence[str] | None, names: Sequence[str]) -> Sequence[str]:
    """The inputs to differentiate with respect to, each once, in the order asked for."""
    if words is None:
        return names
    wanted = list(dict.fromkeys(name.strip() for word in words for name in word.split(",") if name.strip()))
    if not wanted:
        raise UsageError(report("--wrt names no input", fix=f"one of {', '.join(names)}"))
    for name in wanted:
        if name not in names:
            fix = did_you_mean(name, names) or f"one of {', '.join(names)}"
            raise UsageError(report(f"--wrt {name}: there is no such input", fix=fix))
    return wanted


def _print(title: str, text: str) -> None:
    print(entry(title, text))


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print each warning once, as one line without a place in our source, after the results."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for line in dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in caught):
                print(line, file=sys.stderr)


def _entry() -> int:
    """`main` as a process: UTF-8 whatever the terminal, quiet when the reader of the output has gone."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(_entry())
