"""The full set in one call: equal to the registry's functions, honest about what is undefined."""

import math

import numpy as np
import pytest

from seawall.core.errors import InvalidError
from seawall.quant.metrics.measure import measure
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.metrics.tail import value_at_risk
from seawall.quant.returns import Benchmark, compound, match_benchmark
from seawall.quant.types import FloatArray

WEIGHTS = np.array([0.3, 0.25, 0.2, 0.1, 0.05, 0.1])
KEYS = {
    "volatility",
    "downside_deviation",
    "calmar_ratio",
    "var",
    "var_95",
    "var_99",
    "expected_shortfall",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "beta",
    "correlation_btc",
    "correlation_sp500",
    "skewness",
    "kurtosis",
    "herfindahl_index",
    "effective_n",
}
OF_RETURNS = (
    "volatility",
    "downside_deviation",
    "calmar_ratio",
    "var_95",
    "var_99",
    "expected_shortfall",
    "sharpe_ratio",
    "sortino_ratio",
    "max_drawdown",
    "skewness",
    "kurtosis",
)


def daily(returns: FloatArray) -> Benchmark:
    rows = np.arange(returns.size)
    return Benchmark(returns, rows, rows + 1)


@pytest.fixture
def weekdays() -> Benchmark:
    """An index that trades on five days of seven."""
    rng = np.random.default_rng(3)
    closes = 4000 * np.exp(rng.normal(0, 0.01, 366).cumsum())
    closes[np.isin(np.arange(366) % 7, (5, 6))] = np.nan
    return match_benchmark(np.arange(1, 366), closes)


def test_each_figure_equals_its_function(market: FloatArray, weekdays: Benchmark) -> None:
    btc = daily(market[:, 0])
    found = measure(WEIGHTS, market, benchmark=btc, btc=btc, sp500=weekdays, confidence=0.9)
    portfolio = market @ WEIGHTS
    expected = {slug: REGISTRY[slug].function(portfolio) for slug in OF_RETURNS}
    expected["var"] = value_at_risk(portfolio, 0.9)
    expected["beta"] = REGISTRY["beta"].function(portfolio, market[:, 0])
    expected["correlation_btc"] = REGISTRY["correlation_btc"].function(portfolio, market[:, 0])
    matched = compound(portfolio, weekdays.starts, weekdays.stops)
    expected["correlation_sp500"] = REGISTRY["correlation_sp500"].function(
        matched, weekdays.returns
    )
    expected["herfindahl_index"] = REGISTRY["herfindahl_index"].function(WEIGHTS)
    expected["effective_n"] = REGISTRY["effective_n"].function(WEIGHTS)
    assert set(found.values) == KEYS == set(expected)
    for slug, value in expected.items():
        assert found.values[slug] == pytest.approx(value, rel=1e-12), slug
    np.testing.assert_array_equal(
        found.correlation_matrix, REGISTRY["correlation_matrix"].function(market)
    )
    assert found.observations == 365
    assert found.matched == {"beta": 365, "correlation_btc": 365, "correlation_sp500": 261}


def test_a_risk_free_rate_changes_the_ratios_alone(market: FloatArray) -> None:
    plain, found = measure(WEIGHTS, market), measure(WEIGHTS, market, risk_free=0.0003)
    changed = {"sharpe_ratio", "sortino_ratio"}
    for slug in changed:
        expected = REGISTRY[slug].function(market @ WEIGHTS, risk_free=0.0003)
        assert found.values[slug] == pytest.approx(expected, rel=1e-12)
    for slug in set(OF_RETURNS) - changed:
        assert found.values[slug] == plain.values[slug]


def test_a_benchmark_that_was_not_given_is_named(market: FloatArray) -> None:
    found = measure(WEIGHTS, market)
    for slug in ("beta", "correlation_btc", "correlation_sp500"):
        assert math.isnan(found.values[slug])
        assert found.reasons[slug] == "no benchmark"
        assert found.matched[slug] == 0


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 19, 20, 99, 100])
def test_what_has_too_few_observations_is_nan_and_says_so(market: FloatArray, size: int) -> None:
    r = market[:size, :5]
    bench = daily(market[:size, 0] + market[:size, 1])
    found = measure(np.full(5, 0.2), r, benchmark=bench, btc=bench, sp500=bench)
    for slug in KEYS - {"var"}:
        needed = REGISTRY[slug].min_observations
        plural = "" if needed == 1 else "s"
        assert math.isnan(found.values[slug]) == (size < needed), slug
        expected = f"needs at least {needed} observation{plural}, has {size}"
        assert found.reasons.get(slug) == (expected if size < needed else None), slug
    assert np.isnan(found.correlation_matrix).all() == (size < 3)
    assert ("correlation_matrix" in found.reasons) == (size < 3)


