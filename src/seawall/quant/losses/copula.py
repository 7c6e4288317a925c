"""Monte Carlo simulation of assets that depend on each other by a t copula."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from seawall.quant.copula import TCopula, fit_t_copula
from seawall.quant.kernels import measures, simulation
from seawall.quant.losses.empirical import of_outcomes
from seawall.quant.losses.estimate import Estimate, undefined
from seawall.quant.losses.filtered import Draws
from seawall.quant.metrics.metric import too_few
from seawall.quant.metrics.tail import min_observations
from seawall.quant.types import BoolArray, FloatArray

_FEWEST_BLOCKS = 8


def monte_carlo(
    weights: FloatArray, returns: FloatArray, confidence: float, draws: Draws
) -> Estimate:
    """Take the tail of simulated paths of (N,) weights, held constant, over (T, N) returns.

    Each day's ranks come from a t copula, and each asset's return is its own empirical quantile at
    its rank: no asset does worse on a day than it ever did, but all of them may do so together.
    Assets that never varied stay as they are. Errors are those of the simulation alone.

    Source: McNeil, Frey & Embrechts (2015), Quantitative Risk Management, section 7.5.
    """
    needed = min_observations(confidence)
    if reason := too_few(needed, returns.shape[0]):
        return undefined(reason)
    if reason := too_few(needed, draws.paths):
        return undefined(f"{reason} of its simulation")
    varies = vary(returns)
    copula = fit_t_copula(returns[:, varies]) if varies.any() else None
    return of_outcomes(simulate(weights, returns, copula, draws), confidence)


def vary(returns: FloatArray) -> BoolArray:
    """Tell which columns of (T, N) returns differ by more than rounding."""
    return np.array([measures.moments(column).deviation > 0 for column in returns.T.copy()], bool)


def simulate(
    weights: FloatArray,
    returns: FloatArray,
    copula: TCopula | None,
    draws: Draws,
    threads: int | None = None,
) -> FloatArray:
    """Simulate the (paths,) returns of (N,) weights; the same bits with any number of threads.

    `copula` is that of the columns that vary, None where none does; `threads` are as many as there
    are processors, by default.
    """
    varies = vary(returns)
    still = float(weights[~varies] @ returns[:, ~varies].mean(axis=0))
    outcomes = np.empty(draws.paths)
    if copula is None:
        outcomes.fill((1 + still) ** draws.horizon - 1)
        return outcomes
    columns = np.ascontiguousarray(returns[:, varies].T)
    own = weights[varies][:, np.newaxis]
    ordered = np.sort(columns, axis=1) * own
    table = distribution_table(copula.degrees)

    def run(first: int, last: int) -> None:
        blocks = (draws.seed, draws.horizon, first, last)
        simulation.copula_paths(
            ordered, copula.factor, table, copula.degrees, still, blocks, outcomes
        )

    _in_threads(run, -(-draws.paths // simulation.BLOCK), threads or (os.cpu_count() or 1))
    return outcomes


def distribution_table(degrees: float) -> FloatArray:
    """Tabulate Student's distribution function at y = v / (1 - |v|), v evenly from -1 to 1.

    Interpolated linearly it is right to 1e-6, a few millionths of a rank.
    """
    from scipy.special import stdtr  # noqa: PLC0415 -- slow to import

    v = np.linspace(-1.0, 1.0, simulation.TABLE + 1)
    inner = v[1:-1] / (1 - np.abs(v[1:-1]))
    return np.concatenate(([0.0], stdtr(degrees, inner), [1.0]))


def _in_threads(run: Callable[[int, int], None], blocks: int, threads: int) -> None:
    """Share blocks out; a block's numbers do not depend on who draws them."""
    if threads == 1 or blocks < _FEWEST_BLOCKS:
        run(0, blocks)
        return
    edges = np.linspace(0, blocks, threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        for each in [pool.submit(run, *span) for span in pairwise(edges)]:
            each.result()
