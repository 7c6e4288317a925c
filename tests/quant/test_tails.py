"""Value at risk and expected shortfall by every method: golden numbers, properties, bad input."""

import math
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from seawall.core.errors import InvalidError
from seawall.quant.garch import fit_garch
from seawall.quant.losses.parametric import is_monotone
from seawall.quant.metrics.tail import expected_shortfall, value_at_risk
from seawall.quant.tails import TailMethod, TailQuestion, TailRisk, tail_risk
from seawall.quant.types import FloatArray

METHODS = list(TailMethod)
SIMULATED = [TailMethod.FILTERED, TailMethod.FILTERED_EWMA, TailMethod.COPULA]
FEW = 1000


def market(days: int = 365, assets: int = 4, seed: int = 1) -> FloatArray:
    rng = np.random.default_rng(seed)
    common = rng.standard_t(6, (days, 1)) * 0.01
    return 0.001 + common + rng.standard_t(6, (days, assets)) * 0.015


WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])
RETURNS = market()
PORTFOLIO = RETURNS @ WEIGHTS


def ask(method: TailMethod, **other: float) -> TailQuestion:
    return TailQuestion(method, **{"paths": FEW, **other})  # type: ignore[arg-type]


def of(returns: FloatArray, question: TailQuestion) -> TailRisk:
    return tail_risk([1.0], returns[:, np.newaxis], question)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.975, 0.99])
def test_one_day_of_history_is_the_registrys(confidence: float) -> None:
    found = tail_risk(WEIGHTS, RETURNS, ask(TailMethod.HISTORICAL, confidence=confidence))
    assert found.var == pytest.approx(value_at_risk(PORTFOLIO, confidence), rel=1e-12)
    assert found.es == pytest.approx(expected_shortfall(PORTFOLIO, confidence), rel=1e-12)
    assert found.observations == 365


def test_days_of_history_are_compounded_windows() -> None:
    growth = np.lib.stride_tricks.sliding_window_view(1 + PORTFOLIO, 5).prod(axis=1)
    found = tail_risk(WEIGHTS, RETURNS, ask(TailMethod.HISTORICAL, horizon=5))
    losses = 1 - growth
    var = np.quantile(losses, 0.95)
    assert found.var == pytest.approx(var, rel=1e-12)
    assert found.es == pytest.approx(losses[losses >= var].mean(), rel=1e-12)


@pytest.mark.parametrize(("confidence", "horizon"), [(0.95, 1), (0.99, 1), (0.975, 10), (0.3, 2)])
def test_the_gaussian_tail_is_scipys(confidence: float, horizon: int) -> None:
    found = tail_risk(
        WEIGHTS, RETURNS, ask(TailMethod.GAUSSIAN, confidence=confidence, horizon=horizon)
    )
    mean, scale = horizon * PORTFOLIO.mean(), math.sqrt(horizon) * PORTFOLIO.std(ddof=1)
    losses = stats.norm(-mean, scale)
    assert found.var == pytest.approx(losses.ppf(confidence), rel=1e-9)
    mass, _ = integrate.quad(losses.ppf, confidence, 1, epsabs=1e-13)
    assert found.es == pytest.approx(mass / (1 - confidence), rel=1e-6)
    z = stats.norm.ppf(confidence)
    assert found.es == pytest.approx(scale * stats.norm.pdf(z) / (1 - confidence) - mean, rel=1e-9)


def expansion(probability: float, skewness: float, kurtosis: float) -> float:
    """Write Cornish and Fisher's quantile of a return down as Maillard (2012) does."""
    z = float(stats.norm.ppf(probability))
    return (
        z
        + (z**2 - 1) * skewness / 6
        + (z**3 - 3 * z) * kurtosis / 24
        - (2 * z**3 - 5 * z) * skewness**2 / 36
    )


