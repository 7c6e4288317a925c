"""A user, and an address, has a share of the connections: nobody else waits for what is slow."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from seawall.api import shares
from seawall.api.app import build_app
from seawall.api.deps import Manager, Reader
from seawall.api.operations import Operation, Tree
from seawall.api.shares import LOOKUPS, OF_ONE, WAITING, Shares
from seawall.core.errors import UnavailableError
from seawall.db.database import Location, open_admin
from seawall.db.engine import CONNECTIONS, create_engine
from seawall.db.session import transaction
from seawall.identity.errors import TooManyRequestsError
from seawall.identity.tokens import KEY_PREFIX

Web = Any  # what the fixture is
USER = UUID(int=1)


async def _slow(bound: Reader) -> None:
    await bound.session.execute(text("SELECT pg_sleep(1.5)"))


async def _fails(bound: Manager) -> None:
    await bound.session.execute(text("SELECT 1 / 0"))


@pytest.fixture
async def slow(web: Web, location: Location) -> AsyncIterator[Web]:
    """The app with its own connections and slow operations, in which nobody waits long."""
    engine = create_engine(location.url)
    app = build_app(replace(web.desk, engine=engine))
    given = [Operation("/slow", _slow), Operation("/fails", _fails)]
    app.router.middleware_stack = Tree(given, app.router.middleware_stack)
    web.app = app
    yield web
    await engine.dispose()


async def test_twenty_slow_requests_of_one_leave_another_s_quick(
    slow: Web, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SECONDS", 2.0)
    ada, bob = await slow.known("ada@example.com"), await slow.known("bob@example.com")
    assert (await bob.get("/api/v1/portfolios")).status_code == 200
    asked = [asyncio.create_task(ada.get("/slow")) for _ in range(20)]
    await asyncio.sleep(0.2)
    took: list[float] = []
    while len(took) < 10:
        started = time.perf_counter()
        assert (await bob.get("/api/v1/portfolios")).status_code == 200
        took.append(time.perf_counter() - started)
    # With every connection taken the first would have waited for one to end.
    assert max(took) < 1.0
    answers = await asyncio.gather(*asked)
    counted = dict.fromkeys((200, 429), 0)
    for each in answers:
        counted[each.status_code] += 1
    assert counted[200] >= 2 * OF_ONE
    assert counted[429] >= OF_ONE
    refused = next(each for each in answers if each.status_code == 429)
    problem(refused, 429, "too-many-requests")
    assert int(refused.headers["retry-after"]) >= 1
    # All that was held is free again, of those that failed too.
    for _ in range(CONNECTIONS):
        await ada.get("/fails")
    assert (await ada.get("/api/v1/portfolios")).status_code == 200
    assert slow.app.state.shares._held == {}
    assert slow.app.state.shares._waiting == {}


async def test_a_flood_of_wrong_keys_leaves_others_their_connections(
    slow: Web, location: Location, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SECONDS", 0.5)
    slow.app.state.lookups = Shares(LOOKUPS, 10)
    bob = await slow.known("bob@example.com")
    flooding = AsyncClient(
        transport=ASGITransport(slow.app, client=("203.0.113.7", 1)), base_url="https://test"
    )
    pool = slow.app.state.desk.engine.pool
    key = {"Authorization": f"Bearer {KEY_PREFIX}{'x' * 40}"}
    async with open_admin(location) as admin, admin.connect() as connection:
        # Looking up takes as long as in a database that is overrun.
        await connection.execute(text("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE"))
        asked = [
            asyncio.create_task(flooding.get("/api/v1/profile", headers=key))
            for _ in range(CONNECTIONS + 10)
        ]
        refused = await next(iter(asyncio.as_completed(asked)))
        problem(refused, 429, "too-many-requests")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["ratelimit-limit"] == "300"
        assert pool.checkedout() == LOOKUPS
        assert (await bob.get("/api/v1/profile")).status_code == 200
        await asyncio.sleep(0.6)
        assert {each.result().status_code for each in asked if each.done()} == {429}
    statuses = [each.status_code for each in await asyncio.gather(*asked)]
    assert (statuses.count(401), statuses.count(429)) == (LOOKUPS, CONNECTIONS + 10 - LOOKUPS)
    assert slow.app.state.lookups._held == {}
    await flooding.aclose()


async def test_an_export_has_a_share_too(slow: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "SECONDS", 0.1)
    ada = await slow.known("ada@example.com")
    user = UUID((await ada.get("/api/v1/profile")).json()["id"])
    for _ in range(OF_ONE):
        await slow.app.state.shares.take(user)
    asked = {"password": slow.password}
    assert (await ada.post("/api/v1/account/export", json=asked)).status_code == 429
    slow.app.state.shares.give(user)
    assert (await ada.post("/api/v1/account/export", json=asked)).status_code == 200


async def test_who_waits_is_served_in_turn_and_who_leaves_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, order = Shares(), []
    for _ in range(OF_ONE):
        await found.take(USER)

    async def wait(name: int) -> None:
        await found.take(USER)
        order.append(name)

    waiting = [asyncio.create_task(wait(each)) for each in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    for _ in range(2):
        found.give(USER)
    await asyncio.wait(waiting)
    assert order == [0, 2]
    # Given and left in one moment: the share is not lost.
    late = asyncio.create_task(wait(9))
    await asyncio.sleep(0)
    found.give(USER)
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    monkeypatch.setattr(shares, "SECONDS", 0.05)
    await wait(3)
    with pytest.raises(TooManyRequestsError):
        await found.take(USER)
    rest = [asyncio.create_task(wait(4)) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsError):
        await found.take(USER)
    assert all(isinstance(each, TooManyRequestsError) for each in await _outcomes(rest))
    for _ in range(OF_ONE):
        found.give(USER)
    assert (found._held, found._waiting) == ({}, {})


async def _outcomes(tasks: list[asyncio.Task[None]]) -> list[BaseException | None]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_server_ends_what_takes_too_long(location: Location) -> None:
    engine = create_engine(location.url, connections=1, statement_seconds=0.2)
    for _ in range(2):
        # The limit is the connection's, and outlives the end of a transaction.
        with pytest.raises(UnavailableError, match="took too long"):
            async with transaction(engine, USER) as session:
                await session.execute(text("SELECT pg_sleep(5)"))
    await engine.dispose()
