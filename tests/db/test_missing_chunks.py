"""A chunk that is not there is a lack of rows, and no harm to reading, upkeep and writing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import InvalidError
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE
from seawall.db.merge import Merged, merge
from seawall.db.session import transaction
from seawall.db.upkeep import maintain
from seawall.identity.owner import OWNER_ID
from seawall.market import store
from seawall.market.schemas import CANDLE_DTYPE

STAMP = datetime(2026, 1, 1, tzinfo=UTC)
SUBJECT = {"symbol_id": 1, "timeframe": 86400}
YEARS = "SELECT extract(year FROM time)::integer, count(*) FROM candles GROUP BY 1 ORDER BY 1"
DROP = """
DO $$ BEGIN
    IF (SELECT engine FROM series WHERE table_name = 'candles') = 'native' THEN
        DROP TABLE candles_2023;
    ELSE
        PERFORM drop_chunks('candles', older_than => '2024-02-01'::timestamptz,
            newer_than => '2022-12-01'::timestamptz);
    END IF;
END $$
"""


@pytest.fixture
async def owner(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine as the owner of the tables."""
    async with open_admin(location, OWNER_ROLE) as engine:
        yield engine


async def _write(engine: AsyncEngine, year: int) -> Merged:
    """Write the days from February to November, which no chunk shares with another year."""
    records = np.zeros(300, CANDLE_DTYPE)
    records["time"] = np.datetime64(f"{year}-02-01", "us") + np.arange(300) * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = 2
    async with transaction(engine, OWNER_ID) as session:
        return await merge(session, store.CANDLES, SUBJECT, records, STAMP)


async def _years(engine: AsyncEngine) -> dict[int, int]:
    async with transaction(engine, OWNER_ID) as session:
        return dict((await session.execute(text(YEARS))).all())


async def test_a_chunk_that_was_dropped_is_made_again(
    engine: AsyncEngine, owner: AsyncEngine
) -> None:
    for year in (2022, 2023, 2024):
        await _write(engine, year)
    async with owner.begin() as connection:
        await connection.execute(text(DROP))
    assert await _years(engine) == {2022: 300, 2024: 300}
    await maintain(owner)
    assert (await _write(engine, 2023)).inserted == 300
    assert (await _write(engine, 2024)).unchanged == 300
    await maintain(owner)
    assert await _years(engine) == {2022: 300, 2023: 300, 2024: 300}


async def test_chunks_need_not_follow_on_one_another(
    engine: AsyncEngine, owner: AsyncEngine
) -> None:
    for year in (2024, 2019, 2021, 2020):
        await _write(engine, year)
        await maintain(owner)
    assert await _years(engine) == dict.fromkeys((2019, 2020, 2021, 2024), 300)


async def test_a_partition_that_was_detached_is_named(
    engine: AsyncEngine, owner: AsyncEngine
) -> None:
    for year in (2023, 2024):
        await _write(engine, year)
    async with owner.begin() as connection:
        kind = await connection.scalar(
            text("SELECT engine FROM series WHERE table_name = 'candles'")
        )
        if kind != "native":
            pytest.skip("a chunk of TimescaleDB cannot be detached")
        await connection.execute(text("ALTER TABLE candles DETACH PARTITION candles_2023"))
    await maintain(owner)
    assert await _years(engine) == {2024: 300}
    with pytest.raises(InvalidError, match="candles_2023 is no partition of candles: attach it"):
        await _write(engine, 2023)
    async with owner.begin() as connection:
        await connection.execute(
            text(
                "ALTER TABLE candles ATTACH PARTITION candles_2023"
                " FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')"
            )
        )
    assert (await _write(engine, 2023)).unchanged == 300
