"""A populated native database moves onto TimescaleDB, whole, also when it is interrupted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import UnavailableError
from seawall.db import database
from seawall.db.convert import Converted, convert
from seawall.db.database import Location
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.merge import merge
from seawall.db.session import transaction
from seawall.db.upkeep import maintain
from seawall.identity.owner import OWNER_ID
from seawall.market import store
from seawall.market.schemas import CANDLE_DTYPE

Dump = Callable[[AsyncEngine], Awaitable[dict[str, list[str]]]]
STAMP = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES = (
    "SELECT * FROM candles ORDER BY symbol_id, timeframe, time",
    "SELECT * FROM candle_revisions ORDER BY symbol_id, timeframe, time",
    "SELECT * FROM candles_by_day ORDER BY symbol_id, timeframe, day",
    "SELECT * FROM daily_price_summary ORDER BY symbol, day",
)


@pytest.fixture
async def native(empty_location: Location) -> AsyncIterator[AsyncEngine]:
    """An application's engine on a native database of a server that may have TimescaleDB."""
    await database.prepare(replace(empty_location, timescaledb=False))
    made = create_engine(empty_location.url, pooled=False)
    yield made
    await made.dispose()


@pytest.fixture
async def admin(empty_location: Location) -> AsyncIterator[AsyncEngine]:
    """Who may make extensions."""
    made = create_engine(empty_location.admin_url, role=None, pooled=False)
    yield made
    await made.dispose()


@pytest.fixture
async def owner(empty_location: Location) -> AsyncIterator[AsyncEngine]:
    """Who the tables belong to."""
    made = create_engine(empty_location.admin_url, role=OWNER_ROLE, pooled=False)
    yield made
    await made.dispose()


@pytest.fixture(scope="module")
def has_timescaledb(maintenance: Callable[[str], Any]) -> bool:
    """Whether the server has the extension."""
    found = maintenance("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'")
    return found.fetchone() is not None


@pytest.fixture(scope="module")
def _with_timescaledb(has_timescaledb: bool) -> None:  # noqa: FBT001 - a fixture's value
    # Of the module: asked before a test's database is made.
    if not has_timescaledb:
        pytest.skip("this server does not have TimescaleDB")


async def _fill(engine: AsyncEngine, symbol: int, hours: int, first: str, price: float) -> None:
    records = np.zeros(hours, CANDLE_DTYPE)
    records["time"] = np.datetime64(first, "us") + np.arange(hours) * np.timedelta64(1, "h")
    for name in ("open", "high", "low", "close"):
        records[name] = price + np.arange(hours) / 7
    records["volume"] = np.arange(hours) / 3
    async with transaction(engine, OWNER_ID) as session:
        subject = {"symbol_id": symbol, "timeframe": 3600}
        await merge(session, store.CANDLES, subject, records, STAMP + timedelta(seconds=price))


async def _answers(engine: AsyncEngine) -> list[list[tuple[object, ...]]]:
    async with transaction(engine, OWNER_ID) as session:
        return [[tuple(row) for row in await session.execute(text(query))] for query in QUERIES]


async def _convert(admin: AsyncEngine, owner: AsyncEngine) -> list[Converted]:
    return [each async for each in convert(admin, owner)]


async def _populate(native: AsyncEngine, owner: AsyncEngine) -> None:
    async with transaction(native, OWNER_ID) as session:
        btc = await store.get_or_create_asset(session, "BTC", "crypto")
        usd = await store.get_or_create_asset(session, "USD", "fiat")
        pair = await store.get_or_create_symbol(session, "test", btc, usd)
    await _fill(native, pair.id, 9000, "2023-01-15", 100)
    await _fill(native, pair.id, 200, "2023-05-01", 50)  # Revisions.
    await maintain(owner)
    async with owner.begin() as connection:
        # Days whose rows are gone, as retention leaves them.
        await connection.execute(text("SELECT announce_change('candles', NULL, NULL, NULL)"))
        await connection.execute(text("DELETE FROM candles WHERE time < '2023-02-01'"))
        await connection.execute(text("DELETE FROM series_changes"))


@pytest.mark.usefixtures("_with_timescaledb")
async def test_everything_is_as_it_was(
    native: AsyncEngine, admin: AsyncEngine, owner: AsyncEngine
) -> None:
    await _populate(native, owner)
    before = await _answers(native)
    found = await _convert(admin, owner)
    assert {
        each.partition: each.rows for each in found if each.rows and each.series == "candles"
    } == {
        "candles_2023": (365 - 31) * 24,
        "candles_2024": 9000 - (365 - 14) * 24,
    }
    assert all(each.copied == (each.rows > 0) for each in found)
    assert await _answers(native) == before
    assert len(before[2]) == 9000 / 24  # Also the days whose rows are gone.
    assert await _convert(admin, owner) == []
    # It goes on as a database that was made so: later rows are merged and summed up.
    await _fill(native, 1, 10, "2024-06-01", 10)
    await maintain(owner)
    after = await _answers(native)
    assert len(after[0]) == len(before[0]) + 10
    assert len(after[2]) == len(before[2]) + 1


@pytest.mark.usefixtures("_with_timescaledb")
async def test_the_schema_becomes_that_of_a_new_database(
    native: AsyncEngine,
    admin: AsyncEngine,
    owner: AsyncEngine,
    module_location: Location,
    dump: Dump,
) -> None:
    assert str(native.url)
    await _convert(admin, owner)
    new = create_engine(module_location.admin_url, role=None, pooled=False)
    assert await dump(admin) == await dump(new)
    await new.dispose()


@pytest.mark.usefixtures("_with_timescaledb")
async def test_an_interrupted_conversion_goes_on(
    native: AsyncEngine, admin: AsyncEngine, owner: AsyncEngine
) -> None:
    await _populate(native, owner)
    async with aclosing(convert(admin, owner)) as steps:
        async for each in steps:
            if each.partition == "candles_2023":
                break
    before = await _answers(native)  # Still native, and whole.
    found = await _convert(admin, owner)
    copied = {each.partition: each.copied for each in found if "candles_202" in each.partition}
    assert copied["candles_2023"] is False
    assert copied["candles_2024"] is True
    assert await _answers(native) == before


@pytest.mark.usefixtures("_with_timescaledb")
async def test_rows_that_come_meanwhile_are_not_lost(
    native: AsyncEngine, admin: AsyncEngine, owner: AsyncEngine
) -> None:
    await _populate(native, owner)
    async with aclosing(convert(admin, owner)) as steps:
        async for each in steps:
            if each.partition == "candles_2023":
                await _fill(native, 1, 300, "2023-06-01", 70)
                await _fill(native, 2, 30, "2023-07-01", 70)
                before = await _answers(native)
    assert await _answers(native) == before


@pytest.mark.usefixtures("_with_timescaledb")
async def test_two_conversions_wait_for_each_other(
    native: AsyncEngine, admin: AsyncEngine, owner: AsyncEngine
) -> None:
    await _populate(native, owner)
    one, two = await asyncio.gather(_convert(admin, owner), _convert(admin, owner))
    assert sorted(map(bool, (one, two))) == [False, True]


async def test_a_server_without_timescaledb_says_so(
    native: AsyncEngine,
    admin: AsyncEngine,
    owner: AsyncEngine,
    has_timescaledb: bool,  # noqa: FBT001 - a fixture's value
) -> None:
    if has_timescaledb:
        pytest.skip("this server has TimescaleDB")
    assert str(native.url)
    with pytest.raises(UnavailableError, match="does not have TimescaleDB"):
        await _convert(admin, owner)
