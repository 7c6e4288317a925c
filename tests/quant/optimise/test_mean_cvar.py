"""Least expected shortfall: skfolio's, the registry's where they agree, and limits that hold."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio import RiskMeasure
from skfolio.optimization import MeanRisk

from seawall.core.errors import InvalidError
from seawall.quant.metrics.tail import expected_shortfall
from seawall.quant.optimise.constraints import GroupCap, long_only
from seawall.quant.optimise.mean_cvar import mean_cvar, sample_shortfall
from seawall.quant.types import FloatArray

Market = Callable[..., FloatArray]


def test_the_shortfall_is_as_small_as_skfolio_s(market: Market) -> None:
    returns = market(days=300, assets=8)
    peer = MeanRisk(risk_measure=RiskMeasure.CVAR, max_weights=0.3, cvar_beta=0.95).fit(returns)
    found = mean_cvar(returns, long_only(8, 0.3))
    np.testing.assert_allclose(found.weights, peer.weights_, atol=1e-5)
    theirs = sample_shortfall(returns, peer.weights_ / peer.weights_.sum(), 0.95)
    assert found.expected_shortfall <= theirs + 1e-9


def test_the_sample_s_shortfall_is_the_registry_s_where_the_tail_is_whole(market: Market) -> None:
    returns = market(days=200, assets=3)
    weights = np.array([0.5, 0.3, 0.2])
    worst = np.sort(-(returns @ weights))[-10:]
    assert sample_shortfall(returns, weights, 0.95) == pytest.approx(worst.mean(), rel=1e-12)
    assert expected_shortfall(returns @ weights, 0.95) == pytest.approx(worst.mean(), rel=1e-9)


def test_a_tail_that_is_not_whole_takes_the_last_loss_in_part() -> None:
    returns = -np.array([[0.4], [0.3], [0.2], [0.1], [0.0]])
    expected = (0.4 + 0.5 * 0.3) / 1.5
    assert sample_shortfall(returns, np.ones(1), 0.7) == pytest.approx(expected)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1_000), st.permutations(range(5)))
def test_no_other_weights_are_better_and_order_does_not_matter(seed: int, order: list[int]) -> None:
    random = np.random.default_rng(seed)
    returns = random.normal(0, 0.03, (60, 1)) + random.standard_t(4, (60, 5)) * 0.02
    found = mean_cvar(returns, long_only(5, 0.5))
    assert found.weights.sum() == pytest.approx(1, abs=1e-9)
    assert ((found.weights >= 0) & (found.weights <= 0.5)).all()
    for other in random.dirichlet(np.ones(5), 50):
        if other.max() <= 0.5:
            assert sample_shortfall(returns, other, 0.95) >= found.expected_shortfall - 1e-12
    again = mean_cvar(returns[:, order], long_only(5, 0.5))
    assert again.expected_shortfall == pytest.approx(found.expected_shortfall, rel=1e-9)


def test_every_limit_is_kept(market: Market) -> None:
    returns = market(days=250, assets=6)
    means, current = returns.mean(axis=0), np.full(6, 1 / 6)
    members = np.array([True, True, False, False, False, True])
    limits = replace(
        long_only(6, 0.4),
        groups=(GroupCap("alts", members, 0.35),),
        least_mean=float(means.mean()),
        turnover=0.3,
        current=current,
    )
    found = mean_cvar(returns, limits).weights
    assert found[members].sum() <= 0.35 + 1e-9
    assert found @ means >= means.mean() - 1e-12
    assert np.abs(found - current).sum() / 2 <= 0.3 + 1e-9
    free = mean_cvar(returns, long_only(6)).expected_shortfall
    assert mean_cvar(returns, limits).expected_shortfall >= free - 1e-12


def test_too_few_or_missing_returns_are_refused(market: Market) -> None:
    with pytest.raises(InvalidError, match="at least 20 observations, has 19"):
        mean_cvar(market(days=19, assets=3), long_only(3))
    gap = market(days=50, assets=3)
    gap[3, 1] = np.nan
    with pytest.raises(InvalidError, match="complete"):
        mean_cvar(gap, long_only(3))
    assert np.isnan(sample_shortfall(np.empty((0, 2)), np.ones(2), 0.95))
