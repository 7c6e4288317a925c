"""No user sees or touches what is another's, in any table."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Table, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, ForbiddenError
from seawall.db.base import Base
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE, WORKER_ROLE, create_engine
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.identity.store import users as store
from seawall.identity.tables import User
from seawall.portfolios.tables import (
    HoldingRow,
    LotRow,
    Portfolio,
    PortfolioSnapshot,
    TransactionRow,
)

FillTenant = Callable[..., Awaitable[None]]
ALICE, BOB = uuid4(), uuid4()
TENANTS = [table for table in Base.metadata.sorted_tables if table.info.get("tenant")]
each_table = pytest.mark.parametrize("table", TENANTS, ids=str)


def _user_of(table: Table) -> Any:
    return table.c.id if table.name == "users" else table.c.user_id


async def _fill(location: Location, fill_tenant: FillTenant) -> None:
    engine = create_engine(location.url)
    await fill_tenant(engine, ALICE, "alice", is_public=True)
    await fill_tenant(engine, BOB, "bob-2", is_public=True)
    await engine.dispose()


@pytest.fixture(scope="module")
def filled(module_location: Location, fill_tenant: FillTenant) -> Location:
    """A database in which Alice and Bob have a row in every table, and no test changes one."""
    asyncio.run(_fill(module_location, fill_tenant))
    return module_location


@pytest.fixture
def location(filled: Location) -> Location:
    """Where all engines of this module lead."""
    return filled


async def _undone(engine: AsyncEngine, user: UUID) -> AsyncIterator[AsyncSession]:
    async with transaction(engine, user) as session:
        yield session
        await session.rollback()


@pytest.fixture
async def bob(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """A transaction as Bob, undone at the end."""
    async for session in _undone(engine, BOB):
        yield session


@pytest.fixture
async def alice(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One as Alice beside it, undone too."""
    async for session in _undone(engine, ALICE):
        yield session


