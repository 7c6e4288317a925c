"""Short transactions are bound as all are, and leave their connection as they found it."""

import asyncio
from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from asyncpg import DataError, ReadOnlySQLTransactionError
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ConflictError, ForbiddenError, InvalidError
from seawall.db.engine import create_engine
from seawall.db.quick import Statement, reading, writing
from seawall.db.session import transaction
from seawall.identity.store import users
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.tables import Portfolio

NAMES = Statement(select(Portfolio.name).where(Portfolio.color == bindparam("color")))
OWN = "SELECT current_setting('app.user_id', true), count(*) FROM portfolios"


async def test_a_read_sees_its_user_s_rows_alone(engine: AsyncEngine) -> None:
    made = {}
    for name in ("first", "second"):
        user = uuid4()
        async with transaction(engine, user) as session:
            await users.add_user(session, id=user, username=name)
            made[user] = await create_portfolio(session, user, name)
    for user, portfolio in made.items():
        async with reading(engine, user) as connection:
            found = await NAMES.rows(connection, color=portfolio.color)
            assert [row["name"] for row in found] == [portfolio.name]
            one = await NAMES.row(connection, color=portfolio.color)
            assert one is not None
            assert one["name"] == portfolio.name
            assert await NAMES.row(connection, color="#none") is None
    async with reading(engine, uuid4()) as connection:
        assert await NAMES.rows(connection, color=portfolio.color) == []


async def test_a_read_alone_is_bound_for_itself(engine: AsyncEngine) -> None:
    one = create_engine(engine.url.render_as_string(hide_password=False), connections=1)
    owners = [uuid4() for _ in range(3)]
    for number, user in enumerate(owners):
        async with transaction(one, user) as session:
            await users.add_user(session, id=user, username=f"user-{number}")
            for name in "ba"[:number]:
                await create_portfolio(session, user, f"{name}{number}")
    asked = Statement(
        select(Portfolio.name, Portfolio.user_id)
        .where(Portfolio.color == bindparam("color"))
        .order_by(Portfolio.name)
    )
    # More often than a prepared statement is planned anew.
    for _ in range(8):
        for user, expected in zip(owners, ([], ["b1"], ["a2", "b2"]), strict=True):
            rows = await asked.alone(one, user, color="#3B82F6")
            assert [row["name"] for row in rows] == expected
            assert {row["user_id"] for row in rows} <= {user}
        assert await asked.alone(one, uuid4(), color="#3B82F6") == []
    async with one.connect() as plain:
        raw = (await plain.get_raw_connection()).driver_connection
        assert raw is not None
        assert not await raw.fetchval("SELECT current_setting('app.user_id', true)")
    with pytest.raises(DataError):
        await asked.alone(one, uuid4(), color=7)
    assert await asked.alone(one, owners[1], color="#3B82F6")
    await one.dispose()


async def test_a_read_writes_nothing(engine: AsyncEngine) -> None:
    user = uuid4()
    with pytest.raises(ReadOnlySQLTransactionError):
        async with reading(engine, user) as connection:
            await connection.execute("CREATE TEMP TABLE mine ()")


async def test_a_connection_comes_back_unbound_and_whole(engine: AsyncEngine) -> None:
    one = create_engine(engine.url.render_as_string(hide_password=False), connections=1)
    user, backends = uuid4(), set()
    for error in (None, InvalidError("wrong"), KeyError("a bug")):
        with suppress(InvalidError, KeyError):
            async with reading(one, user) as connection:
                backends.add(connection.get_server_pid())
                (own,) = await connection.fetch(OWN)
                assert own[0] == str(user)
                if error is not None:
                    raise error
        async with one.connect() as plain:
            raw = (await plain.get_raw_connection()).driver_connection
            assert raw is not None
            assert raw.get_server_pid() in backends
            assert not await raw.fetchval("SELECT current_setting('app.user_id', true)")
            assert not raw.is_in_transaction()
    assert len(backends) == 1
    await one.dispose()


async def test_one_that_is_cancelled_gives_its_connection_to_nobody(engine: AsyncEngine) -> None:
    one = create_engine(engine.url.render_as_string(hide_password=False), connections=1)
    pids = []

    async def wait() -> None:
        async with reading(one, uuid4()) as connection:
            pids.append(connection.get_server_pid())
            await connection.execute("SELECT pg_sleep(30)")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(), 0.2)
    async with reading(one, uuid4()) as connection:
        assert connection.get_server_pid() not in pids
        assert await connection.fetchval("SELECT 1") == 1
    await one.dispose()


async def test_the_server_s_refusals_are_seawall_s_errors(engine: AsyncEngine) -> None:
    with pytest.raises(ForbiddenError):
        async with reading(engine, uuid4()) as connection:
            await connection.fetch("SELECT * FROM pg_authid")


async def test_what_is_written_is_kept_or_undone(engine: AsyncEngine) -> None:
    user = uuid4()
    async with transaction(engine, user) as session:
        await users.add_user(session, id=user, username="writer")
    add = "INSERT INTO portfolios (user_id, name) VALUES ($1, $2)"
    async with writing(engine, user) as connection:
        await connection.execute(add, user, "kept")

    async def undo(owner: UUID, name: str, error: Exception | None = None) -> None:
        async with writing(engine, user) as connection:
            await connection.execute(add, user, "undone")
            await connection.execute(add, owner, name)
            if error is not None:
                raise error

    with pytest.raises(KeyError):
        await undo(user, "more", KeyError())
    with pytest.raises(ConflictError):
        await undo(user, "KEPT")
    with pytest.raises(ForbiddenError):
        await undo(uuid4(), "another's")
    async with reading(engine, user) as connection:
        found = await connection.fetch("SELECT name FROM portfolios")
    assert [row["name"] for row in found] == ["kept"]
