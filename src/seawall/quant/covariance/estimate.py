"""A covariance of daily returns, by the estimator asked for, with what it rests on."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.covariance.denoise import denoise
from seawall.quant.covariance.nearest import nearest_covariance
from seawall.quant.covariance.shrinkage import (
    Shrunk,
    shrink_to_constant_correlation,
    shrink_to_identity,
)
from seawall.quant.histories import History, HistoryMethod, varying
from seawall.quant.metrics.metric import too_few
from seawall.quant.types import BoolArray, FloatArray

MIN_OBSERVATIONS = 3
"""Through two points there is always a line: all assets would correlate perfectly."""
DECAY = 0.94
"""The daily decay of J.P. Morgan's RiskMetrics Technical Document (1996)."""


class Estimator(StrEnum):
    """How a covariance is estimated."""

    SAMPLE = "sample"
    EWMA = "ewma"
    LEDOIT_WOLF = "ledoit-wolf"
    CONSTANT_CORRELATION = "constant-correlation"
    DENOISED = "denoised"


@dataclass(frozen=True, slots=True)
class Covariance:
    """A covariance of daily returns, and how far it is to be trusted.

    Attributes:
        matrix: (N, N), symmetric; positive semidefinite where it has no NaN.
        observations: the days that it is of; of pairwise histories those of the poorest pair.
        rank: of the matrix; below the number of assets that vary it is singular.
        condition: the largest eigenvalue by the smallest, among the assets that vary; infinite for
            a singular matrix, NaN without one.
        repaired: whether it had to be replaced by the nearest positive semidefinite one.
        reason: why entries are NaN; empty when none is.
    """

    matrix: FloatArray
    estimator: Estimator
    histories: HistoryMethod
    observations: int
    rank: int
    condition: float
    repaired: bool
    notes: tuple[str, ...]
    reason: str = ""

    @property
    def singular(self) -> bool:
        """Whether some mix of the assets that vary seems to have no risk."""
        return math.isinf(self.condition)

    @property
    def correlations(self) -> FloatArray:
        """The (N, N) correlations; NaN for an asset that does not vary."""
        deviations = np.sqrt(np.diag(self.matrix))
        deviations = np.where(deviations > 0, deviations, np.nan)
        found: FloatArray = self.matrix / deviations[:, np.newaxis] / deviations
        found = np.clip(found, -1.0, 1.0)
        known = np.flatnonzero(~np.isnan(deviations))
        found[known, known] = 1.0
        return found

    def volatility(self, weights: FloatArray) -> float:
        """Return the daily deviation of (N,) weights; NaN where the matrix is."""
        # Rounding may leave a variance of 0 a little below it.
        return math.sqrt(max(float(weights @ self.matrix @ weights), 0.0))


def estimate_covariance(
    history: History, estimator: Estimator, *, decay: float = DECAY
) -> Covariance:
    """Estimate how the assets of a history vary together in a day.

    Sample: ddof 1, and pair by pair where returns are missing. EWMA: products of returns, not
    centred, weighted by decay^age and by the sum of these weights, as RiskMetrics has it; the age
    counts the history's days. Shrunk ones need complete returns. Denoised ones start from the
    sample's. An asset that does not vary has variance 0 in all, and takes no part in shrinking.

    What a proxy filled moves with the proxy alone: the residual variance, by the share of the days
    that were filled, is added to the diagonal.

    Raises:
        InvalidError: a shrunk covariance is asked of incomplete returns, or the decay is not
            between 0 and 1.
    """
    if not 0 < decay < 1:
        raise InvalidError(f"A decay of {decay} is not between 0 and 1.")
    live = varying(history.returns)
    common = _common_days(history.returns[:, live])
    if reason := _undefined(history, live, common):
        return _none(history, estimator, common, reason)
    matrix, notes = _estimate(history.returns[:, live], estimator, decay, common)
    matrix = matrix + np.diag(_idiosyncratic(history, estimator, decay)[live])
    repair = nearest_covariance(matrix)
    if repair.how:
        notes = (*notes, f"The pairs' covariances did not fit together; repaired by {repair.how}.")
    whole = np.zeros((len(live), len(live)))
    whole[np.ix_(live, live)] = repair.matrix
    made = Covariance(
        matrix=whole,
        estimator=estimator,
        histories=history.method,
        observations=common,
        rank=0,
        condition=math.nan,
        repaired=bool(repair.how),
        notes=notes,
    )
    return _with_spectrum(made, repair.matrix)


def _undefined(history: History, live: BoolArray, common: int) -> str:
    """Say why no covariance can be had; empty when one can."""
    days = len(history.returns)
    if not live.size:
        return "no assets"
    if history.complete:
        return too_few(MIN_OBSERVATIONS, days)
    counts = (~np.isnan(history.returns)).sum(axis=0)
    if (counts < MIN_OBSERVATIONS).any():
        poor = np.flatnonzero(counts < MIN_OBSERVATIONS)
        short = ", ".join(f"{history.assets[at]} {counts[at]}" for at in poor)
        return f"each asset needs {MIN_OBSERVATIONS} returns, there are of {short}"
    if common < MIN_OBSERVATIONS:
        return f"some pair has {common} returns in common, {MIN_OBSERVATIONS} are needed"
    return ""


