"""How far the value fell from its peaks, and for how long."""

import math

import numpy as np
from numpy.typing import ArrayLike

from seawall.quant.kernels import measures, paths
from seawall.quant.metrics.metric import Direction, Inference, Metric, Unit
from seawall.quant.metrics.tail import min_observations
from seawall.quant.types import FloatArray, as_vector


def max_drawdown(returns: ArrayLike) -> float:
    """Measure the largest fall of the compounded path of (T,) returns from a peak so far.

    Positive: 0.35 is a fall of 35 %. The path starts at 1, which counts as a peak. NaN without
    observations.
    """
    return measures.max_drawdown(as_vector(returns))


def average_drawdown(returns: ArrayLike) -> float:
    """Average how far the path of (T,) returns is below its peak over all days; NaN without any."""
    falls = drawdowns(returns)
    return float(falls.mean()) if falls.size else math.nan


def ulcer_index(returns: ArrayLike) -> float:
    """Measure the root mean square of the drawdowns of all (T,) days; NaN without any."""
    falls = drawdowns(returns)
    return math.sqrt(float((falls * falls).mean())) if falls.size else math.nan


def conditional_drawdown(returns: ArrayLike, confidence: float = 0.95) -> float:
    """Average the deepest drawdowns of (T,) days, exactly the share 1 - confidence of them.

    Where the share is not a whole number of days, the last counts in part. NaN from too few
    observations.

    Raises:
        InvalidError: the confidence is not between 0 and 1.
    """
    needed = min_observations(confidence)
    falls = -np.sort(-drawdowns(returns))
    if falls.size < needed or math.isnan(falls.sum()):
        return math.nan
    share = (1 - confidence) * falls.size
    whole = min(math.floor(share + 1e-9), falls.size - 1)
    return (float(falls[:whole].sum()) + max(share - whole, 0.0) * float(falls[whole])) / share


def longest_drawdown(returns: ArrayLike) -> float:
    """Count the days of the longest spell below a peak in (T,) daily returns; NaN without any.

    From the first day below the peak to the last, whether it was regained or the history ends.
    """
    return _spells(returns)[0]


def current_drawdown(returns: ArrayLike) -> float:
    """Count the days since the last peak of the path of (T,) daily returns; NaN without any."""
    return _spells(returns)[1]


def drawdowns(returns: ArrayLike) -> FloatArray:
    """Measure how far the compounded path of (T,) returns is below its peak on each day."""
    return paths.drawdowns(as_vector(returns))


def _spells(returns: ArrayLike) -> tuple[float, float]:
    falls = drawdowns(returns)
    if not falls.size or math.isnan(falls[-1]):
        return math.nan, math.nan
    longest, current = paths.spells(falls)
    return float(longest), float(current)


_DEPTH = "d_t = 1 - V_t / max(V_0 .. V_t), V_0 = 1, V_t = V_(t-1) * (1 + r_t)"

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
        inference=Inference.BOOTSTRAP,
    ),
    Metric(
        slug="average_drawdown",
        name="Average drawdown",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula=f"mean(d_t), {_DEPTH}",
        source='Chekhlov, Uryasev & Zabarankin (2005), "Drawdown measure in portfolio '
        'optimization", International Journal of Theoretical and Applied Finance 8(1)',
        min_observations=1,
        undefined="",
        function=average_drawdown,
        inference=Inference.BOOTSTRAP,
    ),
    Metric(
        slug="ulcer_index",
        name="Ulcer index",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula=f"sqrt(mean(d_t^2)), {_DEPTH}",
        source="Martin & McCann (1989), The Investor's Guide to Fidelity Funds, ch. 4",
        min_observations=1,
        undefined="",
        function=ulcer_index,
        inference=Inference.BOOTSTRAP,
    ),
    Metric(
        slug="cdar_95",
        name="Conditional drawdown at risk, 95%",
        unit=Unit.FRACTION,
        direction=Direction.LOWER,
        formula=f"mean of the deepest 5 % of d_t, the last in part, {_DEPTH}",
        source='Chekhlov, Uryasev & Zabarankin (2005), "Drawdown measure in portfolio '
        'optimization", International Journal of Theoretical and Applied Finance 8(1)',
        min_observations=min_observations(0.95),
        undefined="",
        function=conditional_drawdown,
        inference=Inference.BOOTSTRAP,
    ),
    Metric(
        slug="longest_drawdown",
        name="Longest drawdown",
        unit=Unit.DAYS,
        direction=Direction.LOWER,
        formula=f"most consecutive days with d_t > 0, {_DEPTH}",
        source="Bacon (2008), Practical Portfolio Performance Measurement and Attribution, ch. 4",
        min_observations=1,
        undefined="",
        function=longest_drawdown,
        inference=Inference.BOOTSTRAP,
    ),
    Metric(
        slug="current_drawdown",
        name="Current drawdown's length",
        unit=Unit.DAYS,
        direction=Direction.LOWER,
        formula=f"days since the last with d_t = 0, {_DEPTH}",
        source="Bacon (2008), Practical Portfolio Performance Measurement and Attribution, ch. 4",
        min_observations=1,
        undefined="",
        function=current_drawdown,
    ),
)
