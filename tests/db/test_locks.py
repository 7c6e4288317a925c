"""Writers and readers of an asset's prices are in one order, so that knowledge has a time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.locks import clock, lock_prices
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID


async def _waits(engine: AsyncEngine, *assets: str, shared: bool) -> bool:
    """Tell whether a further transaction would have to wait for these assets."""
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(text("SET LOCAL lock_timeout = '50ms'"))
        try:
            async with session.begin_nested():
                await lock_prices(session, assets, shared=shared)
        except DBAPIError as error:
            assert "lock timeout" in str(error)  # noqa: PT017 - whatever else fails is no wait
            return True
        return False


@pytest.mark.parametrize(
    ("held_shared", "wanted_shared", "waits"),
    [(False, False, True), (False, True, True), (True, False, True), (True, True, False)],
)
async def test_only_readers_share(
    engine: AsyncEngine, *, held_shared: bool, wanted_shared: bool, waits: bool
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await lock_prices(session, ["E"], shared=held_shared)
        assert await _waits(engine, "E", shared=wanted_shared) is waits
        assert not await _waits(engine, "D", "F", shared=False)
    assert not await _waits(engine, "E", shared=False)


async def test_a_lock_goes_with_a_rollback(engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await lock_prices(session, ["A", "B"])
        await session.rollback()
        assert not await _waits(engine, "A", "B", shared=False)


async def test_the_same_assets_in_any_order_never_deadlock(engine: AsyncEngine) -> None:
    async def both(assets: str) -> None:
        for _ in range(10):
            async with transaction(engine, OWNER_ID) as session:
                await lock_prices(session, assets)

    async with asyncio.timeout(20):
        await asyncio.gather(both("ABC"), both("CBA"), both("BCAB"))


async def test_no_assets_need_no_lock(engine: AsyncEngine) -> None:
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    async with transaction(engine, OWNER_ID) as session:
        await lock_prices(session, [])
        assert await session.scalar(text(held)) == 0


async def test_the_clock_moves_on_within_a_transaction(session: AsyncSession) -> None:
    first, second = await clock(session), await clock(session)
    assert first < second
    assert first.tzinfo is not None
    assert abs(first - datetime.now(UTC)) < timedelta(seconds=30)
