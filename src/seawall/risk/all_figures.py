"""Every metric of the registry for a report, beside the figures that each report has."""

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist

from seawall.core.errors import InvalidError
from seawall.market.pairs import SP500
from seawall.quant.metrics.inference import LEVEL
from seawall.quant.metrics.measure_all import Assumptions, SureFigure, measure_all
from seawall.quant.metrics.metric import Input
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import match_benchmark
from seawall.quant.tails import TailMethod, TailRisk, tail_risk
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray
from seawall.risk.benchmarks import BTC
from seawall.risk.exposure import Exposure
from seawall.risk.schemas import ASKED, Figure, RiskReport

_PLAIN = {0.95: ("var_95", "expected_shortfall"), 0.99: ("var_99",)}
"""The registry's own tail of past days, by its confidence: value at risk, then shortfall."""


def parse_method(text: str) -> TailMethod:
    """Read the name of a method.

    Raises:
        InvalidError: there is none of this name.
    """
    try:
        return TailMethod(text)
    except ValueError:
        raise InvalidError(
            f"There is no method {text!r} for the tail.",
            hint=f"Choose of: {', '.join(TailMethod)}.",
        ) from None


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


def with_tail(made: RiskReport, exposure: Exposure) -> RiskReport:
    """Add the tail by the method, at the confidence and over the horizon that the report is asked.

    Its value at risk is then the report's own; of the plain tail the report has one already.
    """
    question = made.question
    found = tail_risk(exposure.weights, exposure.history.returns, question.tail)
    figures = dict(made.all_figures)
    for slug, value, error in zip(
        ASKED, (found.var, found.es), (found.var_error, found.es_error), strict=True
    ):
        figures[slug] = _with_error(value, error, found)
    if question.is_plain_tail:
        figures[ASKED[0]] = replace(figures[ASKED[0]], value=made.figures["value_at_risk"])
        # What the registry has of the same tail already is as sure here as there.
        same = zip(ASKED, _PLAIN.get(question.confidence, ()), strict=False)
        figures |= {asked: figures[slug] for asked, slug in same if slug in figures}
        return replace(made, all_figures=figures)
    reasons = dict(made.reasons)
    if found.reason:
        reasons["value_at_risk"] = found.reason
    else:
        reasons.pop("value_at_risk", None)
    return replace(
        made,
        figures={**made.figures, "value_at_risk": figures[ASKED[0]].value},
        reasons=reasons,
        all_figures=figures,
    )


def _with_error(value: float, error: float, found: TailRisk) -> Figure:
    if not math.isfinite(error):
        return Figure(defined(value), None, None, None, found.observations, found.reason)
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
    return Figure(value, value - reach, value + reach, error, found.observations, found.reason)


def no_figures(made: RiskReport) -> dict[str, Figure]:
    """Say of every figure that is asked for why a portfolio without risk has none."""
    reason, question = next(iter(made.reasons.values())), made.question
    slugs = [slug for slug, each in REGISTRY.items() if each.takes is not Input.ASSETS]
    asked = [*(slugs if question.everything else ())]
    asked += [*(ASKED if question.everything or not question.is_plain_tail else ())]
    return {slug: Figure(None, None, None, None, 0, reason) for slug in asked}
