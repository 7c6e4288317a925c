"""One portfolio's full set of risk figures on 365 x 50 returns, against quantstats.

Seawall measures all of its figures from weights and the assets' returns, the correlation matrix
included; quantstats, from the portfolio's returns that it is given, only those that both have:
volatility, Sharpe, Sortino, Calmar, maximum drawdown, skewness, kurtosis, beta, correlation, value
at risk and expected shortfall. Each function of quantstats is called the cheapest way that it
documents.

Where the definitions agree the figures have to be equal to 1e-9. They do not agree in two:
quantstats' value at risk is the normal distribution's quantile, where Seawall's is empirical; and
its correlation comes only squared. Its historical expected shortfall averages the returns at or
below the empirical quantile, as Seawall's does, and is asked for in that form.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import quantstats.stats as peer

from benchmarks.result import Result
from seawall.quant.metrics.measure import Measures, measure
from seawall.quant.returns import Benchmark
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray

DAYS, ASSETS = 365, 50
ROUNDS, OURS_PER_ROUND = 60, 40


def risk_one() -> list[Result]:
    """Measure both, in turns, and check that they agree."""
    returns, weights = _market()
    index = pd.date_range("2025-01-01", periods=DAYS, freq="D")
    portfolio = pd.Series(returns @ weights, index=index)
    benchmark = pd.Series(returns[:, 0], index=index)

    days = np.arange(DAYS)
    btc = Benchmark(returns[:, 0].copy(), days, days + 1)

    def ours() -> Measures:
        return measure(weights, returns, benchmark=btc, btc=btc, sp500=btc)

    def theirs() -> Mapping[str, float]:
        return quantstats_figures(portfolio, benchmark)

    check(ours().values, theirs())
    own, other = [], []
    for _ in range(ROUNDS):
        own.append(_milliseconds(ours, OURS_PER_ROUND))
        other.append(_milliseconds(theirs, 1))
    value, peer_value = statistics.median(own), statistics.median(other)
    return [Result("risk-one", value, "ms", "quantstats", peer_value, peer_value / value)]


def _market() -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(1)
    common = rng.standard_t(4, (DAYS, 1)) * 0.02
    returns = 0.001 + common + rng.standard_t(4, (DAYS, ASSETS)) * 0.02
    return returns, rng.dirichlet(np.ones(ASSETS))


def quantstats_figures(portfolio: Any, benchmark: Any) -> dict[str, float]:
    """Measure with quantstats what both have."""
    # prepare_returns=False skips its guessing whether it was given prices, and its copies.
    return {
        "volatility": peer.volatility(portfolio, periods=PERIODS_PER_YEAR, prepare_returns=False),
        "sharpe_ratio": peer.sharpe(portfolio, periods=PERIODS_PER_YEAR),
        "sortino_ratio": peer.sortino(portfolio, periods=PERIODS_PER_YEAR),
        "calmar_ratio": peer.calmar(portfolio, prepare_returns=False, periods=PERIODS_PER_YEAR),
        "max_drawdown": -peer.max_drawdown(portfolio),
        "skewness": peer.skew(portfolio, prepare_returns=False),
        "kurtosis": peer.kurtosis(portfolio, prepare_returns=False),
        "beta": peer.greeks(portfolio, benchmark, PERIODS_PER_YEAR, prepare_returns=False)["beta"],
        "r_squared": peer.r_squared(portfolio, benchmark, prepare_returns=False),
        "normal_var": -peer.value_at_risk(portfolio, prepare_returns=False),
        "expected_shortfall": -peer.conditional_value_at_risk(
            portfolio, prepare_returns=False, method="historical"
        ),
    }


def check(ours: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    """See that what both define the same is equal to 1e-9."""
    own = {**ours, "r_squared": ours["correlation_btc"] ** 2}
    for slug in theirs.keys() & own.keys():
        error = abs(own[slug] - theirs[slug])
        assert error <= 1e-9 * max(1, abs(theirs[slug])), f"{slug} differs by {error}"
    assert theirs.keys() - own.keys() == {"normal_var"}


def _milliseconds(function: Callable[[], object], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - begin) / times * 1e3
