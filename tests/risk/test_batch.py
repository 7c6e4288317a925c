"""A batch of portfolios: the figures of each alone, bit for bit, however the work is spread."""

import math
import os
from collections.abc import Callable

import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from scipy.sparse import csr_array

from seawall.core.errors import InvalidError
from seawall.quant.metrics.figures import COLUMNS, COMPARED, Measured, Portfolios
from seawall.quant.metrics.measure import Measures, measure
from seawall.quant.returns import Benchmark, common_returns, match_benchmark
from seawall.quant.types import FloatArray, IntArray
from seawall.risk.batch import Spread, from_sparse, measure_batch

DAYS, ASSETS = 150, 8


def _closes(seed: int) -> FloatArray:
    """Closes with a stablecoin, late listings, gaps, one that ends, and one without any."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_t(4, (DAYS + 1, ASSETS)) * 0.02 + rng.standard_t(4, (DAYS + 1, 1)) * 0.02
    closes = 100 * np.exp(np.cumsum(moves, axis=0))
    closes[:, 1] = 1.0
    closes[:100, 2] = np.nan
    closes[[40, 41, 90], 3] = np.nan
    closes[140:, 4] = np.nan
    closes[:147, 5] = np.nan
    closes[:, 6] = np.nan
    return np.asarray(closes)


def _benchmarks(seed: int) -> tuple[FloatArray | None, ...]:
    rng = np.random.default_rng(seed + 100)
    index = 4_000 * np.exp(np.cumsum(rng.normal(0, 0.01, DAYS + 1)))
    index[np.isin(np.arange(DAYS + 1) % 7, (5, 6))] = np.nan
    btc = _closes(seed)[:, 0]
    return (btc if seed % 2 else None, btc, index)


def _matched(rows: IntArray, closes: FloatArray | None) -> Benchmark | None:
    return None if closes is None else match_benchmark(rows, closes)


def _returns(closes: FloatArray) -> FloatArray:
    return np.asarray(closes[1:] / closes[:-1] - 1)


def _alone(
    closes: FloatArray, columns: IntArray, weights: FloatArray, seed: int, confidence: float
) -> Measures:
    history = common_returns(closes[:, columns])
    benchmark, btc, sp500 = (_matched(history.rows, each) for each in _benchmarks(seed))
    return measure(
        weights,
        history.returns,
        benchmark=benchmark,
        btc=btc,
        sp500=sp500,
        confidence=confidence,
    )


def _batch(
    portfolios: Portfolios, seed: int, confidence: float = 0.95, spread: Spread | None = None
) -> Measured:
    rows = np.arange(1, DAYS + 1)
    benchmarks = [_matched(rows, each) for each in _benchmarks(seed)]
    return measure_batch(portfolios, _returns(_closes(seed)), benchmarks, confidence, spread)


WEIGHT = st.one_of(st.sampled_from([0.0, 1.0, -0.5, 1e-9]), st.floats(-2, 2, width=32))
HELD = st.dictionaries(st.integers(0, ASSETS - 1), WEIGHT, max_size=ASSETS)


def _pack(given_: list[dict[int, float]]) -> Portfolios:
    starts = np.cumsum([0, *(len(each) for each in given_)])
    pairs = [pair for each in given_ for pair in sorted(each.items())]
    return Portfolios(
        starts.astype(np.int64),
        np.array([column for column, _ in pairs], dtype=np.int64),
        np.array([weight for _, weight in pairs], dtype=np.float64),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(HELD, min_size=1, max_size=6),
    st.integers(0, 3),
    st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]),
)
def test_each_portfolio_is_what_it_is_alone_bit_for_bit(
    held: list[dict[int, float]], seed: int, confidence: float
) -> None:
    found = _batch(_pack(held), seed, confidence)
    closes = _closes(seed)
    for at, each in enumerate(held):
        columns = np.array(sorted(each), dtype=np.int64)
        weights = np.array([each[column] for column in columns.tolist()])
        alone = _alone(closes, columns, weights, seed, confidence)
        expected = [alone.values[name] for name in COLUMNS]
        np.testing.assert_array_equal(found.values[at], expected)
        assert found.observations[at] == alone.observations
        matched = dict(zip(COMPARED, found.matched[at].tolist(), strict=True))
        assert matched == alone.matched
        reasons = {k: v for k, v in alone.reasons.items() if k in COLUMNS}
        assert found.reasons(at) == reasons


@pytest.fixture(scope="module")
def many() -> Portfolios:
    """Portfolios that differ in what they hold, and so in the days that they have."""
    rng = np.random.default_rng(5)
    held = []
    for _ in range(203):
        columns = rng.choice(ASSETS, rng.integers(0, ASSETS + 1), replace=False)
        held.append({int(column): float(rng.exponential()) for column in columns})
    return _pack(held)


@pytest.fixture(scope="module")
def together(many: Portfolios) -> Measured:
    return _batch(many, 1)


def _same(found: Measured, expected: Measured) -> None:
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.observations, expected.observations)
    np.testing.assert_array_equal(found.matched, expected.matched)


@pytest.mark.parametrize("chunk", [1, 7, 202, 203, 5_000])
@pytest.mark.parametrize("workers", [1, 2])
def test_neither_chunks_nor_workers_change_a_bit(
    many: Portfolios, together: Measured, chunk: int, workers: int
) -> None:
    _same(_batch(many, 1, spread=Spread(chunk, workers)), together)


def test_a_dask_cluster_gives_the_same_bits(many: Portfolios, together: Measured) -> None:
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=False,
            dashboard_address=None,
        ) as cluster,
        Client(cluster),
        parallel_config(backend="dask"),
    ):
        _same(_batch(many, 1, spread=Spread(50)), together)


def test_processes_of_a_cluster_give_the_same_bits_as_threads_and_as_each_alone(
    many: Portfolios, together: Measured
) -> None:
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as cluster,
        Client(cluster, timeout=60) as client,
        parallel_config(backend="dask"),
    ):
        processes = set(client.run(os.getpid).values())
        found = _batch(many, 1, spread=Spread(10))
        worked = client.run(lambda dask_worker: len(dask_worker.state.log))
    assert len(processes - {os.getpid()}) == 2
    assert all(worked.values())
    _same(found, together)
    with parallel_config(backend="threading"):
        _same(found, _batch(many, 1, spread=Spread(10, 2)))
    closes = _closes(1)
    for at in range(0, len(many), 9):
        inside = slice(*many.starts[at : at + 2].tolist())
        alone = _alone(closes, many.columns[inside], many.weights[inside], 1, 0.95)
        expected = [alone.values[name] for name in COLUMNS]
        np.testing.assert_array_equal(found.values[at], expected)


def test_what_came_over_a_wire_gives_the_same_bits(many: Portfolios, together: Measured) -> None:
    for each in (many.starts, many.columns, many.weights):
        each.flags.writeable = False
    try:
        _same(_batch(many, 1), together)
    finally:
        for each in (many.starts, many.columns, many.weights):
            each.flags.writeable = True


def test_progress_is_told_to_the_end(many: Portfolios) -> None:
    told: list[tuple[int, int]] = []
    _batch(many, 1, spread=Spread(100, 2, lambda done, of: told.append((done, of))))
    assert told == [(100, 203), (200, 203), (203, 203)]


def test_sparse_weights_are_taken_with_stored_zeros_and_duplicates_added_up() -> None:
    weights = csr_array(
        (np.array([0.5, 0.0, 0.25, 0.25]), np.array([3, 2, 0, 0]), np.array([0, 4, 4])), (2, ASSETS)
    )
    taken = from_sparse(weights)
    assert taken.columns.tolist() == [0, 2, 3]
    assert taken.weights.tolist() == [0.5, 0.0, 0.5]
    found = measure_batch(weights, _returns(_closes(0)))
    # What is held at a weight of 0 takes its days with it all the same.
    assert found.observations.tolist() == [50, 0]
    assert math.isnan(found.values[1, 0])
    assert found.reasons(1)["herfindahl_index"] == "no holdings"


def test_all_return_nan_is_no_observation() -> None:
    found = measure_batch(_pack([{0: 1.0}]), np.full((30, 1), np.nan))
    assert found.observations.tolist() == [0]
    assert found.reasons(0)["volatility"] == "needs at least 2 observations, has 0"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: measure_batch(_pack([{9: 1.0}]), np.zeros((5, 8))), "do not fit"),
        (lambda: measure_batch(_pack([{0: math.nan}]), np.zeros((5, 8))), "not a finite number"),
        (lambda: measure_batch(_pack([{0: 1.0}]), np.full((5, 1), math.inf)), "not a finite"),
        (lambda: measure_batch(_pack([{0: 1.0}]), np.zeros(5)), "must be a matrix"),
        (lambda: measure_batch(_pack([{0: 1.0}]), np.zeros((5, 1)), confidence=1.0), "between 0"),
        (lambda: Portfolios(np.array([0, 2]), np.array([1, 1]), np.ones(2)), "do not ascend"),
        (lambda: Portfolios(np.array([0, 3]), np.array([0, 1]), np.ones(2)), "do not fit"),
        (lambda: Portfolios(np.array([0, 2, 1]), np.array([0]), np.ones(1)), "ascend from 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(InvalidError, match=said):
        make()
