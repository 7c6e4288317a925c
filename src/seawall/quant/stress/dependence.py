"""Risk when everything moves together: correlations moved towards one value."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray, as_vector


@dataclass(frozen=True, slots=True)
class GaussianRisk:
    """Standard deviation, value at risk and expected shortfall of one period, as fractions."""

    deviation: float
    value_at_risk: float
    expected_shortfall: float


def stress_correlations(
    covariance: ArrayLike, target: float = 1.0, strength: float = 1.0
) -> FloatArray:
    """Move every correlation of an (N, N) covariance towards a target, and keep the variances.

    C' = (1 - strength) C + strength ((1 - target) I + target 11'): a mixture of two matrices
    without negative eigenvalues, so it has none either. An asset without variance stays still.

    Raises:
        InvalidError: the matrix is no covariance, the strength not within 0 to 1, or the target
            above 1 or so far below 0 that so many assets cannot all have it.
    """
    covariance = as_covariance(covariance)
    deviations = np.sqrt(np.diag(covariance))
    varies = deviations > 0
    count = int(varies.sum())
    lowest = -1 / (count - 1) if count > 1 else -1.0
    if not 0 <= strength <= 1:
        raise InvalidError(f"A strength of {strength} is not within 0 to 1.")
    if not lowest <= target <= 1:
        raise InvalidError(
            f"{count} assets cannot all have a correlation of {target} with one another.",
            hint=f"Choose one from {lowest:.3g} to 1.",
        )
    scale = deviations[varies]
    correlations = covariance[np.ix_(varies, varies)] / np.outer(scale, scale)
    moved = (1 - strength) * correlations + strength * target
    stressed = np.zeros_like(covariance)
    stressed[np.ix_(varies, varies)] = moved * np.outer(scale, scale)
    np.fill_diagonal(stressed, np.diag(covariance))
    return stressed


def as_covariance(matrix: ArrayLike) -> FloatArray:
    """Take a matrix as an (N, N) covariance.

    Raises:
        InvalidError: it is not square, symmetric and finite, or has a negative variance.
    """
    taken = np.asarray(matrix, dtype=np.float64)
    if taken.ndim != 2 or taken.shape[0] != taken.shape[1]:  # noqa: PLR2004
        raise InvalidError(f"A covariance is a square matrix, not of shape {taken.shape}.")
    if not np.isfinite(taken).all() or not np.allclose(taken, taken.T, rtol=1e-9, atol=0):
        raise InvalidError("A covariance has to be finite and symmetric.")
    if np.any(np.diag(taken) < 0):
        raise InvalidError("A covariance has no negative variance.")
    return taken


def gaussian_risk(weights: ArrayLike, covariance: ArrayLike, confidence: float) -> GaussianRisk:
    """Measure the normal distribution with a mean of 0 and the portfolio's variance.

    VaR = z s and ES = φ(z) s ÷ (1 - confidence) with s² = w'Σw, as in McNeil, Frey and
    Embrechts (2015), Quantitative Risk Management, 2.3.4. 0 where nothing varies: cash loses
    nothing.

    Raises:
        InvalidError: the confidence is not between 0 and 1, or the weights do not fit.
    """
    weights, covariance = as_vector(weights), as_covariance(covariance)
    if not 0 < confidence < 1:
        raise InvalidError(f"A confidence of {confidence} is not between 0 and 1.")
    if weights.size != len(covariance):
        raise InvalidError(f"{weights.size} weights do not fit {len(covariance)} assets.")
    deviation = portfolio_deviation(weights, covariance)
    z = float(ndtri(confidence))
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return GaussianRisk(deviation, z * deviation, density / (1 - confidence) * deviation)


def portfolio_deviation(weights: FloatArray, covariance: FloatArray) -> float:
    """Return √w'Σw; what rounding leaves below 0 is 0."""
    return math.sqrt(max(float(weights @ covariance @ weights), 0.0))
