"""One transaction is one unit of work, bound to one user."""

import asyncio
from uuid import UUID, uuid4

import pytest
from asyncpg import Connection
from sqlalchemy import literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import UnavailableError
from seawall.db import engine as made_by
from seawall.db.database import Location
from seawall.db.engine import create_engine, parse_url
from seawall.db.session import raw_connection, server_facts, transaction
from seawall.identity.tables import User

ADD_ASSET = text("INSERT INTO assets (symbol, name, kind) VALUES ('BTC', 'Bitcoin', 'crypto')")
COUNT_ASSETS = text("SELECT count(*) FROM assets")
BOUND = text("SELECT current_setting('app.user_id', true)")
BACKEND = text("SELECT pg_backend_pid()")


async def _count(engine: AsyncEngine) -> int:
    async with transaction(engine, uuid4()) as session:
        return int(await session.scalar(COUNT_ASSETS) or 0)


async def test_it_commits_at_the_end(engine: AsyncEngine) -> None:
    async with transaction(engine, uuid4()) as session:
        await session.execute(ADD_ASSET)
    assert await _count(engine) == 1


async def test_an_error_undoes_everything(engine: AsyncEngine) -> None:
    async def fail() -> None:
        async with transaction(engine, uuid4()) as session:
            await session.execute(ADD_ASSET)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await _count(engine) == 0


async def test_a_cancelled_one_undoes_everything(engine: AsyncEngine) -> None:
    written = asyncio.Event()

    async def work() -> None:
        async with transaction(engine, uuid4()) as session:
            await session.execute(ADD_ASSET)
            written.set()
            await session.execute(text("SELECT pg_sleep(60)"))

    task = asyncio.create_task(work())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _count(engine) == 0


async def test_a_lost_connection_undoes_everything_and_the_next_one_works(
    engine: AsyncEngine,
) -> None:
    async def work() -> None:
        async with transaction(engine, uuid4()) as session:
            await session.execute(ADD_ASSET)
            pid = await session.scalar(BACKEND)
            async with transaction(engine, uuid4()) as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await session.execute(COUNT_ASSETS)

    with pytest.raises(UnavailableError):
        await work()
    assert await _count(engine) == 0


async def test_it_is_bound_to_its_user(engine: AsyncEngine) -> None:
    users = [uuid4(), uuid4()]
    for user in users:
        async with transaction(engine, user) as session:
            assert UUID(await session.scalar(BOUND)) == user


async def test_the_binding_ends_with_the_transaction_on_the_same_connection(
    location: Location,
) -> None:
    engine = create_engine(location.url)
    try:
        async with transaction(engine, uuid4()) as session:
            bound_on = await session.scalar(BACKEND)
        async with AsyncSession(engine) as unbound:
            assert await unbound.scalar(BACKEND) == bound_on
            assert not await unbound.scalar(BOUND)
            with pytest.raises(DBAPIError):
                await unbound.execute(text("SELECT * FROM users"))
    finally:
        await engine.dispose()


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_nothing_that_it_leaves_behind_is_there_for_the_next(
    location: Location, end: str
) -> None:
    engine = create_engine(location.url)
    async with transaction(engine, uuid4()) as session:
        bound_on = await session.scalar(BACKEND)
        for statement in (
            "CREATE TEMP TABLE kept AS SELECT 1 AS it",
            "DECLARE held CURSOR WITH HOLD FOR SELECT 1",
            "SET search_path = pg_temp",
            "SELECT set_config('app.user_id', gen_random_uuid()::text, false)",
        ):
            await session.execute(text(statement))
        await getattr(session, end)()
    async with engine.connect() as unbound:
        assert await unbound.scalar(BACKEND) == bound_on
        assert not await unbound.scalar(BOUND)
        assert await unbound.scalar(text("SHOW search_path")) == '"$user", public'
        assert await unbound.scalar(text("SHOW timezone")) == "UTC"
        assert await unbound.scalar(text("SELECT count(*) FROM pg_cursors WHERE is_holdable")) == 0
        assert await unbound.scalar(text("SELECT to_regclass('pg_temp.kept')")) is None
    await engine.dispose()


