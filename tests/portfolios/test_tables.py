"""What the tables of portfolios refuse, derive and keep, whoever writes to them."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.base import Base
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.series import PORTFOLIO_SNAPSHOTS, ensure_chunks
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market import catalog, store
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.tables import (
    ExchangeConnection,
    HoldingRow,
    LotRow,
    Portfolio,
    PortfolioSnapshot,
    TransactionRow,
)

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]
NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
READ_ONLY = {"read": True, "trade": False, "withdraw": False}
NAN = Decimal("NaN")
Row = dict[str, Any]
Table = type[Base]


@dataclass(frozen=True)
class Ground:
    """What a row of these tables stands on, and a good row of each."""

    session: AsyncSession
    portfolio: UUID
    asset: int
    exchange: int
    transaction: UUID

    def row(self, table: Table, **changes: object) -> Row:
        inside = {"portfolio_id": self.portfolio}
        of_asset = inside | {"asset_id": self.asset}
        good: dict[Table, Row] = {
            Portfolio: {"name": f"other {uuid4()}"},
            ExchangeConnection: inside
            | {"exchange_id": self.exchange, "name": "Main", "api_key_last_four": "a1b2"}
            | {"api_key_encrypted": b"SWS sealed", "permissions": READ_ONLY},
            TransactionRow: of_asset
            | {"transaction_date": NOON, "transaction_type": "buy", "quantity": 2}
            | {"price_usd": 3, "recorded_at": NOON},
            LotRow: of_asset
            | {"opening_transaction_id": self.transaction, "position": 1, "acquired_at": NOON}
            | {"quantity": 2, "original_quantity": 4, "cost_basis_usd": 10},
            HoldingRow: of_asset | {"quantity": 2, "total_invested_usd": 80, "current_price": 50},
            PortfolioSnapshot: inside
            | {"time": NOON, "known_at": NOON, "total_value_usd": 110, "total_invested_usd": 100}
            | {"cash_usd": 10, "holdings_count": 2},
        }
        return good[table] | changes

    async def add(self, table: Table, **changes: object) -> Any:
        made = insert(table).values(self.row(table, **changes)).returning(table)
        return (await self.session.scalars(made)).one()


async def _ground(session: AsyncSession) -> Ground:
    coin = await catalog.ensure_asset(session, "BTC")
    dollar = await catalog.ensure_asset(session, "USD")
    await store.get_or_create_symbol(session, "kraken", coin, dollar)
    exchange = await session.scalar(text("SELECT id FROM exchanges"))
    portfolio = await create_portfolio(session, OWNER_ID, "Main")
    await ensure_chunks(session, PORTFOLIO_SNAPSHOTS, NOON, NOON)
    bare = Ground(session, portfolio.id, coin.id, int(exchange or 0), uuid4())
    recorded = await bare.add(TransactionRow, id=bare.transaction)
    assert recorded.user_id == OWNER_ID
    return bare


@pytest.fixture(scope="module")
def ground_of_all(fill_module: FillModule) -> Ground:
    """A portfolio with one transaction of one asset, on which every test of the module stands."""
    made: list[Ground] = []

    async def fill(session: AsyncSession) -> None:
        made.append(await _ground(session))

    fill_module(fill)
    return made[0]


@pytest.fixture
async def ground(ground_of_all: Ground, undone_session: AsyncSession) -> Ground:
    """The portfolio, for what is done to it for the time of a test."""
    return replace(ground_of_all, session=undone_session)


@pytest.fixture
async def lasting(session: AsyncSession) -> Ground:
    """The same in a database of the test's own, for what is committed."""
    return await _ground(session)


TABLES = (Portfolio, ExchangeConnection, TransactionRow, LotRow, HoldingRow, PortfolioSnapshot)


@pytest.mark.parametrize("table", TABLES)
async def test_a_good_row_is_taken_as_the_bound_user_s(ground: Ground, table: Table) -> None:
    assert (await ground.add(table)).user_id == OWNER_ID


