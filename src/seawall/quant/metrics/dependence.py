"""How much a portfolio moves with a benchmark, and its assets with one another."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.kernels import matrices, measures
from seawall.quant.metrics.metric import (
    Direction,
    Inference,
    Input,
    Metric,
    Unit,
    against_each,
)
from seawall.quant.types import FloatArray, as_vector

MIN_PAIRS = measures.MIN_PAIRS
"""Through two points there is always a line: they correlate perfectly whatever they are."""


def beta(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Divide the covariance of (T,) returns with the benchmark's by the benchmark's variance.

    NaN from fewer than 3 common observations or where the benchmark does not vary.

    Raises:
        InvalidError: the two are not equally long.
    """
    return relate(returns, benchmark)[0]


def correlation(returns: ArrayLike, benchmark: ArrayLike) -> float:
    """Measure Pearson's correlation of (T,) returns with the benchmark's.

    NaN from fewer than 3 common observations or where either does not vary.

    Raises:
        InvalidError: the two are not equally long.
    """
    return relate(returns, benchmark)[1]


def correlation_matrix(returns: ArrayLike) -> FloatArray:
    """Measure Pearson's correlations of (T, N) returns: (N, N), symmetric, with a unit diagonal.

    NaN from fewer than 3 observations, and in the row and column of an asset that does not vary.

    Raises:
        InvalidError: the returns are not a matrix.
    """
    matrix = np.asarray(returns, dtype=np.float64, order="C")
    if matrix.ndim != 2:  # noqa: PLR2004
        raise InvalidError(f"A matrix of days by assets is needed, not shape {matrix.shape}.")
    if len(matrix) < MIN_PAIRS:
        return np.full((matrix.shape[1], matrix.shape[1]), np.nan)
    return matrices.correlations(matrix)


@dataclass(frozen=True, slots=True)
class Fit:
    """The line of least squares through a portfolio's returns over a benchmark's.

    The errors are the ordinary ones, for disturbances that are independent and vary alike.
    """

    beta: float
    intercept: float
    beta_error: float
    intercept_error: float


def fit(returns: ArrayLike, benchmark: ArrayLike) -> Fit:
    """Fit (T,) returns to the benchmark's by ordinary least squares.

    NaN from fewer than 3 common observations or where the benchmark does not vary.

    Raises:
        InvalidError: the two are not equally long.
    """
    slope = beta(returns, benchmark)
    if math.isnan(slope):
        return Fit(math.nan, math.nan, math.nan, math.nan)
    returns, benchmark = as_vector(returns), as_vector(benchmark)
    middle = float(benchmark.mean())
    intercept = float(returns.mean()) - slope * middle
    apart = benchmark - middle
    spread = float((apart * apart).sum())
    residuals = returns - intercept - slope * benchmark
    variance = float((residuals * residuals).sum()) / (returns.size - 2)
    return Fit(
        slope,
        intercept,
        math.sqrt(variance / spread),
        math.sqrt(variance * (1 / returns.size + middle**2 / spread)),
    )


def relate(returns: ArrayLike, benchmark: ArrayLike) -> tuple[float, float]:
    """Measure beta and correlation at once.

    Raises:
        InvalidError: the two are not equally long.
    """
    returns, benchmark = pair(returns, benchmark)
    if returns.size < MIN_PAIRS:
        return math.nan, math.nan
    return measures.relate(returns, benchmark)


def pair(returns: ArrayLike, benchmark: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return (T,) returns and the benchmark's as what can be compared.

    Raises:
        InvalidError: the two are not equally long.
    """
    returns, benchmark = as_vector(returns), as_vector(benchmark)
    if returns.size != benchmark.size:
        raise InvalidError(
            f"{returns.size} returns cannot be compared with {benchmark.size} of the benchmark.",
            hint="Take those of the common dates.",
        )
    return returns, benchmark


def _beta_error(returns: ArrayLike, benchmark: ArrayLike) -> float:
    return fit(returns, benchmark).beta_error


def _z_error(returns: ArrayLike, _: ArrayLike) -> float:
    """Return the standard error of Fisher's z: 1 / sqrt(n - 3)."""
    free = as_vector(returns).size - MIN_PAIRS
    return 1 / math.sqrt(free) if free > 0 else math.nan


_SOURCE = "Bacon (2008), Practical Portfolio Performance Measurement and Attribution, ch. 4"

METRICS = (
    Metric(
        slug="beta",
        name="Beta",
        unit=Unit.RATIO,
        direction=Direction.NEITHER,
        formula="cov(r, b) / var(b), ddof 1, over common dates",
        source='Sharpe (1964), "Capital Asset Prices", Journal of Finance 19(3)',
        min_observations=MIN_PAIRS,
        undefined="no variance in the benchmark",
        function=beta,
        inference=Inference.STANDARD_ERROR,
        standard_error=_beta_error,
        takes=Input.BENCHMARK,
    ),
    *against_each(
        Metric(
            slug="correlation",
            name="Correlation with the benchmark",
            unit=Unit.RATIO,
            direction=Direction.NEITHER,
            formula="cov(r, b) / (std(r) * std(b)), over common dates",
            source=_SOURCE,
            min_observations=MIN_PAIRS,
            undefined="no variance in the portfolio or the benchmark",
            function=correlation,
            inference=Inference.FISHER,
            standard_error=_z_error,
        )
    ),
    Metric(
        slug="correlation_matrix",
        name="Correlation matrix",
        unit=Unit.RATIO,
        direction=Direction.NEITHER,
        formula="cov(r_i, r_j) / (std(r_i) * std(r_j))",
        source=_SOURCE,
        min_observations=MIN_PAIRS,
        undefined="no variance",
        function=correlation_matrix,
        takes=Input.ASSETS,
    ),
)
