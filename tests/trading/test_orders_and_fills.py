"""Orders go their way through the states, and fills stay as they were reported."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, ForbiddenError
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.strategies.tables import Strategy
from seawall.trading.tables import Fill, Order

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
Add = Callable[..., Awaitable[UUID]]


@pytest.fixture
def add(session: AsyncSession, account: UUID, pair: int) -> Add:
    """Return what adds an order to the account, a good one but for what is said."""

    async def add_order(**said: Any) -> UUID:
        values = {
            "account_id": account,
            "symbol_id": pair,
            "client_order_id": "mine-1",
            "side": "buy",
            "type": "limit",
            "price": 100,
            "quantity": 2,
        } | said
        return (await session.scalars(insert(Order).values(values).returning(Order.id))).one()

    return add_order


async def _change(session: AsyncSession, order: UUID, **said: Any) -> None:
    async with session.begin_nested():
        await session.execute(update(Order).where(Order.id == order).values(**said))


FILLED: dict[str, dict[str, Any]] = {
    "pending": {},
    "submitted": {},
    "open": {},
    "partially_filled": {"filled_quantity": 1, "average_price": 99},
    "filled": {"filled_quantity": 2, "average_price": 99},
    "canceled": {"filled_quantity": 1, "average_price": 99},
    "rejected": {},
    "expired": {"filled_quantity": 1, "average_price": 99},
    "unknown": {"filled_quantity": 1, "average_price": 99},
}
"""What an order that is so far may have filled."""

WAYS = {
    "pending": {"submitted", "canceled", "rejected", "expired"},
    "submitted": set(FILLED) - {"pending", "submitted"},
    "open": {"partially_filled", "filled", "canceled", "expired", "unknown"},
    "partially_filled": {"filled", "canceled", "expired", "unknown"},
    "unknown": set(FILLED) - {"pending", "submitted", "unknown"},
}


@pytest.mark.parametrize("before", FILLED)
async def test_an_order_goes_only_ways_that_there_are(
    session: AsyncSession, add: Add, before: str
) -> None:
    # An order in doubt that had filled nothing may turn out to be in any state.
    start = {} if before == "unknown" else FILLED[before]
    for after, state in FILLED.items():
        if after == before:
            continue
        order = await add(client_order_id=after, status=before, **start)
        if after in WAYS.get(before, set()):
            await _change(session, order, status=after, **state)
        else:
            with pytest.raises(DBAPIError, match=f"is {before} and cannot become {after}"):
                await _change(session, order, status=after, **state)


@pytest.mark.parametrize(
    ("status", "said", "message"),
    [
        ("partially_filled", {"filled_quantity": "0.5"}, "cannot have filled 0.5"),
        ("unknown", {"filled_quantity": 0, "average_price": None}, "cannot have filled 0"),
        ("partially_filled", {"filled_quantity": 3}, "ck_orders_filled"),
        ("canceled", {"filled_quantity": "1.5"}, "what it filled is final"),
        ("canceled", {"quantity": 3}, "what it filled is final"),
        ("filled", {"quantity": 3, "filled_quantity": 3}, "what it filled is final"),
        ("expired", {"average_price": 98}, "what it filled is final"),
        ("open", {"side": "sell"}, "cannot become another order"),
        ("open", {"client_order_id": "mine-2"}, "cannot become another order"),
        ("open", {"type": "stop_limit", "stop_price": 1}, "cannot become another order"),
    ],
)
async def test_what_an_order_filled_and_is_does_not_change_back(
    session: AsyncSession, add: Add, status: str, said: dict[str, Any], message: str
) -> None:
    order = await add(status=status, **FILLED[status])
    said = {name: Decimal(it) if name.endswith("quantity") else it for name, it in said.items()}
    with pytest.raises(DBAPIError, match=message):
        await _change(session, order, **said)


async def test_what_is_learned_late_can_still_be_noted(session: AsyncSession, add: Add) -> None:
    done = await add(status="filled", **FILLED["filled"])
    await _change(session, done, fees=Decimal("-0.1"), exchange_order_id="17")
    working = await add(client_order_id="mine-2", status="open")
    await _change(session, working, price=101, quantity=3)


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"side": "BUY"}, "side"),
        ({"type": "iceberg", "stop_price": 90, "price": None}, "type"),
        ({"status": "lost"}, "status"),
        ({"time_in_force": "day"}, "time_in_force"),
        ({"time_in_force": "gtd"}, "expiry"),
        ({"expires_at": NOON}, "expiry"),
        ({"type": "market"}, "price"),
        ({"price": None}, "price"),
        ({"type": "stop_limit"}, "stop_price"),
        ({"stop_price": 90}, "stop_price"),
        ({"client_order_id": ""}, "ids"),
        ({"exchange_order_id": ""}, "ids"),
        ({"quantity": 0}, "positive"),
        ({"price": 0}, "positive"),
        ({"type": "stop", "price": None, "stop_price": -1}, "positive"),
        ({"status": "unknown", "filled_quantity": 1, "average_price": 0}, "positive"),
        ({"quantity": Decimal("NaN")}, "not_nan"),
        ({"price": Decimal("NaN")}, "not_nan"),
        ({"fees": Decimal("NaN")}, "not_nan"),
        ({"filled_quantity": -1, "status": "unknown"}, "filled"),
        ({"filled_quantity": 3, "status": "unknown", "average_price": 1}, "filled"),
        ({"filled_quantity": 1, "average_price": 1}, "filled"),
        ({"status": "filled", "filled_quantity": 1, "average_price": 1}, "filled"),
        ({"status": "partially_filled"}, "filled"),
        ({"status": "canceled", "filled_quantity": 2, "average_price": 1}, "filled"),
        ({"status": "unknown", "filled_quantity": 1}, "average_price"),
        ({"average_price": 1}, "average_price"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(
    add: Add, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"ck_orders_{constraint}"'):
        await add(**said)


async def test_ids_of_orders_are_an_account_s_own(
    session: AsyncSession, add: Add, live_account: UUID, other_pair: int
) -> None:
    await add(exchange_order_id="7")
    await add(account_id=live_account, exchange_order_id="7")
    await add(client_order_id="mine-2", symbol_id=other_pair, exchange_order_id="7")
    for said in ({}, {"client_order_id": "mine-3", "exchange_order_id": "7"}):
        with pytest.raises(ConflictError), translated():
            async with session.begin_nested():
                await add(**said)


@pytest.fixture
def fill(session: AsyncSession, account: UUID, pair: int) -> Add:
    """Return what adds a fill to the account, a good one but for what is said."""

    async def add_fill(**said: Any) -> UUID:
        values = {
            "account_id": account,
            "symbol_id": pair,
            "trade_id": "1",
            "side": "buy",
            "price": Decimal("60123.45"),
            "quantity": Decimal("0.001"),
            "executed_at": NOON,
        } | said
        return (await session.scalars(insert(Fill).values(values).returning(Fill.id))).one()

    return add_fill


async def test_a_fill_knows_its_total(session: AsyncSession, fill: Add) -> None:
    await fill()
    smallest = Decimal(1).scaleb(-18)
    await fill(trade_id="2", price=smallest, quantity=Decimal("0.5"))
    totals = await session.scalars(select(Fill.total).order_by(Fill.trade_id))
    assert list(totals) == [Decimal("60.12345"), smallest]


async def test_a_trade_is_filled_once(
    session: AsyncSession, fill: Add, live_account: UUID, other_pair: int
) -> None:
    await fill()
    await fill(account_id=live_account)
    await fill(symbol_id=other_pair)
    with pytest.raises(ConflictError, match="uq_fills_trade"), translated():
        async with session.begin_nested():
            await fill()


@pytest.mark.parametrize(
    ("said", "constraint"),
    [
        ({"trade_id": ""}, "trade_id"),
        ({"side": "long"}, "side"),
        ({"price": 0}, "positive"),
        ({"quantity": -1}, "positive"),
        ({"fee": 1}, "fee_asset"),
        ({"price": Decimal("NaN")}, "not_nan"),
        ({"profit_loss": Decimal("NaN")}, "not_nan"),
    ],
)
async def test_a_fill_that_makes_no_sense_is_refused(
    fill: Add, said: dict[str, Any], constraint: str
) -> None:
    with pytest.raises(DBAPIError, match=f'"ck_fills_{constraint}"'):
        await fill(**said)


@pytest.mark.parametrize("statement", [update(Fill).values(price=1), delete(Fill), delete(Order)])
async def test_what_was_traded_is_not_rewritten(session: AsyncSession, statement: Any) -> None:
    with pytest.raises(ForbiddenError, match="permission denied"), translated():
        async with session.begin_nested():
            await session.execute(statement)


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine as who may do anything."""
    made = create_engine(location.admin_url, role=None, pooled=False)
    yield made
    await made.dispose()


async def test_orders_and_fills_outlive_their_strategy(
    engine: AsyncEngine,
    session: AsyncSession,
    admin: AsyncEngine,
    add: Add,
    fill: Add,
    strategy: UUID,
    user: UUID,
) -> None:
    order = await add(strategy_id=strategy)
    await fill(strategy_id=strategy, order_id=order)
    await session.commit()
    async with admin.begin() as connection:
        await connection.execute(delete(Strategy).where(Strategy.id == strategy))
    async with transaction(engine, user) as later:
        assert (await later.execute(select(Order.strategy_id, Order.user_id))).one() == (
            None,
            user,
        )
        assert (await later.execute(select(Fill.strategy_id, Fill.order_id))).one() == (None, order)


async def test_updated_at_is_kept(session: AsyncSession, add: Add) -> None:
    order = await add(updated_at=NOON)
    await _change(session, order, status="submitted")
    now = await session.scalar(select(text("now()")))
    assert await session.scalar(select(Order.updated_at)) == now
