"""Covariances drawn towards a simple target, by as much as the data cannot tell them apart."""

from typing import NamedTuple

import numpy as np

from seawall.quant.types import FloatArray


class Shrunk(NamedTuple):
    """A covariance, and the share of the target in it."""

    matrix: FloatArray
    intensity: float


def shrink_to_identity(returns: FloatArray) -> Shrunk:
    """Shrink the covariance of (T, N) returns towards the identity times the mean variance.

    Moments are divided by T, as in the source. All assets must vary.

    Source: Ledoit & Wolf (2004), "A Well-Conditioned Estimator for Large-Dimensional Covariance
    Matrices", Journal of Multivariate Analysis 88(2).
    """
    count = len(returns)
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / count
    mean_variance = float(np.trace(sample)) / len(sample)
    target = mean_variance * np.eye(len(sample))
    distance = float(np.square(sample - target).sum())
    # The mean over days of the squared distance of one day's products from the sample.
    noise = float(np.square(np.square(centred).sum(axis=1)).mean() - np.square(sample).sum())
    return _shrink(sample, target, noise / count, distance)


def shrink_to_constant_correlation(returns: FloatArray) -> Shrunk:
    """Shrink the covariance of (T, N) returns towards equal correlations, and keep the variances.

    Moments are divided by T, as in the source. All assets must vary.

    Source: Ledoit & Wolf (2004), "Honey, I Shrunk the Sample Covariance Matrix", Journal of
    Portfolio Management 30(4).
    """
    count, assets = returns.shape
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / count
    variances = np.diag(sample)
    deviations = np.sqrt(variances)
    off = ~np.eye(assets, dtype=np.bool_)
    correlations = sample / deviations[:, np.newaxis] / deviations
    mean_correlation = float(correlations[off].mean()) if assets > 1 else 0.0
    target = mean_correlation * np.outer(deviations, deviations)
    np.fill_diagonal(target, variances)

    squares = np.square(centred)
    variability = squares.T @ squares / count - np.square(sample)
    # How an asset's variance and its covariances vary together: theta_ii,ij of the source.
    cubes = np.power(centred, 3).T @ centred / count
    together = cubes - variances[:, np.newaxis] * sample
    ratios = deviations / deviations[:, np.newaxis]
    shared = np.diag(variability).sum() + mean_correlation * float((ratios * together)[off].sum())
    distance = float(np.square(sample - target).sum())
    noise = float(variability.sum() - shared)
    return _shrink(sample, target, noise / count, distance)


def _shrink(sample: FloatArray, target: FloatArray, noise: float, distance: float) -> Shrunk:
    # A sample that is its target already stays: any share gives the same.
    share = min(1.0, max(0.0, noise / distance)) if distance > 0 else 0.0
    matrix: FloatArray = share * target + (1 - share) * sample
    return Shrunk(matrix, share)
