"""Fits the scores of risk on real daily prices, and tells how well they rank what comes.

`python -m scripts.risk_scores ../shared/data/daily` writes the table of docs/risk-scores.md, and
prints the constants that `seawall.quant.scores` should hold.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import spearmanr

from seawall.market.formats.base import ParseHints
from seawall.market.formats.parse import parse_file
from seawall.quant.scores import (
    SCALES,
    WEIGHTS,
    WINDOW,
    Component,
    Level,
    Scale,
    combine,
    daily_move,
    illiquidity,
    realised_drawdown,
)

Floats = NDArray[np.float64]
PAGE = Path(__file__).parents[1] / "docs" / "risk-scores.md"
BEGIN, END = "<!-- calibration: begin -->", "<!-- calibration: end -->"
FITTED = (Component.VOLATILITY, Component.LIQUIDITY, Component.AGE)
HORIZON = 30
LEAST_ASSETS = 5
LEAST_RETURNS = 300
FIRST = datetime(2015, 10, 1, tzinfo=UTC)
WARM_UP = 24
"""Periods that weights are fitted on before the first one that is predicted."""
SHRINKAGE = 1.0
"""How much equal weights count beside the data, in observations of the data's own spread."""
DRAWS = 4_000
PREFERENCE = ("binance", "yahoo", "coinbase")
RIVALS = ("365-day volatility", "30-day volatility", "EWMA volatility, 0.94")
SCORE, EQUAL = "score, walk-forward", "score, equal weights"


@dataclass(frozen=True)
class History:
    """One file's daily closes and volumes in USD on consecutive days; NaN where one is missing."""

    asset: str
    source: str
    first: datetime
    closes: Floats
    volumes: Floats


@dataclass(frozen=True)
class Panel:
    """One row for each asset and period: the inputs by name, and the drawdown that followed."""

    periods: NDArray[np.int64]
    starts: tuple[datetime, ...]
    inputs: Mapping[str, Floats]
    drawdowns: Floats


@dataclass(frozen=True)
class Ranking:
    """How well a figure ranks: by period, on average, and over all rows together."""

    by_period: Floats
    pooled: float

    @property
    def mean(self) -> float:
        """The mean of the periods' rank correlations."""
        return float(self.by_period.mean())


def read_histories(folder: Path) -> list[History]:
    """Read every file of daily candles."""
    found = []
    for path in sorted(folder.iterdir()):
        for parsed in parse_file(path, hints=ParseHints(now=datetime(2027, 1, 1, tzinfo=UTC))):
            records = parsed.records
            days = records["time"].astype("<M8[D]").astype(np.int64)
            at = days - days[0]
            closes, volumes = np.full(at[-1] + 1, np.nan), np.full(at[-1] + 1, np.nan)
            closes[at] = records["close"]
            quoted = records["quote_volume"]
            volumes[at] = np.where(np.isnan(quoted), records["volume"] * records["close"], quoted)
            asset = (parsed.symbol or "").partition("/")[0]
            first = datetime.fromtimestamp(int(days[0]) * 86_400, UTC)
            found.append(History(asset, parsed.exchange or "", first, closes, volumes))
    return found


def build_panel(histories: Sequence[History]) -> Panel:
    """Lay out what was known at each period's start, and what followed; periods do not overlap."""
    oldest: dict[str, datetime] = {}
    for each in histories:
        oldest[each.asset] = min(oldest.get(each.asset, each.first), each.first)
    last = max(each.first + timedelta(days=len(each.closes)) for each in histories)
    rows: list[tuple[int, dict[str, float], float]] = []
    starts: list[datetime] = []
    start = FIRST
    while start < last:
        held = {
            asset: _row(history, start, oldest[asset])
            for asset, history in _choose(histories, start).items()
        }
        if len(held) >= LEAST_ASSETS:
            rows += [(len(starts), inputs, drawdown) for inputs, drawdown in held.values()]
            starts.append(start)
        start += timedelta(days=HORIZON)
    names = rows[0][1].keys()
    return Panel(
        np.array([row[0] for row in rows]),
        tuple(starts),
        {name: np.array([row[1][name] for row in rows]) for name in names},
        np.array([row[2] for row in rows]),
    )


