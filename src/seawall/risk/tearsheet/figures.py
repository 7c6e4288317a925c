"""How the page names and writes figures, and how sure each is."""

from dataclasses import dataclass
from decimal import Decimal

from seawall.quant.metrics.metric import Unit
from seawall.quant.metrics.registry import FAMILIES, REGISTRY
from seawall.risk.schemas import ASKED, Figure, RiskReport
from seawall.risk.tearsheet.gather import TearSheet

MINUS = "\u2212"
UNDEFINED = "\u2013"
HEADLINES = (
    "volatility",
    "value_at_risk",
    "expected_shortfall",
    "max_drawdown",
    "sharpe_ratio",
    "sortino_ratio",
    "beta",
    "effective_n",
)
_VAR_ASKED, _SHORTFALL_ASKED = ASKED
_TAIL = {
    "value_at_risk": "Value at risk",
    _VAR_ASKED: "Value at risk",
    _SHORTFALL_ASKED: "Expected shortfall",
}
"""What is at the confidence asked for, by the method and over the horizon asked for."""
_LOSSES = frozenset({*_TAIL, "var_95", "var_99", "expected_shortfall", "max_drawdown"})
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure in words: its name, value and interval, what else is known, why it has no value."""

    slug: str
    name: str
    value: str
    interval: str
    remark: str
    reason: str


def own_figures(sheet: TearSheet) -> tuple[Shown, ...]:
    """Write every scalar figure of a report, in its order, each once."""
    question = sheet.report.question
    slugs = list(sheet.report.figures)
    if not question.is_plain_tail:
        slugs.insert(slugs.index("value_at_risk") + 1, _SHORTFALL_ASKED)
    elif question.confidence in {0.95, 0.99}:
        slugs.remove("value_at_risk")
    return tuple(show(sheet, slug) for slug in slugs)


def headlines(sheet: TearSheet) -> tuple[Shown, ...]:
    """Write the figures that come first."""
    asked = {} if sheet.report.question.is_plain_tail else {"expected_shortfall": _SHORTFALL_ASKED}
    return tuple(show(sheet, asked.get(slug, slug)) for slug in HEADLINES)


def families(sheet: TearSheet) -> dict[str, tuple[Shown, ...]]:
    """Write every figure of the registry, by families, where the report is of all of them."""
    if not sheet.report.question.everything:
        return {}
    known = sheet.report.all_figures
    found = {
        family: tuple(show(sheet, metric.slug) for metric in metrics if metric.slug in known)
        for family, metrics in FAMILIES.items()
    }
    return {family: shown for family, shown in found.items() if shown}


def show(sheet: TearSheet, slug: str) -> Shown:
    """Write one figure of a report's own, or of those that are known with how sure they are."""
    report = sheet.report
    sure = sheet.sure.get(_VAR_ASKED if slug == "value_at_risk" else slug)
    value = report.figures.get(slug, sure.value if sure else None)
    reason = report.reasons.get(slug) or (sure.reason if sure else "") or "undefined"
    return Shown(
        slug,
        figure_name(report, slug),
        UNDEFINED if value is None else _written(slug, value),
        "" if sure is None else _interval(slug, sure),
        "" if value is None else _remark(report, slug, value),
        reason if value is None else "",
    )


def figure_name(report: RiskReport, slug: str) -> str:
    """Name a figure as the registry does; one that was asked for in particular says how."""
    question = report.question
    if slug in _TAIL:
        days = "one day" if question.horizon == 1 else f"{question.horizon} days"
        method = "" if question.is_plain_tail else f", {question.method}"
        return f"{_TAIL[slug]}, {question.confidence * 100:g}%, {days}{method}"
    name = REGISTRY[slug].name
    return f"{name} to {question.benchmark}" if slug == "beta" else name


def _written(slug: str, value: float) -> str:
    unit = Unit.FRACTION if slug in _TAIL else REGISTRY[slug].unit
    match unit:
        case Unit.FRACTION:
            return percent(value)
        case Unit.DAYS:
            return number(value, 0)
        case _:
            return number(value)


def _interval(slug: str, sure: Figure) -> str:
    if sure.low is None or sure.high is None:
        return ""
    return f"{_written(slug, sure.low)} to {_written(slug, sure.high)}"


def _remark(report: RiskReport, slug: str, value: float) -> str:
    if slug in _LOSSES and report.total_value_usd is not None:
        return f"{number(float(report.total_value_usd) * value, 0)} USD"
    if slug in report.benchmark_observations:
        return f"{report.benchmark_observations[slug]} common returns"
    return ""


def percent(value: float | None, digits: int = 2) -> str:
    """Write a fraction as a percentage, with a true minus."""
    # With a z, so that what rounds to zero has no sign.
    return UNDEFINED if value is None else f"{value:z.{digits}%}".replace("-", MINUS)


def rate(value: float) -> str:
    """Write a fraction as a percentage with no more digits than it has."""
    return f"{value * 100:.6g}%".replace("-", MINUS)


def number(value: float | Decimal | None, digits: int = _DIGITS) -> str:
    """Write a number with thousands and a true minus."""
    return UNDEFINED if value is None else f"{value:z,.{digits}f}".replace("-", MINUS)


def price(value: float | None) -> str:
    """Write a price, with more digits the smaller it is."""
    if value is None:
        return UNDEFINED
    return number(value, 2) if value >= 1 else f"{value:.6g}"


def age(seconds: float | None) -> str:
    """Write how old something is, in the unit that fits."""
    if seconds is None:
        return UNDEFINED
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"
