"""What takes long keeps nobody else waiting, and only so much of it is taken on."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from seawall.api.aside import OF_ONE, WAITING, Bench
from seawall.api.callers import Caller
from seawall.api.deps import Bound
from seawall.core.asking import REQUEST_ID
from seawall.core.errors import InvalidError, UnavailableError
from seawall.db.session import transaction
from seawall.identity.errors import TooManyRequestsError
from seawall.portfolios.portfolios import create_portfolio

Web = Any  # what the fixture is


def _caller(number: int = 1) -> Caller:
    return Caller(UUID(int=number), "key", frozenset())


def _busy(seconds: float) -> Callable[[Bound], Awaitable[float]]:
    async def work(bound: Bound) -> float:
        # Python of its own, which gives nothing up but what the interpreter takes from it.
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        found = await bound.session.scalar(text("SELECT current_setting('app.user_id')"))
        assert found == str(bound.caller.user_id)
        return seconds

    return work


async def test_the_loop_goes_on_while_something_is_computed(web: Web) -> None:
    bench, longest, last = Bench(threads=1), 0.0, time.perf_counter()
    working = asyncio.create_task(bench.run(web.desk, _caller(), _busy(1.0)))
    while not working.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert await working == 1.0
    # On the loop it would have been a second; a thread is switched from after 5 ms.
    assert longest < 0.5


async def test_errors_undo_the_transaction_and_are_told(web: Web) -> None:
    bench = Bench(threads=1)

    async def fail(bound: Bound) -> None:
        await bound.session.execute(text("CREATE TEMP TABLE half (a int)"))
        raise InvalidError("no")

    with pytest.raises(InvalidError, match="no"):
        await bench.run(web.desk, _caller(), fail)
    assert await bench.run(web.desk, _caller(), _busy(0)) == 0


async def test_there_is_an_end_to_what_is_taken_on(web: Web) -> None:
    bench = Bench(threads=1)
    mine = [asyncio.create_task(bench.run(web.desk, _caller(), _busy(0.1))) for _ in range(OF_ONE)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsError):
        await bench.run(web.desk, _caller(), _busy(0))
    others = [
        asyncio.create_task(bench.run(web.desk, _caller(2 + number // OF_ONE), _busy(0)))
        for number in range(WAITING - OF_ONE)
    ]
    await asyncio.sleep(0)
    with pytest.raises(UnavailableError):
        await bench.run(web.desk, _caller(99), _busy(0))
    await asyncio.gather(*mine, *others)
    assert await bench.run(web.desk, _caller(), _busy(0)) == 0


async def test_who_goes_away_is_counted_until_it_is_done(web: Web) -> None:
    bench = Bench(threads=1)
    going = asyncio.create_task(bench.run(web.desk, _caller(), _busy(0.3)))
    await asyncio.sleep(0.05)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    rest = [
        asyncio.create_task(bench.run(web.desk, _caller(), _busy(0))) for _ in range(OF_ONE - 1)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsError):
        await bench.run(web.desk, _caller(), _busy(0))
    await asyncio.gather(*rest)


async def test_who_goes_away_as_it_begins_changes_nothing(web: Web) -> None:
    user = await web.user("ada@example.com")
    caller = Caller(user.id, "key", frozenset())
    begun, go, bench = threading.Event(), threading.Event(), Bench(threads=1)
    policy = asyncio.get_event_loop_policy()

    class Late(type(policy)):  # type: ignore[misc]
        """Makes no loop in a thread before it is told to."""

        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            begun.set()
            go.wait(10)
            made: asyncio.AbstractEventLoop = super().new_event_loop()
            return made

    async def work(bound: Bound) -> None:
        await create_portfolio(bound.session, user.id, "Half done")

    asyncio.set_event_loop_policy(Late())
    try:
        going = asyncio.create_task(bench.run(web.desk, caller, work))
        while not begun.is_set():  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.01)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
    finally:
        asyncio.set_event_loop_policy(policy)
        go.set()
    async with asyncio.timeout(10):
        while bench._of:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
    async with transaction(web.desk.engine, user.id) as session:
        assert await session.scalar(text("SELECT count(*) FROM portfolios")) == 0


async def test_what_is_logged_aside_is_of_its_request(web: Web) -> None:
    async def work(_: Bound) -> str | None:
        return REQUEST_ID.get()

    token = REQUEST_ID.set("request-1")
    assert await Bench(threads=1).run(web.desk, _caller(), work) == "request-1"
    REQUEST_ID.reset(token)
