"""No user sees or touches what is another's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Table, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.db.base import Base
from seawall.db.database import Location
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.faults import translated
from seawall.db.series import PORTFOLIO_RISK_METRICS, ensure_chunks
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.market import catalog
from seawall.portfolios.tables import Portfolio, TransactionRow
from seawall.risk.tables import PortfolioRiskMetrics

ALICE, BOB = uuid4(), uuid4()
PORTFOLIO = uuid4()
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
FILLED = [
    Base.metadata.tables[name]
    for name in ("users", "portfolios", "transactions", "portfolio_risk_metrics")
]


def _transaction(user: UUID, portfolio: UUID, asset: int) -> dict[str, object]:
    return {
        "user_id": user,
        "portfolio_id": portfolio,
        "transaction_date": NOON,
        "transaction_type": "buy",
        "asset_id": asset,
        "quantity": 1,
        "recorded_at": NOON,
    }


def _report(user: UUID, portfolio: UUID) -> dict[str, object]:
    return {
        "user_id": user,
        "portfolio_id": portfolio,
        "time": NOON,
        "known_at": NOON,
        "window_days": 365,
        "confidence": 0.95,
        "benchmark": "BTC",
        "observations": 1,
        "correlation_matrix": {},
        "details": {},
    }


@pytest.fixture
async def asset(engine: AsyncEngine) -> int:
    """An asset that is everybody's, and everything that Alice has; Bob has only himself."""
    async with transaction(engine, ALICE) as session:
        found = (await catalog.ensure_asset(session, "BTC")).id
        await ensure_chunks(session, PORTFOLIO_RISK_METRICS, NOON, NOON)
        await session.execute(insert(User).values(id=ALICE, username="alice"))
        await session.execute(insert(Portfolio).values(id=PORTFOLIO, user_id=ALICE, name="main"))
        await session.execute(insert(TransactionRow).values(_transaction(ALICE, PORTFOLIO, found)))
        await session.execute(insert(PortfolioRiskMetrics).values(_report(ALICE, PORTFOLIO)))
    async with transaction(engine, BOB) as session:
        await session.execute(insert(User).values(id=BOB, username="bob"))
    return found


@pytest.fixture
async def bob(engine: AsyncEngine, asset: int) -> AsyncIterator[AsyncSession]:
    """A transaction as Bob, beside all that Alice has."""
    assert asset
    async with transaction(engine, BOB) as session:
        yield session


async def _refused(session: AsyncSession, statement: object) -> None:
    with pytest.raises(ForbiddenError, match="row-level security"), translated():
        async with session.begin_nested():
            await session.execute(statement)  # type: ignore[call-overload] # Any statement


@pytest.mark.parametrize("table", FILLED, ids=str)
async def test_without_a_user_every_table_of_users_is_closed(
    engine: AsyncEngine, asset: int, table: Table
) -> None:
    assert asset
    async with AsyncSession(engine) as unbound:
        with pytest.raises(DBAPIError, match=r"app\.user_id|invalid input syntax for type uuid"):
            await unbound.execute(select(table))


@pytest.mark.parametrize("bound", ["", "not-a-uuid", "%"])
async def test_a_binding_that_is_no_user_is_closed_too(engine: AsyncEngine, bound: str) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT set_config('app.user_id', :it, true)"), {"it": bound})
        with pytest.raises(DBAPIError, match="invalid input syntax for type uuid"):
            await session.execute(select(User))


@pytest.mark.parametrize("table", FILLED, ids=str)
async def test_alice_has_a_row_that_bob_does_not_see(
    engine: AsyncEngine, bob: AsyncSession, table: Table
) -> None:
    async with transaction(engine, ALICE) as alice:
        assert len((await alice.execute(select(table))).all()) == 1
    owner = table.c.id if table.name == "users" else table.c.user_id
    assert {row[0] for row in await bob.execute(select(owner))} <= {BOB}
    assert (await bob.execute(select(table).where(owner == ALICE))).all() == []


async def test_nothing_of_hers_can_be_added_in_her_name(bob: AsyncSession, asset: int) -> None:
    await _refused(bob, insert(User).values(id=uuid4(), username="eve"))
    await _refused(bob, insert(Portfolio).values(user_id=ALICE, name="gift"))
    await _refused(bob, insert(TransactionRow).values(_transaction(ALICE, PORTFOLIO, asset)))
    await _refused(bob, insert(PortfolioRiskMetrics).values(_report(ALICE, PORTFOLIO)))


async def test_nothing_of_his_can_be_hung_on_her_portfolio(bob: AsyncSession, asset: int) -> None:
    for statement in (
        insert(TransactionRow).values(_transaction(BOB, PORTFOLIO, asset)),
        insert(PortfolioRiskMetrics).values(_report(BOB, PORTFOLIO)),
    ):
        with pytest.raises(DBAPIError, match=r"violates foreign key constraint .*_portfolios"):
            async with bob.begin_nested():
                await bob.execute(statement)


async def test_nothing_of_hers_changes(engine: AsyncEngine, bob: AsyncSession) -> None:
    for statement in (
        update(User).where(User.id == ALICE).values(username="mallory"),
        update(Portfolio).where(Portfolio.id == PORTFOLIO).values(name="mine"),
        update(Portfolio).where(Portfolio.user_id == ALICE).values(user_id=BOB),
    ):
        found = await bob.execute(statement.returning(text("1")))
        assert found.all() == []
    await bob.execute(update(User).values(username="robert"))
    async with transaction(engine, ALICE) as alice:
        assert await alice.scalar(select(User.username)) == "alice"
        assert await alice.scalar(select(Portfolio.name)) == "main"


async def test_nothing_of_his_can_be_given_to_her(bob: AsyncSession) -> None:
    await bob.execute(insert(Portfolio).values(user_id=BOB, name="mine"))
    await _refused(bob, update(Portfolio).values(user_id=ALICE))
    await _refused(bob, update(User).values(id=ALICE))


async def test_her_id_cannot_be_taken_over_by_an_upsert(bob: AsyncSession) -> None:
    takeover = text(
        "INSERT INTO portfolios (id, user_id, name) VALUES (:id, :user, 'mine')"
        " ON CONFLICT (id) DO UPDATE SET name = 'mine'"
    ).bindparams(id=PORTFOLIO, user=BOB)
    await _refused(bob, takeover)


async def test_names_are_each_user_s_own_and_unique_without_case(bob: AsyncSession) -> None:
    await bob.execute(insert(Portfolio).values(user_id=BOB, name="main"))
    with pytest.raises(DBAPIError, match="uq_portfolios_living_name"):
        async with bob.begin_nested():
            await bob.execute(insert(Portfolio).values(user_id=BOB, name="MAIN"))
    await bob.execute(update(Portfolio).values(deleted_at=NOON))
    await bob.execute(insert(Portfolio).values(user_id=BOB, name="MAIN"))
    with pytest.raises(DBAPIError, match="uq_users_username"):
        async with bob.begin_nested():
            await bob.execute(update(User).values(username="ALICE"))


async def test_even_the_owner_of_the_tables_sees_no_rows_unbound(
    location: Location, asset: int
) -> None:
    assert asset
    owner = create_engine(location.admin_url, role=OWNER_ROLE, pooled=False)
    async with owner.connect() as connection:
        assert (await connection.execute(select(Portfolio.id))).all() == []
    await owner.dispose()
