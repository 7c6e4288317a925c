"""Hierarchical risk parity: skfolio's where the definitions agree, bounds, and order."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.cluster import HierarchicalClustering, LinkageMethod
from skfolio.distance import BaseDistance
from skfolio.optimization import HierarchicalRiskParity
from skfolio.seriation import HierarchicalSeriation

from seawall.core.errors import InvalidError
from seawall.quant.optimise.constraints import long_only
from seawall.quant.optimise.hierarchical import column_distances, hierarchical_risk_parity
from seawall.quant.types import FloatArray

Market = Callable[..., FloatArray]


class ColumnDistance(BaseDistance):  # type: ignore[misc] # skfolio's types are not followed
    """The paper's distance of columns of distances, in the place of skfolio's of correlations."""

    def __init__(self) -> None:
        """Take no settings."""

    def fit(self, X: Any, y: Any = None) -> "ColumnDistance":  # noqa: ARG002, N803
        matrix = np.cov(np.asarray(X).T)
        deviations = np.sqrt(np.diag(matrix))
        self.codependence_ = matrix / np.outer(deviations, deviations)
        self.distance_ = column_distances(matrix)
        return self


@pytest.mark.parametrize("most", [1.0, 0.15])
def test_it_is_that_of_skfolio_with_the_paper_s_distance(market: Market, most: float) -> None:
    returns = market(assets=10)
    # skfolio takes assets as they come; here they are in the order of their variances first.
    returns = returns[:, np.argsort(returns.var(axis=0))]
    peer = HierarchicalRiskParity(
        distance_estimator=ColumnDistance(),
        seriation_estimator=HierarchicalSeriation(
            hierarchical_clustering_estimator=HierarchicalClustering(
                linkage_method=LinkageMethod.SINGLE
            ),
            optimal_ordering=False,
        ),
        max_weights=most,
    )
    expected = peer.fit(returns).weights_
    found = hierarchical_risk_parity(np.cov(returns.T), long_only(10, most))
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_two_assets_weigh_by_their_inverse_variances() -> None:
    matrix = np.array([[0.04, 0.01], [0.01, 0.01]])
    found = hierarchical_risk_parity(matrix, long_only(2))
    np.testing.assert_allclose(found, [0.2, 0.8], atol=1e-15)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000), st.permutations(range(9)), st.floats(0.12, 1))
def test_bounds_are_kept_and_order_does_not_matter(
    seed: int, order: list[int], most: float
) -> None:
    random = np.random.default_rng(seed)
    scales = random.uniform(0.005, 0.1, 9)
    returns = (random.normal(size=(80, 1)) + random.normal(size=(80, 9))) * scales
    matrix = np.cov(returns.T)
    found = hierarchical_risk_parity(matrix, long_only(9, most, 0.01))
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert ((found >= 0.01) & (found <= most)).all()
    again = hierarchical_risk_parity(matrix[np.ix_(order, order)] * 7, long_only(9, most, 0.01))
    np.testing.assert_allclose(again, found[order], rtol=1e-9)


def test_one_asset_has_all_and_twins_share(market: Market) -> None:
    assert hierarchical_risk_parity(np.array([[0.1]]), long_only(1)).tolist() == [1.0]
    matrix = np.cov(market(assets=2)[:, [0, 0]].T)
    np.testing.assert_allclose(hierarchical_risk_parity(matrix, long_only(2)), 0.5)


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(InvalidError, match="variance above 0"):
        hierarchical_risk_parity(np.diag([1.0, 0.0]), long_only(2))
    with pytest.raises(InvalidError, match="bounds of each weight alone"):
        hierarchical_risk_parity(np.eye(2), replace(long_only(2), least_mean=0.1))
    with pytest.raises(InvalidError, match="hold 60"):
        hierarchical_risk_parity(np.eye(2), long_only(2, 0.3))
