"""Weights of 50 assets from 365 days, by our own optimisers and by skfolio's.

Each begins at the returns: the sample's covariance, then the weights. For hierarchical risk parity
skfolio is given the paper's distance and linkage, which are ours, instead of its own. Both have to
find the same portfolio: for the least variance one whose volatility is no larger than skfolio's,
for the others the same weights.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from skfolio import RiskMeasure
from skfolio.cluster import HierarchicalClustering, LinkageMethod
from skfolio.distance import BaseDistance
from skfolio.optimization import HierarchicalRiskParity, MeanRisk, RiskBudgeting
from skfolio.seriation import HierarchicalSeriation

from benchmarks.result import Result
from seawall.quant.optimise.constraints import long_only
from seawall.quant.optimise.hierarchical import column_distances, hierarchical_risk_parity
from seawall.quant.optimise.minimum_variance import minimum_variance
from seawall.quant.optimise.risk_parity import risk_parity
from seawall.quant.types import FloatArray

DAYS, ASSETS = 365, 50
ROUNDS, PEER_ROUNDS = 21, 5
CLOSE = {"optimise": 1e-4, "optimise, risk parity": 1e-4, "optimise, hrp": 1e-9}
"""How far weights may be apart: skfolio's general solver stops before it is exact."""


class _ColumnDistance(BaseDistance):  # type: ignore[misc]  # skfolio's types are not followed
    """The paper's distance, in the place of skfolio's own."""

    def __init__(self) -> None:
        """Take no settings."""

    def fit(self, X: Any, y: Any = None) -> "_ColumnDistance":  # noqa: ARG002, N803
        matrix = np.cov(np.asarray(X).T)
        deviations = np.sqrt(np.diag(matrix))
        self.codependence_ = matrix / np.outer(deviations, deviations)
        self.distance_ = column_distances(matrix)
        return self


def optimise() -> list[Result]:
    """Measure each method, and check that both find the same."""
    returns = _market()
    limits = long_only(ASSETS)
    methods: dict[str, tuple[Callable[[], FloatArray], Callable[[], FloatArray]]] = {
        "optimise": (
            lambda: minimum_variance(np.cov(returns.T), limits),
            lambda: _weights(MeanRisk(risk_measure=RiskMeasure.VARIANCE), returns),
        ),
        "optimise, risk parity": (
            lambda: risk_parity(np.cov(returns.T)),
            lambda: _weights(RiskBudgeting(risk_measure=RiskMeasure.VARIANCE), returns),
        ),
        "optimise, hrp": (
            lambda: hierarchical_risk_parity(np.cov(returns.T), limits),
            lambda: _weights(_paper_s_hrp(), returns),
        ),
    }
    return [_result(name, returns, own, peer) for name, (own, peer) in methods.items()]


def _result(
    name: str,
    returns: FloatArray,
    own: Callable[[], FloatArray],
    peer: Callable[[], FloatArray],
) -> Result:
    mine, theirs = own(), peer()
    apart = float(np.abs(mine - theirs).max())
    assert apart < CLOSE[name], f"{name}: weights differ by {apart}"
    if name == "optimise":
        assert _volatility(returns, mine) <= _volatility(returns, theirs) * (1 + 1e-12)
    fast = statistics.median(_milliseconds(own) for _ in range(ROUNDS))
    slow = statistics.median(_milliseconds(peer) for _ in range(PEER_ROUNDS))
    return Result(name, fast, "ms", "skfolio", slow, slow / fast)


def _market() -> FloatArray:
    rng = np.random.default_rng(1)
    scales = np.sort(rng.uniform(0.01, 0.06, ASSETS))
    shocks = rng.standard_normal((DAYS, 1)) + rng.standard_normal((DAYS, ASSETS))
    returns = 0.001 + scales * shocks
    # skfolio breaks ties of a tree by the order of the assets; ours is that of their variances.
    return np.ascontiguousarray(returns[:, np.argsort(returns.var(axis=0))])


def _paper_s_hrp() -> Any:
    clusters = HierarchicalClustering(linkage_method=LinkageMethod.SINGLE)
    order = HierarchicalSeriation(
        hierarchical_clustering_estimator=clusters, optimal_ordering=False
    )
    return HierarchicalRiskParity(distance_estimator=_ColumnDistance(), seriation_estimator=order)


def _weights(model: Any, returns: FloatArray) -> FloatArray:
    return np.asarray(model.fit(returns).weights_, dtype=np.float64)


def _volatility(returns: FloatArray, weights: FloatArray) -> float:
    return float(np.std(returns @ weights, ddof=1))


def _milliseconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return (time.perf_counter() - begin) * 1e3
