"""Kupiec's and Christoffersen's tests against published regions and scipy's distributions."""

import math

import numpy as np
import pytest
from scipy import stats

from seawall.core.errors import InvalidError
from seawall.quant.coverage import independence_test, kupiec_test, measure_coverage


@pytest.mark.parametrize(
    ("days", "confidence", "least", "most"),
    # The counts that are not rejected at 95 %: Kupiec (1995), as Jorion's "Value at Risk" has them.
    [
        (255, 0.99, 0, 6),
        (510, 0.99, 2, 10),
        (1000, 0.99, 5, 16),
        (255, 0.95, 7, 20),
        (510, 0.95, 17, 35),
        (1000, 0.95, 38, 64),
    ],
)
def test_kupiecs_regions(days: int, confidence: float, least: int, most: int) -> None:
    kept = [n for n in range(days) if kupiec_test(n, days, confidence).p_value >= 0.05]
    # The table is silent on no exceedance in 255 days, which 2 * 255 * -log(0.99) = 5.13 rejects.
    assert kept == list(range(max(least, 1), most + 1))


def test_the_ratio_is_that_of_binomial_likelihoods() -> None:
    found = kupiec_test(9, 252, 0.99)
    likelihoods = stats.binom(252, 9 / 252).logpmf(9) - stats.binom(252, 0.01).logpmf(9)
    assert found.statistic == pytest.approx(2 * likelihoods, rel=1e-9)
    assert found.p_value == pytest.approx(stats.chi2(1).sf(2 * likelihoods), rel=1e-9)


def test_no_exceedance_and_nothing_else_are_counts_too() -> None:
    assert kupiec_test(0, 100, 0.95).statistic == pytest.approx(-200 * math.log(0.95), rel=1e-12)
    assert kupiec_test(100, 100, 0.95).statistic == pytest.approx(-200 * math.log(0.05), rel=1e-12)
    assert math.isnan(kupiec_test(0, 0, 0.95).p_value)


def test_independence_is_the_likelihood_ratio_of_the_table_of_transitions() -> None:
    exceeded = np.random.default_rng(1).random(500) < 0.1
    exceeded[100:108] = True
    table = np.zeros((2, 2))
    np.add.at(table, (exceeded[:-1].astype(int), exceeded[1:].astype(int)), 1)
    ratio = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    found = independence_test(exceeded)
    assert found.statistic == pytest.approx(ratio.statistic, rel=1e-9)
    assert found.p_value == pytest.approx(ratio.pvalue, rel=1e-9)


def test_conditional_coverage_is_both_at_once() -> None:
    exceeded = np.random.default_rng(2).random(500) < 0.08
    found = measure_coverage(exceeded, 0.95)
    total = found.kupiec.statistic + found.independence.statistic
    assert found.conditional.statistic == pytest.approx(total, rel=1e-12)
    assert found.conditional.p_value == pytest.approx(stats.chi2(2).sf(total), rel=1e-9)
    assert (found.days, found.exceedances) == (500, int(exceeded.sum()))
    assert found.expected == pytest.approx(25)


def test_without_exceedances_nothing_speaks_against_independence() -> None:
    for exceeded in (np.zeros(50, bool), np.ones(50, bool)):
        assert independence_test(exceeded).statistic == 0
        assert independence_test(exceeded).p_value == 1
    assert math.isnan(independence_test(np.array([True])).statistic)
    assert math.isnan(measure_coverage([], 0.95).conditional.p_value)


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(InvalidError, match="booleans"):
        measure_coverage([0.1, 0.2], 0.95)
    with pytest.raises(InvalidError, match="not between 0 and 1"):
        measure_coverage([True], 1.0)
