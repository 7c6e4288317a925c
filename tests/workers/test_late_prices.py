"""Prices that come late change the midnights that were measured without them, and nothing else."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import InvalidError
from seawall.core.time import iso, now
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.jobs.crew import Given
from seawall.market.calendar import is_trading_day
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, PRICE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.transactions import import_transactions
from seawall.risk.midnights import CAUGHT_UP
from seawall.risk.report import recompute, report
from seawall.risk.schemas import RiskQuestion
from seawall.workers import risk

DAY = timedelta(days=1)
LAST = now().replace(hour=0, minute=0, second=0, microsecond=0)
DAYS = 60

Bring = Callable[..., Awaitable[None]]
Queued = Callable[[], Awaitable[list[tuple[str, dict[str, Any]]]]]
Rows = list[tuple[datetime, UUID, datetime]]


def _path(seed: int) -> list[float]:
    steps = np.random.default_rng(seed).normal(0, 0.03, DAYS)
    closes: list[float] = (100 * np.exp(np.cumsum(steps))).tolist()
    return closes


@pytest.fixture
def bring(engine: AsyncEngine) -> Bring:
    """Import closes of a coin, or of an index, that are known from `first` on."""

    async def go(
        name: str,
        closes: list[float],
        first: datetime = LAST - (DAYS - 1) * DAY,
        seconds: int = 86_400,
    ) -> None:
        is_index = name == "SP500"
        records = np.zeros(len(closes), PRICE_DTYPE if is_index else CANDLE_DTYPE)
        opened = first if is_index else first - timedelta(seconds=seconds)
        start = np.datetime64(opened.replace(tzinfo=None), "us")
        records["time"] = start + np.arange(len(closes)) * np.timedelta64(seconds, "s")
        for each in ("price_usd",) if is_index else ("open", "high", "low", "close"):
            records[each] = closes
        parsed = ParsedFile(
            format="generic",
            kind=SeriesKind.PRICES if is_index else SeriesKind.CANDLES,
            records=records,
            rows_read=len(records),
            symbol=name if is_index else f"{name}/USD",
            exchange=None if is_index else "kraken",
            timeframe=Timeframe(seconds),
        )
        async with unbound_transaction(engine) as session:
            await ingest(session, parsed, name)

    return go


async def _trade(engine: AsyncEngine, name: str, *lines: str) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        portfolio = await create_portfolio(session, OWNER_ID, name)
        rows = "\n".join(["date,type,asset,quantity,price_usd", *lines])
        parsed = parse_transactions(rows.encode(), now())
        assert not (await import_transactions(session, portfolio, parsed)).rejected


BOUGHT = f"{LAST - 50 * DAY:%Y-%m-%d},buy"


async def _kept(engine: AsyncEngine, name: str) -> Rows:
    """Return of when the kept rows of a portfolio are, which they are, and what they knew."""
    async with transaction(engine, OWNER_ID) as session:
        rows = await session.execute(
            text(
                "SELECT time, r.id, known_at FROM portfolio_risk_metrics r"
                " JOIN portfolios ON portfolios.id = portfolio_id WHERE name = :name"
                " ORDER BY time, known_at"
            ),
            {"name": name},
        )
        return [tuple(row) for row in rows]


async def _measure(given: Given, *days_back: int) -> None:
    for back in days_back:
        await risk.measure_midnight(given, midnight=iso(LAST - back * DAY))


async def _revise(given: Given, queued: Queued) -> list[datetime]:
    """Look at what waits to be revised, and measure the midnights that this queues."""
    since = [ids["since"][0] for name, ids in await queued() if name == "risk.revise"]
    await risk.revise(given, since=since)
    found = [ids["midnight"] for name, ids in await queued() if name == "risk.midnight"]
    for each in found:
        await risk.measure_midnight(given, midnight=each)
    return [datetime.fromisoformat(each) for each in found]


@pytest.fixture
async def forget(location: Location) -> Callable[[], Awaitable[None]]:
    """Remove what waits in the queue."""

    async def go() -> None:
        admin = create_engine(location.admin_url, role=None, pooled=False)
        async with admin.begin() as connection:
            await connection.execute(text("DELETE FROM queue.procrastinate_jobs"))
        await admin.dispose()

    return go


async def test_a_revised_close_is_measured_as_known_now_from_its_midnight_on(
    bring: Bring,
    engine: AsyncEngine,
    given: Given,
    queued: Queued,
    forget: Callable[[], Awaitable[None]],
) -> None:
    await bring("AAA", _path(1))
    await bring("BTC", _path(2))
    await _trade(engine, "One", f"{BOUGHT},AAA,2,100")
    await _measure(given, 3, 2, 1, 0)
    first = await _kept(engine, "One")
    assert [time for time, *_ in first] == [LAST - back * DAY for back in (3, 2, 1, 0)]
    await forget()

    await bring("AAA", [150.0], LAST - DAY)
    assert await _revise(given, queued) == [LAST - DAY, LAST]
    second = await _kept(engine, "One")
    assert [row for row in second if row in first] == first
    anew = [row for row in second if row not in first]
    assert [time for time, *_ in anew] == [LAST - DAY, LAST]
    assert all(known_at > first[-1][2] for *_, known_at in anew)

    # What was kept is computed again as it was known, and what is kept now is a report's of now.
    async with transaction(engine, OWNER_ID) as session:
        for _, kept, _ in second:
            assert (await recompute(session, kept)).differs == ()
        portfolio = await get_portfolio(session, "One")
        for time, kept, _ in anew:
            made = await report(session, portfolio, time, RiskQuestion())
            again = await recompute(session, kept)
            assert made.figures == again.kept.figures
            assert made.total_value_usd == again.kept.total_value_usd
    async with transaction(engine, OWNER_ID) as session:
        worth = await session.scalars(
            text("SELECT total_value_usd FROM portfolio_snapshots WHERE time = :time"),
            {"time": LAST - DAY},
        )
        assert list(worth) == [300]

    # Done twice, it comes to the same.
    third = await _kept(engine, "One")
    await _measure(given, 1, 0)
    assert await _kept(engine, "One") == third


async def test_late_prices_of_a_benchmark_and_of_what_was_sold_count_as_well(
    bring: Bring,
    engine: AsyncEngine,
    given: Given,
    queued: Queued,
    forget: Callable[[], Awaitable[None]],
) -> None:
    await bring("AAA", _path(1))
    await bring("BTC", _path(2)[:-1])
    # On a Sunday or Monday the last close of an index is older than a coin's: two or three days.
    closed = next(
        LAST - back * DAY
        for back in range(DAYS)
        if is_trading_day(np.array([(LAST - (back + 1) * DAY).date()], "<M8[D]"))[0]
    )
    await bring("SP500", _path(3)[: (closed - LAST) // DAY - 1])
    await _trade(engine, "Holds", f"{BOUGHT},AAA,2,100")
    await _trade(engine, "Sold", f"{BOUGHT},AAA,2,100", f"{iso(now())},sell,AAA,2,100")
    await _measure(given, 0)
    seen = {name: await _kept(engine, name) for name in ("Holds", "Sold")}
    assert [time for time, *_ in seen["Sold"]] == [LAST]

    for name, close, when in (
        ("BTC", 120.0, LAST),
        ("SP500", 5_000.0, closed),
        ("AAA", 90.0, LAST),
    ):
        await forget()
        await bring(name, [close], when)
        assert await _revise(given, queued) == [LAST], name
        for portfolio, before in seen.items():
            after = await _kept(engine, portfolio)
            assert len(after) == len(before) + 1, (name, portfolio)
            seen[portfolio] = after


async def test_what_is_of_today_queues_no_midnight(
    bring: Bring, queued: Queued, forget: Callable[[], Awaitable[None]]
) -> None:
    await bring("AAA", _path(1))
    await forget()
    await bring("AAA", _path(1))
    assert await queued() == []
    begun = now().replace(second=0, microsecond=0)
    if begun > LAST:
        await bring("AAA", [100.0], begun, 60)
        assert [name for name, _ in await queued() if name == "risk.revise"] == []


@pytest.mark.parametrize(
    ("measured", "since", "expected"),
    [
        # Nothing is noted: the last may be under way.
        ([], 400, 1),
        ([3, 2], 400, 4),
        ([3, 2, 1, 0], 1, 2),
        ([3, 2, 1, 0], -1, 0),
        ([CAUGHT_UP + 9], 400, CAUGHT_UP),
        ([0], 0, 1),
    ],
)
async def test_as_many_midnights_are_revised_as_were_measured_and_no_more_than_are_caught_up(
    given: Given,
    worker: AsyncEngine,
    queued: Queued,
    measured: list[int],
    since: int,
    expected: int,
) -> None:
    async with worker.begin() as connection:
        for back in measured:
            await connection.execute(
                text("INSERT INTO measured_midnights (midnight) VALUES (:midnight)"),
                {"midnight": LAST - back * DAY},
            )
    later = iso(LAST + DAY)
    for _ in range(2):
        await risk.revise(given, since=[later, iso(LAST - since * DAY)])
    found = [ids["midnight"] for name, ids in await queued() if name == "risk.midnight"]
    assert found == [iso(LAST - back * DAY) for back in reversed(range(expected))]


async def test_an_intraday_price_counts_from_the_next_midnight_on(
    bring: Bring, queued: Queued
) -> None:
    await bring("AAA", [100.0, 101.0], LAST - 5 * DAY + timedelta(hours=7), 3_600)
    (ids,) = [ids for name, ids in await queued() if name == "risk.revise"]
    assert ids == {"since": [iso(LAST - 4 * DAY)]}


async def test_who_cannot_be_measured_keeps_nobody_from_a_midnight(
    bring: Bring, engine: AsyncEngine, given: Given, location: Location
) -> None:
    await bring("BTC", _path(2))
    await _trade(engine, "Right", f"{BOUGHT},BTC,1,100")
    await _trade(engine, "Wrong", f"{BOUGHT},BTC,1,100", f"{iso(now())},sell,BTC,1,100")
    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with admin.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        broken = await connection.execute(
            text(
                "UPDATE transactions SET transaction_type = 'sell' WHERE transaction_type = 'buy'"
                " AND portfolio_id = (SELECT id FROM portfolios WHERE name = 'Wrong')"
            )
        )
        assert broken.rowcount == 1
    with pytest.raises(InvalidError, match="1 of 2 portfolios could not be measured"):
        await _measure(given, 0)
    assert [time for time, *_ in await _kept(engine, "Right")] == [LAST]
    async with admin.connect() as connection:
        for noted in ("measured_midnights", "risk_scores"):
            assert await connection.scalar(text(f"SELECT count(*) FROM {noted}")) == 1  # noqa: S608
    await admin.dispose()