def _choose(histories: Sequence[History], start: datetime) -> dict[str, History]:
    """Choose one file for each asset, that holds the year before and the month after."""
    found: dict[str, History] = {}
    for source in PREFERENCE:
        for each in histories:
            if each.source != source or each.asset in found:
                continue
            at = (start - each.first).days
            closes = each.closes[max(at - WINDOW, 0) : at + HORIZON + 1]
            enough = at >= LEAST_RETURNS and at + HORIZON < len(each.closes)
            if enough and not np.isnan(closes[min(at, WINDOW)]):
                known = np.isfinite(closes[1:] / closes[:-1]).sum() - HORIZON
                if known >= LEAST_RETURNS:
                    found[each.asset] = each
    return found


def _row(history: History, start: datetime, oldest: datetime) -> tuple[dict[str, float], float]:
    at = (start - history.first).days
    closes = history.closes[max(at - WINDOW, 0) : at + 1]
    volumes = history.volumes[max(at - WINDOW, 0) : at + 1][1:]
    returns = closes[1:] / closes[:-1] - 1
    known = returns[~np.isnan(returns)]
    recent = 0.94 ** np.arange(known.size)[::-1]
    inputs = {
        Component.VOLATILITY.value: daily_move(returns),
        Component.LIQUIDITY.value: illiquidity(returns, volumes),
        Component.AGE.value: float((start - oldest).days),
        RIVALS[0]: float(np.std(known, ddof=1)),
        RIVALS[1]: float(np.std(known[-30:], ddof=1)),
        RIVALS[2]: math.sqrt(float(np.sum(recent * known**2) / np.sum(recent))),
    }
    return inputs, realised_drawdown(history.closes[at : at + HORIZON + 1])


def fit(panel: Panel, rows: NDArray[np.bool_]) -> tuple[dict[Component, Scale], Floats]:
    """Fit scales and non-negative weights, which add up to 1, to the logarithm of the drawdowns.

    A scale is centred on the median input and as wide as the deviation of the logarithms, so
    that well-known coins lie around the middle. Weights are drawn towards equal ones.
    """
    scales = {}
    for each in FITTED:
        logs = np.log(panel.inputs[each][rows])
        sign = -1 if each is Component.AGE else 1
        scales[each] = Scale(float(np.exp(np.median(logs))), sign * float(logs.std()))
    scored = _components(panel, scales)[rows]
    periods = panel.periods[rows]
    left = _centred(scored, periods)
    right = _centred(np.log(panel.drawdowns[rows])[:, None], periods)[:, 0]
    equal = np.full(len(FITTED), 1 / len(FITTED))
    slope = float(left @ equal @ right / np.sum((left @ equal) ** 2))
    pull = math.sqrt(SHRINKAGE * np.sum(left**2) / len(FITTED))
    weights, _ = nnls(
        np.vstack([left, pull * np.eye(len(FITTED))]),
        np.concatenate([right, pull * slope * equal]),
    )
    return scales, weights / weights.sum()


def _components(panel: Panel, scales: Mapping[Component, Scale]) -> Floats:
    return np.column_stack(
        [[scales[each].score(value) for value in panel.inputs[each]] for each in FITTED]
    )


def _centred(values: Floats, periods: NDArray[np.int64]) -> Floats:
    """Take each period's mean away: what is asked is which asset falls further, not when."""
    made = values.copy()
    for each in np.unique(periods):
        made[periods == each] -= made[periods == each].mean(axis=0)
    return made


def predict(panel: Panel) -> dict[str, Floats]:
    """Score every row from the warm-up on with what was known before; NaN before."""
    walked = np.full(len(panel.periods), np.nan)
    equal = walked.copy()
    for period in range(WARM_UP, len(panel.starts)):
        scales, weights = fit(panel, panel.periods < period)
        rows = panel.periods == period
        scored = _components(panel, scales)[rows]
        walked[rows], equal[rows] = scored @ weights, scored.mean(axis=1)
    components = {f"its {each} alone": panel.inputs[each] for each in FITTED}
    components[f"its {Component.AGE} alone"] = -panel.inputs[Component.AGE]
    rivals = {name: panel.inputs[name] for name in RIVALS}
    return {SCORE: walked, EQUAL: equal, **rivals, **components}


