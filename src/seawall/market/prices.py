"""An asset's price in USD: which pair it is taken from, and what it was at any instant.

Every pair against USD or a USD stablecoin is a candidate. A fresh price beats a stale one, USD
beats a stablecoin, more history beats less, and the exchange's name settles the rest. A stablecoin
counts as one USD where nothing better is held, and the price says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import to_micros
from seawall.db.bulk import Records, instant
from seawall.market import series, store
from seawall.market.pairs import USD_STABLECOINS
from seawall.market.schemas import Timeframe
from seawall.market.store import AssetRecord, SymbolRecord

FRESH_FOR = timedelta(days=2)
USD = "USD"


@dataclass(frozen=True, slots=True)
class Price:
    """An asset's price in USD at an instant, from when and where it is.

    `source` is the pair it comes from, empty for one that is 1 by definition; `note` is what was
    assumed.
    """

    usd: float
    time: datetime
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PairPrices:
    """What a pair's candles say: its daily closes, and the newest close of any timeframe."""

    symbol: SymbolRecord
    timeframe: Timeframe
    closes: Records
    newest: tuple[datetime, float]

    @property
    def source(self) -> str:
        """The pair's name for a reader."""
        return f"{self.symbol.exchange} {self.symbol.symbol} {self.timeframe}"

    def at(self, moment: datetime) -> Price | None:
        """Return the last price known at an instant, None before the first."""
        if moment >= self.newest[0]:
            time, close = self.newest
        else:
            position = np.searchsorted(
                self.closes["known"], np.datetime64(to_micros(moment), "us"), side="right"
            )
            if position == 0:
                return None
            row = self.closes[position - 1]
            time, close = instant(row["known"]), float(row["close"])
        return Price(close, time, self.source, self._note())

    def _note(self) -> str:
        if self.symbol.base.is_simulated:
            return "simulated prices"
        quote = self.symbol.quote.symbol
        if quote == USD:
            return ""
        return f"priced in {quote}, which is taken as USD"


@dataclass(frozen=True, slots=True)
class AssetPrices:
    """Every pair that prices an asset in USD, and how to choose among them."""

    asset: str
    pairs: tuple[PairPrices, ...]

    def best(self, moment: datetime) -> PairPrices | None:
        """Return the pair from which the asset is priced at an instant, None when none knows."""
        known = [(pair, price) for pair in self.pairs if (price := pair.at(moment)) is not None]
        if not known:
            return None
        return min(known, key=lambda each: _preference(each[0], each[1], moment))[0]

    def at(self, moment: datetime) -> Price | None:
        """Return the asset's price at an instant, None when nothing prices it."""
        if self.asset == USD:
            return Price(1.0, moment)
        pair = self.best(moment)
        if pair is not None:
            return pair.at(moment)
        if self.asset in USD_STABLECOINS:
            return Price(1.0, moment, note="counted as 1 USD, for no price of it is held")
        return None


def _preference(pair: PairPrices, price: Price, moment: datetime) -> tuple[object, ...]:
    age = moment - price.time
    fresh = age <= FRESH_FOR
    return (
        not fresh,
        timedelta() if fresh else age,
        pair.symbol.quote.symbol != USD,
        -len(pair.closes),
        pair.symbol.exchange,
        pair.symbol.symbol,
    )


async def read_prices(
    session: AsyncSession,
    assets: Sequence[AssetRecord],
    between: tuple[datetime, datetime],
    known_at: datetime,
) -> dict[str, AssetPrices]:
    """Read what prices these assets in USD between two instants, as known at `known_at`."""
    pairs = [
        pair
        for pair in await store.list_symbols_of(session, [asset.id for asset in assets])
        if pair.quote.symbol == USD or pair.quote.symbol in USD_STABLECOINS
    ]
    timeframes = await series.timeframes_of(session, [pair.id for pair in pairs])
    found: dict[str, list[PairPrices]] = {asset.symbol: [] for asset in assets}
    for pair in pairs:
        read = await _read_pair(session, pair, timeframes.get(pair.id, []), between, known_at)
        if read is not None:
            found[pair.base.symbol].append(read)
    return {asset: AssetPrices(asset, tuple(known)) for asset, known in found.items()}


async def _read_pair(
    session: AsyncSession,
    pair: SymbolRecord,
    timeframes: Sequence[Timeframe],
    between: tuple[datetime, datetime],
    known_at: datetime,
) -> PairPrices | None:
    """Read a pair's newest close of any timeframe, and the daily closes of its longest."""
    newest: tuple[datetime, float] | None = None
    longest: Timeframe | None = None
    for timeframe in timeframes:
        last = await series.last_close(session, pair.id, timeframe, between[1], known_at)
        if last is None:
            continue
        longest = longest or timeframe
        newest = last if newest is None or last[0] > newest[0] else newest
    if newest is None or longest is None:
        return None
    closes = await series.daily_closes(session, pair.id, longest, between, known_at)
    return PairPrices(pair, longest, closes, newest)
