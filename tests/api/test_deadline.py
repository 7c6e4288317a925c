"""What takes too long is answered, ended and undone; what comes too slowly is cut."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import text

from seawall.api.deps import Manager
from seawall.api.operations import Operation, Tree
from seawall.core.settings import ApiSettings
from seawall.db.database import Location, open_admin
from seawall.db.watch import Watch
from seawall.portfolios.portfolios import create_portfolio

Web = Any  # what the fixture is
ADA, PORTFOLIOS = "ada@example.com", "/api/v1/portfolios"
ASLEEP = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE '%pg_sleep(6%' AND pid <> pg_backend_pid()
"""


async def _slow(bound: Manager) -> None:
    await create_portfolio(bound.session, bound.caller.user_id, "Half done")
    await bound.session.execute(text("SELECT pg_sleep(60)"))


async def _waits(bound: Manager) -> None:
    await create_portfolio(bound.session, bound.caller.user_id, "Half done")
    await asyncio.sleep(60)


@pytest.fixture
async def hurried(web: Web) -> Web:
    """The app with little time, and operations that take more."""
    api = ApiSettings(request_seconds=0.4, body_seconds=0.2)
    settings = web.desk.settings.model_copy(update={"api": api})
    web.app.state.desk = replace(web.desk, settings=settings)
    slow = [Operation("/slow", _slow), Operation("/waits", _waits)]
    web.app.router.middleware_stack = Tree(slow, web.app.router.middleware_stack)
    return web


@pytest.mark.parametrize("path", ["/slow", "/waits"])
async def test_what_takes_too_long_is_ended_and_undone(
    hurried: Web, problem: Any, path: str
) -> None:
    client = await hurried.known(ADA)
    start = time.monotonic()
    told = problem(await client.get(path), 503, "unavailable")
    assert "0.4 seconds" in told["detail"]
    assert time.monotonic() - start < 3
    listed = await client.get("/api/v1/portfolios")
    assert listed.json()["items"] == []
    async with hurried.desk.engine.connect() as connection:
        until = time.monotonic() + 5
        while await connection.scalar(text(ASLEEP)):
            assert time.monotonic() < until, "the statement goes on"
            await asyncio.sleep(0.05)


_LINGER = """
    CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(30); RETURN NULL; {} END $$
"""
_LINGERS = """
    CREATE CONSTRAINT TRIGGER lingers AFTER INSERT ON portfolios
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION linger()
"""


@pytest.mark.parametrize(
    ("caught", "is_kept"), [("EXCEPTION WHEN query_canceled THEN RETURN NULL;", True), ("", False)]
)
async def test_what_is_cut_as_it_commits_happens_once(
    hurried: Web, problem: Any, location: Location, caught: str, *, is_kept: bool
) -> None:
    client = await hurried.known(ADA)
    async with open_admin(location) as admin, admin.begin() as connection:
        await connection.execute(text(_LINGER.format(caught)))
        await connection.execute(text(_LINGERS))

    async def ask() -> Response:
        headers = {"Idempotency-Key": "the-same"}
        found: Response = await client.post(PORTFOLIOS, json={"name": "Late"}, headers=headers)
        return found

    told = problem(await ask(), 503, "unavailable")
    assert "Idempotency-Key" in told["hint"]
    async with open_admin(location) as admin, admin.begin() as connection:
        await connection.execute(text("DROP TRIGGER lingers ON portfolios"))
    while (again := await ask()).status_code == 503:  # noqa: ASYNC110 - as a client does
        await asyncio.sleep(0.1)
    assert again.status_code == 201
    # Which it was only the database knows; the answer is of what is there.
    assert ("idempotency-replayed" in again.headers) == is_kept
    listed = (await client.get(PORTFOLIOS)).json()["items"]
    assert [each["id"] for each in listed] == [again.json()["id"]]


async def test_many_that_take_too_long_leave_the_pool_as_it_was(hurried: Web) -> None:
    client = await hurried.known(ADA)
    found = await asyncio.gather(*(client.get("/waits") for _ in range(30)))
    assert {each.status_code for each in found} == {503}
    assert (await client.get("/api/v1/portfolios")).status_code == 200


async def test_what_comes_too_slowly_is_cut(hurried: Web, problem: Any) -> None:
    async def drop_by_drop() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.05)

    headers = {"Content-Type": "application/json"}
    path = "/api/v1/auth/login"
    found = await hurried.client().post(path, content=drop_by_drop(), headers=headers)
    problem(found, 408, "too-slow")
    assert found.headers["connection"] == "close"


async def test_who_waits_when_the_database_goes_is_told(hurried: Web, problem: Any) -> None:
    hurried.app.state.watch = watch = Watch(hurried.desk.engine)
    client = await hurried.known(ADA)
    asked = asyncio.create_task(client.get("/waits"))
    await asyncio.sleep(0.1)
    watch.is_away(OSError("gone"))
    problem(await asked, 503, "unavailable")
    problem(await client.get("/api/v1/profile"), 503, "unavailable")
    assert (await client.get("/healthz")).status_code == 200
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "unavailable")
    await watch.is_up()
    assert (await client.get("/api/v1/profile")).status_code == 200
    assert (await client.get("/readyz")).json()["queue"] == {"waiting": 0, "oldest_seconds": 0.0}
