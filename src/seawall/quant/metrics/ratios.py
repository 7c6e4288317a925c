"""What was earned for the risk taken."""

import math

import numpy as np
from numpy.typing import ArrayLike

from seawall.quant.kernels import measures
from seawall.quant.kernels.layout import Moments
from seawall.quant.metrics.metric import Direction, Inference, Metric, Unit
from seawall.quant.metrics.returns import annualised_return
from seawall.quant.metrics.skill import sharpe_error
from seawall.quant.metrics.tail import min_observations, value_at_risk
from seawall.quant.types import PERIODS_PER_YEAR, as_vector

MIN_RETURNS = 2
"""A single return earns, but shows no risk to earn it for."""


def sharpe_ratio(returns: ArrayLike, risk_free: float = 0.0) -> float:
    """Divide the mean excess of (T,) daily returns by its deviation, ddof 1, annualised.

    `risk_free` is a rate per day. NaN from fewer than 2 observations or where they do not vary.
    """
    return annualised_ratio(measures.moments(as_vector(returns) - risk_free), downside=False)


def sortino_ratio(returns: ArrayLike, risk_free: float = 0.0) -> float:
    """Divide the mean excess of (T,) daily returns by its downside deviation, annualised.

    The downside deviation is the root mean square of the negative excess returns over all
    observations. `risk_free` is a rate per day. NaN from fewer than 2 observations or where none is
    negative.
    """
    return annualised_ratio(measures.moments(as_vector(returns) - risk_free), downside=True)


def calmar_ratio(returns: ArrayLike) -> float:
    """Divide the annualised compounded return of (T,) daily returns by their largest drawdown.

    NaN from fewer than 2 observations, without a drawdown, and where more than everything was lost.
    """
    returns = as_vector(returns)
    drawdown = measures.max_drawdown(returns)
    if returns.size < MIN_RETURNS or drawdown <= measures.NOISE * (1 + abs(returns).max()):
        return math.nan
    return annualised_return(returns) / drawdown


def omega_ratio(returns: ArrayLike, risk_free: float = 0.0) -> float:
    """Divide what (T,) daily returns gained above a threshold by what they lost below it.

    The threshold is `risk_free`, a rate per day. NaN from fewer than 2 observations or where none
    is below it.
    """
    excess = as_vector(returns) - risk_free
    lost = -float(np.minimum(excess, 0.0).sum())
    noise = measures.NOISE * (1 + np.abs(excess).max(initial=0.0))
    if excess.size < MIN_RETURNS or not lost > noise:
        return math.nan
    return float(np.maximum(excess, 0.0).sum()) / lost


def tail_ratio(returns: ArrayLike, confidence: float = 0.95) -> float:
    """Divide the upper quantile of (T,) daily returns by the size of the lower one.

    NaN from too few observations, and where the lower quantile is no loss.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    returns = as_vector(returns)
    lower, upper = value_at_risk(returns, confidence), value_at_risk(-returns, confidence)
    return upper / lower if lower > measures.NOISE else math.nan


def annualised_ratio(excess: Moments, *, downside: bool) -> float:
    """Divide the mean of the excess returns by their deviation or downside, if there is any."""
    risk = excess.downside if downside else excess.deviation
    # The deviation is NaN for a single observation, from which no ratio can be told.
    if math.isnan(excess.deviation) or risk == 0:
        return math.nan
    return excess.mean / risk * math.sqrt(PERIODS_PER_YEAR)


METRICS = (
    Metric(
        slug="sharpe_ratio",
        name="Sharpe ratio",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="mean(r - risk_free) / std(r, ddof 1) * sqrt(365)",
        source='Sharpe (1994), "The Sharpe Ratio", Journal of Portfolio Management 21(1)',
        min_observations=2,
        undefined="no variance",
        function=sharpe_ratio,
        inference=Inference.STANDARD_ERROR,
        standard_error=sharpe_error,
        options=("risk_free",),
    ),
    Metric(
        slug="sortino_ratio",
        name="Sortino ratio",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="mean(r - risk_free) / sqrt(mean(min(r - risk_free, 0)^2)) * sqrt(365)",
        source='Sortino & Price (1994), "Performance Measurement in a Downside Risk Framework", '
        "Journal of Investing 3(3)",
        min_observations=2,
        undefined="no negative return",
        function=sortino_ratio,
        options=("risk_free",),
        inference=Inference.BOOTSTRAP,
    ),
    Metric(
        slug="calmar_ratio",
        name="Calmar ratio",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="(prod(1 + r)^(365 / n) - 1) / max_drawdown",
        source='Young (1991), "Calmar Ratio: A Smoother Tool", Futures 20(1)',
        min_observations=2,
        undefined="no drawdown, or more than everything was lost",
        function=calmar_ratio,
        inference=Inference.BOOTSTRAP,
    ),
    Metric(
        slug="omega_ratio",
        name="Omega ratio",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="sum(max(r - risk_free, 0)) / sum(max(risk_free - r, 0))",
        source='Keating & Shadwick (2002), "A Universal Performance Measure", '
        "Journal of Performance Measurement 6(3)",
        min_observations=2,
        undefined="no return below the risk-free rate",
        function=omega_ratio,
        inference=Inference.BOOTSTRAP,
        options=("risk_free",),
    ),
    Metric(
        slug="tail_ratio",
        name="Tail ratio, 95% to 5%",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="quantile(r, 0.95) / -quantile(r, 0.05), linearly interpolated",
        source='Hyndman & Fan (1996), "Sample Quantiles in Statistical Packages", definition 7',
        min_observations=min_observations(0.95),
        undefined="no loss at the 5 % quantile",
        function=tail_ratio,
        inference=Inference.BOOTSTRAP,
    ),
)
