"""The newest prices of assets, as portfolios are valued: of pairs, else of the asset itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.market import series
from seawall.market.prices import Price, read_prices
from seawall.market.schemas import LatestPrice
from seawall.market.store import AssetRecord

NONE_HELD = "no price of it is held"


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest price of an asset in USD; None with a note when none is held.

    What its market was at the time is of the newest row of its own prices, changes in percent.
    """

    asset_id: int
    symbol: str
    price_usd: float | None
    time: datetime | None
    source: str
    note: str
    market_cap_usd: float | None = None
    volume_24h_usd: float | None = None
    percent_change_1h: float | None = None
    percent_change_24h: float | None = None
    percent_change_7d: float | None = None
    rank: int | None = None


async def latest_of(
    session: AsyncSession, assets: Sequence[AssetRecord], moment: datetime
) -> list[Latest]:
    """Return the newest price of each asset at a moment, in the order that they are given in."""
    of_pairs = await read_prices(session, assets, [moment], None, moment)
    own = await series.latest_prices(session, [asset.id for asset in assets])
    return [
        _latest(asset, of_pairs[asset.symbol].at(moment), own.get(asset.id)) for asset in assets
    ]


def _latest(asset: AssetRecord, price: Price | None, own: LatestPrice | None) -> Latest:
    if own is None:
        if price is None:
            return Latest(asset.id, asset.symbol, None, None, "", NONE_HELD)
        return Latest(asset.id, asset.symbol, price.usd, price.time, price.source, price.note)
    if price is None or not price.source:
        # One that is a dollar by assumption alone is not better than what is held of it.
        price = Price(own.price_usd, own.time, own.data_source or "prices")
    return Latest(
        asset.id,
        asset.symbol,
        price.usd,
        price.time,
        price.source,
        price.note,
        own.market_cap_usd,
        own.volume_24h_usd,
        own.percent_change_1h,
        own.percent_change_24h,
        own.percent_change_7d,
        own.rank,
    )
