"""Import of a Binance CSV of a million rows: parsed, checked and stored."""

import csv
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import uvloop
from numpy.typing import NDArray
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from benchmarks.installation import ROWS, candles, installation
from benchmarks.result import Result
from seawall.core.time import now
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.series import CANDLES, ensure_chunks
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.formats.base import ParseHints
from seawall.market.formats.parse import parse_file
from seawall.market.ingest import ingest
from seawall.market.tables import Candle

RUNS = 3
PEER_ROWS = 50_000
BATCH = 1_000
NAMES = ("open", "high", "low", "close", "volume")


def import_1m() -> list[Result]:
    """Import the file end to end, into an empty table and again over itself."""
    with installation() as location, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "BTCUSDT-1m.csv"
        _write_csv(path, candles())
        return uvloop.run(_import(location, path))


async def _import(location: Location, path: Path) -> list[Result]:
    engine, admin = create_engine(location.url), create_engine(location.admin_url, role=None)
    try:
        first, again, peer = [], [], []
        for _ in range(RUNS):
            await _empty(admin)
            first.append(await _ours(engine, path, ROWS))
            again.append(await _ours(engine, path, 0))
            await _empty(admin)
            peer.append(await _peer(admin, path))
    finally:
        await engine.dispose()
        await admin.dispose()
    rate, peer_rate = ROWS / median(first), PEER_ROWS / median(peer)
    known = "csv module and SQLAlchemy inserts, 1,000 rows at a time"
    return [
        Result("import-1m", rate, "rows/s", known, peer_rate, rate / peer_rate),
        Result(
            "import-1m-again",
            ROWS / median(again),
            "rows/s",
            "the first import",
            rate,
            median(first) / median(again),
        ),
    ]


async def _ours(engine: AsyncEngine, path: Path, inserted: int) -> float:
    start = perf_counter()
    (parsed,) = parse_file(path, hints=ParseHints(now=now()))
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        done = await ingest(session, parsed, str(path))
    seconds = perf_counter() - start
    assert done.inserted == inserted
    assert done.inserted + done.unchanged == ROWS
    return seconds


async def _peer(engine: AsyncEngine, path: Path) -> float:
    """Import the file's beginning as it is commonly written: row by row, inserted in batches."""
    async with AsyncSession(engine) as session, session.begin():
        year = datetime(2021, 1, 1, tzinfo=UTC)
        await ensure_chunks(session, CANDLES, year, year + timedelta(days=40))
    start = perf_counter()
    async with AsyncSession(engine) as session, session.begin():
        with path.open(newline="") as file:
            batch = []
            for count, row in enumerate(csv.DictReader(file), 1):
                batch.append(_values(row))
                if len(batch) == BATCH:
                    await session.execute(insert(Candle), batch)
                    batch.clear()
                if count == PEER_ROWS:
                    break
    return perf_counter() - start


def _values(row: dict[str, str]) -> dict[str, object]:
    opened = datetime.fromtimestamp(int(row["open_time"]) / 1000, UTC)
    return {
        "symbol_id": 1,
        "timeframe": 60,
        "time": opened,
        "ingested_at": opened,
        "quote_volume": float(row["quote_asset_volume"]),
        "trade_count": int(row["number_of_trades"]),
        **{name: float(row[name]) for name in NAMES},
    }


async def _empty(engine: AsyncEngine) -> None:
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("TRUNCATE candles, data_gaps, data_coverage"))
        await connection.execute(text("CHECKPOINT"))


def _write_csv(path: Path, made: NDArray[np.void]) -> None:
    opened = made["time"].astype("<M8[ms]").astype(np.int64)
    header = (
        "open_time,open,high,low,close,volume,close_time,quote_asset_volume,number_of_trades,"
        "taker_buy_base_asset_volume,taker_buy_quote_asset_volume,ignore"
    )
    with path.open("w") as file:
        file.write(header + "\n")
        for time, row in zip(opened.tolist(), made.tolist(), strict=True):
            prices, quote, trades = row[1:6], row[6], row[7]
            cells = ",".join(f"{value:.8f}" for value in prices)
            file.write(f"{time},{cells},{time + 59_999},{quote:.8f},{trades},0.1,0.1,0\n")
