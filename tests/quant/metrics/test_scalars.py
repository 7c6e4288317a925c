"""Every scalar metric against scipy, numpy, pandas and published numbers."""

import math
from typing import Any

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from seawall.core.errors import InvalidError
from seawall.quant.metrics.concentration import effective_n, herfindahl_index
from seawall.quant.metrics.dependence import beta, correlation, correlation_matrix
from seawall.quant.metrics.drawdown import max_drawdown
from seawall.quant.metrics.moments import kurtosis, skewness
from seawall.quant.metrics.ratios import calmar_ratio, sharpe_ratio, sortino_ratio
from seawall.quant.metrics.returns import (
    annualised_return,
    downside_deviation,
    total_return,
    volatility,
)
from seawall.quant.metrics.tail import expected_shortfall, min_observations, value_at_risk
from seawall.quant.types import FloatArray

R = np.random.default_rng(5).standard_t(4, 365) * 0.03 + 0.001
DAILY = arrays(np.float64, st.integers(20, 120), elements=st.floats(-0.9375, 3.0, width=32))


def test_returns_agree_with_pandas() -> None:
    value = pd.Series(1 + R).cumprod()
    assert total_return(R) == pytest.approx(value.iloc[-1] - 1, rel=1e-12)
    assert annualised_return(R[:100]) == pytest.approx(value[99] ** 3.65 - 1, rel=1e-12)
    assert volatility(R) == pytest.approx(pd.Series(R).std() * 365**0.5, rel=1e-12)


def test_a_year_of_daily_returns_is_annual_already() -> None:
    assert annualised_return(R) == pytest.approx(total_return(R), rel=1e-12)


def test_all_lost_is_all_lost_and_more_has_no_annual_rate() -> None:
    assert total_return([0.5, -1.0, 3.0]) == annualised_return([0.5, -1.0, 3.0]) == -1
    assert math.isnan(annualised_return([0.5, -1.5]))


def test_a_rate_too_large_for_a_number_is_undefined() -> None:
    assert math.isnan(annualised_return([10.0]))


def test_downside_deviation_agrees_with_pandas_and_empyrical() -> None:
    expected = (pd.Series(R).clip(upper=0) ** 2).mean() ** 0.5 * 365**0.5
    assert downside_deviation(R) == pytest.approx(expected, rel=1e-12)
    theirs = empyrical.downside_risk(R, annualization=365)
    assert downside_deviation(R) == pytest.approx(theirs, rel=1e-9)
    assert downside_deviation([0.1, 0.2, 0.0]) == 0
    assert math.isnan(downside_deviation([-0.1]))


def test_calmar_is_the_compounded_rate_over_the_largest_drawdown() -> None:
    assert calmar_ratio(R) == pytest.approx(annualised_return(R) / max_drawdown(R), rel=1e-12)
    theirs = empyrical.calmar_ratio(R, annualization=365)
    assert calmar_ratio(R) == pytest.approx(theirs, rel=1e-9)
    # All of a year of 365 days: +20 % over a fall of 25 %.
    assert calmar_ratio([-0.25, 0.6] + [0.0] * 363) == pytest.approx(0.8, rel=1e-12)


@pytest.mark.parametrize("r", [[0.1, 0.2, 0.0], [-0.1], [-1.5, 0.2], []])
def test_calmar_without_a_drawdown_or_with_too_few_returns_is_undefined(r: list[float]) -> None:
    assert math.isnan(calmar_ratio(r))


def test_ratios_agree_with_pandas() -> None:
    series = pd.Series(R)
    assert sharpe_ratio(R) == pytest.approx(series.mean() / series.std() * 365**0.5, rel=1e-12)
    downside = (series.clip(upper=0) ** 2).mean() ** 0.5
    assert sortino_ratio(R) == pytest.approx(series.mean() / downside * 365**0.5, rel=1e-12)


def test_the_risk_free_rate_is_taken_off_each_day() -> None:
    assert sharpe_ratio(R, risk_free=0.0002) == pytest.approx(sharpe_ratio(R - 0.0002), rel=1e-12)
    assert sortino_ratio(R, risk_free=0.0002) == pytest.approx(sortino_ratio(R - 0.0002), rel=1e-12)
    assert sharpe_ratio(R, risk_free=0.0002) < sharpe_ratio(R)


