"""What return vectors and whole portfolios look like: moments, drawdown, tail, dependence."""

import math

import numpy as np

from seawall.quant.kernels.compiled import compiled
from seawall.quant.kernels.layout import Figures, History, Moments, Pairs, Tails, Weights
from seawall.quant.types import PERIODS_PER_YEAR, BoolArray, FloatArray, IntArray

NOISE = 8 * 2.0**-52
"""The relative rounding error below which a deviation is none.

A return is a ratio less one, so it carries an absolute error of about 2**-52 however small it is.
Deviations are compared with NOISE x (1 + the largest absolute return).
"""
MIN_PAIRS = 3
"""Through two points there is always a line: they correlate perfectly whatever they are."""


@compiled
def moments(returns: FloatArray) -> Moments:
    """Measure the moments of (T,) returns in two passes, the second around the exact mean.

    NaN where undefined: the deviation of fewer than 2 observations, the skewness of fewer than 3,
    the kurtosis of fewer than 4, both of a series that does not vary, all of one with a NaN.

    Source: Joanes & Gill (1998), "Comparing measures of sample skewness and kurtosis", G1 and G2.
    """
    n = returns.size
    if n == 0:
        return Moments(math.nan, math.nan, math.nan, math.nan, math.nan)
    total, below, peak = 0.0, 0.0, 0.0
    for r in returns:
        total += r
        low = min(r, 0.0)
        below += low * low
        peak = max(peak, abs(r))
    mean = total / n
    # The sum's own rounding error, which matters where gains and losses nearly cancel.
    drift = 0.0
    for r in returns:
        drift += r - mean
    mean += drift / n
    if math.isnan(mean):
        return Moments(math.nan, math.nan, math.nan, math.nan, math.nan)
    m2, m3, m4 = 0.0, 0.0, 0.0
    for r in returns:
        d = r - mean
        square = d * d
        m2 += square
        m3 += square * d
        m4 += square * square
    noise = NOISE * (1.0 + peak)
    downside = math.sqrt(below / n)
    if downside <= noise:
        downside = 0.0
    deviation = math.sqrt(m2 / (n - 1)) if n > 1 else math.nan
    if deviation <= noise:
        return Moments(mean, 0.0, math.nan, math.nan, downside)
    m2, m3, m4 = m2 / n, m3 / n, m4 / n
    skewness, kurtosis = math.nan, math.nan
    if n > 2:  # noqa: PLR2004 -- the formula's own
        skewness = math.sqrt(n * (n - 1.0)) / (n - 2.0) * m3 / m2**1.5
    if n > 3:  # noqa: PLR2004 -- the formula's own
        biased = (n + 1.0) * m4 / (m2 * m2) - 3.0 * (n - 1.0)
        kurtosis = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * biased
    return Moments(mean, deviation, skewness, kurtosis, downside)


@compiled
def max_drawdown(returns: FloatArray) -> float:
    """Measure the largest fall from a peak of the compounded path; its start, 1, is a peak.

    NaN without observations or with a NaN among them.
    """
    value, peak, worst = 1.0, 1.0, 0.0
    for r in returns:
        value *= 1.0 + r
        peak = max(peak, value)
        worst = max(worst, 1.0 - value / peak)
    return worst if returns.size > 0 and not math.isnan(value) else math.nan


@compiled
def quantile_place(n: int, confidence: float) -> tuple[int, float]:
    """Tell where the quantile of n losses lies among returns that are sorted upwards.

    The rank whose loss is at or just below it, and the fraction of the way to the next worse one.
    """
    position = (n - 1) * confidence
    # Where the quantile falls on an observation, the product's rounding must not move it off.
    if abs(position - round(position)) <= 4.0 * n * 2.0**-52:
        position = float(round(position))
    below = math.floor(position)
    return int(n - 1 - below), position - below


@compiled
def tail_bound(var: float) -> float:
    """Return the smallest loss that the shortfall beyond a VaR counts.

    Losses that are equal but for rounding are all at the VaR.
    """
    return var - NOISE * (1.0 + abs(var))


@compiled
def tail(ordered: FloatArray, confidence: float) -> tuple[float, float]:
    """Measure VaR and expected shortfall of (T,) returns that are sorted upwards.

    NaN without observations or with a NaN among them.
    """
    n = ordered.size
    if n == 0 or math.isnan(ordered[n - 1]):
        return math.nan, math.nan
    var, shortfall, _ = _tail(ordered, n, confidence)
    return var, shortfall


@compiled
def _tail(ordered: FloatArray, n: int, confidence: float) -> tuple[float, float, bool]:
    """Measure the tail of n returns by the lowest of them, sorted; false when these are too few."""
    rank, fraction = quantile_place(n, confidence)
    var = 0.0 - ordered[rank]
    if rank > 0:
        var += (ordered[rank] - ordered[rank - 1]) * fraction
    bound = tail_bound(var)
    total, count = 0.0, 0
    while count < ordered.size and -ordered[count] >= bound:
        total -= ordered[count]
        count += 1
    return var, max(var, total / count), count < ordered.size or count == n


