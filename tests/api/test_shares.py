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

from seawall.api import callers, shares
from seawall.api.app import build_app
from seawall.api.deps import Manager, Reader
from seawall.api.operations import Operation, Tree
from seawall.api.shares import LOOKUPS, LOOKUPS_OF_ALL, OF_ONE, WAITING, Lookups, Shares
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


ADDRESSES = ("203.0.113.7", "203.0.113.8", "2001:db8::1")
KEY = {"Authorization": f"Bearer {KEY_PREFIX}{'x' * 40}"}


def _from(web: Web, address: str) -> AsyncClient:
    transport = ASGITransport(web.app, client=(address, 1))
    return AsyncClient(transport=transport, base_url="https://test", headers=KEY)


async def test_a_flood_of_wrong_keys_leaves_others_their_connections(
    slow: Web, location: Location, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SECONDS", 0.5)
    # The session of whoever is known is in the cache, and need not be looked up.
    await slow.desk.cache.renew()
    bob = await slow.known("bob@example.com")
    assert (await bob.get("/api/v1/profile")).status_code == 200
    flooding = [_from(slow, each) for each in ADDRESSES]
    pool = slow.app.state.desk.engine.pool
    async with open_admin(location) as admin, admin.connect() as connection:
        # Looking up takes as long as in a database that is overrun.
        await connection.execute(text("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE"))
        asked = [
            asyncio.create_task(each.get("/api/v1/profile"))
            for each in flooding
            for _ in range(LOOKUPS)
        ]
        refused = await next(iter(asyncio.as_completed(asked)))
        told = problem(refused, 429, "too-many-requests")
        assert "being looked up, for your address or for all" in told["detail"]
        assert int(refused.headers["retry-after"]) >= 1
        assert pool.checkedout() == LOOKUPS_OF_ALL
        assert (await bob.get("/api/v1/profile")).status_code == 200
        await asyncio.sleep(0.6)
        assert {each.result().status_code for each in asked if each.done()} == {429}
    answers = await asyncio.gather(*asked)
    found = [each for each in answers if each.status_code == 401]
    assert len(found) == LOOKUPS_OF_ALL
    # Who waited in vain has not been found wrong, and is not counted as such.
    assert {"ratelimit-limit" in each.headers for each in answers if each not in found} == {False}
    assert slow.app.state.lookups._held == {}
    for each in flooding:
        await each.aclose()


async def test_an_address_of_many_wrong_keys_has_one_looked_up_at_once(
    slow: Web, location: Location, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SECONDS", 0.3)
    monkeypatch.setattr(shares, "now", slow.desk.cache._clock)
    monkeypatch.setitem(callers.REQUESTS_A_MINUTE, "refused", 1)
    pool = slow.app.state.desk.engine.pool
    async with _from(slow, ADDRESSES[0]) as wrong, _from(slow, ADDRESSES[1]) as other:
        for status, slug in ((401, "not-authenticated"), (429, "too-many-requests")):
            problem(await wrong.get("/api/v1/profile"), status, slug)
        async with open_admin(location) as admin, admin.connect() as connection:
            await connection.execute(text("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE"))
            asked = [asyncio.create_task(wrong.get("/api/v1/profile")) for _ in range(3)]
            asked.append(asyncio.create_task(other.get("/api/v1/profile")))
            await asyncio.wait(asked, timeout=0.4)
            assert pool.checkedout() == 2
        answers = await asyncio.gather(*asked)
    assert answers[-1].status_code == 401


async def test_addresses_are_looked_up_in_turn_and_leave_nothing() -> None:
    found, order = Lookups(), []
    for each in range(LOOKUPS_OF_ALL):
        await found.take(each % 2)

    async def wait(who: str) -> None:
        await found.take(who)
        order.append(who)

    waiting = [asyncio.create_task(wait(each)) for each in ("many", "many", "many", "few")]
    await asyncio.sleep(0)
    for each in range(4):
        found.give(each % 2)
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == ["many", "few", "many", "many"]
    for each in range(4, LOOKUPS_OF_ALL):
        found.give(each % 2)
    for who in order:
        found.give(who)
    assert (found._held, found._waiting) == ({}, {})


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
