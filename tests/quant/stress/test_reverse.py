"""Reverse stress: it loses what was asked, nothing nearer does, and no price falls below zero."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from seawall.core.errors import InvalidError
from seawall.quant.stress.reverse import smallest_factor_move, smallest_shock
from seawall.quant.types import FloatArray

FEW = settings(max_examples=30, deadline=None)


def _market(seed: int, assets: int, scale: float = 0.05) -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(seed)
    loadings = random.normal(1, 0.5, (assets, 2)) * scale
    covariance = loadings @ loadings.T + np.diag(random.uniform(0.2, 1, assets)) * scale**2
    return random.dirichlet(np.ones(assets)), covariance


def test_the_closed_form() -> None:
    weights, covariance = _market(3, 4)
    found = smallest_shock(weights, covariance, 0.2)
    variance = weights @ covariance @ weights
    assert found.shocks == pytest.approx(-0.2 * covariance @ weights / variance, rel=1e-9)
    assert found.distance == pytest.approx(0.2 / math.sqrt(variance), rel=1e-9)
    assert found.beyond == pytest.approx(stats.chi2.sf(found.distance**2, 4), rel=1e-9)
    assert found.loss_probability == pytest.approx(stats.norm.sf(found.distance), rel=1e-9)
    assert found.reason == ""


@FEW
@given(st.integers(0, 10_000), st.integers(1, 7), st.floats(0.01, 0.95))
def test_it_loses_what_was_asked_and_no_other_shock_is_nearer(
    seed: int, assets: int, loss: float
) -> None:
    weights, covariance = _market(seed, assets, scale=0.2)
    found = smallest_shock(weights, covariance, loss)
    assert -weights @ found.shocks == pytest.approx(loss, abs=1e-9)
    assert found.shocks.min() >= -1
    precision = np.linalg.inv(covariance)
    assert found.distance**2 == pytest.approx(
        found.shocks @ precision @ found.shocks, rel=1e-6, abs=1e-12
    )
    random = np.random.default_rng(seed)
    for _ in range(20):
        # Any other shock that loses as much and respects the floor.
        other = found.shocks + random.normal(0, 0.3, assets)
        other = np.maximum(other, -1)
        other += (-loss - weights @ other) / weights.sum()
        if other.min() >= -1:
            assert math.sqrt(other @ precision @ other) >= found.distance * (1 - 1e-9)


@FEW
@given(st.integers(0, 10_000), st.floats(0.5, 0.97))
def test_held_at_the_floor_it_is_the_optimum_of_scipy(seed: int, loss: float) -> None:
    weights, covariance = _market(seed, 4, scale=0.2)
    found = smallest_shock(weights, covariance, loss)
    precision = np.linalg.inv(covariance)
    wanted = {"type": "eq", "fun": lambda s: weights @ s + loss, "jac": lambda _: weights}
    peer: Any = optimize.minimize(  # type: ignore[call-overload]  # types say less than it takes
        lambda s: s @ precision @ s / 2,
        np.full(4, -loss),
        jac=lambda s: precision @ s,
        bounds=[(-1, None)] * 4,
        constraints=wanted,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assume(peer.success)
    assert found.distance == pytest.approx(math.sqrt(2 * peer.fun), rel=1e-5)
    assert found.distance <= math.sqrt(2 * peer.fun) * (1 + 1e-7)


def test_prices_at_the_floor_push_the_others_further() -> None:
    weights = np.array([0.5, 0.5])
    covariance = np.array([[0.09, 0.0], [0.0, 0.01]])
    assert -0.9 * (covariance @ weights)[0] / (weights @ covariance @ weights) < -1
    found = smallest_shock(weights, covariance, 0.9)
    assert found.shocks == pytest.approx([-1, -0.8], rel=1e-12)
    assert found.distance == pytest.approx(math.sqrt(1 / 0.09 + 0.64 / 0.01), rel=1e-12)
    assert found.loss_probability < stats.norm.sf(5)


def test_money_stays_still_and_what_varies_has_to_lose_more() -> None:
    covariance = np.array([[0.04, 0.0], [0.0, 0.0]])
    found = smallest_shock([0.5, 0.5], covariance, 0.2)
    assert found.shocks == pytest.approx([-0.4, 0.0], abs=1e-12)
    assert found.beyond == pytest.approx(2 * stats.norm.sf(2), rel=1e-9)
    whole = smallest_shock([0.5, 0.5], covariance, 0.5)
    assert whole.shocks == pytest.approx([-1, 0], abs=1e-12)
    none = smallest_shock([0.5, 0.5], covariance, 0.6)
    assert math.isnan(none.distance)
    assert none.reason == "what varies is only 50.0% of the value"
    still = smallest_shock([0.5, 0.5], np.zeros((2, 2)), 0.1)
    assert still.reason == "nothing that is held varies"
    assert np.isnan(still.shocks).all()


def test_a_singular_covariance_has_its_shock_too() -> None:
    # Twice the same asset, as two wrappers of one coin are.
    covariance = np.full((2, 2), 0.04)
    found = smallest_shock([0.3, 0.7], covariance, 0.4)
    assert found.shocks == pytest.approx([-0.4, -0.4], rel=1e-9)
    assert found.distance == pytest.approx(2, rel=1e-9)
    assert found.beyond == pytest.approx(2 * stats.norm.sf(2), rel=1e-9)
    # Opposite to the last digit, they cannot both fall; hedged, nothing is lost at all.
    opposite = np.array([[0.04, -0.04], [-0.04, 0.04]])
    assert smallest_shock([0.5, 0.5], opposite, 0.4).reason == "nothing that is held varies"
    assert smallest_shock([0.9, 0.1], opposite, 0.95).reason == (
        "the covariance allows no such shock"
    )


def test_what_is_owed_makes_a_rise_the_danger() -> None:
    found = smallest_shock([1.5, -0.5], np.diag([0.0001, 0.04]), 0.2)
    assert found.shocks[1] > 0
    assert 1.5 * found.shocks[0] - 0.5 * found.shocks[1] == pytest.approx(-0.2, rel=1e-9)


@pytest.mark.parametrize("loss", [0.0, -0.1, math.nan, math.inf])
def test_a_loss_is_above_zero(loss: float) -> None:
    with pytest.raises(InvalidError, match="A loss of"):
        smallest_shock([1.0], [[0.01]], loss)
    with pytest.raises(InvalidError, match="A loss of"):
        smallest_factor_move([1.0], [1.0], loss)


def test_weights_have_to_fit() -> None:
    with pytest.raises(InvalidError, match="2 weights do not fit 1 assets"):
        smallest_shock([1.0, 0.0], [[0.01]], 0.1)
    with pytest.raises(InvalidError, match="2 weights do not fit 1 betas"):
        smallest_factor_move([1.0, 0.0], [1.0], 0.1)


def test_the_factors_move_is_the_loss_over_the_portfolios_beta() -> None:
    assert smallest_factor_move([0.5, 0.3, 0.2], [1.0, 1.5, 0.0], 0.19) == pytest.approx(-0.2)
    # At a fall of a half the second has lost everything; only the first goes on.
    assert smallest_factor_move([0.5, 0.5], [1.0, 2.0], 0.8) == pytest.approx(-0.6)
    assert smallest_factor_move([0.5, 0.5], [1.0, 2.0], 1.0) == -1
    assert smallest_factor_move([1.0, 0.5], [1.0, -1.0], 0.2) == pytest.approx(-0.4)


def test_a_factor_that_cannot_lose_as_much_has_no_move() -> None:
    assert math.isnan(smallest_factor_move([0.5, 0.5], [1.0, 0.2], 0.7))
    assert math.isnan(smallest_factor_move([1.0], [-1.0], 0.1))
    assert math.isnan(smallest_factor_move([1.0], [math.nan], 0.1))
    assert smallest_factor_move([1.0, 0.0], [1.0, math.nan], 0.1) == pytest.approx(-0.1)


@FEW
@given(st.integers(0, 10_000), st.floats(0.01, 0.9))
def test_the_factors_move_loses_what_was_asked(seed: int, loss: float) -> None:
    random = np.random.default_rng(seed)
    weights, betas = random.dirichlet(np.ones(5)), random.uniform(-0.5, 3, 5)
    move = smallest_factor_move(weights, betas, loss)
    assume(not math.isnan(move))
    assert weights @ np.minimum(-betas * move, 1) == pytest.approx(loss, rel=1e-9)
    nearer = move * random.uniform(0, 0.999, 50)
    assert (np.minimum(-np.outer(nearer, betas), 1) @ weights < loss).all()