@pytest.mark.parametrize(
    ("table", "changes", "constraint"),
    [
        (Portfolio, {"name": ""}, "ck_portfolios_name_length"),
        (Portfolio, {"color": "blue"}, "ck_portfolios_color"),
        (Portfolio, {"color": "#12345"}, "ck_portfolios_color"),
        (Portfolio, {"color": "#1234567"}, "ck_portfolios_color"),
        (Portfolio, {"lot_method": "best"}, "ck_portfolios_lot_method"),
        (Portfolio, {"total_value_usd": -1}, "ck_portfolios_total_value"),
        (Portfolio, {"total_value_usd": NAN}, "ck_portfolios_total_value"),
        (Portfolio, {"total_invested_usd": NAN}, "ck_portfolios_total_invested"),
        (Portfolio, {"risk_score": 100.5}, "ck_portfolios_risk_score"),
        (Portfolio, {"risk_score": float("nan")}, "ck_portfolios_risk_score"),
        (Portfolio, {"volatility": -0.1}, "ck_portfolios_volatility"),
        (Portfolio, {"volatility": float("inf")}, "ck_portfolios_volatility"),
        (Portfolio, {"sharpe_ratio": float("nan")}, "ck_portfolios_sharpe_ratio"),
        (Portfolio, {"sharpe_ratio": float("-inf")}, "ck_portfolios_sharpe_ratio"),
        (Portfolio, {"max_drawdown": 1.01}, "ck_portfolios_max_drawdown"),
        (Portfolio, {"is_primary": True}, "idx_portfolios_is_primary"),
        (Portfolio, {"name": "MAIN"}, "uq_portfolios_living_name"),
        (ExchangeConnection, {"name": ""}, "ck_exchange_connections_name"),
        (ExchangeConnection, {"api_key_last_four": "abc"}, "ck_exchange_connections_last_four"),
        (ExchangeConnection, {"api_secret_encrypted": b"clear"}, "ck_exchange_connections_sealed"),
        (ExchangeConnection, {"status": "lost"}, "ck_exchange_connections_status"),
        (
            ExchangeConnection,
            {"last_sync_status": "maybe"},
            "ck_exchange_connections_last_sync_status",
        ),
        (TransactionRow, {"quantity": 0}, "ck_transactions_quantity"),
        (TransactionRow, {"price": 1}, "ck_transactions_price_currency"),
        (TransactionRow, {"price_currency_id": 1}, "ck_transactions_price_currency"),
        (TransactionRow, {"price": -1, "price_currency_id": 1}, "ck_transactions_paid"),
        (TransactionRow, {"fee_quantity": 1}, "ck_transactions_fee_asset"),
        (TransactionRow, {"fee_asset_id": 1}, "ck_transactions_fee_asset"),
        (TransactionRow, {"fee_quantity": 0, "fee_asset_id": 1}, "ck_transactions_fee_quantity"),
        (LotRow, {"quantity": 0}, "division by zero"),
        (LotRow, {"quantity": -1}, "ck_lots_quantity"),
        (LotRow, {"quantity": 5}, "ck_lots_quantity"),
        (LotRow, {"original_quantity": NAN}, "ck_lots_original_quantity"),
        (LotRow, {"cost_basis_usd": -1}, "ck_lots_cost_basis"),
        (LotRow, {"position": 0}, "ck_lots_position"),
        (HoldingRow, {"quantity": -1}, "ck_holdings_quantity"),
        (HoldingRow, {"quantity": NAN}, "ck_holdings_quantity"),
        (HoldingRow, {"staked": 3}, "ck_holdings_staked"),
        (HoldingRow, {"average_buy_price": -1}, "ck_holdings_average_buy_price"),
        (HoldingRow, {"total_invested_usd": -1}, "ck_holdings_total_invested"),
        (HoldingRow, {"current_price": -1}, "ck_holdings_current_price"),
        (HoldingRow, {"price_change_24h": -101.0}, "ck_holdings_price_change_24h"),
        (HoldingRow, {"price_change_7d": float("nan")}, "ck_holdings_price_change_7d"),
        (HoldingRow, {"exchange_source": "Binance"}, "ck_holdings_exchange_source"),
        (HoldingRow, {"wallet_address": ""}, "ck_holdings_wallet_address"),
        (
            PortfolioSnapshot,
            {"known_at": NOON - timedelta(seconds=1)},
            "ck_portfolio_snapshots_known_after",
        ),
        (PortfolioSnapshot, {"total_value_usd": NAN}, "ck_portfolio_snapshots_total_value"),
        (PortfolioSnapshot, {"cash_usd": 111}, "ck_portfolio_snapshots_cash"),
        (PortfolioSnapshot, {"holdings_count": -1}, "ck_portfolio_snapshots_holdings_count"),
    ],
)
async def test_a_bad_row_is_refused(
    ground: Ground, table: Table, changes: Row, constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=constraint):
        async with ground.session.begin_nested():
            await ground.add(table, **changes)


@pytest.mark.parametrize("table", [LotRow, HoldingRow, PortfolioSnapshot])
async def test_there_is_one_row_in_a_place(ground: Ground, table: Table) -> None:
    await ground.add(table)
    said = "uq_lots_|uq_holdings_place|portfolio_snapshots_.*_pkey"
    with pytest.raises(DBAPIError, match=f"duplicate key .*({said})"):
        async with ground.session.begin_nested():
            await ground.add(table)


