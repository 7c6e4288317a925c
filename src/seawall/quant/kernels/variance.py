"""Variance that changes from day to day: exponential weights and GARCH(1,1)."""

import math

import numpy as np

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import FloatArray

PERSISTENCE_LIMIT = 1.0 - 1e-6
"""The largest alpha + beta that is fitted; at it the variance has no level to return to."""

GRADIENT, INFORMATION, OUTER = 0, 1, 4
"""Where scores hold the gradient, its expected information and its outer product begin."""

_LOW = (1e-10, 0.0, 0.0)
_HIGH = (10.0, PERSISTENCE_LIMIT, 1.0)
_PERSISTENCES, _SHARES = (0.1, 0.5, 0.9, 0.98), (0.05, 0.15, 0.4, 0.8)
_SCORING_STEPS, _STEPS = 12, 200
_ARRIVED, _MOST_DAMPING = 1e-15, 1e15
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_ROUNDING = 4.0 * 2.0**-52


@compiled
def garch_variances(
    shocks: FloatArray, omega: float, alpha: float, beta: float, start: float
) -> FloatArray:
    """Filter (T,) shocks into (T + 1,) variances; the last is the forecast of the next day.

    Shock and variance before the first day are taken as `start`.
    """
    variances = np.empty(shocks.size + 1)
    variances[0] = omega + (alpha + beta) * start
    for t in range(shocks.size):
        variances[t + 1] = omega + alpha * shocks[t] * shocks[t] + beta * variances[t]
    return variances


@compiled
def ewma_variances(returns: FloatArray, decay: float) -> FloatArray:
    """Average the squares of (T,) returns up to each day with weights decay^age that sum to one."""
    variances = np.empty(returns.size)
    total, weights = 0.0, 0.0
    for t in range(returns.size):
        total = decay * total + returns[t] * returns[t]
        weights = decay * weights + 1.0
        variances[t] = total / weights
    return variances


@compiled
def garch_loss(shocks: FloatArray, omega: float, alpha: float, beta: float, start: float) -> float:
    """Minus the normal log likelihood of (T,) shocks."""
    loss = shocks.size * _HALF_LOG_2PI
    variance = omega + (alpha + beta) * start
    for shock in shocks:
        square = shock * shock
        loss += 0.5 * (math.log(variance) + square / variance)
        variance = omega + alpha * square + beta * variance
    return loss


@compiled
def garch_scores(shocks: FloatArray, point: FloatArray, start: float, scores: FloatArray) -> float:
    """Minus the log likelihood of (T,) shocks at (omega, alpha + beta, share of alpha).

    Fills `scores` (3, 7): its gradient, expected information, and the outer product of the days'.

    Source: Fiorentini, Calzolari & Panattoni (1996), "Analytic Derivatives and the Computation of
    GARCH Estimates", Journal of Applied Econometrics 11(4).
    """
    omega, persistence, share = point[0], point[1], point[2]
    alpha, beta = persistence * share, persistence * (1.0 - share)
    variance = omega + persistence * start
    by_omega, by_alpha, by_beta = 1.0, start, start
    loss = shocks.size * _HALF_LOG_2PI
    scores.fill(0.0)
    for shock in shocks:
        square = shock * shock
        inverse = 1.0 / variance
        loss += 0.5 * (math.log(variance) + square * inverse)
        slope = (
            by_omega * inverse,
            (share * by_alpha + (1.0 - share) * by_beta) * inverse,
            persistence * (by_alpha - by_beta) * inverse,
        )
        score = 0.5 * (1.0 - square * inverse)
        for i in range(3):
            scores[i, GRADIENT] += score * slope[i]
            for j in range(3):
                product = slope[i] * slope[j]
                scores[i, INFORMATION + j] += 0.5 * product
                scores[i, OUTER + j] += score * score * product
        by_omega = 1.0 + beta * by_omega
        by_alpha = square + beta * by_alpha
        by_beta = variance + beta * by_beta
        variance = omega + alpha * square + beta * variance
    return loss