async def test_one_that_asks_nothing_leaves_no_binding_behind(location: Location) -> None:
    engine = create_engine(location.url)
    async with transaction(engine, uuid4()):
        pass
    async with engine.connect() as unbound:
        assert not await unbound.scalar(BOUND)
    await engine.dispose()


async def test_after_a_commit_of_its_own_it_is_bound_to_nobody(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        (await raw_connection(session)).bound_user = uuid4()
        await session.commit()
        await session.scalar(BOUND)
        await session.commit()
        assert not await session.scalar(BOUND)


async def test_the_driver_s_connection_is_in_the_transaction(engine: AsyncEngine) -> None:
    user = uuid4()

    async def fail() -> None:
        async with transaction(engine, user) as session:
            driver = await raw_connection(session)
            assert await driver.fetchval(BOUND.text) == str(user)
            await driver.execute(ADD_ASSET.text)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await _count(engine) == 0


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_the_binding_does_not_outlive_an_end_that_the_database_makes(
    engine: AsyncEngine, end: str
) -> None:
    async with transaction(engine, uuid4()) as session:
        driver = await raw_connection(session)
        await driver.execute(end)
        assert not await driver.fetchval("SELECT current_setting('app.user_id', true)")


async def test_sessions_act_as_the_application_in_utc(location: Location) -> None:
    for url in (location.url, location.admin_url):
        engine = create_engine(url)
        async with transaction(engine, uuid4()) as session:
            assert await session.scalar(text("SELECT current_user")) == "seawall_app"
            assert await session.scalar(text("SHOW timezone")) == "UTC"
        await engine.dispose()


async def test_the_server_tells_what_it_is(engine: AsyncEngine) -> None:
    facts = await server_facts(engine)
    async with engine.connect() as connection:
        has = await connection.scalar(
            text("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
        )
    assert int(facts.version.partition(".")[0]) >= 15
    assert facts.timescaledb == has
    assert facts.size_bytes > 1 << 20


async def test_json_goes_through_unharmed(session: AsyncSession) -> None:
    given = {"name": "Zürich ₿", "list": [1, 2.5, None, True], "deep": {"a": {}}}
    assert await session.scalar(select(literal(given, JSONB))) == given


def test_addresses_are_given_the_driver() -> None:
    for given in (
        "postgresql://me@host/db",
        "postgres://me@host/db",
        "postgresql+psycopg://me@host/db",
    ):
        assert parse_url(given).drivername == "postgresql+asyncpg"
        assert parse_url(given).database == "db"


async def test_what_is_only_added_is_bound_when_it_is_written(engine: AsyncEngine) -> None:
    user = uuid4()
    async with transaction(engine, user) as session:
        session.add(User(id=user, username="added"))
    async with transaction(engine, user) as session:
        assert await session.scalar(select(User.username)) == "added"


async def test_what_types_are_is_asked_once_in_a_process(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[int]] = []
    ask = Connection._introspect_types  # type: ignore[attr-defined]

    async def count(self: Connection, numbers: set[int], timeout: float | None) -> object:  # noqa: ASYNC109
        asked.append(set(numbers))
        return await ask(self, numbers, timeout)

    monkeypatch.setattr(Connection, "_introspect_types", count)
    monkeypatch.setattr(made_by, "_told", {})
    engine = create_engine(location.url, pooled=False)
    async with transaction(engine, uuid4()) as session:
        own = await raw_connection(session)
        await own.execute("CREATE TEMP TABLE of_my_own (numbers integer[])")
        assert await own.fetchval("SELECT $1::integer[]", [1, None]) == [1, None]
        assert await own.fetchval("SELECT it FROM (SELECT $1::integer[]) it", [2]) == ([2],)
        await own.fetch("SELECT it FROM of_my_own it")
    once = list(asked)
    async with transaction(engine, uuid4()) as session:
        own = await raw_connection(session)
        assert await own.fetchval("SELECT $1::integer[]", [3]) == [3]
        await own.execute("CREATE TEMP TABLE of_my_own (number integer, word text)")
        await own.execute("INSERT INTO of_my_own VALUES (1, 'a')")
        assert await own.fetchval("SELECT it FROM of_my_own it") == (1, "a")
    await engine.dispose()
    assert {1007} in once
    # Of PostgreSQL's own once, and of a table's rows on each connection.
    assert asked.count({1007}) == 1
    assert len(asked) == len(once) + 1
