"""Reading prices as of an instant, as they were known at another; and the newest of them.

A candle is known at its close time. `known_at` bounds the knowledge: rows ingested later are not
seen, and rows that were revised later are seen as they were. What shows the present has no such
bound: it reads what is held now.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import numpy as np
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import DAY, to_micros
from seawall.db import bulk
from seawall.db.bulk import Column, Records
from seawall.db.session import raw_connection
from seawall.market.schemas import LatestPrice, LatestQuote, SeriesKind, Timeframe
from seawall.market.tables import DataCoverage

DAILY = Timeframe(86_400)
CLOSES = (Column("known", "<M8[us]"), Column("close", "<f8"))
STAMPS = (Column("known", "<M8[us]"), Column("ingested_at", "<M8[us]"))
CLOSES_DTYPE = bulk.record_dtype(CLOSES)
PRICES = (
    Column("time", "<M8[us]"),
    Column("price_usd", "<f8"),
    Column("market_cap_usd", "<f8", float("nan")),
    Column("volume_24h_usd", "<f8", float("nan")),
)

CLOSES_OF = (Column("symbol_id", "<i4"), Column("timeframe", "<i4"), *CLOSES)

Candles = tuple[int, Timeframe]
"""Which candles: of a pair, by its id, and of a timeframe."""

_WHOLE_DAYS = """
SELECT wanted AS symbol_id, 86400 AS timeframe, time + interval '1 day' AS known, close
FROM unnest($1::integer[]) AS wanted
CROSS JOIN LATERAL (
    SELECT time, close FROM candles
    WHERE symbol_id = wanted AND timeframe = 86400 AND ingested_at <= $4::timestamptz
    UNION ALL
    SELECT time, close FROM candle_revisions
    WHERE symbol_id = wanted AND timeframe = 86400
        AND ingested_at <= $4::timestamptz AND superseded_at > $4::timestamptz
) versions
WHERE time BETWEEN $2::timestamptz - interval '1 day' AND $3::timestamptz - interval '1 day'
    AND date_trunc('day', time AT TIME ZONE 'UTC') = time AT TIME ZONE 'UTC'
ORDER BY time
"""

# By midnight, so that a year of minutes costs 365 look-ups and not half a million rows.
_AT_MIDNIGHTS = """
SELECT wanted.symbol_id, wanted.timeframe, known, close
FROM unnest($1::integer[], $2::integer[], $3::timestamptz[], $4::timestamptz[])
    AS wanted (symbol_id, timeframe, first, last)
CROSS JOIN generate_series(wanted.first, wanted.last, interval '1 day') AS known
CROSS JOIN LATERAL (
    SELECT close FROM candles
    WHERE symbol_id = wanted.symbol_id AND timeframe = wanted.timeframe
        AND time = known - make_interval(secs => wanted.timeframe)
        AND ingested_at <= $5::timestamptz
    UNION ALL
    SELECT close FROM candle_revisions
    WHERE symbol_id = wanted.symbol_id AND timeframe = wanted.timeframe
        AND time = known - make_interval(secs => wanted.timeframe)
        AND ingested_at <= $5::timestamptz AND superseded_at > $5::timestamptz
) versions
ORDER BY known
"""

_DAILY_STAMPS = """
SELECT known, ingested_at
FROM generate_series($3::timestamptz, $4::timestamptz, interval '1 day') AS known
CROSS JOIN LATERAL (
    SELECT ingested_at FROM candles WHERE symbol_id = $1 AND timeframe = $2
        AND time = known - make_interval(secs => $2::integer)
) held
"""

_INDEX_STAMPS = """
SELECT time AS known, ingested_at FROM price_history
WHERE asset_id = $1 AND time BETWEEN $2::timestamptz AND $3::timestamptz
"""

# The newest of each table first: sorting the two together would read all that came before.
_LAST_CLOSES = """
SELECT wanted.symbol_id, wanted.timeframe, moment,
    time + make_interval(secs => wanted.timeframe) AS known, close
