"""The log is only added to, and what is written of backups and drills makes sense."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.db.database import Location
from seawall.db.engine import APP_ROLE, WORKER_ROLE, create_engine
from seawall.db.faults import translated
from seawall.db.series import SYSTEM_LOGS, ensure_chunks
from seawall.ops.tables import Backup, RestoreDrill, SystemLog

NOON = datetime(2025, 5, 6, 12, tzinfo=UTC)
SHA = bytes(range(32))
TAKEN = {
    "status": "succeeded",
    "started_at": NOON,
    "finished_at": NOON + timedelta(minutes=5),
    "path": "backups/20250506.tar.zst",
    "size_bytes": 1_000,
    "checksum": SHA,
    "wal_start": "0/1A000028",
    "wal_end": "0/1B000000",
}
ENTRY = {"time": NOON, "level": "error", "component": "market.ingest", "message": "no answer"}


async def _as_role(url: str, role: str) -> AsyncIterator[AsyncSession]:
    engine = create_engine(url, role=role, pooled=False)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


@pytest.fixture
async def app(module_location: Location) -> AsyncIterator[AsyncSession]:
    """A transaction of the application, undone at the end; what is logged is no user's."""
    async for session in _as_role(module_location.url, APP_ROLE):
        yield session


@pytest.fixture
async def worker(module_location: Location) -> AsyncIterator[AsyncSession]:
    """A transaction of a worker, undone at the end."""
    async for session in _as_role(module_location.admin_url, WORKER_ROLE):
        yield session


async def _refused(session: AsyncSession, statement: Any, constraint: str) -> None:
    with pytest.raises(DBAPIError, match=f'constraint "{constraint}"'):
        async with session.begin_nested():
            await session.execute(statement)


async def _forbidden(session: AsyncSession, statement: str) -> None:
    with pytest.raises(ForbiddenError, match="permission denied for table"), translated():
        async with session.begin_nested():
            await session.execute(text(statement))


async def test_the_log_is_written_and_read(app: AsyncSession) -> None:
    await ensure_chunks(app, SYSTEM_LOGS, NOON, NOON)
    for level in ("debug", "info", "warning", "error", "critical"):
        await app.execute(insert(SystemLog).values(ENTRY | {"level": level}))
    with_details = ENTRY | {"details": {"source": "binance", "attempt": 3}, "message": ""}
    await app.execute(insert(SystemLog).values(with_details))
    stored = (await app.scalars(select(SystemLog))).all()
    assert len({row.id for row in stored}) == len(stored) == 6
    assert {row.message: row.details["attempt"] for row in stored if row.details} == {"": 3}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"level": "ERROR"}, "level"),
        ({"level": "fatal"}, "level"),
        ({"component": ""}, "component"),
        ({"component": "c" * 101}, "component"),
        ({"details": ["binance"]}, "metadata"),
    ],
)
async def test_an_entry_that_makes_no_sense_is_refused(
    app: AsyncSession, change: dict[str, Any], check: str
) -> None:
    await ensure_chunks(app, SYSTEM_LOGS, NOON, NOON)
    await _refused(app, insert(SystemLog).values(ENTRY | change), f"ck_system_logs_{check}")


