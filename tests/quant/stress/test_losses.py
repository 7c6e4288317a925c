"""Losses under shocks and along paths: linear, additive, monotone, and recovered when they are."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seawall.core.errors import InvalidError
from seawall.quant.stress.losses import path_losses, rows_to_recover, scenario_loss, worst_of
from seawall.quant.types import FloatArray

WEIGHT = st.floats(-2, 2, allow_subnormal=False)
SHOCK = st.floats(-1, 3, allow_subnormal=False)
FIVE = settings(max_examples=50, deadline=None)


def test_a_loss_is_the_weighed_fall() -> None:
    assert scenario_loss([0.5, 0.3, 0.2], [-0.4, -0.5, 0.1]) == pytest.approx(0.33, abs=1e-15)
    assert scenario_loss([1.0], [0.25]) == -0.25
    assert scenario_loss([-0.5, 1.5], [-0.4, -0.4]) == pytest.approx(0.4, abs=1e-15)
    assert scenario_loss([], []) == 0.0


def test_what_is_not_known_is_nan_only_where_it_is_held() -> None:
    assert math.isnan(scenario_loss([0.5, 0.5], [-0.4, math.nan]))
    assert scenario_loss([1.0, 0.0], [-0.4, math.nan]) == 0.4


@pytest.mark.parametrize("shock", [-1.0001, math.inf, -math.inf])
def test_a_shock_that_no_price_can_take_is_refused(shock: float) -> None:
    with pytest.raises(InvalidError, match="A shock of"):
        scenario_loss([1.0], [shock])
    with pytest.raises(InvalidError, match="2 shocks do not fit 1 weights"):
        scenario_loss([1.0], [0.1, 0.1])


@FIVE
@given(
    arrays(float, 4, elements=WEIGHT),
    arrays(float, 4, elements=WEIGHT),
    arrays(float, 4, elements=SHOCK),
    WEIGHT,
)
def test_losses_are_linear_in_the_weights_and_additive_over_assets(
    one: FloatArray, other: FloatArray, shocks: FloatArray, factor: float
) -> None:
    both = scenario_loss(one + factor * other, shocks)
    parts = scenario_loss(one, shocks) + factor * scenario_loss(other, shocks)
    assert both == pytest.approx(parts, abs=1e-11)
    singly = sum(scenario_loss(one[[at]], shocks[[at]]) for at in range(4))
    assert scenario_loss(one, shocks) == pytest.approx(singly, abs=1e-12)


@FIVE
@given(
    arrays(float, 4, elements=st.floats(0, 2)),
    arrays(float, 4, elements=st.floats(-1, 1)),
    arrays(float, 4, elements=st.floats(0, 1)),
)
def test_a_deeper_shock_never_loses_less_of_a_long_portfolio(
    weights: FloatArray, shocks: FloatArray, share: FloatArray
) -> None:
    deeper = shocks - share * (shocks + 1)
    assert scenario_loss(weights, np.maximum(deeper, -1)) >= scenario_loss(weights, shocks) - 1e-12


def test_a_path_is_that_of_a_portfolio_left_alone() -> None:
    relatives = np.array([[1.0, 1.0], [0.5, 1.2], [0.8, 0.4], [1.1, 1.0]])
    losses = path_losses([0.6, 0.4], relatives)
    assert losses == pytest.approx([0, 0.22, 0.36, -0.06], abs=1e-15)
    worst = worst_of(losses)
    assert (worst.worst_row, worst.worst, worst.end) == (2, losses[2], losses[3])
    assert rows_to_recover(losses, worst.worst_row) == 1


def test_recovery_counts_from_the_worst_row_and_may_not_come() -> None:
    losses = np.array([0.0, 0.3, 0.1, math.nan, 0.05, 0.0, -0.2])
    assert rows_to_recover(losses, 1) == 4
    assert rows_to_recover(losses[:5], 1) is None
    assert rows_to_recover([0.0, -0.1], 0) == 0


def test_a_path_that_is_not_known_has_no_worst_point() -> None:
    losses = path_losses([0.5, 0.5], np.array([[1.0, 1.0], [0.5, math.nan]]))
    worst = worst_of(losses)
    assert math.isnan(worst.worst)
    assert math.isnan(worst.end)
    assert path_losses([1.0, 0.0], np.array([[1.0, math.nan], [0.5, math.nan]])).tolist() == [
        0,
        0.5,
    ]


def test_the_first_of_equal_worst_points_is_taken() -> None:
    assert worst_of([0.0, 0.2, 0.1, 0.2]).worst_row == 1


def test_paths_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidError, match="do not fit 1 weights"):
        path_losses([1.0], np.ones((3, 2)))
    with pytest.raises(InvalidError, match="negative or infinite"):
        path_losses([1.0], np.array([[1.0], [-0.1]]))
    with pytest.raises(InvalidError, match="without rows"):
        worst_of([])
    with pytest.raises(InvalidError, match="Row 3 is not one of 3"):
        rows_to_recover([0.0, 0.1, 0.2], 3)


@FIVE
@given(
    arrays(float, (6, 3), elements=st.floats(0.01, 4)),
    arrays(float, 3, elements=st.floats(0, 1)),
)
def test_the_path_of_losses_is_linear_and_its_worst_is_no_less_than_its_end(
    prices: FloatArray, weights: FloatArray
) -> None:
    relatives = prices / prices[0]
    losses = path_losses(weights, relatives)
    doubled = path_losses(2 * weights, relatives)
    assert doubled == pytest.approx(2 * losses, rel=1e-12, abs=1e-12)
    worst = worst_of(losses)
    assert worst.worst >= max(worst.end, 0)
    wait = rows_to_recover(losses, worst.worst_row)
    assert wait is None or 0 <= wait < len(losses)