FROM unnest($1::integer[], $2::integer[]) AS wanted (symbol_id, timeframe)
CROSS JOIN unnest($3::timestamptz[]) AS moment
CROSS JOIN LATERAL (
    (
        SELECT time, close FROM candles
        WHERE symbol_id = wanted.symbol_id AND timeframe = wanted.timeframe
            AND ingested_at <= $4::timestamptz
            AND time <= moment - make_interval(secs => wanted.timeframe)
        ORDER BY time DESC LIMIT 1
    )
    UNION ALL
    (
        SELECT time, close FROM candle_revisions
        WHERE symbol_id = wanted.symbol_id AND timeframe = wanted.timeframe
            AND ingested_at <= $4::timestamptz AND superseded_at > $4::timestamptz
            AND time <= moment - make_interval(secs => wanted.timeframe)
        ORDER BY time DESC LIMIT 1
    )
    ORDER BY time DESC LIMIT 1
) latest
"""

_FIRST_CLOSES = """
SELECT wanted.symbol_id, wanted.timeframe, least(
    (
        SELECT min(time) FROM candles
        WHERE symbol_id = wanted.symbol_id AND timeframe = wanted.timeframe
            AND ingested_at <= $3::timestamptz
    ),
    (
        SELECT min(time) FROM candle_revisions
        WHERE symbol_id = wanted.symbol_id AND timeframe = wanted.timeframe
            AND ingested_at <= $3::timestamptz
    )
) AS first
FROM unnest($1::integer[], $2::integer[]) AS wanted (symbol_id, timeframe)
"""

_DAILY_VOLUME = """
SELECT sum(traded) AS traded, count(DISTINCT (time AT TIME ZONE 'UTC')::date) AS days
FROM (
    SELECT time, coalesce(quote_volume, volume * close) AS traded FROM candles
    WHERE symbol_id = $1 AND timeframe = $2 AND ingested_at <= $5::timestamptz
        AND time >= $3 AND time <= $4::timestamptz - make_interval(secs => $2::integer)
    UNION ALL
    SELECT time, coalesce(quote_volume, volume * close) FROM candle_revisions
    WHERE symbol_id = $1 AND timeframe = $2 AND ingested_at <= $5::timestamptz
        AND superseded_at > $5::timestamptz
        AND time >= $3 AND time <= $4::timestamptz - make_interval(secs => $2::integer)
) versions
WHERE traded IS NOT NULL
"""

_INDEX_KNOWN = """
SELECT EXISTS (
    SELECT FROM price_history WHERE asset_id = :asset_id AND ingested_at <= :known_at
) OR EXISTS (
    SELECT FROM price_revisions WHERE asset_id = :asset_id AND ingested_at <= :known_at
)
"""

_INDEX_CLOSES = """
SELECT time AS known, price_usd AS close
FROM (
    SELECT time, price_usd FROM price_history
    WHERE asset_id = $1 AND ingested_at <= $4::timestamptz
    UNION ALL
    SELECT time, price_usd FROM price_revisions
    WHERE asset_id = $1 AND ingested_at <= $4::timestamptz AND superseded_at > $4::timestamptz
) versions
WHERE time BETWEEN $2::timestamptz AND $3::timestamptz
ORDER BY time
"""

# Chunks are cut by time, so the newest row is the first that is found from the newest chunk back.
_LATEST_QUOTE = """
SELECT symbol_id, time, bid_price, bid_size, ask_price, ask_size, last_price, last_size
FROM quotes WHERE symbol_id = $1 ORDER BY time DESC LIMIT 1
"""

_LATEST_PRICES = """
SELECT latest.*
FROM unnest($1::integer[]) AS wanted(asset_id)
CROSS JOIN LATERAL (
    SELECT asset_id, time, price_usd, market_cap_usd, volume_24h_usd, percent_change_1h,
        percent_change_24h, percent_change_7d, rank, data_source
    FROM price_history WHERE price_history.asset_id = wanted.asset_id
    ORDER BY time DESC LIMIT 1
) latest
"""

_PRICES_BETWEEN = f"""
SELECT {bulk.select_list(PRICES)} FROM price_history
WHERE asset_id = $1 AND time BETWEEN $2 AND $3 ORDER BY time
"""  # noqa: S608 - the only text put in is the names of columns


async def timeframes_of(
    session: AsyncSession, symbol_ids: Iterable[int]
) -> dict[int, list[Timeframe]]:
    """Return which candles of a day or less are held of each pair, the longest first."""
    rows = await session.execute(
        select(DataCoverage.symbol_id, DataCoverage.timeframe)
        .where(
            DataCoverage.kind == SeriesKind.CANDLES,
            DataCoverage.rows > 0,
            DataCoverage.symbol_id.in_(list(symbol_ids)),
            86_400 % DataCoverage.timeframe == 0,
        )
        .order_by(DataCoverage.timeframe.desc())
    )
    found: dict[int, list[Timeframe]] = {}
    for symbol_id, seconds in rows:
        if symbol_id is not None and seconds is not None:
            found.setdefault(symbol_id, []).append(Timeframe(seconds))
    return found


async def span_of(
    session: AsyncSession, symbol_ids: Iterable[int]
) -> tuple[datetime, datetime] | None:
    """Return the first and last close of the candles of a day or less that are held of pairs."""
    length = func.make_interval(0, 0, 0, 0, 0, 0, DataCoverage.timeframe)
    rows = await session.execute(
        select(DataCoverage.first_time + length, DataCoverage.last_time + length).where(
            DataCoverage.kind == SeriesKind.CANDLES,
            DataCoverage.rows > 0,
            DataCoverage.symbol_id.in_(list(symbol_ids)),
            86_400 % DataCoverage.timeframe == 0,
        )
    )
    held = [(first, last) for first, last in rows]
    if not held:
        return None
    return min(first for first, _ in held), max(last for _, last in held)


async def daily_closes(
    session: AsyncSession,
    candles: Sequence[Candles],
    midnights: tuple[datetime, datetime],
    known_at: datetime,
) -> dict[Candles, Records]:
    """Return the closes of candles at the midnights between two, both included.

    Shapes: (n,) records of `known`, the midnight, and `close`; a day without one is left out. Of a
    pair with daily candles others are read from the first midnight that lacks one to the last.
    """
    connection = await raw_connection(session)
    days = [pair for pair, timeframe in candles if timeframe == DAILY]
    read = await bulk.read(connection, _WHOLE_DAYS, CLOSES_OF, days, *midnights, known_at)
    found = {(pair, DAILY): _closes_of(read, pair, DAILY) for pair in days}
    shorter = [
        (pair, timeframe, between)
        for pair, timeframe in candles
        if timeframe != DAILY and (between := _lacking(found.get((pair, DAILY)), midnights))
    ]
    if shorter:
        pairs, timeframes, spans = zip(*shorter, strict=True)
        seconds = [each.seconds for each in timeframes]
        arguments = (list(pairs), seconds, *map(list, zip(*spans, strict=True)), known_at)
        read = await bulk.read(connection, _AT_MIDNIGHTS, CLOSES_OF, *arguments)
        found |= {(pair, each): _closes_of(read, pair, each) for pair, each, _ in shorter}
    return found


def _closes_of(read: Records, symbol_id: int, timeframe: Timeframe) -> Records:
    rows = read[(read["symbol_id"] == symbol_id) & (read["timeframe"] == timeframe.seconds)]
    closes = np.empty(len(rows), CLOSES_DTYPE)
    closes["known"], closes["close"] = rows["known"], rows["close"]
    return closes


def _lacking(
    daily: Records | None, midnights: tuple[datetime, datetime]
) -> tuple[datetime, datetime] | None:
    """Return the first and the last midnight without a close, None where all have one."""
    if daily is None:
        return midnights
    first = midnights[0]
    every = (midnights[1] - first) // DAY + 1
    at = (daily["known"] - np.datetime64(to_micros(first), "us")) // np.timedelta64(1, "D")
    lacking = np.setdiff1d(np.arange(every), at.astype(np.int64), assume_unique=True)
    if not lacking.size:
        return None
    return first + int(lacking[0]) * DAY, first + int(lacking[-1]) * DAY


async def daily_stamps(
    session: AsyncSession,
    symbol_id: int,
    timeframe: Timeframe,
    midnights: tuple[datetime, datetime],
) -> Records:
    """Return when the closes of a timeframe at the midnights between two were taken in.

    Shapes: (n,) records of `known`, the midnight, and `ingested_at`, of the version held now.
    """
    connection = await raw_connection(session)
    arguments = (symbol_id, timeframe.seconds, *midnights)
    return await bulk.read(connection, _DAILY_STAMPS, STAMPS, *arguments)


async def index_stamps(
    session: AsyncSession, asset_id: int, between: tuple[datetime, datetime]
) -> Records:
    """Return when an index' daily closes between two instants were taken in, as `daily_stamps`."""
    return await bulk.read(await raw_connection(session), _INDEX_STAMPS, STAMPS, asset_id, *between)


