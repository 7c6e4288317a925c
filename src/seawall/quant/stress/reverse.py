"""Stress testing reversed: the smallest shock that loses a given part, and how plausible it is."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincc, ndtr

from seawall.core.errors import InvalidError
from seawall.quant.stress.dependence import as_covariance, portfolio_deviation
from seawall.quant.types import FloatArray, as_vector

_PIVOTS = 5_000
_EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class ReverseShock:
    """The most plausible shock that loses what was asked, under a covariance.

    `distance` is its Mahalanobis distance √s'Σ⁻¹s, and `beyond` the probability of a shock at
    least so far out in any direction; `loss_probability` is that of losing as much in any way.
    Both are the normal distribution's. Where there is none all are NaN, and `reason` says why.
    """

    shocks: FloatArray
    distance: float
    beyond: float
    loss_probability: float
    reason: str = ""


def smallest_shock(
    weights: ArrayLike, covariance: ArrayLike, loss: float, floor: float = -1.0
) -> ReverseShock:
    """Find the shock nearest to none that loses a fraction, with no price falling below the floor.

    It has the least s'Σ⁻¹s of those with w's = -loss and s ≥ floor. Without the floor it is
    s = -loss Σw ÷ w'Σw, at a distance of loss ÷ √w'Σw (Glasserman, Kang and Kang, 2015,
    Quantitative Finance 15, 25-41, for elliptical distributions). Prices that would fall below the
    floor are held at it, and the rest moves on: a quadratic programme, solved by principal pivoting
    with the least index (Murty, 1974, Opsearch 11, 123-130).

    Raises:
        InvalidError: the loss is not above 0, or the weights do not fit.
    """
    weights, covariance = as_vector(weights), as_covariance(covariance)
    if weights.size != len(covariance):
        raise InvalidError(f"{weights.size} weights do not fit {len(covariance)} assets.")
    check_loss(loss)
    deviation = portfolio_deviation(weights, covariance)
    varies = np.diag(covariance) > 0
    if deviation <= 0:
        return _none(weights.size, "nothing that is held varies")
    long_only = bool(np.all(weights[varies] >= 0))
    reach = -floor * float(weights[varies].sum())
    if long_only and reach < loss - _EXACT:
        return _none(weights.size, f"what varies is only {reach:.1%} of the value")
    found = _pivot(weights, covariance, loss, floor)
    if found is None:
        return _none(weights.size, "the covariance allows no such shock")
    shocks, distance = found
    rank = int(np.linalg.matrix_rank(covariance[np.ix_(varies, varies)], hermitian=True))
    return ReverseShock(
        shocks,
        distance,
        float(gammaincc(rank / 2, distance**2 / 2)),
        float(ndtr(-loss / deviation)),
    )


def check_loss(loss: float) -> None:
    """Refuse a loss that is none.

    Raises:
        InvalidError: it is not above 0 and finite.
    """
    if not 0 < loss < math.inf:
        raise InvalidError(f"A loss of {loss} is not above 0.", hint="Write a loss of 20 % as 0.2.")


def _none(size: int, reason: str) -> ReverseShock:
    return ReverseShock(np.full(size, np.nan), math.nan, math.nan, math.nan, reason)


def _pivot(
    weights: FloatArray, covariance: FloatArray, loss: float, floor: float
) -> tuple[FloatArray, float] | None:
    """Hold one more or one fewer price at the floor until every condition of the optimum holds."""
    held = np.zeros(weights.size, dtype=np.bool_)
    for _ in range(_PIVOTS):
        at = np.flatnonzero(held)
        rows = np.vstack([weights, np.eye(weights.size)[at]])
        wanted = np.concatenate([[-loss], np.full(at.size, floor)])
        through = covariance @ rows.T
        forces = np.linalg.lstsq(rows @ through, wanted, rcond=1e-13)[0]
        shocks: FloatArray = through @ forces
        pushed = np.zeros(weights.size)
        pushed[at] = forces[1:]
        tiny = _EXACT * float(np.abs(forces).max(initial=0.0))
        broken = np.where(held, pushed < -tiny, shocks < floor - _EXACT)
        if not broken.any():
            if np.abs(rows @ shocks - wanted).max() > _EXACT:
                return None
            return np.maximum(shocks, floor), math.sqrt(max(float(forces @ wanted), 0.0))
        first = int(np.argmax(broken))
        held[first] = not held[first]
    return None


def smallest_factor_move(weights: ArrayLike, betas: ArrayLike, loss: float) -> float:
    """Find the move of one factor, the nearest to 0 and not below -1, that loses a fraction.

    Each asset moves by beta times the factor, and never below -1. NaN where no fall of the factor
    loses as much, or something with a weight has no beta.

    Raises:
        InvalidError: the loss is not above 0, or the weights do not fit.
    """
    weights, betas = as_vector(weights), as_vector(betas)
    if weights.size != betas.size:
        raise InvalidError(f"{weights.size} weights do not fit {betas.size} betas.")
    check_loss(loss)
    weighed = weights != 0
    held: FloatArray = weights[weighed]
    steep: FloatArray = betas[weighed]
    if np.isnan(steep).any():
        return math.nan
    # Between the falls at which an asset is worth nothing the loss is a straight line.
    ends = np.reciprocal(steep[steep > 1])
    falls: FloatArray = np.unique(np.concatenate([[0.0], ends, [1.0]]))
    lost = np.array([float(held @ np.minimum(steep * fall, 1.0)) for fall in falls])
    beyond = np.flatnonzero(lost >= loss)
    if not beyond.size:
        return math.nan
    right = int(beyond[0])
    low, high = falls[right - 1], falls[right]
    share = (loss - lost[right - 1]) / (lost[right] - lost[right - 1])
    return -float(low + share * (high - low))
