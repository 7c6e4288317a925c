"""Weights of the smallest expected shortfall, as a linear program."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, eye_array, hstack, vstack

from seawall.core.errors import InvalidError
from seawall.quant.metrics.metric import too_few
from seawall.quant.metrics.tail import min_observations
from seawall.quant.optimise.constraints import Limits, require_feasible, with_turnover
from seawall.quant.optimise.linear import LinearProgram, solve_linear
from seawall.quant.types import FloatArray


@dataclass(frozen=True, slots=True)
class TailWeights:
    """(N,) weights, and the daily expected shortfall that they have in the sample."""

    weights: FloatArray
    expected_shortfall: float


def mean_cvar(returns: FloatArray, limits: Limits, confidence: float = 0.95) -> TailWeights:
    """Find the weights of least expected shortfall over (T, N) complete returns within limits.

    The expected shortfall is the mean of the worst (1 - confidence) T losses, of which the last is
    taken in part: where that product is whole it is the registry's. A `least_mean` makes it the
    least for that mean return. Several weights may be as good.

    Source: Rockafellar & Uryasev (2000), "Optimization of Conditional Value-at-Risk", Journal of
    Risk 2(3).

    Raises:
        InvalidError: the limits cannot be kept, a return is missing, or there are too few.
    """
    returns = np.asarray(returns, dtype=np.float64)
    if not np.isfinite(returns).all():
        raise InvalidError(
            "The expected shortfall needs complete returns.",
            hint="Take the common days or a proxy.",
        )
    days, size = returns.shape
    if reason := too_few(min_observations(confidence), days):
        raise InvalidError(f"An expected shortfall at {confidence:.1%} {reason}.")
    require_feasible(limits, returns.mean(axis=0))
    solved = solve_linear(_program(returns, limits, confidence))
    if solved is None:
        raise InvalidError("No weights of least expected shortfall were found.")
    weights = np.clip(solved[:size], limits.lower, limits.upper)
    return TailWeights(weights, sample_shortfall(returns, weights, confidence))


def _program(returns: FloatArray, limits: Limits, confidence: float) -> LinearProgram:
    """Lay it out; the columns are weights, their changes, the value at risk, each day's excess."""
    days, size = returns.shape
    linear = with_turnover(limits, returns.mean(axis=0))
    kept = slice(None) if limits.turnover is not None else slice(len(linear.most) - 2 * size - 1)
    unlimited = [[0.0, np.inf]]
    lossy = csr_array(np.hstack([-returns, np.zeros_like(returns), -np.ones((days, 1))]))
    still = csr_array((len(linear.most[kept]), days + 1))
    return LinearProgram(
        cost=np.concatenate(
            [np.zeros(2 * size), [1.0], np.full(days, 1 / ((1 - confidence) * days))]
        ),
        rows=csr_array(
            vstack(
                [
                    hstack([csr_array(linear.matrix[kept]), still]),
                    hstack([lossy, -eye_array(days)]),
                ]
            )
        ),
        most=np.concatenate([linear.most[kept], np.zeros(days)]),
        whole=np.concatenate([np.ones(size), np.zeros(size + 1 + days)]),
        bounds=np.vstack(
            [
                np.column_stack([limits.lower, limits.upper]),
                np.array(unlimited * size),
                [[-np.inf, np.inf]],
                np.array(unlimited * days),
            ]
        ),
    )


def sample_shortfall(returns: FloatArray, weights: FloatArray, confidence: float) -> float:
    """Return the expected shortfall that `mean_cvar` minimises, of (N,) weights; NaN from none."""
    losses = np.sort(-(returns @ weights))[::-1]
    share = (1 - confidence) * losses.size
    if not losses.size:
        return float("nan")
    # A product that is whole but for rounding counts as whole.
    whole = int(np.floor(share + 1e-9))
    total = float(losses[:whole].sum())
    if whole < losses.size:
        total += max(share - whole, 0.0) * float(losses[whole])
    return total / share
