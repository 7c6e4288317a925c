"""Selling: days of volume, what stays unsold, and the square-root law."""

import math

import numpy as np
import pytest

from seawall.core.errors import InvalidError
from seawall.quant.stress.liquidity import days_to_exit, sold_within, square_root_impact

VALUES = [1_000_000.0, 5_000.0, 0.0, 100.0, 100.0, 0.0]
VOLUMES = [2_000_000.0, 1e9, 0.0, 0.0, math.nan, math.nan]


def test_days_are_the_value_over_a_share_of_the_volume() -> None:
    days = days_to_exit(VALUES, VOLUMES, 0.1)
    assert days[:4] == pytest.approx([5, 5e-5, 0, math.inf])
    assert np.isnan(days[4:]).all()


def test_what_is_sold_within_the_horizon() -> None:
    assert sold_within(VALUES[:4], VOLUMES[:4], 0.1, 2) == pytest.approx([400_000, 5_000, 0, 0])
    assert sold_within(VALUES[:2], VOLUMES[:2], 0.1, 5) == pytest.approx(VALUES[:2])
    assert math.isnan(sold_within([1.0], [math.nan], 0.1, 5)[0])


def test_impact_is_the_deviation_times_the_root_of_the_share() -> None:
    moved = square_root_impact([1_000_000.0, 250_000.0, 0.0], [4e6, 4e6, 0.0], [0.05, 0.05, 0.05])
    assert moved == pytest.approx([0.025, 0.0125, 0], rel=1e-15)
    # Four times the amount costs twice as much a unit.
    assert moved[0] == pytest.approx(2 * moved[1], rel=1e-15)
    assert square_root_impact([1e12], [1.0], [0.05])[0] == 1
    assert math.isnan(square_root_impact([1.0], [math.nan], [0.05])[0])
    assert math.isnan(square_root_impact([1.0], [1.0], [math.nan])[0])
    assert square_root_impact([1.0], [4.0], [0.1], 2.0)[0] == pytest.approx(0.1)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, math.nan])
def test_a_share_of_the_volume_is_above_none_and_at_most_all(share: float) -> None:
    with pytest.raises(InvalidError, match="share of the volume"):
        days_to_exit([1.0], [1.0], share)


def test_other_questions_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidError, match="horizon"):
        sold_within([1.0], [1.0], 0.1, 0)
    with pytest.raises(InvalidError, match="not negative"):
        days_to_exit([-1.0], [1.0], 0.1)
    with pytest.raises(InvalidError, match="1 values do not fit 2"):
        days_to_exit([1.0], [1.0, 1.0], 0.1)
    with pytest.raises(InvalidError, match="deviation"):
        square_root_impact([1.0], [1.0], [-0.1])
