"""Correlations without the eigenvalues that chance alone would give."""

import math
from typing import NamedTuple

import numpy as np

from seawall.quant.types import FloatArray

BANDWIDTH = 0.01
_POINTS = 1_000
_TRIALS = 30
_LEAST, _MOST = 1e-5, 1 - 1e-5


class Denoised(NamedTuple):
    """A correlation matrix, how many of its eigenvalues stand out, and the noise's variance."""

    matrix: FloatArray
    factors: int
    noise: float


def denoise(correlations: FloatArray, observations: int) -> Denoised:
    """Replace the eigenvalues of an (N, N) correlation matrix that chance explains by their mean.

    The variance of the noise is that whose Marchenko-Pastur density fits the eigenvalues' density
    best, by squared error against a Gaussian kernel of width 0.01; the eigenvalues up to the
    density's upper edge are noise. The trace is kept, and the diagonal scaled back to 1.

    Source: López de Prado (2020), Machine Learning for Asset Managers, section 2.5.1, the method of
    the constant residual eigenvalue.
    """
    size = len(correlations)
    values, vectors = np.linalg.eigh(correlations)
    noise = _fit_noise(values, observations / size)
    edge = noise * (1 + math.sqrt(size / observations)) ** 2
    chance = values <= edge
    factors = int((~chance).sum())
    if factors == size:
        return Denoised(correlations, factors, noise)
    # What is below 0 is rounding, and its sum is not to be shared out.
    flattened = np.where(chance, max(float(values[chance].mean()), 0.0), values)
    matrix: FloatArray = (vectors * flattened) @ vectors.T
    deviations = np.sqrt(np.diag(matrix))
    matrix = matrix / deviations[:, np.newaxis] / deviations
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    return Denoised(matrix, factors, noise)


def _fit_noise(values: FloatArray, ratio: float) -> float:
    """Find the noise's variance; `ratio` is observations by assets.

    The error has several minima, so the best of a grid of trials is refined.
    """

    def error(noise: float) -> float:
        return _error(values, ratio, noise)

    trials = np.linspace(_LEAST, _MOST, _TRIALS)
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 - slow to import

    errors = [error(float(each)) for each in trials]
    best = int(np.argmin(errors))
    bounds = (trials[max(best - 1, 0)], trials[min(best + 1, _TRIALS - 1)])
    refined = minimize_scalar(error, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return float(refined.x) if refined.fun < errors[best] else float(trials[best])


def _error(values: FloatArray, ratio: float, noise: float) -> float:
    low = noise * (1 - math.sqrt(1 / ratio)) ** 2
    high = noise * (1 + math.sqrt(1 / ratio)) ** 2
    # The edges are left out: where observations equal assets the density is infinite at 0.
    at = np.linspace(low, high, _POINTS + 2)[1:-1]
    expected = ratio * np.sqrt((high - at) * (at - low)) / (2 * math.pi * noise * at)
    steps = (at[:, np.newaxis] - values) / BANDWIDTH
    seen = np.exp(-0.5 * np.square(steps)).mean(axis=1) / (BANDWIDTH * math.sqrt(2 * math.pi))
    return float(np.square(seen - expected).sum())
