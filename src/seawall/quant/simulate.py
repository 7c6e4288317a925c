"""A market made up from a seed: regimes, fat tails, common jumps, a peg, listings and delistings.

Log returns follow a stochastic-volatility jump diffusion in hourly steps. A Markov chain of regimes
scales every volatility; shocks are Student t, partly the market's; jumps are the market's or an
asset's own (Merton, 1976). Highs and lows are drawn from the exact law of a Brownian bridge's
extremes (Glasserman, 2003, Monte Carlo Methods in Financial Engineering, section 6.4). Prices are
rounded to a tick, so that a seed gives the same candles wherever numpy draws the same numbers.
"""

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from seawall.core.errors import InvalidError
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, IntArray

_HOURS = 24
_STEP = 1 / (PERIODS_PER_YEAR * _HOURS)
_T_DEGREES = 5.0
_SIGNIFICANT = 6
_MOST_DECIMALS = 10


@dataclass(frozen=True, slots=True)
class Regime:
    """A state of the whole market.

    `volatility` multiplies each asset's; `drift` is added to their log returns, per year; `days` is
    how long the state lasts on average.
    """

    volatility: float
    drift: float
    days: float


CALM = Regime(volatility=0.65, drift=0.7, days=60)
BUSY = Regime(volatility=1.1, drift=0.1, days=30)
CRISIS = Regime(volatility=2.4, drift=-1.6, days=9)


@dataclass(frozen=True, slots=True)
class AssetSpec:
    """One asset to simulate.

    Attributes:
        price: at its first hour, in the quote currency.
        volatility: annual, in a regime of multiplier 1, without jumps.
        loading: correlation of its shocks with the market's, -1 to 1; also scales common jumps.
        drift: added to its log returns, per year.
        turnover: traded in an average day, in the quote currency.
        pegged: reverts to `price` within hours instead of wandering, and feels no jumps.
        listed: first day with candles, counted from the market's first.
        delisted: first day without candles again; None if it stays.
    """

    symbol: str
    price: float
    volatility: float
    loading: float = 0.7
    drift: float = 0.0
    turnover: float = 1e7
    pegged: bool = False
    listed: int = 0
    delisted: int | None = None


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """A market to simulate: `days` days from `start` (UTC), also hourly for the last `hourly_days`.

    Jumps come `jumps_per_year` times to the market and as often to each asset; `jump_size` is the
    deviation of their logarithm. The market's are falls on average, an asset's own are fair.
    """

    assets: tuple[AssetSpec, ...]
    start: np.datetime64
    days: int = 3 * PERIODS_PER_YEAR
    hourly_days: int = PERIODS_PER_YEAR
    regimes: tuple[Regime, ...] = (CALM, BUSY, CRISIS)
    jumps_per_year: float = 6.0
    jump_size: float = 0.06


@dataclass(frozen=True, slots=True)
class CandleArrays:
    """Candles as (K,) arrays; `time` is the open time, `volume` counts units of the asset."""

    time: NDArray[np.datetime64]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


@dataclass(frozen=True, slots=True)
class SimulatedAsset:
    """One asset's candles; the daily ones are the hourly ones put together."""

    symbol: str
    daily: CandleArrays
    hourly: CandleArrays


@dataclass(frozen=True, slots=True)
class _Weather:
    """What all assets share, by hour: volatility multiplier, drift, shock and jump."""

    volatility: FloatArray
    drift: FloatArray
    shock: FloatArray
    jump: FloatArray


def simulate(spec: MarketSpec, seed: int) -> tuple[SimulatedAsset, ...]:
    """Simulate every asset of a market, in the order of the spec.

    Each asset draws from its own stream: adding one at the end leaves the others as they were.

    Raises:
        InvalidError: the spec describes no market.
    """
    _check(spec)
    market, *streams = np.random.SeedSequence(seed).spawn(1 + len(spec.assets))
    weather = _weather(spec, np.random.default_rng(market))
    return tuple(
        _asset(spec, asset, weather, np.random.default_rng(stream))
        for asset, stream in zip(spec.assets, streams, strict=True)
    )


