"""What was known at an instant stays what was known then, whoever writes meanwhile."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.locks import clock, lock_prices
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market import series, store
from seawall.market.ingest import ingest
from seawall.market.schemas import ParsedFile, Timeframe
from seawall.market.tables import Candle

Make = Callable[..., ParsedFile]
DAILY = Timeframe(86_400)
EVER = (datetime(1950, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
START = datetime(2024, 1, 1, tzinfo=UTC)
Closes = list[float]


async def _bitcoin(engine: AsyncEngine, candles: Make) -> int:
    """Make the pair known with one candle; return its id."""
    async with transaction(engine, OWNER_ID) as session:
        await ingest(session, candles([START], 1), "file")
        asset = (await store.find_assets(session, ["BTC"]))["BTC"].id
        return (await store.list_symbols_of(session, [asset]))[0].id


async def _closes(session: AsyncSession, pair: int, known_at: datetime) -> Closes:
    found = (await series.daily_closes(session, [(pair, DAILY)], EVER, known_at))[pair, DAILY]
    closes: Closes = found["close"].tolist()
    return closes


async def _measure(engine: AsyncEngine, pair: int) -> tuple[datetime, Closes]:
    async with transaction(engine, OWNER_ID) as session:
        await lock_prices(session, ["BTC"], shared=True)
        known_at = await clock(session)
        return known_at, await _closes(session, pair, known_at)


async def _recall(engine: AsyncEngine, pair: int, known_at: datetime) -> Closes:
    async with transaction(engine, OWNER_ID) as session:
        return await _closes(session, pair, known_at)


async def test_a_reader_waits_for_the_writer_and_then_sees_all_of_it(
    engine: AsyncEngine, candles: Make
) -> None:
    pair = await _bitcoin(engine, candles)
    async with transaction(engine, OWNER_ID) as writer:
        await ingest(writer, candles([START, START + timedelta(days=1)], [10, 20]), "file")
        stamp = (await writer.scalars(select(func.max(Candle.ingested_at)))).one()
        reading = asyncio.create_task(_measure(engine, pair))
        done, _ = await asyncio.wait([reading], timeout=0.3)
        assert not done
    known_at, closes = await reading
    assert closes == [10, 20]
    assert stamp < known_at
    assert await _recall(engine, pair, stamp - timedelta(microseconds=1)) == [1]


async def test_a_writer_waits_for_the_reader_and_stamps_after_it(
    engine: AsyncEngine, candles: Make
) -> None:
    pair = await _bitcoin(engine, candles)

    async def write() -> None:
        async with transaction(engine, OWNER_ID) as session:
            await ingest(session, candles([START, START + timedelta(days=1)], [10, 20]), "file")

    async with transaction(engine, OWNER_ID) as reader:
        await lock_prices(reader, ["BTC"], shared=True)
        writing = asyncio.create_task(write())
        done, _ = await asyncio.wait([writing], timeout=0.3)
        assert not done
        # The writer has begun long ago, but stamps only what the reader's end lets it write.
        known_at = await clock(reader)
        assert await _closes(reader, pair, known_at) == [1]
    await writing
    assert await _recall(engine, pair, known_at) == [1]
    assert await _recall(engine, pair, datetime.now(UTC) + timedelta(hours=1)) == [10, 20]


async def test_readers_do_not_wait_for_each_other(engine: AsyncEngine, candles: Make) -> None:
    pair = await _bitcoin(engine, candles)
    async with asyncio.timeout(10), transaction(engine, OWNER_ID) as reader:
        await lock_prices(reader, ["BTC"], shared=True)
        known_at, closes = await _measure(engine, pair)
        assert closes == [1]
        assert known_at < await clock(reader)


async def test_a_writer_of_another_asset_does_not_wait(engine: AsyncEngine, candles: Make) -> None:
    await _bitcoin(engine, candles)
    async with asyncio.timeout(10), transaction(engine, OWNER_ID) as reader:
        await lock_prices(reader, ["BTC"], shared=True)
        async with transaction(engine, OWNER_ID) as writer:
            await ingest(writer, candles([START], symbol="ETH/USDT"), "file")


async def test_whatever_was_measured_amid_writers_is_measured_again(
    engine: AsyncEngine, candles: Make
) -> None:
    pair = await _bitcoin(engine, candles)

    async def write(number: int) -> None:
        days = [START + timedelta(days=day) for day in range(number % 5 + 1)]
        async with transaction(engine, OWNER_ID) as session:
            await ingest(session, candles(days, 100 + number), "file")

    async def measure() -> list[tuple[datetime, Closes]]:
        return [await _measure(engine, pair) for _ in range(15)]

    readers = [asyncio.create_task(measure()) for _ in range(2)]
    await asyncio.gather(*readers, *(write(number) for number in range(15)))
    measured = [each for reader in readers for each in reader.result()]
    assert len({tuple(closes) for _, closes in measured}) > 1
    for known_at, closes in measured:
        assert await _recall(engine, pair, known_at) == closes
