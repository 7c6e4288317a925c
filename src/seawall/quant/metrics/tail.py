"""What the worst days cost: historical value at risk and expected shortfall."""

import math
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.kernels import measures
from seawall.quant.metrics.metric import Direction, Inference, Metric, Unit
from seawall.quant.types import as_vector

_QUANTILE = 'Hyndman & Fan (1996), "Sample Quantiles in Statistical Packages", definition 7'


def min_observations(confidence: float) -> int:
    """Count the observations that show a tail at this confidence: 1 / (1 - confidence).

    From fewer, less than one loss beyond the quantile is to be expected, and the empirical quantile
    is a function of the two largest losses alone, whatever the tail is like.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise InvalidError(
            f"Confidence {confidence} is not between 0 and 1.", hint="Write 95 % as 0.95."
        )
    # 1 / (1 - 0.95) is a rounding error above 20.
    return math.ceil(1 / (1 - confidence) * (1 - 1e-9))


def value_at_risk(returns: ArrayLike, confidence: float = 0.95) -> float:
    """Take the linearly interpolated empirical quantile of the losses -r of (T,) daily returns.

    Over one day, as a fraction; positive when it is a loss. NaN from too few observations.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    return _tail(returns, confidence)[0]


def expected_shortfall(returns: ArrayLike, confidence: float = 0.95) -> float:
    """Average the losses of (T,) daily returns that are at or beyond the value at risk.

    Over one day, as a fraction; positive when it is a loss, and never below the value at risk. NaN
    from too few observations.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    return _tail(returns, confidence)[1]


def _tail(returns: ArrayLike, confidence: float) -> tuple[float, float]:
    returns = as_vector(returns)
    if returns.size < min_observations(confidence):
        return math.nan, math.nan
    return measures.tail(np.sort(returns), confidence)


def _value_at_risk(slug: str, confidence: float) -> Metric:
    return Metric(
        slug=slug,
        name=f"Value at risk, {confidence:.0%}, one day",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula=f"quantile(-r, {confidence}), linearly interpolated",
        source=f"Jorion (2006), Value at Risk, 3rd ed., ch. 5; {_QUANTILE}",
        min_observations=min_observations(confidence),
        undefined="",
        function=partial(value_at_risk, confidence=confidence),
        inference=Inference.BOOTSTRAP,
    )


METRICS = (
    _value_at_risk("var_95", 0.95),
    _value_at_risk("var_99", 0.99),
    Metric(
        slug="expected_shortfall",
        name="Expected shortfall, 95%, one day",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula="mean(-r where -r >= var_95)",
        source='Acerbi & Tasche (2002), "On the coherence of expected shortfall", '
        "Journal of Banking & Finance 26(7)",
        min_observations=min_observations(0.95),
        undefined="",
        function=expected_shortfall,
        inference=Inference.BOOTSTRAP,
    ),
)
