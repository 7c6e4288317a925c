"""What each holding adds to a portfolio's risk: parts that sum to the whole.

Every measure here is homogeneous of degree one in the weights: twice the holdings, twice the risk.
By Euler's theorem it is then the sum of the weights times its derivatives, which are linear in the
returns of the assets. So one vector over the days, the slope, gives every part: that of a stream of
returns is the sum of its days, each times that day's slope.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import cast

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.kernels import measures
from seawall.quant.metrics import tail
from seawall.quant.metrics.metric import too_few
from seawall.quant.returns import weighted_returns
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, as_vector

STILL = "no variance: what does not vary has no slope"
_DEVIATION = 2
"""The observations that a deviation needs."""


class RiskMeasure(StrEnum):
    """What can be taken apart: figures of a report, and two that take returns as normal."""

    VOLATILITY = "volatility"
    VALUE_AT_RISK = "value_at_risk"
    EXPECTED_SHORTFALL = "expected_shortfall"
    GAUSSIAN_VALUE_AT_RISK = "gaussian_value_at_risk"
    GAUSSIAN_EXPECTED_SHORTFALL = "gaussian_expected_shortfall"


@dataclass(frozen=True, slots=True)
class Streams:
    """A portfolio's (T,) returns and those of its N parts, of which they are the sum.

    `parts` (T, N) are weighted, `units` (T, N) are of one unit of weight each.
    """

    portfolio: FloatArray
    parts: FloatArray
    units: FloatArray


@dataclass(frozen=True, slots=True)
class Attribution:
    """A measure of the whole, and what each of N parts has to do with it; NaN where undefined.

    Attributes:
        total: the measure of the whole.
        components: (N,) what each part adds; they sum to the total.
        shares: (N,) components over the total; NaN where that is not above 0.
        marginals: (N,) what the total grows by for one more unit of weight.
        standalone: (N,) the measure of each part by itself, at its weight.
        incremental: (N,) by how much the total is larger than with the part turned into cash.
        days: on how many days the components are measured.
        reason: why they are NaN; empty when they are not.
    """

    total: float
    components: FloatArray
    shares: FloatArray
    marginals: FloatArray
    standalone: FloatArray
    incremental: FloatArray
    days: int
    reason: str

    @property
    def diversification(self) -> float:
        """What holding the parts together saves: the sum of what stands alone, less the total."""
        return float(np.sum(self.standalone)) - self.total


@dataclass(frozen=True, slots=True)
class _Slope:
    """The (T,) derivative of a measure by each day's return of the portfolio.

    What follows from deviations is taken of deviations, which loses no digits; `of_mean` is the
    derivative by the mean then.
    """

    of_days: FloatArray
    of_mean: float | None = None

    def of(self, streams: FloatArray) -> FloatArray:
        """Take the part of each of (T, N) streams."""
        if self.of_mean is None:
            return _along(self.of_days, streams)
        means: FloatArray = streams.mean(axis=0)
        return self.of_mean * means + _along(self.of_days, streams - means)


def _along(days: FloatArray, streams: FloatArray) -> FloatArray:
    # Not a matrix product: its order of summation depends on the library and the machine.
    return cast(FloatArray, np.sum(days[:, np.newaxis] * streams, axis=0))


def by_holding(weights: FloatArray, returns: FloatArray) -> Streams:
    """Split a portfolio of (N,) constant weights over (T, N) complete returns into its holdings.

    Raises:
        InvalidError: the shapes do not fit, or a number is not finite.
    """
    weights, returns = as_vector(weights), np.asarray(returns, dtype=np.float64)
    if not (np.isfinite(weights).all() and np.isfinite(returns).all()):
        raise InvalidError(
            "A weight or a return is not a finite number.", hint="Measure the common dates only."
        )
    portfolio = weighted_returns(returns, weights)
    return Streams(portfolio, returns * weights, returns)


def by_group(
    streams: Streams, weights: FloatArray, labels: Sequence[str]
) -> tuple[tuple[str, ...], Streams]:
    """Pool the holdings that share a label, in the order of the labels' first appearance.

    A group whose weights cancel has no unit, and so NaN for it.

    Raises:
        InvalidError: there is not one label for each holding.
    """
    names = tuple(dict.fromkeys(labels))
    pooled = group(streams.parts, labels)
    parts = np.column_stack([pooled[name] for name in names]) if names else streams.parts
    sums = group(weights, labels)
    sizes = np.array([float(sums[name]) or math.nan for name in names])
    return names, Streams(streams.portfolio, parts, parts / sizes)


def group(components: FloatArray, labels: Sequence[str]) -> dict[str, FloatArray]:
    """Sum (…, N) components by label along their last axis, in order of first appearance.

    Raises:
        InvalidError: there is not one label for each component.
    """
    components = np.asarray(components, dtype=np.float64)
    if components.shape[-1:] != (len(labels),):
        raise InvalidError(
            f"{len(labels)} labels do not fit components of shape {components.shape}.",
            hint="Give one label for each holding.",
        )
    sums: dict[str, FloatArray] = {}
    for at, label in enumerate(labels):
        sums[label] = sums.get(label, np.zeros(components.shape[:-1])) + components[..., at]
    return sums


def attribute(streams: Streams, measure: RiskMeasure, confidence: float = 0.95) -> Attribution:
    """Take a portfolio's risk apart into what each of its parts adds.

    Volatility is annualised; the others are over one day, fractions that are positive for a loss.
    Totals are those of the registry. The historical value at risk lies between two days' losses; a
    component is the part's loss on these two, interpolated alike: the conditional expectation at
    the quantile. Days that tie there are averaged. Components of the expected shortfall are mean
    losses over exactly the days that it averages.

    Source: Tasche (1999), "Risk contributions and performance measurement", TU Munich; Hallerbach
    (2003), "Decomposing portfolio value-at-risk: a general analysis", Journal of Risk 5(2).

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    portfolio = streams.portfolio
    total = _measure(portfolio, measure, confidence)
    slope, reason = _slope(portfolio, measure, confidence)
    undefined = np.full(streams.parts.shape[1], math.nan)
    components = undefined if slope is None else slope.of(streams.parts)
    alone = [_measure(part, measure, confidence) for part in streams.parts.T]
    without = [_measure(portfolio - part, measure, confidence) for part in streams.parts.T]
    return Attribution(
        total=total,
        components=components,
        shares=components / total if total > 0 else undefined,
        marginals=undefined if slope is None else slope.of(streams.units),
        standalone=np.array(alone),
        incremental=total - np.array(without),
        days=0 if slope is None else int(np.count_nonzero(slope.of_days)),
        reason=reason,
    )


