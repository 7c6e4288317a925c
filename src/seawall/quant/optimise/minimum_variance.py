"""Weights of least variance."""

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.optimise.constraints import Limits, linear_rows, require_feasible
from seawall.quant.optimise.quadratic import solve_quadratic
from seawall.quant.types import FloatArray

ILL = 1e12
"""The condition from which on a covariance has no one best answer in float64."""
RIDGE = 1e-9
SNAP = 1e-12


def minimum_variance(
    matrix: FloatArray, limits: Limits, means: FloatArray | None = None
) -> FloatArray:
    """Find the (N,) weights of least variance within limits, which sum to 1.

    Where the (N, N) covariance is singular several weights are as good; a billionth of the mean
    variance on its diagonal then chooses among them those that are spread most evenly.

    Source: Markowitz (1952), "Portfolio Selection", Journal of Finance 7(1).

    Raises:
        InvalidError: the limits cannot be kept, turnover is limited, or the covariance has NaN.
    """
    if limits.turnover is not None:
        raise InvalidError(
            "The least variance cannot be sought under a limit of turnover.",
            hint="Use mean-cvar, which can.",
        )
    if not np.isfinite(matrix).all():
        raise InvalidError("The covariance has an entry that is not a finite number.")
    require_feasible(limits, means)
    size = limits.size
    rows = linear_rows(limits, means)
    normals = np.vstack([np.ones((1, size)), np.eye(size), -np.eye(size), -rows.matrix])
    least = np.concatenate([[1.0], limits.lower, -limits.upper, -rows.most])
    weights = solve_quadratic(definite(matrix), 1, normals, least)
    return snap(weights, limits)


def definite(matrix: FloatArray) -> FloatArray:
    """Return a covariance as it is, or with a little on its diagonal where it is singular."""
    values = np.linalg.eigvalsh(matrix)
    if values[0] * ILL > values[-1] > 0:
        return matrix
    # Where nothing varies at all, every mix is as good.
    mean_variance = float(np.trace(matrix)) / len(matrix) or 1.0
    steadied: FloatArray = matrix + RIDGE * mean_variance * np.eye(len(matrix))
    return steadied


def snap(weights: FloatArray, limits: Limits) -> FloatArray:
    """Put weights that are at a bound but for rounding exactly there."""
    snapped = np.where(weights <= limits.lower + SNAP, limits.lower, weights)
    found: FloatArray = np.where(snapped >= limits.upper - SNAP, limits.upper, snapped)
    return found
