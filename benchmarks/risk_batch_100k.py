"""A hundred thousand portfolios' sixteen figures, against quantstats one at a time.

Weights of 50 assets over 365 days, most of them sparse; on two cores. Printed besides: the time for
a tenth of the portfolios, which shows that time is linear in them; a plain numpy batch of the same
market with ten figures; and the memory at its peak. Figures are checked against the single path,
bit for bit, and against quantstats to 1e-9 where both define the same.
"""

import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.result import Result
from benchmarks.risk_one import check, quantstats_figures
from seawall.quant.metrics.figures import COLUMNS, Portfolios, lay_out
from seawall.quant.metrics.measure import measure
from seawall.quant.returns import Benchmark
from seawall.quant.types import FloatArray, IntArray
from seawall.risk.batch import Spread, spread_out

PORTFOLIOS, DAYS, ASSETS = 100_000, 365, 50
CORES = 2
ROUNDS = 3
PEERS = 20


def risk_batch_100k() -> list[Result]:
    """Measure the batch, a tenth of it, the peers, and whether they agree."""
    returns = _returns()
    days = np.arange(DAYS)
    btc = Benchmark(returns[:, 0].copy(), days, days + 1)
    portfolios = _portfolios(PORTFOLIOS)
    market = lay_out(returns, (btc, btc, btc), 0.95)
    market.measure(portfolios.part(0, 100))
    spread = Spread(workers=CORES)
    figures = spread_out(market, portfolios, spread).values  # noqa: PD011 - no frame's
    whole = _seconds(lambda: spread_out(market, portfolios, spread))
    tenth = portfolios.part(0, PORTFOLIOS // 10)
    part = _seconds(lambda: spread_out(market, tenth, spread))
    for at in range(0, PORTFOLIOS, PORTFOLIOS // 50):
        weights = np.zeros(ASSETS)
        held = slice(portfolios.starts[at], portfolios.starts[at + 1])
        weights[portfolios.columns[held]] = portfolios.weights[held]
        alone = measure(weights, returns, benchmark=btc, btc=btc, sp500=btc)
        values = alone.values  # noqa: PD011 - as above
        np.testing.assert_array_equal(figures[at], [values[name] for name in COLUMNS])
    theirs = _quantstats(returns, portfolios, figures)
    numpy_batch = _seconds(lambda: _numpy_batch(returns, portfolios))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [
        Result(
            "risk-batch-100k",
            whole,
            "s",
            "quantstats",
            theirs * PORTFOLIOS,
            theirs * PORTFOLIOS / whole,
        ),
        Result("  ten figures", whole, "s", "plain numpy", numpy_batch, numpy_batch / whole),
        Result("  linear", whole, "s", "10 x a tenth", 10 * part, 10 * part / whole),
        Result("  memory", memory, "GB", "2 GB", 2.0, 2.0 / memory),
    ]


def _returns() -> FloatArray:
    rng = np.random.default_rng(1)
    common = rng.standard_t(4, (DAYS, 1)) * 0.02
    returns: FloatArray = 0.001 + common + rng.standard_t(4, (DAYS, ASSETS)) * 0.02
    return returns


def _portfolios(count: int) -> Portfolios:
    """Make up portfolios of 5 to 50 assets."""
    rng = np.random.default_rng(2)
    sizes = rng.integers(5, ASSETS + 1, count)
    starts: IntArray = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    ranks = rng.random((count, ASSETS)).argsort(axis=1)
    chosen = ranks < sizes[:, np.newaxis]
    columns = np.nonzero(chosen)[1].astype(np.int64)
    weights = rng.exponential(size=columns.size)
    weights /= np.repeat(np.add.reduceat(weights, starts[:-1]), sizes)
    return Portfolios(starts, columns, weights)


def _quantstats(returns: FloatArray, portfolios: Portfolios, found: FloatArray) -> float:
    """Return quantstats' seconds for one portfolio, whose figures have to agree."""
    index = pd.date_range("2025-01-01", periods=DAYS, freq="D")
    benchmark = pd.Series(returns[:, 0], index=index)
    times = []
    for at in range(PEERS):
        held = slice(portfolios.starts[at], portfolios.starts[at + 1])
        combined = returns[:, portfolios.columns[held]] @ portfolios.weights[held]
        series = pd.Series(combined, index=index)
        start = time.perf_counter()
        theirs = quantstats_figures(series, benchmark)
        times.append(time.perf_counter() - start)
        check(dict(zip(COLUMNS, found[at].tolist(), strict=True)), theirs)
    return statistics.median(times)


def _numpy_batch(returns: FloatArray, portfolios: Portfolios, block: int = 5_000) -> None:
    """Measure ten of the figures with numpy's own functions, a block of portfolios at a time."""
    for first in range(0, len(portfolios), block):
        part = portfolios.part(first, min(first + block, len(portfolios)))
        dense = np.zeros((len(part), ASSETS))
        dense[np.repeat(np.arange(len(part)), np.diff(part.starts)), part.columns] = part.weights
        r = dense @ returns.T
        mean, deviation = r.mean(axis=1), r.std(axis=1, ddof=1)
        centred = (r - mean[:, np.newaxis]) / deviation[:, np.newaxis]
        (centred**3).mean(axis=1)
        (centred**4).mean(axis=1)
        np.sqrt((np.minimum(r, 0) ** 2).mean(axis=1))
        tails = np.quantile(r, (0.05, 0.01), axis=1)
        np.where(r <= tails[0][:, np.newaxis], r, 0).sum(axis=1)
        path = np.cumprod(1 + r, axis=1)
        (1 - path / np.maximum.accumulate(path, axis=1)).max(axis=1)
        (r - mean[:, np.newaxis]) @ (returns[:, 0] - returns[:, 0].mean())


def _seconds(function: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
