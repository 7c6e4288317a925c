"""Every metric against independent libraries: equal to 1e-9, or different by what is said here.

Where a definition differs, the test computes the peer's number from ours, so that the difference
is exactly the one that `docs/metrics-compared.md` tells of.
"""

import math
from typing import Any

import empyrical
import numpy as np
import pandas as pd
import pytest
import quantstats.stats as qs
from empyrical.stats import drawdown_series
from scipy import stats
from skfolio import measures as sk

from seawall.quant.metrics import (
    concentration,
    correlations,
    dependence,
    diversification,
    drawdown,
    moments,
    ratios,
    relative,
    returns,
    skill,
    tail,
)
from seawall.quant.types import FloatArray

CLOSE = 1e-9
R = np.random.default_rng(5).standard_t(4, 365) * 0.03 + 0.001
B = 0.6 * R + np.random.default_rng(6).standard_t(5, 365) * 0.02
R.setflags(write=False)
B.setflags(write=False)


@pytest.fixture(scope="module")
def series() -> pd.Series:
    return pd.Series(R, pd.date_range("2024-01-01", periods=R.size))


@pytest.fixture(scope="module")
def other(series: pd.Series) -> pd.Series:
    return pd.Series(B, series.index)


def same(ours: float, theirs: Any) -> None:
    assert ours == pytest.approx(theirs, rel=CLOSE)


def test_return_and_volatility(series: pd.Series) -> None:
    same(returns.total_return(R), qs.comp(series))
    same(returns.annualised_return(R), empyrical.annual_return(R, annualization=365))
    same(returns.volatility(R), qs.volatility(series, periods=365, prepare_returns=False))
    same(returns.volatility(R), empyrical.annual_volatility(R, annualization=365))
    same(returns.volatility(R), sk.standard_deviation(R) * 365**0.5)
    same(returns.downside_deviation(R), empyrical.downside_risk(R, annualization=365))
    # skfolio divides the squares by n - 1.
    semi = sk.semi_deviation(R, min_acceptable_return=0.0)
    same(returns.downside_deviation(R), semi * (364 / 365) ** 0.5 * 365**0.5)


def test_drawdowns(series: pd.Series) -> None:
    falls = -sk.get_drawdowns(R, compounded=True)
    np.testing.assert_allclose(drawdown.drawdowns(R), falls, atol=1e-12)
    np.testing.assert_allclose(drawdown.drawdowns(R), -drawdown_series(R), atol=1e-12)
    same(drawdown.max_drawdown(R), sk.max_drawdown(-falls))
    same(drawdown.max_drawdown(R), -empyrical.max_drawdown(R))
    same(drawdown.max_drawdown(R), -qs.max_drawdown(series))
    same(drawdown.average_drawdown(R), sk.average_drawdown(-falls))
    same(drawdown.ulcer_index(R), sk.ulcer_index(-falls))
    # quantstats divides the squares by n - 1.
    same(drawdown.ulcer_index(R), qs.ulcer_index(series) * (364 / 365) ** 0.5)


@pytest.mark.parametrize("size", [20, 21, 39, 40, 100, 365])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_conditional_drawdown(size: int, confidence: float) -> None:
    falls = sk.get_drawdowns(R[:size], compounded=True)
    theirs = sk.cdar(falls, beta=confidence)
    assert drawdown.conditional_drawdown(R[:size], confidence) == pytest.approx(theirs, abs=1e-12)


def test_conditional_drawdown_of_linear_paths_is_another() -> None:
    # Without compounding, skfolio's default, a fall is of the first value, not of the peak.
    assert sk.cdar(sk.get_drawdowns(R)) != pytest.approx(
        drawdown.conditional_drawdown(R), rel=0.001
    )


def test_spells_below_a_peak(series: pd.Series) -> None:
    # quantstats lists no spell that begins with the history.
    risen = R + 0.005
    details = qs.drawdown_details(qs.to_drawdown_series(series + 0.005))
    last = details.iloc[-1]
    assert drawdown.longest_drawdown(risen) == details["days"].max()
    assert pd.Timestamp(last["end"]) == series.index[-1]
    assert drawdown.current_drawdown(risen) == last["days"]
    assert qs.drawdown_details(qs.to_drawdown_series(series)).empty
    assert drawdown.longest_drawdown(R) == R.size


def test_ratios(series: pd.Series) -> None:
    same(ratios.sharpe_ratio(R), qs.sharpe(series, periods=365))
    same(ratios.sharpe_ratio(R, 0.0001), empyrical.sharpe_ratio(R, 0.0001, annualization=365))
    same(ratios.sortino_ratio(R), qs.sortino(series, periods=365))
    same(ratios.sortino_ratio(R, 0.0001), empyrical.sortino_ratio(R, 0.0001, annualization=365))
    same(ratios.calmar_ratio(R), empyrical.calmar_ratio(R, annualization=365))
    same(ratios.omega_ratio(R), empyrical.omega_ratio(R))
    same(ratios.omega_ratio(R), qs.omega(series, periods=365))
    # Their required return is annual and compounded, our threshold is of a day.
    same(
        ratios.omega_ratio(R, 1.04 ** (1 / 365) - 1),
        empyrical.omega_ratio(R, required_return=0.04, annualization=365),
    )
    same(ratios.tail_ratio(R), empyrical.tail_ratio(R))
    same(ratios.tail_ratio(R), qs.tail_ratio(series, prepare_returns=False))


def test_calmar_of_quantstats_counts_the_year_by_its_dates(series: pd.Series) -> None:
    years = qs.cagr(series, periods=365), returns.annualised_return(R)
    assert qs.calmar(series, periods=365) == pytest.approx(
        ratios.calmar_ratio(R) * years[0] / years[1], rel=CLOSE
    )