@compiled
def _copy(source: FloatArray, target: FloatArray) -> None:
    """Copy a matrix; a loop compiles in a tenth of the time of an assignment of slices."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@compiled
def _solve(system: FloatArray, rows: FloatArray, x: FloatArray) -> bool:
    """Solve a (3, 4) system, its right side last, into `x`; False unless positive definite."""
    _copy(system, rows)
    for k in range(3):
        if not rows[k, k] > 0.0:
            return False
        for i in range(k + 1, 3):
            factor = rows[i, k] / rows[k, k]
            for j in range(k, 4):
                rows[i, j] -= factor * rows[k, j]
    for k in range(2, -1, -1):
        x[k] = rows[k, 3]
        for j in range(k + 1, 3):
            x[k] -= rows[k, j] * x[j]
        x[k] /= rows[k, k]
    return True


@compiled
def _curve(shocks: FloatArray, point: FloatArray, scores: FloatArray, system: FloatArray) -> None:
    """Difference the gradient into the Hessian, stepping inwards from the bounds."""
    moved, slopes = point.copy(), np.empty((3, 7))
    for i in range(3):
        step = 1e-6 * max(point[i], 1e-3)
        moved[i] = point[i] - step if i > 0 and point[i] > 0.5 else point[i] + step  # noqa: PLR2004
        garch_scores(shocks, moved, 1.0, slopes)
        for j in range(3):
            change = slopes[j, GRADIENT] - scores[j, GRADIENT]
            system[i, j] = change / (moved[i] - point[i])
        moved[i] = point[i]
    for i in range(3):
        for j in range(i):
            system[i, j] = system[j, i] = 0.5 * (system[i, j] + system[j, i])


@compiled
def _aim(point: FloatArray, scores: FloatArray, system: FloatArray) -> None:
    """Put downhill on the right side, and take out what would leave the bounds or has no slope."""
    for i in range(3):
        downhill = -scores[i, GRADIENT]
        leaves = (point[i] <= _LOW[i] and downhill < 0.0) or (
            point[i] >= _HIGH[i] and downhill > 0.0
        )
        system[i, 3] = downhill
        if leaves or not scores[i, INFORMATION + i] > 0.0:
            for j in range(3):
                system[i, j] = system[j, i] = 0.0
            system[i, i], system[i, 3] = 1.0, 0.0


@compiled
def _direct(
    shocks: FloatArray, point: FloatArray, scores: FloatArray, system: FloatArray, step: int
) -> float:
    """Set up the system of a step, by Newton after the first dozen where the likelihood is concave.

    What the step itself expects to gain: the square of its length in deviations. NaN without one.
    """
    rows, move = np.empty((3, 4)), np.empty(3)
    newton = step >= _SCORING_STEPS
    if newton:
        _curve(shocks, point, scores, system)
        _aim(point, scores, system)
    if not newton or not _solve(system, rows, move):
        for i in range(3):
            for j in range(3):
                system[i, j] = scores[i, INFORMATION + j]
        _aim(point, scores, system)
        if not _solve(system, rows, move):
            return math.nan
    return float(system[0, 3] * move[0] + system[1, 3] * move[1] + system[2, 3] * move[2])


@compiled
def _move(system: FloatArray, damping: float, point: FloatArray, moved: FloatArray) -> None:
    """Take a damped step within the bounds."""
    rows, move = np.empty((3, 4)), np.empty(3)
    for i in range(3):
        system[i, i] *= 1.0 + damping
    _solve(system, rows, move)
    for i in range(3):
        moved[i] = min(max(point[i] + move[i], _LOW[i]), _HIGH[i])


@compiled
def _climb(shocks: FloatArray, point: FloatArray, steps: int) -> tuple[float, bool]:
    """Move a point, in place, to the nearest maximum of the likelihood within the bounds.

    Damped as Levenberg and Marquardt do; by Fisher scoring first, then by Newton's steps. Minus the
    likelihood there, and whether that is a maximum.
    """
    scores, tried, system = np.empty((3, 7)), np.empty((3, 7)), np.empty((3, 4))
    trial, damping = np.empty(3), 1e-3
    loss = garch_scores(shocks, point, 1.0, scores)
    for step in range(steps):
        gain = _direct(shocks, point, scores, system, step)
        if not gain >= _ARRIVED * shocks.size or damping > _MOST_DAMPING:
            return loss, gain < _ARRIVED * shocks.size
        _move(system, damping, point, trial)
        lower = garch_scores(shocks, trial, 1.0, tried)
        if lower <= loss + _ROUNDING * abs(loss):
            _copy(tried, scores)
            for i in range(3):
                point[i] = trial[i]
            loss, damping = lower, max(damping * 0.2, 1e-12)
        else:
            damping *= 5.0
    return loss, False


@compiled
def garch_fit(shocks: FloatArray) -> tuple[FloatArray, bool]:
    """Fit (omega, alpha + beta, share of alpha) to (T,) shocks with a mean square of 1.

    Climbs a few steps from the best point of a grid at each of several persistences, on which omega
    makes the long-run variance 1; then all the way from the best. False where it did not arrive.
    """
    best, point, lowest, arrived = np.empty(3), np.empty(3), math.inf, False
    for start in range(len(_PERSISTENCES) + 1):
        last = start == len(_PERSISTENCES)
        if last:
            for i in range(3):
                point[i] = best[i]
        else:
            loss, persistence = math.inf, _PERSISTENCES[start]
            for share in _SHARES:
                alpha = persistence * share
                at = garch_loss(shocks, 1.0 - persistence, alpha, persistence - alpha, 1.0)
                if at < loss:
                    loss = at
                    point[0], point[1], point[2] = 1.0 - persistence, persistence, share
        loss, arrived = _climb(shocks, point, _STEPS if last else _SCORING_STEPS)
        if loss < lowest or last:
            lowest = loss
            for i in range(3):
                best[i] = point[i]
    return best, arrived
