"""Parts of risk: they sum to the figures of the registry, and are what other ways give."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seawall.core.errors import InvalidError
from seawall.quant.attribution import (
    STILL,
    Attribution,
    RiskMeasure,
    attribute,
    by_group,
    by_holding,
    group,
)
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.metrics.tail import expected_shortfall, value_at_risk
from seawall.quant.types import FloatArray

CONFIDENCES = (0.9, 0.95, 0.975, 0.99)
CLOSE = 1e-12
MEASURES = tuple(RiskMeasure)


def _market(seed: int, days: int, assets: int) -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(seed)
    common = random.standard_t(4, (days, 1)) * 0.02
    returns = common * random.uniform(0.3, 1.5, assets) + random.normal(0, 0.02, (days, assets))
    weights = random.dirichlet(np.ones(assets))
    return weights, returns


def _attribute(
    weights: FloatArray, returns: FloatArray, measure: RiskMeasure, confidence: float = 0.95
) -> Attribution:
    return attribute(by_holding(weights, returns), measure, confidence)


@st.composite
def markets(draw: st.DrawFn) -> tuple[FloatArray, FloatArray]:
    """Weights of any sign over returns that come in days with ties."""
    weights, returns = _market(
        draw(st.integers(0, 10_000)), draw(st.integers(100, 160)), draw(st.integers(1, 8))
    )
    signs = draw(st.lists(st.sampled_from([1.0, 1.0, 0.0, -0.5]), min_size=8, max_size=8))
    if draw(st.booleans()):
        weights = weights * np.array(signs[: weights.size])
    if draw(st.booleans()):
        returns = np.round(returns, 2)
    return weights, returns


@given(markets(), st.sampled_from(MEASURES), st.sampled_from(CONFIDENCES))
@settings(max_examples=150, deadline=None)
def test_components_sum_to_the_total(
    market: tuple[FloatArray, FloatArray], measure: RiskMeasure, confidence: float
) -> None:
    weights, returns = market
    found = _attribute(weights, returns, measure, confidence)
    if found.reason:
        assert found.reason == STILL
        assert np.isnan(found.components).all()
        return
    scale = max(abs(found.total), float(np.abs(found.components).sum()))
    assert found.components.sum() == pytest.approx(found.total, rel=0, abs=CLOSE * scale)
    assert found.components == pytest.approx(weights * found.marginals, rel=1e-9, abs=1e-16)
    if found.total > 0:
        assert found.shares * found.total == pytest.approx(found.components, rel=CLOSE)


@given(markets(), st.sampled_from(MEASURES))
@settings(max_examples=60, deadline=None)
def test_the_order_of_assets_and_of_days_changes_nothing(
    market: tuple[FloatArray, FloatArray], measure: RiskMeasure
) -> None:
    # Quarters, so that sums are exact and days that tie do so in every order.
    weights, returns = np.round(market[0] * 4) / 4, np.round(market[1] * 64) / 64
    found = _attribute(weights, returns, measure)
    days = np.random.default_rng(1).permutation(returns.shape[0])
    turned = _attribute(weights[::-1], returns[days][:, ::-1], measure)
    assert turned.total == pytest.approx(found.total, rel=CLOSE, abs=1e-16)
    for name in ("components", "marginals", "standalone", "incremental"):
        expected = getattr(found, name)
        assert getattr(turned, name)[::-1] == pytest.approx(
            expected, rel=1e-9, abs=1e-15, nan_ok=True
        )


@given(markets(), st.sampled_from(MEASURES))
@settings(max_examples=60, deadline=None)
def test_groups_are_the_sums_of_their_holdings(
    market: tuple[FloatArray, FloatArray], measure: RiskMeasure
) -> None:
    weights, returns = market
    labels = ["coins" if at % 2 else "money" for at in range(weights.size)]
    streams = by_holding(weights, returns)
    alone = attribute(streams, measure)
    names, pooled = by_group(streams, weights, labels)
    found = attribute(pooled, measure)
    assert found.total == alone.total or math.isnan(alone.total)
    sums = group(alone.components, labels)
    assert names == tuple(sums)
    expected = np.array([float(sums[name]) for name in names])
    assert found.components == pytest.approx(expected, rel=1e-9, abs=1e-15, nan_ok=True)


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_totals_are_the_figures_of_the_registry(confidence: float) -> None:
    weights, returns = _market(3, 365, 5)
    portfolio = by_holding(weights, returns).portfolio
    found = {each: _attribute(weights, returns, each, confidence).total for each in MEASURES}
    assert found[RiskMeasure.VOLATILITY] == REGISTRY["volatility"].function(portfolio)
    assert found[RiskMeasure.VALUE_AT_RISK] == value_at_risk(portfolio, confidence)
    assert found[RiskMeasure.EXPECTED_SHORTFALL] == expected_shortfall(portfolio, confidence)


def test_volatility_is_split_by_the_covariance_matrix() -> None:
    weights, returns = _market(4, 365, 6)
    found = _attribute(weights, returns, RiskMeasure.VOLATILITY)
    covariance = np.cov(returns, rowvar=False)
    daily = math.sqrt(weights @ covariance @ weights)
    expected = weights * (covariance @ weights) / daily * math.sqrt(365)
    assert found.components == pytest.approx(expected, rel=1e-10)
    alone = weights * np.sqrt(np.diag(covariance)) * math.sqrt(365)
    assert found.standalone == pytest.approx(alone, rel=1e-10)
    assert found.diversification == pytest.approx(alone.sum() - found.total, rel=1e-10)
    for at in range(weights.size):
        rest = np.where(np.arange(weights.size) == at, 0, weights)
        without = math.sqrt(rest @ covariance @ rest) * math.sqrt(365)
        assert found.incremental[at] == pytest.approx(found.total - without, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_normal_components_follow_from_mean_and_covariance(confidence: float) -> None:
    weights, returns = _market(5, 250, 4)
    covariance, mean = np.cov(returns, rowvar=False), returns.mean(axis=0)
    slope = covariance @ weights / math.sqrt(weights @ covariance @ weights)
    quantile = stats.norm.ppf(confidence)
    shortfall = stats.norm.expect(lambda x: x, lb=quantile, conditional=True)
    for measure, loss in (
        (RiskMeasure.GAUSSIAN_VALUE_AT_RISK, quantile),
        (RiskMeasure.GAUSSIAN_EXPECTED_SHORTFALL, shortfall),
    ):
        found = _attribute(weights, returns, measure, confidence)
        expected = weights * (loss * slope - mean)
        assert found.components == pytest.approx(expected, rel=1e-7)
        assert found.total == pytest.approx(expected.sum(), rel=1e-9)
    assert NormalDist().inv_cdf(confidence) == pytest.approx(quantile, rel=1e-14)


def test_tail_components_are_those_of_the_tail_s_days() -> None:
    weights, returns = _market(6, 365, 5)
    portfolio = returns @ weights
    order = np.argsort(portfolio)
    place = 364 * 0.95
    worse, better = order[364 - math.ceil(place)], order[364 - math.floor(place)]
    part = place - math.floor(place)
    found = _attribute(weights, returns, RiskMeasure.VALUE_AT_RISK)
    expected = -weights * ((1 - part) * returns[better] + part * returns[worse])
    assert found.components == pytest.approx(expected, rel=1e-10)
    assert found.days == 2
    assert found.total == pytest.approx(np.quantile(-portfolio, 0.95), rel=1e-12)

    days = portfolio <= -np.quantile(-portfolio, 0.95)
    shortfall = _attribute(weights, returns, RiskMeasure.EXPECTED_SHORTFALL)
    assert shortfall.days == days.sum() == 19
    assert shortfall.components == pytest.approx(-weights * returns[days].mean(axis=0), rel=1e-10)


@pytest.mark.parametrize("measure", MEASURES)
def test_marginals_are_derivatives(measure: RiskMeasure) -> None:
    weights, returns = _market(7, 300, 4)
    found = _attribute(weights, returns, measure)
    step = 1e-7
    for at in range(4):
        moved = weights.copy()
        moved[at] += step
        grown = _attribute(moved, returns, measure).total
        assert (grown - found.total) / step == pytest.approx(
            found.marginals[at], rel=1e-4, abs=1e-6
        )


def test_a_holding_without_weight_adds_nothing_but_has_a_margin() -> None:
    weights, returns = _market(8, 200, 3)
    weights[1] = 0
    for measure in MEASURES:
        found = _attribute(weights, returns, measure)
        assert found.components[1] == found.incremental[1] == 0
        assert math.isfinite(found.marginals[1])


def test_days_that_tie_at_the_quantile_are_averaged() -> None:
    returns = np.zeros((100, 2))
    # Ten worst days lose the same together, five of them by each asset alone.
    returns[:5, 0] = returns[5:10, 1] = -0.1
    found = _attribute(np.array([0.5, 0.5]), returns, RiskMeasure.VALUE_AT_RISK)
    assert found.components == pytest.approx([0.025, 0.025])
    assert found.days == 10


@pytest.mark.parametrize("measure", MEASURES)
def test_too_few_observations_give_the_reason(measure: RiskMeasure) -> None:
    found = _attribute(np.ones(2) / 2, np.full((1, 2), 0.01), measure)
    needed = 20 if measure in {"value_at_risk", "expected_shortfall"} else 2
    assert found.reason == f"needs at least {needed} observations, has 1"
    for values in (found.components, found.shares, found.marginals, found.standalone):
        assert np.isnan(values).all()
    assert math.isnan(found.total)


def test_what_does_not_vary_has_no_parts_but_a_total() -> None:
    still = np.full((50, 2), 0.25)
    found = _attribute(np.ones(2) / 2, still, RiskMeasure.VOLATILITY)
    assert (found.total, found.reason) == (0, STILL)
    assert np.isnan(found.components).all()
    # A hedge that is whole leaves nothing to split either.
    _, returns = _market(9, 50, 1)
    hedged = _attribute(
        np.array([1.0, -1.0]), np.repeat(returns, 2, axis=1), RiskMeasure.VOLATILITY
    )
    assert (hedged.total, hedged.reason) == (0, STILL)
    # The tail of what does not vary is a day like any other: gains are no loss, so no shares.
    tail = _attribute(np.ones(2) / 2, still, RiskMeasure.EXPECTED_SHORTFALL)
    assert tail.components == pytest.approx([-0.125, -0.125])
    assert np.isnan(tail.shares).all()


def test_groups_that_cancel_have_no_unit() -> None:
    weights, returns = _market(10, 50, 2)
    weights = np.array([0.5, -0.5])
    streams = by_holding(weights, returns)
    names, pooled = by_group(streams, weights, ["a", "a"])
    found = attribute(pooled, RiskMeasure.VOLATILITY)
    assert names == ("a",)
    assert found.components[0] == pytest.approx(found.total)
    assert math.isnan(found.marginals[0])


def test_nothing_held_has_no_parts() -> None:
    found = _attribute(np.zeros(0), np.zeros((0, 0)), RiskMeasure.VOLATILITY)
    assert found.components.size == 0
    assert math.isnan(found.total)
    names, pooled = by_group(by_holding(np.zeros(0), np.zeros((0, 0))), np.zeros(0), [])
    assert (names, pooled.parts.shape) == ((), (0, 0))


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.5, 1.5, math.nan])
def test_a_confidence_outside_0_to_1_is_refused(confidence: float) -> None:
    weights, returns = _market(11, 50, 2)
    for measure in MEASURES[1:]:
        with pytest.raises(InvalidError, match="not between 0 and 1"):
            _attribute(weights, returns, measure, confidence)


def test_bad_input_is_refused() -> None:
    weights, returns = _market(12, 50, 2)
    with pytest.raises(InvalidError, match="not a finite number"):
        by_holding(weights, np.where(returns > 0.01, math.nan, returns))
    with pytest.raises(InvalidError, match="do not fit"):
        by_holding(weights[:1], returns)
    with pytest.raises(InvalidError, match="1 labels do not fit"):
        group(weights, ["a"])
