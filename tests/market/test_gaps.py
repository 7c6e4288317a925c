"""Finding what is missing between times."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.market.gaps import find_gaps, find_index_gaps
from seawall.market.schemas import Timeframe

HOUR = Timeframe(3600)


def _times(*given: str) -> np.ndarray:
    return np.array(given, "<M8[us]")


def _shown(gaps: np.ndarray) -> list[tuple[str, str, int]]:
    return [
        (str(gap["start_time"])[:16], str(gap["end_time"])[:16], int(gap["missing"]))
        for gap in gaps
    ]


def test_a_gap_begins_at_the_first_missing_and_ends_at_the_next_held() -> None:
    times = _times("2024-01-01T00:00", "2024-01-01T01:00", "2024-01-01T04:00", "2024-01-01T06:00")
    assert _shown(find_gaps(times, HOUR)) == [
        ("2024-01-01T02:00", "2024-01-01T04:00", 2),
        ("2024-01-01T05:00", "2024-01-01T06:00", 1),
    ]


@pytest.mark.parametrize("timeframe", ["1s", "1m", "4h", "1d", "1w"])
def test_even_times_have_no_gap(timeframe: str) -> None:
    length = Timeframe.parse(timeframe)
    times = np.datetime64("1969-12-01", "us") + np.arange(50) * np.timedelta64(length.micros, "us")
    assert len(find_gaps(times, length)) == 0
    assert find_gaps(np.delete(times, [10, 11]), length)["missing"].tolist() == [2]


def test_one_time_and_none_have_no_gap() -> None:
    assert len(find_gaps(_times("2024-01-01"), HOUR)) == 0
    assert len(find_gaps(_times(), HOUR)) == 0
    assert len(find_index_gaps(_times("2024-01-02"))) == 0


def test_a_stretch_that_is_no_multiple_counts_its_whole_candles() -> None:
    times = _times("2024-01-01T00:00", "2024-01-01T01:30", "2024-01-01T04:00")
    assert _shown(find_gaps(times, HOUR)) == [("2024-01-01T02:30", "2024-01-01T04:00", 1)]


@given(st.sets(st.integers(0, 60), min_size=1))
def test_gaps_and_times_fill_the_range_without_overlap(hours: set[int]) -> None:
    start, hour = np.datetime64("2024-02-28T12:00", "us"), np.timedelta64(1, "h")
    times = start + np.array(sorted(hours)) * hour
    held = {str(time) for time in times}
    missing: list[str] = []
    for gap in find_gaps(times, HOUR):
        stretch = np.arange(gap["start_time"], gap["end_time"], hour)
        assert len(stretch) == gap["missing"]
        missing += [str(time) for time in stretch]
    every = {str(time) for time in np.arange(times[0], times[-1] + hour, hour)}
    assert len(missing) == len(set(missing))
    assert set(missing) == every - held


def test_week_ends_and_holidays_are_no_gaps_of_an_index() -> None:
    # Thursday's close, then Monday's after Good Friday, and a week that was left out.
    times = _times("2024-03-29", "2024-04-02", "2024-04-09")
    found = find_index_gaps(times)
    assert found["missing"].tolist() == [4]
    assert str(found["end_time"][0])[:10] == "2024-04-09"


def test_a_day_of_mourning_is_no_gap_of_an_index() -> None:
    assert len(find_index_gaps(_times("2018-12-05", "2018-12-07"))) == 0
    assert find_index_gaps(_times("2018-12-04", "2018-12-07"))["missing"].tolist() == [1]
