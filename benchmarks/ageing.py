"""Series that age: appending with keys, partitions and rollups on, and compressing real candles."""

import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.installation import candles, installation
from benchmarks.result import Result
from seawall.core.time import now
from seawall.db import bulk, migrate
from seawall.db.bulk import Column
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.merge import merge
from seawall.db.session import raw_connection, transaction
from seawall.db.upkeep import maintain
from seawall.identity.owner import OWNER_ID
from seawall.market import store
from seawall.market.formats.base import ParseHints
from seawall.market.formats.parse import parse_file
from seawall.market.ingest import ingest

RUNS = 5
SYMBOLS, HOURS = 20, 50_000
"""A million hourly candles: each belongs to a day that is summed up."""
REAL = Path(__file__).parents[2] / "shared" / "data" / "four_hour"
SYMBOL, TIMEFRAME = Column("symbol_id", "<i4"), Column("timeframe", "<i4")
INGESTED = Column("ingested_at", "<M8[us]")


def ingest_with_policies() -> list[Result]:
    """Append a million candles to the series, beside a bare COPY into one plain keyed table."""
    with installation() as location:
        return uvloop.run(_ingest(location))


async def _ingest(location: Location) -> list[Result]:
    records = candles(HOURS)
    records["time"] = np.datetime64("2019-01-01", "us") + np.arange(HOURS) * np.timedelta64(1, "h")
    ours, peer = [], []
    app = create_engine(location.url)
    async with open_admin(location, OWNER_ROLE) as owner:
        async with owner.begin() as connection:
            await connection.execute(text("CREATE TABLE plain (LIKE candles INCLUDING ALL)"))
            await connection.execute(text("GRANT INSERT ON plain TO seawall_app"))
            engine = await connection.scalar(
                text("SELECT engine FROM series WHERE table_name = 'candles'")
            )
        for _ in range(RUNS):
            await _empty(location)
            peer.append(await _copy(app, records))
            await _empty(location)
            ours.append(await _append(app, records))
    await app.dispose()
    rows = SYMBOLS * HOURS
    return [
        Result(
            f"ingest-with-policies-{engine}",
            rows / median(ours),
            "rows/s",
            "a bare COPY into one keyed table",
            rows / median(peer),
            median(peer) / median(ours),
        )
    ]


async def _empty(location: Location) -> None:
    async with open_admin(location) as admin:
        automatic = admin.execution_options(isolation_level="AUTOCOMMIT")
        async with automatic.connect() as connection:
            await connection.execute(text("TRUNCATE plain, candles"))
            for rollup in await connection.scalars(
                text(
                    "SELECT relname FROM pg_class WHERE relname = 'candles_by_day' AND relkind='r'"
                )
            ):
                await connection.execute(text(f"TRUNCATE {rollup}"))
            await connection.execute(text("TRUNCATE series_changes"))
            await connection.execute(text("CHECKPOINT"))


async def _copy(app: AsyncEngine, records: bulk.Records) -> float:
    start = perf_counter()
    stamp = np.datetime64(now().replace(tzinfo=None), "us")
    async with transaction(app, OWNER_ID) as session:
        connection = await raw_connection(session)
        for symbol in range(1, SYMBOLS + 1):
            constants = {SYMBOL: symbol, TIMEFRAME: 3600, INGESTED: stamp}
            await bulk.write(connection, "plain", records, store.CANDLES.columns, constants)
    return perf_counter() - start


async def _append(app: AsyncEngine, records: bulk.Records) -> float:
    start = perf_counter()
    async with transaction(app, OWNER_ID) as session:
        for symbol in range(1, SYMBOLS + 1):
            subject = {"symbol_id": symbol, "timeframe": 3600}
            await merge(session, store.CANDLES, subject, records, now())
    return perf_counter() - start


def compression() -> list[Result]:
    """Compress the real 4-hour candles, and read them before and after."""
    files = sorted(REAL.glob("*.csv.gz"))
    if not files:
        print("compression: skipped, no real market data beside the project", file=sys.stderr)
        return []
    with installation() as location:
        return uvloop.run(_compress(location, files))


async def _compress(location: Location, files: list[Path]) -> list[Result]:
    async with open_admin(location) as admin, admin.connect() as connection:
        there = await connection.run_sync(migrate.create_extension)
    if not there:
        print("compression: skipped, the server has no TimescaleDB", file=sys.stderr)
        return []
    app = create_engine(location.url)
    for path in files:
        async with transaction(app, OWNER_ID) as session:
            for part in parse_file(path, hints=ParseHints()):
                await ingest(session, part, str(path))
    before, read_before = await _size(app), await _timed_read(app)
    async with open_admin(location, OWNER_ROLE) as owner:
        await maintain(owner)
    after, read_after = await _size(app), await _timed_read(app)
    await app.dispose()
    return [
        Result("compression", after, "bytes", "uncompressed", before, before / after),
        Result(
            "compression-read",
            read_after,
            "ms",
            "uncompressed",
            read_before,
            read_before / read_after,
        ),
    ]


async def _size(app: AsyncEngine) -> float:
    async with transaction(app, OWNER_ID) as session:
        return float(await session.scalar(text("SELECT hypertable_size('candles')")) or 0)


async def _timed_read(app: AsyncEngine) -> float:
    """Return the milliseconds in which every candle is read into arrays, symbol by symbol."""
    times = []
    columns = store.CANDLES.columns
    query = (
        f"SELECT {bulk.select_list(columns)} FROM candles WHERE symbol_id = $1"  # noqa: S608
        " AND timeframe = 14400 ORDER BY time"
    )
    async with transaction(app, OWNER_ID) as session:
        connection = await raw_connection(session)
        symbols = list(await session.scalars(text("SELECT DISTINCT symbol_id FROM candles")))
        for _ in range(RUNS):
            start = perf_counter()
            for symbol in symbols:
                await bulk.read(connection, query, columns, symbol)
            times.append((perf_counter() - start) * 1e3)
    return median(times)
