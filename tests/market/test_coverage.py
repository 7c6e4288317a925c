"""What is held and what is missing stays right, in whatever order files come."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market.calendar import is_trading_day
from seawall.market.coverage import Coverage, list_coverage
from seawall.market.gaps import ABSENT, NOT_IMPORTED
from seawall.market.ingest import ingest
from seawall.market.schemas import ParsedFile
from seawall.market.tables import DataGap

Make = Callable[..., ParsedFile]
Found = list[tuple[int, int, int, str]]
START = datetime(2023, 12, 20, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = count()


def _days(numbers: set[int] | list[int]) -> list[datetime]:
    return [START + number * DAY for number in sorted(numbers)]


def _gaps(held: Coverage) -> Found:
    return [
        ((gap.start - START) // DAY, (gap.end - START) // DAY, gap.missing, reason)
        for gap, reason in held.gaps
    ]


async def _import(session: AsyncSession, make: Make, *files: list[int]) -> Coverage:
    for days in files:
        await ingest(session, make(_days(days)), "file")
    (held,) = await list_coverage(session)
    assert held.missing == sum(missing for *_, missing, _ in _gaps(held))
    assert held.gap_count == len(held.gaps)
    return held


async def test_a_hole_in_a_file_is_absent_in_its_source(
    session: AsyncSession, candles: Make
) -> None:
    held = await _import(session, candles, [0, 1, 4, 6])
    assert _gaps(held) == [(2, 4, 2, ABSENT), (5, 6, 1, ABSENT)]


async def test_a_hole_between_files_was_not_imported(session: AsyncSession, candles: Make) -> None:
    assert _gaps(await _import(session, candles, [0, 1], [5, 6])) == [(2, 5, 3, NOT_IMPORTED)]
    assert _gaps(await _import(session, candles, [8, 9], [-2])) == [
        (-1, 0, 1, NOT_IMPORTED),
        (2, 5, 3, NOT_IMPORTED),
        (7, 8, 1, NOT_IMPORTED),
    ]


async def test_files_that_touch_leave_no_gap(session: AsyncSession, candles: Make) -> None:
    held = await _import(session, candles, [3, 4], [5, 6], [1, 2])
    assert (_gaps(held), held.rows, held.missing) == ([], 6, 0)


async def test_a_file_within_a_gap_splits_it(session: AsyncSession, candles: Make) -> None:
    held = await _import(session, candles, [0], [9], [4, 5])
    assert _gaps(held) == [(1, 4, 3, NOT_IMPORTED), (6, 9, 3, NOT_IMPORTED)]


async def test_what_its_source_lacked_stays_absent_beside_what_fills_a_part(
    session: AsyncSession, candles: Make
) -> None:
    held = await _import(session, candles, [0, 1, 8, 9], [4, 5])
    assert _gaps(held) == [(2, 4, 2, ABSENT), (6, 8, 2, ABSENT)]
    held = await _import(session, candles, [8, 9], [0, 1], [9, 10])
    assert _gaps(held) == [(2, 4, 2, ABSENT), (6, 8, 2, ABSENT)]


async def test_a_file_that_fills_a_gap_closes_it(session: AsyncSession, candles: Make) -> None:
    held = await _import(session, candles, [0, 4, 8], [1, 2, 3])
    assert _gaps(held) == [(5, 8, 3, ABSENT)]
    assert _gaps(await _import(session, candles, [4, 5, 6, 7, 8])) == []


async def test_a_file_bridges_several_gaps(session: AsyncSession, candles: Make) -> None:
    held = await _import(session, candles, [0], [4], [8], [2, 3, 5, 9])
    assert _gaps(held) == [(1, 2, 1, NOT_IMPORTED), (6, 8, 2, ABSENT)]


async def test_the_same_again_keeps_gaps_and_reasons(session: AsyncSession, candles: Make) -> None:
    first = await _import(session, candles, [0, 3], [7, 9])
    again = await _import(session, candles, [0, 3], [7, 9], [3], [7])
    assert _gaps(again) == _gaps(first)
    assert _gaps(first) == [(1, 3, 2, ABSENT), (4, 7, 3, NOT_IMPORTED), (8, 9, 1, ABSENT)]


async def test_an_index_lacks_trading_days_alone(session: AsyncSession, closes: Make) -> None:
    # The closes of Friday 22 December, of Tuesday after Christmas, and of Tuesday 2 January.
    held = await _import(session, closes, [3], [7], [14])
    assert (held.missing, held.symbol, held.kind) == (3, "SP500", "prices")
    assert [(missing, reason) for *_, missing, reason in _gaps(held)] == [(3, NOT_IMPORTED)]
    assert (await _import(session, closes, [8, 9, 10])).missing == 0


async def test_series_do_not_mix_their_gaps(session: AsyncSession, candles: Make) -> None:
    for symbol, days in (("BTC/USDT", [0, 9]), ("ETH/USDT", [0, 1, 5, 9])):
        await ingest(session, candles(_days(days), symbol=symbol), "file")
    found = {each.symbol: _gaps(each) for each in await list_coverage(session)}
    assert found == {
        "BTC/USDT": [(1, 9, 8, ABSENT)],
        "ETH/USDT": [(2, 5, 3, ABSENT), (6, 9, 3, ABSENT)],
    }
    assert await session.scalar(select(func.count()).select_from(DataGap)) == 3


def _from_scratch(files: list[set[int]], *, is_index: bool) -> Found:
    """Compute the gaps of all that is held, knowing only the files."""
    held = sorted(set().union(*files))
    found: Found = []
    for left, right in pairwise(held):
        missing = list(range(left + 1, right))
        if is_index:
            days = np.array([(START + (each - 1) * DAY).date() for each in missing], "<M8[D]")
            missing = [
                each for each, opened in zip(missing, is_trading_day(days), strict=True) if opened
            ]
        if missing:
            covered = any(min(days) <= left and right <= max(days) for days in files)
            found.append((missing[0], right, len(missing), ABSENT if covered else NOT_IMPORTED))
    return found


def _trading(numbers: Iterator[int] | range) -> list[int]:
    days = list(numbers)
    dates = np.array([(START + (each - 1) * DAY).date() for each in days], "<M8[D]")
    return [day for day, opened in zip(days, is_trading_day(dates), strict=True) if opened]


def _files(days: list[int]) -> st.SearchStrategy[list[set[int]]]:
    return st.lists(st.sets(st.sampled_from(days), min_size=1, max_size=8), min_size=1, max_size=6)


with_database = settings(
    max_examples=30,
    deadline=None,
    # Each example has a series of its own in the one database.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@with_database
@given(_files(list(range(25))))
async def test_any_order_of_files_ends_as_if_computed_from_scratch(
    engine: AsyncEngine, candles: Make, files: list[set[int]]
) -> None:
    symbol = f"C{next(NAMES)}/USD"
    await _check(engine, lambda days: candles(days, symbol=symbol), files, is_index=False)


@with_database
@given(_files(_trading(range(30))))
async def test_any_order_of_files_of_an_index_does_too(
    engine: AsyncEngine, closes: Make, files: list[set[int]]
) -> None:
    symbol = f"INDEX{next(NAMES)}"
    await _check(engine, lambda days: replace(closes(days), symbol=symbol), files, is_index=True)


async def _check(
    engine: AsyncEngine,
    make: Callable[[list[datetime]], ParsedFile],
    files: list[set[int]],
    *,
    is_index: bool,
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        for days in files:
            symbol = (await ingest(session, make(_days(days)), "file")).symbol
        every = await list_coverage(session, longest=100)
        (held,) = [each for each in every if each.symbol == symbol]
        days = set().union(*files)
        expected = _from_scratch(files, is_index=is_index)
        assert held.rows == len(days)
        assert (held.first_time, held.last_time) == (
            START + min(days) * DAY,
            START + max(days) * DAY,
        )
        assert _gaps(held) == expected
        assert held.missing == sum(missing for *_, missing, _ in expected)
        await session.rollback()
