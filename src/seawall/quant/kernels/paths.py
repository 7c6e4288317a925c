"""What the path of a value looks like below its peaks."""

import math

import numpy as np

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import FloatArray

NOISE = 8 * 2.0**-52
"""The relative rounding error within which a value is at its peak."""


@compiled
def drawdowns(returns: FloatArray) -> FloatArray:
    """Measure how far the compounded path of (T,) returns is below its peak so far, at each end.

    Fractions of the peak, 0 at one; the path's start, 1, is a peak. NaN from the first NaN on.
    """
    found = np.empty(returns.size)
    value, peak = 1.0, 1.0
    for t in range(returns.size):
        value *= 1.0 + returns[t]
        peak = max(peak, value)
        fall = 1.0 - value / peak
        # Up and down again by the same factor does not come back to the last bit.
        found[t] = fall if fall > NOISE * (t + 1.0) or math.isnan(value) else 0.0
    return found


@compiled
def spells(falls: FloatArray) -> tuple[int, int]:
    """Count the days of the longest spell below the peak, and of the one that the path ends in."""
    longest, current = 0, 0
    for fall in falls:
        current = current + 1 if fall > 0.0 else 0
        longest = max(longest, current)
    return longest, current
