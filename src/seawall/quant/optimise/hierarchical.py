"""Hierarchical risk parity: weights by clusters, without inverting a covariance."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import pdist, squareform

from seawall.core.errors import InvalidError
from seawall.quant.optimise.constraints import Limits, require_feasible
from seawall.quant.types import FloatArray, IntArray


def hierarchical_risk_parity(matrix: FloatArray, limits: Limits) -> FloatArray:
    """Find (N,) weights by recursive bisection of the assets in the order of their clusters.

    Distances are sqrt((1 - correlation) / 2), compared column by column, clustered by single
    linkage. Each half of the order gets a share in inverse proportion to the variance of its
    inverse-variance weights, moved as little as the bounds need. The order of a tree's leaves is
    not unique, so assets are put into the order of their variances first.

    Source: López de Prado (2016), "Building Diversified Portfolios that Outperform Out of Sample",
    Journal of Portfolio Management 42(4); bounds after Pfitzinger & Katzke (2019), "A Constrained
    Hierarchical Risk Parity Algorithm with Cluster-based Capital Allocation".

    Raises:
        InvalidError: more than bounds is limited, they cannot be kept, or a variance is not above
            0.
    """
    if not limits.bounds_only:
        raise InvalidError(
            "Hierarchical risk parity keeps to the bounds of each weight alone.",
            hint="Use mean-cvar or min-variance for caps of groups, turnover or a least return.",
        )
    require_feasible(limits)
    if not np.isfinite(matrix).all() or not (np.diag(matrix) > 0).all():
        raise InvalidError(
            "Every asset needs a variance above 0 to be clustered.",
            hint="Leave what counts as money out.",
        )
    weights = np.ones(len(matrix))
    pending = [cluster_order(matrix)]
    while pending:
        whole = pending.pop()
        if len(whole) < 2:  # noqa: PLR2004 -- one asset cannot be halved
            continue
        left, right = whole[: len(whole) // 2], whole[len(whole) // 2 :]
        risks = _cluster_variance(matrix, left), _cluster_variance(matrix, right)
        held = float(weights[whole[0]])
        share = _bounded(1 - risks[0] / sum(risks), held, limits, (left, right))
        weights[left] *= share
        weights[right] *= 1 - share
        pending += [left, right]
    return np.clip(weights, limits.lower, limits.upper)


def cluster_order(matrix: FloatArray) -> IntArray:
    """Order the assets of an (N, N) covariance so that similar ones are neighbours."""
    first = np.argsort(np.diag(matrix), kind="stable")
    if len(first) < 2:  # noqa: PLR2004 -- one asset has no neighbour
        return first
    ordered = matrix[np.ix_(first, first)]
    deviations = np.sqrt(np.diag(ordered))
    correlations = np.clip(ordered / deviations[:, np.newaxis] / deviations, -1, 1)
    distances = np.sqrt((1 - correlations) / 2)
    np.fill_diagonal(distances, 0.0)
    tree = linkage(pdist(distances), method="single")
    found: IntArray = first[leaves_list(tree)]
    return found


def column_distances(matrix: FloatArray) -> FloatArray:
    """Return the (N, N) distances by which an (N, N) covariance is clustered, in its own order."""
    deviations = np.sqrt(np.diag(matrix))
    correlations = np.clip(matrix / deviations[:, np.newaxis] / deviations, -1, 1)
    distances = np.sqrt((1 - correlations) / 2)
    np.fill_diagonal(distances, 0.0)
    return squareform(pdist(distances))


def _cluster_variance(matrix: FloatArray, members: IntArray) -> float:
    inside = matrix[np.ix_(members, members)]
    weights = 1 / np.diag(inside)
    weights /= weights.sum()
    return float(weights @ inside @ weights)


def _bounded(share: float, held: float, limits: Limits, halves: tuple[IntArray, IntArray]) -> float:
    """Move the left half's share to where both halves can keep to their bounds."""
    left, right = halves
    least = max(float(limits.lower[left].sum()) / held, 1 - float(limits.upper[right].sum()) / held)
    most = min(float(limits.upper[left].sum()) / held, 1 - float(limits.lower[right].sum()) / held)
    return min(max(share, least), most)
