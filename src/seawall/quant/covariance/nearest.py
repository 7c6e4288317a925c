"""The nearest matrix that can be a covariance."""

from typing import NamedTuple

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.types import FloatArray

MAX_ITERATIONS = 500
TOLERANCE = 1e-10
FLOOR = 1e-10
"""The least eigenvalue, relative to the largest, of a correlation matrix that was repaired."""


class Repair(NamedTuple):
    """A matrix that is positive semidefinite, and how it became so: empty if it was already."""

    matrix: FloatArray
    how: str


def is_positive_semidefinite(matrix: FloatArray) -> bool:
    """Tell whether no eigenvalue of a symmetric (N, N) matrix is negative but for rounding."""
    values = np.linalg.eigvalsh(matrix)
    return not values.size or bool(values[0] >= -len(matrix) * 2.0**-50 * max(values[-1], 0.0))


def nearest_correlation(matrix: FloatArray) -> Repair:
    """Find the correlation matrix nearest to a symmetric (N, N) one with a unit diagonal.

    In the Frobenius norm, by alternating projections with Dykstra's correction; where these do not
    converge, negative eigenvalues are clipped and the diagonal is scaled back to 1, which is
    another and slightly farther matrix. Eigenvalues are kept at 1e-10 of the largest or above.

    Source: Higham (2002), "Computing the Nearest Correlation Matrix: A Problem from Finance", IMA
    Journal of Numerical Analysis 22(3).

    Raises:
        InvalidError: the matrix is not square, symmetric and finite.
    """
    matrix = _checked(matrix)
    if is_positive_semidefinite(matrix):
        return Repair(matrix, "")
    found = _alternate(matrix)
    if found is None:
        return Repair(_clip(matrix), "clipped eigenvalues")
    return Repair(_clip(found), "alternating projections")


def nearest_covariance(matrix: FloatArray) -> Repair:
    """Find a covariance near a symmetric (N, N) matrix: its variances, the nearest correlations.

    Rows and columns of an asset without variance are 0.

    Raises:
        InvalidError: the matrix is not square, symmetric and finite, or a variance is negative.
    """
    matrix = _checked(matrix)
    variances = np.diag(matrix)
    if (variances < 0).any():
        raise InvalidError("A variance is negative.")
    live = np.flatnonzero(variances > 0)
    deviations = np.sqrt(variances[live])
    scale = np.outer(deviations, deviations)
    # Divided by one deviation after the other, their product could underflow.
    correlations = matrix[np.ix_(live, live)] / deviations[:, np.newaxis] / deviations
    np.fill_diagonal(correlations, 1.0)
    repair = nearest_correlation(correlations)
    dead = np.delete(np.arange(len(matrix)), live)
    if not repair.how and not matrix[dead].any():
        return Repair(matrix, "")
    repaired = np.zeros_like(matrix)
    repaired[np.ix_(live, live)] = repair.matrix * scale
    repaired[live, live] = variances[live]
    return Repair(repaired, repair.how or "zeroes without variance")


def _checked(matrix: FloatArray) -> FloatArray:
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:  # noqa: PLR2004
        raise InvalidError(f"A square matrix is needed, not one of shape {matrix.shape}.")
    if not np.isfinite(matrix).all():
        raise InvalidError("The matrix has an entry that is not a finite number.")
    if not np.allclose(matrix, matrix.T, rtol=1e-10, atol=1e-12 * np.abs(matrix).max(initial=0.0)):
        raise InvalidError("The matrix is not symmetric.")
    symmetric: FloatArray = (matrix + matrix.T) / 2
    return symmetric


def _alternate(matrix: FloatArray) -> FloatArray | None:
    """Project in turn on semidefinite matrices and unit diagonals; None without convergence."""
    current, correction = matrix.copy(), np.zeros_like(matrix)
    for _ in range(MAX_ITERATIONS):
        before = current
        shifted = before - correction
        projected = _project(shifted, 0.0)
        correction = projected - shifted
        current = projected.copy()
        np.fill_diagonal(current, 1.0)
        if np.linalg.norm(current - before) <= TOLERANCE * np.linalg.norm(current):
            return current
    return None


def _project(matrix: FloatArray, floor: float) -> FloatArray:
    """Raise the eigenvalues of a symmetric matrix to `floor`."""
    values, vectors = np.linalg.eigh(matrix)
    raised: FloatArray = (vectors * np.maximum(values, floor)) @ vectors.T
    return (raised + raised.T) / 2


def _clip(matrix: FloatArray) -> FloatArray:
    """Raise the eigenvalues of a correlation matrix a little above 0, and scale its diagonal to 1.

    Scaling a semidefinite matrix on both sides leaves it semidefinite.
    """
    raised = _project(matrix, FLOOR * float(np.linalg.eigvalsh(matrix)[-1]))
    deviations = np.sqrt(np.diag(raised))
    scaled: FloatArray = raised / deviations[:, np.newaxis] / deviations
    np.fill_diagonal(scaled, 1.0)
    return scaled