@pytest.mark.parametrize(
    "permissions",
    [
        {},
        {"read": True, "trade": False},
        {**READ_ONLY, "margin": True},
        {**READ_ONLY, "trade": "yes"},
        {**READ_ONLY, "withdraw": None},
        ["read"],
    ],
    ids=str,
)
async def test_permissions_are_three_answers(ground: Ground, permissions: object) -> None:
    with pytest.raises(DBAPIError, match="ck_exchange_connections_permissions"):
        async with ground.session.begin_nested():
            await ground.add(ExchangeConnection, permissions=permissions)


async def test_a_key_that_may_withdraw_is_refused(ground: Ground) -> None:
    with pytest.raises(DBAPIError, match="ck_exchange_connections_no_withdrawal"):
        async with ground.session.begin_nested():
            await ground.add(ExchangeConnection, permissions={**READ_ONLY, "withdraw": True})
    added = await ground.add(ExchangeConnection, permissions={**READ_ONLY, "trade": True})
    assert added.permissions["trade"] is True


async def test_a_deleted_row_gives_its_place_free(ground: Ground) -> None:
    session = ground.session
    key = ground.row(ExchangeConnection)
    await session.execute(insert(ExchangeConnection).values(key))
    with pytest.raises(DBAPIError, match="uq_exchange_connections_living_key"):
        async with session.begin_nested():
            await session.execute(insert(ExchangeConnection).values(key))
    await session.execute(update(ExchangeConnection).values(deleted_at=NOON))
    await session.execute(insert(ExchangeConnection).values(key))

    await session.execute(update(Portfolio).values(deleted_at=NOON))
    await ground.add(Portfolio, name="Main", is_primary=True)


async def test_the_first_portfolio_is_the_primary_one(ground: Ground) -> None:
    second = await create_portfolio(ground.session, OWNER_ID, "Second")
    primary = await ground.session.scalars(select(Portfolio.id).where(Portfolio.is_primary))
    assert list(primary) == [ground.portfolio]
    assert not second.is_primary


async def test_a_transaction_of_a_connection_is_taken_once(ground: Ground) -> None:
    one = await ground.add(ExchangeConnection)
    other = await ground.add(ExchangeConnection, api_key_last_four="zzzz")
    synced = {"exchange_connection_id": one.id, "exchange_transaction_id": "T-1"}
    await ground.add(TransactionRow, **synced)
    await ground.add(TransactionRow, **synced | {"exchange_connection_id": other.id})
    with pytest.raises(DBAPIError, match="uq_transactions_exchange_transaction_id"):
        async with ground.session.begin_nested():
            await ground.add(TransactionRow, **synced)


async def test_what_follows_from_columns_is_computed(ground: Ground) -> None:
    held = await ground.add(HoldingRow)
    assert (held.current_value_usd, held.profit_loss_usd) == (100, 20)
    assert held.profit_loss_percentage == 25
    bare = await ground.add(HoldingRow, wallet_address="0xabc", current_price=None)
    assert (bare.current_value_usd, bare.profit_loss_usd) == (None, None)
    free = await ground.add(HoldingRow, exchange_source="kraken", total_invested_usd=0)
    assert (free.profit_loss_usd, free.profit_loss_percentage) == (100, None)

    assert (await ground.add(LotRow)).cost_per_unit_usd == 5
    assert (await ground.add(TransactionRow)).total_usd == 6
    assert (await ground.add(TransactionRow, price_usd=None)).total_usd is None
    smallest, third = Decimal("0.000000000000000001"), Decimal("0.4")
    rounded = await ground.add(TransactionRow, quantity=smallest, price_usd=third)
    assert rounded.total_usd == 0

    taken = await ground.add(PortfolioSnapshot)
    assert (taken.total_profit_loss_usd, taken.total_profit_loss_percentage) == (10, 10)
    known = await ground.add(Portfolio, total_value_usd=90, total_invested_usd=120)
    assert (known.total_profit_loss_usd, known.total_profit_loss_percentage) == (-30, -25)


async def test_nobody_writes_what_is_computed(ground: Ground) -> None:
    with pytest.raises(DBAPIError, match="cannot insert a non-DEFAULT value"):
        async with ground.session.begin_nested():
            await ground.add(HoldingRow, current_value_usd=1_000_000)


async def test_a_queue_moves_up_in_one_statement(ground: Ground) -> None:
    for position in (1, 2, 3):
        opened = await ground.add(TransactionRow)
        await ground.add(LotRow, opening_transaction_id=opened.id, position=position)
    await ground.session.execute(delete(LotRow).where(LotRow.position == 1))
    await ground.session.execute(update(LotRow).values(position=LotRow.position - 1))
    with pytest.raises(DBAPIError, match="uq_lots_position"):
        async with ground.session.begin_nested():
            await ground.session.execute(update(LotRow).values(position=1))


