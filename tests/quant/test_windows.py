"""An asset's figures over many windows are those of each window alone, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.quant.metrics import ratios, returns
from seawall.quant.metrics.figures import COLUMNS
from seawall.quant.metrics.measure import measure
from seawall.quant.returns import common_returns, match_benchmark, simple_returns
from seawall.quant.types import FloatArray
from seawall.quant.windows import measure_windows

DAYS = 120


def _closes(seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    return np.asarray(100 * np.exp(np.cumsum(rng.standard_t(4, DAYS + 1) * 0.03)))


def _with_gaps(closes: FloatArray, gaps: list[int]) -> FloatArray:
    closes = closes.copy()
    closes[gaps] = np.nan
    return closes


def _alone(
    asset: FloatArray, btc: FloatArray | None, index: FloatArray | None, window: slice
) -> tuple[list[float], int]:
    history = common_returns(asset[window, np.newaxis])
    matched = [
        None if each is None else match_benchmark(history.rows, each[window])
        for each in (btc, btc, index)
    ]
    found = measure(
        np.ones(1), history.returns, benchmark=matched[0], btc=matched[1], sp500=matched[2]
    )
    alone = history.returns[:, 0]
    values = {
        **found.values,
        "downside_deviation": returns.downside_deviation(alone),
        "calmar_ratio": ratios.calmar_ratio(alone),
    }
    return [values[name] for name in COLUMNS], found.observations


GAPS = st.lists(st.integers(0, DAYS), max_size=40)


@settings(max_examples=25, deadline=None)
@given(GAPS, GAPS, st.sampled_from([1, 2, 3, 30, 90, DAYS]), st.integers(0, 3))
def test_each_window_is_what_it_is_alone_bit_for_bit(
    own: list[int], others: list[int], days: int, kind: int
) -> None:
    asset = _closes(1)
    if kind == 1:
        asset[:] = 1.0
    if kind == 2:
        asset[60] = 0.0
    asset = _with_gaps(asset, own)
    btc = asset if kind == 1 else _with_gaps(_closes(2), others)
    weekdays = _with_gaps(_closes(3), [day for day in range(DAYS + 1) if day % 7 > 4])
    index = None if kind == 3 else weekdays
    ends = np.arange(days, DAYS + 1, 7)
    rows = np.arange(1, DAYS + 1)
    matched = [None if each is None else match_benchmark(rows, each) for each in (btc, btc, index)]
    found = measure_windows(simple_returns(asset), matched, ends, days)
    for at, end in enumerate(ends.tolist()):
        values, observations = _alone(asset, btc, index, slice(end - days, end + 1))
        np.testing.assert_array_equal(found.values[at], values)
        assert found.observations[at] == observations


def test_a_path_that_grows_beyond_every_float_has_no_calmar_ratio() -> None:
    moves = np.full(DAYS, 1e6)
    moves[3] = -0.5
    found = measure_windows(moves, (None, None, None), np.array([30]), 30)
    assert np.isnan(found.values[0, COLUMNS.index("calmar_ratio")])
    assert np.isnan(ratios.calmar_ratio(moves[:30]))


@pytest.mark.parametrize(("end", "days"), [(29, 30), (DAYS + 1, 30), (DAYS, DAYS + 1)])
def test_a_window_beyond_the_returns_is_refused(end: int, days: int) -> None:
    with pytest.raises(InvalidError, match=f"Windows of {days} days are not all within {DAYS}"):
        measure_windows(np.zeros(DAYS), (None, None, None), np.array([end]), days)
