"""The tail of outcomes that are equally likely: days, windows of days, simulated paths."""

import math

import numpy as np

from seawall.quant.kernels import measures, simulation
from seawall.quant.losses.estimate import Estimate, undefined
from seawall.quant.metrics.metric import too_few
from seawall.quant.metrics.tail import min_observations
from seawall.quant.types import FloatArray

_FAR = 10.0


def historical(returns: FloatArray, confidence: float, horizon: int) -> Estimate:
    """Take the tail of the compounded returns of every window of `horizon` days, overlapping.

    Undefined where fewer windows fit side by side than a tail at this confidence needs.
    """
    if reason := too_few(min_observations(confidence) * horizon, returns.size):
        return undefined(reason)
    return of_outcomes(simulation.windows(returns, horizon), confidence, overlap=horizon)


def of_outcomes(outcomes: FloatArray, confidence: float, overlap: int = 1) -> Estimate:
    """Estimate the tail of (K,) returns, each of which spans `overlap` of the steps between them.

    The quantile's error is Maritz and Jarrett's, the shortfall's that of a mean of excesses over
    the quantile; where outcomes overlap both grow with the autocorrelation of what they average
    (Newey & West, 1987).

    Source: Maritz & Jarrett (1978), "A Note on Estimating the Variance of the Sample Median",
    JASA 73(361); Manistre & Hancock (2005), "Variance of the CTE Estimator", NAAJ 9(2).
    """
    ordered = np.sort(outcomes)
    var, es = measures.tail(ordered, confidence)
    var_error = quantile_error(ordered, 1 - confidence)
    excess = np.maximum(-outcomes - var, 0.0)
    es_error = float(np.std(excess)) / math.sqrt(outcomes.size) / (1 - confidence)
    if overlap > 1:
        beyond = np.where(-outcomes >= var, 1.0, 0.0)
        var_error *= math.sqrt(_inflation(beyond, overlap))
        es_error *= math.sqrt(_inflation(excess, overlap))
    return Estimate(float(var), float(es), var_error, es_error)


def quantile_error(ordered: FloatArray, probability: float) -> float:
    """Estimate the standard error of a quantile of (K,) independent, ascending values.

    It is the deviation of an order statistic over all resamples there are, so nothing is drawn.
    """
    from scipy.special import betainc  # noqa: PLC0415 -- not needed by who only reads the registry

    size = ordered.size
    a, b = (size + 1) * probability, (size + 1) * (1 - probability)
    # Ranks farther off than ten deviations have no weight that a float can show.
    reach = _FAR * (math.sqrt(size * probability * (1 - probability)) + 1)
    first = max(math.floor(size * probability - reach), 0)
    last = min(math.ceil(size * probability + reach), size)
    edges = np.arange(first, last + 1) / size
    weights = np.diff(betainc(a, b, edges))
    near = ordered[first:last] - ordered[first]
    mean = weights @ near
    return math.sqrt(max(float(weights @ (near - mean) ** 2), 0.0))


def _inflation(values: FloatArray, overlap: int) -> float:
    """Compare the long-run variance of a mean with that of independent values."""
    centred = values - values.mean()
    variance = float(centred @ centred)
    if variance == 0:
        return 1.0
    lags = range(1, min(overlap, values.size))
    shared = sum((1 - k / overlap) * float(centred[k:] @ centred[:-k]) for k in lags)
    return max(1 + 2 * shared / variance, 0.0)