@pytest.fixture
async def unbound(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One that is bound to nobody."""
    async with AsyncSession(engine) as session:
        yield session


@pytest.fixture
async def worker(location: Location) -> AsyncIterator[AsyncSession]:
    """One of a worker, that is bound to nobody either."""
    async with open_admin(location, WORKER_ROLE) as engine, AsyncSession(engine) as session:
        yield session


@pytest.fixture
async def portfolio(alice: AsyncSession) -> UUID:
    """The id of Alice's portfolio; it is public, so everybody may know it."""
    return (await alice.scalars(select(Portfolio.id))).one()


async def _closed(session: AsyncSession, table: Table) -> None:
    with pytest.raises(DBAPIError, match=r"app\.user_id|invalid input syntax for type uuid"):
        async with session.begin_nested():
            await session.execute(select(table))


async def _refused(session: AsyncSession, statement: object) -> None:
    with pytest.raises(ForbiddenError, match="row-level security"), translated():
        async with session.begin_nested():
            await session.execute(statement)  # type: ignore[call-overload] # Any statement


@each_table
async def test_without_a_user_every_table_of_users_is_closed(
    unbound: AsyncSession, worker: AsyncSession, table: Table
) -> None:
    await _closed(unbound, table)
    await _closed(worker, table)


@pytest.mark.parametrize("bound", ["", "not-a-uuid", "%"])
async def test_a_binding_that_is_no_user_is_closed_too(unbound: AsyncSession, bound: str) -> None:
    await unbound.execute(text("SELECT set_config('app.user_id', :it, true)"), {"it": bound})
    with pytest.raises(DBAPIError, match="invalid input syntax for type uuid"):
        await unbound.execute(select(User))


@each_table
async def test_alice_has_a_row_that_bob_does_not_see(
    alice: AsyncSession, bob: AsyncSession, table: Table
) -> None:
    owner = _user_of(table)
    assert set(await alice.scalars(select(owner))) == {ALICE}
    assert set(await bob.scalars(select(owner))) == {BOB}
    assert (await bob.execute(select(table).where(owner == ALICE))).all() == []


@each_table
async def test_a_worker_sees_the_rows_of_one_user_at_a_time(
    worker: AsyncSession, table: Table
) -> None:
    for user in (ALICE, BOB):
        bind = text("SELECT set_config('app.user_id', :id, true)")
        await worker.execute(bind, {"id": str(user)})
        assert set(await worker.scalars(select(_user_of(table)))) == {user}
        await worker.commit()
        await _closed(worker, table)


async def test_a_worker_knows_whom_it_may_work_for(worker: AsyncSession) -> None:
    assert set(await store.list_users(worker)) == {ALICE, BOB}


async def test_nothing_of_hers_can_be_added_in_her_name(bob: AsyncSession) -> None:
    await _refused(bob, insert(User).values(id=uuid4(), username="eve"))
    await _refused(bob, insert(Portfolio).values(user_id=ALICE, name="gift"))


async def test_nothing_of_hers_changes(bob: AsyncSession, portfolio: UUID) -> None:
    for statement in (
        update(User).where(User.id == ALICE).values(username="mallory"),
        update(Portfolio).where(Portfolio.id == portfolio).values(name="mine"),
        update(Portfolio).where(Portfolio.user_id == ALICE).values(user_id=BOB),
    ):
        found = await bob.execute(statement.returning(text("1")))
        assert found.all() == []


async def test_what_bob_changes_without_saying_whose_is_his(
    alice: AsyncSession, bob: AsyncSession
) -> None:
    await bob.execute(update(User).values(username="robert"))
    await bob.execute(update(Portfolio).values(name="mine"))
    assert list(await bob.scalars(select(User.username))) == ["robert"]
    assert list(await alice.scalars(select(User.username))) == ["alice"]
    assert list(await alice.scalars(select(Portfolio.name))) == ["alice"]


async def test_nothing_of_his_can_be_given_to_her(bob: AsyncSession) -> None:
    await _refused(bob, update(Portfolio).values(user_id=ALICE))
    await _refused(bob, update(User).values(id=ALICE))


async def test_her_id_cannot_be_taken_over_by_an_upsert(bob: AsyncSession, portfolio: UUID) -> None:
    takeover = text(
        "INSERT INTO portfolios (id, name) VALUES (:id, 'mine')"
        " ON CONFLICT (id) DO UPDATE SET name = 'mine'"
    )
    await _refused(bob, takeover.bindparams(id=portfolio))


@pytest.mark.parametrize("mapped", [HoldingRow, TransactionRow, LotRow, PortfolioSnapshot])
async def test_what_is_in_a_public_portfolio_cannot_be_found_by_trying(
    alice: AsyncSession, bob: AsyncSession, portfolio: UUID, mapped: type[Base]
) -> None:
    """Whether she has such a row or not, his is refused because the portfolio is not his."""
    table = mapped.__table__
    assert isinstance(table, Table)
    hers = (await alice.execute(select(table))).mappings().one()
    tried = {
        column.name: hers[column.name]
        for column in table.columns
        if not column.computed and not column.identity and column.name not in {"id", "user_id"}
    }
    # The ids of what is not public nobody can know, or guess.
    unknown = ("opening_transaction_id", "exchange_connection_id")
    tried |= {name: uuid4() for name in unknown if name in tried}
    assert tried["portfolio_id"] == portfolio
    with pytest.raises(DBAPIError, match="violates foreign key constraint"):
        async with bob.begin_nested():
            await bob.execute(insert(table).values(tried))


@pytest.mark.parametrize("taken", [{"username": "ALICE"}, {"email": "Alice@example.com"}])
async def test_a_name_or_an_email_tells_that_it_is_taken_and_no_more(
    bob: AsyncSession, taken: dict[str, str]
) -> None:
    with pytest.raises(ConflictError) as error, translated():
        async with bob.begin_nested():
            await bob.execute(update(User).values(taken))
    assert "alice" not in str(error.value).lower()
    assert str(ALICE) not in str(error.value)


async def test_names_of_portfolios_are_each_user_s_own(bob: AsyncSession) -> None:
    await bob.execute(insert(Portfolio).values(name="Alice"))
    with pytest.raises(DBAPIError, match="uq_portfolios_living_name"):
        async with bob.begin_nested():
            await bob.execute(insert(Portfolio).values(name="ALICE"))
    await bob.execute(update(Portfolio).values(deleted_at=func.now()))
    await bob.execute(insert(Portfolio).values(name="ALICE"))


@each_table
async def test_the_owner_of_the_tables_sees_what_is_opened_to_it_alone(
    location: Location, table: Table
) -> None:
    # What is open to a worker's doors is not open to the owner itself.
    async with open_admin(location, OWNER_ROLE) as owner, owner.connect() as connection:
        opened = await connection.scalar(
            text(
                "SELECT count(*) FROM pg_policies WHERE tablename = :it AND cmd = 'SELECT'"
                " AND policyname <> 'door_select'"
            ),
            {"it": table.name},
        )
        users = await connection.scalars(select(_user_of(table)))
        assert set(users) - {None} == ({ALICE, BOB} if opened else set())
