"""Strictly convex quadratic programs, by the dual active-set method."""

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.linalg import solve_triangular

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray

_VIOLATED = 1e-11
_DEPENDENT = 1e-22
_STEPS = 50
"""Steps allowed for each variable and constraint, many times what is needed."""


_solve = partial(solve_triangular, check_finite=False)


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is to be fulfilled, and how: the Cholesky factor of H, and the normals turned by it."""

    factor: FloatArray
    normals: FloatArray
    turned: FloatArray
    least: FloatArray
    equalities: int


@dataclass(slots=True)
class _State:
    """Where the method stands: the point, the active constraints, and their multipliers."""

    point: FloatArray
    active: list[int] = field(default_factory=list)
    multipliers: list[float] = field(default_factory=list)


def solve_quadratic(
    hessian: FloatArray, equalities: int, normals: FloatArray, least: FloatArray
) -> FloatArray:
    """Minimise x'Hx over (N,) x with `normals` (M, N) times x at least `least` (M,).

    The first `equalities` rows hold exactly. H (N, N) is positive definite.

    Source: Goldfarb & Idnani (1983), "A numerically stable dual method for solving strictly convex
    quadratic programs", Mathematical Programming 27.

    Raises:
        InvalidError: no x fulfils the constraints, or H is too ill-conditioned to find it.
    """
    scale = float(np.trace(hessian)) / len(hessian)
    try:
        factor = np.asarray(np.linalg.cholesky(hessian / scale), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise InvalidError("The covariance is singular.") from error
    turned = solve_triangular(factor, normals.T, lower=True)
    problem = _Problem(factor, normals, turned, least, equalities)
    state = _State(np.zeros(len(hessian)))
    for _ in range(_STEPS * (len(hessian) + len(normals))):
        chosen = _violated(state, problem)
        if chosen is None:
            return _polish(state, problem)
        _add(state, chosen, problem)
    raise InvalidError("The covariance is too ill-conditioned for its least variance to be found.")


def _violated(state: _State, problem: _Problem) -> int | None:
    """Choose an equality that is not active yet, or the inequality that is violated most."""
    for each in range(problem.equalities):
        if each not in state.active:
            return each
    slack = problem.normals @ state.point - problem.least
    slack[state.active] = math.inf
    worst = int(np.argmin(slack))
    return worst if slack[worst] < -_VIOLATED else None


def _add(state: _State, chosen: int, problem: _Problem) -> None:
    """Make a constraint active, dropping those that stand in the way."""
    normal, weight = problem.normals[chosen], 0.0
    while True:
        primal, dual = _directions(state, chosen, problem)
        gain = float(primal @ normal)
        gap = float(problem.least[chosen] - normal @ state.point)
        full = gap / gain if gain > _DEPENDENT * float(normal @ normal) else math.inf
        partial, leaving = _longest(state, dual, problem.equalities, math.copysign(1.0, full))
        step = math.copysign(min(abs(full), partial), full)
        if math.isinf(step):
            raise InvalidError("No weights keep to all limits at once.")
        if not math.isinf(full):
            state.point = state.point + step * primal
        state.multipliers = [
            held - step * change for held, change in zip(state.multipliers, dual, strict=True)
        ]
        weight += step
        if abs(full) <= partial:
            state.active.append(chosen)
            state.multipliers.append(weight)
            return
        del state.active[leaving], state.multipliers[leaving]


def _directions(state: _State, chosen: int, problem: _Problem) -> tuple[FloatArray, FloatArray]:
    """Return the primal step towards a constraint and how the active multipliers change."""
    factor, towards = problem.factor, problem.turned[:, chosen]
    if not state.active:
        return _solve(factor, towards, lower=True, trans="T"), np.empty(0)
    basis, triangle = np.linalg.qr(problem.turned[:, state.active])
    along = basis.T @ towards
    rest = towards - basis @ along
    # Once more, for what is left of the basis by rounding.
    rest -= basis @ (basis.T @ rest)
    return _solve(factor, rest, lower=True, trans="T"), _solve(triangle, along)


def _longest(state: _State, dual: FloatArray, equalities: int, sign: float) -> tuple[float, int]:
    """Return how far the multipliers of inequalities stay positive, and which is first at 0."""
    longest, leaving = math.inf, -1
    for at, (index, change) in enumerate(zip(state.active, dual, strict=True)):
        falling = change * sign
        if index >= equalities and falling > 0 and state.multipliers[at] / falling < longest:
            longest, leaving = state.multipliers[at] / falling, at
    return longest, leaving


def _polish(state: _State, problem: _Problem) -> FloatArray:
    """Solve again on the active constraints alone, without the rounding of the way there."""
    basis, triangle = np.linalg.qr(problem.turned[:, state.active])
    nearest = basis @ _solve(triangle, problem.least[state.active], trans="T")
    point: FloatArray = _solve(problem.factor, nearest, lower=True, trans="T")
    return point
