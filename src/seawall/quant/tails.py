"""Value at risk and expected shortfall by any method, at any confidence, over any horizon."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.losses import copula, empirical, filtered, parametric
from seawall.quant.losses.estimate import Estimate, undefined
from seawall.quant.metrics.tail import min_observations
from seawall.quant.returns import weighted_returns
from seawall.quant.types import FloatArray, as_vector


class TailMethod(StrEnum):
    """How the distribution of losses is made."""

    HISTORICAL = "historical"
    GAUSSIAN = "gaussian"
    CORNISH_FISHER = "cornish-fisher"
    FILTERED = "filtered"
    FILTERED_EWMA = "filtered-ewma"
    COPULA = "copula"


@dataclass(frozen=True, slots=True)
class TailQuestion:
    """What is asked: by which method, how surely, over how many days.

    `paths` and `seed` matter where paths are simulated.

    Raises:
        InvalidError: the confidence is not within (0, 1), the horizon or the paths are not at least
            1, or the seed is negative or over 63 bits.
    """

    method: TailMethod = TailMethod.HISTORICAL
    confidence: float = 0.95
    horizon: int = 1
    paths: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        min_observations(self.confidence)
        if self.horizon < 1:
            raise InvalidError(f"A horizon of {self.horizon} days is not at least 1.")
        if self.paths < 1:
            raise InvalidError(f"{self.paths} paths are not at least 1.")
        if not 0 <= self.seed < 1 << 63:
            raise InvalidError(f"The seed {self.seed} is not from 0 to 2^63 - 1.")


@dataclass(frozen=True, slots=True)
class TailRisk:
    """Losses over the horizon as fractions of the value, positive when lost.

    Attributes:
        var, es: value at risk and expected shortfall; NaN where undefined.
        var_error, es_error: their standard errors; what they take into account is the method's.
        reason: why the figures are NaN; empty when they are not.
        observations: the number of daily returns.
    """

    var: float
    es: float
    var_error: float
    es_error: float
    reason: str
    observations: int


def tail_risk(weights: ArrayLike, returns: ArrayLike, question: TailQuestion) -> TailRisk:
    """Estimate the tail of (N,) weights, held constant, over (T, N) daily returns in their order.

    Undefined, with the reason, from too few observations, and where a return of an asset that is
    held is not a number. What has no weight is not looked at.

    Raises:
        InvalidError: shapes do not fit, or a weight is not finite.
    """
    weights = as_vector(weights)
    returns = np.asarray(returns, dtype=np.float64)
    if not np.isfinite(weights).all():
        raise InvalidError("A weight is not a finite number.")
    if returns.ndim != 2 or returns.shape[1] != weights.size:  # noqa: PLR2004 -- days by assets
        raise InvalidError(
            f"Returns of shape {returns.shape} do not fit weights of shape {weights.shape}.",
            hint="The returns need a column for each weight.",
        )
    held = weights != 0
    found = _estimate(weights[held], np.ascontiguousarray(returns[:, held]), question)
    return TailRisk(*found, observations=returns.shape[0])


def _estimate(weights: FloatArray, returns: FloatArray, question: TailQuestion) -> Estimate:
    if not weights.size:
        return undefined("no holdings")
    if not np.isfinite(returns).all():
        return undefined("a return is not a number")
    confidence, horizon = question.confidence, question.horizon
    draws = filtered.Draws(horizon, question.paths, question.seed)
    portfolio = weighted_returns(returns, weights)
    methods: dict[TailMethod, Callable[[], Estimate]] = {
        TailMethod.HISTORICAL: partial(empirical.historical, portfolio, confidence, horizon),
        TailMethod.GAUSSIAN: partial(parametric.gaussian, portfolio, confidence, horizon),
        TailMethod.CORNISH_FISHER: partial(
            parametric.cornish_fisher, portfolio, confidence, horizon
        ),
        TailMethod.FILTERED: partial(filtered.filtered_garch, portfolio, confidence, draws),
        TailMethod.FILTERED_EWMA: partial(filtered.filtered_ewma, portfolio, confidence, draws),
        TailMethod.COPULA: partial(copula.monte_carlo, weights, returns, confidence, draws),
    }
    return methods[question.method]()
