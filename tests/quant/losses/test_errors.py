"""Standard errors of the tail against what the figures scatter by."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from seawall.quant.kernels import simulation
from seawall.quant.losses.empirical import historical, of_outcomes, quantile_error
from seawall.quant.losses.estimate import Estimate
from seawall.quant.losses.parametric import cornish_fisher, gaussian
from seawall.quant.types import FloatArray


def scatter(
    estimate: Callable[[FloatArray], Estimate], days: int, samples: int = 300
) -> tuple[FloatArray, FloatArray]:
    """Compare what figures scatter by with their median error: VaR and ES."""
    rng = np.random.default_rng(6)
    found = np.array([estimate(rng.standard_t(9, days) * 0.02)[:4] for _ in range(samples)])
    return np.nanstd(found[:, :2], axis=0), np.nanmedian(found[:, 2:], axis=0)


@pytest.mark.parametrize("horizon", [1, 5])
def test_errors_of_the_gaussian_tail(horizon: int) -> None:
    seen, told = scatter(lambda r: gaussian(r, 0.95, horizon), 500)
    np.testing.assert_allclose(told, seen, rtol=0.2)


def test_errors_of_cornish_and_fishers_tail() -> None:
    seen, told = scatter(lambda r: cornish_fisher(r, 0.95, 1), 4000)
    np.testing.assert_allclose(told, seen, rtol=0.3)


def test_errors_of_the_historical_tail() -> None:
    seen, told = scatter(lambda r: historical(r, 0.95, 1), 500)
    np.testing.assert_allclose(told, seen, rtol=0.2)


def test_overlapping_windows_are_not_taken_for_independent_ones() -> None:
    seen, told = scatter(lambda r: historical(r, 0.9, 5), 600)
    np.testing.assert_allclose(told, seen, rtol=0.35)
    returns = np.random.default_rng(1).normal(0, 0.02, 600)
    independent = of_outcomes(simulation.windows(returns, 5), 0.9)
    assert historical(returns, 0.9, 5).es_error > 1.3 * independent.es_error


def test_a_quantiles_error_is_that_over_all_resamples() -> None:
    rng = np.random.default_rng(3)
    values = np.sort(rng.standard_t(4, 250))
    resampled = np.quantile(rng.choice(values, (20_000, 250)), 0.05, axis=1)
    assert quantile_error(values, 0.05) == pytest.approx(np.std(resampled), rel=0.1)


def test_far_ranks_that_are_left_out_have_no_weight() -> None:
    values = np.sort(np.random.default_rng(3).normal(size=100_000))
    density = math.exp(-(1.6448536**2) / 2) / math.sqrt(2 * math.pi)
    expected = math.sqrt(0.05 * 0.95 / 100_000) / density
    assert quantile_error(values, 0.05) == pytest.approx(expected, rel=0.1)
