"""Prices as of an instant, as they were known at another."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import parse_time
from seawall.db.bulk import Records, instant
from seawall.db.merge import merge
from seawall.market import series, store
from seawall.market.ingest import ingest
from seawall.market.schemas import ParsedFile, Timeframe

Make = Callable[..., ParsedFile]
DAILY, HOURLY = Timeframe(86_400), Timeframe(3600)
MOMENT = timedelta(microseconds=1)
EVER = (datetime(1950, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
FIRST = datetime(2024, 2, 1, 9, tzinfo=UTC)
SECOND, THIRD = FIRST + timedelta(hours=1), FIRST + timedelta(hours=2)
BTC, INDEX = 1, 2


async def _write(
    session: AsyncSession, parsed: ParsedFile, stamp: datetime = FIRST, timeframe: Timeframe = DAILY
) -> None:
    subject = {"symbol_id": BTC, "timeframe": timeframe.seconds}
    await merge(session, store.CANDLES, subject, parsed.records, stamp)


def _shown(closes: Records) -> list[tuple[str, float]]:
    return [(f"{instant(row['known']):%m-%d %H:%M}", float(row["close"])) for row in closes]


async def _daily(
    session: AsyncSession,
    between: tuple[datetime, datetime] = EVER,
    known_at: datetime = THIRD,
    timeframe: Timeframe = DAILY,
) -> list[tuple[str, float]]:
    candles = (BTC, timeframe)
    return _shown((await series.daily_closes(session, [candles], between, known_at))[candles])


async def _last(
    session: AsyncSession,
    as_of: str | datetime,
    known_at: datetime = THIRD,
    timeframe: Timeframe = DAILY,
) -> float | None:
    moment = parse_time(as_of) if isinstance(as_of, str) else as_of
    candles = (BTC, timeframe)
    found = (await series.last_closes(session, [candles], [moment], known_at))[candles]
    return found[moment][1] if found else None


async def test_a_daily_candle_is_known_at_its_end_and_not_before(
    session: AsyncSession, candles: Make
) -> None:
    await _write(session, candles(["2024-01-14", "2024-01-15"], [14, 15]))
    end = datetime(2024, 1, 16, tzinfo=UTC)
    day = timedelta(days=1)
    moments = [end, end - day - MOMENT, end - MOMENT, end + 9 * day]
    assert (await series.last_closes(session, [(BTC, DAILY)], moments, THIRD))[BTC, DAILY] == {
        end: (end, 15),
        end - MOMENT: (end - day, 14),
        end + 9 * day: (end, 15),
    }
    assert await _daily(session, (EVER[0], end)) == [("01-15 00:00", 14), ("01-16 00:00", 15)]
    assert await _daily(session, (EVER[0], end - day)) == [("01-15 00:00", 14)]


async def test_an_hourly_candle_is_known_at_its_end_and_not_before(
    session: AsyncSession, candles: Make
) -> None:
    await _write(session, candles(["2024-01-15T22:00", "2024-01-15T23:00"], [1, 2]), FIRST, HOURLY)
    assert await _last(session, "2024-01-15T22:59:59.999999", timeframe=HOURLY) is None
    assert await _last(session, "2024-01-15T23:00", timeframe=HOURLY) == 1
    assert await _last(session, "2024-01-16", timeframe=HOURLY) == 2


async def test_no_moments_have_no_closes(session: AsyncSession) -> None:
    assert await series.last_closes(session, [(BTC, DAILY)], [], THIRD) == {(BTC, DAILY): {}}


async def test_both_ends_of_the_range_are_in_it(session: AsyncSession, candles: Make) -> None:
    await _write(session, candles([f"2024-01-{day:02}" for day in range(1, 8)], range(1, 8)))
    ends = parse_time("2024-01-03"), parse_time("2024-01-05")
    assert await _daily(session, ends) == [
        ("01-03 00:00", 2),
        ("01-04 00:00", 3),
        ("01-05 00:00", 4),
    ]
    assert await _daily(session, (ends[0], ends[0])) == [("01-03 00:00", 2)]
    assert await _daily(session, (ends[1], ends[0])) == []


async def test_a_day_without_a_candle_is_left_out(session: AsyncSession, candles: Make) -> None:
    await _write(session, candles(["2023-12-30", "2024-01-02"], [1, 2]))
    assert await _daily(session) == [("12-31 00:00", 1), ("01-03 00:00", 2)]


async def test_intraday_candles_give_the_closes_of_midnights_alone(
    session: AsyncSession, candles: Make
) -> None:
    hours = [datetime(2024, 1, 1, 20, tzinfo=UTC) + timedelta(hours=hour) for hour in range(30)]
    # The hour that ends at the second midnight is missing, so that day has no close.
    held = [hour for hour in hours if hour != datetime(2024, 1, 2, 23, tzinfo=UTC)]
    await _write(session, candles(held, [hour.hour + 1 for hour in held]), FIRST, HOURLY)
    assert await _daily(session, timeframe=HOURLY) == [("01-02 00:00", 24)]
    quarter = Timeframe(900)
    await _write(session, candles(["1969-12-31T23:45", "1970-01-01T00:00"], [7, 8]), FIRST, quarter)
    assert await _daily(session, timeframe=quarter) == [("01-01 00:00", 7)]


async def test_daily_candles_that_close_at_another_hour_give_no_midnights(
    session: AsyncSession, candles: Make
) -> None:
    await _write(session, candles(["2024-01-01T08:00", "2024-01-02T08:00"]))
    assert await _daily(session) == []
    assert await _last(session, "2024-01-02T08:00") == 100


async def test_rows_that_came_later_are_not_seen(session: AsyncSession, candles: Make) -> None:
    await _write(session, candles(["2024-01-01", "2024-01-02"], [1, 2]), FIRST)
    await _write(session, candles(["2023-12-31", "2024-01-03"], [0.5, 3]), SECOND)
    assert await _daily(session, known_at=FIRST - MOMENT) == []
    assert await _daily(session, known_at=FIRST) == [("01-02 00:00", 1), ("01-03 00:00", 2)]
    assert await _daily(session, known_at=SECOND - MOMENT) == [
        ("01-02 00:00", 1),
        ("01-03 00:00", 2),
    ]
    assert len(await _daily(session, known_at=SECOND)) == 4
    assert await _last(session, "2024-02-01", FIRST - MOMENT) is None
    assert await _last(session, "2024-02-01", FIRST) == 2
    assert await _last(session, "2024-02-01", SECOND) == 3


async def test_rows_that_were_revised_are_seen_as_they_were(
    session: AsyncSession, candles: Make
) -> None:
    await _write(session, candles(["2024-01-01", "2024-01-02"], [1, 2]), FIRST)
    await _write(session, candles(["2024-01-02"], [20]), SECOND)
    await _write(session, candles(["2024-01-01", "2024-01-02"], [100, 200]), THIRD)
    seen = [
        (FIRST, [1, 2]),
        (SECOND - MOMENT, [1, 2]),
        (SECOND, [1, 20]),
        (THIRD - MOMENT, [1, 20]),
        (THIRD, [100, 200]),
        (THIRD + timedelta(days=9), [100, 200]),
    ]
    for known_at, closes in seen:
        assert [close for _, close in await _daily(session, known_at=known_at)] == closes
        assert await _last(session, "2024-02-01", known_at) == closes[-1]


async def test_an_index_is_seen_as_it_was_known_too(session: AsyncSession, closes: Make) -> None:
    async def write(parsed: ParsedFile, stamp: datetime) -> None:
        await merge(session, store.PRICES, {"asset_id": INDEX}, parsed.records, stamp)

    async def read(known_at: datetime, end: datetime = EVER[1]) -> list[float]:
        found = await series.index_closes(session, INDEX, (EVER[0], end), known_at)
        return [close for _, close in _shown(found)]

    await write(closes(["2024-01-03", "2024-01-04"], [4742.83, 4704.81]), FIRST)
    await write(closes(["2024-01-04", "2024-01-05"], [4704.5, 4688.68]), SECOND)
    assert await read(FIRST - MOMENT) == []
    assert await read(SECOND - MOMENT) == [4742.83, 4704.81]
    assert await read(SECOND) == [4742.83, 4704.5, 4688.68]
    assert await read(SECOND, datetime(2024, 1, 4, tzinfo=UTC)) == [4742.83, 4704.5]
    assert await read(SECOND, datetime(2024, 1, 4, tzinfo=UTC) - MOMENT) == [4742.83]


async def test_the_first_candle_is_the_first_that_was_known(
    session: AsyncSession, candles: Make
) -> None:
    async def first(known_at: datetime) -> datetime | None:
        return (await series.first_closes(session, [(BTC, DAILY)], known_at)).get((BTC, DAILY))

    await _write(session, candles(["2024-01-05", "2024-01-06"], [5, 6]), FIRST)
    await _write(session, candles(["2024-01-03", "2024-01-05"], [3, 50]), SECOND)
    assert await first(FIRST - MOMENT) is None
    assert await first(FIRST) == await first(SECOND - MOMENT) == parse_time("2024-01-05")
    assert await first(SECOND) == parse_time("2024-01-03")
    assert await series.first_closes(session, [(BTC, HOURLY)], THIRD) == {}


async def test_series_do_not_see_each_other(session: AsyncSession, candles: Make) -> None:
    await _write(session, candles(["2024-01-01"], [1]))
    other = (BTC + 1, DAILY)
    found = (await series.daily_closes(session, [other], EVER, THIRD))[other]
    assert len(found) == 0
    assert await _daily(session, timeframe=HOURLY) == []
    assert await _last(session, "2024-02-01", timeframe=HOURLY) is None


@pytest.mark.parametrize("held", [["1d", "1h", "15m"], ["1m", "1d"], ["1w", "4h", "7h"]])
async def test_timeframes_of_a_day_or_less_are_listed_the_longest_first(
    session: AsyncSession, candles: Make, held: list[str]
) -> None:
    for timeframe in held:
        await ingest(session, candles(["2024-01-01"], timeframe=timeframe), "file")
    pair = (await store.list_symbols_of(session, [(await store.list_assets(session))[0].id]))[0]
    expected = [each for each in ("1d", "4h", "1h", "15m", "1m") if each in held]
    found = await series.timeframes_of(session, [pair.id, 999])
    assert {key: list(map(str, value)) for key, value in found.items()} == {pair.id: expected}
    assert await series.timeframes_of(session, []) == {}
