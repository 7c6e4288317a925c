"""Expired rows leave without harm to what stays: days, chunks, the log, others at work."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.audit.verify import verify
from seawall.db.merge import merge
from seawall.db.session import transaction
from seawall.db.upkeep import maintain
from seawall.market import catalog, store
from seawall.market.schemas import CANDLE_DTYPE
from seawall.ops.archive import list_archives
from seawall.ops.expire import Expired, expire
from seawall.ops.restore import restore
from seawall.ops.retention import Profile

MakeTrader = Callable[[], Awaitable[Any]]
AddRows = Callable[..., Awaitable[None]]
NOW = datetime(2026, 5, 6, 12, 30, tzinfo=UTC)
OLD = datetime(2018, 2, 28, 23, tzinfo=UTC)
STAMP = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)


async def _apply(
    owner: AsyncEngine, folder: Path, profile: Profile = Profile.STANDARD
) -> list[Expired]:
    return [each async for each in expire(owner, profile, NOW, folder)]


async def _ask(engine: AsyncEngine, query: str, **values: object) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query), values)]


async def _chunks(engine: AsyncEngine, table: str) -> list[str]:
    """Return when a series' chunks begin."""
    native = await _ask(engine, "SELECT engine FROM series WHERE table_name = :t", t=table)
    query = (
        "SELECT to_char(substring(pg_get_expr(relpartbound, oid), '''([^'']+)''')::timestamptz,"
        " 'YYYY-MM-DD') FROM pg_class JOIN pg_inherits ON inhrelid = oid"
        " WHERE inhparent = CAST(:t AS regclass) ORDER BY 1"
        if native == [("native",)]
        else "SELECT to_char(range_start, 'YYYY-MM-DD') FROM timescaledb_information.chunks"
        " WHERE hypertable_name = :t ORDER BY 1"
    )
    return [start for (start,) in await _ask(engine, query, t=table)]


async def _hours(engine: AsyncEngine, trader: Any, first: datetime, hours: int) -> None:
    """Import candles of hours."""
    records = np.zeros(hours, CANDLE_DTYPE)
    start = np.datetime64(first.replace(tzinfo=None), "us")
    records["time"] = start + np.arange(hours) * np.timedelta64(1, "h")
    for name in ("open", "high", "low", "close"):
        records[name] = 100 + np.arange(hours) / 7
    subject = {"symbol_id": trader.symbol, "timeframe": 3600}
    async with transaction(engine, trader.user) as session:
        await merge(session, store.CANDLES, subject, records, STAMP)


DAYS = "SELECT * FROM candles_by_day ORDER BY day"


async def test_days_outlive_their_rows_whatever_comes_later(
    owner: AsyncEngine, engine: AsyncEngine, folder: Path, trader: MakeTrader
) -> None:
    one = await trader()
    await _hours(engine, one, NOW - 200 * DAY, 190 * 24)
    await maintain(owner)
    before = await _ask(engine, DAYS)
    found = await _apply(owner, folder, Profile.LEAN)
    assert sum(each.rows for each in found) == 110 * 24
    assert await _ask(engine, DAYS) == before
    # Kept longer again, and rows that nobody announced: what has left stays summed up.
    await _apply(owner, folder, Profile.STANDARD)
    async with owner.begin() as connection:
        await connection.execute(
            text("UPDATE candles SET volume = volume WHERE time > :t"), {"t": NOW - 12 * DAY}
        )
    await maintain(owner)
    assert await _ask(engine, DAYS) == before
    for record in await list_archives(owner, folder):
        await restore(owner, folder, record.id, NOW)
    await maintain(owner)
    assert await _ask(engine, DAYS) == before
    # Days that are still whole follow their rows.
    await _hours(engine, one, NOW - 10 * DAY, 48)
    await maintain(owner)
    assert len(await _ask(engine, DAYS)) == len(before) + 2


