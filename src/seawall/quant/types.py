"""The arrays and the calendar that all the numerics share."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seawall.core.errors import InvalidError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PERIODS_PER_YEAR = 365
"""Crypto trades every day, so a year of daily returns has 365 of them."""


def as_vector(values: ArrayLike) -> FloatArray:
    """Take values as the contiguous (T,) float64 array that the kernels are compiled for.

    Raises:
        InvalidError: they have no or several dimensions.
    """
    vector = np.asarray(values, dtype=np.float64, order="C")
    if vector.ndim != 1:
        raise InvalidError(f"A vector is needed, not an array of shape {vector.shape}.")
    return vector
