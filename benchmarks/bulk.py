"""The bulk path in and out of PostgreSQL, beside the server's own COPY of a file."""

import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import uvloop
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from benchmarks.installation import ROWS, candles, installation
from benchmarks.result import Result
from seawall.core.time import now
from seawall.db import bulk
from seawall.db.bulk import Column, instant
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.series import CANDLES, ensure_chunks
from seawall.db.session import raw_connection
from seawall.market import store
from seawall.market.tables import Candle

RUNS = 5
SYMBOL, TIMEFRAME = Column("symbol_id", "<i4"), Column("timeframe", "<i4")
INGESTED = Column("ingested_at", "<M8[us]")
CONSTANTS = {SYMBOL: 1, TIMEFRAME: 60, INGESTED: np.datetime64(now().replace(tzinfo=None), "us")}
COLUMNS = store.CANDLES.columns
STORED = ", ".join(column.name for column in (*CONSTANTS, *COLUMNS))
ALL_ROWS = f"SELECT {STORED} FROM candles"  # noqa: S608 - our own column names
READ_QUERY = (
    f"SELECT {bulk.select_list(COLUMNS)} FROM candles"  # noqa: S608 - our own column names
    " WHERE symbol_id = 1 AND timeframe = 60 ORDER BY time"
)


def bulk_write() -> list[Result]:
    """Write a million candles from an array, and from a file by the server itself."""
    with installation() as location:
        return uvloop.run(_bulk_write(location))


async def _bulk_write(location: Location) -> list[Result]:
    records = candles()
    engine = create_engine(location.admin_url, role=None)
    folder = _server_folder()
    try:
        await _fill(engine, records)
        await _run(engine, f"COPY ({ALL_ROWS}) TO '{folder}/rows' (FORMAT binary)")
        copy = f"COPY candles ({STORED}) FROM '{folder}/rows' (FORMAT binary)"
        ours, peer = [], []
        for _ in range(RUNS):
            await _empty(engine)
            peer.append(await _timed(_run(engine, copy)))
            await _empty(engine)
            ours.append(await _timed(_write(engine, records)))
    finally:
        await engine.dispose()
        shutil.rmtree(folder, ignore_errors=True)
    return [_rates("bulk-write", "the server's COPY of a binary file", median(ours), median(peer))]


def bulk_read() -> list[Result]:
    """Read a million candles into arrays, beside COPY to a file and SQLAlchemy."""
    with installation() as location:
        return uvloop.run(_bulk_read(location))


async def _bulk_read(location: Location) -> list[Result]:
    engine = create_engine(location.admin_url, role=None)
    folder = _server_folder()
    try:
        await _fill(engine, candles())
        await _run(engine, "VACUUM ANALYZE candles")
        ours, peer = [], []
        copy = f"COPY ({READ_QUERY}) TO '{folder}/rows' (FORMAT binary)"
        for _ in range(RUNS):
            peer.append(await _timed(_run(engine, copy)))
            ours.append(await _timed(_read(engine)))
        orm = [await _timed(_read_with_sqlalchemy(engine)) for _ in range(2)]
    finally:
        await engine.dispose()
        shutil.rmtree(folder, ignore_errors=True)
    fastest = median(ours)
    return [
        _rates("bulk-read", "the server's COPY to a binary file", fastest, median(peer)),
        _rates("bulk-read-sqlalchemy", "SQLAlchemy rows into arrays", fastest, min(orm)),
    ]


def _server_folder() -> Path:
    """Make a folder that the server can write to, whoever it runs as."""
    folder = Path(tempfile.mkdtemp(prefix="seawall-copy-"))
    folder.chmod(0o777)
    return folder


def _rates(name: str, peer: str, seconds: float, peer_seconds: float) -> Result:
    return Result(name, ROWS / seconds, "rows/s", peer, ROWS / peer_seconds, peer_seconds / seconds)


async def _timed(work: Coroutine[object, object, object]) -> float:
    start = perf_counter()
    await work
    return perf_counter() - start


async def _run(engine: AsyncEngine, statement: str) -> None:
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(statement))


async def _empty(engine: AsyncEngine) -> None:
    await _run(engine, "TRUNCATE candles")
    await _run(engine, "CHECKPOINT")


async def _fill(engine: AsyncEngine, records: bulk.Records) -> None:
    times = records["time"]
    async with AsyncSession(engine) as session, session.begin():
        await ensure_chunks(session, CANDLES, instant(times[0]), instant(times[-1]))
    await _write(engine, records)


async def _write(engine: AsyncEngine, records: bulk.Records) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await bulk.write(await raw_connection(session), "candles", records, COLUMNS, CONSTANTS)


async def _read(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        found = await bulk.read(await raw_connection(session), READ_QUERY, COLUMNS)
    assert len(found) == ROWS


async def _read_with_sqlalchemy(engine: AsyncEngine) -> None:
    columns = [getattr(Candle, column.name) for column in COLUMNS]
    query = select(*columns).where(Candle.symbol_id == 1, Candle.timeframe == 60)
    async with AsyncSession(engine) as session:
        rows = (await session.execute(query.order_by(Candle.time))).all()
    arrays = [
        np.array([each.replace(tzinfo=None) for each in column], "<M8[us]")
        if at == 0
        else np.array(column)
        for at, column in enumerate(zip(*rows, strict=True))
    ]
    assert len(arrays[0]) == ROWS
