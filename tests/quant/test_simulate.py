"""The simulated market: repeatable, consistent between timeframes, and market-like."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from seawall.core.errors import InvalidError
from seawall.quant.metrics.moments import kurtosis
from seawall.quant.simulate import (
    AssetSpec,
    CandleArrays,
    MarketSpec,
    Regime,
    SimulatedAsset,
    simulate,
)

ASSETS = (
    AssetSpec("BTC", price=42_000.0, volatility=0.5, loading=0.9, turnover=2e10),
    AssetSpec("ETH", price=2_300.0, volatility=0.65, loading=0.85, turnover=1e10),
    AssetSpec("MEME", price=0.0000123, volatility=1.2, loading=0.5),
    AssetSpec("USDS", price=1.0, volatility=0.01, loading=0.0, pegged=True, turnover=3e10),
    AssetSpec("LATE", price=7.5, volatility=0.9, listed=500),
    AssetSpec("GONE", price=3.2, volatility=0.9, delisted=900),
    AssetSpec("FLEETING", price=3.2, volatility=0.9, listed=100, delisted=300),
)
SPEC = MarketSpec(ASSETS, np.datetime64("2023-01-01"))
FIELDS = ("open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def market() -> dict[str, SimulatedAsset]:
    return {asset.symbol: asset for asset in simulate(SPEC, seed=7)}


def fingerprint(candles: CandleArrays) -> str:
    arrays = (candles.time, *(getattr(candles, field) for field in FIELDS))
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def same(one: SimulatedAsset, other: SimulatedAsset) -> bool:
    return fingerprint(one.daily) == fingerprint(other.daily) and fingerprint(
        one.hourly
    ) == fingerprint(other.hourly)


def test_a_seed_gives_the_same_market_again(market: dict[str, SimulatedAsset]) -> None:
    assert all(same(asset, market[asset.symbol]) for asset in simulate(SPEC, seed=7))


def test_another_seed_gives_another_market(market: dict[str, SimulatedAsset]) -> None:
    assert not any(same(asset, market[asset.symbol]) for asset in simulate(SPEC, seed=8))


def test_an_asset_added_at_the_end_leaves_the_others(market: dict[str, SimulatedAsset]) -> None:
    more = replace(SPEC, assets=(*ASSETS, AssetSpec("NEW", price=1.0, volatility=1.0)))
    assert all(same(asset, market[asset.symbol]) for asset in simulate(more, seed=7)[:-1])


@pytest.mark.parametrize("symbol", [asset.symbol for asset in ASSETS])
def test_candles_hold_together(market: dict[str, SimulatedAsset], symbol: str) -> None:
    for candles in (market[symbol].daily, market[symbol].hourly):
        assert candles.time.dtype == np.dtype("M8[us]")
        for field in FIELDS:
            assert getattr(candles, field).dtype == np.float64
            assert getattr(candles, field).shape == candles.time.shape
            assert np.isfinite(getattr(candles, field)).all()
        assert (candles.low > 0).all()
        assert (candles.volume > 0).all()
        assert (candles.low <= np.minimum(candles.open, candles.close)).all()
        assert (candles.high >= np.maximum(candles.open, candles.close)).all()
        np.testing.assert_array_equal(candles.open[1:], candles.close[:-1])


@pytest.mark.parametrize("symbol", ["BTC", "MEME", "USDS", "LATE", "GONE"])
def test_daily_candles_are_the_hourly_ones_put_together(
    market: dict[str, SimulatedAsset], symbol: str
) -> None:
    daily, hourly = market[symbol].daily, market[symbol].hourly
    days = hourly.time.reshape(-1, 24)
    held = np.isin(daily.time, days[:, 0])
    assert held.sum() == len(days) > 0
    np.testing.assert_array_equal(daily.open[held], hourly.open.reshape(-1, 24)[:, 0])
    np.testing.assert_array_equal(daily.high[held], hourly.high.reshape(-1, 24).max(axis=1))
    np.testing.assert_array_equal(daily.low[held], hourly.low.reshape(-1, 24).min(axis=1))
    np.testing.assert_array_equal(daily.close[held], hourly.close.reshape(-1, 24)[:, -1])
    np.testing.assert_allclose(
        daily.volume[held], hourly.volume.reshape(-1, 24).sum(axis=1), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("symbol", "first", "days", "hours"),
    [
        ("BTC", "2023-01-01", 1095, 365 * 24),
        ("LATE", "2024-05-15", 595, 365 * 24),
        ("GONE", "2023-01-01", 900, (900 - 730) * 24),
        ("FLEETING", "2023-04-11", 200, 0),
    ],
)
def test_listings_and_delistings_bound_the_candles(
    market: dict[str, SimulatedAsset], symbol: str, first: str, days: int, hours: int
) -> None:
    daily, hourly = market[symbol].daily, market[symbol].hourly
    assert daily.time[0] == np.datetime64(first)
    assert (daily.time.size, hourly.time.size) == (days, hours)
    assert (np.diff(daily.time) == np.timedelta64(1, "D")).all()
    assert (np.diff(hourly.time) == np.timedelta64(1, "h")).all()


def test_every_asset_starts_at_its_price(market: dict[str, SimulatedAsset]) -> None:
    for asset in ASSETS:
        assert market[asset.symbol].daily.open[0] == pytest.approx(asset.price, rel=1e-12)


@pytest.mark.parametrize(("symbol", "decimals"), [("BTC", 1), ("MEME", 10), ("USDS", 5)])
def test_prices_are_on_a_tick(
    market: dict[str, SimulatedAsset], symbol: str, decimals: int
) -> None:
    closes = market[symbol].hourly.close
    np.testing.assert_array_equal(closes, np.round(closes, decimals))


def test_the_stablecoin_stays_at_its_peg(market: dict[str, SimulatedAsset]) -> None:
    daily = market["USDS"].daily
    assert np.abs(daily.close - 1).max() < 0.005
    assert np.std(daily.close) > 0


def test_returns_have_fat_tails_and_move_together(market: dict[str, SimulatedAsset]) -> None:
    btc, eth = (np.diff(np.log(market[symbol].daily.close)) for symbol in ("BTC", "ETH"))
    assert kurtosis(btc) > 1
    assert np.corrcoef(btc, eth)[0, 1] > 0.5


def test_volatility_comes_in_clusters() -> None:
    # The dependence of |r| over a week, averaged over markets so that no seed decides.
    spec = replace(SPEC, assets=ASSETS[:1])
    found = []
    for seed in range(10):
        size = np.abs(np.diff(np.log(simulate(spec, seed)[0].daily.close)))
        found.append(np.corrcoef(size[7:], size[:-7])[0, 1])
    assert np.mean(found) > 0.05


def test_volume_reacts_to_volatility(market: dict[str, SimulatedAsset]) -> None:
    hourly = market["BTC"].hourly
    size = np.abs(np.log(hourly.close / hourly.open))
    assert np.corrcoef(size, hourly.volume * hourly.close)[0, 1] > 0.4


def test_volatility_is_what_the_spec_says() -> None:
    still = (Regime(volatility=1.0, drift=0.0, days=10),)
    asset = AssetSpec("X", price=10_000.0, volatility=0.6, loading=0.5)
    spec = replace(SPEC, assets=(asset,), regimes=still, jumps_per_year=0.0)
    annual = [
        np.std(np.diff(np.log(simulate(spec, seed)[0].daily.close)), ddof=1) * 365**0.5
        for seed in range(10)
    ]
    assert np.mean(annual) == pytest.approx(0.6, rel=0.03)


def test_jumps_hit_the_market_together() -> None:
    still = (Regime(volatility=1.0, drift=0.0, days=10),)
    pair = tuple(AssetSpec(name, price=1e4, volatility=1e-3, loading=0.6) for name in "XY")
    spec = replace(SPEC, assets=pair, regimes=still, jumps_per_year=40.0)
    x, y = (np.abs(np.diff(np.log(asset.hourly.close))) > 0.003 for asset in simulate(spec, seed=1))
    assert (x & y).sum() >= 10
    assert (x & ~y).sum() >= 10


def test_an_asset_without_volatility_stands_still() -> None:
    asset = AssetSpec("FIXED", price=1.0, volatility=0.0, pegged=True)
    found = simulate(replace(SPEC, assets=(asset,)), seed=1)[0]
    assert set(found.daily.close) == set(found.daily.high) == set(found.daily.low) == {1.0}


@pytest.mark.parametrize(
    "change",
    [
        {"days": 0, "hourly_days": 0},
        {"hourly_days": 2000},
        {"hourly_days": -1},
        {"regimes": ()},
        {"regimes": (Regime(volatility=1.0, drift=0.0, days=0),)},
    ],
)
def test_a_market_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        simulate(replace(SPEC, **change), seed=1)


@pytest.mark.parametrize(
    "change",
    [
        {"listed": -1},
        {"listed": 50, "delisted": 50},
        {"delisted": 5000},
        {"price": 0.0},
        {"volatility": -0.1},
        {"loading": 1.5},
    ],
)
def test_an_asset_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match="BTC"):
        simulate(replace(SPEC, assets=(replace(ASSETS[0], **change),)), seed=1)
