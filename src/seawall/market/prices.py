"""An asset's price in USD: which pair it is taken from, and what it was at an instant.

Every pair against USD or a USD stablecoin is a candidate. A fresh price beats a stale one, USD
beats a stablecoin, a longer history beats a shorter one, and the exchange's name settles the rest:
nothing in it depends on what is asked. A stablecoin counts as one USD where nothing better is held,
and the price says so.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.bulk import Records
from seawall.market import series, store
from seawall.market.catalog import INDEX
from seawall.market.pairs import USD_STABLECOINS
from seawall.market.schemas import Timeframe
from seawall.market.store import AssetRecord, SymbolRecord

FRESH_FOR = timedelta(days=2)
USD = "USD"


@dataclass(frozen=True, slots=True)
class Price:
    """An asset's price in USD at an instant, from when and where it is.

    `source` is the candles it comes from, empty for one that is 1 by definition; `note` is what
    was assumed.
    """

    usd: float
    time: datetime
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PairPrices:
    """What a pair's candles say: the price at each moment asked about, and the daily closes.

    `closes` are at midnights, each of the longest timeframe that has one; `since` is when the
    first candle that is known opened.
    """

    symbol: SymbolRecord
    since: datetime
    at: Mapping[datetime, Price]
    closes: Records


@dataclass(frozen=True, slots=True)
class AssetPrices:
    """Every pair that prices an asset in USD, and how to choose among them."""

    asset: str
    pairs: tuple[PairPrices, ...]

    def best(self, moment: datetime) -> PairPrices | None:
        """Return the pair from which the asset is priced at a moment, None when none knows."""
        known = [pair for pair in self.pairs if moment in pair.at]
        return min(known, key=lambda pair: _preference(pair, moment), default=None)

    def at(self, moment: datetime) -> Price | None:
        """Return the price at a moment that was asked about, None when nothing knows one."""
        if self.asset == USD:
            return Price(1.0, moment)
        pair = self.best(moment)
        if pair is not None:
            return pair.at[moment]
        if self.asset in USD_STABLECOINS:
            return Price(1.0, moment, note="counted as 1 USD, for no price of it is held")
        return None


def _preference(pair: PairPrices, moment: datetime) -> tuple[object, ...]:
    age = moment - pair.at[moment].time
    return (
        timedelta() if age <= FRESH_FOR else age,
        pair.symbol.quote.symbol != USD,
        pair.since,
        pair.symbol.exchange,
        pair.symbol.symbol,
    )


async def read_prices(
    session: AsyncSession,
    assets: Sequence[AssetRecord],
    moments: Collection[datetime],
    midnights: tuple[datetime, datetime] | None,
    known_at: datetime,
) -> dict[str, AssetPrices]:
    """Read what prices these assets in USD, as known at `known_at`.

    At each of `moments`, and daily between two `midnights` where closes are wanted.
    """
    pairs = await _pairs_of(session, assets)
    timeframes = await series.timeframes_of(session, [pair.id for pair in pairs])
    read = await _read_candles(session, timeframes, sorted(moments), midnights, known_at)
    found: dict[str, list[PairPrices]] = {asset.symbol: [] for asset in assets}
    for pair in pairs:
        candles = [(pair.id, timeframe) for timeframe in timeframes.get(pair.id, [])]
        since = min((read.first[each] for each in candles if each in read.first), default=None)
        if since is not None:
            at, closes = _newest(pair, candles, read), _daily(candles, read)
            found[pair.base.symbol].append(PairPrices(pair, since, at, closes))
    return {asset: AssetPrices(asset, tuple(known)) for asset, known in found.items()}


async def find_span(session: AsyncSession, asset: AssetRecord) -> tuple[datetime, datetime] | None:
    """Return from when to when candles that can tell a daily close of an asset are held."""
    pairs = await _pairs_of(session, [asset])
    return await series.span_of(session, [pair.id for pair in pairs])


async def read_stamps(
    session: AsyncSession, asset: AssetRecord, midnights: tuple[datetime, datetime]
) -> list[Records]:
    """Return when the daily closes of an asset or index between two midnights were taken in.

    Shapes: for each series of them, records as of `series.daily_stamps`.
    """
    if asset.kind == INDEX:
        return [await series.index_stamps(session, asset.id, midnights)]
    pairs = await _pairs_of(session, [asset])
    timeframes = await series.timeframes_of(session, [pair.id for pair in pairs])
    return [
        await series.daily_stamps(session, symbol_id, timeframe, midnights)
        for symbol_id, known in timeframes.items()
        for timeframe in known
    ]


async def _pairs_of(session: AsyncSession, assets: Sequence[AssetRecord]) -> list[SymbolRecord]:
    return [
        pair
        for pair in await store.list_symbols_of(session, [asset.id for asset in assets])
        if pair.quote.symbol == USD or pair.quote.symbol in USD_STABLECOINS
    ]


@dataclass(frozen=True, slots=True)
class _Candles:
    """What candles say, of each pair and timeframe: the first, the newest by moment, the daily."""

    first: Mapping[series.Candles, datetime]
    newest: Mapping[series.Candles, Mapping[datetime, tuple[datetime, float]]]
    daily: Mapping[series.Candles, Records]


async def _read_candles(
    session: AsyncSession,
    timeframes: Mapping[int, Sequence[Timeframe]],
    moments: Sequence[datetime],
    midnights: tuple[datetime, datetime] | None,
    known_at: datetime,
) -> _Candles:
    """Read all pairs' candles in three questions, however many there are."""
    candles = [(pair, timeframe) for pair, held in timeframes.items() for timeframe in held]
    if not candles:
        return _Candles({}, {}, {})
    return _Candles(
        await series.first_closes(session, candles, known_at),
        await series.last_closes(session, candles, moments, known_at),
        {}
        if midnights is None
        else await series.daily_closes(session, candles, midnights, known_at),
    )


def _newest(
    pair: SymbolRecord, candles: Sequence[series.Candles], read: _Candles
) -> dict[datetime, Price]:
    """Return the newest close at each moment; of equal ones the longest timeframe's."""
    found: dict[datetime, Price] = {}
    for each in candles:
        source = f"{pair.exchange} {pair.symbol} {each[1]}"
        for moment, (time, close) in read.newest[each].items():
            if moment not in found or time > found[moment].time:
                found[moment] = Price(close, time, source, _note(pair))
    return found


def _daily(candles: Sequence[series.Candles], read: _Candles) -> Records:
    """Return the close at each midnight, of the longest timeframe that has one."""
    merged = np.empty(0, series.CLOSES_DTYPE)
    for each in candles:
        if each in read.daily:
            closes = read.daily[each]
            new = closes[~np.isin(closes["known"], merged["known"])]
            merged = np.concatenate([merged, new])
    return np.sort(merged, order="known")


def _note(pair: SymbolRecord) -> str:
    if pair.base.is_simulated:
        return "simulated prices"
    quote = pair.quote.symbol
    return "" if quote == USD else f"priced in {quote}, which is taken as USD"
