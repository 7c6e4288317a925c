"""How much the holdings make up for one another."""

import math

import numpy as np
from numpy.typing import ArrayLike

from seawall.core.errors import InvalidError
from seawall.quant.kernels import measures
from seawall.quant.metrics.metric import Direction, Inference, Input, Metric, Unit
from seawall.quant.types import FloatArray, as_vector

MIN_DAYS = 3
"""Any two assets are perfectly correlated over two days."""

SINGULAR = 1e-10
"""The share of the largest eigenvalue below which a correlation matrix counts as singular."""

_MOST_STEPS, _STILL = 1_000, 1e-12


def diversification_ratio(weights: ArrayLike, returns: ArrayLike) -> float:
    """Divide the weighted deviations of (T, N) returns by the deviation of their weighted sum.

    1 for a single asset. Short holdings count by their size. NaN from fewer than 3 observations and
    where the portfolio does not vary.

    Raises:
        InvalidError: the returns have no column for each of the (N,) weights.
    """
    weights, covariance = _exposed(weights, returns)
    variance = float(weights @ covariance @ weights)
    if not variance > 0:
        return math.nan
    return float(np.abs(weights) @ np.sqrt(np.diag(covariance))) / math.sqrt(variance)


def effective_bets(weights: ArrayLike, returns: ArrayLike) -> float:
    """Count the independent bets that (N,) weights make on the principal components of the returns.

    The exponential of the entropy of the components' shares in the variance: 1 when one carries
    all, N when all carry the same. NaN from fewer than 3 observations and where the portfolio does
    not vary. Where eigenvalues are equal their components are not unique, and neither is the count.

    Raises:
        InvalidError: the returns have no column for each weight.
    """
    weights, covariance = _exposed(weights, returns)
    if not float(weights @ covariance @ weights) > 0:
        return math.nan
    values, vectors = np.linalg.eigh(covariance)
    return _count(np.maximum(values, 0.0) * (vectors.T @ weights) ** 2)


def effective_torsion_bets(weights: ArrayLike, returns: ArrayLike) -> float:
    """Count the independent bets of (N,) weights on the uncorrelated factors next to the assets.

    The factors are those of the minimum torsion of (T, N) returns; as `effective_bets` otherwise,
    but each bet is close to one asset. NaN besides where the covariance of what is held and varies
    is singular, as it is from fewer observations than assets.

    Raises:
        InvalidError: the returns have no column for each weight.
    """
    weights, covariance = _exposed(weights, returns)
    if not float(weights @ covariance @ weights) > 0:
        return math.nan
    sizes = np.sqrt(np.diag(covariance))
    if not (sizes > 0).all():
        # What varies by rounding alone may have a variance that is none.
        return math.nan
    torsion = _torsion(covariance / np.outer(sizes, sizes))
    if torsion is None:
        return math.nan
    exposures = sizes * weights
    # What the torsion's factors are held in, and how each goes with the portfolio.
    held = np.linalg.solve(torsion.T, exposures)
    moved = torsion @ (covariance / np.outer(sizes, sizes)) @ exposures
    return _count(held * moved)


def _exposed(weights: ArrayLike, returns: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the weights that are not 0, of assets that vary, and their covariance, ddof 1."""
    weights, matrix = as_vector(weights), np.asarray(returns, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != weights.size:  # noqa: PLR2004
        raise InvalidError(
            f"Returns of shape {matrix.shape} do not fit weights of shape {weights.shape}.",
            hint="The returns need a column for each weight.",
        )
    if len(matrix) < MIN_DAYS or not np.isfinite(matrix).all() or not np.isfinite(weights).all():
        return np.empty(0), np.empty((0, 0))
    spread = np.std(matrix, axis=0, ddof=1)
    noise = measures.NOISE * (1 + np.abs(matrix).max(axis=0, initial=0.0))
    kept = (weights != 0) & (spread > noise)
    if not kept.any() or _is_still(matrix @ weights):
        return np.empty(0), np.empty((0, 0))
    apart = matrix[:, kept] - matrix[:, kept].mean(axis=0)
    return weights[kept], apart.T @ apart / (len(matrix) - 1)


def _is_still(returns: FloatArray) -> bool:
    deviation = measures.moments(as_vector(returns)).deviation
    return not deviation > 0


def _count(contributions: FloatArray) -> float:
    """Return the exponential of the entropy of the contributions' shares."""
    # Rounding leaves contributions that are none a little below 0.
    shares = np.maximum(contributions, 0.0) / np.maximum(contributions, 0.0).sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _torsion(correlation: FloatArray) -> FloatArray | None:
    """Return the (N, N) map onto uncorrelated factors closest to the assets; None if singular.

    Source: Meucci, Santangelo & Deguest (2015), "Risk Budgeting and Diversification Based on
    Optimized Uncorrelated Factors", Risk 28(11), the recursion for the exact solution.
    """
    values = np.linalg.eigvalsh(correlation)
    if values[0] <= SINGULAR * values[-1]:
        return None
    root = _square_root(correlation)
    scale = np.ones(len(root))
    turned: FloatArray = root
    for _ in range(_MOST_STEPS):
        inner = _square_root(scale[:, np.newaxis] * correlation * scale)
        rotation = _solve(inner, scale[:, np.newaxis] * root)
        before, scale = scale, np.diag(rotation @ root).copy()
        turned = scale[:, np.newaxis] * rotation
        if np.abs(scale - before).max() <= _STILL:
            break
    return _solve(root, turned.T).T


def _solve(matrix: FloatArray, other: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrix, other), dtype=np.float64)


def _square_root(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    root: FloatArray = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


METRICS = (
    Metric(
        slug="diversification_ratio",
        name="Diversification ratio",
        unit=Unit.RATIO,
        direction=Direction.HIGHER,
        formula="sum(|w_i| * std(r_i)) / std(sum(w_i * r_i)), ddof 1",
        source='Choueifaty & Coignard (2008), "Toward Maximum Diversification", '
        "Journal of Portfolio Management 35(1)",
        min_observations=MIN_DAYS,
        undefined="no variance",
        function=diversification_ratio,
        inference=Inference.BOOTSTRAP,
        takes=Input.HOLDINGS,
    ),
    Metric(
        slug="effective_bets",
        name="Effective number of bets, principal components",
        unit=Unit.COUNT,
        direction=Direction.HIGHER,
        formula="exp(-sum(p * log(p))), p_k = l_k * (e_k . w)^2 / sum, l and e the eigenvalues and "
        "eigenvectors of the covariance",
        source='Meucci (2009), "Managing Diversification", Risk 22(5)',
        min_observations=MIN_DAYS,
        undefined="no variance",
        function=effective_bets,
        inference=Inference.BOOTSTRAP,
        takes=Input.HOLDINGS,
    ),
    Metric(
        slug="effective_torsion_bets",
        name="Effective number of bets, minimum torsion",
        unit=Unit.COUNT,
        direction=Direction.HIGHER,
        formula="exp(-sum(p * log(p))), p_k the share in the variance of the k-th uncorrelated "
        "factor, of those closest to the assets",
        source='Meucci, Santangelo & Deguest (2015), "Risk Budgeting and Diversification Based on '
        'Optimized Uncorrelated Factors", Risk 28(11)',
        min_observations=MIN_DAYS,
        undefined="no variance, or a singular covariance",
        function=effective_torsion_bets,
        takes=Input.HOLDINGS,
    ),
)
