"""How the page names and writes figures."""

from dataclasses import dataclass
from decimal import Decimal

from seawall.quant.metrics.metric import Unit
from seawall.quant.metrics.registry import REGISTRY
from seawall.risk.schemas import RiskReport

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
_LOSSES = frozenset({"var_95", "var_99", "value_at_risk", "expected_shortfall", "max_drawdown"})
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure in words: its name, its value, what else is known of it, and why it has none."""

    slug: str
    name: str
    value: str
    remark: str
    reason: str


def all_figures(report: RiskReport) -> tuple[Shown, ...]:
    """Write every scalar figure of a report, in its order, each once."""
    repeated = {"value_at_risk"} if report.question.confidence in {0.95, 0.99} else set()
    return tuple(show(report, slug) for slug in report.figures if slug not in repeated)


def headlines(report: RiskReport) -> tuple[Shown, ...]:
    """Write the figures that come first."""
    return tuple(show(report, slug) for slug in HEADLINES if slug in report.figures)


def show(report: RiskReport, slug: str) -> Shown:
    """Write one figure."""
    value = report.figures[slug]
    return Shown(
        slug,
        figure_name(report, slug),
        UNDEFINED if value is None else _written(slug, value),
        "" if value is None else _remark(report, slug, value),
        report.reasons.get(slug, "undefined") if value is None else "",
    )


def figure_name(report: RiskReport, slug: str) -> str:
    """Name a figure as the registry does; that at the confidence asked for says which it is."""
    if slug == "value_at_risk":
        return f"Value at risk, {report.question.confidence * 100:g}%, one day"
    name = REGISTRY[slug].name if slug in REGISTRY else slug.replace("_", " ").capitalize()
    return f"{name} to {report.question.benchmark}" if slug == "beta" else name


def _written(slug: str, value: float) -> str:
    fraction = slug == "value_at_risk" or (
        slug in REGISTRY and REGISTRY[slug].unit is Unit.FRACTION
    )
    return percent(value) if fraction else number(value)


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
