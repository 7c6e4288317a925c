"""Prices of assets in USD: the newest of many, and the history of one as it was known."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api.bodies import Figure, Time, Told
from seawall.api.columns import OTHERS
from seawall.api.deps import QuickReader, Reader
from seawall.api.operations import routes
from seawall.api.paging import MOST, Page, Paged
from seawall.api.sorting import Listed, Sorts, read_text
from seawall.api.v1.market.asked import Id, find_asset
from seawall.api.v1.market.stretches import Shown, Stretched, respond
from seawall.core.errors import InvalidError, NotFoundError, name_some
from seawall.market.browse.schemas import AssetFilter
from seawall.market.browse.store import pages
from seawall.market.browse.store.columns import PRICE_COLUMNS, read_price_history
from seawall.market.latest import latest_of
from seawall.market.store import AssetRecord, find_assets

router = routes("", "market")
_SORTS: Sorts = {"symbol": {"symbol": read_text}}


class LatestPrice(Told):
    """The newest price of an asset, as portfolios are valued; null with a note when there is none.

    From `market_cap_usd` on it is what the newest row of the asset's own prices says.
    """

    asset_id: int = Field(examples=[1])
    symbol: str = Field(examples=["BTC"])
    price_usd: Figure
    time: Time | None
    source: str = Field(examples=["binance BTC/USDT 1h"])
    note: str = Field(description="What was assumed, or why there is none.")
    market_cap_usd: Figure
    volume_24h_usd: Figure
    percent_change_1h: Figure
    percent_change_24h: Figure
    percent_change_7d: Figure
    rank: int | None


@router.get("/prices", operation_id="listLatestPrices")
async def list_latest(
    bound: Reader,
    asked: Paged,
    assets: Annotated[
        str | None,
        Query(
            max_length=4_000,
            pattern=r"^[^\x00]*$",
            description=f"The symbols of {MOST} assets at most, by commas; else of all.",
            examples=["BTC,ETH"],
        ),
    ] = None,
) -> Page[LatestPrice]:
    """List the newest prices of assets, by symbol."""
    symbols = None if assets is None else tuple(each.strip() for each in assets.split(","))
    if symbols is not None:
        await _require(bound.session, symbols)
    listed, wanted = Listed(asked, "symbol", _SORTS), AssetFilter(symbols=symbols)
    found = await pages.page_assets(bound.session, wanted, listed.span())
    records = [AssetRecord(each.id, each.symbol, each.kind, each.is_simulated) for each in found]
    priced = await latest_of(bound.session, records, bound.desk.clock())
    return await listed.page(LatestPrice, priced, lambda: pages.count_assets(bound.session, wanted))


async def _require(session: AsyncSession, symbols: Sequence[str]) -> None:
    if len(symbols) > MOST:
        raise InvalidError(f"{len(symbols)} assets are too many.", hint=f"Name {MOST} at most.")
    unknown = sorted(set(symbols) - (await find_assets(session, symbols)).keys())
    if unknown:
        raise NotFoundError(f"There is no asset {name_some(unknown)}.")


class PriceColumns(Told):
    """A list for each column, all of the same length; null is what its source left out."""

    time: list[Time] = Field(default_factory=list, description="From when on it is known.")
    price_usd: list[float] = Field(default_factory=list)
    market_cap_usd: list[Figure] = Field(default_factory=list)
    volume_24h_usd: list[Figure] = Field(default_factory=list)


class Prices(Shown):
    """A stretch of the prices of an asset."""

    asset_id: int
    symbol: str = Field(examples=["SP500"])
    columns: PriceColumns


@router.get(
    "/assets/{asset_id}/prices",
    operation_id="listPriceHistory",
    response_model=Prices,
    responses=OTHERS,
)
async def list_history(
    quick: QuickReader, request: Request, asset_id: Id, asked: Stretched
) -> Response:
    """List the prices of an asset from `since` to before `until`, as JSON, Arrow or CSV."""
    shown, read = asked.columns(PRICE_COLUMNS)
    asset = await find_asset(quick.connection, asset_id)
    rows = await read_price_history(quick.connection, asset.id, asked.within, asked.span, read)
    about = {"asset_id": asset.id, "symbol": asset.symbol}
    return await respond(request, asked, rows, shown, about)
