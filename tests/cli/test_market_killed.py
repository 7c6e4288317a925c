"""An import that is killed half-way leaves everything as it was."""

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from seawall.db.database import Location
from seawall.db.engine import create_engine

PATIENCE = 30.0
_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND query ILIKE '%data_coverage%'"
)
_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def _wait_for(connection: AsyncConnection, question: Any, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await connection.scalar(question)) != count:  # noqa: ASYNC110 - asks another process
            await asyncio.sleep(0.02)


async def _kill_while_it_writes(location: Location, path: Path) -> int:
    """Stop an import between its candles and its coverage, and kill it there."""
    engine = create_engine(location.admin_url, role=None, pooled=False)
    command = [sys.executable, "-m", "seawall.cli.app", "market", "import", str(path)]
    async with engine.begin() as blocker, engine.connect() as watcher:
        await watcher.execution_options(isolation_level="AUTOCOMMIT")
        await blocker.execute(text("LOCK TABLE data_coverage IN EXCLUSIVE MODE"))
        program = await asyncio.create_subprocess_exec(*command)
        try:
            await _wait_for(watcher, _WAITING, 1)
        finally:
            program.kill()
            code = await program.wait()
    async with engine.connect() as watcher:
        await watcher.execution_options(isolation_level="AUTOCOMMIT")
        await _wait_for(watcher, _OTHERS, 0)
    await engine.dispose()
    return code


def test_a_killed_import_leaves_nothing_of_its_file(
    cli: Callable[..., Any],
    installation: Location,
    write_candles: Callable[..., Path],
) -> None:
    assert cli("market", "import", write_candles([100, 101, 102])).code == 0
    before = cli("market", "coverage", "--json").document
    minute = {"step": timedelta(minutes=1), "start": datetime(2023, 1, 1, tzinfo=UTC)}
    closes = [100 + at % 50 for at in range(60_000)]
    larger = write_candles(closes, name="ETHUSD-1m.csv", **minute)
    assert asyncio.run(_kill_while_it_writes(installation, larger)) == -signal.SIGKILL
    assert cli("market", "coverage", "--json").document == before
    done = cli("market", "import", larger, "--json")
    assert done.code == 0
    assert done.document["files"][0]["inserted"] == len(closes)
