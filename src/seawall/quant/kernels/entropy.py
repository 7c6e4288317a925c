"""The entropic bound on a loss."""

import math

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import FloatArray

_STEPS = 200


@compiled
def tilt(losses: FloatArray, bound: float) -> float:
    """Find the tilt s at which weights exp(s x) on (T,) losses carry an entropy of `bound`.

    The entropy grows with s, so it is bracketed, and closed in on by Newton's steps that stay
    within. The largest loss has to be 0 and the bound within reach.
    """
    low, high, s = 0.0, math.inf, 1.0
    for _ in range(_STEPS):
        total, first, second = 0.0, 0.0, 0.0
        for x in losses:
            weight = math.exp(s * x)
            total += weight
            first += weight * x
            second += weight * x * x
        mean = first / total
        entropy = s * mean - math.log(total / losses.size)
        if entropy < bound:
            low = s
        else:
            high = s
        slope = s * (second / total - mean * mean)
        step = s + (bound - entropy) / slope if slope > 0.0 else math.nan
        if not low < step < high:
            step = 2.0 * s if high == math.inf else 0.5 * (low + high)
        if abs(step - s) <= 2.0**-50 * s:
            return s
        s = step
    return s


@compiled
def log_mean_exp(losses: FloatArray, s: float) -> float:
    """Take the log of the mean of exp(s x) over (T,) losses of which the largest is 0."""
    total = 0.0
    for x in losses:
        total += math.exp(s * x)
    return math.log(total / losses.size)