async def test_what_was_logged_stays(app: AsyncSession, worker: AsyncSession) -> None:
    for each in (app, worker):
        await _forbidden(each, "UPDATE system_logs SET message = ''")
        await _forbidden(each, "DELETE FROM system_logs")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"kind": "incremental", "size_bytes": 0},
        {"kind": "wal", "wal_end": "1/0", "wal_start": "0/FFFFFFFF"},
        {"verified_at": NOON + timedelta(hours=1), "status": "expired"},
        {"status": "failed", "error": "disk full", "path": None, "checksum": None},
        {"status": "running", "finished_at": None, "size_bytes": None},
    ],
)
async def test_a_backup_is_written_down(worker: AsyncSession, change: dict[str, Any]) -> None:
    await worker.execute(insert(Backup).values({"kind": "full"} | TAKEN | change))
    assert await worker.scalar(select(func.count()).select_from(Backup)) == 1


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"kind": "differential"}, "kind"),
        ({"status": "done"}, "status"),
        ({"status": "running"}, "finished"),
        ({"finished_at": None}, "finished"),
        ({"finished_at": NOON - timedelta(seconds=1)}, "finished"),
        ({"status": "failed"}, "failed"),
        ({"error": "disk full"}, "failed"),
        ({"path": None}, "taken"),
        ({"size_bytes": None}, "taken"),
        ({"checksum": None, "status": "expired"}, "taken"),
        ({"size_bytes": -1}, "size"),
        ({"checksum": b"abc"}, "checksum"),
        ({"wal_start": "1A000028"}, "wal"),
        ({"wal_start": "0/1a000028"}, "wal"),
        ({"wal_end": "0/100000000"}, "wal"),
        ({"wal_start": "1/0", "wal_end": "0/FFFFFFFF"}, "wal"),
        ({"verified_at": NOON}, "verified"),
        ({"verified_at": NOON, "status": "running", "finished_at": None}, "verified"),
    ],
)
async def test_a_backup_that_makes_no_sense_is_refused(
    worker: AsyncSession, change: dict[str, Any], check: str
) -> None:
    values = {"kind": "full"} | TAKEN | change
    await _refused(worker, insert(Backup).values(values), f"ck_backups_{check}")


async def test_a_place_holds_one_backup_that_is_kept(worker: AsyncSession) -> None:
    full = insert(Backup).values({"kind": "full"} | TAKEN)
    await worker.execute(full)
    with pytest.raises(DBAPIError, match="uq_backups_kept_path"):
        async with worker.begin_nested():
            await worker.execute(full)
    await worker.execute(update(Backup).values(status="expired"))
    await worker.execute(full)


async def test_a_drill_says_how_long_it_took(worker: AsyncSession) -> None:
    backup = await worker.scalar(insert(Backup).values(kind="full").returning(Backup.id))
    started = insert(RestoreDrill).values(backup_id=backup, started_at=NOON)
    drill = await worker.scalar(started.returning(RestoreDrill))
    assert drill is not None
    assert (drill.duration, drill.success, drill.checks) == (None, None, {})
    over = {"finished_at": NOON + timedelta(hours=3), "success": True, "checks": {"users": 3}}
    await worker.execute(update(RestoreDrill).values(over))
    await worker.refresh(drill)
    assert drill.duration == timedelta(hours=3)
    assert drill.checks == {"users": 3}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"success": True}, "ck_restore_drills_finished"),
        ({"finished_at": NOON}, "ck_restore_drills_finished"),
        ({"success": False, "finished_at": NOON}, "ck_restore_drills_finished"),
        ({"checks": []}, "ck_restore_drills_checks"),
        ({"backup_id": 0}, "fk_restore_drills_backups"),
    ],
)
async def test_a_drill_that_makes_no_sense_is_refused(
    worker: AsyncSession, change: dict[str, Any], constraint: str
) -> None:
    backup = await worker.scalar(insert(Backup).values(kind="full").returning(Backup.id))
    sound = {"backup_id": backup, "started_at": NOON + timedelta(seconds=1)}
    await _refused(worker, insert(RestoreDrill).values(sound | change), constraint)


@pytest.mark.parametrize("table", ["backups", "restore_drills"])
async def test_workers_write_what_the_application_only_reads(
    app: AsyncSession, worker: AsyncSession, table: str
) -> None:
    assert (await app.execute(text(f"SELECT * FROM {table}"))).all() == []  # noqa: S608
    await _forbidden(app, f"INSERT INTO {table} DEFAULT VALUES")
    await _forbidden(app, f"UPDATE {table} SET finished_at = now()")  # noqa: S608
    for each in (app, worker):
        await _forbidden(each, f"DELETE FROM {table}")  # noqa: S608
