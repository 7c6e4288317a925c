"""Retention that is interrupted, or has no room: every row is in the database or in the archive."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from seawall.db.database import Location
from seawall.db.engine import create_engine

Cli = Callable[..., Any]
APPLY = ("db", "retention", "--apply", "--profile", "lean")
HOURS = {"step": timedelta(hours=1), "start": datetime(2024, 2, 25, tzinfo=UTC)}
ROWS = 400
MONTHS = 2
PATIENCE = 30.0
# Where a command that is to be stopped waits: at its next word in `archives`, its file written.
BLOCK = text("LOCK TABLE archives IN EXCLUSIVE MODE")
WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND query ~ '(INTO|TABLE) archives'"
)
OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def candles(cli: Cli, write_candles: Callable[..., Path]) -> int:
    """Import hours of two months."""
    path = write_candles([100 + at % 97 for at in range(ROWS)], "BTCUSD-1h.csv", **HOURS)
    assert cli("market", "import", path).code == 0
    return ROWS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installation: Location) -> Path:
    """The archive of the test's database."""
    monkeypatch.setenv("SEAWALL_ARCHIVE__FOLDER", str(tmp_path / "archive"))
    return tmp_path / "archive" / installation.name


def _held(location: Location) -> int:
    async def count() -> int:
        engine = create_engine(location.admin_url, role=None, pooled=False)
        async with engine.connect() as connection:
            found = await connection.scalar(text("SELECT count(*) FROM candles"))
        await engine.dispose()
        return int(found or 0)

    return asyncio.run(count())


def _archived(folder: Path) -> int:
    files = list(folder.rglob("*.parquet"))
    assert not list(folder.rglob("*.part"))
    times = [time for path in files for time in pl.read_parquet(path)["time"]]
    assert len(set(times)) == len(times)
    return len(times)