def rank(panel: Panel, values: Floats) -> Ranking:
    """Correlate ranks with the drawdowns that followed, from the warm-up on."""

    def correlate(rows: NDArray[np.bool_]) -> float:
        return float(spearmanr(values[rows], panel.drawdowns[rows]).statistic)

    periods = range(WARM_UP, len(panel.starts))
    by_period = np.array([correlate(panel.periods == each) for each in periods])
    return Ranking(by_period, correlate(panel.periods >= WARM_UP))


def interval(values: Floats) -> tuple[float, float]:
    """Return the middle 95 % of the mean's bootstrap distribution, drawing whole periods."""
    draws = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def table(panel: Panel, rankings: Mapping[str, Ranking]) -> Iterator[str]:
    """Write the page's table."""
    first, last = panel.starts[WARM_UP], panel.starts[-1] + timedelta(days=HORIZON)
    periods = len(panel.starts) - WARM_UP
    yield (
        f"{periods} periods of {HORIZON} days, {first:%Y-%m-%d} to {last:%Y-%m-%d};"
        f" {int((panel.periods >= WARM_UP).sum())} pairs of asset and period."
    )
    yield ""
    yield "| ranked by | rank correlation (95 %) | pooled |"
    yield "| --- | --- | --- |"
    for name, found in rankings.items():
        low, high = interval(found.by_period)
        yield f"| {name} | {found.mean:.3f} ({low:.3f} to {high:.3f}) | {found.pooled:.3f} |"
    yield ""
    yield from _rivals(rankings)


def _rivals(rankings: Mapping[str, Ranking]) -> Iterator[str]:
    """Write how much better the score ranks than each rival: in all, and in either half."""
    yield "| the score less | rank correlation (95 %) | first half | second half |"
    yield "| --- | --- | --- | --- |"
    for rival in RIVALS:
        difference = rankings[SCORE].by_period - rankings[rival].by_period
        low, high = interval(difference)
        first, second = np.array_split(difference, 2)
        yield (
            f"| {rival} | {difference.mean():+.3f} ({low:+.3f} to {high:+.3f}) |"
            f" {first.mean():+.3f} | {second.mean():+.3f} |"
        )


def shipped(panel: Panel) -> Iterator[str]:
    """Write how deep the drawdowns were that followed each level of the score as it is shipped."""
    scored = _components(panel, SCALES)
    found: dict[Level, list[float]] = {}
    for row, drawdown in zip(scored, panel.drawdowns, strict=True):
        made = combine(dict(zip(FITTED, map(float, row), strict=True)))
        if made is not None:
            found.setdefault(made.level, []).append(float(drawdown))
    yield "| level | scores | mean drawdown of the next 30 days | one in ten was deeper than |"
    yield "| --- | --- | --- | --- |"
    for level in Level:
        if drawdowns := found.get(level):
            deep = np.quantile(drawdowns, 0.9)
            yield f"| {level} | {len(drawdowns)} | {np.mean(drawdowns):.1%} | {deep:.1%} |"


def calibration(panel: Panel) -> str:
    """Make the page's generated part."""
    rankings = {name: rank(panel, values) for name, values in predict(panel).items()}
    rows = f"All {len(panel.periods)} pairs, by the level of the score as it is shipped:"
    lines = [*table(panel, rankings), "", rows, "", *shipped(panel)]
    return "\n".join(lines)


def placed(page: str, made: str) -> str:
    """Put the generated part between its markers."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}"


def main(folder: Path, write: Callable[[str], object] = PAGE.write_text) -> None:
    """Write the page, and print what should stand in the code."""
    panel = build_panel(read_histories(folder))
    made = calibration(panel)
    write(placed(PAGE.read_text(encoding="utf-8"), made))
    scales, weights = fit(panel, np.ones(len(panel.periods), bool))
    share = sum(WEIGHTS[each] for each in FITTED)
    print(made)
    for each, weight in zip(FITTED, weights, strict=True):
        print(f"{each}: {scales[each]} weight {share * weight:.3f}; held: {SCALES[each]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