def test_sortino_of_the_red_rock_capital_example() -> None:
    # Rollinger & Hoffman (2013), "Sortino: A 'Sharper' Ratio": mean 10 %, target 0 %, downside
    # deviation 2.264 %, ratio 4.417, all per year.
    annual = np.array([0.17, 0.15, 0.23, -0.05, 0.12, 0.09, 0.13, -0.04])
    assert sortino_ratio(annual) / 365**0.5 == pytest.approx(4.417, abs=5e-4)


def test_shape_agrees_with_scipy_and_pandas() -> None:
    assert skewness(R) == pytest.approx(stats.skew(R, bias=False), rel=1e-12)
    assert kurtosis(R) == pytest.approx(stats.kurtosis(R, bias=False), rel=1e-12)
    assert skewness(R) == pytest.approx(pd.Series(R).skew(), rel=1e-9)
    assert kurtosis(R) == pytest.approx(pd.Series(R).kurt(), rel=1e-9)


def test_shape_of_the_example_in_excels_reference() -> None:
    # The examples of SKEW and KURT, both over these ten numbers.
    data = [3, 4, 5, 2, 3, 4, 5, 6, 4, 7]
    assert skewness(data) == pytest.approx(0.359543071, abs=5e-10)
    assert kurtosis(data) == pytest.approx(-0.151799637, abs=5e-10)


def test_the_tail_agrees_with_numpy_and_pandas() -> None:
    losses = pd.Series(-R)
    for confidence in (0.9, 0.95, 0.99):
        var = losses.quantile(confidence)
        assert value_at_risk(R, confidence) == pytest.approx(var, rel=1e-12)
        shortfall = losses[losses >= var].mean()
        assert expected_shortfall(R, confidence) == pytest.approx(shortfall, rel=1e-12)


def test_the_tail_of_a_hundred_and_one_known_losses() -> None:
    losses = np.arange(101) / 100
    assert value_at_risk(-losses) == pytest.approx(0.95, abs=1e-15)
    assert expected_shortfall(-losses) == pytest.approx(np.arange(95, 101).mean() / 100, abs=1e-15)


@pytest.mark.parametrize(("confidence", "needed"), [(0.5, 2), (0.9, 10), (0.95, 20), (0.99, 100)])
def test_a_tail_needs_one_expected_observation(confidence: float, needed: int) -> None:
    assert min_observations(confidence) == needed
    assert math.isnan(value_at_risk(R[: needed - 1], confidence))
    assert math.isnan(expected_shortfall(R[: needed - 1], confidence))
    assert not math.isnan(value_at_risk(R[:needed], confidence))
    assert not math.isnan(expected_shortfall(R[:needed], confidence))


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, -0.1, math.nan])
def test_a_confidence_outside_zero_to_one_is_refused(confidence: float) -> None:
    with pytest.raises(InvalidError, match="not between 0 and 1"):
        value_at_risk(R, confidence)


def test_drawdown_agrees_with_pandas() -> None:
    value = pd.Series(np.concatenate(([1.0], np.cumprod(1 + R))))
    assert max_drawdown(R) == pytest.approx((1 - value / value.cummax()).max(), rel=1e-12)


def test_the_start_of_the_path_is_a_peak() -> None:
    assert max_drawdown([-0.35, 0.1]) == pytest.approx(0.35)
    assert max_drawdown([0.1, 0.0, 0.2]) == 0
    assert max_drawdown([0.25, -1.0, 0.1]) == 1


def test_dependence_agrees_with_scipy() -> None:
    other = 0.6 * R + np.random.default_rng(6).normal(0, 0.02, R.size)
    assert beta(R, other) == pytest.approx(stats.linregress(other, R).slope, rel=1e-10)
    assert correlation(R, other) == pytest.approx(stats.pearsonr(R, other).statistic, rel=1e-12)


def test_correlation_of_anscombes_quartet() -> None:
    # Anscombe (1973), "Graphs in Statistical Analysis", set I: r = 0.816, slope of y on x 0.500.
    x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5]
    y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68]
    assert correlation(x, y) == pytest.approx(0.816, abs=5e-4)
    assert beta(y, x) == pytest.approx(0.500, abs=5e-4)


