"""What is measured in the background: whose portfolios, as of when, and what was missed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.time import iso, now
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.jobs.crew import Given
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import parse_transactions
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.transactions import import_transactions
from seawall.risk.midnights import CAUGHT_UP
from seawall.workers import risk

Queued = Callable[[], Awaitable[list[tuple[str, dict[str, Any]]]]]
Bring = Callable[..., Awaitable[None]]
DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def bring(engine: AsyncEngine) -> Bring:
    """Import candles of a coin in a transaction of the owner's."""

    async def go(
        coin: str, closes: list[float], seconds: int = 86_400, start: datetime = START
    ) -> None:
        records = np.zeros(len(closes), CANDLE_DTYPE)
        first = np.datetime64(start.replace(tzinfo=None), "us")
        records["time"] = first + np.arange(len(closes)) * np.timedelta64(seconds, "s")
        for name in ("open", "high", "low", "close"):
            records[name] = closes
        parsed = ParsedFile(
            format="generic",
            kind=SeriesKind.CANDLES,
            records=records,
            rows_read=len(records),
            symbol=f"{coin}/USD",
            exchange="binance",
            timeframe=Timeframe(seconds),
        )
        async with transaction(engine, OWNER_ID) as session:
            await ensure_owner(session)
            await ingest(session, parsed, coin)

    return go


async def _hold(engine: AsyncEngine, name: str, coin: str) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        portfolio = await create_portfolio(session, OWNER_ID, name)
        rows = f"date,type,asset,quantity,price_usd\n2024-01-03,buy,{coin},2,100\n"
        parsed = parse_transactions(rows.encode(), now())
        assert not (await import_transactions(session, portfolio, parsed)).rejected


async def _measured(engine: AsyncEngine) -> list[tuple[str, datetime]]:
    async with transaction(engine, OWNER_ID) as session:
        rows = await session.execute(
            text(
                "SELECT name, time FROM portfolio_risk_metrics"
                " JOIN portfolios ON portfolios.id = portfolio_id ORDER BY time, name"
            )
        )
        return [(name, time) for name, time in rows]


async def test_an_import_queues_what_it_is_news_to(
    bring: Bring, engine: AsyncEngine, queued: Queued
) -> None:
    await bring("AAA", [100.0, 101.0])
    # Nothing changes, and a minute is no day's close.
    await bring("AAA", [100.0, 101.0])
    await bring("BBB", [5.0], 60, START + timedelta(hours=5))
    await _hold(engine, "One", "AAA")
    (_, report) = (await queued())[-1]
    assert report["user"] == str(OWNER_ID)
    assert [name for name, _ in await queued()] == [
        "risk.remeasure",
        "risk.measure_assets",
        "risk.revise",
        "risk.remeasure",
        "risk.revise",
        "risk.report_portfolio",
    ]
    assert [ids["assets"] for name, ids in await queued() if name == "risk.remeasure"] == [
        ["AAA"],
        ["BBB"],
    ]


async def test_those_who_hold_an_asset_are_measured(
    bring: Bring, engine: AsyncEngine, given: Given
) -> None:
    await bring("AAA", [100.0, 101.0, 99.0, 103.0])
    await bring("BBB", [100.0, 102.0, 98.0, 104.0])
    await _hold(engine, "One", "AAA")
    await _hold(engine, "Two", "BBB")
    await risk.remeasure(given, assets=["AAA", "NONE"])
    assert [name for name, _ in await _measured(engine)] == ["One"]


async def test_a_midnight_is_measured_for_all_and_noted(
    bring: Bring, engine: AsyncEngine, given: Given, queued: Queued
) -> None:
    last = now().replace(hour=0, minute=0, second=0, microsecond=0)
    await bring("AAA", [100.0, 101.0, 99.0, 103.0])
    await _hold(engine, "One", "AAA")
    await risk.measure_midnight(given, midnight=iso(last))
    await risk.measure_midnight(given, midnight=iso(last))
    assert await _measured(engine) == [("One", last)]
    before = len(await queued())
    await risk.catch_up(given)
    # No midnight is missing; whether assets lack any is for the measurement to find.
    assert [name for name, _ in (await queued())[before:]] == ["risk.measure_assets"]


@pytest.mark.parametrize(("missed", "queues"), [(1, 1), (3, 3), (CAUGHT_UP + 10, CAUGHT_UP)])
async def test_missed_midnights_are_queued_the_earliest_first(
    given: Given, worker: AsyncEngine, queued: Queued, missed: int, queues: int
) -> None:
    last = now().replace(hour=0, minute=0, second=0, microsecond=0)
    async with worker.begin() as connection:
        await connection.execute(
            text("INSERT INTO measured_midnights (midnight) VALUES (:midnight)"),
            {"midnight": last - missed * DAY},
        )
    await risk.catch_up(given)
    await risk.catch_up(given)
    found = [ids["midnight"] for name, ids in await queued() if name == "risk.midnight"]
    assert found == [iso(last - back * DAY) for back in reversed(range(queues))]


async def test_a_worker_s_first_time_begins_with_the_last_midnight(
    bring: Bring, given: Given, queued: Queued
) -> None:
    await bring("AAA", [100.0])
    await risk.catch_up(given)
    names = [name for name, _ in await queued()]
    assert names.count("risk.midnight") == 1
    assert ("risk.remeasure", {"assets": ["AAA"]}) in await queued()


async def test_assets_are_measured_to_the_end(
    bring: Bring, worker: AsyncEngine, given: Given
) -> None:
    await bring("AAA", [100.0 + number % 7 for number in range(150)])
    await risk.measure_assets(given, assets=["AAA"])
    async with worker.connect() as connection:
        rows = await connection.execute(text("SELECT DISTINCT time FROM risk_metrics ORDER BY 1"))
        times = list(rows.scalars())
    assert times == [START + number * DAY for number in range(1, 151)]


async def test_new_prices_break_a_limit_without_anybody_asking(
    bring: Bring, engine: AsyncEngine, given: Given
) -> None:
    await bring("BTC", [100.0 + day % 7 for day in range(40)])
    await _hold(engine, "Limited", "BTC")
    await _hold(engine, "Free", "BTC")
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(
            text(
                "INSERT INTO risk_limits (portfolio_id, max_position_value)"
                " SELECT id, 150 FROM portfolios WHERE name = 'Limited'"
            )
        )
    await risk.remeasure(given, assets=["BTC"])
    await risk.remeasure(given, assets=["BTC"])
    async with transaction(engine, OWNER_ID) as session:
        broken = await session.scalars(
            text("SELECT limit_name FROM risk_events WHERE resolved_at IS NULL")
        )
        assert list(broken) == ["max_position_value"]
