"""Every metric of the registry for a report, beside the figures that each report has."""

import math
from collections.abc import Mapping

from seawall.market.pairs import SP500
from seawall.quant.metrics.measure_all import Assumptions, SureFigure, measure_all
from seawall.quant.metrics.metric import Input
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import match_benchmark
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray
from seawall.risk.benchmarks import BTC
from seawall.risk.exposure import Exposure
from seawall.risk.schemas import Figure, RiskReport


def daily_rate(annual: float) -> float:
    """Return the rate per day that compounds to one per year."""
    return math.expm1(math.log1p(annual) / PERIODS_PER_YEAR)


def all_figures(
    made: RiskReport, exposure: Exposure, closes: Mapping[str, FloatArray]
) -> dict[str, Figure]:
    """Measure every scalar metric of what a report is of; what the report has itself stays as is.

    `closes` (days + 1,) are the benchmarks', by name; one that is missing is not held.
    """
    question, history = made.question, exposure.history
    names = {Input.BENCHMARK: question.benchmark, Input.BTC: BTC, Input.SP500: SP500}
    matched = {
        which: match_benchmark(history.rows, closes[name])
        for which, name in names.items()
        if name in closes
    }
    assumptions = Assumptions(question.risk_free, question.trials)
    found = measure_all(exposure.weights, history.returns, matched, assumptions)
    unheld = {
        which: f"no prices of {name} are held"
        for which, name in names.items()
        if name not in closes
    }
    figures = {}
    for slug, figure in found.items():
        # One report shows one number, to the last bit.
        value = made.figures.get(slug, defined(figure.value))
        figures[slug] = _figure(figure, value, unheld.get(REGISTRY[slug].takes, figure.reason))
    return figures


def defined(value: float) -> float | None:
    """Return a figure, None for one that is undefined."""
    return None if math.isnan(value) else float(value)


def _figure(found: SureFigure, value: float | None, reason: str) -> Figure:
    interval = found.interval
    if value is None or interval is None:
        return Figure(value, None, None, None, found.observations, reason)
    return Figure(
        value, interval.low, interval.high, interval.standard_error, found.observations, reason
    )


def no_figures(made: RiskReport) -> dict[str, Figure]:
    """Say of every scalar metric why a portfolio without risk has none."""
    reason = next(iter(made.reasons.values()))
    return {
        slug: Figure(None, None, None, None, 0, reason)
        for slug, metric in REGISTRY.items()
        if metric.takes is not Input.ASSETS
    }
