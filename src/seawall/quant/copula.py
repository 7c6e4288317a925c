"""The t copula: how assets depend on each other, whatever each of them is like."""

import math
from dataclasses import dataclass

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.covariance.nearest import nearest_correlation
from seawall.quant.kernels import concordance, triangular
from seawall.quant.types import FloatArray, IntArray

LEAST_DEGREES, MOST_DEGREES = 2.0, 100.0
"""Between these the degrees of freedom are sought; at the upper end the copula is nearly normal."""

_SLIVER = 1e-6


@dataclass(frozen=True, slots=True)
class TCopula:
    """A t copula of N assets.

    Attributes:
        correlations: (N, N), positive semi-definite with a unit diagonal.
        factor: (N, N), lower, whose product with its transpose the correlations are.
        degrees: of freedom.
        repaired: whether the rank correlations were no correlation matrix, and were made one.
    """

    correlations: FloatArray
    factor: FloatArray
    degrees: float
    repaired: bool


def fit_t_copula(returns: FloatArray) -> TCopula:
    """Fit a t copula to (T, N) returns, of which every column varies.

    Correlations are sin(pi / 2 * tau) of Kendall's tau-b; where these are not positive
    semi-definite, the nearest matrix that is one is taken (Higham, 2002). The degrees of freedom
    are the likeliest at the ranks; assets that others determine, such as one held twice, are left
    out of the likelihood.

    Source: Demarta & McNeil (2005), "The t Copula and Related Copulas", International Statistical
    Review 73(1).

    Raises:
        InvalidError: a column does not vary, or there are fewer than 2 days.
    """
    taus = kendall_taus(returns)
    if np.isnan(taus).any():
        raise InvalidError(
            "A t copula needs columns that vary.", hint="Leave out what stands still."
        )
    correlations = np.sin(0.5 * math.pi * taus)
    np.fill_diagonal(correlations, 1.0)
    factor, whole = triangular.cholesky(correlations)
    if not whole:
        correlations = nearest_correlation(correlations).matrix
        factor, _ = triangular.cholesky(correlations)
    return TCopula(correlations, factor, _fit_degrees(returns, correlations), not whole)


def kendall_taus(returns: FloatArray) -> FloatArray:
    """Measure Kendall's tau-b of all pairs of columns of (T, N) returns; NaN for one that is still.

    It is the correlation of the signs of the differences between all pairs of days, whose products
    are counted without rounding.
    """
    counts = concordance.sign_products(np.ascontiguousarray(returns.T))
    untied = np.sqrt(np.diag(counts))
    with np.errstate(invalid="ignore"):
        taus: FloatArray = counts / np.outer(untied, untied)
    return taus


def _fit_degrees(returns: FloatArray, correlations: FloatArray) -> float:
    """Maximise the copula's likelihood over the degrees of freedom, in terms of their inverse."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415 -- slow to import
    from scipy.special import gammaln, stdtrit  # noqa: PLC0415
    from scipy.stats import rankdata  # noqa: PLC0415

    days = returns.shape[0]
    kept = _independent(correlations)
    if kept.size < 2:  # noqa: PLR2004 -- nothing depends on anything
        return MOST_DEGREES
    # Tied days share the mean of their ranks, so ranks count halves.
    halves = np.rint(2 * rankdata(returns[:, kept], axis=0)).astype(np.int64)
    grid = np.arange(2 * days + 1) / (2 * (days + 1))
    factor, _ = triangular.cholesky(np.ascontiguousarray(correlations[np.ix_(kept, kept)]))
    log_root = float(np.log(np.diag(factor)).sum())
    size = kept.size

    def loss(inverse: float) -> float:
        degrees = 1 / inverse
        # Rank 0 does not occur, and has no quantile.
        quantiles = np.concatenate(([0.0], stdtrit(degrees, grid[1:])))
        scores = quantiles[halves]
        squares = triangular.squares(factor, scores)
        joint = gammaln((degrees + size) / 2) + (size - 1) * gammaln(degrees / 2)
        joint -= size * gammaln((degrees + 1) / 2) + log_root
        depth = np.log1p(quantiles * quantiles / degrees)[halves].sum()
        bent = np.log1p(squares / degrees).sum()
        return float((degrees + size) / 2 * bent - (degrees + 1) / 2 * depth - days * joint)

    bounds = (1 / MOST_DEGREES, 1 / LEAST_DEGREES)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(1 / found.x)


def _independent(correlations: FloatArray) -> IntArray:
    """Name the assets whose shocks those before them leave some freedom."""
    factor, _ = triangular.cholesky(correlations)
    return np.flatnonzero(np.diag(factor) ** 2 > _SLIVER)
