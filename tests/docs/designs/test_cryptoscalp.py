"""The views and queries of the CryptoScalp AI design, put to the schema.

What it calls a symbol is a pair's id in tables and its name in views, its timestamps are `time`,
and what it writes in capitals is kept in lower case. Where it names an index and no query, the
query is the one that the index is for.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import now
from seawall.db.series import MODEL_PERFORMANCE, QUOTES, SYSTEM_LOGS, ensure_chunks
from seawall.learning.tables import Experience, ModelPerformance, ModelVersion
from seawall.market.tables import Quote
from seawall.ops.tables import SystemLog
from seawall.trading.tables import Position, TradingAccount

Ask = Callable[..., Awaitable[list[tuple[Any, ...]]]]

ACTIVE_PORTFOLIO = """
    SELECT
        symbol,
        SUM(CASE WHEN side = 'LONG' THEN quantity ELSE -quantity END) as net_position,
        SUM(unrealized_pnl) as total_pnl,
        AVG(entry_price) as avg_entry_price
    FROM positions
    WHERE status = 'OPEN'
    GROUP BY symbol
"""
MODEL_SUMMARY = """
    SELECT
        model_version,
        symbol,
        AVG(ABS(prediction - actual)) as avg_error,
        AVG(latency_ms) as avg_latency,
        COUNT(*) as prediction_count
    FROM model_performance
    WHERE timestamp > NOW() - INTERVAL '24 hours'
    GROUP BY model_version, symbol
"""
PROFIT = """
    SELECT side, unrealized_pnl,
        (current_price - entry_price) * quantity * CASE WHEN side = 'SHORT' THEN -1 ELSE 1 END
    FROM positions WHERE status = 'open' ORDER BY side, entry_price DESC
"""
SAMPLE = """
    SELECT state FROM experience_replay WHERE tier = $1
    ORDER BY priority DESC, timestamp LIMIT $2
"""
ACTIVE_POSITIONS = "SELECT side FROM positions WHERE status = 'open'"
ERRORS = "SELECT message FROM system_logs WHERE level = 'ERROR' ORDER BY timestamp"
EVALUATION = """
    SELECT prediction FROM model_performance WHERE model_version = $1 AND symbol = $2
    ORDER BY timestamp
"""
LATEST_MARKET_DATA = """
    SELECT bid_price, ask_price FROM market_data WHERE symbol = $1
    ORDER BY timestamp DESC LIMIT 1
