"""What happens to jobs when workers and databases die."""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db import database
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.server.driver import Server
from seawall.db.session import unbound_transaction
from seawall.jobs import store
from seawall.jobs.defer import defer

Queue = Callable[..., Awaitable[None]]
Start = Callable[..., "subprocess.Popen[str]"]
SILENT = timedelta(seconds=30)


async def _until(happened: Callable[[], bool], seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110 - another process makes it happen
            await asyncio.sleep(0.05)


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


async def _states(worker: AsyncEngine) -> dict[tuple[str, str], int]:
    state = await store.describe(worker, SILENT, 10)
    return {(each.task, each.state): each.jobs for each in state.tasks}


async def test_a_killed_worker_s_job_is_done_by_the_next(
    queue: Queue, start: Start, worker: AsyncEngine, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    first = start()
    await queue("dawdle", path=str(path), seconds=60)
    await _until(lambda: _lines(path) == ["begun"])
    first.send_signal(signal.SIGKILL)
    first.wait()

    second = start()
    await _until(lambda: _lines(path) == ["begun", "begun", "ended"])

    second.send_signal(signal.SIGTERM)
    await asyncio.to_thread(second.wait, 30)
    assert await _states(worker) == {("dawdle", "succeeded"): 1}
    (failure,) = (await store.describe(worker, SILENT, 10)).failures
    assert (failure.error, failure.retried) == (store.DIED, True)
    async with worker.connect() as connection:
        rows = "SELECT count(*) FROM assets WHERE symbol = 'ENDED'"
        assert await connection.scalar(text(rows)) == 1


async def test_a_worker_that_is_told_to_stop_ends_its_job_or_puts_it_back(
    queue: Queue, start: Start, worker: AsyncEngine, tmp_path: Path
) -> None:
    long, short = tmp_path / "long", tmp_path / "short"
    process = start(SEAWALL_WORKER__GRACE_SECONDS="2")
    await queue("dawdle", path=str(long), seconds=60)
    await _until(lambda: _lines(long) == ["begun"])
    # Of one name one runs at a time: the other waits, and is not begun any more.
    await queue("dawdle", "other", path=str(short), seconds=0)
    process.send_signal(signal.SIGTERM)
    out, _ = await asyncio.to_thread(process.communicate, timeout=30)
    assert process.returncode == 0
    assert "put back, for the worker stops" in out
    assert out.endswith("Stopped.\n")
    assert _lines(short) == []
    assert await _states(worker) == {("dawdle", "todo"): 2}


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A home with a server of its own, which this test may stop."""
    with tempfile.TemporaryDirectory(prefix="seawall-test-") as folder:
        Path(folder).chmod(0o755)
        for name in [each for each in os.environ if each.startswith("SEAWALL_DATABASE__")]:
            monkeypatch.delenv(name)
        chosen = os.environ.get("SEAWALL_TEST_BIN_DIR")
        if chosen:
            monkeypatch.setenv("SEAWALL_DATABASE__BIN_DIR", chosen)
        home = Path(folder) / "home"
        monkeypatch.setenv("SEAWALL_HOME", str(home))
        server = Server(home, bin_dir=Path(chosen) if chosen else None, settings={"fsync": "off"})
        yield server
        server.stop()


async def test_a_worker_goes_on_after_the_database_was_restarted(
    start: Start, embedded: Server, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    access = await asyncio.to_thread(embedded.ensure)
    location = Location(
        name="seawall",
        url=access.url("seawall"),
        admin_url=access.url("seawall", as_admin=True),
        maintenance_url=access.url("postgres", as_admin=True),
        app_password=access.app_password,
    )
    await database.prepare(location)
    process = start()

    async def queue(name: str, **ids: Any) -> None:
        engine = create_engine(location.url, pooled=False)
        async with unbound_transaction(engine) as session:
            await defer(session, name, key="", **ids)
        await engine.dispose()

    await queue("note", path=str(path), word="before")
    await _until(lambda: _lines(path) == ["before"])
    await asyncio.to_thread(embedded.stop)
    await asyncio.sleep(1)
    await asyncio.to_thread(embedded.ensure)
    await queue("note", path=str(path), word="after")
    await _until(lambda: _lines(path) == ["before", "after"])
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(process.wait, 30)
