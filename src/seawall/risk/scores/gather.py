"""What is known of an asset for its score, as of an instant, and how old each of it is."""

import math
from collections.abc import Mapping
from datetime import datetime

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import DAY, iso
from seawall.market import series
from seawall.market.prices import AssetPrices, PairPrices, read_prices
from seawall.market.store import AssetRecord
from seawall.portfolios.valuation import Moment
from seawall.quant import scores
from seawall.quant.scores import Component
from seawall.quant.types import FloatArray
from seawall.risk.exposure import Window
from seawall.risk.scores import store
from seawall.risk.scores.schemas import Fact, Facts

_NO_PRICES = Fact(None, reason="no price is known")
SERIES = frozenset({Component.VOLATILITY, Component.LIQUIDITY, Component.AGE})
"""The components whose facts are held with their revisions, and so can be read again as known."""


async def gather(session: AsyncSession, asset: AssetRecord, moment: Moment) -> Facts:
    """Read all that is known of an asset as of a moment."""
    facts = {
        **await gather_series(session, asset, moment),
        Component.SIZE: await _size(session, asset, moment),
        Component.SOCIAL_SENTIMENT: await _talk(session, asset, moment),
        Component.ON_CHAIN: await _activity(session, asset, moment),
        **await _catalogued(session, asset, moment),
    }
    return Facts(asset.symbol, asset.id, moment.as_of, moment.known_at, facts)


async def gather_series(
    session: AsyncSession, asset: AssetRecord, moment: Moment
) -> dict[Component, Fact]:
    """Read what prices and volumes say of an asset, as they were known at the moment."""
    window = Window(moment.as_of, scores.WINDOW)
    read = await read_prices(session, [asset], [moment.as_of], window.midnights, moment.known_at)
    prices = read[asset.symbol]
    pair = prices.best(moment.as_of)
    if pair is None:
        return dict.fromkeys(SERIES, _NO_PRICES)
    closes = window.grid(pair.closes)
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = closes[1:] / closes[:-1] - 1
    time = pair.at[moment.as_of].time
    return {
        Component.VOLATILITY: _volatility(returns, time),
        Component.LIQUIDITY: await _liquidity(session, pair, returns, moment),
        Component.AGE: _age(prices, moment.as_of),
    }


def _volatility(returns: FloatArray, time: datetime) -> Fact:
    move = scores.daily_move(returns)
    if math.isnan(move):
        return Fact(None, time, _too_few("returns", int(np.sum(~np.isnan(returns)))))
    return Fact(move, time)


def _too_few(what: str, count: int) -> str:
    return f"needs at least {scores.LEAST_RETURNS} daily {what}, there are {count}"


async def _liquidity(
    session: AsyncSession, pair: PairPrices, returns: FloatArray, moment: Moment
) -> Fact:
    window = Window(moment.as_of, scores.WINDOW)
    held = await series.timeframes_of(session, [pair.symbol.id])
    longest = held[pair.symbol.id][0]
    read = await store.daily_volumes(
        session, pair.symbol.id, longest, window.midnights, moment.known_at
    )
    if not len(read):
        return Fact(None, reason="no volume is known")
    records = np.zeros(len(read), series.CLOSES_DTYPE)
    records["known"], records["close"] = read["known"], read["volume"]
    found = scores.illiquidity(returns, window.grid(records)[1:])
    last = read["known"][-1].astype("datetime64[us]").item().replace(tzinfo=moment.as_of.tzinfo)
    if math.isnan(found):
        return Fact(None, last, _too_few("returns with a volume", len(read)))
    return Fact(found, last)


def _age(prices: AssetPrices, as_of: datetime) -> Fact:
    since = min(pair.since for pair in prices.pairs)
    return Fact((as_of - since).total_seconds() / 86_400, since)


async def _size(session: AsyncSession, asset: AssetRecord, moment: Moment) -> Fact:
    found = await store.capitalisation(session, asset.id, moment.as_of, moment.known_at)
    if found is None:
        return Fact(None, reason="no market capitalisation of the last 30 days is known")
    return Fact(*found)


async def _talk(session: AsyncSession, asset: AssetRecord, moment: Moment) -> Fact:
    found = await store.talk(session, asset.id, moment.as_of, moment.known_at)
    return (
        Fact(None, reason="no sentiment of the last 7 days is known")
        if found is None
        else Fact(*found)
    )


async def _activity(session: AsyncSession, asset: AssetRecord, moment: Moment) -> Fact:
    now, before, time = await store.activity(session, asset.id, moment.as_of, moment.known_at)
    if now is None or not before:
        return Fact(None, time, "no active addresses of the last 60 days are known")
    return Fact(max(now / before, 0.0), time)


async def _catalogued(
    session: AsyncSession, asset: AssetRecord, moment: Moment
) -> Mapping[Component, Fact]:
    """Read what the catalogue says now: it keeps no history, so of the past it tells little."""
    said = await store.catalogued(session, asset.id)
    if said.updated_at > moment.as_of and moment.known_at - moment.as_of > DAY:
        later = Fact(None, reason=f"the catalogue was changed since, at {iso(said.updated_at)}")
        return dict.fromkeys((Component.LISTINGS, Component.AUDIT, Component.TEAM), later)

    time = min(said.updated_at, moment.as_of)

    def fact(value: float | str | None) -> Fact:
        return Fact(None, reason="nobody said") if value is None else Fact(value, time)

    listings = None if said.listings is None else float(said.listings)
    return {
        Component.LISTINGS: fact(listings),
        Component.AUDIT: fact(said.audit_status),
        Component.TEAM: fact(said.team_status),
    }
