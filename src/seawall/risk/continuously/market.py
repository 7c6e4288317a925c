"""What all portfolios are measured against: prices, closes and benchmarks, as known at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError, NotFoundError
from seawall.core.time import EPOCH, iso
from seawall.db.locks import clock, lock_prices
from seawall.market.pairs import SP500
from seawall.market.prices import FRESH_FOR, USD, AssetPrices, Price, read_prices
from seawall.market.store import AssetRecord
from seawall.quant.metrics.figures import COMPARED, Market, lay_out
from seawall.quant.returns import match_benchmark, simple_returns
from seawall.risk.benchmarks import BTC, read_benchmarks
from seawall.risk.exposure import Window
from seawall.risk.schemas import RiskQuestion


@dataclass(frozen=True, slots=True)
class KnownMarket:
    """The market as of an instant, as it was known at another, laid out for the kernel.

    `assets` are in the order of their symbols, and so are the columns of `market`; `prices` are
    None where none is known. `stale` are the instants of prices that are older than they should
    be, None for the others. `unheld` says of a figure why it has no benchmark.
    """

    as_of: datetime
    known_at: datetime
    question: RiskQuestion
    assets: tuple[AssetRecord, ...]
    prices: tuple[Price | None, ...]
    market: Market
    unheld: dict[str, str]

    @property
    def stale(self) -> tuple[datetime | None, ...]:
        """When each asset's price was made, if that is too long ago."""
        return tuple(
            price.time if price is not None and self.as_of - price.time > FRESH_FOR else None
            for price in self.prices
        )


async def know_market(
    session: AsyncSession,
    assets: Sequence[AssetRecord],
    as_of: datetime | None,
    question: RiskQuestion,
) -> KnownMarket:
    """Read the prices of assets, in the order of their symbols, as they are known now.

    The prices keep still while they are read. What was known at this instant can be read at any
    time later, so nothing has to keep still until the portfolios are measured.

    Raises:
        InvalidError: `as_of` is in the future, or before anything can have happened.
        NotFoundError: the benchmark is not known here.
    """
    named = {BTC, SP500, question.benchmark}
    await lock_prices(session, {*(each.symbol for each in assets), *named}, shared=True)
    known_at = await clock(session)
    if as_of is not None and not EPOCH <= as_of <= known_at:
        raise InvalidError(f"{iso(as_of)} is in the future, or before any transaction.")
    at = as_of or known_at
    window = Window(at, question.window)
    read = await read_prices(session, assets, [at], window.midnights, known_at)
    closes = await read_benchmarks(session, named, window, known_at)
    if question.benchmark not in closes and question.benchmark != BTC:
        raise NotFoundError(
            f"No prices of the benchmark {question.benchmark} are held.",
            hint="Import some, or choose another.",
        )
    known = [read.get(each.symbol, AssetPrices(each.symbol, ())) for each in assets]
    grids = [_closes(each, window) for each in known]
    laid = np.column_stack(grids) if grids else np.empty((window.days + 1, 0))
    rows = np.arange(1, window.days + 1)
    compared = dict(zip(COMPARED, (question.benchmark, BTC, SP500), strict=True))
    matched = {name: match_benchmark(rows, each) for name, each in closes.items()}
    return KnownMarket(
        as_of=at,
        known_at=known_at,
        question=question,
        assets=tuple(assets),
        prices=tuple(each.at(at) for each in known),
        market=lay_out(
            simple_returns(laid),
            [matched.get(name) for name in compared.values()],
            question.confidence,
        ),
        unheld={
            slug: f"no prices of {name} are held"
            for slug, name in compared.items()
            if name not in closes
        },
    )


def _closes(prices: AssetPrices, window: Window) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return an asset's closes on the window's midnights; 1 throughout for what is money."""
    pair = None if prices.asset == USD else prices.best(window.end)
    return np.ones(window.days + 1) if pair is None else window.grid(pair.closes)
