"""What a portfolio is compared with: an asset's or an index' closes on the window's days."""

from datetime import datetime

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import to_micros
from seawall.market import series, store
from seawall.market.calendar import is_trading_day
from seawall.market.catalog import INDEX
from seawall.market.prices import read_prices
from seawall.market.store import AssetRecord
from seawall.quant.types import FloatArray
from seawall.risk.exposure import Window

BTC = "BTC"


async def read_benchmarks(
    session: AsyncSession, names: set[str], window: Window, known_at: datetime
) -> dict[str, FloatArray]:
    """Read each benchmark's closes on the window's midnights, NaN where none is held.

    Shapes: a (days + 1,) vector by name; a name that is in no catalogue is left out.
    """
    known = await store.find_assets(session, names)
    traded = [asset for asset in known.values() if asset.kind != INDEX]
    prices = await read_prices(session, traded, [window.end], window.midnights, known_at)
    found: dict[str, FloatArray] = {}
    for symbol, asset in known.items():
        if asset.kind == INDEX:
            if (grid := await read_index(session, asset, window, known_at)) is not None:
                found[symbol] = grid
        elif (pair := prices[symbol].best(window.end)) is not None:
            found[symbol] = window.grid(pair.closes)
    return found


async def read_index(
    session: AsyncSession, asset: AssetRecord, window: Window, known_at: datetime
) -> FloatArray | None:
    """Lay an index' closes on the days after which they are known, its trading days alone.

    None when no close of it was known.
    """
    if not await series.is_index_known(session, asset.id, known_at):
        return None
    closes = await series.index_closes(session, asset.id, window.midnights, known_at)
    grid = window.grid(closes)
    midnights = np.datetime64(to_micros(window.first), "us") + np.arange(
        window.days + 1
    ) * np.timedelta64(1, "D")
    traded = is_trading_day((midnights - np.timedelta64(1, "D")).astype("<M8[D]"))
    grid[~traded] = np.nan
    return grid
