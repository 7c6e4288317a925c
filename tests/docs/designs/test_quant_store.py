"""The access paths of the quant trading store's design, put to the schema.

It gives no query but indexes, among them `(symbol, time DESC)` of each series: the newest row of a
pair is what they are for.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import now
from seawall.db.base import Base
from seawall.db.series import CANDLES, MARKET_TRADES, ORDER_BOOKS, Series, ensure_chunks
from seawall.market.tables import Candle, MarketTrade, OrderBook
from seawall.strategies.tables import Strategy

Ask = Callable[..., Awaitable[list[tuple[Any, ...]]]]

NEWEST = "SELECT time FROM {} WHERE symbol = $1 ORDER BY time DESC LIMIT 1"
RISK_EVENTS = """
    SELECT event_type FROM risk_events
    WHERE user_id = current_user_id() ORDER BY triggered_at DESC
"""


@pytest.mark.parametrize(
    ("theirs", "series", "table", "row"),
    [
        (
            "market_data",
            CANDLES,
            Candle,
            {"timeframe": 60, "open": 2, "high": 3, "low": 1, "close": 2},
        ),
        ("order_book", ORDER_BOOKS, OrderBook, {"bids": [[1, 2]], "asks": [[2, 1]]}),
        ("trades", MARKET_TRADES, MarketTrade, {"trade_id": 1, "price": 1, "quantity": 1}),
    ],
)
async def test_the_newest_row_of_a_pair(
    session: AsyncSession,
    ask: Ask,
    pairs: dict[str, int],
    theirs: str,
    series: Series,
    table: type[Base],
    row: dict[str, Any],
) -> None:
    moment = now()
    await ensure_chunks(session, series, moment - timedelta(minutes=3), moment)
    for pair, minutes in (("BTC/USDT", 3), ("BTC/USDT", 1), ("BTC/USDT", 2), ("ETH/USDT", 0)):
        time = {"time": moment - timedelta(minutes=minutes), "ingested_at": moment}
        await session.execute(insert(table).values(row | time | {"symbol_id": pairs[pair]}))
    found = await ask(
        NEWEST.format(theirs),
        pairs["BTC/USDT"],
        names={theirs: series.table, "symbol": "symbol_id"},
    )
    assert found == [(moment - timedelta(minutes=1),)]


async def test_risk_events_of_a_user_the_newest_first(ask: Ask) -> None:
    for hours, event in ((3, "limit_breach"), (1, "compliance_violation"), (2, "limit_warning")):
        await ask(
            "INSERT INTO risk_events (event_type, severity, triggered_at)"
            " VALUES ($1, 'warning', now() - $2::interval)",
            event,
            timedelta(hours=hours),
        )
    found = [event for (event,) in await ask(RISK_EVENTS)]
    assert found == ["compliance_violation", "limit_warning", "limit_breach"]


@pytest.fixture
async def strategy(session: AsyncSession) -> UUID:
    made = insert(Strategy).values(name="Trend", type="moving_average", timeframe=3600)
    return (await session.scalars(made.returning(Strategy.id))).one()


async def test_a_strategy_has_each_version_once(
    session: AsyncSession, ask: Ask, strategy: UUID
) -> None:
    add = """
        INSERT INTO strategy_versions (strategy_id, version_number, config) VALUES ($1, $2, '{}')
    """
    await ask(add, strategy, 1)
    await ask(add, strategy, 2)
    with pytest.raises(IntegrityError, match="uq_strategy_versions"):
        async with session.begin_nested():
            await ask(add, strategy, 2)
    versions = text("SELECT count(*) FROM strategy_versions")
    assert await session.scalar(versions) == 2


async def test_a_pair_is_once_on_each_exchange(
    session: AsyncSession, ask: Ask, pairs: dict[str, int]
) -> None:
    add = """
        INSERT INTO symbols (symbol, exchange, base_currency, quote_currency)
        SELECT symbol, exchange, base_currency, quote_currency FROM symbols WHERE id = $1
    """
    names = {
        "exchange": "exchange_id",
        "base_currency": "base_asset_id",
        "quote_currency": "quote_asset_id",
    }
    with pytest.raises(IntegrityError, match="uq_symbols"):
        async with session.begin_nested():
            await ask(add, pairs["BTC/USDT"], names=names)
