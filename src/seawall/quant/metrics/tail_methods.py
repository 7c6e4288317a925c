"""Value at risk and expected shortfall over one day, by methods other than plain history."""

import math
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike

from seawall.quant import garch
from seawall.quant.metrics.metric import Direction, Inference, Input, Metric, Unit
from seawall.quant.metrics.tail import min_observations
from seawall.quant.tails import TailMethod, TailQuestion, TailRisk, tail_risk
from seawall.quant.types import FloatArray

_MEASURES = {"var": "Value at risk", "es": "Expected shortfall"}
_SLUGS = {"var": "var", "es": "expected_shortfall"}
_NAMES = {
    TailMethod.GAUSSIAN: "Gaussian",
    TailMethod.CORNISH_FISHER: "Cornish-Fisher",
    TailMethod.FILTERED: "filtered history",
    TailMethod.COPULA: "t copula",
}
_FORMULAS = {
    TailMethod.GAUSSIAN: "of the normal distribution with mean(r) and std(r)",
    TailMethod.CORNISH_FISHER: "of the normal quantile, bent by skewness(r) and kurtosis(r)",
    TailMethod.FILTERED: "of mean(r) + sqrt(h[T + 1]) * (r - mean(r)) / sqrt(h), h by GARCH(1,1)",
    TailMethod.COPULA: "of 10,000 days of w, ranks by a t copula, returns by their own quantiles",
}
_SOURCES = {
    TailMethod.GAUSSIAN: "Jorion (2006), Value at Risk, 3rd ed., ch. 5",
    TailMethod.CORNISH_FISHER: "Maillard (2012), A User's Guide to the Cornish Fisher Expansion",
    TailMethod.FILTERED: "Barone-Adesi, Giannopoulos & Vosper (1999), VaR without Correlations for "
    "Portfolios of Derivative Securities, Journal of Futures Markets 19(5)",
    TailMethod.COPULA: "McNeil, Frey & Embrechts (2015), Quantitative Risk Management, ch. 7",
}
_UNDEFINED = {
    TailMethod.GAUSSIAN: "",
    TailMethod.CORNISH_FISHER: "skewness and kurtosis outside the domain of the expansion",
    TailMethod.FILTERED: "the GARCH fit does not converge",
    TailMethod.COPULA: "",
}


def tail_figure(returns: ArrayLike, question: TailQuestion, field: str) -> float:
    """Answer a question about (T,) daily returns with one field of its `TailRisk`.

    NaN where that is undefined.
    """
    returns = np.asarray(returns, float)[:, np.newaxis]
    return _field(_ask(np.ones(1), returns, question), field)


def joint_tail_figure(
    weights: ArrayLike, returns: ArrayLike, question: TailQuestion, field: str
) -> float:
    """Answer a question about (N,) weights of (T, N) returns with one field of its `TailRisk`.

    NaN where that is undefined, or a weight is not a number.
    """
    weights = np.asarray(weights, float)
    if not np.isfinite(weights).all():
        return math.nan
    return _field(_ask(weights, np.asarray(returns, float), question), field)


def _ask(weights: FloatArray, returns: FloatArray, question: TailQuestion) -> TailRisk:
    shapes = weights.shape, returns.shape
    return _answer(weights.tobytes(), returns.tobytes(), shapes, question)


# Two figures and their errors, each asked for more than once, are fields of one answer, which may
# take a fit and a simulation.
@lru_cache(maxsize=8)
def _answer(
    weights: bytes,
    returns: bytes,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    question: TailQuestion,
) -> TailRisk:
    one, other = shapes
    return tail_risk(
        np.frombuffer(weights).reshape(one), np.frombuffer(returns).reshape(other), question
    )


def _field(found: TailRisk, field: str) -> float:
    value = float(getattr(found, field))
    return value if math.isfinite(value) else math.nan


def least_observations(method: TailMethod, confidence: float) -> int:
    """Count the observations from which a method can give a tail over one day."""
    if method is TailMethod.GAUSSIAN:
        return 2
    if method is TailMethod.CORNISH_FISHER:
        return 4
    least = min_observations(confidence)
    return max(least, garch.MIN_OBSERVATIONS) if method is TailMethod.FILTERED else least


def _metric(method: TailMethod, measure: str, confidence: float) -> Metric:
    question = TailQuestion(method, confidence)
    joint = method is TailMethod.COPULA
    answer = joint_tail_figure if joint else tail_figure
    name = method.value.replace("-", "_")
    return Metric(
        slug=f"{_SLUGS[measure]}_{confidence * 100:.0f}_{name}",
        name=f"{_MEASURES[measure]}, {confidence:.0%}, one day, {_NAMES[method]}",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula=f"{measure} at {confidence} {_FORMULAS[method]}",
        source=_SOURCES[method],
        min_observations=least_observations(method, confidence),
        undefined=_UNDEFINED[method],
        function=partial(answer, question=question, field=measure),
        inference=Inference.STANDARD_ERROR,
        standard_error=partial(answer, question=question, field=f"{measure}_error"),
        takes=Input.HOLDINGS if joint else Input.RETURNS,
    )


METRICS = tuple(
    _metric(method, measure, confidence)
    for method in _NAMES
    for measure in _MEASURES
    for confidence in (0.95, 0.99)
)
