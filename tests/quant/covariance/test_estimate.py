"""Covariances: those of independent libraries, defined where data are few, invariant to order."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.moments import DenoiseCovariance
from sklearn.covariance import LedoitWolf

from seawall.core.errors import InvalidError
from seawall.quant.covariance.estimate import (
    Covariance,
    Estimator,
    estimate_covariance,
    ewma_covariance,
    sample_covariance,
)
from seawall.quant.covariance.nearest import is_positive_semidefinite
from seawall.quant.histories import History, HistoryMethod, Proxy, build_history
from seawall.quant.types import FloatArray

Draw = Callable[..., FloatArray]
Make = Callable[..., History]
SIZES = [(90, 50), (3, 50), (365, 20), (500, 8)]
SHRUNK = [Estimator.LEDOIT_WOLF, Estimator.CONSTANT_CORRELATION]


@pytest.mark.parametrize(("days", "assets"), SIZES)
def test_ledoit_wolf_is_that_of_scikit_learn(history: Make, days: int, assets: int) -> None:
    made = history(days, assets)
    expected = LedoitWolf().fit(made.returns).covariance_
    found = estimate_covariance(made, Estimator.LEDOIT_WOLF).matrix
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize(("days", "assets"), [(90, 50), (365, 20), (500, 8)])
def test_denoised_is_that_of_skfolio(history: Make, days: int, assets: int) -> None:
    made = history(days, assets)
    expected = DenoiseCovariance().fit(made.returns).covariance_
    found = estimate_covariance(made, Estimator.DENOISED).matrix
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("days", "assets"), SIZES)
def test_sample_and_ewma_are_those_of_pandas(history: Make, days: int, assets: int) -> None:
    returns = history(days, assets).returns
    frame = pd.DataFrame(returns)
    np.testing.assert_allclose(sample_covariance(returns), frame.cov(), rtol=1e-9, atol=1e-17)
    first, last = frame[0], frame[assets - 1]
    expected = (first * last).ewm(alpha=0.06, adjust=True).mean().iloc[-1]
    assert ewma_covariance(returns)[0, assets - 1] == pytest.approx(expected, rel=1e-9)


def test_a_pairwise_sample_is_that_of_pandas(draw: Draw) -> None:
    returns = draw(60, 6)
    returns[:30, 1] = returns[10:25, 2] = returns[50:, 4] = np.nan
    expected = pd.DataFrame(returns).cov()
    np.testing.assert_allclose(sample_covariance(returns), expected, rtol=1e-9, atol=1e-17)
    product = pd.Series(returns[:, 1] * returns[:, 2])
    averaged = product.ewm(alpha=0.06, adjust=True, ignore_na=False).mean().iloc[-1]
    assert ewma_covariance(returns)[1, 2] == pytest.approx(averaged, rel=1e-9)


def _honey(returns: FloatArray) -> FloatArray:
    """Follow the paper's sums term by term."""
    days, assets = returns.shape
    y = returns - returns.mean(axis=0)
    s = y.T @ y / days
    r = [s[i, j] / math.sqrt(s[i, i] * s[j, j]) for i in range(assets) for j in range(i)]
    mean = sum(r) / len(r)
    f = s.copy()
    pi = rho = gamma = 0.0
    for i in range(assets):
        for j in range(assets):
            if i != j:
                f[i, j] = mean * math.sqrt(s[i, i] * s[j, j])
            pi_ij = np.mean((y[:, i] * y[:, j] - s[i, j]) ** 2)
            pi += pi_ij
            gamma += (f[i, j] - s[i, j]) ** 2
            if i == j:
                rho += pi_ij
                continue
            of_i = np.mean((y[:, i] ** 2 - s[i, i]) * (y[:, i] * y[:, j] - s[i, j]))
            of_j = np.mean((y[:, j] ** 2 - s[j, j]) * (y[:, i] * y[:, j] - s[i, j]))
            ratio = math.sqrt(s[j, j] / s[i, i])
            rho += mean / 2 * (ratio * of_i + of_j / ratio)
    share = max(0.0, min((pi - rho) / gamma / days, 1.0))
    shrunk: FloatArray = share * f + (1 - share) * s
    return shrunk


