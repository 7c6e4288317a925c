"""The made-up market of a seed in the database: coins, their pairs, prices and candles."""

from collections.abc import Callable, Sequence

import numpy as np
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import to_micros
from seawall.db import bulk
from seawall.db.bulk import Column, Records, instant
from seawall.db.series import PRICE_HISTORY, QUOTES, ensure_chunks
from seawall.db.session import raw_connection
from seawall.market import catalog
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.market.store import SymbolRecord
from seawall.market.tables import Asset, Exchange
from seawall.ops.seeds.claim import EXCHANGE
from seawall.ops.seeds.paths import DAY_STEPS, HOUR_STEPS, WEEK_STEPS, Paths
from seawall.quant.simulate import CandleArrays

DAILY, HALF_HOURLY = Timeframe(86_400), Timeframe(1_800)
INGESTED = Column("ingested_at", "<M8[us]")
_SOURCE = Column("data_source", f"S{len(EXCHANGE)}")
_PRICES = (
    Column("asset_id", "<i4"),
    Column("time", "<M8[us]"),
    Column("price_usd", "<f8"),
    Column("market_cap_usd", "<f8"),
    Column("volume_24h_usd", "<f8"),
    Column("percent_change_1h", "<f8"),
    Column("percent_change_24h", "<f8"),
    Column("percent_change_7d", "<f8"),
    Column("circulating_supply", "<f8"),
    Column("rank", "<i4"),
)
_QUOTES = (
    Column("symbol_id", "<i4"),
    Column("time", "<M8[us]"),
    *(
        Column(name, "<f8")
        for name in ("bid_price", "bid_size", "ask_price", "ask_size", "last_price", "last_size")
    ),
)
_MINUTE = np.timedelta64(1, "m")
QUOTE_DAYS = 7
_BLOCK_STEPS = 30 * DAY_STEPS
"""A month of prices travels at a time."""

Advance = Callable[[str, int, int], None]


async def add_coins(session: AsyncSession, paths: Paths) -> list[SymbolRecord]:
    """Put the coins into the catalogue, each with a pair against USD and its newest price."""
    pairs = [
        await catalog.ensure_pair(session, EXCHANGE, f"{coin.symbol}/USD", is_simulated=True)
        for coin in paths.coins
    ]
    newest = _price_records(paths, [pair.base.id for pair in pairs], len(paths.prices) - 1)
    for coin, price in zip(paths.coins, newest, strict=True):
        now, change = float(price["price_usd"]), float(price["percent_change_24h"])
        await session.execute(
            update(Asset)
            .where(Asset.id == int(price["asset_id"]))
            .values(
                name=coin.name,
                rank=int(price["rank"]),
                market_cap=float(price["market_cap_usd"]),
                circulating_supply=coin.supply,
                current_price_usd=now,
                price_change_24h=now - now / (1 + change / 100),
                price_change_percentage_24h=change,
                volume_24h=float(price["volume_24h_usd"]),
            )
        )
    named = update(Exchange).where(Exchange.code == EXCHANGE)
    await session.execute(named.values(name="Made up by a seed"))
    return pairs


async def add_prices(
    session: AsyncSession, paths: Paths, asset_ids: Sequence[int], first: int, advance: Advance
) -> int:
    """Store the prices from a step on, in the order of time, as a feed brings them.

    A week comes before `first`, for the changes. Returns how many there are. The caller sees to
    the rollups.
    """
    await ensure_chunks(session, PRICE_HISTORY, instant(paths.times[first]), paths.until)
    connection = await raw_connection(session)
    constants = {
        INGESTED: np.datetime64(to_micros(paths.until), "us"),
        _SOURCE: EXCHANGE.encode(),
    }
    for start in range(first, len(paths.prices), _BLOCK_STEPS):
        advance("Storing prices", start - first, len(paths.prices) - first)
        records = _price_records(paths, asset_ids, start, start + _BLOCK_STEPS)
        await bulk.write(connection, "price_history", records, _PRICES, constants)
    return (len(paths.prices) - first) * len(asset_ids)


