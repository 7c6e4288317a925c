"""Reading prices as of an instant, as they were known at another.

A candle is known at its close time. `known_at` bounds the knowledge: rows ingested later are not
seen, and rows that were revised later are seen as they were.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db import bulk
from seawall.db.bulk import Column, Records
from seawall.db.session import raw_connection
from seawall.market.schemas import SeriesKind, Timeframe
from seawall.market.tables import DataCoverage

CLOSES = (Column("known", "<M8[us]"), Column("close", "<f8"))

_CANDLE_VERSIONS = """
    SELECT time, close FROM candles
    WHERE symbol_id = {symbol} AND timeframe = {timeframe} AND ingested_at <= {known_at}
    UNION ALL
    SELECT time, close FROM candle_revisions
    WHERE symbol_id = {symbol} AND timeframe = {timeframe}
        AND ingested_at <= {known_at} AND superseded_at > {known_at}
"""

_DAILY_CLOSES = f"""
SELECT time + make_interval(secs => $2::integer) AS known, close
FROM ({_CANDLE_VERSIONS.format(symbol="$1", timeframe="$2", known_at="$5::timestamptz")}) versions
WHERE time BETWEEN $3::timestamptz - make_interval(secs => $2::integer)
        AND $4::timestamptz - make_interval(secs => $2::integer)
    AND (extract(epoch FROM time)::bigint + $2) % 86400 = 0
ORDER BY time
"""  # noqa: S608 - the only text put in is parameter names

_LAST_CLOSE = f"""
SELECT time + make_interval(secs => :timeframe) AS known, close
FROM ({_CANDLE_VERSIONS.format(symbol=":symbol", timeframe=":timeframe", known_at=":known_at")})
    versions
WHERE time <= CAST(:as_of AS timestamptz) - make_interval(secs => :timeframe)
ORDER BY time DESC LIMIT 1
"""  # noqa: S608 - the only text put in is parameter names

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


async def timeframes_of(
    session: AsyncSession, symbol_ids: Iterable[int]
) -> dict[int, list[Timeframe]]:
    """Return which candles of a day or less are held of each pair, the longest first."""
    rows = await session.execute(
        select(DataCoverage.symbol_id, DataCoverage.timeframe)
        .where(
            DataCoverage.kind == SeriesKind.CANDLES,
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


async def daily_closes(
    session: AsyncSession,
    symbol_id: int,
    timeframe: Timeframe,
    between: tuple[datetime, datetime],
    known_at: datetime,
) -> Records:
    """Return the closes at midnights UTC between two instants, both included.

    Shapes: (n,) records of `known`, the midnight, and `close`; a day without one is left out.
    """
    return await bulk.read(
        await raw_connection(session),
        _DAILY_CLOSES,
        CLOSES,
        symbol_id,
        timeframe.seconds,
        *between,
        known_at,
    )


async def last_close(
    session: AsyncSession,
    symbol_id: int,
    timeframe: Timeframe,
    as_of: datetime,
    known_at: datetime,
) -> tuple[datetime, float] | None:
    """Return when the newest candle closed and at which price, None when none is known."""
    row = (
        await session.execute(
            text(_LAST_CLOSE),
            {
                "symbol": symbol_id,
                "timeframe": timeframe.seconds,
                "as_of": as_of,
                "known_at": known_at,
            },
        )
    ).one_or_none()
    return None if row is None else (row.known, row.close)


async def index_closes(
    session: AsyncSession, asset_id: int, between: tuple[datetime, datetime], known_at: datetime
) -> Records:
    """Return an index' daily closes between two instants, both included."""
    return await bulk.read(
        await raw_connection(session), _INDEX_CLOSES, CLOSES, asset_id, *between, known_at
    )
