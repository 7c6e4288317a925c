"""Every metric in one call: equal to its function, with its interval or the reason."""

import math

import numpy as np
import pytest

from seawall.core.errors import InvalidError
from seawall.quant.metrics.measure import measure
from seawall.quant.metrics.measure_all import Assumptions, measure_all
from seawall.quant.metrics.metric import Inference, Input
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.returns import Benchmark, match_benchmark
from seawall.quant.types import FloatArray

WEIGHTS = np.array([0.3, 0.25, 0.2, 0.1, 0.05, 0.1])
SCALARS = {slug for slug, metric in REGISTRY.items() if metric.takes is not Input.ASSETS}


def daily(returns: FloatArray) -> Benchmark:
    rows = np.arange(returns.size)
    return Benchmark(returns, rows, rows + 1)


@pytest.fixture
def benchmarks(market: FloatArray) -> dict[Input, Benchmark]:
    closes = 4000 * np.exp(np.random.default_rng(3).normal(0, 0.01, 366).cumsum())
    closes[np.isin(np.arange(366) % 7, (5, 6))] = np.nan
    btc = daily(market[:, 0])
    index = match_benchmark(np.arange(1, 366), closes)
    return {Input.BENCHMARK: index, Input.BTC: btc, Input.SP500: index}


def test_every_figure_is_there_and_those_of_the_report_are_the_same(
    market: FloatArray, benchmarks: dict[Input, Benchmark]
) -> None:
    found = measure_all(WEIGHTS, market, benchmarks)
    assert set(found) == SCALARS
    core = measure(
        WEIGHTS,
        market,
        benchmark=benchmarks[Input.BENCHMARK],
        btc=benchmarks[Input.BTC],
        sp500=benchmarks[Input.SP500],
    )
    for slug in set(core.values) & SCALARS:
        assert found[slug].value == pytest.approx(core.values[slug], rel=1e-12), slug
    for slug, figure in found.items():
        assert bool(figure.reason) == math.isnan(figure.value), slug
        sure = REGISTRY[slug].inference is not Inference.NONE
        assert (figure.interval is not None) == sure, slug


def test_it_is_the_same_every_time(market: FloatArray, benchmarks: dict[Input, Benchmark]) -> None:
    assert measure_all(WEIGHTS, market, benchmarks) == measure_all(WEIGHTS, market, benchmarks)


def test_an_index_has_fewer_returns_a_year(
    market: FloatArray, benchmarks: dict[Input, Benchmark]
) -> None:
    index = benchmarks[Input.BENCHMARK]
    found = measure_all(WEIGHTS, market, benchmarks)["tracking_error"]
    days = int((index.stops - index.starts).sum())
    ratio = 365 * index.returns.size / days
    assert found.observations == index.returns.size < days
    portfolio = market @ WEIGHTS
    matched = [
        np.prod(1 + portfolio[a:b]) - 1 for a, b in zip(index.starts, index.stops, strict=True)
    ]
    assert found.value == pytest.approx(np.std(matched - index.returns, ddof=1) * ratio**0.5)


def test_the_risk_free_rate_is_a_year_s_compounded(market: FloatArray) -> None:
    found = measure_all(WEIGHTS, market, {}, Assumptions(risk_free=0.05))
    rate = 1.05 ** (1 / 365) - 1
    expected = REGISTRY["sharpe_ratio"].function(market @ WEIGHTS, risk_free=rate)
    assert found["sharpe_ratio"].value == pytest.approx(expected, rel=1e-9)


def test_trials_deflate(market: FloatArray) -> None:
    one = measure_all(WEIGHTS, market, {})["deflated_sharpe_ratio"].value
    many = measure_all(WEIGHTS, market, {}, Assumptions(trials=50))["deflated_sharpe_ratio"].value
    assert many < one


def test_without_a_benchmark_its_figures_say_so(market: FloatArray) -> None:
    found = measure_all(WEIGHTS, market, {})
    for slug in ("beta", "alpha", "rank_correlation_btc", "up_capture"):
        assert math.isnan(found[slug].value)
        assert (found[slug].reason, found[slug].observations) == ("no benchmark", 0)


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_few_days_leave_reasons_and_no_intervals_of_other_histories(
    market: FloatArray, size: int
) -> None:
    found = measure_all(WEIGHTS, market[:size], {})
    for slug, figure in found.items():
        assert bool(figure.reason) == math.isnan(figure.value), slug
        if REGISTRY[slug].inference is Inference.BOOTSTRAP:
            assert figure.interval is None
    assert found["volatility"].reason == (
        "" if size > 1 else f"needs at least 2 observations, has {size}"
    )


def test_a_stablecoin_alone_has_a_reason_for_each_figure_that_it_lacks() -> None:
    found = measure_all(np.ones(1), np.zeros((200, 1)), {})
    assert found["calmar_ratio"].reason == "no drawdown, or more than everything was lost"
    assert found["diversification_ratio"].reason == "no variance"
    assert found["ulcer_index"].value == 0
    for slug, figure in found.items():
        assert bool(figure.reason) == math.isnan(figure.value), slug


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf])
def test_assumptions_that_make_no_sense_are_refused(rate: float) -> None:
    with pytest.raises(InvalidError, match="not above -1"):
        Assumptions(risk_free=rate)
    with pytest.raises(InvalidError, match="0 trials"):
        Assumptions(trials=0)
