"""The fast core: sixteen figures of any number of portfolios, from one kernel.

`measure` asks it for one portfolio and a batch for a hundred thousand, so a figure has the same
bits however many were measured with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seawall.core.errors import InvalidError
from seawall.quant.kernels import layout, measures
from seawall.quant.metrics import tail
from seawall.quant.metrics.metric import too_few
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import Benchmark
from seawall.quant.types import BoolArray, FloatArray, IntArray

COLUMNS = (
    "volatility",
    "downside_deviation",
    "var",
    "var_95",
    "var_99",
    "expected_shortfall",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "max_drawdown",
    "beta",
    "correlation_btc",
    "correlation_sp500",
    "skewness",
    "kurtosis",
    "herfindahl_index",
    "effective_n",
)
"""The order in which the kernel writes; `var` is at the confidence that is asked for."""
COMPARED = ("beta", "correlation_btc", "correlation_sp500")
"""The figures that have a benchmark, in the order in which these are given."""
_MATRIX = 2


@dataclass(frozen=True, slots=True)
class Portfolios:
    """Sparse weights: portfolio p has `weights` of `columns` from starts[p] to starts[p + 1].

    What is stored is held, even at a weight of 0: its missing days are the portfolio's. Columns
    ascend within a portfolio, which is the order of its sums.

    Raises:
        InvalidError: the arrays do not fit together, or a weight is not a finite number.
    """

    starts: IntArray
    columns: IntArray
    weights: FloatArray

    def __post_init__(self) -> None:
        sizes = np.diff(self.starts)
        if self.starts.size < 1 or self.starts[0] != 0 or np.any(sizes < 0):
            raise InvalidError("The starts of the portfolios' weights do not ascend from 0.")
        if not self.starts[-1] == self.columns.size == self.weights.size:
            raise InvalidError(
                f"{self.weights.size} weights of {self.columns.size} columns do not fit portfolios"
                f" that end at {self.starts[-1]}."
            )
        if not np.isfinite(self.weights).all():
            raise InvalidError(
                "A weight is not a finite number.", hint="Measure the common dates only."
            )
        within = np.ones(max(self.columns.size - 1, 0), dtype=np.bool_)
        bounds = self.starts[1:-1]
        within[bounds[(bounds > 0) & (bounds < self.columns.size)] - 1] = False
        if np.any(np.diff(self.columns)[within] <= 0):
            raise InvalidError(
                "A portfolio's columns do not ascend.",
                hint="Sort them, and add up what is named twice.",
            )

    def __len__(self) -> int:
        return self.starts.size - 1

    def part(self, first: int, last: int) -> "Portfolios":
        """Return the portfolios from `first` up to but without `last`."""
        starts = self.starts[first : last + 1]
        inside = slice(int(starts[0]), int(starts[-1]))
        return Portfolios(starts - starts[0], self.columns[inside], self.weights[inside])


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of P portfolios, a row each.

    `values` (P, 17) are in the order of `COLUMNS`, NaN where undefined; `observations` (P,) counts
    the returns they are of, `matched` (P, 3) the intervals shared with each of `COMPARED`, of which
    `alone` had no benchmark.
    """

    values: FloatArray
    observations: IntArray
    matched: IntArray
    confidence: float
    alone: tuple[str, ...]

    def reasons(self, at: int) -> dict[str, str]:
        """Say of one portfolio why figures are NaN, in the words of `measure`."""
        undefined = np.flatnonzero(np.isnan(self.values[at]))
        matched = dict(zip(COMPARED, self.matched[at].tolist(), strict=True))
        slugs = [COLUMNS[column] for column in undefined]
        reasons = _why_undefined(slugs, int(self.observations[at]), matched, self.confidence)
        return reasons | dict.fromkeys(self.alone, "no benchmark")


def _why_undefined(
    slugs: Sequence[str], observations: int, matched: Mapping[str, int], confidence: float
) -> dict[str, str]:
    """Say for each figure that is NaN why it is."""
    return {
        slug: too_few(tail.min_observations(confidence), observations)
        if slug == "var"
        else REGISTRY[slug].why_undefined(matched.get(slug, observations))
        for slug in slugs
    }


@dataclass(frozen=True, slots=True)
class Market:
    """What every portfolio is measured against, laid out for the kernel.

    Shapes: `history.returns` (N, T).
    """

    history: layout.History
    pairs: layout.Pairs
    tails: layout.Tails
    confidence: float
    alone: tuple[str, ...]

    def measure(self, portfolios: Portfolios) -> Measured:
        """Measure portfolios of this market's assets; the GIL is released meanwhile.

        Raises:
            InvalidError: a portfolio holds what the market has no column for.
        """
        assets, columns = len(self.history.returns), portfolios.columns
        if columns.size and not 0 <= columns.min() <= columns.max() < assets:
            raise InvalidError(
                f"Returns of {assets} assets do not fit weights of column {columns.max()}.",
                hint="The returns need a column for each weight.",
            )
        return self._ask(portfolios.starts, columns, portfolios.weights)

    def measure_one(self, weights: FloatArray) -> Measured:
        """Measure one portfolio of (N,) finite weights, all of them held."""
        return self._ask(np.array([0, weights.size]), np.arange(weights.size), weights)

    def _ask(self, starts: IntArray, columns: IntArray, weights: FloatArray) -> Measured:
        count = starts.size - 1
        found = layout.Figures(
            np.empty((count, len(COLUMNS))),
            np.empty(count, dtype=np.int64),
            np.empty((count, len(COMPARED)), dtype=np.int64),
        )
        history, pairs = self.history, self.pairs
        measures.measure_portfolios(
            layout.Weights(_counts(starts), _counts(columns), _floats(weights)),
            layout.History(_floats(history.returns), _flags(history.absent), _flags(history.whole)),
            layout.Pairs(
                _floats(pairs.returns),
                *(_counts(each) for each in (pairs.starts, pairs.stops, pairs.offsets, pairs.like)),
            ),
            layout.Tails(_floats(self.tails.levels), _counts(self.tails.needed)),
            found,
        )
        return Measured(*found, confidence=self.confidence, alone=self.alone)


