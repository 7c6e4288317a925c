"""An asset's figures over many windows of its history at once, each as `measure` has it alone."""

import math
from collections.abc import Sequence

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.kernels import layout, measures
from seawall.quant.metrics.figures import COLUMNS, COMPARED, Measured, lay_out
from seawall.quant.metrics.ratios import MIN_RETURNS
from seawall.quant.returns import Benchmark
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, IntArray


def measure_windows(
    returns: FloatArray,
    benchmarks: Sequence[Benchmark | None],
    ends: IntArray,
    days: int,
    confidence: float = 0.95,
) -> Measured:
    """Measure (T,) daily returns, NaN where absent, over windows of `days` rows.

    (M,) `ends` tell the row before which each window ends. The benchmarks are what beta is against,
    BTC, and the S&P 500, matched to the rows of the returns. `calmar_ratio` is that of the
    registry's function, to the last bit, as all other figures are.

    Raises:
        InvalidError: a window is not within the returns, or as `lay_out`.
    """
    returns = np.asarray(returns, dtype=np.float64)
    ends = np.ascontiguousarray(ends, dtype=np.int64)
    if ends.size and not days <= ends.min() <= ends.max() <= returns.size:
        raise InvalidError(f"Windows of {days} days are not all within {returns.size} returns.")
    market = lay_out(returns[:, np.newaxis], benchmarks, confidence)
    found = layout.Figures(
        np.empty((ends.size, len(COLUMNS))),
        np.empty(ends.size, dtype=np.int64),
        np.empty((ends.size, len(COMPARED)), dtype=np.int64),
    )
    paths = measures.measure_windows(
        (market.history.returns[0], market.history.absent[0]),
        (ends, days),
        market.pairs,
        market.tails,
        found,
    )
    drawdowns = found.values[:, COLUMNS.index("max_drawdown")]
    found.values[:, COLUMNS.index("calmar_ratio")] = [
        _calmar(*each)
        for each in zip(
            *paths.T.tolist(), drawdowns.tolist(), found.observations.tolist(), strict=True
        )
    ]
    return Measured(*found, confidence=market.confidence, alone=market.alone)


def _calmar(growth: float, peak: float, drawdown: float, observations: int) -> float:
    """Divide as `ratios.calmar_ratio` does; it rounds in more places than the kernel."""
    growth = 1 + (growth - 1)
    if observations < MIN_RETURNS or drawdown <= measures.NOISE * (1 + peak) or not growth >= 0:
        return math.nan
    try:
        return (float(growth ** (PERIODS_PER_YEAR / observations)) - 1) / drawdown
    except OverflowError:
        return math.nan
