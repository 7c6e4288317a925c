"""What an asset would do when a factor moves: its beta, how rough that is, and its path."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray, as_vector

MIN_OBSERVATIONS = 30
"""From fewer common returns a beta says more about chance than about the asset."""
STUDENT_DEGREES = 4.0
"""Degrees of freedom of the t-tailed fit; daily returns of coins are about that heavy-tailed."""
_STEPS, _SETTLED = 500, 1e-13


@dataclass(frozen=True, slots=True)
class BetaFit:
    """A line through an asset's and a factor's returns, and how well it fits.

    `standard_error` is that of `beta`. `r_squared` is 1 - the residuals' sum of squares over the
    returns', for either kind of tails. All but `observations` are NaN where no line was fitted.
    """

    beta: float
    alpha: float
    r_squared: float
    standard_error: float
    observations: int


def fit_beta(returns: ArrayLike, factor: ArrayLike, *, degrees: float | None = None) -> BetaFit:
    """Fit r = alpha + beta f + e to the (T,) rows in which neither is NaN.

    By least squares, or with `degrees` by maximum likelihood of Student-t errors, which lets days
    far off the line count for less (Lange, Little and Taylor, 1989, JASA 84, 881-896). NaN from
    fewer than 30 common returns, or where the factor does not vary.

    Raises:
        InvalidError: the two are not equally long, or the degrees are not above 0.
    """
    returns, factor = as_vector(returns), as_vector(factor)
    if returns.size != factor.size:
        raise InvalidError(f"{returns.size} returns do not match {factor.size} of the factor.")
    if degrees is not None and not 0 < degrees < math.inf:
        raise InvalidError(f"{degrees} degrees of freedom are not above 0 and finite.")
    both = ~(np.isnan(returns) | np.isnan(factor))
    y, x = returns[both], factor[both]
    # A spread that is only rounding would make any slope.
    if y.size < MIN_OBSERVATIONS or np.ptp(x) <= 1e-12 * max(1.0, float(np.abs(x).max())):
        return BetaFit(math.nan, math.nan, math.nan, math.nan, int(y.size))
    even = np.ones(y.size)
    if degrees is None:
        alpha, beta = _line(x, y, even)
        left = y - alpha - beta * x
        error = math.sqrt(float(left @ left) / (y.size - 2) / _spread(x))
    else:
        alpha, beta, scale = _student_line(x, y, degrees)
        left = y - alpha - beta * x
        error = scale * math.sqrt((degrees + 3) / (degrees + 1) / _spread(x))
    total = _spread(y)
    fit = 1 - float(left @ left) / total if total > 0 else math.nan
    return BetaFit(beta, alpha, fit, error, int(y.size))


def _spread(values: FloatArray) -> float:
    apart = values - values.mean()
    return float(apart @ apart)


def _line(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Return intercept and slope of the weighted least squares."""
    weights = weights / weights.sum()
    middle, level = float(weights @ x), float(weights @ y)
    apart = x - middle
    slope = float((weights * apart) @ (y - level)) / float((weights * apart) @ apart)
    return level - slope * middle, slope


def _student_line(x: FloatArray, y: FloatArray, degrees: float) -> tuple[float, float, float]:
    """Return intercept, slope and scale of the most likely line, by reweighting."""
    alpha, beta = _line(x, y, np.ones(y.size))
    left = y - alpha - beta * x
    variance = float(left @ left) / y.size
    for _ in range(_STEPS):
        if variance <= np.finfo(np.float64).tiny:
            break
        weights = (degrees + 1) / (degrees + left**2 / variance)
        before = beta
        alpha, beta = _line(x, y, weights)
        left = y - alpha - beta * x
        variance = float(weights @ left**2) / y.size
        if abs(beta - before) <= _SETTLED * max(1.0, abs(beta)):
            break
    return alpha, beta, math.sqrt(variance)


def factor_path(betas: ArrayLike, factor: ArrayLike) -> FloatArray:
    """Let (N,) betas follow a factor's (T,) prices: relatives (T, N), the first row 1.

    Each day's return is beta times the factor's, compounded, and never below -1. NaN for a beta of
    NaN, and from the first price of the factor that is NaN.

    Raises:
        InvalidError: there is no price, or one is negative or infinite.
    """
    betas, factor = as_vector(betas), as_vector(factor)
    if not factor.size or np.any(factor < 0) or np.any(np.isinf(factor)):
        raise InvalidError("The factor's prices are none, negative or infinite.")
    before = np.where(factor[:-1] > 0, factor[:-1], np.nan)
    moves = factor[1:] / before - 1
    growth = np.maximum(1 + moves[:, None] * betas[None, :], 0)
    # max() takes the other operand for a NaN on some platforms: say it again.
    growth[np.isnan(moves)] = np.nan
    growth[:, np.isnan(betas)] = np.nan
    path: FloatArray = np.vstack([np.ones(betas.size), np.cumprod(growth, axis=0)])
    path[0, np.isnan(betas)] = np.nan
    return path
