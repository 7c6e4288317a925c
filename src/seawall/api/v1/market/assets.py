"""Assets: searched, listed, and one by one."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Response
from pydantic import Field

from seawall.api.bodies import Figure, Time, Told, tagged
from seawall.api.deps import IfNoneMatch, QuickReader, Reader
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, read_time
from seawall.api.sorting import Listed, Sorts, read_small, read_text
from seawall.api.v1.market.asked import Id, Name, find_asset
from seawall.market.browse.schemas import AssetFilter
from seawall.market.browse.store import pages

router = routes("", "market")
Kind = Literal["crypto", "stablecoin", "fiat", "index", "commodity"]
_Sort = Literal["symbol", "-symbol", "name", "-name", "rank", "-rank", "created_at", "-created_at"]
_SORTS: Sorts = {
    "symbol": {"symbol": read_text},
    "name": {"name": read_text, "symbol": read_text},
    "rank": {"rank": read_small, "symbol": read_text},
    "created_at": {"created_at": read_time, "symbol": read_text},
}


class Asset(Told):
    """Something with a price; `rank` to `volume_24h` are as its newest price says, in USD."""

    id: int = Field(examples=[1])
    symbol: str = Field(examples=["BTC"])
    name: str = Field(examples=["Bitcoin"])
    kind: Kind
    is_simulated: bool = Field(description="Whether its prices are made up.")
    is_active: bool
    coingecko_id: str | None = Field(examples=["bitcoin"])
    blockchain: str | None
    contract_address: str | None
    decimals: int | None
    description: str
    rank: int | None
    market_cap: Figure
    circulating_supply: Figure
    total_supply: Figure
    max_supply: Figure
    current_price_usd: Figure
    price_change_24h: Figure = Field(description="In USD.")
    price_change_percentage_24h: Figure = Field(description="In per cent.")
    volume_24h: Figure
    audit_status: str | None
    team_status: str | None
    exchange_listings_count: int | None
    logo_url: str | None
    website_url: str | None
    whitepaper_url: str | None
    github_url: str | None
    twitter_url: str | None
    reddit_url: str | None
    telegram_url: str | None
    discord_url: str | None
    created_at: Time
    updated_at: Time


async def _read_filter(
    search: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            description="Words that begin those of symbol and name.",
            examples=["bit"],
        ),
    ] = None,
    symbol: Name = None,
    kind: Kind | None = None,
    blockchain: Name = None,
    is_active: bool | None = None,  # noqa: FBT001 - a query's parameter
) -> AssetFilter:
    return AssetFilter(search, symbol, kind, blockchain, is_active)


@router.get("/assets", operation_id="listAssets")
async def list_assets(
    bound: Reader,
    asked: Paged,
    wanted: Annotated[AssetFilter, Depends(_read_filter)],
    sort: Annotated[
        _Sort | None,
        Query(description="By symbol without it; what is searched, by rank. -name turns round."),
    ] = None,
) -> Page[Asset]:
    """List assets, or those that a search finds."""
    by = sort or ("symbol" if wanted.search is None else "rank")
    listed = Listed(asked, by, _SORTS)
    rows = await pages.page_assets(bound.session, wanted, listed.span())
    return await listed.page(Asset, rows, lambda: pages.count_assets(bound.session, wanted))


@router.get("/assets/{asset_id}", operation_id="getAsset", response_model=Asset)
async def get_asset(quick: QuickReader, asset_id: Id, known: IfNoneMatch = None) -> Response:
    """Tell of an asset."""
    return tagged(Asset.model_validate(await find_asset(quick.connection, asset_id)), known)