def lay_out(
    returns: FloatArray, benchmarks: Sequence[Benchmark | None], confidence: float
) -> Market:
    """Lay (T, N) returns, NaN where absent, and the three benchmarks of `COMPARED` out.

    Intervals of the benchmarks count the rows of the returns.

    Raises:
        InvalidError: a return is infinite, an interval is not within the returns, or the confidence
            is not between 0 and 1.
    """
    returns = np.asarray(returns, dtype=np.float64)
    if returns.ndim != _MATRIX:
        raise InvalidError(f"Returns must be a matrix of days by assets, not {returns.ndim}-D.")
    if np.isinf(returns).any():
        raise InvalidError(
            "A return is not a finite number.", hint="Use NaN for a day without a return."
        )
    absent = np.isnan(returns)
    history = layout.History(
        np.ascontiguousarray(np.where(absent, 0.0, returns).T),
        np.ascontiguousarray(absent.T),
        np.asarray(~absent.any(axis=0)),
    )
    return _market(history, benchmarks, confidence)


def lay_out_whole(
    returns: FloatArray, benchmarks: Sequence[Benchmark | None], confidence: float
) -> Market:
    """Lay (T, N) finite returns out as `lay_out` does, without looking for absent ones.

    Raises:
        InvalidError: as `lay_out`.
    """
    turned = np.ascontiguousarray(returns.T)
    absent = np.zeros(turned.shape, dtype=np.bool_)
    history = layout.History(turned, absent, np.ones(len(turned), dtype=np.bool_))
    return _market(history, benchmarks, confidence)


def _market(
    history: layout.History, benchmarks: Sequence[Benchmark | None], confidence: float
) -> Market:
    levels = (confidence, 0.95, 0.99)
    tails = layout.Tails(
        np.array(levels), np.array([tail.min_observations(level) for level in levels])
    )
    alone = tuple(slug for slug, each in zip(COMPARED, benchmarks, strict=True) if each is None)
    pairs = _pairs(benchmarks, history.returns.shape[1])
    return Market(history, pairs, tails, confidence, alone)


# What came over a wire is read-only, and for that the kernel would be compiled once more.


def _floats(values: FloatArray) -> FloatArray:
    return values if _is_plain(values, np.float64) else np.array(values, np.float64, order="C")


def _counts(values: IntArray) -> IntArray:
    return values if _is_plain(values, np.int64) else np.array(values, np.int64, order="C")


def _flags(values: BoolArray) -> BoolArray:
    return values if _is_plain(values, np.bool_) else np.array(values, np.bool_, order="C")


def _is_plain(values: np.ndarray[Any, Any], dtype: type[np.generic]) -> bool:
    return values.dtype == dtype and values.flags.carray


def _pairs(benchmarks: Sequence[Benchmark | None], periods: int) -> layout.Pairs:
    none = Benchmark(np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    given = [each or none for each in benchmarks]
    for each in {id(each): each for each in given}.values():
        inside = (each.starts >= 0) & (each.starts <= each.stops) & (each.stops <= periods)
        if each.starts.shape != each.stops.shape or not inside.all():
            raise InvalidError(
                f"The intervals to compound over are not all within {periods} returns."
            )
        if each.returns.shape != each.starts.shape:
            raise InvalidError(
                f"{each.returns.size} returns of a benchmark do not fit {each.starts.size}"
                " intervals."
            )
    return layout.Pairs(
        np.concatenate([np.asarray(each.returns, dtype=np.float64) for each in given]),
        np.concatenate([np.asarray(each.starts, dtype=np.int64) for each in given]),
        np.concatenate([np.asarray(each.stops, dtype=np.int64) for each in given]),
        np.cumsum([0, *(each.returns.size for each in given)]),
        np.array([_first_like(given, at) for at in range(len(given))]),
    )


def _first_like(given: Sequence[Benchmark], at: int) -> int:
    """Return which benchmark is the same as this one, so that it is compared with once."""
    mine = given[at]
    for earlier, other in enumerate(given[:at]):
        if mine is other or (
            np.array_equal(mine.returns, other.returns)
            and np.array_equal(mine.starts, other.starts)
            and np.array_equal(mine.stops, other.stops)
        ):
            return earlier
    return at