def test_shape(series: pd.Series) -> None:
    same(moments.skewness(R), stats.skew(R, bias=False))
    same(moments.kurtosis(R), stats.kurtosis(R, bias=False))
    same(moments.skewness(R), qs.skew(series, prepare_returns=False))
    same(moments.kurtosis(R), qs.kurtosis(series, prepare_returns=False))
    # skfolio does not correct for bias, and its kurtosis is not in excess of the normal one.
    found = moments.standardise(R)
    same(found.skewness, sk.skew(R))
    same(found.kurtosis, sk.kurtosis(R))


def test_tail(series: pd.Series) -> None:
    same(tail.value_at_risk(R), -empyrical.value_at_risk(R))
    # Without interpolation: one of the losses itself.
    assert sk.value_at_risk(R) == pytest.approx(tail.value_at_risk(R), rel=0.05)
    # quantstats' is parametric unless it is asked otherwise.
    mean, deviation = R.mean(), R.std(ddof=1)
    same(-qs.value_at_risk(series, prepare_returns=False), -stats.norm.ppf(0.05, mean, deviation))
    # skfolio's counts the loss at the quantile in part, empyrical's whole losses.
    losses = np.sort(-R)[::-1]
    share = 0.05 * R.size
    whole = math.floor(share)
    partly = (losses[:whole].sum() + (share - whole) * losses[whole]) / share
    same(sk.cvar(R), partly)
    assert tail.expected_shortfall(R) == pytest.approx(sk.cvar(R), rel=0.02)


def test_skill(series: pd.Series) -> None:
    same(skill.probabilistic_sharpe_ratio(R), sk.probabilistic_sharpe_ratio(R))
    same(
        skill.probabilistic_sharpe_ratio(R, 0.0001, 0.02),
        sk.probabilistic_sharpe_ratio(R, 0.02, 0.0001),
    )
    trials = np.random.default_rng(8).normal(0, 0.05, 30)
    same(
        skill.deflated_sharpe_ratio(R, trials=30, variance=float(trials.var(ddof=1))),
        sk.deflated_sharpe_ratio(R, trials),
    )
    same(skill.expected_best_sharpe(30, 0.0025), sk.expected_max_sharpe_ratio(30, 0.05))
    # quantstats takes the moments corrected for bias.
    mine = moments.standardise(R)
    sharpe = mine.mean / mine.deviation
    variance = skill.sharpe_variance(sharpe, moments.skewness(R), moments.kurtosis(R) + 3)
    same(stats.norm.cdf(sharpe / math.sqrt(variance / 364)), qs.probabilistic_sharpe_ratio(series))


def test_beside_the_benchmark(series: pd.Series, other: pd.Series) -> None:
    line = stats.linregress(B, R)
    same(dependence.beta(R, B), line.slope)
    same(dependence.beta(R, B), empyrical.beta(series, other))
    same(relative.alpha(R, B), line.intercept * 365)
    greeks = qs.greeks(series, other, periods=365)
    same(dependence.beta(R, B), greeks["beta"])
    same(relative.alpha(R, B), greeks["alpha"])
    # empyrical compounds a day's alpha over the year.
    compounded = (1 + relative.alpha(R, B) / 365) ** 365 - 1
    same(compounded, empyrical.alpha(series, other, annualization=365))
    free = relative.alpha(R, B, risk_free=0.0001) / 365
    same((1 + free) ** 365 - 1, empyrical.alpha(series, other, 0.0001, annualization=365))
    same(relative.tracking_error(R, B), (series - other).std() * 365**0.5)
    # Both give the ratio of a day.
    same(relative.information_ratio(R, B), qs.information_ratio(series, other) * 365**0.5)
    same(relative.information_ratio(R, B), empyrical.excess_sharpe(R, B) * 365**0.5)


def test_captures(series: pd.Series, other: pd.Series) -> None:
    # Per day: empyrical's default raises the mean of the up days alone to the power of a year.
    up = empyrical.up_capture(series, other, period="yearly")
    down = empyrical.down_capture(series, other, period="yearly")
    same(relative.up_capture(R, B), up)
    same(relative.down_capture(R, B), down)
    assert empyrical.up_capture(series, other) != pytest.approx(up, rel=0.1)


def test_correlations(series: pd.Series, other: pd.Series) -> None:
    same(dependence.correlation(R, B), stats.pearsonr(R, B).statistic)
    same(correlations.rank_correlation(R, B), stats.spearmanr(R, B).statistic)
    ties = np.round(R, 2), np.round(B, 2)
    same(correlations.rank_correlation(*ties), stats.spearmanr(*ties).statistic)
    theirs = series.ewm(alpha=0.03).corr(other).iloc[-1]
    same(correlations.ewma_correlation(R, B), theirs)


def test_concentration_and_diversification(market: FloatArray) -> None:
    weights = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    same(concentration.effective_n(weights), sk.effective_number_assets(weights))
    frame = pd.DataFrame(market)
    covariance = frame.cov().to_numpy()
    ratio = weights @ frame.std().to_numpy() / (weights @ covariance @ weights) ** 0.5
    same(diversification.diversification_ratio(weights, market), ratio)
    # By the singular values of the centred returns instead of the covariance's eigenvalues.
    _, values, rows = np.linalg.svd(market - market.mean(axis=0))
    parts = (values * (rows @ weights)) ** 2
    same(diversification.effective_bets(weights, market), np.exp(stats.entropy(parts)))


def test_errors_of_the_line_are_those_of_least_squares() -> None:
    found, line = dependence.fit(R, B), stats.linregress(B, R)
    same(found.beta_error, line.stderr)
    same(found.intercept_error, line.intercept_stderr)
