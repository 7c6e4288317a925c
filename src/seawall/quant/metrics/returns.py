"""What was earned, and how much it varied."""

import math

import numpy as np
from numpy.typing import ArrayLike

from seawall.quant.kernels import measures
from seawall.quant.metrics.metric import Direction, Inference, Metric, Unit
from seawall.quant.metrics.moments import standardise
from seawall.quant.types import PERIODS_PER_YEAR, as_vector


def total_return(returns: ArrayLike) -> float:
    """Compound (T,) simple returns; NaN without observations."""
    returns = as_vector(returns)
    return float(np.prod(1 + returns)) - 1 if returns.size else math.nan


def annualised_return(returns: ArrayLike) -> float:
    """Compound (T,) daily returns to the rate that gives the same in a year of 365 days.

    NaN without observations, where more than everything was lost, and where the rate is larger than
    a float can be.
    """
    returns = as_vector(returns)
    growth = 1 + total_return(returns)
    if not growth >= 0:
        return math.nan
    try:
        return float(growth ** (PERIODS_PER_YEAR / returns.size)) - 1
    except OverflowError:
        return math.nan


def volatility(returns: ArrayLike) -> float:
    """Measure the annualised standard deviation, ddof 1, of (T,) daily returns.

    NaN from fewer than 2; exactly 0 where they differ by no more than rounding.
    """
    return measures.moments(as_vector(returns)).deviation * math.sqrt(PERIODS_PER_YEAR)


def downside_deviation(returns: ArrayLike) -> float:
    """Measure the annualised root mean square of the negative ones over all (T,) daily returns.

    NaN from fewer than 2; exactly 0 where none is negative by more than rounding.
    """
    found = measures.moments(as_vector(returns))
    # The deviation is NaN for a single observation, which shows no deviation of any kind.
    downside = math.nan if math.isnan(found.deviation) else found.downside
    return downside * math.sqrt(PERIODS_PER_YEAR)


def volatility_error(returns: ArrayLike, periods: float = PERIODS_PER_YEAR) -> float:
    """Estimate the standard error of the annualised deviation of (T,) returns, `periods` a year.

    From the sample's own fourth moment, so that fat tails count: s * sqrt((m4 / m2^2 - 1) / (4 n)).
    NaN from fewer than 4 or where they do not vary. Source: Cramér (1946), Mathematical Methods of
    Statistics, ch. 27 and 28.
    """
    found = standardise(returns)
    spread = found.deviation * math.sqrt((found.kurtosis - 1) / (4 * found.size))
    return spread * math.sqrt(periods)


METRICS = (
    Metric(
        slug="total_return",
        name="Total return",
        unit=Unit.FRACTION,
        direction=Direction.HIGHER,
        formula="prod(1 + r) - 1",
        source="Bacon (2008), Practical Portfolio Performance Measurement and Attribution, ch. 2",
        min_observations=1,
        undefined="",
        function=total_return,
    ),
    Metric(
        slug="annualised_return",
        name="Annualised return",
        unit=Unit.FRACTION,
        direction=Direction.HIGHER,
        formula="prod(1 + r)^(365 / n) - 1",
        source="Bacon (2008), Practical Portfolio Performance Measurement and Attribution, ch. 2",
        min_observations=1,
        undefined="more than everything was lost, or the rate is too large for a number",
        function=annualised_return,
        inference=Inference.BOOTSTRAP,
    ),
    Metric(
        slug="volatility",
        name="Volatility",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula="sqrt(sum((r - mean(r))^2) / (n - 1)) * sqrt(365)",
        source="Hull (2018), Options, Futures, and Other Derivatives, 10th ed., ch. 15",
        min_observations=2,
        undefined="",
        function=volatility,
        inference=Inference.STANDARD_ERROR,
        standard_error=volatility_error,
    ),
    Metric(
        slug="downside_deviation",
        name="Downside deviation",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula="sqrt(mean(min(r, 0)^2)) * sqrt(365)",
        source='Sortino & Price (1994), "Performance Measurement in a Downside Risk Framework", '
        "Journal of Investing 3(3)",
        min_observations=2,
        undefined="",
        function=downside_deviation,
        inference=Inference.BOOTSTRAP,
    ),
)
