"""Whole arrays into PostgreSQL and out again, by its binary COPY."""

import asyncio
from uuid import uuid4

import asyncpg
import numpy as np
import pytest
from asyncpg import Connection
from numpy.testing import assert_array_equal
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import UnavailableError
from seawall.db import bulk
from seawall.db.bulk import Column, Records
from seawall.db.session import raw_connection, transaction

NAN = float("nan")
NUMBER = Column("number", "<i8")
COLUMNS = (
    NUMBER,
    Column("time", "<M8[us]"),
    Column("small", "<i2", 0),
    Column("medium", "<i4"),
    Column("large", "<i8", -1),
    Column("single", "<f4"),
    Column("real", "<f8", NAN),
    Column("sure", "<f8"),
    Column("code", "S3"),
)
QUERY = f"SELECT {bulk.select_list(COLUMNS)} FROM everything ORDER BY number"  # noqa: S608 - names from above
EXTREMES = {
    "time": [
        "0001-01-01T00:00:00",
        "1900-03-01T00:00:00.000001",
        "1969-12-31T23:59:59.999999",
        "1970-01-01T00:00:00",
        "1999-12-31T23:59:59.999999",
        "2000-01-01T00:00:00",
        "2024-02-29T12:34:56.789012",
        "9999-12-31T23:59:59.999999",
    ],
    "small": [-(2**15), 2**15 - 1, 1, -1, 7, 7, 7, 7],
    "medium": [-(2**31), 2**31 - 1, 0, -1, 1, 1, 1, 1],
    "large": [-(2**63), 2**63 - 1, 0, 1, 2**53 + 1, -2, 3, 4],
    "single": [3.4e38, -1e-45, 0.1, -0.0, np.inf, NAN, 1, 2],
    "real": [1e308, -1e308, 5e-324, -0.0, 0.1, np.inf, -np.inf, 1 + 2**-52],
    "sure": [2.2250738585072014e-308, 1.7976931348623157e308, 0.0, -0.0, NAN, 1 / 3, 1e-300, -7.5],
    "code": [b"abc", b"\xc3\xa9x", b"   ", b"a'b", b'"\\"', b"\t\n,", b"%s;", b"\\N."],
}


@pytest.fixture
async def connection(session: AsyncSession) -> Connection:
    """The application's connection, with a table of every type that travels in bulk."""
    raw = await raw_connection(session)
    await raw.execute(
        "CREATE TEMP TABLE everything (number bigint, time timestamptz, small smallint,"
        " medium integer, large bigint, single real, real double precision,"
        " sure double precision NOT NULL, code text, tag text, source integer) ON COMMIT DROP"
    )
    return raw


def _records(rows: int, **values: object) -> Records:
    records = np.zeros(rows, bulk.record_dtype(COLUMNS))
    records["number"] = np.arange(rows)
    records["code"] = b"xyz"
    for name, given in values.items():
        records[name] = given
    return records


def _assert_same(found: Records, expected: Records) -> None:
    assert found.dtype == expected.dtype
    for name in expected.dtype.names or ():
        assert_array_equal(found[name], expected[name], err_msg=name)


async def _round_trip(connection: Connection, records: Records) -> Records:
    await bulk.write(connection, "everything", records, COLUMNS)
    return await bulk.read(connection, QUERY, COLUMNS)


async def test_extreme_values_of_every_type_come_back_bit_for_bit(connection: Connection) -> None:
    records = _records(8, **EXTREMES)
    found = await _round_trip(connection, records)
    assert found.dtype == records.dtype
    assert found.tobytes() == records.tobytes()


async def test_plain_sql_sees_the_same_values(connection: Connection) -> None:
    records = _records(8, **EXTREMES)
    await bulk.write(connection, "everything", records, COLUMNS)
    rows = await connection.fetch("SELECT * FROM everything ORDER BY number")
    for column in ("small", "medium", "large", "real", "sure"):
        assert_array_equal([row[column] for row in rows], records[column])
    assert_array_equal([np.float32(row["single"]) for row in rows], records["single"])
    assert [row["time"] for row in rows] == [bulk.instant(time) for time in records["time"]]
    assert [row["code"].encode() for row in rows] == records["code"].tolist()


async def test_what_plain_sql_wrote_is_read(connection: Connection) -> None:
    await connection.execute(
        "INSERT INTO everything VALUES (0, '2021-03-04T05:06:07.000008Z', 1, 2, 3, 0.5, 1e300,"
        " 0.25, 'abc'), (1, '1969-07-20T20:17:40Z', NULL, -2, NULL, -1, NULL, 'NaN', 'def')"
    )
    found = await bulk.read(connection, QUERY, COLUMNS)
    expected = _records(
        2,
        time=["2021-03-04T05:06:07.000008", "1969-07-20T20:17:40"],
        small=[1, 0],
        medium=[2, -2],
        large=[3, -1],
        single=[0.5, -1],
        real=[1e300, NAN],
        sure=[0.25, NAN],
        code=[b"abc", b"def"],
    )
    _assert_same(found, expected)


@pytest.mark.parametrize(
    ("small", "large", "real"),
    [
        ([0, 0, 0], [-1, -1, -1], [NAN, NAN, NAN]),
        ([1, 1, 1], [5, 5, 5], [NAN, NAN, NAN]),
        ([0, 1, 0], [-1, -1, 5], [1.5, NAN, NAN]),
        ([1, 0, 2], [5, 6, -1], [NAN, 2.5, 3.5]),
    ],
    ids=["all", "one column", "mixed", "one a row"],
)
async def test_what_stands_for_null_is_null_in_the_table(
    connection: Connection, small: list[int], large: list[int], real: list[float]
) -> None:
    records = _records(3, small=small, large=large, real=real)
    _assert_same(await _round_trip(connection, records), records)
    rows = await connection.fetch("SELECT small, large, real FROM everything ORDER BY number")
    assert [row["small"] for row in rows] == [value or None for value in small]
    assert [row["large"] for row in rows] == [None if value == -1 else value for value in large]
    assert [row["real"] for row in rows] == [None if value != value else value for value in real]  # noqa: PLR0124 - NaN


