"""The gaps of a series: where rows were due and none is held, and why."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from seawall.db import bulk
from seawall.db.bulk import Column, instant
from seawall.market.calendar import next_trading_day, trading_day_number
from seawall.market.schemas import Gap, SeriesKind, Timeframe

ABSENT, NOT_IMPORTED, EXPIRED = "absent_in_source", "not_imported", "expired"
GAP_COLUMNS = (
    Column("start_time", "<M8[us]"),
    Column("end_time", "<M8[us]"),
    Column("missing", "<i8"),
)
Times = NDArray[np.datetime64]
Gaps = NDArray[np.void]
Explained = tuple[Gap, str]
"""A gap and its reason."""
_DAY, _DAY_MICROS = np.timedelta64(1, "D"), 86_400_000_000


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Which series: a pair's candles of a timeframe, its quotes or trades, or an asset's prices."""

    kind: SeriesKind
    timeframe: Timeframe | None = None
    symbol_id: int | None = None
    asset_id: int | None = None

    @property
    def subject(self) -> dict[str, int]:
        """The values of the columns that name the series in its table."""
        if self.asset_id is not None:
            return {"asset_id": self.asset_id}
        assert self.symbol_id is not None  # noqa: S101 - one of the two is set
        found = {"symbol_id": self.symbol_id}
        if self.kind is SeriesKind.CANDLES and self.timeframe is not None:
            found["timeframe"] = self.timeframe.seconds
        return found


def find_gaps(times: Times, timeframe: Timeframe) -> Gaps:
    """Find the stretches between sorted times that are longer than one candle.

    Shapes: (n,) times in, (g,) records of start_time, end_time and missing out.
    """
    micros = times.astype("<M8[us]").astype(np.int64)
    steps = np.diff(micros) // timeframe.micros
    return _gaps(micros, steps, timeframe.micros)


def find_index_gaps(times: Times) -> Gaps:
    """Find the trading days that an index' daily closes leave out.

    A close is held at the midnight after its day, so the day is the one before.
    """
    days = (times - _DAY).astype("<M8[D]")
    steps = np.diff(trading_day_number(days))
    found = _gaps(times.astype("<M8[us]").astype(np.int64), steps, _DAY_MICROS)
    found["start_time"] = next_trading_day(days[:-1][steps > 1]) + _DAY
    return found


def _gaps(micros: NDArray[np.int64], steps: NDArray[np.int64], length: int) -> Gaps:
    after = np.flatnonzero(steps > 1)
    found = np.empty(len(after), bulk.record_dtype(GAP_COLUMNS))
    found["start_time"] = (micros[after] + length).view("<M8[us]")
    found["end_time"] = micros[after + 1].view("<M8[us]")
    found["missing"] = steps[after] - 1
    return found


def gaps_of(key: SeriesKey, times: Times) -> Gaps | None:
    """Return a series' gaps; None for a series in which nothing can be said to be missing."""
    match key.kind:
        case SeriesKind.CANDLES if key.timeframe is not None:
            return find_gaps(times, key.timeframe)
        case SeriesKind.PRICES:
            return find_index_gaps(times)
        case _:
            return None


def following(key: SeriesKey, moment: datetime) -> datetime:
    """Return when the next row of a series is due."""
    if key.kind is SeriesKind.PRICES:
        (day,) = next_trading_day(_index_days(moment)) + _DAY
        return instant(day)
    assert key.timeframe is not None  # noqa: S101 - of the others nothing is due
    return moment + timedelta(seconds=key.timeframe.seconds)


def stretch(key: SeriesKey, start: datetime, end: datetime) -> Gap:
    """Return the gap from one instant to another, with how many rows were due in it.

    There are none, or less, where the end is not after the start.
    """
    if key.kind is SeriesKind.PRICES:
        (missing,) = np.diff(trading_day_number(_index_days(start, end)))
    else:
        assert key.timeframe is not None  # noqa: S101 - of the others nothing is due
        missing = (end - start) // timedelta(seconds=key.timeframe.seconds)
    return Gap(start, end, int(missing))


def _index_days(*moments: datetime) -> NDArray[np.datetime64]:
    times = [np.datetime64(each.replace(tzinfo=None), "us") for each in moments]
    days: NDArray[np.datetime64] = (np.array(times) - _DAY).astype("<M8[D]")
    return days


def edges(
    key: SeriesKey,
    times: Times,
    neighbours: tuple[datetime | None, datetime | None],
    known: Sequence[Explained],
) -> Iterator[Explained]:
    """Return the gaps from the held neighbours to `times`, which were written, with their reasons.

    A gap that was there keeps its reason on both sides of what now fills a part of it; `known` are
    all that were between the neighbours, in order. Some of what is returned may lack no row.
    """
    first, last = instant(times[0]), instant(times[-1])
    before, after = neighbours
    left = [each for each in known if each[0].start < first]
    right = [each for each in known if each[0].end > last]
    if before is not None or left:
        start = left[0][0].start if before is None else following(key, before)
        yield from _fill(key, start, first, left)
    if after is not None or right:
        end = right[-1][0].end if after is None else after
        yield from _fill(key, following(key, last), end, right)


def _fill(
    key: SeriesKey, start: datetime, end: datetime, known: Sequence[Explained]
) -> Iterator[Explained]:
    """Lay gaps from one instant to another: known ones, and that the rest was not imported."""
    for gap, reason in known:
        yield stretch(key, start, gap.start), NOT_IMPORTED
        yield stretch(key, max(start, gap.start), min(gap.end, end)), reason
        start = gap.end
    yield stretch(key, start, end), NOT_IMPORTED


def without(key: SeriesKey, gap: Gap, times: Sequence[datetime]) -> Iterator[Gap]:
    """Return what is left of a gap once rows at some times, in order, are held again."""
    start = gap.start
    for time in times:
        if start <= time < gap.end:
            yield stretch(key, start, time)
            start = following(key, time)
    yield stretch(key, start, gap.end)
