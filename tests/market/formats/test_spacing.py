"""Timeframes: stated or seen, and what contradicts them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seawall.core.errors import InvalidError
from seawall.market.formats.spacing import USUAL, Stated, settle
from seawall.market.schemas import Timeframe

START = 1_704_067_200  # 2024-01-01, a Monday
SECOND = 1_000_000


def times(*seconds: int) -> NDArray[np.int64]:
    return (START + np.array(seconds, np.int64)) * SECOND


def every(step: int, count: int) -> NDArray[np.int64]:
    return times(*range(0, step * count, step))


def stated(text: str) -> Stated:
    return Stated(Timeframe.parse(text), "--timeframe")


@pytest.mark.parametrize("timeframe", USUAL, ids=str)
def test_seen_from_the_spacing(timeframe: Timeframe) -> None:
    aligned = (START * SECOND // timeframe.micros + np.arange(20)) * timeframe.micros
    found, off = settle(aligned, None, "x")
    assert (found, bool(off.any())) == (timeframe, False)


def test_gaps_do_not_matter() -> None:
    found, off = settle(times(0, 3600, 7200, 36_000, 39_600), None, "x")
    assert (str(found), bool(off.any())) == ("1h", False)


def test_nothing_can_be_seen_in_one_candle() -> None:
    assert settle(times(0), None, "x")[0] is None
    assert settle(times(), None, "x")[0] is None
    assert str(settle(times(0), stated("4h"), "x")[0]) == "4h"


def test_weeks_begin_on_the_day_on_which_they_do() -> None:
    assert str(settle(every(604_800, 12), None, "x")[0]) == "1w"


def test_an_unusual_spacing_must_be_stated() -> None:
    with pytest.raises(InvalidError, match="mostly 31d apart, which is no usual timeframe"):
        settle(every(31 * 86_400, 4), None, "x")
    with pytest.raises(InvalidError, match=r"mostly 0\.5 seconds apart"):
        settle(np.arange(4) * 500_000, None, "x")
    assert str(settle(every(420, 12), stated("7m"), "x")[0]) == "7m"


@pytest.mark.parametrize("count", [3, 9, 10, 500])
@pytest.mark.parametrize(
    ("wrong", "right"), [("1h", "1d"), ("1m", "1h"), ("4h", "12h"), ("1m", "5m")]
)
def test_stated_too_fine(wrong: str, right: str, count: int) -> None:
    spaced = every(Timeframe.parse(right).seconds, count)
    with pytest.raises(InvalidError, match=f"says timeframe {wrong}, but the candles are {right}"):
        settle(spaced, stated(wrong), "x")


@pytest.mark.parametrize("count", [2, 3, 50])
@pytest.mark.parametrize(
    ("wrong", "right"), [("1d", "1h"), ("5m", "1m"), ("1w", "1d"), ("1d", "12h")]
)
def test_stated_too_coarse(wrong: str, right: str, count: int) -> None:
    spaced = every(Timeframe.parse(right).seconds, count)
    with pytest.raises(InvalidError, match=f"timeframe {wrong}, but .* mostly {right} apart"):
        settle(spaced, stated(wrong), "x")


def test_sparse_seconds_need_only_fit() -> None:
    sparse = times(4, 30, 68, 69, 101, 131, 160, 190, 220, 257, 300)
    assert str(settle(sparse, stated("1s"), "x")[0]) == "1s"
    with pytest.raises(InvalidError, match=r"seem to be of 30s"):
        settle(sparse, None, "x")


def test_a_few_sparse_seconds_are_believed() -> None:
    assert str(settle(times(4, 30, 68), stated("1s"), "x")[0]) == "1s"


def test_days_of_another_time_zone_are_refused() -> None:
    with pytest.raises(InvalidError, match="such as 2024-01-01T05:00:00Z") as caught:
        settle(every(86_400, 5) + 5 * 3600 * SECOND, None, "x")
    assert "time zone" in caught.value.hint


def test_one_stray_in_hundreds_is_rejected_alone() -> None:
    spaced = every(3600, 300)
    spaced[150] += 720 * SECOND
    found, off = settle(spaced, stated("1h"), "x")
    assert (str(found), np.flatnonzero(off).tolist()) == ("1h", [150])
    with pytest.raises(InvalidError, match="1 of 50 do not open at a multiple"):
        settle(every(3600, 50) + (np.arange(50) == 20) * SECOND, stated("1h"), "x")


@given(
    st.sampled_from([timeframe for timeframe in USUAL if timeframe.seconds >= 3600]),
    st.lists(st.integers(0, 3), min_size=12, max_size=40),
)
def test_what_is_stated_rightly_is_never_refused(timeframe: Timeframe, gaps: list[int]) -> None:
    # More whole candles than gaps, so that the commonest spacing is the timeframe.
    steps = np.concatenate([np.array(gaps) + 1, np.ones(41, np.int64)])
    spaced = np.concatenate([[0], np.cumsum(steps)]) * timeframe.micros
    assert settle(spaced, Stated(timeframe, "x"), "x")[0] == timeframe
    assert settle(spaced, None, "x")[0] == timeframe
