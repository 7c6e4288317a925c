"""Histories of unequal length: what is kept, what is filled, and that it is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.quant.histories import HistoryMethod, Proxy, build_history, varying
from seawall.quant.returns import common_returns
from seawall.quant.types import FloatArray

NAN = np.nan
ASSETS = ["BTC", "ETH", "NEW"]


def _closes(days: int = 100, seed: int = 0) -> FloatArray:
    random = np.random.default_rng(seed)
    market = random.normal(0, 0.03, days)
    own = random.normal(0, 0.01, (days, 2))
    returns = np.column_stack([market, market + own[:, 0], 1.5 * market + own[:, 1]])
    return np.vstack([np.ones(3), np.cumprod(1 + returns, axis=0)])


def _listed_late(days: int = 100, late: int = 40) -> FloatArray:
    closes = _closes(days)
    closes[:late, 2] = NAN
    return closes


def test_the_common_window_is_what_all_have() -> None:
    closes = _listed_late()
    found = build_history(ASSETS, closes, HistoryMethod.COMMON)
    expected = common_returns(closes)
    np.testing.assert_array_equal(found.returns, expected.returns)
    np.testing.assert_array_equal(found.rows, expected.rows)
    assert (found.filled, found.missing) == ({}, {"NEW": 40})
    assert found.notes == ("Of 100 daily returns are missing: NEW 40; 40 were left out for all.",)


def test_pairwise_keeps_every_day_and_fills_none() -> None:
    found = build_history(ASSETS, _listed_late(), HistoryMethod.PAIRWISE)
    assert found.returns.shape == (100, 3)
    assert np.isnan(found.returns[:40, 2]).all()
    assert not np.isnan(found.returns[:, :2]).any()
    assert (found.filled, found.complete) == ({}, False)
    assert "each pair" in found.notes[0]


def test_pairwise_leaves_out_days_on_which_only_money_has_a_return() -> None:
    closes = np.array([[1.0, 1], [2, 1], [3, 1], [NAN, 1], [NAN, 1], [5, 1], [6, 1]])
    found = build_history(["BTC", "USD"], closes, HistoryMethod.PAIRWISE)
    assert found.rows.tolist() == [1, 2, 6]


def test_a_proxy_fills_with_beta_times_its_return() -> None:
    closes = _listed_late()
    proxy = Proxy("BTC", closes[1:, 0] / closes[:-1, 0] - 1)
    found = build_history(ASSETS, closes, HistoryMethod.PROXY, proxy)
    held = closes[41:, 2] / closes[40:-1, 2] - 1
    slope, intercept = np.polyfit(proxy.returns[40:], held, 1)
    np.testing.assert_allclose(found.returns[:40, 2], slope * proxy.returns[:40], rtol=1e-9)
    np.testing.assert_array_equal(found.returns[40:, 2], held)
    errors = held - slope * proxy.returns[40:] - intercept
    assert found.residual_variances[2] == pytest.approx(float(errors @ errors) / 58, rel=1e-9)
    assert (found.filled, found.missing, found.complete) == ({"NEW": 40}, {"NEW": 40}, True)
    assert found.stood_in.sum() == 40
    assert found.notes[0] == (
        "NEW: 40 missing returns were filled with 1.55 times those of BTC,"
        " a beta from 60 common days."
    )


def test_without_a_proxy_the_others_are_the_market() -> None:
    closes = _listed_late()
    found = build_history(ASSETS, closes, HistoryMethod.PROXY)
    market = (closes[1:, :2] / closes[:-1, :2] - 1).mean(axis=1)
    slope = found.returns[:40, 2] / market[:40]
    np.testing.assert_allclose(slope, slope[0])
    assert slope[0] == pytest.approx(1.5, abs=0.1)
    assert "the equal-weighted others" in found.notes[0]


def test_too_short_a_history_is_not_filled() -> None:
    found = build_history(ASSETS, _listed_late(late=90), HistoryMethod.PROXY)
    assert found.filled == {}
    assert len(found.returns) == 10
    assert found.notes[0] == (
        "NEW: 10 returns in common with the equal-weighted others, 20 are needed for a beta;"
        " nothing was filled."
    )


def test_a_proxy_that_does_not_vary_fills_nothing() -> None:
    found = build_history(ASSETS, _listed_late(), HistoryMethod.PROXY, Proxy("USDT", np.zeros(100)))
    assert found.filled == {}
    assert "USDT does not vary" in found.notes[0]


def test_days_that_the_proxy_lacks_are_left_out() -> None:
    closes = _listed_late()
    returns = closes[1:, 0] / closes[:-1, 0] - 1
    returns[:10] = NAN
    found = build_history(ASSETS, closes, HistoryMethod.PROXY, Proxy("BTC", returns))
    assert found.filled == {"NEW": 30}
    assert found.rows.tolist() == list(range(11, 101))


@pytest.mark.parametrize("method", HistoryMethod)
def test_complete_histories_are_the_same_by_every_method(method: HistoryMethod) -> None:
    closes = _closes()
    found = build_history(ASSETS, closes, method)
    np.testing.assert_array_equal(found.returns, common_returns(closes).returns)
    assert (found.filled, found.missing, found.notes) == ({}, {}, ())


@pytest.mark.parametrize("method", HistoryMethod)
def test_nothing_at_all_gives_no_days(method: HistoryMethod) -> None:
    found = build_history(ASSETS, np.full((10, 3), NAN), method)
    assert len(found.returns) == 0
    assert found.missing == dict.fromkeys(ASSETS, 9)
    assert build_history([], np.empty((5, 0)), method).returns.shape == (0, 0)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(3)), st.sampled_from(list(HistoryMethod)))
def test_the_order_of_the_assets_changes_nothing(order: list[int], method: HistoryMethod) -> None:
    closes = _listed_late()
    closes[70:75, 1] = NAN
    first = build_history(ASSETS, closes, method)
    second = build_history([ASSETS[at] for at in order], closes[:, order], method)
    np.testing.assert_allclose(second.returns, first.returns[:, order], rtol=1e-12)
    assert second.filled == first.filled
    assert second.missing == first.missing


def test_what_varies_by_rounding_alone_does_not_vary() -> None:
    returns = np.column_stack([np.full(50, 0.1), [0.01, -0.01] * 25, np.full(50, NAN)])
    returns[::2, 0] += 2.0**-54
    assert varying(returns).tolist() == [False, True, False]


def test_wrong_shapes_and_names_are_refused() -> None:
    with pytest.raises(InvalidError, match="do not fit"):
        build_history(["BTC"], np.ones((5, 2)), HistoryMethod.COMMON)
    with pytest.raises(InvalidError, match="named twice"):
        build_history(["BTC", "BTC"], np.ones((5, 2)), HistoryMethod.COMMON)
    with pytest.raises(InvalidError, match="proxy"):
        build_history(ASSETS, _listed_late(), HistoryMethod.PROXY, Proxy("BTC", np.zeros(7)))
    with pytest.raises(InvalidError, match="negative"):
        build_history(["BTC"], np.array([[1.0], [-1.0]]), HistoryMethod.COMMON)
