"""How much returns vary now: exponential weights and GARCH."""

import math

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.garch import MIN_OBSERVATIONS, fit_garch
from seawall.quant.kernels import variance
from seawall.quant.metrics.metric import Direction, Inference, Metric, Unit
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, as_vector

RISKMETRICS_DECAY = 0.94


def volatility_ewma(returns: ArrayLike, decay: float = RISKMETRICS_DECAY) -> float:
    """Measure the annualised root of the exponentially weighted mean square of (T,) daily returns.

    About zero, not about a mean. The weights decay^age are divided by their sum, so that no state
    before the first day has to be made up. NaN from fewer than 2 observations.

    Raises:
        InvalidError: the decay is not between 0 and 1.
    """
    returns = _enough(returns, decay)
    if not returns.size:
        return math.nan
    return math.sqrt(variance.ewma_variances(returns, decay)[-1] * PERIODS_PER_YEAR)


def volatility_ewma_error(returns: ArrayLike, decay: float = RISKMETRICS_DECAY) -> float:
    """Estimate the standard error of `volatility_ewma`, by the delta method.

    From the weighted variance of the squared returns, taken as independent: it tells how few days
    the figure rests on, not how volatility itself moves. NaN where returns are all zero.

    Raises:
        InvalidError: the decay is not between 0 and 1.
    """
    returns = _enough(returns, decay)
    if not returns.size:
        return math.nan
    weights = decay ** np.arange(returns.size - 1, -1, -1.0)
    weights /= weights.sum()
    squares = returns * returns
    mean = float(weights @ squares)
    if mean == 0:
        return math.nan
    spread = float(weights @ (squares - mean) ** 2) * float(weights @ weights)
    return math.sqrt(spread / mean * PERIODS_PER_YEAR) / 2


def volatility_garch(returns: ArrayLike) -> float:
    """Forecast the next day's volatility, annualised, by GARCH(1,1) fitted to (T,) daily returns.

    NaN from fewer than 50 observations, without variance, and where the fit does not converge.
    """
    return math.sqrt(fit_garch(returns).variances[-1] * PERIODS_PER_YEAR)


def volatility_garch_error(returns: ArrayLike) -> float:
    """Estimate the standard error of `volatility_garch`, robust to returns that are not normal.

    Of the parameters alone. NaN also where one of them is at its bound.
    """
    fit = fit_garch(returns)
    return fit.variance_error / 2 * math.sqrt(PERIODS_PER_YEAR / fit.variances[-1])


def _enough(returns: ArrayLike, decay: float) -> FloatArray:
    if not 0 < decay < 1:
        raise InvalidError(
            f"A decay of {decay} is not between 0 and 1.", hint="RiskMetrics' is 0.94."
        )
    returns = as_vector(returns)
    return returns if returns.size > 1 else returns[:0]


METRICS = (
    Metric(
        slug="volatility_ewma",
        name="Volatility, exponentially weighted",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula="sqrt(sum(0.94^age * r^2) / sum(0.94^age)) * sqrt(365)",
        source="J.P. Morgan & Reuters (1996), RiskMetrics: Technical Document, 4th ed., ch. 5",
        min_observations=2,
        undefined="",
        function=volatility_ewma,
        inference=Inference.STANDARD_ERROR,
        standard_error=volatility_ewma_error,
    ),
    Metric(
        slug="volatility_garch",
        name="Volatility, GARCH(1,1), next day",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula="sqrt(h * 365), h = omega + alpha * (r - mean(r))^2 + beta * h of the day before",
        source='Bollerslev (1986), "Generalized Autoregressive Conditional Heteroskedasticity", '
        "Journal of Econometrics 31(3)",
        min_observations=MIN_OBSERVATIONS,
        undefined="no variance, or the likelihood has no maximum that was found",
        function=volatility_garch,
        inference=Inference.STANDARD_ERROR,
        standard_error=volatility_garch_error,
    ),
)
