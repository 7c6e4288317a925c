"""The nearest correlation matrix: Higham's published example, and what it has to fulfil."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.utils.stats import cov_nearest

from seawall.core.errors import InvalidError
from seawall.quant.covariance import nearest
from seawall.quant.covariance.nearest import (
    is_positive_semidefinite,
    nearest_correlation,
    nearest_covariance,
)
from seawall.quant.types import FloatArray


def _broken(seed: int, size: int = 6) -> FloatArray:
    """Draw a symmetric matrix with a unit diagonal that is hardly ever a correlation."""
    matrix = np.random.default_rng(seed).uniform(-1, 1, (size, size))
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    return matrix


def test_the_published_example_comes_out() -> None:
    # Higham (2002), section 4.
    given_matrix = np.array([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]])
    found = nearest_correlation(given_matrix)
    expected = [[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]]
    np.testing.assert_allclose(found.matrix, expected, atol=5e-5)
    assert np.linalg.norm(given_matrix - found.matrix) == pytest.approx(0.5278, abs=5e-5)
    assert found.how == "alternating projections"


@pytest.mark.parametrize("seed", range(3))
def test_it_is_that_of_skfolio(seed: int) -> None:
    matrix = _broken(seed)
    expected = cov_nearest(matrix, higham=True, higham_max_iteration=2_000)
    np.testing.assert_allclose(nearest_correlation(matrix).matrix, expected, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_result_is_a_correlation_and_none_is_nearer(seed: int) -> None:
    matrix = _broken(seed)
    found = nearest_correlation(matrix).matrix
    assert is_positive_semidefinite(found)
    np.testing.assert_array_equal(np.diag(found), 1.0)
    np.testing.assert_array_equal(found, found.T)
    # The set is convex, so at the nearest point no way into it leads nearer.
    random = np.random.default_rng(seed)
    factor = random.normal(size=(6, 6))
    other = factor @ factor.T
    deviations = np.sqrt(np.diag(other))
    other = other / np.outer(deviations, deviations)
    assert float(((matrix - found) * (other - found)).sum()) <= 1e-6
    again = nearest_correlation(found)
    assert again.how == ""
    np.testing.assert_array_equal(again.matrix, found)


def test_variances_are_kept() -> None:
    matrix = _broken(1) * np.outer(np.arange(1, 7), np.arange(1, 7)) * 1e-4
    found = nearest_covariance(matrix)
    np.testing.assert_array_equal(np.diag(found.matrix), np.diag(matrix))
    assert is_positive_semidefinite(found.matrix)


def test_a_row_without_variance_becomes_zero() -> None:
    matrix = np.array([[1e-4, 1e-5, 0], [1e-5, 0.0, 0], [0, 0, 2e-4]])
    found = nearest_covariance(matrix)
    np.testing.assert_array_equal(found.matrix, np.diag([1e-4, 0, 2e-4]))
    assert found.how == "zeroes without variance"


def test_without_convergence_eigenvalues_are_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "MAX_ITERATIONS", 1)
    matrix = _broken(2)
    found = nearest_correlation(matrix)
    assert found.how == "clipped eigenvalues"
    assert is_positive_semidefinite(found.matrix)
    np.testing.assert_array_equal(np.diag(found.matrix), 1.0)


@pytest.mark.parametrize(
    "matrix",
    [np.ones(3), np.ones((2, 3)), np.array([[1, np.nan], [np.nan, 1]]), np.array([[1, 2], [0, 1]])],
    ids=["vector", "not square", "NaN", "not symmetric"],
)
def test_what_is_no_symmetric_matrix_is_refused(matrix: FloatArray) -> None:
    with pytest.raises(InvalidError):
        nearest_correlation(matrix)


def test_a_negative_variance_is_refused() -> None:
    with pytest.raises(InvalidError, match="negative"):
        nearest_covariance(np.diag([1.0, -1.0]))
