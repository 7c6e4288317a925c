"""The triangular root of a correlation matrix, and what it makes of vectors."""

import math

import numpy as np

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import FloatArray

SINGULAR = 1e-10
"""The square of a pivot below which a row is taken to be determined by those before it."""


@compiled
def cholesky(matrix: FloatArray) -> tuple[FloatArray, bool]:
    """Take the lower root of an (N, N) correlation matrix, in one order on every machine.

    Rows that others determine have a diagonal of 0. False where the matrix is not positive
    semi-definite, and the root is not one.
    """
    size = matrix.shape[0]
    factor, whole = np.zeros((size, size)), True
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= factor[i, k] * factor[j, k]
            if i == j:
                whole = whole and rest > -SINGULAR
                factor[i, i] = math.sqrt(rest) if rest > SINGULAR else 0.0
            elif factor[j, j] > 0.0:
                factor[i, j] = rest / factor[j, j]
            else:
                whole = whole and abs(rest) < math.sqrt(SINGULAR)
    return factor, whole


@compiled
def squares(factor: FloatArray, scores: FloatArray) -> FloatArray:
    """Measure each row of (T, N) scores by the inverse of the matrix that (N, N) `factor` is of."""
    days, size = scores.shape
    lengths, solved = np.zeros(days), np.empty(size)
    for t in range(days):
        for i in range(size):
            rest = scores[t, i]
            for k in range(i):
                rest -= factor[i, k] * solved[k]
            solved[i] = rest / factor[i, i]
            lengths[t] += solved[i] * solved[i]
    return lengths
