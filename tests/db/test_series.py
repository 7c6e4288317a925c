"""Series are cut into chunks, on native partitions or TimescaleDB."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError
from seawall.core.time import now
from seawall.db.faults import translated
from seawall.db.series import (
    CANDLES,
    MARKET_TRADES,
    PORTFOLIO_RISK_METRICS,
    QUOTES,
    SERIES,
    Series,
    ensure_chunks,
)
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
ADD_CANDLE = text(
    "INSERT INTO candles VALUES (:symbol, 86400, :time, 2, 3, 1, 2, NULL, NULL, NULL, now())"
)


async def _is_native(session: AsyncSession, series: Series) -> bool:
    engine = await session.scalar(
        text("SELECT engine FROM series WHERE table_name = :name"), {"name": series.table}
    )
    return bool(engine == "native")


async def _partitions(session: AsyncSession, series: Series) -> list[str]:
    found = await session.scalars(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = :name ::regclass"),
        {"name": series.table},
    )
    return sorted(found)


async def test_the_series_declared_are_the_series_in_the_database(session: AsyncSession) -> None:
    has_timescale = bool(
        await session.scalar(text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"))
    )
    found = await session.execute(text("SELECT table_name, chunk, engine FROM series"))
    expected = {
        (
            series.table,
            series.chunk,
            "timescaledb" if has_timescale and not series.tenant else "native",
        )
        for series in SERIES
    }
    assert {tuple(row) for row in found} == expected


async def test_each_series_is_really_cut_by_time_in_its_engine(session: AsyncSession) -> None:
    for series in SERIES:
        if await _is_native(session, series):
            found = await session.scalar(
                text("SELECT pg_get_partkeydef(:name ::regclass)"), {"name": series.table}
            )
            assert found == 'RANGE ("time")'
        else:
            length = await session.scalar(
                text(
                    "SELECT time_interval FROM timescaledb_information.dimensions"
                    " WHERE hypertable_name = :name AND column_name = 'time'"
                ),
                {"name": series.table},
            )
            days = {"day": 1, "month": 30, "year": 360}[series.hyperchunk]
            assert length == timedelta(days=days)


@pytest.mark.parametrize(
    ("series", "names"),
    [
        (CANDLES, ["2023", "2024"]),
        (QUOTES, ["2023_12", "2024_01"]),
        (PORTFOLIO_RISK_METRICS, ["2023", "2024"]),
    ],
    ids=lambda value: value.table if isinstance(value, Series) else "",
)
async def test_partitions_begin_where_the_calendar_does(
    session: AsyncSession, series: Series, names: list[str]
) -> None:
    await ensure_chunks(session, series, NEW_YEAR - MOMENT, NEW_YEAR)
    expected = [f"{series.table}_{name}" for name in names]
    native = await _is_native(session, series)
    assert await _partitions(session, series) == (expected if native else [])


async def test_every_chunk_between_the_two_is_made_and_none_twice(session: AsyncSession) -> None:
    ask = text("SELECT ensure_chunks('market_trades', :first, :last)")
    first, last = datetime(2023, 11, 30, 23, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)
    native = await _is_native(session, MARKET_TRADES)
    assert await session.scalar(ask, {"first": first, "last": last}) == (4 if native else 0)
    assert await session.scalar(ask, {"first": first, "last": NEW_YEAR}) == 0
    again = {"first": first, "last": last + timedelta(days=1)}
    assert await session.scalar(ask, again) == (1 if native else 0)


async def test_partitions_are_in_utc_whatever_the_session_says(session: AsyncSession) -> None:
    await session.execute(text("SET LOCAL timezone = 'Pacific/Auckland'"))
    await ensure_chunks(session, CANDLES, NEW_YEAR - MOMENT, NEW_YEAR - MOMENT)
    await session.execute(ADD_CANDLE, {"symbol": 1, "time": NEW_YEAR - MOMENT})
    if await _is_native(session, CANDLES):
        assert await _partitions(session, CANDLES) == ["candles_2023"]


async def test_a_partition_has_the_keys_and_checks_of_its_series(session: AsyncSession) -> None:
    series = PORTFOLIO_RISK_METRICS  # Native on both engines.
    await ensure_chunks(session, series, NEW_YEAR, NEW_YEAR)
    kinds = text(
        "SELECT contype, count(*) FROM pg_constraint WHERE conrelid = CAST(:name AS regclass)"
        " AND contype <> 'n' GROUP BY 1 ORDER BY 1"
    )
    of_parent = (await session.execute(kinds, {"name": series.table})).all()
    of_partition = (await session.execute(kinds, {"name": f"{series.table}_2024"})).all()
    assert of_parent == of_partition
    indexes = text("SELECT count(*) FROM pg_index WHERE indrelid = CAST(:name AS regclass)")
    assert await session.scalar(indexes, {"name": f"{series.table}_2024"}) == await session.scalar(
        indexes, {"name": series.table}
    )


@pytest.mark.parametrize("name", ["users", "series", "alembic_version", "candles; --", "nothing"])
async def test_a_table_that_is_no_series_gets_no_chunks(session: AsyncSession, name: str) -> None:
    with pytest.raises(Exception, match="query returned no rows"):
        async with session.begin_nested():
            await ensure_chunks(session, Series(name, "year"), NEW_YEAR, NEW_YEAR)


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (datetime(1899, 12, 31, tzinfo=UTC), NEW_YEAR),
        (NEW_YEAR, now() + timedelta(days=3700)),
        (NEW_YEAR, datetime(9999, 1, 1, tzinfo=UTC)),
        (NEW_YEAR, NEW_YEAR - MOMENT),
    ],
    ids=["too early", "too late", "the end of time", "backwards"],
)
async def test_absurd_ranges_are_refused(
    session: AsyncSession, first: datetime, last: datetime
) -> None:
    with pytest.raises(InvalidError, match="no chunks of candles"), translated():
        async with session.begin_nested():
            await ensure_chunks(session, CANDLES, first, last)
    assert await _partitions(session, CANDLES) == []


async def test_two_writers_that_need_the_same_new_chunk_both_get_through(
    engine: AsyncEngine,
) -> None:
    both_have_read = asyncio.Barrier(2)

    async def write(symbol: int) -> None:
        async with transaction(engine, OWNER_ID) as session:
            await session.execute(text("SELECT count(*) FROM candles"))
            await both_have_read.wait()
            await ensure_chunks(session, CANDLES, NEW_YEAR, NEW_YEAR)
            await session.execute(ADD_CANDLE, {"symbol": symbol, "time": NEW_YEAR})

    await asyncio.gather(write(1), write(2))
    async with transaction(engine, OWNER_ID) as session:
        found = await session.scalars(text("SELECT symbol_id FROM candles ORDER BY 1"))
        assert list(found) == [1, 2]


async def test_a_new_chunk_waits_for_no_reader_and_no_reader_for_it(engine: AsyncEngine) -> None:
    async with (
        asyncio.timeout(10),
        transaction(engine, OWNER_ID) as reader,
        transaction(engine, OWNER_ID) as writer,
    ):
        assert await reader.scalar(text("SELECT count(*) FROM candles")) == 0
        await ensure_chunks(writer, CANDLES, NEW_YEAR, NEW_YEAR)
        await writer.execute(ADD_CANDLE, {"symbol": 1, "time": NEW_YEAR})
        assert await reader.scalar(text("SELECT count(*) FROM candles")) == 0
