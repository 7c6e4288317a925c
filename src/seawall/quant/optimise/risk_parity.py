"""Weights by which each asset has its share of the risk."""

import math

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray

_STEPS = 500
_TOLERANCE = 1e-13
_QUADRATIC = (3 - math.sqrt(5)) / 2
"""The decrement below which full steps converge, of the source's theorem."""


def risk_parity(matrix: FloatArray, budgets: FloatArray | None = None) -> FloatArray:
    """Find the (N,) positive weights whose shares of the variance are the budgets.

    The share of an asset is w_i (Cw)_i / w'Cw. Budgets (N,) are positive and count by their size
    among each other; without them all are equal. Damped Newton steps on the convex function
    x'Cx / 2 - sum b_i ln x_i, whose minimum is unique.

    Source: Spinu (2013), "An Algorithm for Computing Risk Parity Weights".

    Raises:
        InvalidError: a budget or a variance is not above 0, or a mix of the assets has no risk.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    shares = _shares(len(matrix), budgets)
    if not np.isfinite(matrix).all():
        raise InvalidError("The covariance has an entry that is not a finite number.")
    variances = np.diag(matrix)
    if not (variances > 0).all():
        raise InvalidError(
            "An asset without variance has no risk to take a share of.",
            hint="Leave what counts as money out.",
        )
    deviations = np.sqrt(variances)
    correlations = matrix / deviations[:, np.newaxis] / deviations
    exposures = _newton(correlations, shares)
    weights = exposures / deviations
    normed: FloatArray = weights / weights.sum()
    return normed


def risk_shares(matrix: FloatArray, weights: FloatArray) -> FloatArray:
    """Return each asset's share of the variance of (N,) weights; NaN where there is none."""
    parts = weights * (matrix @ weights)
    total = float(parts.sum())
    shares: FloatArray = parts / (total if total > 0 else math.nan)
    return shares


def _shares(size: int, budgets: FloatArray | None) -> FloatArray:
    if not size:
        raise InvalidError("There is no asset to weigh.")
    if budgets is None:
        return np.full(size, 1 / size)
    budgets = np.asarray(budgets, dtype=np.float64)
    if budgets.shape != (size,) or not (np.isfinite(budgets) & (budgets > 0)).all():
        raise InvalidError(
            f"Risk budgets have to be {size} finite numbers above 0.",
            hint="Leave an asset out to give it none.",
        )
    normed: FloatArray = budgets / budgets.sum()
    return normed


def _newton(correlations: FloatArray, shares: FloatArray) -> FloatArray:
    # Where correlations are all equal, this is the answer but for a factor.
    exposures = np.sqrt(shares) / math.sqrt(max(float(correlations.mean()), 1e-4) * len(shares))
    damped = True
    for _ in range(_STEPS):
        gradient = correlations @ exposures - shares / exposures
        if np.abs(exposures * gradient).max() <= _TOLERANCE * shares.min():
            break
        hessian = correlations + np.diag(shares / np.square(exposures))
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            # Without end along a mix that has no risk.
            break
        decrement = math.sqrt(max(float(gradient @ step), 0.0) / float(shares.min()))
        damped = damped and decrement > _QUADRATIC
        length = 1 / (1 + float(np.abs(step / exposures).max())) if damped else 1.0
        moved = exposures - length * step
        if not (moved > 0).all():
            moved = exposures - step / (1 + float(np.abs(step / exposures).max()))
        if np.array_equal(moved, exposures):
            break
        exposures = moved
    missed = exposures * (correlations @ exposures) - shares
    if not np.abs(missed).max() <= 1e-10 * shares.min():
        raise InvalidError(
            "No weights share the risk as asked: some mix of the assets has none.",
            hint="Use a shrunk covariance: ledoit-wolf or constant-correlation.",
        )
    return exposures
