"""Merging arrays into keyed series: exact counts, and every old value kept."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError
from seawall.db.bulk import Records
from seawall.db.faults import translated
from seawall.db.merge import Merged, merge
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market import store
from seawall.market.schemas import CANDLE_DTYPE, PRICE_DTYPE, TRADE_DTYPE

FIRST = datetime(2024, 3, 1, tzinfo=UTC)
SECOND = FIRST + timedelta(hours=1)
THIRD = FIRST + timedelta(hours=2)
SUBJECT = {"symbol_id": 7, "timeframe": 86_400}
NAN = float("nan")


def _candles(
    days: Sequence[int], close: Sequence[float] | float = 2.0, **values: object
) -> Records:
    records = np.empty(len(days), CANDLE_DTYPE)
    records["time"] = np.datetime64("2023-12-30", "us") + np.array(days) * np.timedelta64(1, "D")
    for name, given in {
        "open": 2.0,
        "high": 9.0,
        "low": 1.0,
        "close": close,
        "volume": 5.0,
    }.items():
        records[name] = values.get(name, given)
    records["quote_volume"] = values.get("quote_volume", NAN)
    records["trade_count"] = values.get("trade_count", -1)
    return records


def _counts(merged: Merged) -> tuple[int, int, int]:
    return merged.inserted, merged.updated, merged.unchanged


async def _merge(session: AsyncSession, records: Records, stamp: datetime = FIRST) -> Merged:
    return await merge(session, store.CANDLES, SUBJECT, records, stamp)


async def _rows(session: AsyncSession, query: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await session.execute(text(query))]


async def _closes(session: AsyncSession) -> list[tuple[object, ...]]:
    return await _rows(session, "SELECT close, ingested_at FROM candles ORDER BY time")


async def test_a_first_import_inserts_every_row(session: AsyncSession) -> None:
    merged = await _merge(session, _candles([0, 1, 2], [2, 3, 4]))
    assert _counts(merged) == (3, 0, 0)
    assert await _closes(session) == [(2, FIRST), (3, FIRST), (4, FIRST)]
    assert await _rows(session, "SELECT DISTINCT symbol_id, timeframe FROM candles") == [
        (7, 86_400)
    ]


async def test_the_same_again_changes_nothing(session: AsyncSession) -> None:
    await _merge(session, _candles([0, 1, 2]))
    merged = await _merge(session, _candles([0, 1, 2]), SECOND)
    assert _counts(merged) == (0, 0, 3)
    assert await _closes(session) == [(2, FIRST)] * 3
    assert await _rows(session, "SELECT * FROM candle_revisions") == []


async def test_new_changed_and_known_rows_are_told_apart(session: AsyncSession) -> None:
    await _merge(session, _candles([0, 2, 4, 6], [2, 3, 4, 5]))
    merged = await _merge(session, _candles([1, 2, 4, 7], [6, 3, 7, 8]), SECOND)
    assert _counts(merged) == (2, 1, 1)
    held = [(2, FIRST), (6, SECOND), (3, FIRST), (7, SECOND), (5, FIRST), (8, SECOND)]
    assert await _closes(session) == held


async def test_the_times_are_all_that_is_held_in_the_range(session: AsyncSession) -> None:
    await _merge(session, _candles([0, 3, 4, 9]))
    records = _candles([2, 4, 6])
    merged = await _merge(session, records)
    assert merged.times.tolist() == _candles([2, 3, 4, 6])["time"].tolist()


async def test_old_values_become_revisions(session: AsyncSession) -> None:
    await _merge(session, _candles([0, 1], [2, 3], volume=5.0, quote_volume=NAN, trade_count=8))
    await _merge(session, _candles([0], [4]), SECOND)
    await _merge(session, _candles([0, 1], [5, 3], trade_count=[-1, 8]), THIRD)
    kept = await _rows(
        session,
        "SELECT symbol_id, timeframe, time::date::text, open, high, low, close, volume,"
        " quote_volume, trade_count, ingested_at, superseded_at"
        " FROM candle_revisions ORDER BY superseded_at",
    )
    same = (7, 86_400, "2023-12-30", 2, 9, 1)
    assert kept == [
        (*same, 2, 5, None, 8, FIRST, SECOND),
        (*same, 4, 5, None, None, SECOND, THIRD),
    ]
    assert await _closes(session) == [(5, THIRD), (3, FIRST)]


async def test_prices_keep_their_revisions_too(session: AsyncSession) -> None:
    records = np.array([("2023-12-31", 4700.5), ("2024-01-03", 4750.25)], PRICE_DTYPE)
    await merge(session, store.PRICES, {"asset_id": 3}, records, FIRST)
    records["price_usd"][1] = 4800
    merged = await merge(session, store.PRICES, {"asset_id": 3}, records, SECOND)
    assert _counts(merged) == (0, 1, 1)
    assert await _rows(
        session, "SELECT asset_id, price_usd, ingested_at, superseded_at FROM price_revisions"
    ) == [(3, 4750.25, FIRST, SECOND)]


@pytest.mark.parametrize("column", ["volume", "quote_volume"])
async def test_absent_numbers_are_equal_and_differ_from_any_given(
    session: AsyncSession, column: str
) -> None:
    await _merge(session, _candles([0, 1, 2, 3], **{column: [NAN, NAN, 6, 6]}))
    merged = await _merge(session, _candles([0, 1, 2, 3], **{column: [NAN, 7, NAN, 6]}), SECOND)
    assert _counts(merged) == (0, 2, 2)
    found = await _rows(session, f"SELECT {column} FROM candles ORDER BY time")  # noqa: S608
    assert found == [(None,), (7,), (None,), (6,)]


async def test_absent_counts_are_equal_and_differ_from_zero(session: AsyncSession) -> None:
    await _merge(session, _candles([0, 1, 2, 3], trade_count=[-1, -1, 0, 0]))
    merged = await _merge(session, _candles([0, 1, 2, 3], trade_count=[-1, 0, -1, 0]), SECOND)
    assert _counts(merged) == (0, 2, 2)
    found = await _rows(session, "SELECT trade_count FROM candles ORDER BY time")
    assert found == [(None,), (0,), (None,), (0,)]


async def test_the_smallest_difference_is_a_change(session: AsyncSession) -> None:
    await _merge(session, _candles([0, 1], [2.0, 0.1 + 0.2], low=0.1))
    merged = await _merge(session, _candles([0, 1], [float(np.nextafter(2.0, 3)), 0.3], low=0.1))
    assert _counts(merged) == (0, 2, 0)


async def test_each_subject_is_a_series_of_its_own(session: AsyncSession) -> None:
    await _merge(session, _candles([0, 1]))
    for subject in ({"symbol_id": 8, "timeframe": 86_400}, {"symbol_id": 7, "timeframe": 3600}):
        merged = await merge(session, store.CANDLES, subject, _candles([0, 1], 3), SECOND)
        assert _counts(merged) == (2, 0, 0)
    assert (await _rows(session, "SELECT count(*), min(close), max(close) FROM candles")) == [
        (6, 2, 3)
    ]


async def test_trades_of_one_instant_are_told_apart_by_their_id(session: AsyncSession) -> None:
    def trades(*rows: tuple[str, int, int, float]) -> Records:
        return np.array([(*row, 1.0) for row in rows], TRADE_DTYPE)

    async def write(records: Records, stamp: datetime) -> Merged:
        return await merge(session, store.TRADES, {"symbol_id": 7}, records, stamp)

    noon, later = "2024-02-01T12:00:00.000001", "2024-02-01T12:00:00.000002"
    first = trades((noon, 1, 1, 10), (noon, 3, 0, 11), (later, -5, -1, 12))
    assert _counts(await write(first, FIRST)) == (3, 0, 0)
    second = trades((noon, 2, 1, 13), (noon, 3, -1, 11), (later, -5, -1, 12), (later, 3, 1, 14))
    merged = await write(second, SECOND)
    assert _counts(merged) == (2, 1, 1)
    assert merged.times.astype(str).tolist() == [noon, later]
    found = await _rows(
        session, "SELECT trade_id, side, price, ingested_at FROM market_trades ORDER BY 1, 3"
    )
    assert found == [
        (-5, -1, 12, FIRST),
        (1, 1, 10, FIRST),
        (2, 1, 13, SECOND),
        (3, -1, 11, SECOND),
        (3, 1, 14, SECOND),
    ]


async def test_a_backfill_reaches_into_chunks_that_were_not_there(session: AsyncSession) -> None:
    await _merge(session, _candles([0]))
    records = _candles([0, 1, 2])
    records["time"] = np.array(["1969-12-31", "1970-01-01", "2012-02-29"], "<M8[us]")
    assert _counts(await _merge(session, records, SECOND)) == (3, 0, 0)
    found = await _rows(session, "SELECT time::date::text FROM candles ORDER BY time")
    assert [row[0] for row in found] == ["1969-12-31", "1970-01-01", "2012-02-29", "2023-12-30"]


async def test_a_refused_row_undoes_the_whole_array(session: AsyncSession) -> None:
    await _merge(session, _candles([0, 1]))
    with pytest.raises(Exception, match="ck_candles_prices"):
        async with session.begin_nested():
            await _merge(session, _candles([0, 1, 2, 3], [4, 2, 3, 10]), SECOND)
    assert await _closes(session) == [(2, FIRST), (2, FIRST)]
    assert await _rows(session, "SELECT * FROM candle_revisions") == []


async def test_a_rollback_leaves_nothing(engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await _merge(session, _candles([0, 400]))
        await _merge(session, _candles([0, 400], 3), SECOND)
        await session.rollback()
    async with transaction(engine, OWNER_ID) as session:
        for table in ("candles", "candle_revisions"):
            assert await _rows(session, f"SELECT * FROM {table}") == []  # noqa: S608
        made = "SELECT relname FROM pg_class WHERE relname ~ '^candle.*_20' OR relname ~ 'changed'"
        assert await _rows(session, made) == []


async def test_times_that_no_series_reaches_are_refused(session: AsyncSession) -> None:
    records = _candles([0])
    records["time"] = np.datetime64("1899-12-31T23:59:59", "us")
    with pytest.raises(InvalidError, match="no chunks of candles"), translated():
        async with session.begin_nested():
            await _merge(session, records)
