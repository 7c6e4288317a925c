"""How long selling takes, and what it costs: days of volume, and the square-root law of impact."""

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray, as_vector

IMPACT_COEFFICIENT = 1.0
"""The law's constant, which is found to be of order one wherever it was measured."""


def days_to_exit(values: ArrayLike, volumes: ArrayLike, participation: float) -> FloatArray:
    """Divide (N,) values by a share of their (N,) daily volumes, both in money.

    Infinite where a market has no volume, 0 where nothing is to be sold, NaN where the volume is.

    Raises:
        InvalidError: a value or volume is negative, or the share is not above 0 and at most 1.
    """
    values, volumes = _checked(values, volumes)
    _check_participation(participation)
    with np.errstate(divide="ignore", invalid="ignore"):
        days = values / (participation * volumes)
    days[(values == 0) & ~np.isnan(volumes)] = 0.0
    return days


def sold_within(
    values: ArrayLike, volumes: ArrayLike, participation: float, horizon: float
) -> FloatArray:
    """Return how much of (N,) values is sold within so many days, at a share of the daily volume.

    Raises:
        InvalidError: a value or volume is negative, or the share or the horizon out of range.
    """
    values, volumes = _checked(values, volumes)
    _check_participation(participation)
    if not 0 < horizon < np.inf:
        raise InvalidError(f"A horizon of {horizon} days is not above 0.")
    sold: FloatArray = np.minimum(values, participation * volumes * horizon)
    return sold


def square_root_impact(
    amounts: ArrayLike,
    volumes: ArrayLike,
    deviations: ArrayLike,
    coefficient: float = IMPACT_COEFFICIENT,
) -> FloatArray:
    """Estimate by what fraction selling (N,) amounts moves their prices: Y d √(Q ÷ V), at most 1.

    d are daily standard deviations and V daily volumes. The law of Tóth et al. (2011), Physical
    Review X 1, 021006, and of Grinold and Kahn (1999), Active Portfolio Management, chapter 16. It
    is the move at the end of the sale; charged on all that is sold, it errs on the high side.

    Raises:
        InvalidError: an amount, volume, deviation or the coefficient is negative.
    """
    amounts, volumes = _checked(amounts, volumes)
    deviations = as_vector(deviations)
    if deviations.size != amounts.size or np.any(deviations < 0) or coefficient < 0:
        raise InvalidError("Each amount needs a deviation that is not negative.")
    with np.errstate(divide="ignore", invalid="ignore"):
        share = amounts / volumes
    share[(amounts == 0) & ~np.isnan(volumes)] = 0.0
    with np.errstate(invalid="ignore"):
        moved: FloatArray = np.minimum(coefficient * deviations * np.sqrt(share), 1.0)
    return moved


def _checked(values: ArrayLike, volumes: ArrayLike) -> tuple[FloatArray, FloatArray]:
    values, volumes = as_vector(values), as_vector(volumes)
    if values.size != volumes.size:
        raise InvalidError(f"{values.size} values do not fit {volumes.size} volumes.")
    if np.any(values < 0) or np.any(volumes < 0):
        raise InvalidError("Values and volumes are not negative.")
    return values, volumes


def _check_participation(participation: float) -> None:
    if not 0 < participation <= 1:
        raise InvalidError(
            f"A share of the volume of {participation} is not above 0 and at most 1.",
            hint="Write 10 % as 0.1.",
        )
