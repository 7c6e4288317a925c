"""The published numbers on whether a Sharpe ratio is luck."""

import math

import numpy as np
import pytest
from scipy import stats

from seawall.core.errors import InvalidError
from seawall.quant.metrics import skill
from seawall.quant.metrics.ratios import sharpe_ratio

R = np.random.default_rng(12).standard_t(4, 500) * 0.02 + 0.002


def test_standard_errors_of_lo() -> None:
    # Lo (2002), "The Statistics of Sharpe Ratios", table 1: from 60 observations 0.188 for a ratio
    # of 1.50, and 0.303 for one of 3.00.
    assert math.sqrt(skill.sharpe_variance(1.5) / 60) == pytest.approx(0.188, abs=5e-4)
    assert math.sqrt(skill.sharpe_variance(3.0) / 60) == pytest.approx(0.303, abs=5e-4)


@pytest.mark.parametrize(
    ("periods", "years", "skewness", "kurtosis"),
    [(250, 2.73, 0, 3), (52, 2.83, 0, 3), (12, 3.24, 0, 3), (12, 4.99, -0.72, 5.78)],
)
def test_track_records_of_bailey_and_lopez_de_prado(
    periods: int, years: float, skewness: float, kurtosis: float
) -> None:
    # "The Sharpe Ratio Efficient Frontier" (2012), section 5: a record of so many years shows, at
    # 95 %, that an annual Sharpe ratio of 2 is above 1, of normal returns (figures 8 to 10) and of
    # a hedge fund's, whose moments are given.
    sharpe = 2 / math.sqrt(periods)
    variance = skill.sharpe_variance(sharpe, skewness, kurtosis)
    found = skill.track_record(sharpe, 1 / math.sqrt(periods), variance, 0.95)
    assert found / periods == pytest.approx(years, abs=5e-3)


def test_the_example_of_the_deflated_sharpe_ratio() -> None:
    # Bailey & López de Prado (2014), pages 9 and 10: the best of 100 trials whose annual ratios
    # vary by 1/2, with 2.5 a year over 1250 days of 250 a year, skewness -3 and kurtosis 10: SR0
    # 0.1132, DSR 0.9004; of 46 trials it would have been 0.9505, as of 88 with normal returns.
    sharpe, variance = 2.5 / math.sqrt(250), 0.5 / 250
    spread = math.sqrt(skill.sharpe_variance(sharpe, -3, 10) / 1249)
    best = skill.expected_best_sharpe(100, variance)
    assert best == pytest.approx(0.1132, abs=5e-5)
    assert stats.norm.cdf((sharpe - best) / spread) == pytest.approx(0.9004, abs=5e-5)
    fewer = skill.expected_best_sharpe(46, variance)
    assert stats.norm.cdf((sharpe - fewer) / spread) == pytest.approx(0.9505, abs=5e-5)
    normal = math.sqrt(skill.sharpe_variance(sharpe) / 1249)
    more = skill.expected_best_sharpe(88, variance)
    assert stats.norm.cdf((sharpe - more) / normal) == pytest.approx(0.9505, abs=5e-5)


def test_a_track_record_of_just_the_minimum_is_just_sure_enough() -> None:
    needed = skill.minimum_track_record(R)
    sharpe = sharpe_ratio(R) / math.sqrt(365)
    error = skill.sharpe_error(R, periods=1) * math.sqrt(R.size / (needed - 1))
    assert stats.norm.cdf(sharpe / error) == pytest.approx(0.95, abs=1e-9)
    assert (needed < R.size) == (skill.probabilistic_sharpe_ratio(R) > 0.95)


def test_one_trial_is_not_deflated_and_more_are() -> None:
    alone = skill.deflated_sharpe_ratio(R)
    assert alone == skill.probabilistic_sharpe_ratio(R)
    found = [skill.deflated_sharpe_ratio(R, trials=n) for n in (1, 2, 10, 1000)]
    assert found == sorted(found, reverse=True)
    given = skill.deflated_sharpe_ratio(R, trials=10, variance=1 / (R.size - 1))
    assert given == skill.deflated_sharpe_ratio(R, trials=10)


def test_what_loses_has_no_sufficient_track_record() -> None:
    assert math.isnan(skill.minimum_track_record(-R))
    assert math.isnan(skill.track_record(1e-200, 0.0, 1.0, 0.95))


def test_trials_and_confidences_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidError, match="0 trials"):
        skill.deflated_sharpe_ratio(R, trials=0)
    with pytest.raises(InvalidError, match="vary by -1"):
        skill.expected_best_sharpe(2, -1.0)
    with pytest.raises(InvalidError, match="not between 0 and 1"):
        skill.minimum_track_record(R, confidence=95)