@pytest.mark.parametrize("table", [Portfolio, ExchangeConnection])
async def test_updated_at_is_the_time_of_the_last_change(
    engine: AsyncEngine, table: type[Portfolio] | type[ExchangeConnection]
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        portfolio = await create_portfolio(session, OWNER_ID, "Main")
        await session.execute(text("INSERT INTO exchanges (code) VALUES ('kraken')"))
        exchange = await session.scalar(text("SELECT id FROM exchanges WHERE code = 'kraken'"))
        ground = Ground(session, portfolio.id, 0, int(exchange or 0), uuid4())
        await ground.add(ExchangeConnection)
        before = (await session.scalars(select(table.updated_at))).one()
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(update(table).values(name="renamed", updated_at=NOON))
        assert (await session.scalars(select(table.updated_at))).one() > before


async def test_what_is_gone_leaves_what_was_recorded(lasting: Ground, location: Location) -> None:
    ground = lasting
    connection = await ground.add(ExchangeConnection)
    synced = await ground.add(TransactionRow, exchange_connection_id=connection.id)
    other = await ground.add(Portfolio)
    elsewhere = await ground.add(
        ExchangeConnection, portfolio_id=other.id, api_key_last_four="zzzz"
    )
    await ground.session.commit()

    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with admin.begin() as owner:
        gone = delete(ExchangeConnection).where(ExchangeConnection.id == connection.id)
        await owner.execute(gone)
        await owner.execute(delete(Portfolio).where(Portfolio.id == other.id))
        kept = select(TransactionRow.user_id, TransactionRow.exchange_connection_id)
        assert (await owner.execute(kept.where(TransactionRow.id == synced.id))).one() == (
            OWNER_ID,
            None,
        )
        free = select(ExchangeConnection.user_id, ExchangeConnection.portfolio_id)
        found = (await owner.execute(free.where(ExchangeConnection.id == elsewhere.id))).one()
        assert tuple(found) == (OWNER_ID, None)
        await owner.execute(delete(Portfolio))
        for table in (TransactionRow, LotRow, HoldingRow, PortfolioSnapshot):
            assert await owner.scalar(select(func.count()).select_from(table)) == 0
    await admin.dispose()


async def test_nothing_hangs_on_another_s(lasting: Ground, engine: AsyncEngine) -> None:
    ground = lasting
    connection = await ground.add(ExchangeConnection)
    await ground.session.commit()
    async with transaction(engine, UUID(int=7)) as session:
        await session.execute(
            text("INSERT INTO users (id, username) VALUES (current_user_id(), 'bob')")
        )
        mine = await create_portfolio(session, UUID(int=7), "Mine")
        bob = Ground(session, ground.portfolio, ground.asset, ground.exchange, ground.transaction)
        attempts: list[tuple[Table, Row]] = [
            *((table, {}) for table in TABLES if table is not Portfolio),
            (TransactionRow, {"portfolio_id": mine.id, "exchange_connection_id": connection.id}),
            (LotRow, {"portfolio_id": mine.id}),
        ]
        for table, changes in attempts:
            with pytest.raises(DBAPIError, match=r"violates foreign key constraint .fk_"):
                async with session.begin_nested():
                    await bob.add(table, **changes)
        for table in TABLES:
            assert await session.scalar(select(func.count()).select_from(table)) == (
                table is Portfolio
            )


async def test_choices_are_logged_and_figures_are_not(ground: Ground) -> None:
    session = ground.session
    logged = text("SELECT count(*) FROM audit_logs WHERE table_name = 'portfolios'")
    before = await session.scalar(logged)
    await session.execute(update(Portfolio).values(total_value_usd=5, volatility=1, valued_at=NOON))
    assert await session.scalar(logged) == before
    await session.execute(update(Portfolio).values(is_public=True))
    assert await session.scalar(logged) == (before or 0) + 1


async def test_the_log_of_connections_has_no_keys(ground: Ground) -> None:
    session = ground.session
    await ground.add(ExchangeConnection, api_key_encrypted=b"SWS\xca\xfe\xba\xbe")
    await session.execute(update(ExchangeConnection).values(api_secret_encrypted=b"SWS\xde\xad"))
    await session.execute(update(ExchangeConnection).values(last_sync_status="success"))
    rows = await session.scalars(
        text(
            "SELECT concat(old_data, new_data) FROM audit_logs"
            " WHERE table_name = 'exchange_connections'"
        )
    )
    logged = list(rows)
    assert len(logged) == 2
    assert not any("cafebabe" in each or "dead" in each for each in logged)