"""


@pytest.fixture
async def positions(
    session: AsyncSession, assets: dict[str, int], pairs: dict[str, int]
) -> dict[str, int]:
    """Open positions of two accounts, long and short, and a closed one."""
    accounts = [
        (
            await session.scalars(
                insert(TradingAccount)
                .values(name=name, currency_asset_id=assets["ETH"], initial_balance=1000)
                .returning(TradingAccount.id)
            )
        ).one()
        for name in ("One", "Two")
    ]
    closed = {"status": "closed", "exit_price": 90, "closed_at": now() + timedelta(hours=1)}
    for account, pair, side, quantity, entry, current, more in (
        (0, "BTC/USDT", "long", 3, 100, 120, {}),
        (1, "BTC/USDT", "long", 1, 200, 120, {}),
        (0, "BTC/USDT", "short", 2, 140, 120, {}),
        (1, "BTC/USDT", "short", 50, 140, 120, closed),
        (1, "ETH/USDT", "short", 4, 10, 11, {}),
    ):
        await session.execute(
            insert(Position).values(
                account_id=accounts[account],
                symbol_id=pairs[pair],
                side=side,
                quantity=quantity,
                entry_price=entry,
                current_price=current,
                **more,
            )
        )
    return pairs


async def test_the_active_portfolio(ask: Ask, positions: dict[str, int]) -> None:
    names = {"symbol": "symbol_id", "'LONG'": "'long'", "'OPEN'": "'open'"}
    of_rows = await ask(ACTIVE_PORTFOLIO, names=names)
    assert sorted(of_rows) == [
        (positions["BTC/USDT"], 2, 60 - 80 + 40, pytest.approx(Decimal(440) / 3)),
        (positions["ETH/USDT"], -4, -4, 10),
    ]
    # The view tells the average price of a unit; the design's is that of a position.
    view = "SELECT symbol, net_position, total_pnl, avg_entry_price FROM active_portfolio"
    assert sorted(await ask(view)) == [
        ("BTC/USDT", 2, 20, Decimal(300 + 200 + 280) / 6),
        ("ETH/USDT", -4, -4, 10),
    ]


@pytest.mark.usefixtures("positions")
async def test_the_profit_of_a_position_follows_its_price(ask: Ask) -> None:
    names = {"'SHORT'": "'short'"}
    assert [row[1] for row in await ask(PROFIT, names=names)] == [-80, 60, 40, -4]
    await ask("UPDATE positions SET current_price = 150 WHERE status = 'open'")
    found = await ask(PROFIT, names=names)
    assert [row[1] for row in found] == [row[2] for row in found] == [-50, 150, -20, -560]


@pytest.mark.usefixtures("positions")
async def test_active_positions(session: AsyncSession, ask: Ask) -> None:
    assert sorted(await ask(ACTIVE_POSITIONS)) == [("long",)] * 2 + [("short",)] * 2
    assert "idx_positions_active" in await _plan(session, ACTIVE_POSITIONS)


async def _plan(session: AsyncSession, query: str) -> str:
    # A few rows are read fastest without an index: what counts is that it could be used.
    for setting in ("enable_seqscan", "enable_sort"):
        await session.execute(text(f"SET LOCAL {setting} = off"))
    return "\n".join(await session.scalars(text(f"EXPLAIN {query}")))


@pytest.fixture
async def versions(session: AsyncSession) -> list[int]:
    """Two versions of a model."""
    added = insert(ModelVersion).returning(ModelVersion.id, sort_by_parameter_order=True)
    rows = [{"model_name": "lstm", "version": version} for version in ("v1.0", "v1.2.0")]
    return list(await session.scalars(added, rows))


@pytest.fixture
async def performance(
    session: AsyncSession, pairs: dict[str, int], versions: list[int]
) -> tuple[dict[str, int], list[int]]:
    """What two versions predicted today, and one yesterday."""
    await ensure_chunks(session, MODEL_PERFORMANCE, now() - timedelta(days=2), now())
    for version, pair, hours, error, latency in (
        (0, "BTC/USDT", 3, -1.0, 4.0),
        (0, "BTC/USDT", 2, 3.0, 6.0),
        (0, "ETH/USDT", 1, 0.5, 1.0),
        (1, "BTC/USDT", 1, 0.0, 0.5),
        (1, "BTC/USDT", 25, 99.0, 99.0),
    ):
        await session.execute(
            insert(ModelPerformance).values(
                model_version_id=versions[version],
                symbol_id=pairs[pair],
                time=now() - timedelta(hours=hours),
                prediction=100 + error,
                actual=100,
                confidence=0.9,
                latency_ms=latency,
                ingested_at=now(),
            )
        )
    return pairs, versions


async def test_the_summary_of_models(
    ask: Ask, performance: tuple[dict[str, int], list[int]]
) -> None:
    pairs, (old, new) = performance
    names = {"model_version": "model_version_id", "symbol": "symbol_id", "timestamp": "time"}
    assert sorted(await ask(MODEL_SUMMARY, names=names)) == [
        (old, pairs["BTC/USDT"], 2.0, 5.0, 2),
        (old, pairs["ETH/USDT"], 0.5, 1.0, 1),
        (new, pairs["BTC/USDT"], 0.0, 0.5, 1),
    ]
    view = (
        "SELECT model_version, symbol, avg_error, avg_latency, prediction_count"
        " FROM model_performance_summary"
    )
    assert sorted(await ask(view)) == [
        ("v1.0", "BTC/USDT", 2.0, 5.0, 2),
        ("v1.0", "ETH/USDT", 0.5, 1.0, 1),
        ("v1.2.0", "BTC/USDT", 0.0, 0.5, 1),
    ]


async def test_what_came_of_a_model_s_predictions(
    ask: Ask, performance: tuple[dict[str, int], list[int]]
) -> None:
    pairs, (old, _) = performance
    names = {"model_version": "model_version_id", "symbol": "symbol_id", "timestamp": "time"}
    assert await ask(EVALUATION, old, pairs["BTC/USDT"], names=names) == [(99.0,), (103.0,)]


async def test_experience_is_sampled_by_priority(session: AsyncSession, ask: Ask) -> None:
    for tier, priority, hours in ((1, 0.5, 1), (1, 2.0, 1), (1, 2.0, 2), (2, 9.0, 1), (1, 0.1, 1)):
        await session.execute(
            insert(Experience).values(
                time=now() - timedelta(hours=hours),
                tier=tier,
                priority=priority,
                state={"of": [tier, priority, hours]},
                action={},
                reward=0.0,
                next_state={},
            )
        )
    found = await ask(SAMPLE, 1, 3, names={"timestamp": "time"})
    assert [row[0]["of"] for row in found] == [[1, 2, 2], [1, 2, 1], [1, 0.5, 1]]
    asked = SAMPLE.replace("timestamp", "time").replace("$1", "1").replace("$2", "3")
    plan = await _plan(session, asked)
    assert "idx_experience_replay_tier_priority_time" in plan
    assert "Sort" not in plan


async def test_errors_in_the_logs(session: AsyncSession, ask: Ask) -> None:
    await ensure_chunks(session, SYSTEM_LOGS, now(), now())
    for level, message in (("error", "lost"), ("info", "started"), ("warning", "slow")):
        row = {"level": level, "component": "market", "message": message}
        await session.execute(insert(SystemLog).values(row))
    assert await ask(ERRORS, names={"'ERROR'": "'error'", "timestamp": "time"}) == [("lost",)]


async def test_the_latest_market_data(
    session: AsyncSession, ask: Ask, pairs: dict[str, int]
) -> None:
    moment = now()
    await ensure_chunks(session, QUOTES, moment - timedelta(minutes=1), moment)
    for pair, seconds, bid in (("BTC/USDT", 9, 1.0), ("BTC/USDT", 3, 2.0), ("ETH/USDT", 1, 3.0)):
        row = {"symbol_id": pairs[pair], "bid_price": bid, "ask_price": bid + 1}
        time = moment - timedelta(seconds=seconds)
        await session.execute(insert(Quote).values(row | {"time": time, "ingested_at": moment}))
    names = {"market_data": "quotes", "symbol": "symbol_id", "timestamp": "time"}
    assert await ask(LATEST_MARKET_DATA, pairs["BTC/USDT"], names=names) == [(2.0, 3.0)]
