"""The full set of a portfolio's risk figures, in one call."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.kernels import measures
from seawall.quant.metrics import dependence, figures, ratios
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import Benchmark, weighted_returns
from seawall.quant.types import FloatArray


@dataclass(frozen=True, slots=True)
class Measures:
    """A portfolio's figures by the slugs of the registry, and `var` at the confidence asked for.

    Attributes:
        values: each scalar figure; NaN where undefined.
        correlation_matrix: (N, N), in the order of the weights; NaN where undefined.
        reasons: for each figure that is NaN, or holds one, why.
        observations: the number of returns.
        matched: the number of intervals shared with the benchmark, for each figure that has one.
    """

    values: Mapping[str, float]
    correlation_matrix: FloatArray
    reasons: Mapping[str, str]
    observations: int
    matched: Mapping[str, int]


def measure(
    weights: FloatArray,
    returns: FloatArray,
    *,
    benchmark: Benchmark | None = None,
    btc: Benchmark | None = None,
    sp500: Benchmark | None = None,
    confidence: float = 0.95,
    risk_free: float = 0.0,
) -> Measures:
    """Measure the risk of (N,) weights held constant over (T, N) complete daily returns.

    `risk_free` is a rate per day. Figures equal those of the functions in the registry.

    Raises:
        InvalidError: shapes do not fit, a number is not finite, or the confidence is not in (0, 1).
    """
    weights, returns = _finite(weights, "weight"), _finite(returns, "return")
    if returns.shape[1:] != weights.shape:
        raise InvalidError(
            f"Returns of shape {returns.shape} do not fit weights of shape {weights.shape}.",
            hint="The returns need a column for each weight.",
        )
    market = figures.lay_out_whole(returns, (benchmark, btc, sp500), confidence)
    measured = market.measure_one(weights)
    row = measured.values[0]
    if risk_free:
        excess = measures.moments(weighted_returns(returns, weights) - risk_free)
        row[figures.COLUMNS.index("sharpe_ratio")] = ratios.annualised_ratio(excess, downside=False)
        row[figures.COLUMNS.index("sortino_ratio")] = ratios.annualised_ratio(excess, downside=True)
    values = dict(zip(figures.COLUMNS, row.tolist(), strict=True))
    observations = int(measured.observations[0])
    matrix = dependence.correlation_matrix(returns)
    matched = dict(zip(figures.COMPARED, measured.matched[0].tolist(), strict=True))
    reasons = measured.reasons(0)
    if reason := _why_incomplete(matrix, observations):
        reasons["correlation_matrix"] = reason
    return Measures(values, matrix, reasons, observations, matched)


def _finite(values: FloatArray, noun: str) -> FloatArray:
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidError(
            f"A {noun} is not a finite number.", hint="Measure the common dates only."
        )
    return values


def _why_incomplete(matrix: FloatArray, observations: int) -> str:
    metric = REGISTRY["correlation_matrix"]
    if not matrix.size:
        return "no holdings"
    if not np.isnan(matrix).any():
        return ""
    if observations < metric.min_observations:
        return metric.why_undefined(observations)
    still = np.flatnonzero(np.isnan(np.diag(matrix)))
    return f"{metric.undefined} in asset{'s'[: still.size > 1]} {', '.join(map(str, still + 1))}"
