"""The charts of a tear sheet, each with the reason where it cannot be drawn."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from seawall.core.time import DAY
from seawall.quant.attribution import RiskMeasure
from seawall.risk.attribution import AttributedMeasure, RiskAttribution
from seawall.risk.tearsheet.axes import percent_label
from seawall.risk.tearsheet.bars import Shares, shares_chart
from seawall.risk.tearsheet.curves import (
    Curve,
    drawdown,
    growth,
    growth_of_closes,
    histogram,
    rolling_volatility,
)
from seawall.risk.tearsheet.distribution import distribution_chart
from seawall.risk.tearsheet.figures import number, percent
from seawall.risk.tearsheet.gather import History, TearSheet
from seawall.risk.tearsheet.lines import LineStyle, Series, Words, line_chart
from seawall.risk.tearsheet.svg import Chart

MOST_PARTS = 10
"""Parts that have bars of their own; the smaller ones are put together."""
ROLLING = (30, 90)
_FEWEST = 2


def draw(sheet: TearSheet) -> dict[str, Chart]:
    """Draw every chart, by its key."""
    charts = (
        _growth(sheet),
        _drawdown(sheet),
        _distribution(sheet),
        _rolling(sheet),
        _shares("by-asset", "Risk contributions by holding", sheet.by_asset),
        _shares("by-class", "Risk contributions by asset class", sheet.by_class),
    )
    return {chart.key: chart for chart in charts}


def _lacking(sheet: TearSheet, needed: int = _FEWEST) -> str:
    """Say why there is nothing to draw; empty when there is."""
    if sheet.by_asset.reason:
        return sheet.by_asset.reason
    have = sheet.history.returns.size
    return "" if have >= needed else f"needs at least {needed} daily returns, has {have}"


def _span(history: History) -> tuple[float, float]:
    """Return the first and the last day that every chart shows."""
    return float(history.rows[0] - 1), float(history.rows[-1])


def _growth(sheet: TearSheet) -> Chart:
    words = Words("growth", "Growth of 1 at current weights", "")
    if reason := _lacking(sheet):
        return Chart(words.key, words.title, reason=reason)
    history, question = sheet.history, sheet.report.question
    own = growth(history.rows, history.returns)
    series = [Series(sheet.report.portfolio, "own", own)]
    caption = _gaps(sheet)
    ends = f"It ends at {number(float(own.values[-1]), 2)}."
    if history.benchmark is None:
        caption += f" No prices of {question.benchmark} are held to compare it with."
    else:
        other = growth_of_closes(history.benchmark, own)
        if np.count_nonzero(~np.isnan(other.values)) < _FEWEST:
            caption += f" {question.benchmark} has no closes on these days."
        else:
            series.append(Series(question.benchmark, "benchmark", other))
            last = number(float(other.values[~np.isnan(other.values)][-1]), 2)
            ends += f" {question.benchmark} ends at {last}."
    described = replace(
        words,
        description=f"What 1 became, held at the weights of now. {ends}",
        caption=caption.strip(),
    )
    return line_chart(
        described, history.start, series, LineStyle(_times_label, 1.0, _span(history))
    )


def _gaps(sheet: TearSheet) -> str:
    missing = sheet.report.missing
    if not missing:
        return ""
    days = "day is" if missing == 1 else "days are"
    return f"{missing} of the window's {days} missing; the line breaks there and goes on level."


def _times_label(value: float, step: float) -> str:
    return f"{value:.2f}" if step < 0.1 else f"{value:,.1f}"  # noqa: PLR2004


def _drawdown(sheet: TearSheet) -> Chart:
    words = Words("drawdown", "Drawdown", "")
    if reason := _lacking(sheet):
        return Chart(words.key, words.title, reason=reason)
    history = sheet.history
    fallen = drawdown(growth(history.rows, history.returns))
    at = int(np.nanargmin(fallen.values))
    day = history.start + float(fallen.days[at]) * DAY
    worst = f"It is deepest on {day:%Y-%m-%d}, at {percent(float(fallen.values[at]))}."
    now = f"It ends at {percent(float(fallen.values[-1]))}."
    described = replace(
        words, description=f"The fall from the last peak. {worst} {now}", caption=worst
    )
    series = [Series("below the last peak", "underwater", fallen, filled=True)]
    return line_chart(
        described, history.start, series, LineStyle(percent_label, 0.0, _span(history))
    )


def _distribution(sheet: TearSheet) -> Chart:
    words = Words("distribution", "Distribution of daily returns", "")
    if reason := _lacking(sheet):
        return Chart(words.key, words.title, reason=reason)
    level = f"{sheet.report.question.confidence * 100:g} %"
    marks, told = [], []
    for class_, short, measure in (
        ("var", f"VaR {level}", RiskMeasure.VALUE_AT_RISK),
        ("es", f"ES {level}", RiskMeasure.EXPECTED_SHORTFALL),
    ):
        total = measure_of(sheet.by_asset, measure).total
        if total is None:
            told.append(f"{short}: {measure_of(sheet.by_asset, measure).reason}.")
        else:
            marks.append((class_, short, -total))
            told.append(f"{short}: a loss of {percent(total)}.")
    if marks and not sheet.report.question.is_plain_tail:
        told.append("Both are of the past days as they were, over one day.")
    returns = sheet.history.returns
    described = replace(
        words,
        description=f"How often which return came, on {returns.size} days, from"
        f" {percent(float(returns.min()))} to {percent(float(returns.max()))}. {' '.join(told)}",
        caption=" ".join(told),
    )
    return distribution_chart(described, histogram(returns), marks)


def _rolling(sheet: TearSheet) -> Chart:
    title = f"Rolling volatility, {ROLLING[0]} and {ROLLING[1]} days, annualised"
    words = Words("rolling", title, "")
    if reason := _lacking(sheet):
        return Chart(words.key, words.title, reason=reason)
    history = sheet.history
    curves = {each: rolling_volatility(history.rows, history.returns, each) for each in ROLLING}
    told = " ".join(_last_of(length, curve) for length, curve in curves.items())
    if not any(_is_drawn(curve) for curve in curves.values()):
        needed = ROLLING[0] + 1
        have = f"{history.returns.size} daily returns"
        return Chart(
            words.key, title, reason=f"needs at least {needed} daily returns in a row, of {have}"
        )
    series = [
        Series(f"{length} days", f"rolling-{length}", curve) for length, curve in curves.items()
    ]
    described = replace(words, description=told, caption=_short(curves))
    return line_chart(
        described, history.start, series, LineStyle(percent_label, 0.0, _span(history))
    )


def _is_drawn(curve: Curve) -> bool:
    return int(np.count_nonzero(~np.isnan(curve.values))) >= _FEWEST


def _short(curves: dict[int, Curve]) -> str:
    lacking = [str(length) for length, curve in curves.items() if not _is_drawn(curve)]
    if not lacking:
        return ""
    return f"There are too few daily returns in a row for {' and '.join(lacking)} days."


def _last_of(length: int, curve: Curve) -> str:
    if not _is_drawn(curve):
        return f"Over {length} days there is none."
    known = curve.values[~np.isnan(curve.values)]
    lowest, highest = percent(float(known.min()), 1), percent(float(known.max()), 1)
    last = percent(float(known[-1]), 1)
    return f"Over {length} days it lies between {lowest} and {highest} and ends at {last}."


def measure_of(found: RiskAttribution, measure: RiskMeasure) -> AttributedMeasure:
    """Return one measure of an attribution that has any."""
    return next(each for each in found.measures if each.measure is measure)


def _shares(key: str, title: str, found: RiskAttribution) -> Chart:
    if found.reason:
        return Chart(key, title, reason=found.reason)
    volatility = measure_of(found, RiskMeasure.VOLATILITY)
    shortfall = measure_of(found, RiskMeasure.EXPECTED_SHORTFALL)
    of_volatility = {part.name: part.share for part in volatility.parts}
    of_shortfall = {part.name: part.share for part in shortfall.parts}
    parts = [
        Shares(part.name, (part.weight, of_volatility[part.name], of_shortfall[part.name]))
        for part in volatility.parts
    ]
    if len(parts) > MOST_PARTS:
        rest = parts[MOST_PARTS - 1 :]
        parts = [*parts[: MOST_PARTS - 1], Shares(f"{len(rest)} others", _together(rest))]
    reasons = dict.fromkeys(
        f"{name}: {each.reason}."
        for name, each in (("Volatility", volatility), ("Expected shortfall", shortfall))
        if each.reason
    )
    told = "; ".join(
        f"{part.name} {percent(part.of[0], 1)} of the value, {percent(part.of[1], 1)} of the"
        f" volatility, {percent(part.of[2], 1)} of the expected shortfall"
        for part in parts
    )
    return shares_chart(Words(key, title, f"{told}.", " ".join(reasons)), parts)


def _together(parts: list[Shares]) -> tuple[float | None, float | None, float | None]:
    def total(pick: Callable[[Shares], float | None]) -> float | None:
        values = [pick(part) for part in parts]
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(values) else None

    return (
        total(lambda part: part.of[0]),
        total(lambda part: part.of[1]),
        total(lambda part: part.of[2]),
    )
