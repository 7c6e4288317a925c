"""The kernels against numpy and scipy, and at the edges of floating point."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from seawall.quant.kernels import matrices, measures
from seawall.quant.types import FloatArray


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def returns(size: int, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).standard_t(4, size) * 0.02


@pytest.mark.parametrize("size", [4, 5, 30, 365, 10_000])
def test_moments_are_those_of_numpy_and_scipy(size: int) -> None:
    r = returns(size)
    found = measures.moments(r)
    close(found.mean, math.fsum(r) / size)
    close(found.deviation, np.std(r, ddof=1))
    close(found.skewness, stats.skew(r, bias=False))
    close(found.kurtosis, stats.kurtosis(r, bias=False))
    close(found.downside, np.sqrt(np.mean(np.minimum(r, 0) ** 2)))


def test_a_small_deviation_about_a_large_mean_keeps_its_digits() -> None:
    noise = returns(365)
    found = measures.moments(1.0 + 1e-6 * noise)
    np.testing.assert_allclose(found.deviation, 1e-6 * np.std(noise, ddof=1), rtol=1e-7)
    np.testing.assert_allclose(found.skewness, stats.skew(noise, bias=False), rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -0.1, 1e-9, 1 / 3, 7.7])
def test_a_constant_series_has_no_deviation_and_no_shape(value: float) -> None:
    found = measures.moments(np.full(365, value))
    assert found.deviation == 0
    assert math.isnan(found.skewness)
    assert math.isnan(found.kurtosis)


def test_steady_growth_computed_from_closes_has_no_deviation() -> None:
    closes = 100 * 1.0001 ** np.arange(366)
    r = closes[1:] / closes[:-1] - 1
    assert np.std(r) > 0
    assert measures.moments(r).deviation == 0


@pytest.mark.parametrize(
    ("size", "undefined"),
    [
        (0, {"mean", "deviation", "skewness", "kurtosis", "downside"}),
        (1, {"deviation", "skewness", "kurtosis"}),
        (2, {"skewness", "kurtosis"}),
        (3, {"kurtosis"}),
        (4, set()),
    ],
)
def test_too_few_observations_are_nan(size: int, undefined: set[str]) -> None:
    found = measures.moments(returns(size))._asdict()
    assert {name for name, value in found.items() if math.isnan(value)} == undefined


@pytest.mark.parametrize("place", [0, 50, 99])
def test_a_nan_makes_everything_nan(place: int) -> None:
    r = returns(100)
    r[place] = math.nan
    other = returns(100, seed=2)
    assert all(map(math.isnan, measures.moments(r)))
    assert math.isnan(measures.max_drawdown(r))
    assert all(map(math.isnan, measures.tail(np.sort(r), 0.95)))
    assert all(map(math.isnan, measures.relate(r, other)))
    assert all(map(math.isnan, measures.relate(other, r)))


@pytest.mark.parametrize("size", [1, 2, 20, 21, 100, 101, 365, 1000, 1001])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.975, 0.99])
def test_the_tail_is_numpys_quantile_and_the_mean_beyond_it(size: int, confidence: float) -> None:
    losses = -returns(size)
    var, shortfall = measures.tail(np.sort(-losses), confidence)
    close(var, np.quantile(losses, confidence, method="linear"))
    beyond = losses[losses >= var]
    close(shortfall, beyond.mean())


@given(st.integers(1, 3_000), st.integers(1, 999))
def test_a_quantile_on_an_observation_is_that_observation(steps: int, numerator: int) -> None:
    # (n - 1) x k / 1000 is whole whenever n - 1 is a multiple of 1000 / gcd(k, 1000).
    n = steps * (1000 // math.gcd(numerator, 1000)) + 1
    if n > 20_000:
        n = 1000 // math.gcd(numerator, 1000) + 1
    rank = (n - 1) * numerator // 1000
    # Wide gaps about zero, where no tolerance hides a quantile that is a rounding error off.
    losses = (np.arange(n) - rank) / 4
    var, shortfall = measures.tail(np.sort(-losses), numerator / 1000)
    assert var == 0
    close(shortfall, losses[rank:].mean())


def test_equal_losses_have_a_shortfall_no_smaller_than_the_var() -> None:
    # Ten times 0.1 adds up to less than 1.
    var, shortfall = measures.tail(np.full(10, -0.1), 0.9)
    assert var == shortfall == 0.1


def test_losses_of_rounding_are_no_downside() -> None:
    assert measures.moments(np.array([0.01, -(2.0**-52), 0.02, -(2.0**-53)])).downside == 0


def test_losses_equal_but_for_rounding_are_all_at_the_var() -> None:
    tied = np.array([0.1 + 0.2, 0.3, 0.3, 0.3])
    assert tied[0] > tied[1]
    losses = np.concatenate((np.zeros(76), tied, [0.9]))
    var, shortfall = measures.tail(np.sort(-losses), 79 / 80)
    assert var == pytest.approx(0.3, abs=1e-15)
    assert shortfall == pytest.approx((4 * 0.3 + 0.9) / 5, abs=1e-15)


def test_no_loss_is_a_plain_zero() -> None:
    var, shortfall = measures.tail(np.zeros(100), 0.95)
    assert math.copysign(1, var) == 1
    assert math.copysign(1, shortfall) == 1


@pytest.mark.parametrize("size", [2, 3, 250])
def test_beta_and_correlation_are_those_of_numpy(size: int) -> None:
    x, y = returns(size, 1), returns(size, 2) + 0.5 * returns(size, 1)
    covariance = np.cov(x, y)
    found = measures.relate(x, y)
    close(found[0], covariance[0, 1] / covariance[1, 1])
    close(found[1], np.corrcoef(x, y)[0, 1])


def test_what_does_not_vary_has_no_correlation() -> None:
    r, still = returns(50), np.full(50, 0.1)
    assert measures.relate(still, r)[0] == 0
    assert math.isnan(measures.relate(still, r)[1])
    assert all(map(math.isnan, measures.relate(r, still)))
    assert all(map(math.isnan, measures.relate(r[:1], r[:1])))


def test_correlations_are_those_of_numpy() -> None:
    r = returns(365 * 7).reshape(365, 7) @ np.random.default_rng(3).normal(size=(7, 7))
    close(matrices.correlations(r), np.corrcoef(r.T))


def test_an_asset_that_does_not_vary_blanks_only_its_own_row_and_column() -> None:
    r = returns(90).reshape(30, 3)
    r[:, 1] = 0.1
    found = matrices.correlations(r)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    close(found[np.ix_([0, 2], [0, 2])], np.corrcoef(r[:, 0], r[:, 2]))


@given(arrays(np.float64, (12, 4), elements=st.floats(-0.9, 2.0)))
def test_correlations_are_symmetric_with_a_unit_diagonal_and_positive_semidefinite(
    r: FloatArray,
) -> None:
    found = matrices.correlations(r)
    np.testing.assert_array_equal(found, found.T)
    varies = ~np.isnan(np.diag(found))
    assert np.array_equal(np.diag(found)[varies], np.ones(varies.sum()))
    assert np.linalg.eigvalsh(found[np.ix_(varies, varies)]).min(initial=0) > -1e-12


def test_combining_is_the_matrix_product() -> None:
    r, w = returns(365 * 20).reshape(365, 20), returns(20, 4)
    close(matrices.combine(r, w), r @ w)


def test_compounding_one_return_gives_it_back_exactly() -> None:
    r = returns(100)
    found = measures.compound(r, np.arange(100), np.arange(100) + 1)
    np.testing.assert_array_equal(found, r)


def test_compounding_is_the_product_of_growth() -> None:
    r = returns(9)
    found = measures.compound(r, np.array([0, 2, 5, 9]), np.array([2, 5, 9, 9]))
    expected = [np.prod(1 + part) - 1 for part in (r[:2], r[2:5], r[5:], r[:0])]
    close(found, expected)
