"""Numbers from an index, and amounts as COPY takes them."""

from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db import bulk
from seawall.db.bulk import Column
from seawall.db.session import raw_connection
from seawall.ops.seeds import wire

AMOUNTS = [0, 1, 99_999_999, 100_000_000, 123_456_789_012_345_678, 9_999 * 10**8]
INDEX = np.arange(50_000)


def test_bits_are_those_that_splitmix64_gives_of_seed_0() -> None:
    golden = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert wire.scatter(np.arange(3), 0).tolist() == golden


def test_the_same_in_whatever_portions() -> None:
    halves = [wire.uuids(INDEX[:7], 1), wire.uuids(INDEX[7:], 1)]
    assert (np.concatenate(halves) == wire.uuids(INDEX, 1)).all()
    assert not set(wire.uuids(INDEX, 1).tolist()) & set(wire.uuids(INDEX, 2).tolist())


def test_uniform_is_even_between_0_and_1() -> None:
    drawn = wire.uniform(INDEX, 5)
    assert 0 <= drawn.min() < drawn.max() < 1
    counts = np.histogram(drawn, 10, (0, 1))[0]
    assert counts == pytest.approx(np.full(10, 5_000), rel=0.06)


async def test_the_database_reads_what_was_written(session: AsyncSession) -> None:
    connection = await raw_connection(session)
    await connection.execute("CREATE TEMP TABLE taken (id uuid, amount numeric(38, 18))")
    columns = (Column("id", wire.UUID), Column("amount", wire.NUMERIC))
    records = np.empty(len(AMOUNTS), bulk.record_dtype(columns))
    records["id"] = wire.uuids(np.arange(len(AMOUNTS)), 1)
    records["amount"] = wire.numeric(np.array(AMOUNTS))
    await bulk.write(connection, "taken", records, columns)
    rows = (await session.execute(text("SELECT id, amount FROM taken"))).all()
    assert [row.amount for row in rows] == [Decimal(each).scaleb(-8) for each in AMOUNTS]
    assert [row.id for row in rows] == [UUID(bytes=bytes(each)) for each in records["id"]]
    assert {row.id.version for row in rows} == {4}
