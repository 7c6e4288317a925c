"""The view and the policies of the Crypto Beacon Trader Hub design, put to the schema."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.database import Location
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.series import CANDLES, ensure_chunks
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.market import catalog
from seawall.market.tables import Candle
from seawall.trading.tables import Position, TradingAccount

Ask = Callable[..., Awaitable[list[tuple[Any, ...]]]]

DAILY_SUMMARY = """
    SELECT
        coin_id,
        DATE_TRUNC('day', timestamp) AS day,
        FIRST_VALUE(open) OVER
            (PARTITION BY coin_id, DATE_TRUNC('day', timestamp) ORDER BY timestamp) AS open,
        MAX(high) AS high,
        MIN(low) AS low,
        LAST_VALUE(close) OVER
            (PARTITION BY coin_id, DATE_TRUNC('day', timestamp) ORDER BY timestamp) AS close,
        SUM(volume) AS volume
    FROM ohlcv_data
    WHERE timeframe = '1h'
    GROUP BY coin_id, DATE_TRUNC('day', timestamp)
"""
# A candle is of a pair on an exchange, and its timeframe is kept in seconds.
CANDLE_NAMES = {
    "coin_id": "symbol_id",
    "timestamp": "time",
    "ohlcv_data": "candles",
    "'1h'": "3600",
}
OF_ACCOUNTS = "user_id = current_user_id()"
OF_POSITIONS = "account_id IN (SELECT id FROM trading_accounts WHERE user_id = current_user_id())"
POLICIES = f"""
    CREATE POLICY trading_accounts_user_isolation ON trading_accounts
        USING ({OF_ACCOUNTS});
    CREATE POLICY positions_user_isolation ON positions
        USING ({OF_POSITIONS})
"""


async def test_the_daily_summary_answers_what_was_meant(
    session: AsyncSession, ask: Ask, pairs: dict[str, int]
) -> None:
    midnight = datetime(2024, 5, 6, tzinfo=UTC)
    await ensure_chunks(session, CANDLES, midnight, midnight)
    for pair, seconds, hour, prices, volume in (
        ("BTC/USDT", 3600, 23, (103, 104, 95, 96), 1.0),
        ("BTC/USDT", 3600, 0, (100, 105, 99, 104), 2.0),
        ("BTC/USDT", 3600, 1, (104, 120, 103, 103), 3.0),
        ("BTC/USDT", 3600, 24, (96, 97, 95, 97), 4.0),
        ("BTC/USDT", 60, 2, (1, 999, 1, 999), 999.0),
        ("ETH/USDT", 3600, 5, (10, 11, 9, 10), 5.0),
    ):
        await session.execute(
            insert(Candle).values(
                symbol_id=pairs[pair],
                timeframe=seconds,
                time=midnight + timedelta(hours=hour),
                volume=volume,
                ingested_at=midnight,
                **dict(zip(("open", "high", "low", "close"), prices, strict=True)),
            )
        )
    await session.execute(text("SELECT refresh_rollups('candles')"))
    view = (
        "SELECT symbol, day, open, high, low, close, volume FROM daily_price_summary"
        " ORDER BY symbol, day"
    )
    assert await ask(view) == [
        ("BTC/USDT", midnight, 100, 120, 95, 96, 6),
        ("BTC/USDT", midnight + timedelta(days=1), 96, 97, 95, 97, 4),
        ("ETH/USDT", midnight, 10, 11, 9, 10, 5),
    ]


async def test_as_written_the_daily_summary_is_no_query(ask: Ask) -> None:
    with pytest.raises(ProgrammingError, match="must appear in the GROUP BY clause"):
        await ask(DAILY_SUMMARY, names=CANDLE_NAMES)


async def _trade(engine: AsyncEngine, user: UUID) -> tuple[UUID, UUID]:
    """Give a user an account with a position."""
    async with transaction(engine, user) as session:
        await session.execute(insert(User).values(id=user, username=str(user)))
        pair = await catalog.ensure_pair(session, "binance", "BTC/USDT")
        currency = await catalog.ensure_asset(session, "USDT")
        account = insert(TradingAccount).values(
            name="Paper", currency_asset_id=currency.id, initial_balance=1
        )
        account_id = (await session.scalars(account.returning(TradingAccount.id))).one()
        position = insert(Position).values(
            account_id=account_id,
            symbol_id=pair.id,
            side="long",
            quantity=1,
            entry_price=1,
            current_price=1,
        )
        return account_id, (await session.scalars(position.returning(Position.id))).one()


async def _seen(engine: AsyncEngine, user: UUID, where: tuple[str, str]) -> list[list[UUID]]:
    async with transaction(engine, user) as session:
        return [
            list(await session.scalars(text(f"SELECT id FROM {table} WHERE {condition}")))  # noqa: S608
            for table, condition in zip(("trading_accounts", "positions"), where, strict=True)
        ]


@pytest.fixture
async def owner(location: Location) -> AsyncIterator[AsyncEngine]:
    made = create_engine(location.admin_url, role=OWNER_ROLE, pooled=False)
    yield made
    await made.dispose()


async def test_its_policies_show_what_ours_show(engine: AsyncEngine, owner: AsyncEngine) -> None:
    users = {user: await _trade(engine, user) for user in (uuid4(), uuid4())}
    every, own = ("true", "true"), (OF_ACCOUNTS, OF_POSITIONS)
    for user, (account, position) in users.items():
        assert await _seen(engine, user, every) == [[account], [position]]
        assert await _seen(engine, user, own) == [[account], [position]]
    async with owner.begin() as connection:
        for statement in POLICIES.split(";"):
            await connection.execute(text(statement))
        for table in ("trading_accounts", "positions"):
            await connection.execute(text(f"DROP POLICY tenant ON {table}"))
    for user, (account, position) in users.items():
        assert await _seen(engine, user, every) == [[account], [position]]