def _check(spec: MarketSpec) -> None:
    if not 0 <= spec.hourly_days <= spec.days or spec.days < 1:
        raise InvalidError(f"{spec.hourly_days} hourly of {spec.days} days cannot be simulated.")
    if not spec.regimes or min(regime.days for regime in spec.regimes) <= 0:
        raise InvalidError("A market needs at least one regime, and each of them some days.")
    for asset in spec.assets:
        end = spec.days if asset.delisted is None else asset.delisted
        if not 0 <= asset.listed < end <= spec.days:
            raise InvalidError(
                f"{asset.symbol} is listed on day {asset.listed} and gone on day {end}.",
                hint=f"Both have to be within the market's {spec.days} days.",
            )
        if asset.price <= 0 or asset.volatility < 0 or abs(asset.loading) > 1:
            raise InvalidError(
                f"{asset.symbol} needs a positive price, a volatility that is not negative, "
                "and a loading from -1 to 1."
            )


def _weather(spec: MarketSpec, rng: np.random.Generator) -> _Weather:
    hours = spec.days * _HOURS
    states = _regimes(spec, rng)
    volatility = np.array([regime.volatility for regime in spec.regimes])[states]
    drift = np.array([regime.drift for regime in spec.regimes])[states]
    jump = _jumps(spec, rng, hours, mean=-0.5 * spec.jump_size)
    return _Weather(volatility, drift, _shocks(rng, hours), jump)


def _regimes(spec: MarketSpec, rng: np.random.Generator) -> IntArray:
    """Walk the chain from the first regime: each hour may end it, and then any other follows."""
    hours, count = spec.days * _HOURS, len(spec.regimes)
    states = np.zeros(hours, dtype=np.int64)
    state, begin = 0, 0
    while begin < hours:
        chance = min(1.0, 1 / (spec.regimes[state].days * _HOURS))
        end = begin + int(rng.geometric(chance))
        states[begin:end] = state
        begin = end
        if count > 1:
            state = (state + int(rng.integers(1, count))) % count
    return states


def _shocks(rng: np.random.Generator, hours: int) -> FloatArray:
    """Draw Student t shocks of variance 1."""
    return rng.standard_t(_T_DEGREES, hours) * math.sqrt((_T_DEGREES - 2) / _T_DEGREES)


def _jumps(spec: MarketSpec, rng: np.random.Generator, hours: int, mean: float) -> FloatArray:
    """Draw the log jump of each hour, 0 in most."""
    happens = rng.random(hours) < spec.jumps_per_year * _STEP
    return np.where(happens, rng.normal(mean, spec.jump_size, hours), 0.0)


def _asset(
    spec: MarketSpec, asset: AssetSpec, weather: _Weather, rng: np.random.Generator
) -> SimulatedAsset:
    hours = spec.days * _HOURS
    deviation = asset.volatility * math.sqrt(_STEP) * weather.volatility
    own = math.sqrt(1 - asset.loading**2)
    shock = deviation * (asset.loading * weather.shock + own * _shocks(rng, hours))
    if asset.pegged:
        moves = np.diff(_revert(shock), prepend=0.0)
    else:
        drift = (asset.drift + weather.drift) * _STEP - deviation**2 / 2
        jumps = asset.loading * weather.jump + _jumps(spec, rng, hours, mean=0.0)
        moves = drift + shock + jumps
    end = spec.days if asset.delisted is None else asset.delisted
    held = slice(asset.listed * _HOURS, end * _HOURS)
    time = spec.start.astype("M8[us]") + np.arange(hours) * np.timedelta64(1, "h")
    hourly = _candles(asset, time[held], moves[held], deviation[held], rng)
    first = max((spec.days - spec.hourly_days - asset.listed) * _HOURS, 0)
    return SimulatedAsset(asset.symbol, _daily(hourly, _units(asset)), _since(hourly, first))


