"""Filtered historical simulation: the past's shocks, scaled to the volatility of now."""

import math
from typing import NamedTuple

import numpy as np

from seawall.quant.garch import MIN_OBSERVATIONS, fit_garch
from seawall.quant.kernels import measures, simulation, variance
from seawall.quant.losses.empirical import of_outcomes
from seawall.quant.losses.estimate import Estimate, undefined
from seawall.quant.metrics.metric import too_few
from seawall.quant.metrics.tail import min_observations
from seawall.quant.metrics.volatility import RISKMETRICS_DECAY
from seawall.quant.types import FloatArray


class Draws(NamedTuple):
    """How far, how often and from which seed is simulated."""

    horizon: int
    paths: int
    seed: int


def filtered_garch(returns: FloatArray, confidence: float, draws: Draws) -> Estimate:
    """Take the tail of paths on which GARCH(1,1) shocks are drawn from the fit's own residuals.

    Over one day nothing is drawn: each residual is one outcome. Errors are those of the outcomes,
    not of the fit; over several days those of the simulation alone.

    Source: Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without Correlations for Portfolios of
    Derivative Securities", Journal of Futures Markets 19(5).
    """
    if reason := too_few(max(min_observations(confidence), MIN_OBSERVATIONS), returns.size):
        return undefined(reason)
    if measures.moments(returns).deviation == 0:
        return _still(returns, draws.horizon)
    fit = fit_garch(returns)
    if fit.reason:
        return undefined(fit.reason)
    residuals = (returns - fit.mean) / np.sqrt(fit.variances[:-1])
    model = np.array([fit.mean, fit.omega, fit.alpha, fit.beta, fit.variances[-1]])
    return _simulated(residuals, model, confidence, draws)


def filtered_ewma(returns: FloatArray, confidence: float, draws: Draws) -> Estimate:
    """Do as `filtered_garch` does, with variances of exponential weights, 0.94, about the mean.

    The first day has no variance before it, and gives no residual.

    Source: Hull & White (1998), "Incorporating Volatility Updating into the Historical Simulation
    Method for Value-at-Risk", Journal of Risk 1(1).
    """
    if reason := too_few(min_observations(confidence) + 1, returns.size):
        return undefined(reason)
    moments = measures.moments(returns)
    if moments.deviation == 0:
        return _still(returns, draws.horizon)
    shocks = returns - moments.mean
    variances = variance.ewma_variances(shocks, RISKMETRICS_DECAY)
    moved = variances[:-1] > 0
    residuals = shocks[1:][moved] / np.sqrt(variances[:-1][moved])
    if reason := too_few(min_observations(confidence), residuals.size):
        return undefined(reason)
    decay = RISKMETRICS_DECAY
    model = np.array([moments.mean, 0.0, 1 - decay, decay, variances[-1]])
    return _simulated(residuals, model, confidence, draws)


def _simulated(
    residuals: FloatArray, model: FloatArray, confidence: float, draws: Draws
) -> Estimate:
    if draws.horizon == 1:
        return of_outcomes(model[0] + math.sqrt(model[4]) * residuals, confidence)
    if reason := too_few(min_observations(confidence), draws.paths):
        return undefined(f"{reason} of its simulation")
    outcomes = simulation.filtered_paths(residuals, model, *draws)
    return of_outcomes(outcomes, confidence)


def _still(returns: FloatArray, horizon: int) -> Estimate:
    """Compound what never varies: every path is the same."""
    loss = 1 - (1 + float(returns.mean())) ** horizon
    return Estimate(loss, loss, 0.0, 0.0)
