"""The shape of the distribution of returns."""

from numpy.typing import ArrayLike

from seawall.quant.kernels import measures
from seawall.quant.metrics.metric import Direction, Metric, Unit
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
    ),
)
