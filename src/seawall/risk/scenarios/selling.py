"""Selling everything: how long the market takes it, what stays unsold, and what it costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.money import multiply
from seawall.core.time import DAY
from seawall.market import series
from seawall.market.prices import USD
from seawall.portfolios.valuation import as_decimal
from seawall.quant.stress.liquidity import days_to_exit, sold_within, square_root_impact
from seawall.quant.types import FloatArray
from seawall.risk.exposure import Window
from seawall.risk.scenarios.outcome import Outcome, known, total_loss
from seawall.risk.scenarios.schemas import AssetStress, Fact, Selling, Source
from seawall.risk.scenarios.subject import Subject

VOLUME_DAYS = 30
"""The days before the instant of which the average volume is taken."""


@dataclass(frozen=True, slots=True)
class Volume:
    """What is traded of an asset on an average day in USD, of how many days and where."""

    usd: float
    days: int
    source: str


async def read_volumes(session: AsyncSession, subject: Subject) -> dict[str, Volume]:
    """Read the average daily volume of the pair by which each holding is priced.

    One that counts as money, or has no volume on the last 30 days, is left out.
    """
    end = Window(subject.as_of, 0).last
    between = (end - VOLUME_DAYS * DAY, end)
    found: dict[str, Volume] = {}
    for asset in subject.assets:
        if subject.is_money(asset):
            continue
        pair = subject.valuation.prices[asset].best(subject.as_of)
        assert pair is not None  # noqa: S101 - what has closes has a pair
        held = await series.timeframes_of(session, [pair.symbol.id])
        for timeframe in held.get(pair.symbol.id, []):
            volume = await series.daily_volume(
                session, pair.symbol.id, timeframe, between, subject.moment.known_at
            )
            if volume is not None:
                source = f"{pair.symbol.exchange} {pair.symbol.symbol}"
                found[asset] = Volume(volume[0], volume[1], source)
                break
    return found


def sell(subject: Subject, asked: Selling, volumes: Mapping[str, Volume]) -> Outcome:
    """Sell all that is held at a share of the daily volume; the loss is the slippage."""
    title = f"Selling at {asked.participation * 100:g} % of the volume for {asked.horizon:g} days"
    values = np.array([float(value) for value in subject.values.values()])
    traded = np.array([_traded(subject, asset, volumes) for asset in subject.assets])
    deviations = np.array([subject.deviation(asset) for asset in subject.assets])
    days = days_to_exit(values, traded, asked.participation)
    sold = sold_within(values, traded, asked.participation, asked.horizon)
    cost = square_root_impact(sold, traded, deviations) * sold
    assets = tuple(
        AssetStress(
            asset=asset,
            value_usd=subject.values[asset],
            weight=float(weight),
            shock=known(_part(float(-cost[at]), float(values[at]))),
            loss_usd=_loss(asset, float(cost[at])),
            source=_source(subject, asset, float(cost[at])),
            facts=_facts(volumes.get(asset), float(days[at]), float(values[at] - sold[at])),
        )
        for at, (asset, weight) in enumerate(zip(subject.assets, subject.weights, strict=True))
    )
    return Outcome(
        title=title,
        assets=assets,
        loss_usd=total_loss(assets),
        figures={
            "days_to_exit": known(float(days.max())),
            "slowest": _slowest(subject, days),
            "unsold_usd": known(float((values - sold).sum())),
        },
        reasons=_reasons(subject, traded, days, cost),
        notes=_notes(subject, volumes),
    )


def _traded(subject: Subject, asset: str, volumes: Mapping[str, Volume]) -> float:
    if subject.is_money(asset):
        return math.inf
    return volumes[asset].usd if asset in volumes else math.nan


def _part(cost: float, value: float) -> float:
    return cost / value if value else 0.0


def _slowest(subject: Subject, days: FloatArray) -> str | None:
    return None if np.isnan(days).any() else subject.assets[int(np.argmax(days))]


def _source(subject: Subject, asset: str, cost: float) -> Source:
    if subject.is_money(asset):
        return Source.STILL
    return Source.UNKNOWN if math.isnan(cost) else Source.MODEL


def _loss(asset: str, cost: float) -> Decimal | None:
    if math.isnan(cost):
        return None
    return multiply(Decimal(1), as_decimal(cost), f"the slippage of {asset}")


def _facts(volume: Volume | None, days: float, unsold: float) -> dict[str, Fact]:
    return {
        "days_to_exit": known(days),
        "unsold_usd": known(unsold),
        "daily_volume_usd": None if volume is None else volume.usd,
        "volume_days": 0 if volume is None else volume.days,
        "volume_source": "" if volume is None else volume.source,
    }


def _reasons(
    subject: Subject, traded: FloatArray, days: FloatArray, cost: FloatArray
) -> dict[str, str]:
    reasons = {"recovery": "what selling costs does not come back"}
    blind = [a for a, volume in zip(subject.assets, traded, strict=True) if math.isnan(volume)]
    stuck = [a for a, took in zip(subject.assets, days, strict=True) if math.isinf(took)]
    rough = [a for a, paid in zip(subject.assets, cost, strict=True) if math.isnan(paid)]
    if blind:
        why = f"no volume of the last {VOLUME_DAYS} days is held: {', '.join(blind)}"
        return reasons | {"loss": why, "days_to_exit": why, "unsold_usd": why}
    if stuck:
        reasons["days_to_exit"] = f"nothing was traded: {', '.join(stuck)}"
    if rough:
        reasons["loss"] = f"too few returns for a deviation: {', '.join(rough)}"
    return reasons


def _notes(subject: Subject, volumes: Mapping[str, Volume]) -> tuple[str, ...]:
    notes = []
    if volumes:
        notes.append(
            "Each volume is that of the one pair that prices the holding; slippage goes by the"
            " square-root law."
        )
    money = [asset for asset in subject.assets if subject.is_money(asset) and asset != USD]
    if money:
        notes.append(f"{', '.join(money)}: counted as money, for no price of it is held.")
    return tuple(notes)
