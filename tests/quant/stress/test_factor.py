"""Betas: those of scipy and statistics' own definitions, and the paths that follow from them."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from seawall.core.errors import InvalidError
from seawall.quant.stress.factor import factor_path, fit_beta
from seawall.quant.types import FloatArray


@pytest.fixture
def pair() -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(5)
    factor = random.standard_t(4, 300) * 0.02
    return 0.001 + 1.3 * factor + random.standard_t(3, 300) * 0.02, factor


def test_the_line_is_that_of_scipy(pair: tuple[FloatArray, FloatArray]) -> None:
    returns, factor = pair
    fitted = fit_beta(returns, factor)
    line = stats.linregress(factor, returns)
    assert fitted.beta == pytest.approx(line.slope, rel=1e-9)
    assert fitted.alpha == pytest.approx(line.intercept, rel=1e-9)
    assert fitted.r_squared == pytest.approx(line.rvalue**2, rel=1e-9)
    assert fitted.standard_error == pytest.approx(line.stderr, rel=1e-9)
    assert fitted.observations == 300


def test_the_t_tailed_line_is_the_most_likely_one(pair: tuple[FloatArray, FloatArray]) -> None:
    returns, factor = pair
    fitted = fit_beta(returns, factor, degrees=4)

    def unlikely(given: FloatArray) -> float:
        alpha, beta, log_scale = given
        left = returns - alpha / 100 - beta * factor
        return -float(stats.t.logpdf(left, 4, scale=math.exp(log_scale)).sum())

    best = optimize.minimize(
        unlikely, [0, 1, -4], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-10}
    )
    assert fitted.beta == pytest.approx(best.x[1], rel=1e-6)
    assert fitted.alpha == pytest.approx(best.x[0] / 100, rel=1e-4)
    assert fitted.r_squared <= fit_beta(returns, factor).r_squared


def test_one_wild_day_bends_the_t_tailed_line_less(pair: tuple[FloatArray, FloatArray]) -> None:
    returns, factor = pair
    returns, factor = returns.copy(), factor.copy()
    returns[0], factor[0] = 5.0, 0.2
    assert abs(fit_beta(returns, factor, degrees=4).beta - 1.3) < 0.1
    assert fit_beta(returns, factor).beta > 2


def test_days_without_either_return_do_not_count(pair: tuple[FloatArray, FloatArray]) -> None:
    returns, factor = pair
    holes, other = returns.copy(), factor.copy()
    holes[:50], other[250:] = math.nan, math.nan
    fitted = fit_beta(holes, other)
    assert fitted.observations == 200
    assert fitted.beta == fit_beta(returns[50:250], factor[50:250]).beta


def test_the_factor_has_a_beta_of_one_to_itself_and_money_of_none(
    pair: tuple[FloatArray, FloatArray],
) -> None:
    _, factor = pair
    for degrees in (None, 4.0):
        itself = fit_beta(factor, factor, degrees=degrees)
        assert itself.beta == pytest.approx(1, rel=1e-12)
        assert itself.standard_error == pytest.approx(0, abs=1e-9)
        still = fit_beta(np.zeros(factor.size), factor, degrees=degrees)
        assert still.beta == 0
        assert math.isnan(still.r_squared)


@pytest.mark.parametrize("rows", [0, 3, 29])
def test_too_few_returns_make_no_line(pair: tuple[FloatArray, FloatArray], rows: int) -> None:
    fitted = fit_beta(pair[0][:rows], pair[1][:rows])
    assert fitted.observations == rows
    assert math.isnan(fitted.beta)
    assert math.isnan(fitted.standard_error)


def test_a_factor_that_stands_still_makes_no_line(pair: tuple[FloatArray, FloatArray]) -> None:
    assert math.isnan(fit_beta(pair[0], np.full(300, 0.01)).beta)
    assert math.isnan(fit_beta(pair[0], np.full(300, math.nan)).beta)


def test_a_question_that_makes_no_sense_is_refused(pair: tuple[FloatArray, FloatArray]) -> None:
    with pytest.raises(InvalidError, match="300 returns do not match 299"):
        fit_beta(pair[0], pair[1][1:])
    with pytest.raises(InvalidError, match="degrees of freedom"):
        fit_beta(*pair, degrees=0)
    with pytest.raises(InvalidError, match="none, negative or infinite"):
        factor_path([1.0], [])
    with pytest.raises(InvalidError, match="none, negative or infinite"):
        factor_path([1.0], [1.0, -2.0])


def test_a_path_compounds_beta_times_each_days_return() -> None:
    path = factor_path([1.0, 0.5, 0.0, 3.0, math.nan], [100.0, 80.0, 88.0, 50.0])
    assert path[:, 0] == pytest.approx([1, 0.8, 0.88, 0.5], rel=1e-15)
    assert path[:, 1] == pytest.approx([1, 0.9, 0.945, 0.945 * (1 - 0.5 * 38 / 88)], rel=1e-15)
    assert path[:, 2].tolist() == [1, 1, 1, 1]
    # Three times a fall of 43 % is more than all: nothing is left, and nothing comes back.
    assert path[:, 3] == pytest.approx([1, 0.4, 0.4 * 1.3, 0], abs=1e-15)
    assert np.isnan(path[:, 4]).all()


def test_a_path_ends_where_the_factor_is_not_known() -> None:
    path = factor_path([2.0], [100.0, 90.0, math.nan, 80.0])
    assert path[:2, 0] == pytest.approx([1, 0.8])
    assert np.isnan(path[2:, 0]).all()