async def last_closes(
    session: AsyncSession,
    candles: Sequence[Candles],
    moments: Sequence[datetime],
    known_at: datetime,
) -> dict[Candles, dict[datetime, tuple[datetime, float]]]:
    """Return, for each moment, when the newest candle by then closed and at which price.

    A moment before the first close is left out.
    """
    connection = await raw_connection(session)
    rows = await connection.fetch(_LAST_CLOSES, *_named(candles), list(moments), known_at)
    found: dict[Candles, dict[datetime, tuple[datetime, float]]] = {each: {} for each in candles}
    for row in rows:
        at = found[row["symbol_id"], Timeframe(row["timeframe"])]
        at[row["moment"]] = (row["known"], row["close"])
    return found


async def daily_volume(
    session: AsyncSession,
    symbol_id: int,
    timeframe: Timeframe,
    between: tuple[datetime, datetime],
    known_at: datetime,
) -> tuple[float, int] | None:
    """Return the average volume of a day in the quote's money, and the days that it is of.

    Of the candles that opened and closed between two instants, on the days that have one with a
    volume; None where no day has.
    """
    connection = await raw_connection(session)
    row = await connection.fetchrow(_DAILY_VOLUME, symbol_id, timeframe.seconds, *between, known_at)
    if row is None or not row["days"]:
        return None
    return row["traded"] / row["days"], row["days"]


