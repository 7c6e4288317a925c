"""Strictly convex quadratic programs, by the dual active-set method."""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import solve_triangular

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray

_VIOLATED = 1e-11
_DEPENDENT = 1e-22
_STEPS = 50
"""Steps allowed for each variable and constraint, many times what is needed."""


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
    state = _State(np.zeros(len(hessian)))
    for _ in range(_STEPS * (len(hessian) + len(normals))):
        chosen = _violated(state, equalities, normals, least)
        if chosen is None:
            return _polish(state, factor, normals, least)
        _add(state, chosen, factor, equalities, (normals, least))
    raise InvalidError("The covariance is too ill-conditioned for its least variance to be found.")


def _violated(state: _State, equalities: int, normals: FloatArray, least: FloatArray) -> int | None:
    """Choose an equality that is not active yet, or the inequality that is violated most."""
    for each in range(equalities):
        if each not in state.active:
            return each
    slack = normals @ state.point - least
    slack[state.active] = math.inf
    worst = int(np.argmin(slack))
    return worst if slack[worst] < -_VIOLATED else None


def _add(
    state: _State,
    chosen: int,
    factor: FloatArray,
    equalities: int,
    rows: tuple[FloatArray, FloatArray],
) -> None:
    """Make a constraint active, dropping those that stand in the way."""
    normals, least = rows
    normal, weight = normals[chosen], 0.0
    while True:
        primal, dual = _directions(state, normal, factor, normals)
        gain = float(primal @ normal)
        gap = float(least[chosen] - normal @ state.point)
        full = gap / gain if gain > _DEPENDENT * float(normal @ normal) else math.inf
        partial, leaving = _longest(state, dual, equalities, math.copysign(1.0, full))
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


def _directions(
    state: _State, normal: FloatArray, factor: FloatArray, normals: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the primal step towards a constraint and how the active multipliers change."""
    towards = solve_triangular(factor, normal, lower=True)
    if not state.active:
        return solve_triangular(factor, towards, lower=True, trans="T"), np.empty(0)
    active = solve_triangular(factor, normals[state.active].T, lower=True)
    basis, triangle = np.linalg.qr(active)
    along = basis.T @ towards
    rest = towards - basis @ along
    # Once more, for what is left of the basis by rounding.
    rest -= basis @ (basis.T @ rest)
    return solve_triangular(factor, rest, lower=True, trans="T"), solve_triangular(triangle, along)


def _longest(state: _State, dual: FloatArray, equalities: int, sign: float) -> tuple[float, int]:
    """Return how far the multipliers of inequalities stay positive, and which is first at 0."""
    longest, leaving = math.inf, -1
    for at, (index, change) in enumerate(zip(state.active, dual, strict=True)):
        falling = change * sign
        if index >= equalities and falling > 0 and state.multipliers[at] / falling < longest:
            longest, leaving = state.multipliers[at] / falling, at
    return longest, leaving


def _polish(
    state: _State, factor: FloatArray, normals: FloatArray, least: FloatArray
) -> FloatArray:
    """Solve again on the active constraints alone, without the rounding of the way there."""
    active = solve_triangular(factor, normals[state.active].T, lower=True)
    basis, triangle = np.linalg.qr(active)
    nearest = basis @ solve_triangular(triangle, least[state.active], trans="T")
    point: FloatArray = solve_triangular(factor, nearest, lower=True, trans="T")
    return point
