"""From a new price to the stored risk of all who hold the asset, with a worker running."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from statistics import quantiles
from time import perf_counter

import numpy as np
import uvloop
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.installation import installation
from benchmarks.result import Result
from seawall.core.time import now
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.ops.seeds.perf import seed_perf
from seawall.portfolios.store import list_portfolios
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion

USERS, DAYS = 2_000, 400
"""Each user has five portfolios, each with 20 of 50 coins."""
WARM_UP, TICKS = 3, 60
PEERS = 50
LONGEST = 600
MINUTE = timedelta(minutes=1)
_QUEUED = text("SELECT count(*) FROM queue.procrastinate_jobs")
_BUSY = text("SELECT count(*) FROM queue.procrastinate_jobs WHERE status IN ('todo', 'doing')")
_FAILED = text("SELECT error FROM job_failures LIMIT 1")
_HOLDERS = text(
    "SELECT count(DISTINCT portfolio_id) FROM holdings JOIN assets ON assets.id = asset_id"
    " WHERE symbol = :symbol AND quantity > 0"
)
_MEASURED = text(
    "SELECT count(DISTINCT portfolio_id) FROM portfolio_risk_metrics WHERE time >= :since"
)
_PAIRS = text(
    "SELECT base.symbol, exchanges.code, symbols.symbol,"
    " (SELECT close FROM candles WHERE symbol_id = symbols.id ORDER BY time DESC LIMIT 1)"
    " FROM symbols JOIN assets base ON base.id = base_asset_id"
    " JOIN exchanges ON exchanges.id = exchange_id ORDER BY 1"
)


def tick_to_risk() -> list[Result]:
    """Bring prices one after the other, and wait each time until all holders are measured."""
    with installation() as location:
        began = perf_counter()
        uvloop.run(seed_perf(location, USERS, now(), lambda *_: None, days=DAYS))
        print(f"seeded in {perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        with _worker(location):
            return [uvloop.run(_measure(location))]


@contextmanager
def _worker(location: Location) -> Iterator[None]:
    """Run a worker as a program, as an installation does."""
    told = {
        "SEAWALL_DATABASE__URL": location.url,
        "SEAWALL_DATABASE__ADMIN_URL": location.admin_url,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "seawall.cli.app", "worker", "run"],
        env=os.environ | told,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def _measure(location: Location) -> Result:
    engine = create_engine(location.url)
    admin = create_engine(location.admin_url, role=None)
    try:
        await _until_idle(admin, pause=0.5, at_least=1)
        # As the server does by itself, within a minute of so many rows.
        async with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("VACUUM (ANALYZE) holdings, portfolios, transactions"))
        async with admin.connect() as connection:
            pairs = [tuple(row) for row in await connection.execute(_PAIRS)]
        random = np.random.default_rng(4)
        spent = []
        for number in range(WARM_UP + TICKS):
            pair = pairs[random.integers(len(pairs))]
            opened = (
                now().replace(second=0, microsecond=0) - (WARM_UP + TICKS + 1 - number) * MINUTE
            )
            spent.append(await _tick(engine, admin, pair, opened))
        peer = await _report_on_each(engine, admin)
    finally:
        await engine.dispose()
        await admin.dispose()
    measured = spent[WARM_UP:]
    p95 = quantiles((seconds for seconds, _ in measured), n=20)[-1] * 1e3
    holders = sum(count for _, count in measured) / TICKS
    print(f"{holders:,.0f} portfolios a tick, p95 of {TICKS}", file=sys.stderr, flush=True)
    name = f"a report on each portfolio, from {PEERS} of them"
    return Result("tick-to-risk", p95, "ms", name, peer * holders, peer * holders / p95)


async def _tick(
    engine: AsyncEngine, admin: AsyncEngine, pair: tuple[str, str, str, float], opened: datetime
) -> tuple[float, int]:
    """Bring a price; return the seconds until all who hold the coin are measured, and how many."""
    coin, exchange, symbol, close = pair
    records = np.zeros(1, CANDLE_DTYPE)
    records["time"] = np.datetime64(opened.replace(tzinfo=None), "us")
    for name in ("open", "high", "low", "close"):
        records[name] = close * (1 + 0.001 * opened.minute)
    parsed = ParsedFile(
        format="generic",
        kind=SeriesKind.CANDLES,
        records=records,
        rows_read=1,
        symbol=symbol,
        exchange=exchange,
        timeframe=Timeframe(60),
    )
    since, start = now(), perf_counter()
    async with transaction(engine, OWNER_ID) as session:
        done = await ingest(session, parsed, "tick", is_simulated=True)
    await _until_idle(admin, pause=0.02)
    spent = perf_counter() - start
    assert done.inserted == 1
    async with admin.connect() as connection:
        holders = int(await connection.scalar(_HOLDERS, {"symbol": coin}) or 0)
        assert holders > 0
        assert await connection.scalar(_MEASURED, {"since": since}) == holders
    return spent, holders


async def _until_idle(admin: AsyncEngine, pause: float, at_least: int = 0) -> None:
    """Wait until no job waits or runs; and before that, until so many were queued at all."""
    async with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for _ in range(int(LONGEST / pause)):
            queued = await connection.scalar(_QUEUED)
            if queued >= at_least and not await connection.scalar(_BUSY):
                break
            await asyncio.sleep(pause)
        else:
            raise TimeoutError(f"jobs are left after {LONGEST} s")
        assert await connection.scalar(_FAILED) is None


async def _report_on_each(engine: AsyncEngine, admin: AsyncEngine) -> float:
    """Return the milliseconds that a report on one portfolio takes."""
    async with admin.connect() as connection:
        users = list(
            await connection.scalars(
                text("SELECT DISTINCT user_id FROM portfolios ORDER BY 1 LIMIT :many"),
                {"many": PEERS // 5},
            )
        )
    done, start = 0, perf_counter()
    for user in users:
        async with transaction(engine, user) as session:
            for portfolio in await list_portfolios(session):
                await report(session, portfolio, None, RiskQuestion())
                done += 1
    assert done == PEERS
    return (perf_counter() - start) / done * 1e3
