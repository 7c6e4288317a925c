"""10,000 paths of 50 assets over 10 days under a t copula, against numpy and scipy doing the same.

Both fit the copula, by Kendall's tau and the likeliest degrees of freedom, simulate with it, and
read the value at risk; both are measured in full, and the simulation also without the fit. The peer
is what one writes with numpy and scipy: one array operation for each step, scipy's distribution
function, an interpolation for each asset. They have to agree within the simulation's own error.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize, stats

from benchmarks.result import Result
from seawall.quant.copula import fit_t_copula
from seawall.quant.losses.copula import simulate
from seawall.quant.losses.filtered import Draws
from seawall.quant.tails import TailMethod, TailQuestion, tail_risk
from seawall.quant.types import FloatArray

DAYS, ASSETS, HORIZON, PATHS = 365, 50, 10, 10_000
ROUNDS, PEER_ROUNDS = 11, 2


def monte_carlo() -> list[Result]:
    """Measure the whole answer, its fit and its simulation, and check that both agree."""
    returns, weights = _market()
    question = TailQuestion(TailMethod.COPULA, horizon=HORIZON, paths=PATHS)
    copula, draws = fit_t_copula(returns), Draws(HORIZON, PATHS, 0)
    ours = tail_risk(weights, returns, question)
    theirs = float(np.quantile(-_plain(weights, returns, *_plain_fit(returns)), 0.95))
    assert abs(ours.var - theirs) < 6 * ours.var_error, f"{ours.var} and {theirs}"
    parts: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "monte-carlo": (
            lambda: tail_risk(weights, returns, question),
            lambda: np.quantile(-_plain(weights, returns, *_plain_fit(returns)), 0.95),
        ),
        "monte-carlo, fit": (lambda: fit_t_copula(returns), lambda: _plain_fit(returns)),
        "monte-carlo, paths": (
            lambda: simulate(weights, returns, copula, draws),
            lambda: _plain(weights, returns, copula.correlations, copula.degrees),
        ),
    }
    return [_result(name, own, peer) for name, (own, peer) in parts.items()]


def _result(name: str, own: Callable[[], object], peer: Callable[[], object]) -> Result:
    mine = statistics.median(_milliseconds(own) for _ in range(ROUNDS))
    theirs = statistics.median(_milliseconds(peer) for _ in range(PEER_ROUNDS))
    return Result(name, mine, "ms", "numpy and scipy", theirs, theirs / mine)


def _market() -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(1)
    mixing = np.sqrt(4 / rng.chisquare(4, (DAYS, 1)))
    shocks = rng.standard_normal((DAYS, 1)) + rng.standard_normal((DAYS, ASSETS))
    return 0.001 + 0.02 * mixing * shocks, rng.dirichlet(np.ones(ASSETS))


def _plain_fit(returns: FloatArray) -> tuple[FloatArray, float]:
    taus = np.eye(ASSETS)
    for i in range(ASSETS):
        for j in range(i):
            taus[i, j] = taus[j, i] = stats.kendalltau(returns[:, i], returns[:, j]).statistic
    values, vectors = np.linalg.eigh(np.sin(np.pi / 2 * taus))
    matrix = (vectors * np.maximum(values, 1e-10)) @ vectors.T
    uniform = stats.rankdata(returns, axis=0) / (DAYS + 1)

    def loss(degrees: float) -> float:
        scores = stats.t.ppf(uniform, degrees)
        density: Any = stats.multivariate_t(shape=matrix, df=degrees)  # type: ignore[arg-type]
        joint = density.logpdf(scores).sum()
        return float(stats.t.logpdf(scores, degrees).sum() - joint)

    found = optimize.minimize_scalar(
        loss, bounds=(2, 100), method="bounded", options={"xatol": 1e-2}
    )
    return matrix, float(found.x)


def _plain(
    weights: FloatArray, returns: FloatArray, correlations: FloatArray, degrees: float
) -> FloatArray:
    rng = np.random.default_rng(2)
    root = np.linalg.cholesky(correlations)
    shocks = rng.standard_normal((PATHS * HORIZON, ASSETS)) @ root.T
    shocks *= np.sqrt(degrees / rng.chisquare(degrees, (PATHS * HORIZON, 1)))
    uniform = stats.t.cdf(shocks, degrees)
    ranks, ordered = np.linspace(0, 1, DAYS), np.sort(returns, axis=0)
    days = sum(weights[i] * np.interp(uniform[:, i], ranks, ordered[:, i]) for i in range(ASSETS))
    growth: FloatArray = np.prod(1 + np.reshape(days, (PATHS, HORIZON)), axis=1) - 1
    return growth


def _milliseconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return (time.perf_counter() - begin) * 1e3
