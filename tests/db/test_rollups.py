"""Rollups say what the rows say, on either engine, whatever order the rows came in."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.time import now
from seawall.db.database import Location
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.merge import merge
from seawall.db.series import PRICE_HISTORY, announce_change, ensure_chunks
from seawall.db.session import transaction
from seawall.db.upkeep import maintain
from seawall.identity.owner import OWNER_ID
from seawall.market import store
from seawall.market.schemas import CANDLE_DTYPE

START = datetime(2024, 2, 27, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Row(NamedTuple):
    """One price, as the tests think of it."""

    asset: int
    time: datetime
    price: float
    volume: float | None


def _walk(asset: int, hours: int, seed: int = 1) -> list[Row]:
    random = np.random.default_rng(seed + asset)
    prices = 100 * np.exp(np.cumsum(random.normal(0, 0.01, hours)))
    volumes = random.exponential(1e6, hours)
    return [
        Row(asset, START + n * HOUR, float(price), None if n % 7 == 0 else float(volume))
        for n, (price, volume) in enumerate(zip(prices, volumes, strict=True))
    ]


def _expected(rows: list[Row]) -> dict[tuple[int, datetime], tuple[object, ...]]:
    def day(row: Row) -> tuple[int, datetime]:
        return row.asset, row.time.replace(hour=0, minute=0, second=0, microsecond=0)

    found: dict[tuple[int, datetime], tuple[object, ...]] = {}
    for key, group in groupby(sorted(rows), key=day):
        held = list(group)
        prices = [row.price for row in held]
        found[key] = (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(prices) / len(prices),
            held[-1].volume,
            len(held),
        )
    return found


@pytest.fixture
async def owner(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine that acts as the tables' owner."""
    made = create_engine(location.admin_url, role=OWNER_ROLE, pooled=False)
    yield made
    await made.dispose()


async def _write(engine: AsyncEngine, rows: list[Row], *, announced: bool = True) -> None:
    async with transaction(engine, OWNER_ID) as session:
        times = [row.time for row in rows]
        await ensure_chunks(session, PRICE_HISTORY, min(times), max(times))
        if announced:
            for asset in {row.asset for row in rows}:
                await announce_change(session, PRICE_HISTORY, [asset], min(times), max(times))
        await session.execute(
            text(
                "INSERT INTO price_history (asset_id, time, price_usd, volume_24h_usd, ingested_at)"
                " VALUES (:asset, :time, :price, :volume, now())"
                " ON CONFLICT (asset_id, time) DO UPDATE"
                " SET price_usd = excluded.price_usd, volume_24h_usd = excluded.volume_24h_usd"
            ),
            [row._asdict() for row in rows],
        )


async def _held(engine: AsyncEngine) -> dict[tuple[int, datetime], tuple[object, ...]]:
    query = text(
        "SELECT asset_id, day, open, high, low, close, avg_price, total_volume, prices"
        " FROM price_history_by_day"
    )
    async with transaction(engine, OWNER_ID) as session:
        return {(row[0], row[1]): tuple(row[2:]) for row in await session.execute(query)}


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "unannounced"])
async def test_out_of_order_rows_are_summed_up_as_if_in_order(
    engine: AsyncEngine, owner: AsyncEngine, *, announced: bool
) -> None:
    rows = [*_walk(1, 100), *_walk(2, 70)]
    order = np.random.default_rng(3).permutation(len(rows))
    for part in np.array_split(order, 4):
        await _write(engine, [rows[at] for at in part], announced=announced)
        await maintain(owner, PRICE_HISTORY)
    assert await _held(engine) == _expected(rows)


async def test_late_rows_and_corrections_reach_the_days_they_belong_to(
    engine: AsyncEngine, owner: AsyncEngine
) -> None:
    rows = _walk(1, 200)
    await _write(engine, [row for row in rows if row.time.hour != 9])
    await maintain(owner)
    late = [row for row in rows if row.time.hour == 9]
    corrected = rows[50]._replace(price=1000.0)
    await _write(engine, [*late, corrected])
    await maintain(owner)
    assert await _held(engine) == _expected([*rows[:50], corrected, *rows[51:]])


async def test_the_same_rows_again_change_nothing(engine: AsyncEngine, owner: AsyncEngine) -> None:
    rows = _walk(1, 60)
    for _ in range(2):
        await _write(engine, rows)
        await maintain(owner, PRICE_HISTORY)
    assert await _held(engine) == _expected(rows)


