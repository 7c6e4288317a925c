"""Positions know their profit, and the portfolio of open ones is what they add up to."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.trading.tables import Position, TradingAccount

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
CLOSED = {"status": "closed", "exit_price": 105, "closed_at": NOON + timedelta(hours=1)}
NAN = Decimal("NaN")
Add = Callable[..., Awaitable[UUID]]


@pytest.fixture
def add(session: AsyncSession, account: UUID, pair: int) -> Add:
    """Return what adds a position, a good one but for what is said."""

    async def add_position(**said: Any) -> UUID:
        values = {
            "account_id": account,
            "symbol_id": pair,
            "side": "long",
            "quantity": 2,
            "entry_price": 100,
            "current_price": 110,
            "opened_at": NOON,
        } | said
        return (await session.scalars(insert(Position).values(values).returning(Position.id))).one()

    return add_position


async def _pnl(session: AsyncSession, position: UUID) -> Decimal | None:
    return await session.scalar(select(Position.unrealized_pnl).where(Position.id == position))


@pytest.mark.parametrize(("side", "pnl"), [("long", 20), ("short", -20)])
async def test_a_new_position_knows_its_profit(
    session: AsyncSession, add: Add, side: str, pnl: int
) -> None:
    position = await add(side=side, unrealized_pnl=12345)
    assert await _pnl(session, position) == pnl


@pytest.mark.parametrize(
    ("said", "pnl"),
    [
        ({"current_price": 90}, -20),
        ({"entry_price": 105}, 10),
        ({"quantity": 3}, 30),
        ({"side": "short"}, -20),
        ({"side": "short", "current_price": 90, "quantity": 1}, 10),
        ({"unrealized_pnl": 12345}, 20),
        ({"status": "partial", "quantity": 1, "exit_price": 108}, 10),
        (CLOSED, 0),
    ],
)
async def test_the_profit_follows_whatever_changes(
    session: AsyncSession, add: Add, said: dict[str, Any], pnl: int
) -> None:
    position = await add()
    await session.execute(update(Position).values(**said))
    assert await _pnl(session, position) == pnl


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"side": "LONG"}, "side"),
        ({"status": "OPEN"}, "status"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"entry_price": 0}, "prices"),
        ({"current_price": 0}, "prices"),
        ({"stop_loss": 0}, "prices"),
        ({"take_profit": -1}, "prices"),
        (CLOSED | {"exit_price": 0}, "prices"),
        ({"quantity": NAN}, "not_nan"),
        ({"current_price": NAN}, "not_nan"),
        ({"fees": NAN}, "not_nan"),
        ({"pnl_percentage": float("nan")}, "pnl_percentage"),
        ({"pnl_percentage": float("-inf")}, "pnl_percentage"),
        ({"closed_at": NOON}, "closed"),
        ({"status": "partial", "closed_at": NOON}, "closed"),
        (CLOSED | {"closed_at": None}, "closed"),
        (CLOSED | {"closed_at": NOON - timedelta(seconds=1)}, "closed"),
        ({"exit_price": 105}, "exit_price"),
        (CLOSED | {"exit_price": None}, "exit_price"),
    ],
)
async def test_a_position_that_makes_no_sense_is_refused(
    add: Add, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"ck_positions_{constraint}"'):
        await add(**said)


async def test_a_stop_may_stand_on_either_side_of_the_entry(add: Add) -> None:
    await add(stop_loss=108, take_profit=95)


async def test_one_position_is_open_per_account_pair_and_side(
    session: AsyncSession, add: Add, live_account: UUID, other_pair: int
) -> None:
    await add(**CLOSED)
    await add(**CLOSED)
    await add(status="partial")
    await add(side="short")
    await add(account_id=live_account)
    await add(symbol_id=other_pair)
    for said in ({}, {"status": "partial"}):
        with pytest.raises(ConflictError), translated():
            async with session.begin_nested():
                await add(**said)


PORTFOLIO = text(
    "SELECT mode, symbol, net_position, total_pnl, avg_entry_price FROM active_portfolio"
    " ORDER BY mode, symbol"
)


async def test_the_portfolio_nets_what_is_open(
    session: AsyncSession, add: Add, live_account: UUID, other_pair: int
) -> None:
    await add(quantity=3, entry_price=100)
    await add(quantity=1, entry_price=120, side="short", status="partial")
    await add(symbol_id=other_pair, **CLOSED)
    await add(account_id=live_account, quantity=7)
    await add(account_id=live_account, symbol_id=other_pair, side="short")
    assert [tuple(row) for row in await session.execute(PORTFOLIO)] == [
        ("live", "BTC/USDT", 7, 70, 100),
        ("live", "ETH/USDT", -2, -20, 100),
        ("paper", "BTC/USDT", 2, 40, 105),
    ]


async def test_the_portfolio_is_each_user_s_own(
    engine: AsyncEngine, session: AsyncSession, add: Add
) -> None:
    await add()
    await session.commit()
    async with transaction(engine, uuid4()) as other:
        assert (await other.execute(PORTFOLIO)).all() == []


async def test_nothing_hangs_on_another_s_account(
    engine: AsyncEngine, session: AsyncSession, account: UUID, pair: int
) -> None:
    await session.commit()
    position = insert(Position).values(
        account_id=account,
        symbol_id=pair,
        side="long",
        quantity=1,
        entry_price=1,
        current_price=1,
    )
    async with transaction(engine, uuid4()) as other:
        with pytest.raises(DBAPIError, match="fk_positions_trading_accounts"):
            await other.execute(position)
        await other.rollback()


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"name": ""}, "name_length"),
        ({"mode": "demo"}, "mode"),
        ({"initial_balance": -1}, "initial_balance"),
        ({"initial_balance": NAN}, "not_nan"),
        ({"balance": NAN}, "not_nan"),
    ],
)
async def test_an_account_that_makes_no_sense_is_refused(
    session: AsyncSession, usdt: int, said: dict[str, Any], constraint: str
) -> None:
    values = {"name": "A", "currency_asset_id": usdt, "initial_balance": 0} | said
    with pytest.raises(DBAPIError, match=f'"ck_trading_accounts_{constraint}"'):
        async with session.begin_nested():
            await session.execute(insert(TradingAccount).values(values))


async def test_the_name_of_an_account_is_free_again_once_it_is_gone(
    session: AsyncSession, account: UUID, usdt: int
) -> None:
    again = insert(TradingAccount).values(name="PAPER", currency_asset_id=usdt, initial_balance=0)
    with pytest.raises(ConflictError), translated():
        async with session.begin_nested():
            await session.execute(again)
    gone = update(TradingAccount).where(TradingAccount.id == account)
    await session.execute(gone.values(deleted_at=NOON))
    await session.execute(again)
