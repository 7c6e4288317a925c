"""The full set of a portfolio's risk figures, in one call."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.kernels import measures
from seawall.quant.metrics import concentration, dependence, ratios, tail
from seawall.quant.metrics.metric import too_few
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import Benchmark, compound, weighted_returns
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, as_vector


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
    portfolio = weighted_returns(returns, weights)
    values = _of_portfolio(portfolio, confidence, risk_free)
    benchmarks = {"beta": benchmark, "correlation_btc": btc, "correlation_sp500": sp500}
    for slug, other in benchmarks.items():
        values[slug] = _of_pair(portfolio, other)[0 if slug == "beta" else 1]
    values["herfindahl_index"] = concentration.herfindahl_index(weights)
    values["effective_n"] = concentration.effective_n(weights)
    matrix = dependence.correlation_matrix(returns)
    matched = {slug: len(b.returns) if b else 0 for slug, b in benchmarks.items()}
    reasons = _reasons(values, portfolio.size, matched, confidence)
    for slug, other in benchmarks.items():
        if other is None:
            reasons[slug] = "no benchmark"
    if reason := _why_incomplete(matrix, portfolio.size):
        reasons["correlation_matrix"] = reason
    return Measures(values, matrix, reasons, portfolio.size, matched)


def _finite(values: FloatArray, noun: str) -> FloatArray:
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidError(
            f"A {noun} is not a finite number.", hint="Measure the common dates only."
        )
    return values


def _of_portfolio(returns: FloatArray, confidence: float, risk_free: float) -> dict[str, float]:
    levels = (confidence, 0.95, 0.99)
    summary = measures.summarise(returns, np.array(levels))
    moments = summary.moments
    excess = measures.moments(returns - risk_free) if risk_free else moments
    enough = [returns.size >= tail.min_observations(level) for level in levels]
    tails = np.where(np.array(enough)[:, np.newaxis], summary.tails, np.nan).tolist()
    return {
        "volatility": moments.deviation * math.sqrt(PERIODS_PER_YEAR),
        "var": tails[0][0],
        "var_95": tails[1][0],
        "var_99": tails[2][0],
        "expected_shortfall": tails[1][1],
        "sharpe_ratio": ratios.annualised_ratio(excess, downside=False),
        "sortino_ratio": ratios.annualised_ratio(excess, downside=True),
        "max_drawdown": summary.max_drawdown,
        "skewness": moments.skewness,
        "kurtosis": moments.kurtosis,
    }


def _of_pair(portfolio: FloatArray, benchmark: Benchmark | None) -> tuple[float, float]:
    if benchmark is None:
        return math.nan, math.nan
    matched = compound(portfolio, benchmark.starts, benchmark.stops)
    return dependence.relate(matched, as_vector(benchmark.returns))


def _reasons(
    values: Mapping[str, float], observations: int, matched: Mapping[str, int], confidence: float
) -> dict[str, str]:
    undefined = [slug for slug, value in values.items() if math.isnan(value)]
    return {
        slug: too_few(tail.min_observations(confidence), observations)
        if slug == "var"
        else REGISTRY[slug].why_undefined(matched.get(slug, observations))
        for slug in undefined
    }


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
