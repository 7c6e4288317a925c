"""Risk parity: every asset has its share, whatever its scale and place."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.quant.optimise.risk_parity import risk_parity, risk_shares
from seawall.quant.types import FloatArray

Market = Callable[..., FloatArray]


def _matrix(seed: int, size: int, days: int = 100) -> FloatArray:
    random = np.random.default_rng(seed)
    scales = random.uniform(0.001, 0.2, size)
    drawn = random.normal(0, 1, (days, 1)) + random.normal(0, 1, (days, size))
    return np.cov((drawn * scales).T).reshape(size, size)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.floats(0.01, 10), min_size=1, max_size=40),
)
def test_shares_of_the_risk_are_the_budgets(seed: int, budgets: list[float]) -> None:
    matrix, wanted = _matrix(seed, len(budgets)), np.array(budgets)
    weights = risk_parity(matrix, wanted)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(risk_shares(matrix, weights), wanted / wanted.sum(), atol=1e-10)


def _by_coordinates(matrix: FloatArray, shares: FloatArray) -> FloatArray:
    """Descend along one coordinate after another (Griveau-Billion, Richard & Roncalli 2013)."""
    x = np.sqrt(1 / np.diag(matrix))
    for _ in range(5_000):
        for i in range(len(x)):
            rest = matrix[i] @ x - matrix[i, i] * x[i]
            root = np.sqrt(rest**2 + 4 * matrix[i, i] * shares[i])
            x[i] = (-rest + root) / (2 * matrix[i, i])
    weights: FloatArray = x / x.sum()
    return weights


def test_weights_are_those_of_another_method(market: Market) -> None:
    matrix = np.cov(market(assets=5).T) * 1e3
    shares = np.array([0.1, 0.3, 0.2, 0.15, 0.25])
    np.testing.assert_allclose(
        risk_parity(matrix, shares), _by_coordinates(matrix, shares), atol=1e-10
    )


def test_uncorrelated_assets_weigh_by_their_deviations() -> None:
    found = risk_parity(np.diag([0.01, 0.04, 0.16]) ** 2)
    inverse = 1 / np.array([0.01, 0.04, 0.16])
    np.testing.assert_allclose(found, inverse / inverse.sum(), rtol=1e-12)


def test_it_holds_for_fewer_days_than_assets() -> None:
    matrix = _matrix(1, 50, days=20)
    np.testing.assert_allclose(risk_shares(matrix, risk_parity(matrix)), 1 / 50, atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(8)), st.floats(1e-8, 1e8))
def test_neither_order_nor_scale_matters(order: list[int], scale: float) -> None:
    matrix = _matrix(3, 8)
    found = risk_parity(matrix[np.ix_(order, order)] * scale)
    np.testing.assert_allclose(found, risk_parity(matrix)[order], rtol=1e-9)


def test_a_hedge_without_risk_is_refused() -> None:
    matrix = np.array([[1.0, -1], [-1, 1]]) * 1e-4
    with pytest.raises(InvalidError, match="some mix of the assets has none"):
        risk_parity(matrix)


def test_money_has_no_share(market: Market) -> None:
    matrix = np.cov(np.insert(market(assets=3), 1, 0.0, axis=1).T)
    with pytest.raises(InvalidError, match="without variance"):
        risk_parity(matrix)


@pytest.mark.parametrize("budgets", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, np.nan]])
def test_budgets_have_to_be_positive(budgets: list[float]) -> None:
    with pytest.raises(InvalidError, match="budgets"):
        risk_parity(np.eye(2), np.array(budgets))


def test_without_numbers_there_are_no_weights() -> None:
    with pytest.raises(InvalidError, match="finite"):
        risk_parity(np.full((2, 2), np.nan))
    with pytest.raises(InvalidError, match="no asset"):
        risk_parity(np.empty((0, 0)))


def test_shares_of_no_risk_are_undefined() -> None:
    assert np.isnan(risk_shares(np.zeros((2, 2)), np.array([0.5, 0.5]))).all()