def _revert(shocks: FloatArray) -> FloatArray:
    """Let shocks fade by a quarter each hour, as an autoregression of order 1."""
    return np.array(list(accumulate(shocks.tolist(), lambda x, shock: 0.75 * x + shock)))


def _candles(
    asset: AssetSpec,
    time: NDArray[np.datetime64],
    moves: FloatArray,
    deviation: FloatArray,
    rng: np.random.Generator,
) -> CandleArrays:
    """Draw the candles around the path of hourly log moves."""
    path = np.concatenate(([0.0], np.cumsum(moves)))
    before, after = path[:-1], path[1:]
    # A bridge from a to b reaches (a + b + sqrt((b - a)^2 - 2 s^2 log(u))) / 2 at its highest.
    spread = 2 * np.maximum(deviation, 1e-12) ** 2
    reach = np.sqrt(moves**2 - spread * np.log1p(-rng.random(moves.size)))
    depth = np.sqrt(moves**2 - spread * np.log1p(-rng.random(moves.size)))
    prices = _rounded(asset, path)
    opens, closes = prices[:-1], prices[1:]
    highs = np.maximum(_rounded(asset, (before + after + reach) / 2), np.maximum(opens, closes))
    lows = np.minimum(_rounded(asset, (before + after - depth) / 2), np.minimum(opens, closes))
    volumes = _volumes(asset, time, moves / np.maximum(deviation, 1e-12), closes, rng)
    # Crises trade more, in all assets at once.
    busy = deviation / max(asset.volatility * math.sqrt(_STEP), 1e-12)
    return CandleArrays(time, opens, highs, lows, closes, np.round(volumes * busy, _units(asset)))


def _rounded(asset: AssetSpec, path: FloatArray) -> FloatArray:
    """Turn log prices about the asset's first into prices on its tick, at least one tick."""
    decimals = _decimals(asset.price)
    prices = np.round(asset.price * np.exp(path), decimals)
    return np.maximum(prices, float(f"1e-{decimals}"))


def _decimals(price: float) -> int:
    """Choose the decimals that show six significant digits of a price, 0 to 10."""
    digits = _SIGNIFICANT - 1 - math.floor(math.log10(price))
    return min(max(digits, 0), _MOST_DECIMALS)


def _units(asset: AssetSpec) -> int:
    """Choose the decimals of a volume so that its last counts about as much as a cent."""
    return min(max(math.floor(math.log10(asset.price)) + 2, 0), 8)


def _volumes(
    asset: AssetSpec,
    time: NDArray[np.datetime64],
    surprise: FloatArray,
    closes: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw volumes that grow with the size of the move and follow the hours of the day."""
    hour = time.astype("datetime64[h]").astype(np.int64) % _HOURS
    season = 1 + 0.3 * np.sin(2 * np.pi * (hour - 9) / _HOURS)
    chatter = np.exp(rng.normal(-0.08, 0.4, closes.size))
    turnover = asset.turnover / _HOURS * season * chatter * (0.5 + 0.65 * np.abs(surprise))
    return turnover / closes


def _daily(hourly: CandleArrays, decimals: int) -> CandleArrays:
    """Put whole days of hourly candles together."""
    days = hourly.time.size // _HOURS
    volume = hourly.volume.reshape(days, _HOURS).sum(axis=1)
    return CandleArrays(
        hourly.time[::_HOURS],
        hourly.open[::_HOURS],
        hourly.high.reshape(days, _HOURS).max(axis=1),
        hourly.low.reshape(days, _HOURS).min(axis=1),
        hourly.close[_HOURS - 1 :: _HOURS],
        np.round(volume, decimals),
    )


def _since(candles: CandleArrays, first: int) -> CandleArrays:
    return CandleArrays(
        candles.time[first:],
        candles.open[first:],
        candles.high[first:],
        candles.low[first:],
        candles.close[first:],
        candles.volume[first:],
    )
