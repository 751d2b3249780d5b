"""Inverses, solutions and factorisations of matrices. Leading axes are a batch, shared by output and input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jacobian.errors import ArgumentError, ShapeError, SingularError, report
from jacobian.kernel.expression import Jacobian
from jacobian.kernel.term import Array, Factor
from jacobian.ops import texts
from jacobian.ops.contraction import batch_labels
from jacobian.ops.families import Einsum, check_labels, composite
from jacobian.ops.kinks import warn_kink
from jacobian.ops.registry import SAME, Kink, Op, Params, Point, describe, operand_names, register, sample
from jacobian.ops.terms import labelled, shape_of, summed, symmetrised, written

# -- what tests and samples draw --------------------------------------------------------------------------------------


def invertible(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Square matrices are drawn well away from singular ones, anything else from the interval (-1, 1)."""
    drawn = np.asarray(generator.uniform(-1.0, 1.0, shape))
    return drawn + 2.0 * np.eye(shape[-1]) if len(shape) > 1 and shape[-1] == shape[-2] else drawn


def positive_definite(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Symmetric matrices with eigenvalues well above 0 and apart from each other."""
    drawn = np.asarray(generator.uniform(-0.3, 0.3, shape))
    return drawn + np.swapaxes(drawn, -1, -2) + np.diag(np.arange(1.5, 1.5 + shape[-1]))


# -- what went wrong, said in our words -------------------------------------------------------------------------------


def require_square(op: Op, values: Sequence[Array], params: Params) -> None:
    """Raise the error for a first operand that is not a square matrix, or a stack of them."""
    name, (A, *_) = operand_names(op, len(values))[0], values
    if np.ndim(A) < 2:
        raise ShapeError(report(f"{op.name}: {name} must be a matrix or a stack of matrices", got=describe(name, A)))
    rows, cols = np.shape(A)[-2:]
    if rows != cols:
        raise ShapeError(
            report(f"{op.name}: {name} must be square, but it is {rows} × {cols}", got=describe(name, A))
        )  # fmt: skip


def require_regular(op: Op, values: Sequence[Array], params: Params) -> None:
    """Raise the error that says which matrix is singular, and of what rank it is."""
    require_square(op, values, params)
    name, A = operand_names(op, len(values))[0], np.asarray(values[0])
    for place in np.ndindex(A.shape[:-2]):
        rank = int(np.linalg.matrix_rank(A[place]))
        if rank < A.shape[-1]:
            which = f"{name}[{','.join(map(str, place))}]" if place else name
            raise SingularError(
                report(
                    f"{op.name}: {which} is singular: {A.shape[-1]} × {A.shape[-1]}, of rank {rank}",
                    got=describe(name, A),
                    fix="np.linalg.pinv and np.linalg.det are defined for singular matrices as well",
                )
            )


# -- inverse and solve ------------------------------------------------------------------------------------------------


def _inv_rule(point: Point, k: int) -> Jacobian:
    Y = Factor(point.y, point.out_name)
    return written("ij,kl->il|jk", Y, Y, into=shape_of(point.x[0]), scale=-1)


inv = register(
    Op(
        "inv", np.linalg.inv, _inv_rule, answers=(np.linalg.inv,), operands=("A",), out_name="Y", family="linalg",
        formula="∂Y[i,l]/∂A[j,k] = -Y[i,j] Y[k,l]", explain_failure=require_regular,
        note="a Kronecker product of two factors.", source="The Matrix Cookbook (2012), eq. 60",
        samples=[sample(shape, domain=invertible) for shape in ((3, 3), (2, 2, 2), (1, 1))],
    )
)  # fmt: skip


def _solve_labels(A: tuple[int, ...], b: tuple[int, ...]) -> Einsum:
    """A[i,j] Y[j,k] = b[i,k]; a vector b has no k, as in NumPy 2."""
    columns = () if len(b) == 1 else ("k",)
    batch = batch_labels([len(A) - 2, len(b) - 1 - len(columns)], "ijkln")
    out = (*max(batch, key=len), "j", *columns)
    return Einsum(((*batch[0], "i", "j"), (*batch[1], "i", *columns), out))


def _solve_rule(point: Point, k: int) -> Jacobian:
    """The inverse times δ with respect to b; minus the inverse times the solution with respect to A."""
    (A, b), names = point.x, point.names
    of_A, of_b, out = _solve_labels(shape_of(A), shape_of(b))
    inverse = Factor(inv(A), f"inv({names[0]})")
    inverse_labels = (*of_A[:-2], "j", "i")
    if k == 1:
        return labelled(Einsum((inverse_labels, of_b, out)), (inverse,), shape_of(b))
    solution = Factor(point.y, point.out_name)
    solved = tuple("l" if label == "j" else label for label in out)
    labels = Einsum((inverse_labels, solved, (*of_A[:-1], "l"), out))
    return labelled(labels, (inverse, solution), shape_of(A), -1)


def _solved_by_inverse(A: Array, b: Array) -> Any:
    """The solution by the inverse, which the rule needs anyway: as good as that by elimination.

    Source: A. Druinsky and S. Toledo, How accurate is inv(A)*b? (2012), arXiv:1201.6035.
    """
    return inv(A) @ b


def _explain_solve(op: Op, values: Sequence[Array], params: Params) -> None:
    require_square(op, values, params)
    check_labels(op, _solve_labels(shape_of(values[0]), shape_of(values[1])), values)
    require_regular(op, values, params)


solve = register(
    Op(
        "solve", np.linalg.solve, _solve_rule, answers=(np.linalg.solve,), operands=("A", "b"), out_name="Y",
        family="linalg", formula="∂Y[j,k]/∂b[i,k] = inv(A)[j,i], ∂Y[j,k]/∂A[i,l] = -inv(A)[j,i] Y[l,k]",
        note="A Y = b; b is a vector if it has one axis, else a matrix or a stack of them.",
        explain_failure=_explain_solve, beside_rule=_solved_by_inverse,
        samples=[
            sample(*shapes, domain=invertible)
            for shapes in (
                ((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 2, 2), (2, 1)), ((2, 2), (3, 2, 1)), ((2, 2, 2), (2,)),
            )
        ],
    )
)  # fmt: skip

# -- Cholesky ---------------------------------------------------------------------------------------------------------


def _cholesky_rule(point: Point, k: int) -> Jacobian:
    """The differential dL = L Φ(L⁻¹ dS L⁻ᵀ), S being the triangle that is read, mirrored.

    Φ keeps the lower triangle and half the diagonal.
    """
    shape, n, upper = shape_of(point.x[0]), np.shape(point.y)[-1], point.params["upper"]
    name = point.out_name
    y, inverse = Factor(point.y, name), Factor(inv(point.y), f"inv({name})")
    phi = Factor(np.tril(np.ones((n, n))) - 0.5 * np.eye(n), "([@0 >= @1] - 1/2 * δ[@0,@1])")
    text = "mi,mj,km,lj->ji|kl" if upper else "im,mj,mk,jl->ij|kl"
    J: Jacobian = written(text, y, phi, inverse, inverse, into=shape) @ symmetrised(shape, "U" if upper else "L")
    return J


def _explain_cholesky(op: Op, values: Sequence[Array], params: Params) -> None:
    require_square(op, values, params)
    name, A = operand_names(op, 1)[0], np.asarray(values[0])
    least = np.linalg.eigvalsh(A, UPLO="U" if params["upper"] else "L")[..., 0].min()
    raise SingularError(
        report(
            f"{op.name}: {name} is not positive definite: its least eigenvalue is {least:.6g}", got=describe(name, A),
            fix=f"{name} @ {name}.T + c * np.eye(n) is positive definite for every c > 0",
        )
    )  # fmt: skip


cholesky = register(
    Op(
        "cholesky", lambda a, upper: np.linalg.cholesky(a, upper=upper), _cholesky_rule, answers=(np.linalg.cholesky,),
        of_complex="refused",
        normalise=lambda a, /, *, upper=False: ((a,), {"upper": upper}), operands=("A",), out_name="L", family="linalg",
        source="I. Murray, Differentiation of the Cholesky decomposition (2016), arXiv:1602.07527",
        formula="∂L[i,j]/∂S[k,l] = Σ_m L[i,m] Φ[m,j] inv(L)[m,k] inv(L)[j,l]", explain_failure=_explain_cholesky,
        note="NumPy reads one triangle only, the lower one unless upper=True, and so does the derivative: it is 0 with "
        "respect to the other triangle, and an entry beside the diagonal counts for both. Φ is 1 below the diagonal "
        "and 1/2 on it.",
        samples=[
            sample((3, 3), domain=positive_definite), sample((2, 2, 2), domain=positive_definite),
            sample((3, 3), domain=positive_definite, upper=True),
        ],
    )
)  # fmt: skip

# -- powers and the pseudo-inverse ------------------------------------------------------------------------------------


def _power_rule(point: Point, k: int) -> Jacobian:
    """Σ_r Xʳ dX Xⁿ⁻¹⁻ʳ; the first and the last summand have a δ, and all others are one term with an index r."""
    X, n, name = point.x[0], point.params["n"], point.names[0]
    shape = shape_of(X)
    if n in (0, 1):
        return Jacobian.identity(shape) if n else Jacobian.zero(shape, shape)
    if n < 0:
        return -_summed_powers(inv(X), list(range(1, 1 - n)), f"inv({name})", shape)
    last = Factor(np.linalg.matrix_power(X, n - 1), name if n == 2 else f"matrix_power({name}, {n - 1})")
    parts = [written("lj->ij|il", last, into=shape), written("ik->ij|kj", last, into=shape)]
    if n > 2:
        parts.append(_summed_powers(X, list(range(1, n - 1)), name, shape))
    return summed(*parts)


def _summed_powers(X: Array, exponents: list[int], name: str, shape: tuple[int, ...]) -> Jacobian:
    """Σ_r X**e[r] dX X**e[-r]: the powers stand along one summed axis, once upwards and once downwards."""
    powers = [np.linalg.matrix_power(X, exponents[0])]
    for _ in exponents[1:]:
        powers.append(np.matmul(powers[-1], X))
    rank = len(shape)
    entry = ",".join(f"@{axis}" for axis in range(rank + 1) if axis != rank - 2)
    up = Factor(np.stack(powers, axis=-3), f"matrix_power({name}, @{rank - 2} + 1)[{entry}]")
    down = Factor(np.stack(powers[::-1], axis=-3), f"matrix_power({name}, {exponents[-1]} - @{rank - 2})[{entry}]")
    return written("rik,rlj->ij|kl", up, down, into=shape)


matrix_power = register(
    Op(
        "matrix_power", np.linalg.matrix_power, _power_rule, answers=(np.linalg.matrix_power,),
        normalise=lambda a, n: ((a,), {"n": n}), operands=("A",), out_name="Y", family="linalg",
        formula="∂Y[i,j]/∂A[k,l] = Σ_r A**r[i,k] A**(n-1-r)[l,j]", explain_failure=require_regular,
        note="any whole power; a negative one is a power of the inverse.",
        samples=[
            *(sample((2, 2), n, domain=invertible) for n in (0, 1, 2, 3, 5, -1, -3)),
            sample((2, 2, 2), 4, domain=invertible), sample((2, 2, 2), -2, domain=invertible),
        ],
    )
)  # fmt: skip


def transposed_text(name: str, rank: int) -> str:
    """The transposed matrices of an array, as a label."""
    return f"{name}.T" if rank == 2 else f"matrix_transpose({name})"


def beside_text(projection: str, rank: int) -> str:
    """What a projection leaves, as a label."""
    return f"(δ[@{rank - 2},@{rank - 1}] - {texts.at(f'({projection})', range(rank))})"


def _pinv_rule(point: Point, k: int) -> Jacobian:
    """-P dA P + P Pᵀ dAᵀ (1 - A P) + (1 - P A) dAᵀ Pᵀ P, which holds as long as the rank stays the same."""
    A, P, name = point.x[0], point.y, point.names[0]
    shape, T = shape_of(A), np.matrix_transpose
    rows, cols = shape[-2:]
    rank = np.einsum("...ij,...ji->...", P, A)  # the trace of a projection
    warn_kink("pinv", rank < min(rows, cols) - 0.5, "the derivative among matrices of the same rank")
    p = Factor(P, point.out_name)
    parts = [written("ik,lj->ij|kl", p, p, into=shape, scale=-1)]
    y, turned = point.out_name, transposed_text(point.out_name, len(shape))
    if rows > cols or np.any(rank < rows - 0.5):
        squared = Factor(np.matmul(P, T(P)), texts.at(f"({y} @ {turned})", range(len(shape))))
        outside = Factor(np.eye(rows) - np.matmul(A, P), beside_text(f"{name} @ {y}", len(shape)))
        parts.append(written("il,kj->ij|kl", squared, outside, into=shape))
    if cols > rows or np.any(rank < cols - 0.5):
        squared = Factor(np.matmul(T(P), P), texts.at(f"({turned} @ {y})", range(len(shape))))
        outside = Factor(np.eye(cols) - np.matmul(P, A), beside_text(f"{y} @ {name}", len(shape)))
        parts.append(written("il,kj->ij|kl", outside, squared, into=shape))
    return summed(*parts)


def _pinv_arguments(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    if hermitian:
        raise ArgumentError(report("pinv: hermitian=True is not traced", fix="leave it out: the result is the same"))
    return (a,), {"rcond": rcond if rtol is None else rtol}


pinv = register(
    Op(
        "pinv", lambda a, rcond=None: np.linalg.pinv(a, rcond), _pinv_rule, answers=(np.linalg.pinv,),
        normalise=_pinv_arguments, operands=("A",), out_name="P", family="linalg", of_complex="refused",
        formula="∂P[i,j]/∂A[k,l] = -P[i,k] P[l,j] + (P Pᵀ)[i,l] (1 - A P)[k,j] + (1 - P A)[i,l] (Pᵀ P)[k,j]",
        source="Golub and Pereyra, The differentiation of pseudo-inverses, SIAM J. Numer. Anal. 10 (1973) 413-432",
        kinks=[
            Kink("the rank is not full", "the derivative among matrices of the same rank", sample(np.diag([1.0, 0.0])),
                 torch={"torch.linalg.pinv(A)": SAME})
        ],
        samples=[
            sample((3, 2), domain=(-1.0, 1.0)), sample((2, 3), domain=(-1.0, 1.0)), sample((2, 2), domain=invertible),
            sample((2, 3, 2), domain=(-1.0, 1.0)),
        ],
    )
)  # fmt: skip

# -- written in terms of others ---------------------------------------------------------------------------------------


def _tensorinv(a: Any, ind: int = 2) -> Any:
    shape = shape_of(a)
    count = int(np.prod(shape[ind:]))
    return np.reshape(np.linalg.inv(np.reshape(a, (-1, count))), (*shape[ind:], *shape[:ind]))


def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    if axes is not None:
        a = np.moveaxis(a, axes, range(np.ndim(a) - len(axes), np.ndim(a)))
    solution = shape_of(a)[np.ndim(b) :]
    return np.reshape(np.linalg.solve(np.reshape(a, (np.size(b), -1)), np.ravel(b)), solution)


def _rows_of_identity(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.sqrt(np.prod(shape)))
    return invertible(generator, (count, count)).reshape(shape)


tensorinv = composite(
    "tensorinv", _tensorinv, answers=(np.linalg.tensorinv,),
    samples=[sample((4, 2, 2), ind=1, domain=_rows_of_identity)],
)  # fmt: skip
tensorsolve = composite(
    "tensorsolve", _tensorsolve, answers=(np.linalg.tensorsolve,),
    samples=[sample(np.eye(4).reshape(2, 2, 2, 2) + 0.1, (2, 2))],
)  # fmt: skip
