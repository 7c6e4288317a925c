"""The numbers behind the charts."""

import math

import numpy as np
import pytest

from seawall.quant.metrics.drawdown import max_drawdown
from seawall.risk.tearsheet.curves import (
    drawdown,
    growth,
    growth_of_closes,
    histogram,
    rolling_volatility,
)

ROWS = np.array([1, 2, 3, 6, 7])
RETURNS = np.array([0.1, -0.5, 0.2, 0.1, 0.05])


def test_growth_compounds_and_breaks_at_gaps() -> None:
    found = growth(ROWS, RETURNS)
    assert found.days.tolist() == [0, 1, 2, 3, 5.5, 6, 7]
    assert found.values[:4] == pytest.approx([1, 1.1, 0.55, 0.66])
    assert math.isnan(found.values[4])
    assert found.values[-1] == pytest.approx(np.prod(1 + RETURNS))
    assert growth(ROWS[:0], RETURNS[:0]).values.size == 0


def test_drawdown_is_the_report_s() -> None:
    returns = np.random.default_rng(1).normal(0, 0.03, 200)
    found = drawdown(growth(np.arange(1, 201), returns))
    assert -np.nanmin(found.values) == pytest.approx(max_drawdown(returns), rel=1e-12)
    assert found.values.max() == 0


def test_a_benchmark_starts_where_both_are() -> None:
    own = growth(np.arange(1, 8), np.full(7, 0.1))
    closes = np.array([math.nan, 50, math.nan, math.nan, 100, 100, 100, 100])
    found = growth_of_closes(closes, own)
    assert found.days.tolist() == [1, 4, 5, 6, 7]
    assert found.values[0] == pytest.approx(1.1)
    assert found.values[1] == pytest.approx(2.2)
    assert growth_of_closes(np.full(8, math.nan), own).values.size == 0


def test_rolling_volatility_spans_no_gap() -> None:
    rows = np.concatenate([np.arange(1, 41), np.arange(51, 91)])
    returns = np.random.default_rng(2).normal(0, 0.03, 80)
    found = rolling_volatility(rows, returns, 30)
    known = ~np.isnan(found.values)
    assert found.days[known].tolist() == [*range(30, 41), *range(80, 91)]
    assert found.values[0] == pytest.approx(np.std(returns[:30], ddof=1) * math.sqrt(365))
    assert rolling_volatility(rows[:20], returns[:20], 30).values.size == 0


def test_histograms_count_every_return() -> None:
    returns = np.random.default_rng(3).normal(0.001, 0.03, 365)
    found = histogram(returns)
    assert found.counts.sum() == 365
    assert found.edges[0] == returns.min()
    # The normal curve expects as many returns as there are, but for its tails.
    step = found.normal[1, 0] - found.normal[0, 0]
    width = found.edges[1] - found.edges[0]
    assert found.normal[:, 1].sum() * step / width == pytest.approx(365, rel=0.01)


def test_what_does_not_vary_has_one_bar_and_no_curve() -> None:
    found = histogram(np.zeros(10))
    assert found.counts.max() == found.counts.sum() == 10
    assert found.normal.size == 0
