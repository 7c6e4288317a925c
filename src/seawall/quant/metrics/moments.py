"""The shape of the distribution of returns."""

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from seawall.quant.kernels import measures
from seawall.quant.metrics.metric import Direction, Inference, Metric, Unit
from seawall.quant.types import as_vector

_SOURCE = (
    'Joanes & Gill (1998), "Comparing measures of sample skewness and kurtosis", '
    "The Statistician 47(1)"
)


def skewness(returns: ArrayLike) -> float:
    """Measure the bias-corrected skewness, G1, of (T,) returns.

    NaN from fewer than 3 or where they do not vary.
    """
    return measures.moments(as_vector(returns)).skewness


def kurtosis(returns: ArrayLike) -> float:
    """Measure the bias-corrected excess kurtosis, G2, of (T,) returns; 0 for a normal distribution.

    NaN from fewer than 4 or where they do not vary.
    """
    return measures.moments(as_vector(returns)).kurtosis


@dataclass(frozen=True, slots=True)
class Standardised:
    """The mean and deviation (ddof 1) of returns, and the moments of their sample as it is.

    `skewness` is m3 / m2^1.5 and `kurtosis` m4 / m2^2, 3 for a normal distribution: not corrected
    for bias, as asymptotic standard errors are written. NaN from fewer than 4 observations or where
    they do not vary.
    """

    size: int
    mean: float
    deviation: float
    skewness: float
    kurtosis: float


def standardise(returns: ArrayLike) -> Standardised:
    """Measure the moments from which standard errors are made."""
    returns = as_vector(returns)
    found = measures.moments(returns)
    if math.isnan(found.kurtosis):
        return Standardised(returns.size, math.nan, math.nan, math.nan, math.nan)
    apart = returns - found.mean
    square = apart * apart
    m2 = float(square.mean())
    return Standardised(
        returns.size,
        found.mean,
        found.deviation,
        float((square * apart).mean()) / m2**1.5,
        float((square * square).mean()) / m2**2,
    )


def _skewness_error(returns: ArrayLike) -> float:
    """Return the standard error of G1 where returns are normal; NaN from fewer than 3."""
    n = as_vector(returns).size
    return math.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3))) if n > 2 else math.nan  # noqa: PLR2004 -- the formula's own


def _kurtosis_error(returns: ArrayLike) -> float:
    """Return the standard error of G2 where returns are normal; NaN from fewer than 4."""
    n = as_vector(returns).size
    if n <= 3:  # noqa: PLR2004 -- the formula's own
        return math.nan
    return 2 * _skewness_error(returns) * math.sqrt((n * n - 1) / ((n - 3) * (n + 5)))


METRICS = (
    Metric(
        slug="skewness",
        name="Skewness",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="sqrt(n * (n - 1)) / (n - 2) * m3 / m2^1.5, m_k = mean((r - mean(r))^k)",
        source=_SOURCE,
        min_observations=3,
        undefined="no variance",
        function=skewness,
        inference=Inference.STANDARD_ERROR,
        standard_error=_skewness_error,
    ),
    Metric(
        slug="kurtosis",
        name="Excess kurtosis",
        unit=Unit.RATIO,
        direction=Direction.LOWER,
        formula="(n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * m4 / m2^2 - 3 * (n - 1))",
        source=_SOURCE,
        min_observations=4,
        undefined="no variance",
        function=kurtosis,
        inference=Inference.STANDARD_ERROR,
        standard_error=_kurtosis_error,
    ),
)
