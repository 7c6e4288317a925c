"""From closes to returns: simple, common to several assets, weighted, matched to a benchmark."""

from dataclasses import dataclass

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.kernels import matrices, measures
from seawall.quant.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class CommonReturns:
    """The returns of the days on which every asset has one.

    `returns` is (K, N); `rows` (K,) tells the row of the grid of closes at which each of them ends.
    """

    returns: FloatArray
    rows: IntArray


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark's (K,) returns, and the intervals [start, stop) of a portfolio's that match them.

    The intervals count the portfolio's returns; one is longer than 1 where the benchmark did not
    trade every day.
    """

    returns: FloatArray
    starts: IntArray
    stops: IntArray


def simple_returns(closes: FloatArray) -> FloatArray:
    """Divide each close by the one before it, less 1: (T, …) closes to (T - 1, …) returns.

    NaN where either close is NaN, and after a close of 0, from which nothing can return.

    Raises:
        InvalidError: a close is negative or infinite.
    """
    closes = np.asarray(closes, dtype=np.float64)
    if np.any(closes < 0) or np.any(np.isinf(closes)):
        raise InvalidError(
            "A close is negative or infinite.", hint="Use NaN for a day without a price."
        )
    before = np.where(closes[:-1] > 0, closes[:-1], np.nan)
    returns: FloatArray = closes[1:] / before - 1
    return returns


def common_returns(closes: FloatArray) -> CommonReturns:
    """Take the returns of the days on which every column of (T, N) closes has one.

    The rows are consecutive days and NaN means no close. A day counts where it and the day before
    have a close in all columns: a gap gives no return, neither over it nor a filled one.

    Raises:
        InvalidError: the closes are not a matrix, or one is negative or infinite.
    """
    if np.ndim(closes) != 2:  # noqa: PLR2004
        raise InvalidError(f"Closes must be a matrix of days by assets, not {np.ndim(closes)}-D.")
    returns = simple_returns(closes)
    complete = ~np.isnan(returns).any(axis=1) if returns.shape[1] else np.zeros(0, dtype=np.bool_)
    kept = np.flatnonzero(complete)
    return CommonReturns(np.ascontiguousarray(returns[kept]), (kept + 1).astype(np.int64))


def match_benchmark(rows: IntArray, closes: FloatArray) -> Benchmark:
    """Match a benchmark to a portfolio's returns, over the days between the benchmark's closes.

    `rows` are those of `CommonReturns`, `closes` (T,) the benchmark's on the same grid of days, NaN
    on those without trading. Between two consecutive closes the portfolio's returns are to be
    compounded; an interval in which the portfolio lacks a day is left out.

    Raises:
        InvalidError: a close is negative or infinite.
    """
    closes = np.asarray(closes, dtype=np.float64)
    traded = np.flatnonzero(~np.isnan(closes))
    returns = simple_returns(closes[traded])
    starts = np.searchsorted(rows, traded[:-1] + 1)
    stops = np.searchsorted(rows, traded[1:] + 1)
    whole: BoolArray = (stops - starts == np.diff(traded)) & ~np.isnan(returns)
    return Benchmark(returns[whole], starts[whole].astype(np.int64), stops[whole].astype(np.int64))


def compound(returns: FloatArray, starts: IntArray, stops: IntArray) -> FloatArray:
    """Compound (T,) returns over each of the (K,) intervals [start, stop).

    Raises:
        InvalidError: an interval is not within the returns.
    """
    starts, stops = np.asarray(starts, dtype=np.int64), np.asarray(stops, dtype=np.int64)
    inside = (starts >= 0) & (starts <= stops) & (stops <= np.size(returns))
    if starts.shape != stops.shape or not inside.all():
        raise InvalidError(
            f"The intervals to compound over are not all within {np.size(returns)} returns."
        )
    return measures.compound(np.ascontiguousarray(returns, dtype=np.float64), starts, stops)


def weighted_returns(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """Weigh (T, N) returns with (N,) constant weights into the portfolio's (T,) returns.

    Raises:
        InvalidError: the two do not have the same number of assets.
    """
    returns = np.ascontiguousarray(returns, dtype=np.float64)
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    if returns.shape[1:] != weights.shape:
        raise InvalidError(
            f"Returns of shape {returns.shape} do not fit weights of shape {weights.shape}.",
            hint="The returns need a column for each weight.",
        )
    return matrices.combine(returns, weights)
