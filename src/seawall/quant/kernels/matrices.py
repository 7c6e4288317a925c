"""What matrices of returns come to: weighted into one vector, and correlated."""

import math

import numpy as np

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import FloatArray

_NOISE = 8 * 2.0**-52
"""As `measures.NOISE`: machine code that is kept knows the changes of its own file alone."""


@compiled
def combine(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """Weigh (T, N) returns with (N,) weights into (T,)."""
    periods, assets = returns.shape
    combined = np.empty(periods)
    for t in range(periods):
        total = 0.0
        for i in range(assets):
            total += weights[i] * returns[t, i]
        combined[t] = total
    return combined


@compiled
def _products(apart: FloatArray) -> FloatArray:
    """Sum the products of (T, N) columns with one another into (N, N), day by day.

    Rows of updates, not dot products: these use the vector unit without reordering a sum. Four days
    at a time, one after the other, so that a sum is fetched once for four.
    """
    periods, assets = apart.shape
    products = np.zeros((assets, assets))
    whole = periods - periods % 4
    for t in range(0, whole, 4):
        one, two, three, four = apart[t], apart[t + 1], apart[t + 2], apart[t + 3]
        for i in range(assets):
            row = products[i]
            for j in range(assets):
                total = row[j] + one[i] * one[j]
                total += two[i] * two[j]
                total += three[i] * three[j]
                row[j] = total + four[i] * four[j]
    for t in range(whole, periods):
        for i in range(assets):
            for j in range(assets):
                products[i, j] += apart[t, i] * apart[t, j]
    return products


@compiled
def correlations(returns: FloatArray) -> FloatArray:
    """Measure the (N, N) correlations of (T, N) returns; exactly symmetric, with a unit diagonal.

    NaN in the rows and columns of assets that do not vary, and everywhere when T < 2.
    """
    periods, assets = returns.shape
    mean, peak = np.zeros(assets), np.zeros(assets)
    for t in range(periods):
        for i in range(assets):
            mean[i] += returns[t, i]
            peak[i] = max(peak[i], abs(returns[t, i]))
    mean /= periods
    products = _products(returns - mean)
    size = np.sqrt(np.diag(products))
    varies = size > _NOISE * (1.0 + peak) * math.sqrt(max(periods - 1, 0))
    matrix = np.full((assets, assets), math.nan)
    for i in range(assets):
        for j in range(assets):
            if varies[i] and varies[j]:
                ratio = products[i, j] / (size[i] * size[j])
                matrix[i, j] = 1.0 if i == j else max(-1.0, min(1.0, ratio))
    return matrix
