"""The stationary bootstrap: what other histories might have been, made of blocks of this one."""

import math

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.kernels import bootstrap, measures
from seawall.quant.types import FloatArray, IntArray, as_vector

SAMPLES = 1_000
SEED = 1_994
"""Any number would do; it has to stay the same for the same intervals."""

_FEWEST_LAGS = 5


def resample(size: int, block: float, samples: int = SAMPLES, seed: int = SEED) -> IntArray:
    """Draw (samples, size) indices into a history of `size` days, in blocks of a mean length.

    The same arguments give the same indices on every machine.

    Raises:
        InvalidError: no days, no samples, or a mean length below 1.
    """
    if size < 1 or samples < 1 or not block >= 1:
        raise InvalidError(
            f"{samples} samples of {size} days in blocks of {block} cannot be drawn.",
            hint="Each of them has to be at least 1.",
        )
    return bootstrap.stationary(size, samples, float(block), seed)


def joint_block_length(returns: ArrayLike) -> float:
    """Choose the mean length of blocks that keeps both trends and spells of volatility together.

    The longer of the automatic lengths for (T,) returns and for their squares.
    """
    returns = as_vector(returns)
    return max(block_length(returns), block_length(returns * returns))


def block_length(values: ArrayLike) -> float:
    """Choose the mean length of blocks automatically, from the (T,) values' autocorrelations.

    At least 1, which is also that of values that do not vary. Source: Politis & White (2004),
    "Automatic Block-Length Selection for the Dependent Bootstrap", with the correction of Patton,
    Politis & White (2009).
    """
    values = as_vector(values)
    size = values.size
    # From fewer there are not as many autocorrelations as the rule looks at.
    if size < 2 * _FEWEST_LAGS or not measures.moments(values).deviation > 0:
        return 1.0
    lags = max(_FEWEST_LAGS, int(math.log10(size)))
    covariances, cut = _autocovariances(values, math.ceil(math.sqrt(size)) + lags, lags)
    orders = np.arange(1, cut + 1)
    # A window that is flat up to half of the cut, and falls to 0 at the cut.
    window = np.where(orders / cut <= 0.5, 1.0, 2 * (1 - orders / cut))  # noqa: PLR2004
    slope = float((2 * window * orders * covariances[1 : cut + 1]).sum())
    spectrum = float(covariances[0] + (2 * window * covariances[1 : cut + 1]).sum())
    if spectrum == 0:
        return 1.0
    length = float(np.cbrt(slope**2 / spectrum**2 * size))
    return max(1.0, min(length, math.ceil(min(3 * math.sqrt(size), size / 3))))


def _autocovariances(values: FloatArray, most: int, lags: int) -> tuple[FloatArray, int]:
    """Return the autocovariances, and twice the lag after which none matters any more."""
    size = values.size
    most = min(most, size - 2)
    apart = values - values.mean()
    covariances, correlations = np.zeros(most + 1), np.zeros(most + 1)
    for lag in range(most + 1):
        early, late = apart[: size - lag - 1], apart[lag + 1 :]
        product = float(apart[lag:] @ apart[: size - lag])
        covariances[lag] = product / size
        scale = math.sqrt(float(late @ late) * float(early @ early))
        correlations[lag] = abs(product) / scale if scale else math.inf
    bound = 2 * math.sqrt(math.log10(size) / size)
    for last in range(lags, most + 1):
        if (correlations[last - lags : last] < bound).all():
            return covariances, min(2 * max(last - lags, 1), most)
    return covariances, most