@pytest.mark.parametrize(("days", "assets"), [(30, 12), (3, 10), (200, 5)])
def test_constant_correlation_is_that_of_the_paper(history: Make, days: int, assets: int) -> None:
    made = history(days, assets)
    found = estimate_covariance(made, Estimator.CONSTANT_CORRELATION)
    np.testing.assert_allclose(found.matrix, _honey(made.returns), rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("estimator", Estimator)
@pytest.mark.parametrize("days", [3, 90])
def test_fifty_assets_have_a_covariance_or_are_said_to_be_singular(
    history: Make, estimator: Estimator, days: int
) -> None:
    found = estimate_covariance(history(days, 50), estimator)
    assert np.isfinite(found.matrix).all()
    assert (found.observations, found.reason, found.repaired) == (days, "", False)
    assert is_positive_semidefinite(found.matrix)
    if days == 90 or estimator in SHRUNK:
        assert (found.rank, found.singular) == (50, False)
        assert math.isfinite(found.condition)
    else:
        assert found.singular
        assert found.rank <= 3
        assert any("Singular: rank" in note for note in found.notes)


@pytest.mark.parametrize("estimator", Estimator)
@pytest.mark.parametrize("days", [0, 1, 2])
def test_too_few_days_have_none_with_the_reason(
    history: Make, estimator: Estimator, days: int
) -> None:
    found = estimate_covariance(history(days, 4), estimator)
    assert np.isnan(found.matrix).all()
    assert found.reason == f"needs at least 3 observations, has {days}"
    assert math.isnan(found.condition)


@pytest.mark.parametrize("estimator", Estimator)
def test_money_has_no_variance_and_changes_nothing_else(
    draw: Draw, history: Make, estimator: Estimator
) -> None:
    returns = draw(120, 6)
    padded = np.insert(returns, 2, 0.0, axis=1)
    found = estimate_covariance(history(returns=padded), estimator)
    alone = estimate_covariance(history(returns=returns), estimator)
    assert not found.matrix[2].any()
    assert not found.matrix[:, 2].any()
    rest = np.delete(np.delete(found.matrix, 2, axis=0), 2, axis=1)
    np.testing.assert_allclose(rest, alone.matrix, rtol=1e-12)
    assert found.rank == 6
    assert found.condition == pytest.approx(alone.condition)
    assert np.isnan(found.correlations[2]).all()
    assert found.correlations[0, 0] == 1


@pytest.mark.parametrize("estimator", Estimator)
def test_a_portfolio_of_money_alone_has_a_covariance_of_zero(
    history: Make, estimator: Estimator
) -> None:
    found = estimate_covariance(history(returns=np.zeros((40, 2))), estimator)
    assert not found.matrix.any()
    assert (found.reason, found.rank) == ("", 0)


@pytest.mark.parametrize("estimator", [Estimator.SAMPLE, Estimator.EWMA])
def test_the_same_asset_twice_is_singular(draw: Draw, history: Make, estimator: Estimator) -> None:
    returns = draw(100, 4)
    found = estimate_covariance(history(returns=returns[:, [0, 1, 2, 3, 1]]), estimator)
    assert found.singular
    assert found.rank == 4


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(7)), st.sampled_from(list(Estimator)), st.integers(0, 20))
def test_the_order_of_the_assets_changes_nothing(
    order: list[int], estimator: Estimator, seed: int
) -> None:
    random = np.random.default_rng(seed)
    returns = random.normal(0, 0.03, (40, 1)) + random.normal(0, 0.02, (40, 7))
    first, second = _of(returns, estimator), _of(returns[:, order], estimator)
    np.testing.assert_allclose(
        second.matrix, first.matrix[np.ix_(order, order)], rtol=1e-8, atol=1e-14
    )