async def test_chunks_that_expired_as_a_whole_are_dropped(
    owner: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    one = await trader()
    times = [NOW - days * DAY for days in (90, 60, 35, 26, 1)]
    await add_rows(one, "quotes", *times)
    await add_rows(one, "performance_metrics", OLD, OLD.replace(year=2025))
    before = await _chunks(owner, "quotes")
    found = await _apply(owner, folder)
    assert sum(each.rows for each in found if each.rule.name == "quotes") == 3
    left = await _ask(owner, "SELECT time FROM quotes ORDER BY time")
    assert left == [(times[3],), (times[4],)]
    # Of April there is something left, on either engine.
    assert await _chunks(owner, "quotes") == before[-2:]
    assert await _chunks(owner, "performance_metrics") == ["2025-01-01"]


async def test_a_chunk_that_holds_an_index_stays(
    owner: AsyncEngine, admin: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    one = await trader()
    async with transaction(admin, one.user) as session:
        index = await catalog.ensure_index(session, "SP500")
    for table in ("price_history", "price_revisions"):
        await add_rows(one, table, OLD, OLD.replace(year=2019), NOW)
        await add_rows(one, table, OLD.replace(year=2019), asset_id=index.id)
    await _apply(owner, folder)
    for table in ("price_history", "price_revisions"):
        left = await _ask(owner, f"SELECT asset_id, time FROM {table} ORDER BY time")  # noqa: S608
        assert left == [(index.id, OLD.replace(year=2019)), (one.asset, NOW)]
        assert [start[:4] for start in await _chunks(owner, table)][:2] == ["2019", "2026"]


async def test_many_rows_leave_a_chunk_that_is_compressed(
    owner: AsyncEngine, admin: AsyncEngine, folder: Path, trader: MakeTrader
) -> None:
    one = await trader()
    async with transaction(admin, one.user) as session:
        index = await catalog.ensure_index(session, "SP500")
    month = datetime(2020, 5, 1, tzinfo=UTC)
    async with admin.begin() as connection:
        await connection.execute(
            text("SELECT ensure_chunks('price_history', :m, :m)"), {"m": month}
        )
        await connection.execute(
            text(
                "INSERT INTO price_history (asset_id, time, price_usd, ingested_at)"
                " SELECT asset, time, 2, :m FROM generate_series(1001, 1004) AS asset,"
                " generate_series(:m, CAST(:last AS timestamptz), '1 minute') AS time"
                " UNION ALL SELECT :index, :m, 2, :m"
            ),
            {"m": month, "last": month + 29 * DAY, "index": index.id},
        )
    (found,) = await _apply(owner, folder)
    assert found.rows == 4 * (29 * 24 * 60 + 1)
    assert await _ask(owner, "SELECT asset_id, time FROM price_history") == [(index.id, month)]


async def test_a_clock_that_jumped_takes_nothing_that_is_not_old(
    owner: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    one = await trader()
    ahead = [NOW + 400 * DAY, NOW - DAY, NOW + DAY, NOW - 3 * DAY]
    for time in ahead:
        await add_rows(one, "quotes", time)
        await add_rows(one, "notifications", time)
    await add_rows(one, "quotes", OLD)
    found = await _apply(owner, folder)
    assert [(each.rule.name, each.rows) for each in found] == [("quotes", 1)]
    for query in ("SELECT time FROM quotes", "SELECT created_at FROM notifications"):
        assert {time for (time,) in await _ask(owner, query)} == set(ahead)


async def test_of_two_at_once_one_waits_and_nothing_goes_twice(
    owner: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    one = await trader()
    months = [OLD - n * 31 * DAY for n in range(4)]
    await add_rows(one, "fills", *months)
    first, second = await asyncio.gather(_apply(owner, folder), _apply(owner, folder))
    assert sorted((len(first), len(second))) == [0, 4]
    records = await list_archives(owner, folder)
    assert [each.rows for each in records] == [1, 1, 1, 1]
    assert all(each.is_there for each in records)


WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND query LIKE '%INTO audit_logs%' AND wait_event_type = 'Lock'
"""
LOG = """
    SELECT operation, table_name, record_id, new_data, old_data FROM audit_logs
    WHERE user_id = :user AND sequence > :after ORDER BY sequence
"""


async def test_the_log_says_how_many_went_and_came_and_not_what(
    owner: AsyncEngine,
    admin: AsyncEngine,
    folder: Path,
    trader: MakeTrader,
    add_rows: AddRows,
    tmp_path: Path,
) -> None:
    one, two = await trader(), await trader()
    await add_rows(one, "fills", OLD, OLD, OLD - 40 * DAY)
    await add_rows(two, "fills", OLD)
    await add_rows(one, "one_time_tokens", OLD, OLD)
    await add_rows(one, "notifications", OLD)
    ((entries,),) = await _ask(
        admin, "SELECT max(sequence) FROM audit_logs WHERE user_id = :user", user=one.user
    )
    await _apply(owner, folder)
    earlier, later, _ = await list_archives(owner, folder)
    await restore(owner, folder, later.id, NOW)
    assert await _ask(admin, LOG, user=one.user, after=entries) == [
        ("EXPIRE", "fills", str(earlier.id), {"month": "2018-01", "rows": 1}, None),
        ("EXPIRE", "fills", str(later.id), {"month": "2018-02", "rows": 2}, None),
        ("EXPIRE", "one_time_tokens", None, {"month": "2018-02", "rows": 2}, None),
        ("RESTORE", "fills", str(later.id), {"month": "2018-02", "rows": 2}, None),
    ]
    found = await verify(owner, tmp_path / "anchors", "seawall")
    assert found.is_intact


async def test_a_user_who_writes_meanwhile_is_waited_for(
    owner: AsyncEngine,
    engine: AsyncEngine,
    admin: AsyncEngine,
    folder: Path,
    trader: MakeTrader,
    add_rows: AddRows,
) -> None:
    one = await trader()
    await add_rows(one, "fills", OLD)
    async with asyncio.timeout(20), transaction(engine, one.user) as session:
        await session.execute(text("UPDATE strategies SET name = 'Other'"))
        run = asyncio.create_task(_apply(owner, folder))
        while await _ask(admin, WAITING) != [(1,)]:  # noqa: ASYNC110 - asks another process
            await asyncio.sleep(0.02)
    assert len(await run) == 1
    last = await _ask(admin, LOG, user=one.user, after=0)
    assert [each[0] for each in last[-2:]] == ["UPDATE", "EXPIRE"]


async def test_the_application_cannot_pass_by_the_log(
    engine: AsyncEngine, admin: AsyncEngine, trader: MakeTrader
) -> None:
    one = await trader()
    async with transaction(engine, one.user) as session:
        await session.execute(
            text("SELECT set_config('seawall.ageing', pg_current_xact_id()::text, true)")
        )
        await session.execute(text("INSERT INTO risk_limits (max_drawdown) VALUES (0.5)"))
    last = await _ask(admin, LOG, user=one.user, after=0)
    assert last[-1][:2] == ("INSERT", "risk_limits")
    async with transaction(engine, one.user) as session:
        with pytest.raises(DBAPIError, match="only the database itself logs EXPIRE"):
            await session.execute(
                text("INSERT INTO audit_logs (table_name, operation) VALUES ('fills', 'EXPIRE')")
            )
        await session.rollback()
