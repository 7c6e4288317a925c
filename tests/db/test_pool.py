"""Whoever waits for a connection gets one in turn, and none is lost on the way."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import greenlet_spawn
from sqlalchemy.util.queue import Empty

from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.pool import FairPool

TWO = 2


@pytest.fixture
async def pair(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine with two connections."""
    made = create_engine(location.url, connections=TWO)
    yield made
    await made.dispose()


@pytest.fixture
async def hasty(location: Location, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncEngine]:
    """The same, for which nobody waits long."""
    monkeypatch.setattr("seawall.db.engine.POOL_SECONDS", 0.3)
    made = create_engine(location.url, connections=TWO)
    yield made
    await made.dispose()


async def test_what_comes_back_is_for_who_waits_and_not_for_who_comes_just_then() -> None:
    line = FairPool._queue_class(TWO)
    waiting = [asyncio.create_task(greenlet_spawn(line.get)) for _ in range(TWO)]
    await asyncio.sleep(0.01)
    line.put("first")
    with pytest.raises(Empty):
        line.get_nowait()
    line.put("second")
    assert [await each for each in waiting] == ["first", "second"]


async def test_those_who_wait_are_served_in_the_order_in_which_they_came(pair: AsyncEngine) -> None:
    async with pair.connect() as first, pair.connect() as second:
        await first.execute(text("SELECT 1"))
        await second.execute(text("SELECT 1"))
    turns: list[int] = []

    async def ask() -> None:
        # As soon as one has been served it asks again, before those who were told wake up.
        for turn in range(5):
            async with pair.connect() as connection:
                turns.append(turn)
                await connection.execute(text("SELECT 1"))

    await asyncio.gather(*(ask() for _ in range(8)))
    # Of two that were handed over in turn the later may be ready first, and nobody else.
    in_order = sorted(turns)
    assert all(turn in in_order[max(0, at - 1) : at + TWO] for at, turn in enumerate(turns))


async def test_who_waits_too_long_is_refused_and_leaves_the_line(hasty: AsyncEngine) -> None:
    async with hasty.connect(), hasty.connect():
        with pytest.raises(PoolTimeoutError):
            async with hasty.connect():
                pass
    async with hasty.connect(), hasty.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_what_is_handed_to_one_who_has_left_goes_to_the_next(pair: AsyncEngine) -> None:
    first = await pair.connect()
    second = await pair.connect()

    async def take() -> int:
        async with pair.connect() as connection:
            found: int = await connection.scalar(text("SELECT 1"))
            return found

    gone, waiting = asyncio.create_task(take()), asyncio.create_task(take())
    await asyncio.sleep(0.01)
    await first.close()  # It is handed over now, and whoever had waited for it is told to stop.
    gone.cancel()
    assert await waiting == 1
    with pytest.raises(asyncio.CancelledError):
        await gone
    await second.close()
    assert pair.pool.checkedin() == TWO  # type: ignore[attr-defined]


async def test_who_leaves_the_line_is_passed_over(pair: AsyncEngine) -> None:
    async with pair.connect() as first, pair.connect():
        gone = asyncio.create_task(pair.connect().start())
        await asyncio.sleep(0.01)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await first.close()
        async with pair.connect() as connection:
            assert await connection.scalar(text("SELECT 1")) == 1


async def test_who_is_told_to_stop_as_the_time_ends_does_stop(hasty: AsyncEngine) -> None:
    async with hasty.connect(), hasty.connect():
        gone = asyncio.create_task(hasty.connect().start())
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.35, gone.cancel)
        # Held up for longer than that, the loop has both to do at once.
        time.sleep(0.5)  # noqa: ASYNC251 - on purpose
        with pytest.raises(asyncio.CancelledError):
            await gone
