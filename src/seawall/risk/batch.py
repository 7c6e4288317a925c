"""Measuring any number of portfolios at once: in chunks, on every core, or on a cluster.

The work is spread by joblib: `joblib.parallel_config(backend="dask")` around the call sends it to a
Dask cluster. A portfolio's figures do not depend on what was measured with it, so they have the
same bits whatever the backend, the size of the chunks and the number of workers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seawall.quant.metrics.figures import Market, Measured, Portfolios, lay_out
from seawall.quant.returns import Benchmark
from seawall.quant.types import FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CHUNK = 2_000
"""Portfolios in a task: some 30 ms of work, for which a task's own cost is nothing."""
DEFAULT_CONFIDENCE = 0.95

Advance = Callable[[int, int], None]
"""Told how many portfolios are measured, of how many."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How the work is spread: portfolios in a chunk, workers (-1 for every core), and who listens.

    Threads are what joblib starts where no other backend was configured: the kernel does not hold
    the GIL, and threads share the returns.
    """

    chunk: int = CHUNK
    workers: int = -1
    advance: Advance | None = None


def from_sparse(weights: "csr_array") -> Portfolios:
    """Take (P, N) sparse weights; what is stored is held, even at 0, and duplicates are added up.

    Raises:
        InvalidError: a weight is not a finite number.
    """
    rows = weights.tocsr(copy=True)
    # Adds up what is named twice, and sorts the columns, but leaves stored zeros where they are.
    rows.sum_duplicates()
    return Portfolios(
        rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data.astype(np.float64)
    )


def measure_batch(
    weights: "Portfolios | csr_array",
    returns: FloatArray,
    benchmarks: Sequence[Benchmark | None] = (None, None, None),
    confidence: float = DEFAULT_CONFIDENCE,
    spread: Spread | None = None,
) -> Measured:
    """Measure (P, N) sparse weights, held constant over (T, N) daily returns, NaN where absent.

    A portfolio is measured on the days on which everything that it holds has a return. The
    benchmarks are what beta is against, BTC, and the S&P 500, matched to the rows of the returns.

    Raises:
        InvalidError: shapes do not fit, a number is infinite, or the confidence is not in (0, 1).
    """
    portfolios = weights if isinstance(weights, Portfolios) else from_sparse(weights)
    market = lay_out(returns, benchmarks, confidence)
    return spread_out(market, portfolios, spread or Spread())


def spread_out(market: Market, portfolios: Portfolios, spread: Spread) -> Measured:
    """Measure portfolios in chunks, as many at a time as there are workers."""
    size = max(spread.chunk, 1)
    bounds = range(0, len(portfolios), size)
    if len(bounds) <= 1:
        return market.measure(portfolios)
    from joblib import Parallel, delayed  # noqa: PLC0415 - a single chunk needs none of it

    tasks = (
        delayed(market.measure)(portfolios.part(first, min(first + size, len(portfolios))))
        for first in bounds
    )
    # In order, whoever is done first; a chunk is handed out when a worker is free for it.
    done = Parallel(n_jobs=spread.workers, prefer="threads", return_as="generator")(tasks)
    parts, count = [], 0
    for part in done:
        parts.append(part)
        count += len(part.values)
        if spread.advance is not None:
            spread.advance(count, len(portfolios))
    return Measured(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.observations for part in parts]),
        np.concatenate([part.matched for part in parts]),
        market.confidence,
        market.alone,
    )