async def test_nan_without_a_meaning_of_null_stays_nan(connection: Connection) -> None:
    await bulk.write(connection, "everything", _records(1, sure=NAN), COLUMNS)
    assert await connection.fetchval("SELECT sure = 'NaN' FROM everything")


async def test_no_rows_are_written_and_read_as_none(connection: Connection) -> None:
    found = await _round_trip(connection, _records(0))
    assert found.shape == (0,)
    assert found.dtype == bulk.record_dtype(COLUMNS)


async def test_one_row_goes_and_comes(connection: Connection) -> None:
    records = _records(1, time="2024-01-02", sure=4.25)
    _assert_same(await _round_trip(connection, records), records)


async def test_rows_of_several_blocks_come_back_in_order(connection: Connection) -> None:
    rows = 2 * bulk._BLOCK_ROWS + 1
    assert rows * 80 > bulk._BLOCK_BYTES  # A row has more bytes, so that several blocks are read.
    generator = np.random.default_rng(1)
    records = _records(
        rows,
        time=generator.integers(-(2**50), 2**51, rows).view("<M8[us]"),
        large=generator.integers(-(2**63), 2**63 - 1, rows, dtype=np.int64),
        real=np.where(generator.random(rows) < 0.3, NAN, generator.normal(size=rows)),
        small=generator.integers(-2, 3, rows),
    )
    found = await _round_trip(connection, records)
    _assert_same(found, records)


@pytest.mark.parametrize("extra", [-1, 0, 1])
async def test_no_row_is_lost_at_the_edge_of_a_block(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    monkeypatch.setattr(bulk, "_BLOCK_ROWS", 100)
    monkeypatch.setattr(bulk, "_BLOCK_BYTES", 1000)
    records = _records(300 + extra, sure=np.arange(300 + extra) / 7)
    _assert_same(await _round_trip(connection, records), records)


async def test_constants_are_the_same_in_every_row(connection: Connection) -> None:
    constants = {
        Column("tag", "S7"): b"written",
        Column("source", "<i4"): -3,
        Column("time", "<M8[us]"): np.datetime64("1999-06-07T08:09:10.111213", "us"),
    }
    columns = (NUMBER, Column("sure", "<f8"), Column("real", "<f8", NAN))
    records = _records(4, real=[1, NAN, 2, NAN])
    await bulk.write(connection, "everything", records, columns, constants)
    rows = await connection.fetch(
        "SELECT DISTINCT tag, source, time::text FROM everything GROUP BY 1, 2, 3"
    )
    assert [tuple(row) for row in rows] == [("written", -3, "1999-06-07 08:09:10.111213+00")]
    assert await connection.fetchval("SELECT count(*) FROM everything WHERE real IS NULL") == 2


async def test_arguments_reach_the_query(connection: Connection) -> None:
    await bulk.write(connection, "everything", _records(5), COLUMNS)
    query = "SELECT number FROM everything WHERE number BETWEEN $1 AND $2 ORDER BY number"
    found = await bulk.read(connection, query, (NUMBER,), 1, 3)
    assert found["number"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1::integer",
        "SELECT 1::smallint",
        "SELECT 'four'::text",
        "SELECT NULL::bigint",
        "SELECT 1::bigint, 2::bigint",
        "SELECT generate_series(1, 3)::integer",
    ],
)
async def test_rows_of_another_layout_are_refused_and_the_connection_lives(
    connection: Connection, query: str
) -> None:
    with pytest.raises(UnavailableError, match="The database sent"):
        await bulk.read(connection, query, (NUMBER,))
    assert await connection.fetchval("SELECT 42") == 42


async def test_text_of_another_width_is_refused(connection: Connection) -> None:
    with pytest.raises(UnavailableError, match="sent"):
        await bulk.read(connection, "SELECT 'ab'::text", (Column("code", "S3"),))


async def test_a_refused_row_leaves_none_of_its_file(session: AsyncSession) -> None:
    raw = await raw_connection(session)
    await raw.execute("CREATE TEMP TABLE small (number bigint CHECK (number < 40000))")
    records = np.zeros(50_000, bulk.record_dtype((NUMBER,)))
    records["number"] = np.arange(50_000)
    with pytest.raises(asyncpg.CheckViolationError):
        async with raw.transaction():
            await bulk.write(raw, "small", records, (NUMBER,))
    assert await raw.fetchval("SELECT count(*) FROM small") == 0


async def test_rows_that_are_refused_already_can_be_cancelled(engine: AsyncEngine) -> None:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        async with transaction(engine, uuid4()) as session:
            raw = await raw_connection(session)
            await raw.execute("CREATE TEMP TABLE positive (number bigint CHECK (number > 0))")
            started.set_result(raw.get_server_pid())
            await bulk.write(raw, "positive", np.zeros(5_000_000, [("number", "<i8")]), (NUMBER,))

    copying = asyncio.create_task(work())
    state = text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
    async with engine.connect() as other:
        pid = await started
        while not str(await other.scalar(state, {"pid": pid})).endswith("(aborted)"):
            await other.rollback()
    copying.cancel()
    await asyncio.wait({copying}, timeout=10)
    assert copying.cancelled()
