"""The tightest bound on a tail by its exponential moments: entropic value at risk."""

import math
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from seawall.quant.kernels import entropy, measures
from seawall.quant.metrics.metric import Direction, Inference, Metric, Unit
from seawall.quant.metrics.tail import min_observations
from seawall.quant.types import FloatArray, as_vector


def entropic_value_at_risk(returns: ArrayLike, confidence: float = 0.95) -> float:
    """Measure the entropic value at risk of (T,) daily returns, over one day, as a fraction.

    Coherent, and never below the expected shortfall; the largest loss where the tail holds no more
    than the days of that loss. NaN from too few observations, or with a NaN among them.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    return _solve(as_vector(returns), confidence)[0]


def entropic_value_at_risk_error(returns: ArrayLike, confidence: float = 0.95) -> float:
    """Estimate the standard error of `entropic_value_at_risk`, by its influence function.

    NaN where the figure is the largest loss, or is none.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    returns = as_vector(returns)
    value, s = _solve(returns, confidence)
    if math.isnan(value) or math.isinf(s):
        return math.nan
    weights = np.exp(s * (-returns + returns.min()))
    return float(np.std(weights / weights.mean())) / s / math.sqrt(returns.size)


def _solve(returns: FloatArray, confidence: float) -> tuple[float, float]:
    """Give the figure, and the inverse of the temperature at which the bound is tightest."""
    needed = min_observations(confidence)
    if returns.size < needed or not np.isfinite(returns).all():
        return math.nan, math.nan
    worst, scale = -float(returns.min()), measures.moments(returns).deviation
    bound = -math.log(1 - confidence)
    losses = -returns - worst
    if scale == 0 or bound >= math.log(returns.size / int((losses == 0).sum())) - 1e-12:
        return worst, math.inf
    s = entropy.tilt(losses / scale, bound)
    value = worst + scale * (entropy.log_mean_exp(losses / scale, s) + bound) / s
    return value, s / scale


def _metric(slug: str, confidence: float) -> Metric:
    return Metric(
        slug=slug,
        name=f"Entropic value at risk, {confidence:.0%}, one day",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula=f"min over t > 0 of t * log(mean(exp(-r / t)) / (1 - {confidence}))",
        source='Ahmadi-Javid (2012), "Entropic Value-at-Risk: A New Coherent Risk Measure", '
        "Journal of Optimization Theory and Applications 155(3)",
        min_observations=min_observations(confidence),
        undefined="",
        function=partial(entropic_value_at_risk, confidence=confidence),
        inference=Inference.STANDARD_ERROR,
        standard_error=partial(entropic_value_at_risk_error, confidence=confidence),
    )


METRICS = (_metric("evar_95", 0.95), _metric("evar_99", 0.99))
