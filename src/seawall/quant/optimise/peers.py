"""Methods that the skfolio library brings, where it is installed."""

from enum import StrEnum
from importlib import import_module
from typing import Any

import numpy as np

from seawall.core.errors import InvalidError, UnavailableError
from seawall.quant.optimise.constraints import Limits, require_feasible
from seawall.quant.types import FloatArray

_NOTHING = 1e-6


class PeerMethod(StrEnum):
    """What is left to skfolio."""

    MAX_SHARPE = "skfolio:max-sharpe"
    MAX_DIVERSIFICATION = "skfolio:max-diversification"
    NESTED_CLUSTERS = "skfolio:nco"


def optimise_with_skfolio(method: PeerMethod, returns: FloatArray, limits: Limits) -> FloatArray:
    """Find (N,) weights from (T, N) complete returns, with skfolio's own covariance: the sample's.

    Raises:
        UnavailableError: skfolio is not installed.
        InvalidError: more than bounds is limited, they cannot be kept, or skfolio finds nothing.
    """
    if not limits.bounds_only:
        raise InvalidError(
            f"{method} keeps to the bounds of each weight alone.",
            hint="Use mean-cvar or min-variance for caps of groups, turnover or a least return.",
        )
    require_feasible(limits)
    if not np.isfinite(returns).all():
        raise InvalidError(f"{method} needs complete returns.", hint="Take common days or a proxy.")
    try:
        library = import_module("skfolio.optimization")
    except ImportError as error:
        raise UnavailableError(
            f"{method} needs skfolio, which is not installed.",
            hint="Install it: pip install 'seawall[portfolio]'.",
        ) from error
    model = _model(library, method, limits)
    try:
        model.fit(returns)
    except (ValueError, RuntimeError, ArithmeticError) as error:
        raise InvalidError(f"skfolio found no weights for {method}: {error}") from error
    weights = np.clip(np.asarray(model.weights_, dtype=np.float64), limits.lower, limits.upper)
    # Interior-point solvers stop a little short of nothing.
    weights[(weights < _NOTHING) & (limits.lower == 0)] = 0.0
    normed: FloatArray = weights / weights.sum()
    return normed


def _model(library: Any, method: PeerMethod, limits: Limits) -> Any:
    bounds = {"min_weights": limits.lower, "max_weights": limits.upper}
    match method:
        case PeerMethod.MAX_SHARPE:
            ratio = library.ObjectiveFunction.MAXIMIZE_RATIO
            return library.MeanRisk(objective_function=ratio, **bounds)
        case PeerMethod.MAX_DIVERSIFICATION:
            return library.MaximumDiversification(**bounds)
        case PeerMethod.NESTED_CLUSTERS:
            if limits.lower.any() or (limits.upper < 1).any():
                raise InvalidError(
                    f"{method} takes no bounds of weights.", hint="Leave them out, or use hrp."
                )
            return library.NestedClustersOptimization()
