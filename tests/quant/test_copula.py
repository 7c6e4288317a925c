"""The t copula's fit, and its simulation's bits and distributions."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from seawall.core.errors import InvalidError
from seawall.quant.copula import fit_t_copula, kendall_taus
from seawall.quant.kernels import simulation
from seawall.quant.losses.copula import distribution_table, simulate
from seawall.quant.losses.filtered import Draws
from seawall.quant.types import FloatArray


def drawn(days: int, degrees: float, correlation: float, assets: int = 4) -> FloatArray:
    """Draw from a t copula with exponential marginals."""
    matrix = np.full((assets, assets), correlation)
    np.fill_diagonal(matrix, 1.0)
    rng = np.random.default_rng(4)
    scores = correlated(matrix, degrees, days, rng)
    return stats.expon.ppf(stats.t.cdf(scores, degrees))


def correlated(
    matrix: FloatArray, degrees: float, days: int, rng: np.random.Generator
) -> FloatArray:
    """Draw from a multivariate t distribution."""
    normal = rng.standard_normal((days, len(matrix))) @ np.linalg.cholesky(matrix).T
    scores: FloatArray = normal * np.sqrt(degrees / rng.chisquare(degrees, (days, 1)))
    return scores


def test_kendalls_tau_is_scipys_with_and_without_ties() -> None:
    returns = np.random.default_rng(1).normal(size=(131, 5))
    returns[:, 3] = np.round(returns[:, 3])
    returns[:, 4] = np.round(returns[:, 0])
    taus = kendall_taus(returns)
    for i in range(5):
        for j in range(5):
            tau = stats.kendalltau(returns[:, i], returns[:, j]).statistic
            assert taus[i, j] == pytest.approx(tau, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("degrees", [3.0, 8.0])
def test_what_was_drawn_is_found_whatever_the_marginals(degrees: float) -> None:
    fit = fit_t_copula(drawn(6000, degrees, 0.5))
    assert fit.degrees == pytest.approx(degrees, rel=0.2)
    off = fit.correlations[np.triu_indices(4, 1)]
    np.testing.assert_allclose(off, 0.5, atol=0.04)
    np.testing.assert_allclose(fit.factor @ fit.factor.T, fit.correlations, atol=1e-9)
    assert not fit.repaired


def test_the_likelihood_is_greatest_there() -> None:
    returns = drawn(400, 4.0, 0.4)
    fit = fit_t_copula(returns)
    uniform = stats.rankdata(returns, axis=0) / 401

    def likelihood(degrees: float) -> float:
        scores = stats.t.ppf(uniform, degrees)
        density: Any = stats.multivariate_t(shape=fit.correlations, df=degrees)  # type: ignore[arg-type]
        joint = density.logpdf(scores).sum()
        return float(joint - stats.t.logpdf(scores, degrees).sum())

    best = likelihood(fit.degrees)
    assert best > likelihood(fit.degrees * 1.05)
    assert best > likelihood(fit.degrees / 1.05)


def test_ranks_that_contradict_each_other_are_repaired() -> None:
    rng = np.random.default_rng(8)
    returns = rng.normal(size=(6, 5))
    found = [fit_t_copula(rng.permuted(returns, axis=0)) for _ in range(40)]
    assert any(fit.repaired for fit in found)
    for fit in found:
        assert np.linalg.eigvalsh(fit.correlations)[0] > -1e-9
        np.testing.assert_allclose(np.diag(fit.correlations), 1.0, atol=1e-12)
        np.testing.assert_allclose(fit.factor @ fit.factor.T, fit.correlations, atol=1e-4)


def test_an_asset_held_twice_moves_as_one() -> None:
    returns = drawn(200, 4.0, 0.4)[:, [0, 1, 1]]
    fit = fit_t_copula(returns)
    assert fit.correlations[1, 2] == pytest.approx(1, abs=1e-12)
    assert fit.factor[2, 2] == 0
    assert fit.degrees == pytest.approx(fit_t_copula(returns[:, :2]).degrees, rel=1e-6)


def test_what_stands_still_has_no_copula() -> None:
    with pytest.raises(InvalidError, match="columns that vary"):
        fit_t_copula(np.column_stack((np.arange(9.0), np.zeros(9))))


def test_bits_do_not_depend_on_threads() -> None:
    returns = np.random.default_rng(2).standard_t(4, (120, 3)) * 0.02
    copula = fit_t_copula(returns)
    weights, draws = np.array([0.5, 0.7, -0.2]), Draws(horizon=3, paths=3001, seed=9)
    alone = simulate(weights, returns, copula, draws, threads=1)
    for threads in (2, 3, 7):
        np.testing.assert_array_equal(simulate(weights, returns, copula, draws, threads), alone)
    assert np.unique(alone).size > 3000


def test_simulated_days_depend_as_those_of_a_plain_simulation() -> None:
    returns = np.random.default_rng(2).standard_t(4, (300, 3)) * 0.02
    copula = fit_t_copula(returns)
    weights = np.array([0.5, 0.7, -0.2])
    rng = np.random.default_rng(1)
    scores = correlated(copula.correlations, copula.degrees, 30_000, rng)
    uniform = stats.t.cdf(scores, copula.degrees)
    days = np.column_stack([np.quantile(returns[:, i], uniform[:, i]) for i in range(3)])
    mine = simulate(weights, returns, copula, Draws(1, 30_000, 0))
    assert stats.ks_2samp(mine, days @ weights).pvalue > 0.01


@pytest.mark.parametrize("degrees", [2.0, 4.5, 100.0])
def test_the_table_of_students_distribution_is_right_to_a_millionth(degrees: float) -> None:
    table = distribution_table(degrees)
    y = np.concatenate((np.linspace(-8, 8, 20_001), np.geomspace(8, 1e6, 2000)))
    place = (y / (1 + np.abs(y)) + 1) * simulation.TABLE / 2
    node = np.minimum(place.astype(int), simulation.TABLE - 1)
    found = table[node] + (table[node + 1] - table[node]) * (place - node)
    np.testing.assert_allclose(found, stats.t.cdf(y, degrees), atol=1e-6)


def test_streams_are_uniform_normal_and_chi_square_and_independent() -> None:
    numbers = simulation.draw(3, 0, 4.5, 100_000)
    laws: tuple[Any, ...] = (stats.uniform, stats.norm, stats.chi2(4.5))
    for column, law in zip(numbers.T, laws, strict=True):
        assert stats.kstest(column, law.cdf).pvalue > 0.01
    # The ziggurat's last layer, beyond 3.654, is one in 3,875.
    beyond = int((np.abs(numbers[:, 1]) > 3.6541528853610088).sum())
    assert abs(beyond - 25.8) < 4 * math.sqrt(25.8)
    other = simulation.draw(3, 1, 4.5, 100_000)
    for shift in (0, 1):
        link = np.corrcoef(numbers[shift:, 1], other[: other.shape[0] - shift, 1])[0, 1]
        assert abs(link) < 4 / math.sqrt(100_000)


def test_the_fast_way_to_fill_draws_what_the_plain_one_draws() -> None:
    filled, one = np.empty((7, 501)), simulation._begin(5, 2)
    simulation._fill_normals(simulation._begin(5, 2), filled)
    np.testing.assert_array_equal(filled.ravel(), [simulation._normal(one) for _ in range(3507)])
