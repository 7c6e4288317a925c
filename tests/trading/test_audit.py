"""What is decided in trading is logged; what prices and the ledger move is not."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.trading.tables import LedgerEntry, Position, TradingAccount

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)


@pytest.fixture
async def position(session: AsyncSession, account: UUID, pair: int) -> UUID:
    """An open position."""
    made = insert(Position).values(
        account_id=account, symbol_id=pair, side="long", quantity=2, entry_price=9, current_price=9
    )
    return (await session.scalars(made.returning(Position.id))).one()


async def _logged(session: AsyncSession, record: UUID) -> list[str]:
    rows = await session.scalars(
        text("SELECT operation FROM audit_logs WHERE record_id = :record ORDER BY sequence"),
        {"record": str(record)},
    )
    return list(rows)


async def test_a_price_that_moves_is_not_logged_but_a_moved_stop_is(
    session: AsyncSession, position: UUID
) -> None:
    await session.execute(update(Position).values(current_price=11))
    assert await _logged(session, position) == ["INSERT"]
    await session.execute(update(Position).values(stop_loss=10))
    assert await _logged(session, position) == ["INSERT", "UPDATE"]


async def test_a_balance_that_follows_is_not_logged_but_a_new_name_is(
    session: AsyncSession, account: UUID, usdt: int
) -> None:
    lines = [
        {"ledger": ledger, "amount": amount, "asset_id": usdt, "effective_at": NOON}
        for ledger, amount in (("assets", 5), ("equity", -5))
    ]
    journal = {"account_id": account, "journal_id": uuid4()}
    await session.execute(insert(LedgerEntry), [line | journal for line in lines])
    assert await _logged(session, account) == ["INSERT"]
    await session.execute(update(TradingAccount).values(name="Another"))
    assert await _logged(session, account) == ["INSERT", "UPDATE"]
