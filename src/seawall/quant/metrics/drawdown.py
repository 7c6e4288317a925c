"""How far the value fell from its peaks."""

from numpy.typing import ArrayLike

from seawall.quant.kernels import measures
from seawall.quant.metrics.metric import Direction, Metric, Unit
from seawall.quant.types import as_vector


def max_drawdown(returns: ArrayLike) -> float:
    """Measure the largest fall of the compounded path of (T,) returns from a peak so far.

    Positive: 0.35 is a fall of 35 %. The path starts at 1, which counts as a peak. NaN without
    observations.
    """
    return measures.max_drawdown(as_vector(returns))


METRICS = (
    Metric(
        slug="max_drawdown",
        name="Maximum drawdown",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula="max_t(1 - V_t / max(V_0 .. V_t)), V_0 = 1, V_t = V_(t-1) * (1 + r_t)",
        source='Magdon-Ismail & Atiya (2004), "Maximum drawdown", Risk 17(10)',
        min_observations=1,
        undefined="",
        function=max_drawdown,
    ),
)
