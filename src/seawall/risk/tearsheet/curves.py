"""The numbers behind the charts: growth, drawdown, rolling volatility, a histogram."""

import math
from dataclasses import dataclass

import numpy as np

from seawall.quant.kernels import measures
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, IntArray

_LEAST_BINS, _MOST_BINS = 8, 48
_IDLE = 5
"""Days without a close after which a benchmark's line breaks: longer than any holiday."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values (K,) on days, counted from the window's first midnight; NaN where the line breaks."""

    days: FloatArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts (B,) between edges (B + 1,), and the normal distribution of the same moments.

    `normal` (P, 2) has rows of a return and the count expected in a bin around it; it is empty for
    returns that do not vary.
    """

    edges: FloatArray
    counts: IntArray
    normal: FloatArray


def growth(rows: IntArray, returns: FloatArray) -> Curve:
    """Compound (K,) returns that end on `rows` from 1 on, with a break at each gap."""
    days = np.concatenate([rows[:1] - 1.0, rows.astype(np.float64)])
    values = np.concatenate([np.ones(min(1, rows.size)), np.cumprod(1 + returns)])
    return Curve(*_broken(days, values, 1))


def growth_of_closes(closes: FloatArray, start: Curve) -> Curve:
    """Scale (T,) closes, NaN where none is held, to a curve's value at the first common day."""
    days = np.flatnonzero(~np.isnan(closes)).astype(np.float64)
    shared = np.isin(start.days, days) & ~np.isnan(start.values)
    if not shared.any():
        return Curve(np.empty(0), np.empty(0))
    first = start.days[shared][0]
    days = days[days >= first]
    scaled = closes[days.astype(np.intp)] / closes[int(first)] * start.values[shared][0]
    return Curve(*_broken(days, scaled, _IDLE))


def drawdown(curve: Curve) -> Curve:
    """Measure how far below its highest value so far a curve is; 0 at a peak, else negative."""
    known = ~np.isnan(curve.values)
    values = np.full(curve.values.size, math.nan)
    values[known] = curve.values[known] / np.maximum.accumulate(curve.values[known]) - 1
    return Curve(curve.days, values)


def rolling_volatility(rows: IntArray, returns: FloatArray, length: int) -> Curve:
    """Measure the annualised volatility of each `length` returns in a row; none spans a gap."""
    ends = np.arange(length - 1, rows.size)
    whole = ends[rows[ends] - rows[ends - length + 1] == length - 1] if ends.size else ends
    values = [measures.moments(returns[end - length + 1 : end + 1]).deviation for end in whole]
    days = rows[whole].astype(np.float64)
    return Curve(*_broken(days, np.array(values) * math.sqrt(PERIODS_PER_YEAR), 1))


def histogram(returns: FloatArray) -> Histogram:
    """Count (K,) returns, K > 1, in bins of the width that Freedman and Diaconis (1981) give."""
    moments = measures.moments(returns)
    low, high = float(returns.min()), float(returns.max())
    if not moments.deviation:
        low, high = low - 0.005, high + 0.005
    spread = float(np.subtract(*np.quantile(returns, [0.75, 0.25])))
    width = 2 * spread / np.cbrt(returns.size)
    wanted = (high - low) / width if width > 0 else math.sqrt(returns.size)
    bins = int(np.clip(math.ceil(wanted), _LEAST_BINS, _MOST_BINS))
    counts, edges = np.histogram(returns, bins=bins, range=(low, high))
    normal = np.empty((0, 2))
    if moments.deviation:
        at = np.linspace(low, high, 81)
        scores = (at - moments.mean) / moments.deviation
        density = np.exp(-(scores**2) / 2) / (moments.deviation * math.sqrt(2 * math.pi))
        normal = np.column_stack([at, density * returns.size * (high - low) / bins])
    return Histogram(edges, counts.astype(np.int64), normal)


def _broken(days: FloatArray, values: FloatArray, longest: int) -> tuple[FloatArray, FloatArray]:
    """Put a NaN into each gap that is longer than so many days."""
    gaps = np.flatnonzero(np.diff(days) > longest) + 1
    return np.insert(days, gaps, days[gaps] - 0.5), np.insert(values, gaps, math.nan)
