"""Made-up prices: they end where they are wanted, and their candles are whole."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from seawall.ops.seeds.paths import DAY_STEPS, Coin, Paths, walk

UNTIL = datetime(2024, 5, 6, 14, 30, tzinfo=UTC)
COINS = (
    Coin("BIG", "Big", 43_000, 0.5, 1e7, 1e9),
    Coin("SMALL", "Small", 0.0000095, 1.1, 1e14, 1e7),
)


@pytest.fixture(scope="module")
def paths() -> Paths:
    """Two coins for ten days."""
    return walk(COINS, 10, UNTIL, seed=1)


def test_they_end_at_the_wanted_price(paths: Paths) -> None:
    assert paths.prices[-1].tolist() == [43_000, 0.0000095]
    assert paths.times[-1] == np.datetime64("2024-05-06T14:30")
    assert len(paths.prices) == 10 * DAY_STEPS + 1
    assert paths.ranks.tolist() == [2 - (43_000 * 1e7 > 0.0000095 * 1e14), 2]


def test_they_move_as_much_as_they_are_to(paths: Paths) -> None:
    long = walk(COINS, 365, UNTIL, seed=2)
    deviation = np.diff(np.log(long.prices), axis=0).std(axis=0) * np.sqrt(365 * DAY_STEPS)
    assert deviation == pytest.approx([0.5, 1.1], rel=0.03)
    assert (paths.prices > 0).all()


def test_the_same_seed_makes_the_same_whenever_they_end(paths: Paths) -> None:
    later = walk(COINS, 10, UNTIL + timedelta(days=3), seed=1)
    assert (later.prices == paths.prices).all()
    assert (walk(COINS, 10, UNTIL, seed=3).prices != paths.prices).any()


def test_days_are_whole_and_begin_at_midnight(paths: Paths) -> None:
    days = paths.day_candles(0)
    assert days.time[0] == np.datetime64("2024-04-27")
    assert days.time[-1] == np.datetime64("2024-05-05")
    assert (np.diff(days.time) == np.timedelta64(1, "D")).all()
    at = np.searchsorted(paths.times, np.datetime64("2024-05-05"))
    assert days.open[-1] == paths.prices[at, 0]
    assert days.close[-1] == paths.prices[at + DAY_STEPS, 0]
    assert days.high[-1] == paths.prices[at : at + DAY_STEPS + 1, 0].max()
    assert days.low[-1] == paths.prices[at : at + DAY_STEPS + 1, 0].min()


def test_half_hours_end_with_the_newest_price(paths: Paths) -> None:
    steps = paths.step_candles(1, 48)
    assert len(steps.time) == 48
    assert steps.time[-1] == np.datetime64("2024-05-06T14:00")
    assert steps.close[-1] == paths.prices[-1, 1]
    assert (steps.open[1:] == steps.close[:-1]).all()
