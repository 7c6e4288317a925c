"""What a portfolio is exposed to: weights, and the past returns of what it holds now."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from seawall.core.time import DAY, to_micros
from seawall.db.bulk import Records
from seawall.market.prices import USD, AssetPrices
from seawall.portfolios.valuation import Valuation
from seawall.quant.returns import CommonReturns, common_returns
from seawall.quant.types import FloatArray


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of whole days: `days` returns, that end at the last midnight of `end`."""

    end: datetime
    days: int

    @property
    def last(self) -> datetime:
        """The last midnight at which a daily close can be known."""
        return self.end.replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def first(self) -> datetime:
        """The midnight before the first return."""
        return self.last - self.days * DAY

    @property
    def midnights(self) -> tuple[datetime, datetime]:
        """The first and the last of them."""
        return self.first, self.last

    def grid(self, closes: Records) -> FloatArray:
        """Lay closes on the window's midnights; NaN where none is held.

        Shapes: records of `known` and `close` in, (days + 1,) out.
        """
        laid = np.full(self.days + 1, np.nan)
        start = np.datetime64(to_micros(self.first), "us")
        at = (closes["known"] - start) // np.timedelta64(1, "D")
        inside = (at >= 0) & (at <= self.days)
        laid[at[inside].astype(np.intp)] = closes["close"][inside]
        return laid


@dataclass(frozen=True, slots=True)
class Exposure:
    """Weights, and the returns of the days on which everything held has one.

    `assets` (N), in the order of their symbols, name the columns of `history.returns` (K, N) and
    the `weights` (N,), which are by value. `missing` counts, by asset, the window's returns that
    are not held; `constant` are the assets that count as money, whose returns are 0.
    """

    assets: tuple[str, ...]
    weights: FloatArray
    history: CommonReturns
    missing: dict[str, int]
    constant: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClosesGrid:
    """The closes (days + 1, N) of what is held, on a window's midnights; NaN where none is held.

    `constant` are the assets that count as money, whose closes are 1.
    """

    assets: tuple[str, ...]
    closes: FloatArray
    constant: tuple[str, ...]


def lay_closes(valuation: Valuation, window: Window) -> ClosesGrid:
    """Lay the closes of everything held on a window's midnights, in the order of the symbols."""
    assets = tuple(sorted(each.asset for each in valuation.holdings))
    grids = [_grid(valuation.prices[asset], window) for asset in assets]
    ones = np.ones(window.days + 1)
    laid = [ones if grid is None else grid for grid in grids]
    return ClosesGrid(
        assets=assets,
        closes=np.column_stack(laid) if laid else np.empty((window.days + 1, 0)),
        constant=tuple(a for a, grid in zip(assets, grids, strict=True) if grid is None),
    )


def expose(valuation: Valuation, window: Window) -> Exposure | None:
    """Return what a valued portfolio is exposed to; None when it has no value or an unknown one."""
    if not valuation.total_value:
        return None
    grid = lay_closes(valuation, window)
    assets, closes = grid.assets, grid.closes
    held = {each.asset: each for each in valuation.holdings}
    # In floats, and in an order that does not depend on what it is worth: as a batch has them.
    weights = weigh(
        np.array([float(held[asset].holding.quantity) for asset in assets]),
        np.array([each.usd for asset in assets if (each := held[asset].price)]),
    )
    lacking = np.isnan(closes[1:]) | np.isnan(closes[:-1])
    return Exposure(
        assets=assets,
        weights=weights,
        history=common_returns(closes),
        missing={
            asset: int(count)
            for asset, count in zip(assets, lacking.sum(axis=0), strict=True)
            if count
        },
        constant=grid.constant,
    )


def why_unmeasured(valuation: Valuation) -> str:
    """Say why a portfolio that is exposed to nothing has no figures."""
    if valuation.unpriced:
        return f"no price of {', '.join(valuation.unpriced)} is known"
    if valuation.holdings:
        return "what is held is worth nothing"
    return "the portfolio holds nothing"


def weigh(quantities: FloatArray, prices: FloatArray) -> FloatArray:
    """Return the (N,) weights by value of what is held; they add up to 1.

    The values are summed in their order, one after the other.
    """
    values = quantities * prices
    weights: FloatArray = values / np.cumsum(values)[-1]
    return weights


def _grid(prices: AssetPrices, window: Window) -> FloatArray | None:
    """Return an asset's closes on the window's midnights; None for one that counts as money."""
    if prices.asset == USD:
        return None
    pair = prices.best(window.end)
    return None if pair is None else window.grid(pair.closes)