def _common_days(returns: FloatArray) -> int:
    """Count the days of the pair that has the fewest in common."""
    if not returns.shape[1]:
        return len(returns)
    held = (~np.isnan(returns)).astype(np.float64)
    return int((held.T @ held).min())


def _none(history: History, estimator: Estimator, common: int, reason: str) -> Covariance:
    size = len(history.assets)
    return Covariance(
        matrix=np.full((size, size), np.nan),
        estimator=estimator,
        histories=history.method,
        observations=common,
        rank=0,
        condition=math.nan,
        repaired=False,
        notes=(),
        reason=reason,
    )


def _estimate(
    returns: FloatArray, estimator: Estimator, decay: float, common: int
) -> tuple[FloatArray, tuple[str, ...]]:
    size = returns.shape[1]
    if not size:
        return np.zeros((0, 0)), ()
    match estimator:
        case Estimator.SAMPLE:
            return sample_covariance(returns), ()
        case Estimator.EWMA:
            return ewma_covariance(returns, decay), ()
        case Estimator.DENOISED:
            sample = nearest_covariance(sample_covariance(returns)).matrix
            deviations = np.sqrt(np.diag(sample))
            cleaned = denoise(sample / deviations[:, np.newaxis] / deviations, common)
            kept = f"{cleaned.factors} of {size} eigenvalues stand out from chance."
            return cleaned.matrix * np.outer(deviations, deviations), (kept,)
        case Estimator.LEDOIT_WOLF:
            return _noted(shrink_to_identity(_whole(returns, estimator)), "equal variances")
        case Estimator.CONSTANT_CORRELATION:
            shrunk = shrink_to_constant_correlation(_whole(returns, estimator))
            return _noted(shrunk, "equal correlations")


def _whole(returns: FloatArray, estimator: Estimator) -> FloatArray:
    if np.isnan(returns).any():
        raise InvalidError(
            f"The {estimator} covariance needs complete returns.",
            hint="Take the common days or a proxy, or the sample, ewma or denoised covariance.",
        )
    return returns


def _noted(shrunk: Shrunk, target: str) -> tuple[FloatArray, tuple[str, ...]]:
    return shrunk.matrix, (f"Shrunk by {shrunk.intensity:.1%} towards {target}.",)


def sample_covariance(returns: FloatArray) -> FloatArray:
    """Measure the (N, N) covariance of (T, N) returns with ddof 1, pair by pair around NaN.

    NaN for a pair with fewer than 2 common observations.
    """
    held = ~np.isnan(returns)
    if held.all():
        centred = returns - returns.mean(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            full: FloatArray = centred.T @ centred / np.float64(len(returns) - 1)
        return full
    means = np.where(held, returns, 0).sum(axis=0) / np.maximum(held.sum(axis=0), 1)
    # Around its own mean first, so that the products below lose no digits.
    centred = np.where(held, returns - means, 0.0)
    ones = held.astype(np.float64)
    counts = ones.T @ ones
    sums = centred.T @ ones
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance: FloatArray = (centred.T @ centred - sums * sums.T / counts) / (counts - 1)
    covariance[counts <= 1] = np.nan
    return covariance


def ewma_covariance(returns: FloatArray, decay: float = DECAY) -> FloatArray:
    """Average the products of (T, N) returns with weights decay^age, over each pair's common days.

    NaN for a pair without any.

    Source: J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th edition, section 5.2.
    """
    weights = np.power(decay, np.arange(len(returns))[::-1], dtype=np.float64)
    held = ~np.isnan(returns)
    known = np.where(held, returns, 0.0)
    ones = held.astype(np.float64)
    totals = (ones * weights[:, np.newaxis]).T @ ones
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance: FloatArray = (known * weights[:, np.newaxis]).T @ known / totals
    return covariance


def _idiosyncratic(history: History, estimator: Estimator, decay: float) -> FloatArray:
    """Return the (N,) variances that filled days lack, by the weight of these days."""
    marks = history.stood_in
    if estimator is Estimator.EWMA:
        weights = np.power(decay, np.arange(len(marks))[::-1], dtype=np.float64)
        share = weights @ marks / weights.sum()
    else:
        share = marks.mean(axis=0)
    lacking: FloatArray = share * history.residual_variances
    return lacking


def _with_spectrum(made: Covariance, matrix: FloatArray) -> Covariance:
    """Add what the eigenvalues of the assets that vary tell."""
    size = len(matrix)
    if not size:
        return replace(made, notes=(*made.notes, "No asset varies."))
    values = np.linalg.eigvalsh(matrix)
    noise = size * 2.0**-50 * values[-1]
    rank = int((values > noise).sum())
    if rank == size:
        return replace(made, rank=rank, condition=float(values[-1] / values[0]))
    note = (
        f"Singular: rank {rank} of {size} from {made.observations} observations; some mixes seem to"
        " have no risk."
    )
    return replace(made, rank=rank, condition=math.inf, notes=(*made.notes, note))
