"""Rows of every type go into a file and come back the same."""

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import UnavailableError
from seawall.ops import archive, leaving, parquet
from seawall.ops.archive import list_archives
from seawall.ops.leaving import Span
from seawall.ops.parquet import TableColumn
from seawall.ops.restore import restore
from seawall.ops.retention import Rule

NOW = datetime(2026, 5, 6, tzinfo=UTC)
EVERYTHING = """
    CREATE TABLE everything (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        time timestamptz NOT NULL DEFAULT '2020-02-03 04:05:06.789012+00',
        "Odd ""name" text,
        truth boolean,
        little smallint,
        whole integer,
        big bigint,
        share double precision,
        single real,
        amount numeric(38, 18),
        exact numeric,
        day date,
        moment timestamptz,
        local timestamp,
        span interval,
        bytes bytea,
        key uuid,
        address inet,
        document jsonb,
        numbers integer[],
        words text[],
        doubled integer GENERATED ALWAYS AS (whole * 2) STORED,
        low numeric(38, 18) GENERATED ALWAYS AS (least(amount, 0)) STORED
    )
"""
VALUES = {
    '"Odd ""name"': ("'Ж\t''\"\\ \U0001f30a'", "''"),
    "truth": ("true", "false"),
    "little": ("-32768", "32767"),
    "whole": ("-1073741824", "1073741823"),
    "big": ("-9223372036854775808", "9223372036854775807"),
    "share": ("'NaN'", "'-Infinity'", "'Infinity'", "5e-324", "-0.0", "0.1::float8 + 0.2"),
    "single": ("'NaN'", "3.4028235e38", "0.1"),
    "amount": ("99999999999999999999.999999999999999999", "-0.000000000000000001", "0", "1.50"),
    "exact": ("'NaN'", "'Infinity'", "1e-200", "123456789.1200", "1e100"),
    "day": ("'0001-01-02'", "'9999-12-30'", "'infinity'", "'2024-02-29'"),
    "moment": ("'0001-01-02 00:00:00.000001+00'", "'infinity'", "'-infinity'"),
    "local": ("'0001-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'"),
    "span": ("'1 year 2 months -3 days 04:05:06.000007'",),
    "bytes": ("''", r"'\x00ff0a'"),
    "key": ("'00000000-0000-4000-8000-000000000001'",),
    "address": ("'10.0.0.1'", "'10.1.0.0/16'", "'2001:db8::1'"),
    "document": (
        "'null'",
        "'[]'",
        "'\"text\"'",
        """'{"b": 1.10, "a": [null, {"ж": "\\u2028"}], "n": 12345678901234567890123.4}'""",
    ),
    "numbers": ("'{}'", "'{1,NULL,-3}'", "'{{1,2},{3,4}}'"),
    "words": ("""'{a,NULL,"NULL","",",{}"}'""",),
}


@pytest.fixture
async def everything(owner: AsyncEngine) -> Rule:
    """A table with every type: rows of NULLs, and one for each value."""
    async with owner.begin() as connection:
        await connection.exec_driver_sql("SET timezone = 'Asia/Kolkata'")
        await connection.exec_driver_sql(EVERYTHING)
        await connection.exec_driver_sql("INSERT INTO everything DEFAULT VALUES")
        for column, values in VALUES.items():
            for value in values:
                await connection.exec_driver_sql(
                    f"INSERT INTO everything ({column}) VALUES ({value})"  # noqa: S608
                )
    return Rule("everything", "everything", timedelta(1), timedelta(1), archived=True)


async def _dump(owner: AsyncEngine) -> list[Row[tuple[str]]]:
    async with owner.connect() as connection:
        rows = await connection.execute(text("SELECT held::text FROM everything held ORDER BY id"))
        return list(rows)


async def test_every_type_comes_back_the_same(
    owner: AsyncEngine, folder: Path, everything: Rule
) -> None:
    before = await _dump(owner)
    first = datetime(2020, 2, 1, tzinfo=UTC)
    async with AsyncSession(owner) as session, session.begin():
        span = Span(everything, NOW, first, first + timedelta(days=29))
        path = await leaving.take_out(session, span, folder)
    assert path is not None
    archive.publish(path)
    assert await _dump(owner) == []
    (record,) = await list_archives(owner, folder)
    assert await restore(owner, folder, record.id, NOW) == len(before)
    assert await _dump(owner) == before
    assert len(before) == 1 + sum(map(len, VALUES.values()))
    # What Parquet knows itself can be computed with by whoever reads the file.
    types = pl.read_parquet_schema(path)
    assert types["amount"] == pl.Decimal(38, 18)
    assert types["time"] == pl.Datetime("us", "UTC")
    assert types["share"] == pl.Float64
    assert {"doubled", "low"}.isdisjoint(types)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_what_the_system_refuses_is_said(tmp_path: Path, number: int) -> None:
    said = os.strerror(number)
    with pytest.raises(UnavailableError, match=said) as refused, parquet.writing(tmp_path):
        raise OSError(number, said, str(tmp_path))
    assert "SEAWALL_ARCHIVE__FOLDER" in refused.value.hint


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="file/table/month"):
        parquet.write(tmp_path / "file" / "table" / "month", [TableColumn("n", "integer")], [])


def test_no_file_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("mine")
    with pytest.raises(UnavailableError, match="exists"):
        parquet.write(path, [TableColumn("n", "integer")], [])
    assert path.read_text() == "mine"
