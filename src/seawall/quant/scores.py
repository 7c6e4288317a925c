"""How risky an asset is, from 0 to 100: components on one scale, with weights that add up.

A component's input is put on a logistic scale of its logarithm, so that each component is monotone
and none can leave 0 to 100. The centres, widths and weights of volatility, liquidity and age were
fitted with `python -m scripts.risk_scores` on the daily prices of ten coins, 86 periods of 30 days
from 2019-02 to 2026-03; docs/risk-scores.md says how well they predict. Those of the other
components are judgements: no history of their inputs is held.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray, as_vector

WINDOW = 365
"""Daily returns that a score looks back over."""
LIQUIDITY_DAYS = 90
HALF_LIFE = 40
"""Days after which a return counts half in the recent volatility."""
LEAST_RETURNS = 30


class Component(StrEnum):
    """What a score is made of."""

    VOLATILITY = "volatility"
    LIQUIDITY = "liquidity"
    AGE = "age"
    SIZE = "size"
    SOCIAL_SENTIMENT = "social_sentiment"
    ON_CHAIN = "on_chain"
    LISTINGS = "listings"
    AUDIT = "audit"
    TEAM = "team"


class Level(StrEnum):
    """How risky a score is, in a word; the levels meet at 25, 50 and 75."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    EXTREME = "extreme"


@dataclass(frozen=True, slots=True)
class Scale:
    """A logistic scale of the logarithm of an input: 50 at `centre`.

    A positive `width` makes more of the input riskier, a negative one less risky.
    """

    centre: float
    width: float

    def score(self, value: float) -> float:
        """Map a value from 0 up to 0 to 100; NaN stays NaN."""
        if math.isnan(value) or value < 0:
            return math.nan
        if value == 0:
            return 0.0 if self.width > 0 else 100.0
        if math.isinf(value):
            return 100.0 if self.width > 0 else 0.0
        along = (math.log(value) - math.log(self.centre)) / self.width
        return 100 / (1 + math.exp(-min(max(along, -500.0), 500.0)))


SCALES: Mapping[Component, Scale] = {
    Component.VOLATILITY: Scale(0.038, 0.31),
    Component.LIQUIDITY: Scale(1.3e-10, 2.5),
    Component.AGE: Scale(1_630.0, -0.65),
    Component.SIZE: Scale(1e9, -math.log(10)),
    Component.ON_CHAIN: Scale(1.0, -0.5),
    Component.LISTINGS: Scale(10.0, -math.log(3)),
}
"""Of: the daily move; Amihud's illiquidity per USD; days; USD; the growth of activity; venues."""

STATUSES: Mapping[Component, Mapping[str, float]] = {
    Component.AUDIT: {"audited": 10.0, "unaudited": 70.0, "known_issues": 100.0},
    Component.TEAM: {"doxxed": 10.0, "partial": 50.0, "anonymous": 90.0},
}

WEIGHTS: Mapping[Component, float] = {
    Component.VOLATILITY: 0.30,
    Component.LIQUIDITY: 0.19,
    Component.AGE: 0.21,
    Component.SIZE: 0.10,
    Component.SOCIAL_SENTIMENT: 0.04,
    Component.ON_CHAIN: 0.04,
    Component.LISTINGS: 0.04,
    Component.AUDIT: 0.04,
    Component.TEAM: 0.04,
}
"""What each component weighs when all are known; of those that are, they are scaled to 1."""


def daily_move(returns: ArrayLike) -> float:
    """Measure how far an asset moves in a day, from (T,) daily returns, the newest last.

    The geometric mean of the mean absolute return, which no single day can dominate, and of the
    exponentially weighted volatility, which is of now. NaN from fewer than 30 returns.
    """
    values = as_vector(returns)
    values = values[~np.isnan(values)]
    if values.size < LEAST_RETURNS:
        return math.nan
    weights = 0.5 ** (np.arange(values.size)[::-1] / HALF_LIFE)
    recent = math.sqrt(float(np.sum(weights * values * values) / np.sum(weights)))
    return math.sqrt(float(np.mean(np.abs(values))) * recent)


def illiquidity(returns: ArrayLike, volumes: ArrayLike) -> float:
    """Measure how far a traded USD moves the price: the mean of |r| over the volume of the day.

    `volumes` are in USD; days without a return or a volume above 0 are left out, and only the last
    90 are looked at. NaN from fewer than 30. Source: Amihud (2002), "Illiquidity and stock
    returns", Journal of Financial Markets 5(1).
    """
    moves, traded = np.abs(as_vector(returns)), as_vector(volumes)
    if moves.shape != traded.shape:
        raise InvalidError(f"{moves.size} returns and {traded.size} volumes do not go together.")
    moves, traded = moves[-LIQUIDITY_DAYS:], traded[-LIQUIDITY_DAYS:]
    known = np.isfinite(moves) & np.isfinite(traded) & (traded > 0)
    if np.count_nonzero(known) < LEAST_RETURNS:
        return math.nan
    return float(np.mean(moves[known] / traded[known]))


def realised_drawdown(closes: ArrayLike) -> float:
    """Measure the largest fall from a peak of (T,) closes, without those that are missing."""
    path: FloatArray = as_vector(closes)
    path = path[~np.isnan(path)]
    if path.size == 0:
        return math.nan
    return float(np.max(1 - path / np.maximum.accumulate(path)))


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a score: its own score, its weight, and what it adds."""

    score: float
    weight: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Score:
    """A score with its level and its parts, whose contributions add up to it."""

    value: float
    level: Level
    parts: Mapping[Component, Part]


def combine(scores: Mapping[Component, float]) -> Score | None:
    """Weigh component scores; those that are NaN or missing are left out and the rest scaled up.

    None without volatility: what else is known of an asset does not say how much can be lost.
    """
    known = {each: scores[each] for each in Component if not math.isnan(scores.get(each, math.nan))}
    if Component.VOLATILITY not in known:
        return None
    total = math.fsum(WEIGHTS[each] for each in known)
    parts = {
        each: Part(score, WEIGHTS[each] / total, score * (WEIGHTS[each] / total))
        for each, score in known.items()
    }
    value = math.fsum(part.contribution for part in parts.values())
    value = min(max(value, 0.0), 100.0)
    return Score(value, level_of(value), parts)


def level_of(score: float) -> Level:
    """Say in a word how risky a score is."""
    for level, below in ((Level.LOW, 25), (Level.MEDIUM, 50), (Level.HIGH, 75)):
        if score < below:
            return level
    return Level.EXTREME
