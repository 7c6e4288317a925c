"""Workers that are killed in the middle of measuring lose nothing, and do nothing twice."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.settings import load_settings
from seawall.core.time import iso, now
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.locks import lock_prices
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.tables import User
from seawall.jobs.crew import Given
from seawall.jobs.defer import defer
from seawall.jobs.store import DIED
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import parse_transactions
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.transactions import import_transactions
from seawall.risk.report import recompute
from seawall.workers import risk

FORKED = Path(__file__).parent / "forked.py"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
LAST = now().replace(hour=0, minute=0, second=0, microsecond=0)
AS_OF = LAST - DAY
DAYS = 45
COINS = ("BTC", "ETH", "SOL", "ADA", "DOT")
BOB = UUID(int=0xB0B)
PORTFOLIOS = 80
"""Of two users, measured in two chunks."""

Ready = Callable[[], Awaitable[object]]

# What is put in by the clock or by chance differs between two runs; nothing else may.
_ROWS = """
    SELECT portfolio_id, window_days, confidence, benchmark,
        to_jsonb(r) - '{id,known_at,created_at,ingested_at,changed_in}'::text[]
    FROM portfolio_risk_metrics r WHERE time = :as_of ORDER BY 1, 2, 3, 4
"""
_SNAPSHOTS = """
    SELECT portfolio_id, to_jsonb(s) - '{id,known_at,created_at}'::text[]
    FROM portfolio_snapshots s WHERE time = :as_of ORDER BY 1
"""
_SCORES = """
    SELECT asset_id, to_jsonb(s) - '{id,created_at}'::text[] #- '{factors,known_at}'
    FROM risk_scores s WHERE calculated_at = :as_of ORDER BY 1
"""
STORED = (_ROWS, _SNAPSHOTS, _SCORES)
_BUSY = "SELECT count(*) FROM queue.procrastinate_jobs WHERE status IN ('todo', 'doing')"
_DOING = "SELECT id FROM queue.procrastinate_jobs WHERE status = 'doing' AND task_name = :task"
_LONG_SILENT = """
    UPDATE queue.procrastinate_workers SET last_heartbeat = last_heartbeat - interval '1 day'
"""
_SINCE = """
    SELECT portfolio_id, time, window_days, id, user_id FROM portfolio_risk_metrics
    WHERE time >= :since ORDER BY time, portfolio_id
"""
_HOLDERS = """
    SELECT DISTINCT portfolio_id FROM holdings JOIN assets ON assets.id = asset_id
    WHERE symbol = ANY (:coins) ORDER BY 1
"""
_WAITING = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND CAST(:holder AS integer) = ANY (pg_blocking_pids(pid))
"""
_TERMINATE = f"SELECT pg_terminate_backend(pid) FROM ({_WAITING}) waiting"  # noqa: S608
_ENDED = """
    SELECT status FROM queue.procrastinate_jobs
    WHERE task_name = :task AND args ->> 'midnight' = :midnight
"""
_SNAPSHOT_IN_THE_WAY = """
    INSERT INTO portfolio_snapshots (
        portfolio_id, user_id, time, known_at, total_value_usd, total_invested_usd, cash_usd,
        holdings_count
    ) SELECT id, user_id, :as_of, now(), 1, 1, 0, 1 FROM portfolios WHERE id = :id
"""


def _candles(coin: str, seconds: int, first: datetime, closes: list[float]) -> ParsedFile:
    records = np.zeros(len(closes), CANDLE_DTYPE)
    start = np.datetime64(first.replace(tzinfo=None), "us")
    records["time"] = start + np.arange(len(closes)) * np.timedelta64(seconds, "s")
    for name in ("open", "high", "low", "close"):
        records[name] = closes
    records["quote_volume"], records["trade_count"] = np.nan, -1
    pair = f"{coin}/USD"
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, len(closes), (), pair, "kraken", Timeframe(seconds)
    )