@pytest.mark.parametrize(("confidence", "horizon"), [(0.95, 1), (0.99, 1), (0.95, 10)])
def test_cornish_fisher_is_the_expansion_and_its_mean_in_the_tail(
    confidence: float, horizon: int
) -> None:
    found = tail_risk(
        WEIGHTS, RETURNS, ask(TailMethod.CORNISH_FISHER, confidence=confidence, horizon=horizon)
    )
    skewness = float(stats.skew(PORTFOLIO, bias=False)) / math.sqrt(horizon)
    kurtosis = float(stats.kurtosis(PORTFOLIO, bias=False)) / horizon
    mean, scale = horizon * PORTFOLIO.mean(), math.sqrt(horizon) * PORTFOLIO.std(ddof=1)
    worst = 1 - confidence
    assert found.var == pytest.approx(
        -mean - scale * expansion(worst, skewness, kurtosis), rel=1e-9
    )
    # The quantile function's mean, in terms of the normal quantile, where it is smooth.
    mass, _ = integrate.quad(
        lambda z: expansion(float(stats.norm.cdf(z)), skewness, kurtosis) * stats.norm.pdf(z),
        -12,
        stats.norm.ppf(worst),
        epsabs=1e-12,
    )
    assert found.es == pytest.approx(-mean - scale * mass / worst, rel=1e-9)


@given(st.floats(-3, 3), st.floats(-2, 12))
def test_the_domain_of_the_expansion_is_where_it_rises(skewness: float, kurtosis: float) -> None:
    z = np.linspace(-60, 60, 20_001)
    slope = (
        1 + z * skewness / 3 + (3 * z**2 - 3) * kurtosis / 24 - (6 * z**2 - 5) * skewness**2 / 36
    )
    if is_monotone(skewness, kurtosis):
        assert slope.min() >= -1e-6
    elif abs(kurtosis / 8 - skewness**2 / 6) > 1e-2:
        # Or it falls between two points of the grid, or far out.
        assert slope.min() < 1e-3


def test_outside_its_domain_cornish_fisher_says_so() -> None:
    heavy = np.append(PORTFOLIO, [-0.3, 0.3])
    found = of(heavy, ask(TailMethod.CORNISH_FISHER))
    assert math.isnan(found.var)
    assert math.isnan(found.es)
    assert "outside the domain of the Cornish-Fisher expansion" in found.reason
    # Over enough days the sum is near enough to normal.
    assert of(heavy, ask(TailMethod.CORNISH_FISHER, horizon=120)).reason == ""


def test_one_filtered_day_is_every_residual_at_todays_volatility() -> None:
    fit = fit_garch(PORTFOLIO)
    residuals = (PORTFOLIO - fit.mean) / np.sqrt(fit.variances[:-1])
    scenarios = fit.mean + math.sqrt(fit.variances[-1]) * residuals
    found = tail_risk(WEIGHTS, RETURNS, ask(TailMethod.FILTERED))
    assert found.var == pytest.approx(value_at_risk(scenarios), rel=1e-12)
    assert found.es == pytest.approx(expected_shortfall(scenarios), rel=1e-12)


def test_one_day_filtered_by_weights_is_written_down_in_pandas() -> None:
    import pandas as pd  # noqa: PLC0415

    shocks = pd.Series(PORTFOLIO - PORTFOLIO.mean())
    deviation = (shocks**2).ewm(alpha=0.06, adjust=True).mean() ** 0.5
    residuals = (shocks / deviation.shift()).dropna()
    scenarios = PORTFOLIO.mean() + deviation.iloc[-1] * residuals
    found = tail_risk(WEIGHTS, RETURNS, ask(TailMethod.FILTERED_EWMA))
    assert found.var == pytest.approx((-scenarios).quantile(0.95), rel=1e-12)


@pytest.mark.parametrize("method", [TailMethod.FILTERED, TailMethod.FILTERED_EWMA])
def test_filtered_days_are_those_of_a_plain_simulation(method: TailMethod) -> None:
    fit = fit_garch(PORTFOLIO)
    omega, alpha, beta, mean = fit.omega, fit.alpha, fit.beta, fit.mean
    residuals = (PORTFOLIO - mean) / np.sqrt(fit.variances[:-1])
    variance = np.full(40_000, fit.variances[-1])
    if method is TailMethod.FILTERED_EWMA:
        shocks = PORTFOLIO - mean
        weights = 0.94 ** np.arange(365)[::-1]
        sums, totals = np.cumsum(shocks**2 / 0.94 ** np.arange(365)), np.cumsum(weights[::-1] ** -1)
        path = sums / totals
        residuals, omega, alpha, beta = shocks[1:] / np.sqrt(path[:-1]), 0.0, 0.06, 0.94
        variance = np.full(40_000, path[-1])
    rng, growth = np.random.default_rng(5), np.ones(40_000)
    for _ in range(10):
        shock = np.sqrt(variance) * rng.choice(residuals, 40_000)
        growth *= 1 + mean + shock
        variance = omega + alpha * shock**2 + beta * variance
    found = tail_risk(WEIGHTS, RETURNS, ask(method, horizon=10, paths=40_000))
    assert abs(found.var - np.quantile(1 - growth, 0.95)) < 5 * found.var_error
    assert found.es == pytest.approx(expected_shortfall(growth - 1), abs=6 * found.es_error)


