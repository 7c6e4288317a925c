"""Least variance: the conditions of an optimum, an independent solver, and degenerate markets."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from seawall.core.errors import InvalidError
from seawall.quant.optimise.constraints import GroupCap, Limits, long_only
from seawall.quant.optimise.minimum_variance import minimum_variance
from seawall.quant.types import FloatArray

Market = Callable[..., FloatArray]


def _miss(matrix: FloatArray, weights: FloatArray, limits: Limits) -> float:
    """Measure how far weights are from the conditions of Karush, Kuhn and Tucker.

    With bounds alone: what is free has one marginal variance, what is at its least no smaller one,
    what is at its most no larger one.
    """
    marginal = matrix @ weights
    low = weights <= limits.lower + 1e-12
    high = weights >= limits.upper - 1e-12
    free = ~(low | high)
    if free.any():
        price = marginal[free].mean()
    else:
        price = (marginal[low].min() + marginal[high].max()) / 2
    parts = [
        np.abs(marginal[free] - price).max(initial=0),
        (price - marginal[low]).max(initial=0),
        (marginal[high] - price).max(initial=0),
    ]
    return float(max(parts) / abs(price))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(2, 30),
    st.floats(0.05, 1),
)
def test_the_optimum_s_conditions_hold(seed: int, size: int, most: float) -> None:
    random = np.random.default_rng(seed)
    returns = random.normal(0, 0.02, (60, 1)) + random.normal(0, 0.03, (60, size))
    matrix = np.cov(returns.T)
    limits = long_only(size, most=max(most, 1.0001 / size))
    weights = minimum_variance(matrix, limits)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert ((weights >= 0) & (weights <= limits.upper)).all()
    assert _miss(matrix, weights, limits) < 1e-9


def test_it_is_that_of_an_independent_solver(market: Market) -> None:
    matrix = np.cov(market().T)
    scaled = matrix / np.trace(matrix)
    found = minimise(scaled, [(0.0, 0.2)] * 12)
    np.testing.assert_allclose(minimum_variance(matrix, long_only(12, 0.2)), found, atol=1e-8)


def minimise(matrix: FloatArray, bounds: list[tuple[float, float]]) -> FloatArray:
    """Minimise with SLSQP, and go on from where it stops until nothing moves."""
    solve = cast(Any, minimize)
    point = np.full(len(matrix), 1 / len(matrix))
    for _ in range(5):
        found = solve(
            lambda x: float(x @ matrix @ x) * 1e4,
            point,
            jac=lambda x: 2e4 * matrix @ x,
            bounds=bounds,
            constraints={"type": "eq", "fun": lambda x: x.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-16, "maxiter": 1_000},
        )
        point = np.asarray(found.x, dtype=np.float64)
    return point


def test_two_assets_follow_the_closed_form() -> None:
    matrix = np.array([[0.04, 0.006], [0.006, 0.09]])
    first = (0.09 - 0.006) / (0.04 + 0.09 - 2 * 0.006)
    found = minimum_variance(matrix, long_only(2))
    np.testing.assert_allclose(found, [first, 1 - first], atol=1e-14)


def test_caps_of_groups_and_a_least_return_are_kept(market: Market) -> None:
    returns = market()
    matrix, means = np.cov(returns.T), returns.mean(axis=0)
    members = np.arange(12) < 6
    free = minimum_variance(matrix, long_only(12))
    cap = float(free[members].sum()) / 2
    wanted = float(np.sort(means)[-3])
    limits = replace(long_only(12), groups=(GroupCap("first", members, cap),), least_mean=wanted)
    found = minimum_variance(matrix, limits, means)
    assert found[members].sum() <= cap + 1e-12
    assert found @ means >= wanted - 1e-12
    assert found @ matrix @ found > free @ matrix @ free


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(8)), st.floats(1e-6, 1e6))
def test_neither_order_nor_scale_matters(order: list[int], scale: float) -> None:
    random = np.random.default_rng(5)
    matrix = np.cov(random.normal(0, 0.03, (50, 8)).T)
    first = minimum_variance(matrix, long_only(8, 0.3))
    second = minimum_variance(matrix[np.ix_(order, order)] * scale, long_only(8, 0.3))
    np.testing.assert_allclose(second, first[order], atol=1e-10)


def test_a_stablecoin_takes_all_that_it_may() -> None:
    matrix = np.diag([0.0, 1e-3, 2e-3])
    found = minimum_variance(matrix, long_only(3))
    np.testing.assert_allclose(found, [1, 0, 0], atol=1e-6)
    found = minimum_variance(matrix, long_only(3, 0.5))
    np.testing.assert_allclose(found, [0.5, 1 / 3, 1 / 6], atol=1e-6)


def test_the_same_asset_twice_is_held_evenly(market: Market) -> None:
    matrix = np.cov(market(assets=4)[:, [0, 1, 2, 3, 0]].T)
    found = minimum_variance(matrix, long_only(5, 0.4))
    assert found[0] == pytest.approx(found[4], abs=1e-6)


def test_fewer_days_than_assets_still_have_weights(market: Market) -> None:
    matrix = np.cov(market(days=3, assets=50).T)
    found = minimum_variance(matrix, long_only(50, 0.1))
    assert found.sum() == pytest.approx(1, abs=1e-9)
    assert found @ matrix @ found <= 1e-8


def test_nothing_that_varies_is_spread_evenly() -> None:
    found = minimum_variance(np.zeros((4, 4)), long_only(4))
    np.testing.assert_allclose(found, 0.25)


def test_one_asset_has_all() -> None:
    np.testing.assert_array_equal(minimum_variance(np.array([[0.01]]), long_only(1)), [1.0])


def test_what_it_cannot_do_is_refused() -> None:
    limits = replace(long_only(2), turnover=0.1, current=np.array([0.5, 0.5]))
    with pytest.raises(InvalidError, match="turnover"):
        minimum_variance(np.eye(2), limits)
    with pytest.raises(InvalidError, match="finite"):
        minimum_variance(np.full((2, 2), np.nan), long_only(2))
    with pytest.raises(InvalidError, match="hold 80"):
        minimum_variance(np.eye(4), long_only(4, 0.2))
