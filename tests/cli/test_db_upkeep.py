"""`seawall db maintain`, `downgrade` and `convert`."""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from seawall.db.database import Location
from seawall.db.engine import create_engine

Cli = Callable[..., Any]
PATIENCE = 30.0
AHEAD = """
    SELECT table_name, (SELECT count(*) FROM pg_inherits WHERE inhparent = table_name::regclass)
    FROM series WHERE engine = 'native' ORDER BY table_name
"""
WAITING = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query ILIKE '%maintain_series%'
"""


async def _ask(location: Location, query: str) -> list[tuple[Any, ...]]:
    engine = create_engine(location.admin_url, role=None, pooled=False)
    async with engine.connect() as connection:
        found = [tuple(row) for row in await connection.execute(text(query))]
    await engine.dispose()
    return found


async def _kill_at(location: Location, table: str) -> int:
    """Stop the upkeep where it needs a table, and kill it there."""
    engine = create_engine(location.admin_url, role=None, pooled=False)
    command = [sys.executable, "-m", "seawall.cli.app", "db", "maintain"]
    async with engine.begin() as blocker:
        await blocker.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        program = await asyncio.create_subprocess_exec(*command)
        try:
            async with asyncio.timeout(PATIENCE):
                while not await _ask(location, WAITING):  # noqa: ASYNC110 - asks another process
                    await asyncio.sleep(0.05)
            program.kill()
            # Else the server would go on with it, and only then see that nobody waits any more.
            await _ask(location, WAITING.replace("pid", "pg_terminate_backend(pid)", 1))
        finally:
            code = await program.wait()
    await engine.dispose()
    return code


def test_upkeep_makes_partitions_ahead_and_days(
    cli: Cli, installation: Location, write_candles: Callable[..., Path]
) -> None:
    assert cli("market", "import", write_candles([100, 101, 102])).code == 0
    assert cli("db", "maintain").out == "Every series is kept.\n"
    native = asyncio.run(_ask(installation, AHEAD))
    assert all(count >= 2 for _, count in native)
    assert cli("db", "maintain", "--json").document == {"maintained": True}
    assert asyncio.run(_ask(installation, AHEAD)) == native


def test_upkeep_that_was_killed_goes_on(cli: Cli, installation: Location) -> None:
    assert asyncio.run(_kill_at(installation, "portfolio_snapshots")) == -signal.SIGKILL
    before = dict(asyncio.run(_ask(installation, AHEAD)))
    # A tenant's series is native on either engine.
    assert before["account_risk_metrics"] == 2
    assert before["portfolio_snapshots"] == 0
    assert cli("db", "maintain").code == 0
    after = asyncio.run(_ask(installation, AHEAD))
    assert {count for name, count in after if name != "order_books"} == {2}


def test_a_step_back_that_loses_data_is_refused_without_a_word_of_leave(
    cli: Cli, write_candles: Callable[..., Path], needed_version: str
) -> None:
    assert cli("portfolio", "create", "Main").code == 0
    assert cli("market", "import", write_candles([100, 101, 102])).code == 0
    done = cli("db", "downgrade", "0003")
    assert done.code == 5
    assert "Going back to version 0003 would lose" in done.err
    assert "portfolios (1 rows)" in done.err
    assert "--lose-data" in done.err
    assert cli("db", "status", "--json").document["version"] == needed_version
    assert cli("portfolio", "list", "--json").document["portfolios"][0]["name"] == "Main"
    gone = cli("db", "downgrade", "0003", "--lose-data", "--json")
    assert gone.document == {"from": needed_version, "to": "0003"}
    assert "at version 0003" in cli("portfolio", "list").err
    assert cli("db", "migrate").out == f"Migrated from version 0003 to {needed_version}.\n"
    (held,) = cli("market", "coverage", "--json").document["series"]
    assert held["rows"] == 3
    assert cli("portfolio", "list", "--json").document["portfolios"] == []


def test_a_step_back_that_loses_nothing_needs_no_leave(cli: Cli, needed_version: str) -> None:
    before = f"{int(needed_version) - 1:04}"
    done = cli("db", "downgrade", before)
    assert done.out == f"Went back from version {needed_version} to {before}.\n"
    unknown = cli("db", "downgrade", "9999")
    assert unknown.code == 3
    assert f"There is no version 9999 before {before}." in unknown.err


def test_a_move_onto_timescaledb_says_why_not(
    cli: Cli, installation: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = "SELECT count(*) FROM pg_available_extensions WHERE name = 'timescaledb'"
    done = cli("db", "convert")
    if asyncio.run(_ask(installation, there)) == [(1,)]:
        assert done.out == "Every series that TimescaleDB can hold is on it already.\n"
    else:
        assert done.code == 7
        assert "This server does not have TimescaleDB, or does not load it." in done.err
    monkeypatch.setenv("SEAWALL_DATABASE__TIMESCALEDB", "off")
    done = cli("db", "convert")
    assert done.code == 4
    assert "SEAWALL_DATABASE__TIMESCALEDB is off" in done.err