async def test_rows_that_are_deleted_leave_their_day(
    engine: AsyncEngine, owner: AsyncEngine
) -> None:
    rows = _walk(1, 100)
    await _write(engine, rows)
    await maintain(owner, PRICE_HISTORY)
    gone = START.replace(hour=0) + DAY
    async with owner.begin() as connection:
        await connection.execute(
            text("DELETE FROM price_history WHERE time >= :first AND time < :last"),
            {"first": gone, "last": gone + DAY},
        )
    await maintain(owner, PRICE_HISTORY)
    left = [row for row in rows if not gone <= row.time < gone + DAY]
    assert await _held(engine) == _expected(left)


async def test_days_outlive_the_rows_behind_them(engine: AsyncEngine, owner: AsyncEngine) -> None:
    """Rows that retention takes away stay in the rollup, even when later rows change it."""
    today = now().replace(minute=0, second=0, microsecond=0)
    old = [Row(1, today - 40 * DAY + n * HOUR, 10.0 + n, 1.0) for n in range(48)]
    new = [Row(1, today - 2 * DAY + n * HOUR, 20.0 + n, 1.0) for n in range(30)]
    await _write(engine, [*old, *new])
    await maintain(owner, PRICE_HISTORY)
    before = await _held(engine)
    async with owner.begin() as connection:
        await connection.execute(
            text(
                "UPDATE rollups SET keep = now() - interval '30 days'"
                " WHERE table_name = 'price_history'"
            )
        )
        await connection.execute(
            text("DELETE FROM price_history WHERE time < now() - interval '30 days'")
        )
    later = new[-1]._replace(time=new[-1].time + HOUR, price=99.0)
    await _write(engine, [later], announced=False)
    await maintain(owner, PRICE_HISTORY)
    after = await _held(engine)
    assert after == before | _expected([*new, later])
    assert len(after) > len(_expected([*new, later]))


async def test_an_import_is_summed_up_when_it_commits(engine: AsyncEngine) -> None:
    """Readers of the rollup see an import at once, without any upkeep."""
    records = np.zeros(50, CANDLE_DTYPE)
    records["time"] = np.datetime64("2024-03-01", "us") + np.arange(50) * np.timedelta64(1, "h")
    for name in ("open", "high", "low", "close"):
        records[name] = 5.0 + np.arange(50)
    records["volume"] = 0.1
    async with transaction(engine, OWNER_ID) as session:
        await merge(session, store.CANDLES, {"symbol_id": 7, "timeframe": 3600}, records, now())
    async with transaction(engine, OWNER_ID) as session:
        found = await session.execute(
            text("SELECT open, high, low, close, volume, candles FROM candles_by_day ORDER BY day")
        )
        assert [tuple(row) for row in found] == [
            (5.0, 28.0, 5.0, 28.0, sum([0.1] * 24), 24),
            (29.0, 52.0, 29.0, 52.0, sum([0.1] * 24), 24),
            (53.0, 54.0, 53.0, 54.0, sum([0.1] * 2), 2),
        ]
        # Minutes are not summed up: they are kept for a shorter time.
        await merge(session, store.CANDLES, {"symbol_id": 7, "timeframe": 60}, records, now())
        count = "SELECT count(*) FROM candles_by_day WHERE timeframe = 60"
        assert await session.scalar(text(count)) == 0


async def test_imports_of_two_assets_do_not_wait_for_each_other(
    engine: AsyncEngine, owner: AsyncEngine
) -> None:
    async def add(session: AsyncSession, asset: int) -> None:
        rows = _walk(asset, 30)
        await ensure_chunks(session, PRICE_HISTORY, rows[0].time, rows[-1].time)
        await announce_change(session, PRICE_HISTORY, [asset], rows[0].time, rows[-1].time)
        await session.execute(
            text(
                "INSERT INTO price_history (asset_id, time, price_usd, volume_24h_usd, ingested_at)"
                " VALUES (:asset, :time, :price, :volume, now())"
            ),
            [row._asdict() for row in rows],
        )
        await session.execute(text(f"SELECT refresh_rollups('price_history', ARRAY[{asset}])"))

    await _write(engine, _walk(3, 5))
    async with asyncio.timeout(10):
        async with transaction(engine, OWNER_ID) as one, transaction(engine, OWNER_ID) as two:
            await add(one, 1)
            await add(two, 2)
    await maintain(owner, PRICE_HISTORY)
    assert await _held(engine) == _expected([*_walk(1, 30), *_walk(2, 30), *_walk(3, 5)])


async def test_two_keepers_at_once_wait_for_each_other(
    engine: AsyncEngine, owner: AsyncEngine
) -> None:
    """As when TimescaleDB's own job runs while somebody calls for the upkeep."""
    rows = [Row(1, START - 500 * DAY + n * DAY, 1.0 + n, None) for n in range(480)]
    await _write(engine, rows)
    await asyncio.gather(*(maintain(owner, PRICE_HISTORY) for _ in range(4)))
    assert await _held(engine) == _expected(rows)