def _of(
    returns: FloatArray, estimator: Estimator, method: HistoryMethod = HistoryMethod.COMMON
) -> Covariance:
    steps = np.where(np.isnan(returns), 0.0, returns)
    closes = np.vstack([np.ones(returns.shape[1]), np.cumprod(1 + steps, axis=0)])
    closes[1:][np.isnan(returns)] = np.nan
    names = [f"A{at}" for at in range(returns.shape[1])]
    return estimate_covariance(build_history(names, closes, method), estimator)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 10), st.sampled_from(list(Estimator)), st.integers(0, 20))
def test_returns_twice_as_large_have_four_times_the_covariance(
    scale: float, estimator: Estimator, seed: int
) -> None:
    returns = np.random.default_rng(seed).uniform(-0.09, 0.09, (40, 5))
    once, scaled = _of(returns, estimator), _of(returns * scale, estimator)
    np.testing.assert_allclose(scaled.matrix, once.matrix * scale**2, rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("estimator", [Estimator.SAMPLE, Estimator.EWMA, Estimator.DENOISED])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1_000))
def test_pairs_are_repaired_until_they_fit_together(estimator: Estimator, seed: int) -> None:
    random = np.random.default_rng(seed)
    returns = random.normal(0, 0.03, (30, 8))
    returns[random.random(returns.shape) < 0.5] = np.nan
    found = _of(returns, estimator, HistoryMethod.PAIRWISE)
    if found.reason:
        assert np.isnan(found.matrix).all()
        assert "needed" in found.reason or "needs" in found.reason
        return
    assert is_positive_semidefinite(found.matrix)
    if estimator is not Estimator.DENOISED:
        assert found.repaired == any("repaired" in note for note in found.notes)


@pytest.mark.parametrize("estimator", SHRUNK)
def test_shrinking_wants_complete_returns(draw: Draw, estimator: Estimator) -> None:
    returns = draw(60, 4)
    returns[:30, 1] = np.nan
    with pytest.raises(InvalidError, match="complete returns"):
        _of(returns, estimator, HistoryMethod.PAIRWISE)


def test_an_asset_with_too_few_returns_is_named(draw: Draw) -> None:
    returns = draw(60, 4)
    returns[:58, 1] = np.nan
    found = _of(returns, Estimator.SAMPLE, HistoryMethod.PAIRWISE)
    assert np.isnan(found.matrix).all()
    assert found.reason == "each asset needs 3 returns, there are of A1 1"


@pytest.mark.parametrize("decay", [0.0, 1.0, -1.0, math.nan])
def test_a_decay_out_of_range_is_refused(history: Make, decay: float) -> None:
    with pytest.raises(InvalidError, match="decay"):
        estimate_covariance(history(30, 3), Estimator.EWMA, decay=decay)


def test_what_a_proxy_filled_keeps_its_own_variance() -> None:
    random = np.random.default_rng(3)
    market, own = random.normal(0, 0.03, 400), random.normal(0, 0.04, 400)
    returns = np.column_stack([market, market + own])
    full = np.vstack([np.ones(2), np.cumprod(1 + returns, axis=0)])
    closes = full.copy()
    closes[:201, 1] = np.nan
    made = build_history(["BTC", "NEW"], closes, HistoryMethod.PROXY, Proxy("BTC", returns[:, 0]))
    share = made.filled["NEW"] / 400
    lacking = share * made.residual_variances[1]
    found = estimate_covariance(made, Estimator.SAMPLE)
    bare = sample_covariance(made.returns)
    assert found.matrix[1, 1] == pytest.approx(bare[1, 1] + lacking)
    assert found.matrix[0, 0] == pytest.approx(bare[0, 0])
    # Half of the days lack the asset's own movement, and yet its variance is about the true one.
    truth = sample_covariance(returns)[1, 1]
    assert found.matrix[1, 1] == pytest.approx(truth, rel=0.15)
    assert bare[1, 1] < 0.8 * truth


def test_a_portfolio_s_deviation_is_that_of_its_returns(draw: Draw, history: Make) -> None:
    returns = draw(200, 5)
    weights = np.array([0.3, 0.2, 0.1, 0.25, 0.15])
    found = estimate_covariance(history(returns=returns), Estimator.SAMPLE)
    assert found.volatility(weights) == pytest.approx((returns @ weights).std(ddof=1), rel=1e-9)
