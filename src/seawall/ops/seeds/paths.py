"""Made-up prices: random walks of coins, half an hour apart, that end where they are wanted."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from seawall.core.time import to_micros
from seawall.quant.simulate import CandleArrays
from seawall.quant.types import PERIODS_PER_YEAR, FloatArray, IntArray

STEP = timedelta(minutes=30)
HOUR_STEPS, DAY_STEPS, WEEK_STEPS = 2, 48, 336
_LOADING = 0.7
_LEAST_DECIMALS, _MOST_DECIMALS = 4, 10


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin that is made up, whatever it is named after.

    `price` is in USD at the end, `volatility` annual, `turnover` USD a day.
    """

    symbol: str
    name: str
    price: float
    volatility: float
    supply: float
    turnover: float

    @property
    def tick(self) -> int:
        """The reciprocal of the step in which its price moves: five digits and more."""
        digits = _LEAST_DECIMALS - math.floor(math.log10(self.price))
        return int(10 ** min(max(digits, _LEAST_DECIMALS), _MOST_DECIMALS))


@dataclass(frozen=True, slots=True)
class Paths:
    """Prices of some coins.

    Shapes: (n, k) prices of k coins, the last of them at `until`.
    """

    coins: tuple[Coin, ...]
    prices: FloatArray
    until: datetime

    @property
    def times(self) -> NDArray[np.datetime64]:
        """The instants of the prices."""
        steps = np.arange(1 - len(self.prices), 1) * np.timedelta64(STEP)
        return np.datetime64(to_micros(self.until), "us") + steps

    @property
    def ranks(self) -> IntArray:
        """The coins' places by what all of each is worth at the end."""
        worth = self.prices[-1] * [coin.supply for coin in self.coins]
        return np.argsort(np.argsort(-worth, kind="stable")) + 1

    def day_candles(self, coin: int) -> CandleArrays:
        """Return a coin's candles of every whole day."""
        first = int(-(self.times[0] - self.times[0].astype("<M8[D]")) // np.timedelta64(STEP))
        return self._candles(coin, first % DAY_STEPS, DAY_STEPS)

    def step_candles(self, coin: int, steps: int) -> CandleArrays:
        """Return a coin's candles of the last half hours."""
        return self._candles(coin, len(self.prices) - 1 - steps, 1)

    def _candles(self, coin: int, first: int, length: int) -> CandleArrays:
        """Put together candles of so many steps, with the first price at which one opens."""
        count = (len(self.prices) - 1 - first) // length
        end = first + count * length
        prices = self.prices[first:end, coin].reshape(count, length)
        closes = self.prices[first + length : end + 1 : length, coin]
        turnover = self.coins[coin].turnover * length / DAY_STEPS
        return CandleArrays(
            self.times[first:end:length],
            prices[:, 0],
            np.maximum(prices.max(axis=1), closes),
            np.minimum(prices.min(axis=1), closes),
            closes,
            np.round(turnover / closes, 4),
        )


def walk(coins: tuple[Coin, ...], days: int, until: datetime, seed: int) -> Paths:
    """Make up prices of so many days; the same seed makes the same, whenever they end."""
    random = np.random.default_rng(seed)
    steps = days * DAY_STEPS
    common = random.standard_normal((steps, 1))
    moves = random.standard_normal((steps, len(coins)))
    moves *= math.sqrt(1 - _LOADING**2)
    moves += _LOADING * common
    deviation = math.sqrt(1 / (PERIODS_PER_YEAR * DAY_STEPS))
    moves *= deviation * np.array([coin.volatility for coin in coins])
    path = np.zeros((steps + 1, len(coins)))
    np.cumsum(moves, axis=0, out=path[1:])
    path -= path[-1].copy()
    ticks = np.array([coin.tick for coin in coins], np.float64)
    prices = np.exp(path) * [coin.price for coin in coins]
    return Paths(coins, np.maximum(np.rint(prices * ticks), 1) / ticks, until)