def _measure(returns: FloatArray, measure: RiskMeasure, confidence: float) -> float:
    """Measure (T,) returns; NaN from too few."""
    returns = np.ascontiguousarray(returns)
    match measure:
        case RiskMeasure.VOLATILITY:
            return measures.moments(returns).deviation * math.sqrt(PERIODS_PER_YEAR)
        case RiskMeasure.VALUE_AT_RISK:
            return tail.value_at_risk(returns, confidence)
        case RiskMeasure.EXPECTED_SHORTFALL:
            return tail.expected_shortfall(returns, confidence)
    moments = measures.moments(returns)
    return moments.deviation * _normal_loss(measure, confidence) - moments.mean


def _normal_loss(measure: RiskMeasure, confidence: float) -> float:
    """Return the measure of a normal distribution of mean 0 and deviation 1.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    tail.min_observations(confidence)  # refuses what is no confidence
    normal = NormalDist()
    quantile = normal.inv_cdf(confidence)
    if measure is RiskMeasure.GAUSSIAN_VALUE_AT_RISK:
        return quantile
    return normal.pdf(quantile) / (1 - confidence)


def _slope(
    returns: FloatArray, measure: RiskMeasure, confidence: float
) -> tuple[_Slope | None, str]:
    """Return the slope of a measure of (T,) returns, or why there is none."""
    historical = measure in {RiskMeasure.VALUE_AT_RISK, RiskMeasure.EXPECTED_SHORTFALL}
    needed = tail.min_observations(confidence) if historical else _DEVIATION
    if reason := too_few(needed, returns.size):
        return None, reason
    if measure is RiskMeasure.VALUE_AT_RISK:
        return _Slope(_at_quantile(returns, confidence)), ""
    if measure is RiskMeasure.EXPECTED_SHORTFALL:
        bound = measures.tail_bound(tail.value_at_risk(returns, confidence))
        beyond = (-returns >= bound).astype(np.float64)
        return _Slope(beyond / -beyond.sum()), ""
    moments = measures.moments(returns)
    if not moments.deviation:
        return None, STILL
    of_deviation = (returns - moments.mean) / (moments.deviation * (returns.size - 1))
    if measure is RiskMeasure.VOLATILITY:
        return _Slope(of_deviation * math.sqrt(PERIODS_PER_YEAR), 0.0), ""
    return _Slope(of_deviation * _normal_loss(measure, confidence), -1.0), ""


def _at_quantile(returns: FloatArray, confidence: float) -> FloatArray:
    """Weigh the days between whose losses the quantile lies; those that tie share a weight."""
    ordered = np.sort(returns)
    rank, fraction = measures.quantile_place(returns.size, confidence)
    days = np.zeros(returns.size)
    for place, weight in ((rank, 1 - fraction), (rank - 1, fraction)):
        if weight:
            tied = returns == ordered[place]
            days -= weight * tied / np.count_nonzero(tied)
    return days