async def _fill(location: Location) -> None:
    engine = create_engine(location.url)
    random = np.random.default_rng(3)
    async with unbound_transaction(engine) as session:
        for coin in COINS:
            closes = 100 * np.exp(np.cumsum(random.normal(0, 0.03, DAYS)))
            await ingest(session, _candles(coin, 86_400, LAST - DAYS * DAY, closes.tolist()), coin)
    for user in (OWNER_ID, BOB):
        async with transaction(engine, user) as session:
            if user == OWNER_ID:
                await ensure_owner(session)
            else:
                session.add(User(id=BOB, username="bob"))
                await session.flush()
            for number in range(PORTFOLIOS // 2):
                portfolio = await create_portfolio(session, user, f"No. {number}")
                when = f"{LAST - (DAYS - 5) * DAY:%Y-%m-%d}"
                lines = [
                    f"{when},buy,{coin},{1 + random.integers(1, 999) / 7:.6f},100"
                    for coin in random.choice(COINS, 3, replace=False)
                ]
                rows = "\n".join(["date,type,asset,quantity,price_usd", *lines])
                parsed = parse_transactions(rows.encode(), now())
                assert not (await import_transactions(session, portfolio, parsed)).rejected
    await engine.dispose()


# The midnight that a worker begins with is done: what there is to measure, the tests queue.
_NOTHING_TO_DO = (
    "DELETE FROM queue.procrastinate_jobs",
    "INSERT INTO measured_midnights (midnight) VALUES (date_trunc('day', now(), 'UTC'))",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A filled database, and a copy of it in which nobody is killed."""

    location: Location
    copy: Location


async def _command(url: str, *statements: str) -> None:
    engine = create_engine(url, role=None, pooled=False)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for each in statements:
            await connection.execute(text(each))
    await engine.dispose()


@pytest.fixture(scope="module")
def place(module_location: Location) -> Iterator[Place]:
    """Prices and portfolios of two users, with nothing in the queue; and the same once more."""
    asyncio.run(_fill(module_location))
    asyncio.run(_command(module_location.admin_url, *_NOTHING_TO_DO))
    there, copied = module_location.name, f"{module_location.name}_copy"
    copy = f"CREATE DATABASE {copied} TEMPLATE {there} STRATEGY file_copy"
    asyncio.run(_command(module_location.maintenance_url, copy))
    addresses = ("url", "admin_url")
    there_too = {each: getattr(module_location, each).replace(there, copied) for each in addresses}
    yield Place(module_location, replace(module_location, name=copied, **there_too))
    drop = f"DROP DATABASE {copied} WITH (FORCE)"
    asyncio.run(_command(module_location.maintenance_url, drop))


async def _read(admin: AsyncEngine, query: str, **values: object) -> list[Any]:
    async with admin.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query), values)]


class Workers:
    """Starts workers as programs, kills them, and looks at what they left."""

    def __init__(self, admin: AsyncEngine, starter: "subprocess.Popen[str]") -> None:
        self.admin = admin
        self._starter = starter

    def start(self) -> int:
        """Start a worker; return its process."""
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write("\n")
        self._starter.stdin.flush()
        return int(self._starter.stdout.readline())

    async def end(self, process: int, how: signal.Signals) -> None:
        """End a worker, and wait until it is gone; what it leaves is due for the next at once."""
        os.kill(process, how)
        with suppress(ProcessLookupError):
            async with asyncio.timeout(60):
                while True:
                    os.kill(process, 0)
                    await asyncio.sleep(0.01)
        async with self.admin.begin() as connection:
            await connection.execute(text(_LONG_SILENT))

    async def kill_at(self, holder: int, ready: Ready) -> None:
        """Start a worker, and kill it where it waits for what is held and all else is ready."""
        process = self.start()
        await self.until_waiting(holder, ready)
        await self.end(process, signal.SIGKILL)

    async def until_waiting(self, holder: int, ready: Ready) -> None:
        """Wait until somebody waits for a process of the server, and all else is ready."""
        async with asyncio.timeout(120):
            while not (  # noqa: ASYNC110 - another process makes it happen
                await self.read(_WAITING, holder=holder) and await ready()
            ):
                await asyncio.sleep(0.02)

    async def work_off(self) -> None:
        """Let one worker do all that is left, and stop it."""
        process = self.start()
        async with asyncio.timeout(120):
            while await self.read(_BUSY) != [(0,)]:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        await self.end(process, signal.SIGTERM)

    async def read(self, query: str, **values: object) -> list[Any]:
        """Return rows, of all users."""
        return await _read(self.admin, query, **values)

    @asynccontextmanager
    async def hold(self, statement: str, **values: object) -> AsyncIterator[int]:
        """Hold what a statement locks or writes, and take it back; gives the server's process."""
        async with self.admin.connect() as connection:
            # Foreign keys would lock the portfolio, where only its snapshot is to be in the way.
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
            await connection.execute(text(statement), values)
            yield int(await connection.scalar(text("SELECT pg_backend_pid()")) or 0)
            await connection.rollback()


@pytest.fixture
def starter(place: Place, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """What starts workers on the filled database; whichever are left are killed."""
    told = {
        "SEAWALL_HOME": str(tmp_path / "home"),
        "SEAWALL_DATABASE__URL": place.location.url,
        "SEAWALL_DATABASE__ADMIN_URL": place.location.admin_url,
        "OPENBLAS_NUM_THREADS": "1",
    }
    with subprocess.Popen(
        [sys.executable, str(FORKED)],
        env=os.environ | told,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        yield started
        os.killpg(started.pid, signal.SIGKILL)


@pytest.fixture
async def workers(place: Place, starter: "subprocess.Popen[str]") -> AsyncIterator[Workers]:
    """Workers on the filled database."""
    admin = create_engine(place.location.admin_url, role=None)
    yield Workers(admin, starter)
    await admin.dispose()


@pytest.fixture
async def engine(place: Place) -> AsyncIterator[AsyncEngine]:
    """The application's engine on the filled database."""
    made = create_engine(place.location.url)
    yield made
    await made.dispose()


async def _uninterrupted(copy: Location) -> dict[str, list[Any]]:
    """Measure the same midnight in the copy, to its end; return what is stored."""
    engine = create_engine(copy.admin_url, role=WORKER_ROLE)
    await risk.measure_midnight(Given(engine, load_settings(), 0), midnight=iso(AS_OF))
    await engine.dispose()
    admin = create_engine(copy.admin_url, role=None)
    found = {query: await _read(admin, query, as_of=AS_OF) for query in STORED}
    await admin.dispose()
    return found


async def test_a_midnight_survives_a_kill_at_every_moment(
    place: Place, workers: Workers, engine: AsyncEngine
) -> None:
    async with unbound_transaction(engine) as session:
        await defer(session, risk.MIDNIGHT, key=iso(AS_OF), midnight=iso(AS_OF))
    ((last,),) = await workers.read("SELECT id FROM portfolios ORDER BY id DESC LIMIT 1")

    async def kept() -> list[Any]:
        return await workers.read(_ROWS, as_of=AS_OF)

    async def is_begun() -> bool:
        return bool(await workers.read(_DOING, task=risk.MIDNIGHT))

    async def is_half_kept() -> bool:
        return await is_begun() and bool(await kept())

    # Before the prices are read.
    async with unbound_transaction(engine) as session:
        await lock_prices(session, COINS)
        holder = await session.scalar(text("SELECT pg_backend_pid()"))
        await workers.kill_at(int(holder or 0), is_begun)
    assert await kept() == []

    # While one chunk is kept, and another waits for a portfolio.
    async with workers.hold("SELECT FROM portfolios WHERE id = :id FOR UPDATE", id=last) as holder:
        await workers.kill_at(holder, is_half_kept)
    half = await kept()
    assert 0 < len(half) < PORTFOLIOS

    # While that other is being written: its rows are there, and not committed.
    async with workers.hold(_SNAPSHOT_IN_THE_WAY, as_of=AS_OF, id=last) as holder:
        await workers.kill_at(holder, is_begun)
    assert await kept() == half

    # When every portfolio is kept, and nothing says that the midnight is done.
    noting = "LOCK TABLE measured_midnights IN EXCLUSIVE MODE"
    async with workers.hold(noting) as holder:
        await workers.kill_at(holder, is_begun)
    assert len(await kept()) == PORTFOLIOS
    assert await workers.read(_SCORES, as_of=AS_OF) == []

    # When all is done, and the queue has not heard of it.
    async with AsyncExitStack() as stack:
        async with workers.hold(noting) as holder:
            process = workers.start()
            await workers.until_waiting(holder, is_begun)
            ((job,),) = await workers.read(_DOING, task=risk.MIDNIGHT)
            row = "SELECT FROM queue.procrastinate_jobs WHERE id = :id FOR UPDATE"
            queue = await stack.enter_async_context(workers.hold(row, id=job))
        await workers.until_waiting(queue, is_begun)
        await workers.end(process, signal.SIGKILL)
        # The server finds out that nobody listens any more.
        await workers.read(_TERMINATE, holder=queue)
    assert await is_begun()

    await workers.work_off()
    failures = "SELECT error, retried FROM job_failures WHERE job_id = :job"
    assert await workers.read(failures, job=job) == [(DIED, True)] * 5
    ended = await workers.read(_ENDED, task=risk.MIDNIGHT, midnight=iso(AS_OF))
    assert ended == [("succeeded",)]
    noted = "SELECT count(*) FROM measured_midnights WHERE midnight = :as_of"
    assert await workers.read(noted, as_of=AS_OF) == [(1,)]
    expected = await _uninterrupted(place.copy)
    assert len({row[0] for row in expected[_ROWS]}) == len(expected[_ROWS]) == PORTFOLIOS
    assert len(expected[_SNAPSHOTS]) == PORTFOLIOS
    assert len(expected[_SCORES]) == len(COINS)
    for query, rows in expected.items():
        assert await workers.read(query, as_of=AS_OF) == rows


async def test_prices_that_come_while_no_worker_lives_are_measured_with_those_of_before(
    workers: Workers, engine: AsyncEngine
) -> None:
    begun = now()
    minute = begun.replace(second=0, microsecond=0)

    async def bring(coin: str) -> None:
        async with unbound_transaction(engine) as session:
            await ingest(session, _candles(coin, 60, minute - 2 * MINUTE, [123.0]), coin)

    async def kept() -> list[Any]:
        return await workers.read(_SINCE, since=begun)

    await workers.work_off()
    await bring("BTC")
    holders = await workers.read(_HOLDERS, coins=["BTC"])
    async with workers.hold(
        "SELECT FROM portfolios WHERE id = :id FOR UPDATE", id=holders[-1][0]
    ) as holder:
        await workers.kill_at(holder, kept)
    half = await kept()
    assert 0 < len(half) < len(holders)
    await bring("ETH")
    last = now()
    await workers.work_off()

    found = await kept()
    assert {row[:3] for row in half} <= {row[:3] for row in found}
    anew = [row for row in found if row not in half]
    # Once each, as of one instant that is after the last price.
    assert [row[0] for row in anew] == [
        id_ for (id_,) in await workers.read(_HOLDERS, coins=["BTC", "ETH"])
    ]
    assert len({row[1] for row in anew}) == 1
    assert anew[0][1] > last
    for *_, report, user in found[::25]:
        async with transaction(engine, user) as session:
            assert (await recompute(session, report)).differs == ()