@compiled
def compound(returns: FloatArray, starts: IntArray, stops: IntArray) -> FloatArray:
    """Compound (T,) returns over each of the K intervals [start, stop) into (K,)."""
    gains = np.empty(starts.size)
    for k in range(starts.size):
        # Not a product less one: that would round small returns, and a single one must stay itself.
        gain = 0.0
        for t in range(starts[k], stops[k]):
            gain += returns[t] + gain * returns[t]
        gains[k] = gain
    return gains


@compiled
def relate(returns: FloatArray, benchmark: FloatArray) -> tuple[float, float]:
    """Measure the beta and the correlation, ddof 1, of two (T,) vectors.

    NaN with fewer than 2 observations and where the benchmark (or, for the correlation, either)
    does not vary.
    """
    n = returns.size
    mean_x, mean_y = returns.mean(), benchmark.mean()
    if n <= 1 or math.isnan(mean_x) or math.isnan(mean_y):
        return math.nan, math.nan
    peak_x, peak_y = 0.0, 0.0
    xx, yy, xy = 0.0, 0.0, 0.0
    for t in range(n):
        x, y = returns[t] - mean_x, benchmark[t] - mean_y
        xx += x * x
        yy += y * y
        xy += x * y
        peak_x, peak_y = max(peak_x, abs(returns[t])), max(peak_y, abs(benchmark[t]))
    noise_x, noise_y = NOISE * (1.0 + peak_x), NOISE * (1.0 + peak_y)
    if math.sqrt(yy / (n - 1)) <= noise_y:
        return math.nan, math.nan
    if math.sqrt(xx / (n - 1)) <= noise_x:
        return 0.0, math.nan
    return xy / yy, max(-1.0, min(1.0, xy / (math.sqrt(xx) * math.sqrt(yy))))