def test_dependence_needs_three_common_observations() -> None:
    assert math.isnan(beta(R[:2], R[1:3]))
    assert math.isnan(correlation(R[:2], R[1:3]))
    assert np.isnan(correlation_matrix(R[:4].reshape(2, 2))).all()
    assert not math.isnan(correlation(R[:3], R[1:4]))


def test_dependence_wants_equal_lengths_and_a_matrix() -> None:
    with pytest.raises(InvalidError, match="cannot be compared"):
        beta(R, R[1:])
    with pytest.raises(InvalidError, match="matrix"):
        correlation_matrix(R)


def test_the_matrix_agrees_with_pandas(market: FloatArray) -> None:
    expected = pd.DataFrame(market[:, :5]).corr().to_numpy()
    np.testing.assert_allclose(correlation_matrix(market[:, :5]), expected, rtol=1e-12)


def test_concentration_of_known_portfolios() -> None:
    assert herfindahl_index([0.5, 0.3, 0.2]) == pytest.approx(0.38, rel=1e-15)
    assert effective_n([0.25] * 4) == 4
    assert effective_n([1.0, 0.0]) == 1


@pytest.mark.parametrize("weights", [[], [0.0, 0.0]])
def test_no_holdings_have_no_concentration(weights: Any) -> None:
    assert math.isnan(herfindahl_index(weights))
    assert math.isnan(effective_n(weights))


def test_a_series_that_does_not_vary() -> None:
    still = np.zeros(365)
    assert volatility(still) == max_drawdown(still) == value_at_risk(still) == 0
    undefined = (sharpe_ratio, sortino_ratio, skewness, kurtosis)
    assert all(math.isnan(metric(still)) for metric in undefined)
    assert math.isnan(correlation(still, R))


def test_nothing_at_all_is_nan_everywhere() -> None:
    metrics = (
        total_return,
        annualised_return,
        volatility,
        max_drawdown,
        value_at_risk,
        expected_shortfall,
        sharpe_ratio,
        sortino_ratio,
        skewness,
        kurtosis,
    )
    assert all(math.isnan(metric([])) for metric in metrics)


@given(DAILY, st.floats(-0.5, 0.5))
def test_the_tail_moves_with_a_certain_gain(r: FloatArray, gain: float) -> None:
    for measure in (value_at_risk, expected_shortfall):
        assert measure(r + gain) == pytest.approx(measure(r) - gain, abs=1e-9)


@given(DAILY, st.floats(0.01, 100))
def test_the_tail_scales_with_the_position(r: FloatArray, scale: float) -> None:
    assert value_at_risk(r * scale) == pytest.approx(scale * value_at_risk(r), abs=1e-9)


@given(DAILY, st.integers(1, 6))
def test_shortfall_scales_with_the_position(r: FloatArray, doublings: int) -> None:
    # A power of two scales without rounding, so that no tie is made or broken.
    scale = 2.0**doublings
    assume(np.diff(np.unique(r)).min(initial=1) > 1e-9)
    assert expected_shortfall(r * scale) == pytest.approx(scale * expected_shortfall(r), abs=1e-9)


@given(DAILY)
def test_shortfall_is_between_the_var_and_the_worst_loss(r: FloatArray) -> None:
    assert value_at_risk(r) <= expected_shortfall(r) <= -r.min() + 1e-12


@given(DAILY, st.integers(0, 2**32 - 1))
def test_what_has_no_order_does_not_depend_on_it(r: FloatArray, seed: int) -> None:
    mixed = np.random.default_rng(seed).permutation(r)
    for metric in (volatility, value_at_risk, expected_shortfall):
        assert metric(mixed) == pytest.approx(metric(r), rel=1e-9, abs=1e-12)


@given(DAILY)
def test_drawdown_of_unlevered_returns_is_a_fraction(r: FloatArray) -> None:
    assert 0 <= max_drawdown(r) <= 1


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(0.001, 1)))
def test_concentration_is_between_even_and_single(raw: FloatArray) -> None:
    weights = raw / raw.sum()
    assert 1 / weights.size - 1e-12 <= herfindahl_index(weights) <= 1 + 1e-12
    assert 1 - 1e-9 <= effective_n(weights) <= weights.size + 1e-9