def _everything_leaves(cli: Cli, location: Location, folder: Path) -> None:
    """Repeat what failed: nothing was lost, and nothing goes twice."""
    assert cli(*APPLY).code == 0
    assert (_held(location), _archived(folder)) == (0, ROWS)
    records = cli("db", "archive", "list", "--json").document["archives"]
    assert sum(each["rows"] for each in records) == ROWS
    assert all(each["is_there"] for each in records)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with hardly any room; skips where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("only root may mount a disk that is full soon")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_takes_nothing_away(
    cli: Cli,
    installation: Location,
    candles: int,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEAWALL_ARCHIVE__FOLDER", str(small_disk))
    (small_disk / "others").write_bytes(bytes(8 * 1024))
    done = cli(*APPLY, "--json")
    assert done.code == 7
    error = done.document["error"]
    assert "cannot be written: No space left on device" in error["message"]
    assert "No row is lost. Make space there" in error["hint"]
    assert _held(installation) == candles
    assert _archived(small_disk) == 0
    (small_disk / "others").unlink()
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    _everything_leaves(cli, installation, small_disk)


def test_a_file_that_may_not_grow_takes_nothing_away(
    cli: Cli, installation: Location, candles: int, folder: Path
) -> None:
    limited = ("bash", "-c", 'ulimit -f 2; exec "$@"', "bash")
    command = (sys.executable, "-m", "seawall.cli.app", *APPLY)
    done = subprocess.run([*limited, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert _held(installation) == candles
    assert _archived(folder) == 0
    _everything_leaves(cli, installation, folder)


def test_a_folder_that_is_none_is_named(
    cli: Cli, installation: Location, candles: int, folder: Path
) -> None:
    folder.parent.write_text("a file")
    done = cli(*APPLY)
    assert done.code == 7
    assert f"{folder}/database cannot be written: File exists" in done.err
    assert _held(installation) == candles
    folder.parent.unlink()
    _everything_leaves(cli, installation, folder)


async def _stop(
    location: Location,
    kill: Callable[[int], None],
    *,
    passes: int = 0,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Start a run, kill where it is to commit a file; return its exit code and last words.

    With `passes` it may commit as many files before.
    """
    engine = create_engine(location.admin_url, role=None, pooled=False)
    command = [sys.executable, "-m", "seawall.cli.app", *APPLY]
    async with engine.connect() as watcher, AsyncExitStack() as stack:
        await watcher.execution_options(isolation_level="AUTOCOMMIT")
        blockers = [await stack.enter_async_context(engine.connect()) for _ in range(passes + 1)]
        await blockers[0].execute(BLOCK)
        program = await asyncio.create_subprocess_exec(
            *command, stderr=asyncio.subprocess.PIPE, env=environment
        )
        try:
            await _wait_for(watcher, WAITING, 1)
            for holds, waits in pairwise(blockers):
                # It gets through before the one that waits now, which then stands in its way.
                turn = asyncio.create_task(waits.execute(BLOCK))
                await _wait_for(watcher, WAITING, 2)
                await holds.rollback()
                await turn
                await _wait_for(watcher, WAITING, 1)
            kill(program.pid)
            _, said = await asyncio.wait_for(program.communicate(), PATIENCE)
        finally:
            if program.returncode is None:
                program.kill()
                await program.communicate()
            for connection in (watcher, *blockers):
                await connection.invalidate()
    await engine.dispose()
    assert program.returncode is not None
    return program.returncode, said.decode()


async def _wait_for(connection: AsyncConnection, question: Any, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await connection.scalar(question) != count:  # noqa: ASYNC110 - asks another process
            await asyncio.sleep(0.02)


async def _all_gone(location: Location) -> None:
    engine = create_engine(location.admin_url, role=None, pooled=False)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await _wait_for(connection, OTHERS, 0)
    await engine.dispose()


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_killed_before_the_commit_nothing_has_left(
    cli: Cli, installation: Location, candles: int, folder: Path
) -> None:
    stopped = asyncio.run(_stop(installation, _kill))
    assert stopped[0] == -signal.SIGKILL
    asyncio.run(_all_gone(installation))
    assert _held(installation) == candles
    assert len(list(folder.rglob("*.part"))) == 1
    _everything_leaves(cli, installation, folder)


def test_killed_between_two_months_one_has_left(
    cli: Cli, installation: Location, candles: int, folder: Path
) -> None:
    stopped = asyncio.run(_stop(installation, _kill, passes=1))
    assert stopped[0] == -signal.SIGKILL
    asyncio.run(_all_gone(installation))
    left = _held(installation)
    assert left == candles - 5 * 24
    (finished,) = folder.rglob("*.parquet")
    assert len(pl.read_parquet(finished)) == 5 * 24
    (covered,) = cli("market", "coverage", "--json").document["series"]
    assert (covered["rows"], covered["first_time"]) == (left, "2024-03-01T00:00:00Z")
    _everything_leaves(cli, installation, folder)


def test_two_programs_at_once_archive_each_row_once(
    cli: Cli, installation: Location, candles: int, folder: Path
) -> None:
    assert candles
    command = [sys.executable, "-m", "seawall.cli.app", *APPLY, "--json"]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [program.wait(PATIENCE) for program in programs] == [0, 0]
    for program in programs:
        assert program.stdout is not None
        program.stdout.close()
    _everything_leaves(cli, installation, folder)
    assert len(cli("db", "archive", "list", "--json").document["archives"]) == MONTHS


def test_a_server_that_is_killed_takes_nothing_along(
    home: Any, write_candles: Callable[..., Path]
) -> None:
    path = write_candles([100 + at % 97 for at in range(ROWS)], "BTCUSD-1h.csv", **HOURS)
    assert home("market", "import", path).code == 0
    url = home.here("db", "url", "--admin").out.strip()
    location = Location("seawall", url, url, url)
    server = home.here("db", "status", "--json").document["pid"]

    def kill_server(_: int) -> None:
        os.kill(server, signal.SIGKILL)

    code, said = asyncio.run(_stop(location, kill_server, environment=home.environment))
    assert code == 7, said
    assert "The database cannot be reached" in said
    folder = home.folder / "archive" / "seawall"
    assert len(list(folder.rglob("*.part"))) == 1
    assert home.here(*APPLY, "--json").document["applied"]
    assert _archived(folder) == ROWS