async def add_candles(
    session: AsyncSession, symbol: str, timeframe: Timeframe, candles: CandleArrays
) -> None:
    """Store candles of a coin against USD, with what is known of their coverage."""
    records = np.zeros(len(candles.time), CANDLE_DTYPE)
    for name in ("time", "open", "high", "low", "close", "volume"):
        records[name] = getattr(candles, name)
    records["quote_volume"] = np.round(candles.volume * candles.close, 2)
    records["trade_count"] = -1
    parsed = ParsedFile(
        format="seed",
        kind=SeriesKind.CANDLES,
        records=records,
        rows_read=len(records),
        symbol=f"{symbol}/USD",
        exchange=EXCHANGE,
        timeframe=timeframe,
    )
    await ingest(session, parsed, "the seed", is_simulated=True)


def _price_records(
    paths: Paths, asset_ids: Sequence[int], start: int, stop: int | None = None
) -> Records:
    """Lay out the prices of the steps from `start`, by time and then by coin."""
    prices = paths.prices[start:stop]
    supplies = np.array([coin.supply for coin in paths.coins])
    turnovers = np.array([coin.turnover for coin in paths.coins])
    records = np.empty(prices.shape, bulk.record_dtype(_PRICES))
    records["asset_id"] = asset_ids
    records["time"] = paths.times[start:stop, None]
    records["price_usd"] = prices
    records["market_cap_usd"] = np.round(prices * supplies, 2)
    for name, steps in (("1h", HOUR_STEPS), ("24h", DAY_STEPS), ("7d", WEEK_STEPS)):
        before = paths.prices[start - steps : start - steps + len(prices)]
        records[f"percent_change_{name}"] = np.round((prices / before - 1) * 100, 4)
    swing = np.abs(records["percent_change_24h"])
    records["volume_24h_usd"] = np.round(turnovers * (1 + swing / 10), 2)
    records["circulating_supply"] = supplies
    records["rank"] = paths.ranks
    return records.reshape(-1)


async def add_quotes(
    session: AsyncSession, paths: Paths, symbol_ids: Sequence[int], advance: Advance
) -> None:
    """Store a quote a minute of each pair."""
    times = paths.times
    await ensure_chunks(session, QUOTES, instant(times[-QUOTE_DAYS * DAY_STEPS - 1]), paths.until)
    connection = await raw_connection(session)
    constants = {INGESTED: np.datetime64(to_micros(paths.until), "us")}
    for day in range(QUOTE_DAYS):
        advance("Storing quotes", day, QUOTE_DAYS)
        end = len(times) - (QUOTE_DAYS - 1 - day) * DAY_STEPS
        records = _quotes(paths, symbol_ids, end - DAY_STEPS - 1, end)
        await bulk.write(connection, "quotes", records, _QUOTES, constants)


def _quotes(paths: Paths, symbol_ids: Sequence[int], start: int, stop: int) -> Records:
    """Lay out the quotes of the minutes after one step until another."""
    random = np.random.default_rng(start)
    known = paths.times[start:stop]
    minutes = np.arange(known[0] + _MINUTE, known[-1] + _MINUTE, _MINUTE)
    records = np.empty((len(minutes), len(symbol_ids)), bulk.record_dtype(_QUOTES))
    at, steps = minutes.astype(np.int64), known.astype(np.int64)
    middle = np.stack([np.interp(at, steps, prices) for prices in paths.prices[start:stop].T], -1)
    records["symbol_id"] = symbol_ids
    records["time"] = minutes[:, None]
    for side, shift in (("bid", -1e-4), ("ask", 1e-4), ("last", 0)):
        records[f"{side}_price"] = np.round(middle * (1 + shift), 6)
        records[f"{side}_size"] = np.round(random.exponential(2_000, middle.shape) / middle, 6)
    return records.reshape(-1)
