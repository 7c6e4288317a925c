"""The tail of a distribution made from moments: the normal one, and Cornish and Fisher's."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from seawall.quant.kernels import measures
from seawall.quant.losses.estimate import Estimate, undefined
from seawall.quant.metrics.metric import too_few
from seawall.quant.types import FloatArray

_NORMAL = NormalDist()
OUTSIDE = "skewness and kurtosis are outside the domain of the Cornish-Fisher expansion"


class _Shape(NamedTuple):
    """A standardised loss, and its derivatives by skewness and by kurtosis."""

    value: float
    by_skewness: float
    by_kurtosis: float


def gaussian(returns: FloatArray, confidence: float, horizon: int) -> Estimate:
    """Take the tail of a normal distribution with the mean and deviation of (T,) returns.

    Days are independent and are added up: the mean grows with the horizon, the deviation with its
    root.

    Source: Jorion (2006), Value at Risk, 3rd ed., ch. 5; McNeil, Frey & Embrechts (2015),
    Quantitative Risk Management, example 2.11.
    """
    if reason := too_few(2, returns.size):
        return undefined(reason)
    quantile = _NORMAL.inv_cdf(confidence)
    density = _NORMAL.pdf(quantile) / (1 - confidence)
    return _estimate(returns, horizon, _Shape(quantile, 0, 0), _Shape(density, 0, 0))


def cornish_fisher(returns: FloatArray, confidence: float, horizon: int) -> Estimate:
    """Bend the normal quantile by skewness and kurtosis; the shortfall is its mean in the tail.

    Skewness falls with the root of the horizon and excess kurtosis with the horizon, as those of a
    sum of independent days do. Undefined where the expansion is not monotone, for then it is no
    quantile function.

    Source: Cornish & Fisher (1938), "Moments and Cumulants in the Specification of Distributions";
    the domain: Maillard (2012), "A User's Guide to the Cornish Fisher Expansion".
    """
    if reason := too_few(4, returns.size):
        return undefined(reason)
    moments = measures.moments(returns)
    if moments.deviation == 0:
        return gaussian(returns, confidence, horizon)
    skewness = moments.skewness / math.sqrt(horizon)
    kurtosis = moments.kurtosis / horizon
    if not is_monotone(skewness, kurtosis):
        return undefined(f"{OUTSIDE} ({skewness:.2f}, {kurtosis:.2f})")
    z = _NORMAL.inv_cdf(confidence)
    tail = _NORMAL.pdf(z) / (1 - confidence)
    # Losses mirror returns: the odd terms change their sign.
    var = _Shape(
        z - (z**2 - 1) * skewness / 6 + (z**3 - 3 * z) * kurtosis / 24
        - (2 * z**3 - 5 * z) * skewness**2 / 36,
        -(z**2 - 1) / 6 - (2 * z**3 - 5 * z) * skewness / 18,
        (z**3 - 3 * z) / 24,
    )  # fmt: skip
    # The integral of a Hermite polynomial times the density is the one below it times the density.
    es = _Shape(
        tail * (1 - z * skewness / 6 + (z**2 - 1) * kurtosis / 24
                - (2 * z**2 - 1) * skewness**2 / 36),
        tail * (-z / 6 - (2 * z**2 - 1) * skewness / 18),
        tail * (z**2 - 1) / 24,
    )  # fmt: skip
    return _estimate(returns, horizon, var, es)


def is_monotone(skewness: float, kurtosis: float) -> bool:
    """Tell whether the expansion's slope, a parabola in the normal quantile, is nowhere negative.

    `kurtosis` is in excess of the normal distribution's.
    """
    bend = kurtosis / 8 - skewness**2 / 6
    least = 1 - kurtosis / 8 + 5 * skewness**2 / 36
    return bend >= 0 and least > 0 and skewness**2 / 9 <= 4 * bend * least


def _estimate(returns: FloatArray, horizon: int, var: _Shape, es: _Shape) -> Estimate:
    moments = measures.moments(returns)
    drift, scale = horizon * moments.mean, math.sqrt(horizon) * moments.deviation
    return Estimate(
        scale * var.value - drift,
        scale * es.value - drift,
        _error(returns, horizon, var),
        _error(returns, horizon, es),
    )


def _error(returns: FloatArray, horizon: int, shape: _Shape) -> float:
    """Carry the errors of all moments over to a loss, by the delta method.

    Whatever the distribution of the returns: their own higher moments are taken, not the normal
    distribution's. In terms of each return's influence on the moments (Serfling, 1980,
    Approximation Theorems of Mathematical Statistics, ch. 6).
    """
    centred = returns - returns.mean()
    m2, m3, m4 = (float(np.mean(centred**power)) for power in (2, 3, 4))
    if measures.moments(returns).deviation == 0:
        return 0.0
    deviation = math.sqrt(m2)
    on_variance = centred**2 - m2
    influence = -horizon * centred
    influence += math.sqrt(horizon) * shape.value * on_variance / (2 * deviation)
    if shape.by_skewness or shape.by_kurtosis:
        skewness, raw = m3 / m2**1.5, m4 / m2**2
        on_skewness = (centred**3 - m3 - 3 * m2 * centred) / m2**1.5
        on_skewness -= 1.5 * skewness * on_variance / m2
        on_kurtosis = (centred**4 - m4 - 4 * m3 * centred) / m2**2 - 2 * raw * on_variance / m2
        scale = math.sqrt(horizon) * deviation
        influence += scale * shape.by_skewness * on_skewness / math.sqrt(horizon)
        influence += scale * shape.by_kurtosis * on_kurtosis / horizon
    return float(np.sqrt(np.mean(influence**2) / returns.size))