def test_the_confidence_decides_how_many_observations_its_var_needs(market: FloatArray) -> None:
    found = measure(WEIGHTS, market, confidence=0.999)
    assert math.isnan(found.values["var"])
    assert found.reasons["var"] == "needs at least 1000 observations, has 365"


def test_a_stablecoin_alone_has_no_ratios_and_no_correlations(market: FloatArray) -> None:
    bench = daily(market[:, 0])
    found = measure(np.ones(1), market[:, 5:], benchmark=bench, btc=bench, sp500=bench)
    for slug in ("volatility", "var_95", "expected_shortfall", "max_drawdown", "beta"):
        assert found.values[slug] == 0
    assert found.reasons == {
        "sharpe_ratio": "no variance",
        "sortino_ratio": "no negative return",
        "skewness": "no variance",
        "kurtosis": "no variance",
        "calmar_ratio": "no drawdown, or more than everything was lost",
        "correlation_btc": "no variance in the portfolio or the benchmark",
        "correlation_sp500": "no variance in the portfolio or the benchmark",
        "correlation_matrix": "no variance in asset 1",
    }


def test_a_stablecoin_among_others_blanks_its_own_correlations(market: FloatArray) -> None:
    found = measure(WEIGHTS, market)
    assert np.isnan(found.correlation_matrix[5]).all()
    assert not np.isnan(found.correlation_matrix[:5, :5]).any()
    assert found.reasons["correlation_matrix"] == "no variance in asset 6"


def test_several_assets_without_variance_are_all_named(market: FloatArray) -> None:
    market[:, 2] = 0.01
    found = measure(WEIGHTS, market)
    assert found.reasons["correlation_matrix"] == "no variance in assets 3, 6"


def test_a_benchmark_that_does_not_vary_gives_no_beta(market: FloatArray) -> None:
    found = measure(WEIGHTS, market, benchmark=daily(np.zeros(365)))
    assert math.isnan(found.values["beta"])
    assert found.reasons["beta"] == "no variance in the benchmark"


def test_a_benchmark_without_overlap_has_no_observations(market: FloatArray) -> None:
    nothing = match_benchmark(np.arange(1, 366), np.full(366, np.nan))
    found = measure(WEIGHTS, market, sp500=nothing)
    assert found.reasons["correlation_sp500"] == "needs at least 3 observations, has 0"


def test_an_empty_portfolio_is_nan_throughout() -> None:
    found = measure(np.empty(0), np.empty((0, 0)))
    assert all(math.isnan(value) for value in found.values.values())
    assert set(found.reasons) == KEYS | {"correlation_matrix"}
    assert found.reasons["herfindahl_index"] == "no holdings"
    assert found.reasons["correlation_matrix"] == "no holdings"
    assert found.correlation_matrix.shape == (0, 0)


def test_every_nan_has_a_reason_and_only_nans_do(market: FloatArray) -> None:
    found = measure(WEIGHTS[:5], market[:50, :5])
    undefined = {slug for slug, value in found.values.items() if math.isnan(value)}
    assert set(found.reasons) == undefined
    assert all(found.reasons.values())


def test_the_order_of_the_assets_does_not_matter(market: FloatArray) -> None:
    mixed = np.array([3, 0, 5, 1, 4, 2])
    bench = daily(market[:, 0])
    one = measure(WEIGHTS, market, benchmark=bench, btc=bench, sp500=bench)
    other = measure(WEIGHTS[mixed], market[:, mixed], benchmark=bench, btc=bench, sp500=bench)
    for slug, value in one.values.items():
        assert other.values[slug] == pytest.approx(value, rel=1e-9), slug
    np.testing.assert_allclose(
        other.correlation_matrix, one.correlation_matrix[np.ix_(mixed, mixed)], rtol=1e-12
    )


def test_what_it_is_given_stays_as_it_was(market: FloatArray) -> None:
    kept, weights = market.copy(), WEIGHTS.copy()
    measure(weights, market)
    np.testing.assert_array_equal(market, kept)
    np.testing.assert_array_equal(weights, WEIGHTS)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused(market: FloatArray, value: float) -> None:
    with pytest.raises(InvalidError, match="weight is not a finite number"):
        measure(np.where(WEIGHTS == 0.3, value, WEIGHTS), market)
    market[7, 2] = value
    with pytest.raises(InvalidError, match="return is not a finite number"):
        measure(WEIGHTS, market)


def test_shapes_and_confidences_that_make_no_sense_are_refused(market: FloatArray) -> None:
    with pytest.raises(InvalidError, match="do not fit"):
        measure(WEIGHTS[:5], market)
    with pytest.raises(InvalidError, match="not between 0 and 1"):
        measure(WEIGHTS, market, confidence=95)
    with pytest.raises(InvalidError, match="within 100 returns"):
        measure(WEIGHTS, market[:100], btc=daily(market[:, 0]))
