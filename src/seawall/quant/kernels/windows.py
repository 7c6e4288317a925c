"""One asset's figures over many windows of its history, by what measures portfolios."""

import numpy as np

from seawall.quant.kernels.compiled import compiled
from seawall.quant.kernels.measures import (
    Figures,
    Pairs,
    Tails,
    of_pairs,
    of_returns,
    of_tails,
)
from seawall.quant.types import BoolArray, FloatArray, IntArray


@compiled
def measure_windows(
    series: tuple[FloatArray, BoolArray],
    windows: tuple[IntArray, int],
    pairs: Pairs,
    tails: Tails,
    figures: Figures,
) -> FloatArray:
    """Measure (T,) returns, where they are not absent, over each of M windows of equal length.

    `windows` are the rows before which they end, and how many rows each has; the intervals of
    `pairs` count the rows of all returns. Returns (M, 2) what one compounds to, from 1, and the
    largest absolute return. The figures are those of `measures.measure_portfolios` of the asset
    alone, which does the same with a window's days.
    """
    (returns, absent), (ends, days) = series, windows
    inside = np.empty(days)
    mine, other, ordered = np.empty(days), np.empty(days), np.empty(days)
    place = np.zeros(returns.size + 1, dtype=np.int64)
    paths = np.empty((ends.size, 2))
    for m in range(ends.size):
        first, end = ends[m] - days, ends[m]
        observed = 0
        for t in range(first, end):
            place[t] = observed
            if not absent[t]:
                # As the sum over one asset with a weight of 1, which begins with 0.
                inside[observed] = 0.0 + returns[t]
                observed += 1
        place[end] = observed
        held, row = inside[:observed], figures.values[m]
        of_returns(held, row)
        of_tails(held, tails, ordered, row)
        of_pairs(held, place, _within(pairs, first, end), (mine, other), (row, figures.matched[m]))
        row[15], row[16] = 1.0, 1.0
        figures.observations[m] = observed
        growth, peak = 1.0, 0.0
        for r in held:
            growth *= 1.0 + r
            peak = max(peak, abs(r))
        paths[m, 0], paths[m, 1] = growth, peak
    return paths


@compiled
def _within(pairs: Pairs, first: int, end: int) -> Pairs:
    """Take the intervals that begin and end within a window."""
    inside = (pairs.starts >= first) & (pairs.stops <= end)
    offsets = np.zeros(pairs.offsets.size, dtype=np.int64)
    for b in range(pairs.like.size):
        offsets[b + 1] = offsets[b] + inside[pairs.offsets[b] : pairs.offsets[b + 1]].sum()
    return Pairs(
        pairs.returns[inside], pairs.starts[inside], pairs.stops[inside], offsets, pairs.like
    )