def test_one_asset_under_a_copula_is_its_history() -> None:
    found = of(PORTFOLIO, ask(TailMethod.COPULA, paths=100_000))
    alone = of(PORTFOLIO, ask(TailMethod.HISTORICAL))
    assert abs(found.var - alone.var) < 4 * found.var_error
    # The mean of interpolated quantiles, where history's is of the days beyond.
    assert found.es == pytest.approx(alone.es, rel=0.03)


@pytest.mark.parametrize("method", SIMULATED)
def test_a_seed_gives_the_same_bits_and_another_others(method: TailMethod) -> None:
    question = ask(method, horizon=3, seed=7)
    first = tail_risk(WEIGHTS, RETURNS, question)
    assert tail_risk(WEIGHTS, RETURNS, question) == first
    other = tail_risk(WEIGHTS, RETURNS, replace(question, seed=8))
    assert other.var != first.var
    assert abs(other.var - first.var) < 5 * math.hypot(first.var_error, other.var_error)


# What holds of every method.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("horizon", [1, 5])
def test_the_shortfall_is_never_below_the_value_at_risk(method: TailMethod, horizon: int) -> None:
    for confidence in (0.5, 0.9, 0.95):
        found = tail_risk(WEIGHTS, RETURNS, ask(method, confidence=confidence, horizon=horizon))
        assert found.es >= found.var
        assert found.var_error > 0
        assert found.es_error > 0


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=8, deadline=None)
@given(shift=st.floats(-0.01, 0.01), scale=st.floats(0.1, 2))
def test_a_day_moves_with_what_is_added_and_grows_with_what_is_multiplied(
    method: TailMethod, shift: float, scale: float
) -> None:
    question = ask(method)
    plain = tail_risk(WEIGHTS, RETURNS, question)
    # Weights sum to 1, so what every asset earns more the portfolio earns more.
    moved = tail_risk(WEIGHTS, scale * RETURNS + shift, question)
    assert moved.var == pytest.approx(scale * plain.var - shift, abs=1e-7)
    assert moved.es == pytest.approx(scale * plain.es - shift, abs=1e-7)
    larger = tail_risk(scale * WEIGHTS, RETURNS, question)
    assert larger.var == pytest.approx(scale * plain.var, abs=1e-7)
    assert larger.es == pytest.approx(scale * plain.es, abs=1e-7)
    assert larger.es_error == pytest.approx(scale * plain.es_error, abs=1e-7)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=4, deadline=None)
@given(order=st.permutations(range(4)))
def test_the_order_of_assets_does_not_matter(method: TailMethod, order: list[int]) -> None:
    question = ask(method, horizon=2)
    plain = tail_risk(WEIGHTS, RETURNS, question)
    other = tail_risk(WEIGHTS[order], RETURNS[:, order], question)
    if method is TailMethod.COPULA:
        # Another order draws other paths of the same distribution.
        assert abs(other.var - plain.var) < 5 * math.hypot(plain.var_error, other.var_error)
    else:
        assert other.var == pytest.approx(plain.var, rel=1e-6)
        assert other.es == pytest.approx(plain.es, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.95))
def test_the_shortfall_of_two_together_is_no_more_than_of_each(seed: int, share: float) -> None:
    # Over a whole number of days in the tail; between two days the definition interpolates.
    returns = market(101, 2, seed)
    weights = np.array([share, 1 - share])
    question = ask(TailMethod.HISTORICAL)
    together = tail_risk(weights, returns, question).es
    apart = [tail_risk([w], returns[:, [i]], question).es for i, w in enumerate(weights)]
    assert together <= sum(apart) + 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("horizon", [1, 4])