@compiled
def measure_portfolios(
    portfolios: Weights, history: History, pairs: Pairs, tails: Tails, figures: Figures
) -> None:
    """Measure each portfolio on the days on which all that it holds has a return.

    The columns are those of `quant.metrics.figures.COLUMNS`. One portfolio or many, this is the
    code: the days of a sum over assets are independent, so the vector unit takes them together and
    no sum is reordered.
    """
    periods = history.returns.shape[1]
    returns, place = np.empty(periods), np.arange(periods + 1)
    mine, other = np.empty(periods), np.empty(periods)
    ordered, every = np.empty(periods), np.arange(periods + 1)
    for p in range(portfolios.starts.size - 1):
        first, last = portfolios.starts[p], portfolios.starts[p + 1]
        columns, weights = portfolios.columns[first:last], portfolios.weights[first:last]
        _combine_held(columns, weights, history.returns, returns)
        held = _common_days(columns, history, place)
        observed = place[periods] if held else periods
        if held:
            for t in range(periods):
                returns[place[t]] = returns[t]
        series = returns[:observed]
        row = figures.values[p]
        _of_returns(series, row)
        _of_tails(series, tails, ordered, row)
        figures.observations[p] = observed
        _of_pairs(series, place if held else every, pairs, (mine, other), (row, figures.matched[p]))
        concentration = 0.0
        for weight in weights:
            concentration += weight * weight
        row[15] = concentration if concentration != 0.0 else math.nan
        row[16] = 1.0 / row[15]


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
    largest absolute return. The figures are those of `measure_portfolios` of the asset
    alone, which does the same with a window's days.
    """
    (returns, absent), (ends, days) = series, windows
    inside = np.empty(days)
    mine, other, ordered = np.empty(days), np.empty(days), np.empty(days)
    place = np.zeros(returns.size + 1, dtype=np.int64)
    paths = np.empty((ends.size, 2))
    for m in range(ends.size):
        first, end = ends[m] - days, ends[m]
        observed, growth, peak = 0, 1.0, 0.0
        for t in range(first, end):
            place[t] = observed
            if not absent[t]:
                # As the sum over one asset with a weight of 1, which begins with 0.
                inside[observed] = 0.0 + returns[t]
                growth *= 1.0 + inside[observed]
                peak = max(peak, abs(inside[observed]))
                observed += 1
        place[end] = observed
        held, row = inside[:observed], figures.values[m]
        _of_returns(held, row)
        _of_tails(held, tails, ordered, row)
        _of_pairs(held, place, _within(pairs, first, end), (mine, other), (row, figures.matched[m]))
        row[15], row[16] = 1.0, 1.0
        figures.observations[m] = observed
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


@compiled
def _combine_held(
    columns: IntArray, weights: FloatArray, returns: FloatArray, combined: FloatArray
) -> None:
    combined[:] = 0.0
    for i in range(columns.size):
        weight, asset = weights[i], returns[columns[i]]
        for t in range(combined.size):
            combined[t] += weight * asset[t]


@compiled
def _common_days(columns: IntArray, history: History, place: IntArray) -> bool:
    """Count into place[t] the days before t on which nothing held is absent; false if all are."""
    whole = columns.size > 0
    for column in columns:
        whole = whole and history.whole[column]
    if whole:
        return False
    place[0] = 0
    for t in range(history.absent.shape[1]):
        present = columns.size > 0
        for column in columns:
            present = present and not history.absent[column, t]
        place[t + 1] = place[t] + present
    return True


@compiled
def _of_returns(returns: FloatArray, row: FloatArray) -> None:
    """Write what the moments and the path tell."""
    n, year = returns.size, math.sqrt(PERIODS_PER_YEAR)
    found, drawdown = moments(returns), max_drawdown(returns)
    row[0] = found.deviation * year
    row[1] = math.nan if math.isnan(found.deviation) else found.downside * year
    row[6:9] = math.nan
    if found.deviation > 0.0:
        row[6] = found.mean / found.deviation * year
    if found.downside > 0.0 and not math.isnan(found.deviation):
        row[7] = found.mean / found.downside * year
    growth, peak = 1.0, 0.0
    for r in returns:
        growth *= 1.0 + r
        peak = max(peak, abs(r))
    if n > 1 and drawdown > NOISE * (1.0 + peak) and growth >= 0.0:
        ratio = (growth ** (PERIODS_PER_YEAR / n) - 1.0) / drawdown
        row[8] = ratio if math.isfinite(ratio) else math.nan
    row[9] = drawdown
    row[13], row[14] = found.skewness, found.kurtosis


@compiled
def _of_tails(returns: FloatArray, tails: Tails, ordered: FloatArray, row: FloatArray) -> None:
    """Write the VaR at each level, and the shortfall at the second."""
    n = returns.size
    row[2:6] = math.nan
    deepest = -1
    for k in range(tails.levels.size):
        if n >= tails.needed[k]:
            deepest = max(deepest, quantile_place(n, tails.levels[k])[0])
    if deepest < 0 or not _select(returns, ordered[: min(n, deepest + 5)]):
        return
    lowest = ordered[: min(n, deepest + 5)]
    for k in range(tails.levels.size):
        if n >= tails.needed[k]:
            var, shortfall, settled = _tail(lowest, n, tails.levels[k])
            if not settled:
                # More losses are equal than were looked at.
                lowest = np.sort(returns)
                var, shortfall, _ = _tail(lowest, n, tails.levels[k])
            row[2 + k] = var
            if k == 1:
                row[5] = shortfall


@compiled
def _select(values: FloatArray, lowest: FloatArray) -> bool:
    """Sort the lowest of more values into `lowest`; false when one is NaN."""
    held, most = 0, lowest.size
    if most * 4 > values.size:
        # Placing many by insertion costs more than sorting all. One by one, for to assign a slice
        # would have all of numpy's broadcasting compiled.
        ordered = np.sort(values)
        for i in range(most):
            lowest[i] = ordered[i]
        # NaN comes last.
        return not math.isnan(ordered[-1])
    for value in values:
        if math.isnan(value):
            return False
        if held == most:
            if value >= lowest[most - 1]:
                continue
            held -= 1
        place = held
        while place > 0 and lowest[place - 1] > value:
            lowest[place] = lowest[place - 1]
            place -= 1
        lowest[place] = value
        held += 1
    return True


@compiled
def _of_pairs(
    returns: FloatArray,
    place: IntArray,
    pairs: Pairs,
    room: tuple[FloatArray, FloatArray],
    row: tuple[FloatArray, IntArray],
) -> None:
    """Write the beta to the first benchmark and the correlations with the others."""
    (mine, other), (figures, matched) = room, row
    betas, correlations = np.full(3, math.nan), np.full(3, math.nan)
    for b in range(pairs.like.size):
        like = pairs.like[b]
        if like < b:
            betas[b], correlations[b], matched[b] = betas[like], correlations[like], matched[like]
            continue
        count = 0
        for k in range(pairs.offsets[b], pairs.offsets[b + 1]):
            start, stop = place[pairs.starts[k]], place[pairs.stops[k]]
            # An interval in which the portfolio lacks a day is left out.
            if stop - start == pairs.stops[k] - pairs.starts[k]:
                gain = 0.0
                for t in range(start, stop):
                    gain += returns[t] + gain * returns[t]
                mine[count], other[count] = gain, pairs.returns[k]
                count += 1
        matched[b] = count
        if count >= MIN_PAIRS:
            betas[b], correlations[b] = relate(mine[:count], other[:count])
    figures[10], figures[11], figures[12] = betas[0], correlations[1], correlations[2]
