"""What holds for every metric of the registry, so for one that is added tomorrow as well."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seawall.quant.metrics.metric import Input, Metric, Unit
from seawall.quant.metrics.registry import FAMILIES, REGISTRY
from seawall.quant.types import FloatArray

ASSETS = 4
WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])
SCALARS = [slug for slug, metric in REGISTRY.items() if metric.takes is not Input.ASSETS]
OF_RETURNS = [slug for slug in SCALARS if REGISTRY[slug].takes is not Input.WEIGHTS]
PAIRS = {Input.BENCHMARK, Input.BTC, Input.SP500}

GROWS = {  # with the size of the returns, exactly
    "volatility": 1,
    "downside_deviation": 1,
    "var_95": 1,
    "var_99": 1,
    "expected_shortfall": 1,
    "tracking_error": 1,
    "alpha": 1,
    "sharpe_ratio": 0,
    "sortino_ratio": 0,
    "omega_ratio": 0,
    "tail_ratio": 0,
    "information_ratio": 0,
    "probabilistic_sharpe_ratio": 0,
    "deflated_sharpe_ratio": 0,
    "minimum_track_record": 0,
    "skewness": 0,
    "kurtosis": 0,
    "beta": 0,
    "diversification_ratio": 0,
    "effective_bets": 0,
    "effective_torsion_bets": 0,
    **{slug: 0 for slug in REGISTRY if "correlation" in slug and slug != "correlation_matrix"},
}
MOVES = {  # by the negative of a certain gain a day, or not at all
    **dict.fromkeys(("var_95", "var_99", "expected_shortfall"), -1),
    **dict.fromkeys(("volatility", "skewness", "kurtosis", "beta"), 0),
    **{slug: 0 for slug in GROWS if "correlation" in slug or "effective" in slug},
    "diversification_ratio": 0,
}


def drawn(size: int, seed: int = 3) -> FloatArray:
    """(size, 4) returns with a common factor, that lose a little on average."""
    rng = np.random.default_rng(seed)
    return rng.normal(-0.001, 0.02, (size, 1)) + rng.standard_t(4, (size, ASSETS)) * 0.015


def inputs(metric: Metric, matrix: FloatArray, weights: FloatArray = WEIGHTS) -> tuple[Any, ...]:
    """What a metric is called with, of a portfolio and its first asset as the benchmark."""
    portfolio = matrix @ weights
    match metric.takes:
        case Input.RETURNS:
            return (portfolio,)
        case Input.WEIGHTS:
            return (weights,)
        case Input.ASSETS:
            return (matrix,)
        case Input.HOLDINGS:
            return weights, matrix
        case _:
            return portfolio, drawn(len(matrix), 8)[:, 0]


def value(slug: str, *given_inputs: Any) -> float:
    return float(REGISTRY[slug].function(*given_inputs))


def test_families_hold_each_metric_once() -> None:
    filed = [metric.slug for family in FAMILIES.values() for metric in family]
    assert sorted(filed) == sorted(REGISTRY)


@pytest.mark.parametrize("slug", OF_RETURNS)
def test_below_its_minimum_of_observations_a_metric_is_nan(slug: str) -> None:
    metric = REGISTRY[slug]
    for size in sorted({0, 1, 2, 3, metric.min_observations - 1}):
        if size < metric.min_observations:
            assert math.isnan(value(slug, *inputs(metric, drawn(size)))), size


@pytest.mark.parametrize("slug", OF_RETURNS)
def test_at_its_minimum_a_metric_is_a_number_or_says_why_not(slug: str) -> None:
    metric = REGISTRY[slug]
    found = [
        value(slug, *inputs(metric, drawn(max(metric.min_observations, 1), seed) * sign))
        for seed in range(12)
        for sign in (1, -1)
    ]
    assert not any(math.isinf(each) for each in found)
    assert any(not math.isnan(each) for each in found) or metric.min_observations <= ASSETS
    assert metric.undefined or not any(math.isnan(each) for each in found)


@pytest.mark.parametrize("slug", SCALARS)
def test_without_any_number_a_metric_is_nan(slug: str) -> None:
    metric = REGISTRY[slug]
    nothing = np.full((150, ASSETS), np.nan)
    assert math.isnan(value(slug, *inputs(metric, nothing, np.full(ASSETS, np.nan))))


@pytest.mark.parametrize("slug", OF_RETURNS)
def test_one_return_that_is_no_number_leaves_no_silent_figure(slug: str) -> None:
    metric = REGISTRY[slug]
    holed = drawn(150)
    holed[70] = np.nan
    assert math.isnan(value(slug, *inputs(metric, holed)))
    if metric.takes in PAIRS:
        benchmark = drawn(150, 8)[:, 0]
        benchmark[70] = np.nan
        assert math.isnan(value(slug, drawn(150) @ WEIGHTS, benchmark))


@pytest.mark.parametrize("level", [0.0, 0.01, -0.01, 0.1])
@pytest.mark.parametrize("slug", OF_RETURNS)
def test_a_series_that_does_not_vary_gives_no_ratio(slug: str, level: float) -> None:
    metric = REGISTRY[slug]
    found = value(slug, *inputs(metric, np.full((150, ASSETS), level)))
    assert not math.isinf(found)
    deviates = slug.endswith(("sharpe_ratio", "skewness", "kurtosis", "track_record", "bets"))
    if deviates or slug == "diversification_ratio" or "correlation" in slug:
        assert math.isnan(found)


# In another order a simulation draws other paths; tests/quant/test_tails.py compares these.
@pytest.mark.parametrize("slug", [slug for slug in SCALARS if not slug.endswith("_copula")])
def test_the_order_of_the_assets_does_not_matter(slug: str) -> None:
    metric, matrix = REGISTRY[slug], -drawn(150)
    mixed = np.array([2, 0, 3, 1])
    there = value(slug, *inputs(metric, matrix))
    back = value(slug, *inputs(metric, np.ascontiguousarray(matrix[:, mixed]), WEIGHTS[mixed]))
    assert back == pytest.approx(there, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("slug", GROWS)
def test_a_metric_grows_with_the_returns_or_does_not(slug: str) -> None:
    metric, matrix = REGISTRY[slug], -drawn(150)
    given_inputs = inputs(metric, matrix)
    # A power of two scales without rounding.
    larger = tuple(x if x is WEIGHTS else x * 2.0 for x in given_inputs)
    assert value(slug, *larger) == pytest.approx(
        2.0 ** GROWS[slug] * value(slug, *given_inputs), rel=1e-9
    )


@pytest.mark.parametrize("slug", MOVES)
def test_a_metric_moves_with_a_certain_gain_or_does_not(slug: str) -> None:
    metric, matrix = REGISTRY[slug], drawn(150)
    given_inputs = inputs(metric, matrix)
    moved = tuple(x if x is WEIGHTS else x + 0.01 for x in given_inputs)
    expected = value(slug, *given_inputs) + 0.01 * MOVES[slug]
    assert value(slug, *moved) == pytest.approx(expected, rel=1e-8, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(0, 130), st.just(ASSETS)), elements=st.floats(-1, 3)),
    st.sampled_from([np.ones(ASSETS) / ASSETS, WEIGHTS, np.array([1.5, -0.5, 0.0, 0.0])]),
)
def test_whatever_the_returns_no_metric_raises_or_is_infinite(
    matrix: FloatArray, weights: FloatArray
) -> None:
    for slug in SCALARS:
        metric = REGISTRY[slug]
        found = value(slug, *inputs(metric, matrix, weights))
        assert not math.isinf(found), slug
        if metric.takes is not Input.WEIGHTS and len(matrix) < metric.min_observations:
            assert math.isnan(found), slug
        if metric.unit is Unit.DAYS and not math.isnan(found):
            assert found >= 0, slug


@pytest.mark.parametrize("slug", OF_RETURNS)
def test_the_options_that_a_metric_names_are_its_own(slug: str) -> None:
    metric, matrix = REGISTRY[slug], drawn(150)
    chosen = {"risk_free": 0.001, "periods": 200.0, "trials": 7}
    options = {name: chosen[name] for name in metric.options}
    plain = value(slug, *inputs(metric, matrix))
    for name, option in options.items():
        function: Callable[..., Any] = metric.function
        assert float(function(*inputs(metric, matrix), **{name: option})) != plain


def test_more_bets_and_more_diversification_than_one_only_from_more_assets() -> None:
    matrix = drawn(150)
    alone = np.array([1.0, 0.0, 0.0, 0.0])
    for slug in ("diversification_ratio", "effective_torsion_bets"):
        assert value(slug, alone, matrix) == pytest.approx(1.0, abs=1e-9)
        assert 1 < value(slug, WEIGHTS, matrix) <= ASSETS
    assert value("effective_bets", np.ones(1), matrix[:, :1]) == pytest.approx(1.0)


def test_equal_holdings_of_equally_correlated_assets_are_as_many_torsion_bets() -> None:
    # The example of Meucci, Santangelo & Deguest: whatever the common correlation, N bets.
    raw = drawn(300)
    white = (raw - raw.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    for common in (0.0, 0.3, 0.8):
        wanted = np.full((ASSETS, ASSETS), common) + (1 - common) * np.eye(ASSETS)
        matrix = white @ np.linalg.cholesky(wanted).T
        bets = value("effective_torsion_bets", np.full(ASSETS, 0.25), matrix)
        assert bets == pytest.approx(ASSETS, rel=1e-9)


def test_a_duplicated_asset_makes_the_covariance_singular_and_is_one_bet() -> None:
    matrix = drawn(150)
    twice = np.column_stack((matrix[:, 0], matrix[:, 0]))
    assert math.isnan(value("effective_torsion_bets", np.array([0.5, 0.5]), twice))
    assert value("effective_bets", np.array([0.5, 0.5]), twice) == pytest.approx(1.0, abs=1e-6)
    assert value("diversification_ratio", np.array([0.5, 0.5]), twice) == pytest.approx(1.0)


def test_a_stablecoin_beside_others_makes_no_bet() -> None:
    matrix = drawn(150)
    still = np.column_stack((matrix, np.zeros(150)))
    weights = np.append(WEIGHTS * 0.5, 0.5)
    for slug in ("diversification_ratio", "effective_bets", "effective_torsion_bets"):
        assert value(slug, weights, still) == pytest.approx(value(slug, WEIGHTS, matrix), rel=1e-9)
