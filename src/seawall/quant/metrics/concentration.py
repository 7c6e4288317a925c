"""How few holdings carry the portfolio."""

import math

from numpy.typing import ArrayLike

from seawall.quant.metrics.metric import Direction, Input, Metric, Unit
from seawall.quant.types import as_vector


def herfindahl_index(weights: ArrayLike) -> float:
    """Sum the squares of (N,) weights: 1/N when they are equal, 1 when one holds all.

    NaN without a weight that is not zero.
    """
    weights = as_vector(weights)
    return float(weights @ weights) or math.nan


def effective_n(weights: ArrayLike) -> float:
    """Count the equal holdings that would be as concentrated as (N,) weights: 1 / sum(w^2).

    NaN without a weight that is not zero.
    """
    return 1 / herfindahl_index(weights)


METRICS = (
    Metric(
        slug="herfindahl_index",
        name="Herfindahl index",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula="sum(w^2)",
        source='Hirschman (1964), "The Paternity of an Index", American Economic Review 54(5)',
        min_observations=0,
        undefined="no holdings",
        function=herfindahl_index,
        takes=Input.WEIGHTS,
    ),
    Metric(
        slug="effective_n",
        name="Effective number of holdings",
        unit=Unit.COUNT,
        direction=Direction.HIGHER,
        formula="1 / sum(w^2)",
        source='Laakso & Taagepera (1979), "Effective Number of Parties", '
        "Comparative Political Studies 12(1)",
        min_observations=0,
        undefined="no holdings",
        function=effective_n,
        takes=Input.WEIGHTS,
    ),
)