async def first_closes(
    session: AsyncSession, candles: Sequence[Candles], known_at: datetime
) -> dict[Candles, datetime]:
    """Return when the first candle that is known opened; what has none is left out."""
    connection = await raw_connection(session)
    rows = await connection.fetch(_FIRST_CLOSES, *_named(candles), known_at)
    return {
        (row["symbol_id"], Timeframe(row["timeframe"])): row["first"]
        for row in rows
        if row["first"] is not None
    }


def _named(candles: Sequence[Candles]) -> tuple[list[int], list[int]]:
    return [each for each, _ in candles], [timeframe.seconds for _, timeframe in candles]


async def is_index_known(session: AsyncSession, asset_id: int, known_at: datetime) -> bool:
    """Tell whether any close of an index was known."""
    return bool(
        await session.scalar(text(_INDEX_KNOWN), {"asset_id": asset_id, "known_at": known_at})
    )


async def index_closes(
    session: AsyncSession, asset_id: int, between: tuple[datetime, datetime], known_at: datetime
) -> Records:
    """Return an index' daily closes between two instants, both included."""
    return await bulk.read(
        await raw_connection(session), _INDEX_CLOSES, CLOSES, asset_id, *between, known_at
    )


async def latest_quote(session: AsyncSession, symbol_id: int) -> LatestQuote | None:
    """Return the newest level 1 of a pair, None when none is held."""
    row = await (await raw_connection(session)).fetchrow(_LATEST_QUOTE, symbol_id)
    return None if row is None else LatestQuote(*row)


async def latest_prices(
    session: AsyncSession, asset_ids: Collection[int]
) -> dict[int, LatestPrice]:
    """Return the newest price of each asset, by asset; one without any is left out."""
    rows = await (await raw_connection(session)).fetch(_LATEST_PRICES, sorted(set(asset_ids)))
    return {row["asset_id"]: LatestPrice(*row) for row in rows}


async def price_history_between(
    session: AsyncSession, asset_id: int, start: datetime, end: datetime
) -> Records:
    """Return an asset's prices between two instants, both included, in order of time.

    Shapes: (n,) records of `PRICES`; a market cap or volume that is not known is NaN.
    """
    connection = await raw_connection(session)
    return await bulk.read(connection, _PRICES_BETWEEN, PRICES, asset_id, start, end)
