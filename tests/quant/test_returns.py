"""From closes to returns, and their match with a benchmark."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seawall.core.errors import InvalidError
from seawall.quant.returns import (
    common_returns,
    compound,
    match_benchmark,
    simple_returns,
    weighted_returns,
)
from seawall.quant.types import FloatArray

NAN = np.nan


def test_simple_returns_are_changes_relative_to_the_day_before() -> None:
    np.testing.assert_allclose(simple_returns(np.array([100.0, 110, 99])), [0.1, -0.1])


def test_simple_returns_agree_with_pandas() -> None:
    closes = np.exp(np.random.default_rng(0).normal(0, 0.03, (200, 3)).cumsum(axis=0))
    expected = pd.DataFrame(closes).pct_change().to_numpy()[1:]
    np.testing.assert_allclose(simple_returns(closes), expected, rtol=1e-12, atol=1e-15)


def test_a_total_loss_is_a_return_and_what_follows_is_not() -> None:
    found = simple_returns(np.array([10.0, 0, 0, 5]))
    np.testing.assert_array_equal(found, [-1, NAN, NAN])


@pytest.mark.parametrize("close", [-1.0, np.inf, -np.inf])
def test_an_impossible_close_is_refused(close: float) -> None:
    with pytest.raises(InvalidError, match="negative or infinite"):
        simple_returns(np.array([1.0, close]))


@pytest.mark.parametrize("size", [0, 1])
def test_fewer_than_two_closes_give_no_returns(size: int) -> None:
    assert simple_returns(np.ones(size)).size == 0
    assert common_returns(np.ones((size, 2))).returns.shape == (0, 2)


def test_common_returns_need_both_days_of_every_asset() -> None:
    closes = np.array(
        [[1.0, 10], [2, 10], [3, NAN], [4, 10], [5, 20], [NAN, 20], [7, 20], [14, 20]]
    )
    found = common_returns(closes)
    assert found.rows.tolist() == [1, 4, 7]
    np.testing.assert_allclose(found.returns, np.array([[1, 0], [0.25, 1], [1, 0]]))


def test_common_returns_of_no_overlap_are_none() -> None:
    found = common_returns(np.array([[1, NAN], [2, NAN], [NAN, 1], [NAN, 2]]))
    assert found.returns.shape == (0, 2)
    assert found.rows.size == 0


def test_common_returns_of_no_assets_are_none() -> None:
    found = common_returns(np.empty((5, 0)))
    assert found.returns.shape == (0, 0)
    assert found.rows.size == 0


def test_common_returns_want_a_matrix() -> None:
    with pytest.raises(InvalidError, match="matrix"):
        common_returns(np.ones(3))


@given(arrays(np.float64, (15, 3), elements=st.one_of(st.just(NAN), st.floats(0.5, 100))))
def test_common_returns_are_those_of_pandas_without_filling(closes: FloatArray) -> None:
    expected = pd.DataFrame(closes).pct_change(fill_method=None).iloc[1:].dropna()
    found = common_returns(closes)
    assert found.rows.tolist() == expected.index.tolist()
    np.testing.assert_allclose(found.returns, expected.to_numpy(), rtol=1e-12, atol=1e-14)


def test_a_daily_benchmark_matches_day_by_day() -> None:
    closes = np.array([1.0, 2, 3, 6])
    found = match_benchmark(np.array([1, 2, 3]), closes)
    assert (found.starts.tolist(), found.stops.tolist()) == ([0, 1, 2], [1, 2, 3])
    np.testing.assert_allclose(found.returns, [1, 0.5, 1])


def test_a_weekend_is_compounded_to_the_next_trading_day() -> None:
    # Thursday, Friday, (Saturday, Sunday,) Monday, Tuesday.
    closes = np.array([100, 110, NAN, NAN, 99, 198])
    found = match_benchmark(np.arange(1, 6), closes)
    assert (found.starts.tolist(), found.stops.tolist()) == ([0, 1, 4], [1, 4, 5])
    np.testing.assert_allclose(found.returns, [0.1, -0.1, 1.0])
    r = np.array([0.1, 0.2, -0.5, 0.5, 0.3])
    np.testing.assert_allclose(
        compound(r, found.starts, found.stops), [0.1, 1.2 * 0.5 * 1.5 - 1, 0.3]
    )


def test_an_interval_in_which_the_portfolio_lacks_a_day_is_left_out() -> None:
    closes = np.array([100, 110, NAN, NAN, 99, 198])
    found = match_benchmark(np.array([1, 2, 4, 5]), closes)
    assert (found.starts.tolist(), found.stops.tolist()) == ([0, 3], [1, 4])
    np.testing.assert_allclose(found.returns, [0.1, 1.0])


@pytest.mark.parametrize(
    "closes", [[NAN] * 4, [NAN, 1, NAN, NAN], [1, NAN, NAN, NAN]], ids=["none", "one", "first"]
)
def test_a_benchmark_without_overlap_matches_nothing(closes: list[float]) -> None:
    found = match_benchmark(np.array([2, 3]), np.array(closes, dtype=float))
    assert found.returns.size == found.starts.size == found.stops.size == 0


@given(st.lists(st.booleans(), min_size=2, max_size=40), st.integers(0, 2**32 - 1))
def test_matched_returns_are_those_of_resampled_values(trades: list[bool], seed: int) -> None:
    rng = np.random.default_rng(seed)
    r = rng.normal(0, 0.05, len(trades) - 1)
    closes = np.where(trades, rng.uniform(50, 150, len(trades)), NAN)
    found = match_benchmark(np.arange(1, len(trades)), closes)
    value = pd.Series(np.concatenate(([1.0], np.cumprod(1 + r))))[trades]
    expected = value.pct_change().dropna().to_numpy()
    np.testing.assert_allclose(compound(r, found.starts, found.stops), expected, atol=1e-12)
    np.testing.assert_allclose(
        found.returns, pd.Series(closes).dropna().pct_change().dropna(), atol=1e-12
    )


@pytest.mark.parametrize(("starts", "stops"), [([0], [4]), ([-1], [2]), ([2], [1]), ([0, 1], [1])])
def test_intervals_outside_the_returns_are_refused(starts: list[int], stops: list[int]) -> None:
    with pytest.raises(InvalidError, match="within 3 returns"):
        compound(np.zeros(3), np.array(starts), np.array(stops))


def test_weighted_returns_are_the_portfolios() -> None:
    r = np.array([[0.1, 0.0], [0.0, -0.2]])
    np.testing.assert_allclose(weighted_returns(r, np.array([0.75, 0.25])), [0.075, -0.05])


@pytest.mark.parametrize("weights", [np.ones(3), np.ones((2, 1)), np.float64(1)])
def test_weights_that_do_not_fit_are_refused(weights: Any) -> None:
    with pytest.raises(InvalidError, match="do not fit"):
        weighted_returns(np.zeros((4, 2)), weights)
