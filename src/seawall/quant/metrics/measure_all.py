"""Every metric of the registry for one portfolio, with how sure each is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from seawall.core.errors import InvalidError
from seawall.quant.metrics.inference import Interval, draw, uncertainty
from seawall.quant.metrics.metric import Input, Metric
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import Benchmark, compound, weighted_returns
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class SureFigure:
    """A figure, NaN where undefined; the observations it is of, its interval, or why it is NaN."""

    value: float
    observations: int
    interval: Interval | None
    reason: str


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What ratios are in excess of, and of how many strategies this is the best.

    `risk_free` is a rate per year, compounded.

    Raises:
        InvalidError: the rate loses everything, or there are no trials.
    """

    risk_free: float = 0.0
    trials: int = 1

    def __post_init__(self) -> None:
        if not -1 < self.risk_free < math.inf:
            raise InvalidError(
                f"A risk-free rate of {self.risk_free} is not above -1.", hint="Write 4 % as 0.04."
            )
        if self.trials < 1:
            raise InvalidError(f"{self.trials} trials are not at least 1.")

    def options(self, periods: float) -> dict[str, float]:
        """Return what functions of returns, of which a year has so many, know by keyword."""
        rate = math.expm1(math.log1p(self.risk_free) / periods)
        return {"risk_free": rate, "periods": periods, "trials": self.trials}


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What a metric is called with, how many a year has, and the days of resampled histories."""

    inputs: tuple[FloatArray, ...]
    observations: int
    periods: float = PERIODS_PER_YEAR
    picks: IntArray | None = None


def measure_all(
    weights: FloatArray,
    returns: FloatArray,
    benchmarks: Mapping[Input, Benchmark],
    assumptions: Assumptions | None = None,
) -> dict[str, SureFigure]:
    """Measure every scalar metric of (N,) weights held constant over (T, N) complete daily returns.

    By slug. A metric whose benchmark is not given is undefined, as from no observations.

    Raises:
        InvalidError: shapes do not fit.
    """
    assumptions = assumptions or Assumptions()
    evidence = _evidence(weights, returns, benchmarks)
    return {
        slug: _figure(metric, evidence.get(metric.takes), assumptions)
        for slug, metric in REGISTRY.items()
        if metric.takes is not Input.ASSETS
    }


def _evidence(
    weights: FloatArray, returns: FloatArray, benchmarks: Mapping[Input, Benchmark]
) -> dict[Input, _Evidence]:
    portfolio = weighted_returns(returns, weights)
    picks = draw(portfolio)
    found = {
        Input.RETURNS: _Evidence((portfolio,), portfolio.size, picks=picks),
        Input.HOLDINGS: _Evidence((weights, returns), portfolio.size, picks=picks),
        Input.WEIGHTS: _Evidence((weights,), portfolio.size),
    }
    for which, benchmark in benchmarks.items():
        matched = compound(portfolio, benchmark.starts, benchmark.stops)
        days = int((benchmark.stops - benchmark.starts).sum())
        found[which] = _Evidence(
            (matched, benchmark.returns),
            matched.size,
            PERIODS_PER_YEAR * matched.size / days if days else PERIODS_PER_YEAR,
            draw(matched, benchmark.returns),
        )
    return found


def _figure(metric: Metric, evidence: _Evidence | None, assumptions: Assumptions) -> SureFigure:
    if evidence is None:
        return SureFigure(math.nan, 0, None, "no benchmark")
    known = assumptions.options(evidence.periods)
    options = {name: known[name] for name in metric.options}
    value = float(metric.function(*evidence.inputs, **options))
    if math.isnan(value):
        reason = metric.why_undefined(evidence.observations)
        return SureFigure(value, evidence.observations, None, reason)
    interval = uncertainty(metric, *evidence.inputs, options=options, picks=evidence.picks)
    return SureFigure(value, evidence.observations, interval, "")
