"""What return vectors look like alone and together: moments, drawdown, tail, dependence."""

import math
from typing import NamedTuple

import numpy as np

from seawall.quant.kernels.compiled import compiled
from seawall.quant.types import FloatArray, IntArray

NOISE = 8 * 2.0**-52
"""The relative rounding error below which a deviation is none.

A return is a ratio less one, so it carries an absolute error of about 2**-52 however small it is.
Deviations are compared with NOISE x (1 + the largest absolute return).
"""


class Moments(NamedTuple):
    """Mean, standard deviation, bias-corrected skewness and excess kurtosis, and the downside.

    `downside` is the root mean square of the returns below zero over all observations.
    """

    mean: float
    deviation: float
    skewness: float
    kurtosis: float
    downside: float


class Summary(NamedTuple):
    """All that describes one return vector; `tails` (K, 2) has a row (VaR, ES) each confidence."""

    moments: Moments
    max_drawdown: float
    tails: FloatArray


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
    rank, fraction = quantile_place(n, confidence)
    var = 0.0 - ordered[rank]
    if rank > 0:
        var += (ordered[rank] - ordered[rank - 1]) * fraction
    bound = tail_bound(var)
    total, count = 0.0, 0
    while count < n and -ordered[count] >= bound:
        total -= ordered[count]
        count += 1
    return var, max(var, total / count)


@compiled
def summarise(returns: FloatArray, confidences: FloatArray) -> Summary:
    """Measure (T,) returns, and their tail at each of the (K,) confidences, sorting once."""
    ordered = np.sort(returns)
    tails = np.empty((confidences.size, 2))
    for k in range(confidences.size):
        tails[k] = tail(ordered, confidences[k])
    return Summary(moments(returns), max_drawdown(returns), tails)


@compiled
def combine(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """Weigh (T, N) returns with (N,) weights into (T,)."""
    periods, assets = returns.shape
    combined = np.empty(periods)
    for t in range(periods):
        total = 0.0
        for i in range(assets):
            total += weights[i] * returns[t, i]
        combined[t] = total
    return combined


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
def correlations(returns: FloatArray) -> FloatArray:
    """Measure the (N, N) correlations of (T, N) returns; exactly symmetric, with a unit diagonal.

    NaN in the rows and columns of assets that do not vary, and everywhere when T < 2.
    """
    periods, assets = returns.shape
    mean, peak = np.zeros(assets), np.zeros(assets)
    for t in range(periods):
        for i in range(assets):
            mean[i] += returns[t, i]
            peak[i] = max(peak[i], abs(returns[t, i]))
    mean /= periods
    products, deviation = np.zeros((assets, assets)), np.empty(assets)
    for t in range(periods):
        for i in range(assets):
            deviation[i] = returns[t, i] - mean[i]
        # Rows of updates, not dot products: these use the vector unit without reordering a sum.
        for i in range(assets):
            for j in range(assets):
                products[i, j] += deviation[i] * deviation[j]
    size = np.sqrt(np.diag(products))
    varies = size > NOISE * (1.0 + peak) * math.sqrt(max(periods - 1, 0))
    matrix = np.full((assets, assets), math.nan)
    for i in range(assets):
        for j in range(assets):
            if varies[i] and varies[j]:
                ratio = products[i, j] / (size[i] * size[j])
                matrix[i, j] = 1.0 if i == j else max(-1.0, min(1.0, ratio))
    return matrix
