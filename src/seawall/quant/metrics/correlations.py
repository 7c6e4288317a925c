"""How a portfolio correlates with a benchmark by ranks, and lately."""

import math

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.kernels import measures
from seawall.quant.metrics.dependence import MIN_PAIRS, correlation
from seawall.quant.metrics.metric import Direction, Inference, Metric, Unit, against_each
from seawall.quant.types import FloatArray, as_vector

DECAY = 0.97
"""By how much the weight of a day falls with each day that passes: half in 23 days."""


def rank_correlation(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Measure Spearman's correlation: Pearson's of the ranks, equal values sharing theirs.

    NaN from fewer than 3 common observations or where either does not vary.

    Raises:
        InvalidError: the two are not equally long.
    """
    returns, benchmark = as_vector(returns), as_vector(benchmark)
    if math.isnan(correlation(returns, benchmark)):
        return math.nan
    return correlation(_ranks(returns), _ranks(benchmark))


def ewma_correlation(returns: ArrayLike, benchmark: ArrayLike, decay: float = DECAY) -> float:
    """Measure the correlation of the newest (T,) returns with the benchmark's.

    Weights fall with each observation back by the factor `decay`; deviations are from the means so
    weighted. NaN from fewer than 3 common observations or where either does not vary.

    Raises:
        InvalidError: the two are not equally long, or the decay is not between 0 and 1.
    """
    if not 0 < decay < 1:
        raise InvalidError(f"A decay of {decay} is not between 0 and 1.")
    returns, benchmark = as_vector(returns), as_vector(benchmark)
    if math.isnan(correlation(returns, benchmark)):
        return math.nan
    weights = _weights(returns.size, decay)
    x, y = _centre(returns, weights), _centre(benchmark, weights)
    xx, yy = float((weights * x * x).sum()), float((weights * y * y).sum())
    if min(math.sqrt(xx), math.sqrt(yy)) <= measures.NOISE:
        return math.nan
    ratio = float((weights * x * y).sum()) / (math.sqrt(xx) * math.sqrt(yy))
    return max(-1.0, min(1.0, ratio))


def _ranks(values: FloatArray) -> FloatArray:
    """Rank values from 1; equal ones get the mean of the ranks that they take up."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: FloatArray = (last - (counts - 1) / 2)[inverse]
    return shared


def _weights(size: int, decay: float) -> FloatArray:
    raw: FloatArray = decay ** np.arange(size - 1, -1, -1.0)
    scaled: FloatArray = raw / raw.sum()
    return scaled


def _centre(values: FloatArray, weights: FloatArray) -> FloatArray:
    return values - float((weights * values).sum())


def _rank_error(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Return the error of Fisher's z of Spearman's correlation, after Bonett & Wright (2000)."""
    found, free = rank_correlation(returns, benchmark), as_vector(returns).size - MIN_PAIRS
    return math.sqrt((1 + found**2 / 2) / free) if free > 0 else math.nan


def _ewma_error(returns: ArrayLike, _: ArrayLike) -> float:
    """Return the error of Fisher's z with Kish's effective number of observations."""
    weights = _weights(as_vector(returns).size, DECAY)
    free = 1 / float((weights * weights).sum()) - MIN_PAIRS if weights.size else 0.0
    return 1 / math.sqrt(free) if free > 0 else math.nan


METRICS = (
    *against_each(
        Metric(
            slug="rank_correlation",
            name="Rank correlation with the benchmark",
            unit=Unit.RATIO,
            direction=Direction.NEITHER,
            formula="correlation of rank(r) and rank(b), equal values sharing a rank",
            source='Spearman (1904), "The Proof and Measurement of Association between Two '
            'Things", American Journal of Psychology 15(1)',
            min_observations=MIN_PAIRS,
            undefined="no variance in the portfolio or the benchmark",
            function=rank_correlation,
            inference=Inference.FISHER,
            standard_error=_rank_error,
        )
    ),
    *against_each(
        Metric(
            slug="ewma_correlation",
            name="Correlation with the benchmark lately",
            unit=Unit.RATIO,
            direction=Direction.NEITHER,
            formula="sum(w * x * y) / sqrt(sum(w * x^2) * sum(w * y^2)), w_t of 0.97^(n - t) "
            "summing to 1, x = r - sum(w * r), y = b - sum(w * b)",
            source="J.P. Morgan & Reuters (1996), RiskMetrics Technical Document, 4th ed., ch. 5",
            min_observations=MIN_PAIRS,
            undefined="no variance in the portfolio or the benchmark",
            function=ewma_correlation,
            inference=Inference.FISHER,
            standard_error=_ewma_error,
        )
    ),
)
