"""Archived rows lie in files that can be trusted, and come back as they were."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import polars as pl
import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.ops import expire as expiry
from seawall.ops.archive import ArchiveRecord, list_archives
from seawall.ops.ask import query
from seawall.ops.expire import expire
from seawall.ops.parquet import make_folder
from seawall.ops.restore import restore
from seawall.ops.retention import POLICY, Profile
from seawall.trading.tables import LedgerEntry

MakeTrader = Callable[[], Awaitable[Any]]
AddRows = Callable[..., Awaitable[None]]
NOW = datetime(2026, 5, 6, tzinfo=UTC)
OLD = datetime(2018, 2, 28, 23, 59, 59, 999999, tzinfo=UTC)
ARCHIVED = [rule.name for rule in POLICY if rule.archived]
TABLES = sorted({rule.table for rule in POLICY if rule.archived})


async def _apply(owner: AsyncEngine, folder: Path) -> int:
    return sum([each.rows async for each in expire(owner, Profile.STANDARD, NOW, folder)])


async def _dump(admin: AsyncEngine, *tables: str) -> dict[str, list[str]]:
    async with admin.connect() as connection:
        return {
            table: list(
                await connection.scalars(
                    text(f"SELECT to_jsonb(held)::text FROM {table} held ORDER BY 1")  # noqa: S608
                )
            )
            for table in tables
        }


def _files(folder: Path, pattern: str = "*") -> list[Path]:
    return [path for path in folder.rglob(pattern) if path.is_file()]


async def _restore_all(owner: AsyncEngine, folder: Path) -> int:
    # Orders before the fills that hang on them.
    records = sorted(await list_archives(owner, folder), key=lambda each: each.table == "fills")
    return sum([await restore(owner, folder, each.id, NOW) for each in records])


async def _add_everything(trader: Any, add_rows: AddRows, admin: AsyncEngine) -> None:
    """Add rows of every archived rule, with and without what may be NULL."""
    order, fill = uuid4(), uuid4()
    strategy = {"strategy_id": trader.strategy}
    for rule in ARCHIVED:
        if rule != "fills":
            await add_rows(trader, rule, OLD, OLD - timedelta(days=40))
    await add_rows(
        trader,
        "orders, ended",
        OLD,
        id=order,
        type="stop_limit",
        price="0.000000000000000001",
        stop_price="98765432109876543210",
        fees="-0.5",
        exchange_order_id="Ж-17",
        **strategy,
    )
    await add_rows(trader, "fills", OLD)
    await add_rows(trader, "fills", OLD, id=fill, order_id=order, profit_loss="-1.25", **strategy)
    note = {"title": "Ünï\t\"'\\", "message": "\n", "source_type": "order", "source_id": order}
    await add_rows(trader, "notifications", OLD, read_at=OLD + timedelta(hours=1), **note)
    await add_rows(trader, "positions, closed", OLD, pnl="1.5", pnl_percentage=0.1 + 0.2)
    details = {"nested": [1, 1.10, None, {"ж": "\u2028"}], "big": 12345678901234567890}
    await add_rows(trader, "risk_events, resolved", OLD, details=details, resolved_by=trader.user)
    entry = {"user_id": trader.user, "account_id": trader.account, "journal_id": uuid4()}
    entry |= {"asset_id": trader.asset, "fill_id": fill, "effective_at": OLD}
    async with admin.begin() as connection:
        for ledger, amount in (("assets", 1), ("equity", -1)):
            values = entry | {"ledger": ledger, "amount": amount}
            await connection.execute(insert(LedgerEntry).values(values))


async def test_archived_rows_come_back_as_they_were(
    owner: AsyncEngine, admin: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    first, second = await trader(), await trader()
    await _add_everything(first, add_rows, admin)
    await add_rows(second, "fills", OLD)
    await add_rows(second, "orders, ended", OLD, NOW)
    before = await _dump(admin, *TABLES, "ledger_entries")
    rows = await _apply(owner, folder)
    left = await _dump(admin, *TABLES, "ledger_entries")
    assert {table: len(held) for table, held in left.items() if held} == {
        "orders": 1,
        "ledger_entries": 2,
    }
    assert left["ledger_entries"] == before["ledger_entries"]
    assert rows == sum(map(len, before.values())) - 3
    assert await _restore_all(owner, folder) == rows
    assert await _dump(admin, *TABLES, "ledger_entries") == before
    assert await _restore_all(owner, folder) == 0
    assert await _dump(admin, *TABLES, "ledger_entries") == before


async def test_what_rows_hang_on_is_asked_for_first(
    owner: AsyncEngine, admin: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    one, order = await trader(), uuid4()
    await add_rows(one, "orders, ended", OLD, id=order)
    await add_rows(one, "fills", OLD, OLD, order_id=order)
    await _apply(owner, folder)
    (fills,) = await list_archives(owner, folder, "fills")
    (orders,) = await list_archives(owner, folder, "orders")
    with pytest.raises(ConflictError, match=r"fills as it is now.*not present in table .orders"):
        await restore(owner, folder, fills.id, NOW)
    assert await _dump(admin, "fills", "orders") == {"fills": [], "orders": []}
    assert await restore(owner, folder, orders.id, NOW) == 1
    assert await restore(owner, folder, fills.id, NOW) == 2


async def test_an_order_stays_as_long_as_a_fill_of_it(
    owner: AsyncEngine, admin: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    one, order = await trader(), uuid4()
    await add_rows(one, "orders, ended", OLD, id=order)
    await add_rows(one, "fills", OLD, NOW, order_id=order)
    assert await _apply(owner, folder) == 1
    async with admin.connect() as connection:
        assert await connection.scalar(text("SELECT order_id FROM fills")) == order


async def test_rows_that_changed_since_or_came_anew_are_left_alone(
    owner: AsyncEngine, admin: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    one = await trader()
    await add_rows(one, "fills", OLD, trade_id="1")
    await add_rows(one, "fills", OLD - timedelta(days=1), trade_id="2")
    await _apply(owner, folder)
    await add_rows(one, "fills", OLD, trade_id="1", fee_asset_id=one.asset, fee=7)
    (record,) = await list_archives(owner, folder)
    assert await restore(owner, folder, record.id, NOW) == 1
    async with admin.connect() as connection:
        found = await connection.execute(text("SELECT trade_id, fee FROM fills ORDER BY 1"))
        assert [tuple(row) for row in found] == [("1", 7), ("2", 0)]


@pytest.fixture
async def archived(
    owner: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> list[ArchiveRecord]:
    """Archives of fills of two months and of notifications of one."""
    one = await trader()
    await add_rows(one, "fills", OLD, OLD + timedelta(microseconds=1), OLD + timedelta(days=9))
    await add_rows(one, "notifications", OLD)
    await _apply(owner, folder)
    return await list_archives(owner, folder)


async def test_files_are_private_and_say_what_they_hold(
    folder: Path, archived: list[ArchiveRecord]
) -> None:
    assert [(each.table, f"{each.month:%Y-%m}", each.rows) for each in archived] == [
        ("fills", "2018-02", 1),
        ("fills", "2018-03", 2),
        ("notifications", "2018-02", 1),
    ]
    for path in folder.parent.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    listed = []
    for table in ("fills", "notifications"):
        listed += json.loads((folder / table / "manifest.json").read_text())
    assert [UUID(each["id"]) for each in listed] == [each.id for each in archived]
    for each, record in zip(listed, archived, strict=True):
        path = folder / each["path"]
        assert path.parent == folder / each["table"] / each["month"][:7]
        assert each["sha256"] == sha256(path.read_bytes()).hexdigest() == record.sha256
        assert each["size_bytes"] == path.stat().st_size
        assert each["rows"] == pl.read_parquet(path).height
        assert set(each["columns"]) == set(pl.read_parquet_schema(path))
    assert len(_files(folder, "*.parquet")) == len(archived)


async def test_the_archive_answers_in_sql(
    owner: AsyncEngine, folder: Path, archived: list[ArchiveRecord]
) -> None:
    assert archived

    async def ask(sql: str) -> list[dict[str, object]]:
        return await query(owner, folder, sql)

    assert await ask("SELECT count(*) AS n, max(executed_at) AS last FROM fills") == [
        {"n": 3, "last": OLD + timedelta(days=9)}
    ]
    both = "SELECT count(*) AS n FROM fills JOIN Notifications USING (user_id)"
    assert await ask(both.replace("N", "n", 1)) == [{"n": 3}]
    assert await ask("SELECT trade_id FROM fills WHERE price > 1000") == []


async def test_what_it_cannot_answer_it_says(
    owner: AsyncEngine, folder: Path, archived: list[ArchiveRecord]
) -> None:
    assert archived
    for sql in (
        "SELECT",
        "SELECT * FROM candles",
        "SELECT nothing FROM fills",
        "SELECT * FROM fills; SELECT 1",
        "SELECT price + title FROM fills, notifications",
        "SELECT trade_id::integer FROM fills",
        "SELECT * FROM fills WHERE trade_id ~ '['",
        "SELECT * FROM read_csv('/nowhere')",
    ):
        with pytest.raises(InvalidError, match=r"^The archive cannot answer: .+\.$") as refused:
            await query(owner, folder, sql)
        assert refused.value.hint == "Archived: fills, notifications."


async def test_it_answers_questions_alone(owner: AsyncEngine, folder: Path) -> None:
    for sql in ("", ";", "SELEC 1", "DELETE FROM fills", "DROP TABLE fills"):
        with pytest.raises(InvalidError, match="answers one SELECT"):
            await query(owner, folder, sql)


async def test_a_row_is_counted_once_wherever_it_is(
    owner: AsyncEngine, admin: AsyncEngine, folder: Path, archived: list[ArchiveRecord]
) -> None:
    sql = "SELECT count(*) AS n FROM fills"

    async def in_both() -> tuple[object, int]:
        (found,) = await query(owner, folder, sql)
        return found["n"], len((await _dump(admin, "fills"))["fills"])

    assert await in_both() == (3, 0)
    await restore(owner, folder, archived[1].id, NOW)
    assert await in_both() == (1, 2)
    await restore(owner, folder, archived[0].id, NOW)
    assert await in_both() == (0, 3)
    await _apply(owner, folder)
    assert await in_both() == (3, 0)
    assert len(await list_archives(owner, folder, "fills")) == 4


async def test_a_file_that_was_altered_is_refused(
    owner: AsyncEngine, admin: AsyncEngine, folder: Path, archived: list[ArchiveRecord]
) -> None:
    path = folder / archived[0].path
    held = path.read_bytes()
    path.write_bytes(held[:-9] + bytes([held[-9] ^ 1]) + held[-8:])
    with pytest.raises(ConflictError, match="its checksum differs"):
        await restore(owner, folder, archived[0].id, NOW)
    with pytest.raises(ConflictError, match="its checksum differs"):
        await query(owner, folder, "SELECT * FROM fills")
    assert len(await query(owner, folder, "SELECT * FROM notifications")) == 1
    assert (await _dump(admin, "fills"))["fills"] == []
    path.write_bytes(held)
    assert await restore(owner, folder, archived[0].id, NOW) == 1


async def test_a_file_that_is_gone_is_named(
    owner: AsyncEngine, folder: Path, archived: list[ArchiveRecord]
) -> None:
    (folder / archived[0].path).unlink()
    found = await list_archives(owner, folder)
    assert [each.is_there for each in found] == [False, True, True]
    with pytest.raises(NotFoundError, match=str(archived[0].id)) as missing:
        await restore(owner, folder, archived[0].id, NOW)
    assert "SEAWALL_ARCHIVE__FOLDER" in missing.value.hint
    with pytest.raises(NotFoundError):
        await query(owner, folder, "SELECT 1 FROM fills")
    with pytest.raises(NotFoundError, match="no archive"):
        await restore(owner, folder, uuid4(), NOW)


async def test_a_column_that_is_gone_is_named(
    owner: AsyncEngine, folder: Path, archived: list[ArchiveRecord]
) -> None:
    async with owner.begin() as connection:
        await connection.execute(text("ALTER TABLE fills DROP profit_loss, ADD venue text"))
    with pytest.raises(ConflictError, match="fills has no profit_loss any more"):
        await restore(owner, folder, archived[0].id, NOW)
    assert len(await query(owner, folder, "SELECT profit_loss FROM fills")) == 3


async def test_a_month_of_many_rows_has_several_files(
    owner: AsyncEngine,
    admin: AsyncEngine,
    folder: Path,
    trader: MakeTrader,
    add_rows: AddRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expiry, "ROWS_PER_FILE", 4)
    one = await trader()
    times = [OLD - timedelta(days=n) for n in (0, 1, 2, 3, 3, 3, 3, 3, 4, 5, 5)]
    await add_rows(one, "fills", *times)
    before = await _dump(admin, "fills")
    assert await _apply(owner, folder) == len(times)
    records = await list_archives(owner, folder)
    assert [each.rows for each in records] == [3, 5, 3]
    assert all(a.last_time < b.first_time for a, b in pairwise(records))
    assert await _restore_all(owner, folder) == len(times)
    assert await _dump(admin, "fills") == before


async def test_another_database_s_folder_is_left_alone(
    owner: AsyncEngine, folder: Path, trader: MakeTrader, add_rows: AddRows
) -> None:
    await add_rows(await trader(), "fills", OLD)
    make_folder(folder)
    (folder / "database").write_text("of another\n")
    with pytest.raises(ConflictError, match="archive of another database"):
        await _apply(owner, folder)
    assert _files(folder) == [folder / "database"]


async def test_what_an_interrupted_run_left_is_finished_or_undone(
    owner: AsyncEngine, folder: Path, archived: list[ArchiveRecord]
) -> None:
    finished = folder / archived[0].path
    finished.rename(finished.with_suffix(".part"))
    never = finished.with_name(f"{uuid4()}.part")
    never.write_bytes(b"half a file")
    of_others = finished.with_name(f"{uuid4()}.parquet")
    of_others.write_bytes(b"known to nobody")
    (folder / "fills" / "manifest.json").unlink()
    # It can be read before any run has put it right.
    assert all(each.is_there for each in await list_archives(owner, folder))
    assert len(await query(owner, folder, "SELECT * FROM fills")) == 3
    assert await _apply(owner, folder) == 0
    assert finished.is_file()
    assert of_others.is_file()
    assert _files(folder, "*.part") == []
    assert len(json.loads((folder / "fills" / "manifest.json").read_text())) == 2