def test_what_never_varies_loses_what_it_loses(method: TailMethod, horizon: int) -> None:
    for daily in (0.0, -0.001):
        found = of(np.full(365, daily), ask(method, horizon=horizon))
        moments = method in {TailMethod.GAUSSIAN, TailMethod.CORNISH_FISHER}
        expected = -horizon * daily if moments else 1 - (1 + daily) ** horizon
        assert found.reason == ""
        assert found.var == pytest.approx(expected, abs=1e-14)
        assert found.es == pytest.approx(expected, abs=1e-14)
        assert found.var_error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_stablecoin_beside_others_only_dilutes_them(method: TailMethod) -> None:
    returns = np.column_stack((RETURNS, np.zeros(365)))
    half = tail_risk(np.append(WEIGHTS / 2, 0.5), returns, ask(method))
    whole = tail_risk(WEIGHTS, RETURNS, ask(method))
    assert half.var == pytest.approx(whole.var / 2, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_an_asset_held_twice_is_one_asset(method: TailMethod) -> None:
    twice = tail_risk(
        np.append(WEIGHTS[:3], [0.05, 0.05]), RETURNS[:, [0, 1, 2, 3, 3]], ask(method)
    )
    once = tail_risk(WEIGHTS, RETURNS, ask(method))
    tolerance = 6 * once.var_error if method is TailMethod.COPULA else 1e-6
    assert twice.var == pytest.approx(once.var, abs=tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_more_assets_than_days_is_no_obstacle(method: TailMethod) -> None:
    found = tail_risk(np.full(60, 1 / 60), market(55, 60), ask(method))
    assert found.reason == "" or "Cornish" in found.reason


def test_losing_everything_is_the_end() -> None:
    returns = np.tile([0.1, -1.5, -2.0, 0.1, 0.2], 40)
    assert of(returns, ask(TailMethod.HISTORICAL, horizon=3)).var == 2.0
    found = of(np.tile([-1.0, 0.01], 100), ask(TailMethod.COPULA, horizon=8))
    assert found.var == found.es == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_three_observations_are_too_few_except_for_a_mean_and_a_deviation(
    method: TailMethod,
) -> None:
    found = tail_risk(WEIGHTS, RETURNS[:3], ask(method))
    assert found.observations == 3
    if method is TailMethod.GAUSSIAN:
        assert math.isfinite(found.var)
    else:
        assert all(map(math.isnan, astuple(found)[:4]))
        assert found.reason.startswith("needs at least ")


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_a_number_gives_none_unless_it_has_no_weight(method: TailMethod) -> None:
    returns = RETURNS.copy()
    returns[5, 3] = math.nan
    found = tail_risk(WEIGHTS, returns, ask(method))
    assert all(map(math.isnan, astuple(found)[:4]))
    assert found.reason == "a return is not a number"
    without = tail_risk([0.5, 0.3, 0.2, 0.0], returns, ask(method))
    assert without == tail_risk([0.5, 0.3, 0.2], RETURNS[:, :3], ask(method))


def test_nothing_held_has_no_tail() -> None:
    assert tail_risk([], np.empty((365, 0)), TailQuestion()).reason == "no holdings"
    assert tail_risk([0.0], np.zeros((365, 1)), TailQuestion()).reason == "no holdings"


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 95.0, math.nan])
def test_a_confidence_is_between_0_and_1(confidence: float) -> None:
    with pytest.raises(InvalidError, match="not between 0 and 1"):
        TailQuestion(confidence=confidence)


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(InvalidError, match="horizon of 0"):
        TailQuestion(horizon=0)
    with pytest.raises(InvalidError, match="0 paths"):
        TailQuestion(paths=0)
    with pytest.raises(InvalidError, match="seed -1"):
        TailQuestion(seed=-1)
    with pytest.raises(InvalidError, match="do not fit"):
        tail_risk([1.0], RETURNS, TailQuestion())
    with pytest.raises(InvalidError, match="not a finite number"):
        tail_risk([math.inf], RETURNS[:, :1], TailQuestion())


def test_a_horizon_needs_as_many_windows_side_by_side() -> None:
    found = of(PORTFOLIO, ask(TailMethod.HISTORICAL, confidence=0.99, horizon=10))
    assert found.reason == "needs at least 1000 observations, has 365"
    found = of(PORTFOLIO, ask(TailMethod.COPULA, paths=10))
    assert found.reason == "needs at least 20 observations, has 10 of its simulation"
