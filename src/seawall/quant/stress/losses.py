"""What weights lose under a shock, and along a path of prices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray, as_vector

ROUNDING = 1e-12
"""A loss below this fraction is none: it is what rounding leaves of equal prices."""


@dataclass(frozen=True, slots=True)
class PathLoss:
    """What was lost along a path: at its worst row and at its last, as fractions of the start."""

    worst_row: int
    worst: float
    end: float


def scenario_loss(weights: ArrayLike, shocks: ArrayLike) -> float:
    """Add up what (N,) weights lose under (N,) shocks, as a fraction; a gain is negative.

    A shock is a simple return. NaN where something with a weight has a shock of NaN.

    Raises:
        InvalidError: the two differ in length, or a shock is infinite or below -1.
    """
    weights, shocks = as_vector(weights), as_vector(shocks)
    check_shocks(shocks)
    if weights.size != shocks.size:
        raise InvalidError(f"{shocks.size} shocks do not fit {weights.size} weights.")
    weighed = weights != 0
    return float(-(weights[weighed] @ shocks[weighed])) + 0.0


def check_shocks(shocks: FloatArray) -> None:
    """Refuse shocks that no price can take.

    Raises:
        InvalidError: one is infinite, or below -1.
    """
    wrong = shocks[np.isinf(shocks) | (shocks < -1)]
    if wrong.size:
        raise InvalidError(
            f"A shock of {wrong[0]:.4g} is not possible: nothing loses more than all of its price.",
            hint="Write a fall of 40 % as -0.4.",
        )


def path_losses(weights: ArrayLike, relatives: ArrayLike) -> FloatArray:
    """Measure what (N,) weights bought at the first row have lost by each row: (T,) fractions.

    `relatives` (T, N) are prices divided by those of the first row. A row in which something with
    a weight is NaN gives NaN. The weights drift with the prices, as in a portfolio left alone.

    Raises:
        InvalidError: the two do not fit, or a relative is negative or infinite.
    """
    weights = as_vector(weights)
    relatives = np.asarray(relatives, dtype=np.float64)
    if relatives.ndim != 2 or relatives.shape[1] != weights.size:  # noqa: PLR2004
        raise InvalidError(
            f"Relatives of shape {relatives.shape} do not fit {weights.size} weights."
        )
    if np.any(relatives < 0) or np.any(np.isinf(relatives)):
        raise InvalidError("A relative price is negative or infinite.")
    weighed = weights != 0
    losses: FloatArray = (1 - relatives[:, weighed]) @ weights[weighed]
    return losses


def worst_of(losses: ArrayLike) -> PathLoss:
    """Find the worst of (T,) losses, the first of equal ones; all NaN when one of them is.

    Raises:
        InvalidError: there is none.
    """
    losses = as_vector(losses)
    if not losses.size:
        raise InvalidError("A path without rows loses nothing and gains nothing.")
    if np.isnan(losses).any():
        return PathLoss(0, float("nan"), float("nan"))
    row = int(np.argmax(losses))
    return PathLoss(row, float(losses[row]), float(losses[-1]))


def rows_to_recover(losses: ArrayLike, worst_row: int) -> int | None:
    """Count the rows from the worst one until nothing is lost any more; None while something is.

    0 when nothing was lost. Rows of NaN tell nothing and are passed over.

    Raises:
        InvalidError: the worst row is not one of the losses'.
    """
    losses = as_vector(losses)
    if not 0 <= worst_row < losses.size:
        raise InvalidError(f"Row {worst_row} is not one of {losses.size} losses.")
    regained = np.flatnonzero(losses[worst_row:] <= ROUNDING)
    return int(regained[0]) if regained.size else None
