"""Correlations moved to one value: variances stay, nothing negative comes in, sums are exact."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from seawall.core.errors import InvalidError
from seawall.quant.stress.dependence import gaussian_risk, stress_correlations
from seawall.quant.types import FloatArray

FEW = settings(max_examples=40, deadline=None)


def _covariance(seed: int, assets: int, *, still: int = 0, days: int = 60) -> FloatArray:
    random = np.random.default_rng(seed)
    returns = random.normal(0, random.uniform(0.01, 0.08, assets), (days, assets))
    returns += random.normal(0, 0.02, (days, 1))
    returns[:, :still] = 0
    found: FloatArray = np.atleast_2d(np.cov(returns, rowvar=False, ddof=1))
    return found


@FEW
@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(0, 2))
def test_all_together_the_deviation_is_the_weighed_sum_of_deviations(
    seed: int, assets: int, still: int
) -> None:
    covariance = _covariance(seed, assets, still=min(still, assets))
    weights = np.random.default_rng(seed).dirichlet(np.ones(assets))
    risk = gaussian_risk(weights, stress_correlations(covariance), 0.95)
    expected = float(weights @ np.sqrt(np.diag(covariance)))
    assert risk.deviation == pytest.approx(expected, rel=1e-12, abs=1e-15)


@FEW
@given(st.integers(0, 10_000), st.integers(2, 8), st.floats(0, 1), st.floats(0, 1))
def test_no_eigenvalue_becomes_negative_and_no_variance_moves(
    seed: int, assets: int, target: float, strength: float
) -> None:
    # Fewer days than assets: the covariance is singular before anything is moved.
    covariance = _covariance(seed, assets, still=1, days=4)
    stressed = stress_correlations(covariance, target, strength)
    assert np.diag(stressed) == pytest.approx(np.diag(covariance), rel=1e-12)
    largest = float(np.trace(covariance))
    assert np.linalg.eigvalsh(stressed).min() >= -1e-12 * largest
    assert not stressed[0].any()


@pytest.mark.parametrize("target", [-0.3, 0.0, 0.4, 1.0])
def test_halfway_is_halfway_and_none_is_none(target: float) -> None:
    covariance = _covariance(1, 4)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    before = covariance / scale
    assert stress_correlations(covariance, target, 0.0) == pytest.approx(covariance, rel=1e-12)
    apart = ~np.eye(4, dtype=bool)
    half = stress_correlations(covariance, target, 0.5) / scale
    assert half[apart] == pytest.approx((before[apart] + target) / 2, rel=1e-12)
    full = stress_correlations(covariance, target) / scale
    assert full[apart] == pytest.approx(np.full(12, target), rel=1e-12)


@pytest.mark.parametrize(
    ("target", "strength", "said"),
    [
        (1.01, 1, "cannot all have"),
        (-0.51, 1, "cannot all have"),
        (math.nan, 1, "cannot all have"),
        (1, -0.1, "A strength"),
        (1, 1.1, "A strength"),
        (1, math.nan, "A strength"),
    ],
)
def test_what_cannot_be_is_refused(target: float, strength: float, said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        stress_correlations(_covariance(1, 3), target, strength)


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[1.0, 0.5]], "square"),
        ([1.0], "square"),
        ([[1.0, 0.5], [0.4, 1.0]], "symmetric"),
        ([[1.0, math.nan], [math.nan, 1.0]], "finite"),
        ([[-1.0]], "negative variance"),
    ],
)
def test_what_is_no_covariance_is_refused(matrix: list[list[float]], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        stress_correlations(matrix)


def test_one_asset_and_none_that_varies_stay_as_they_are() -> None:
    assert stress_correlations([[0.04]]).tolist() == [[0.04]]
    assert stress_correlations(np.zeros((3, 3))).tolist() == np.zeros((3, 3)).tolist()
    assert gaussian_risk([0.5, 0.5], np.zeros((2, 2)), 0.95).expected_shortfall == 0


def test_the_tail_is_the_normal_distributions() -> None:
    risk = gaussian_risk([1.0], [[0.0004]], 0.975)
    assert risk.value_at_risk == pytest.approx(stats.norm.ppf(0.975) * 0.02, rel=1e-12)
    tail = integrate.quad(lambda x: x * stats.norm.pdf(x, 0, 0.02), risk.value_at_risk, 1)[0]
    assert risk.expected_shortfall == pytest.approx(tail / 0.025, rel=1e-9)


def test_a_tail_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(InvalidError, match="A confidence of 1"):
        gaussian_risk([1.0], [[0.01]], 1)
    with pytest.raises(InvalidError, match="2 weights do not fit 1"):
        gaussian_risk([1.0, 0.0], [[0.01]], 0.9)
