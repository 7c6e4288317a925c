"""Symbols, which are pairs on exchanges, and the exchanges."""

from typing import Annotated, Literal

from fastapi import Depends, Query, Response
from pydantic import Field

from seawall.api.bodies import Money, Time, Told, tagged
from seawall.api.deps import IfNoneMatch, QuickReader, Reader
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, read_time
from seawall.api.sorting import Listed, Sorts, read_small, read_text
from seawall.api.v1.market.asked import Id, Name, find_symbol
from seawall.market.browse.schemas import SymbolFilter
from seawall.market.browse.store import pages

router = routes("", "market")
_Sort = Literal["symbol", "-symbol", "exchange", "-exchange", "created_at", "-created_at"]
_SORTS: Sorts = {
    "symbol": {"symbol": read_text, "exchange": read_text},
    "exchange": {"exchange": read_text, "symbol": read_text},
    "created_at": {"created_at": read_time, "id": read_small},
}
_CODES: Sorts = {"code": {"code": read_text}}


class Symbol(Told):
    """A pair on an exchange; order sizes are quantities of the base.

    Precisions are decimal places; below 0 they are powers of ten: -3 is whole thousands.
    """

    id: int = Field(examples=[1])
    symbol: str = Field(examples=["BTC/USDT"])
    exchange: str = Field(examples=["binance"])
    base: str = Field(examples=["BTC"])
    quote: str = Field(examples=["USDT"])
    base_asset_id: int
    quote_asset_id: int
    is_simulated: bool = Field(description="Whether its prices are made up.")
    status: str = Field(examples=["active"])
    min_order_size: Money | None
    max_order_size: Money | None
    price_precision: int | None
    quantity_precision: int | None
    created_at: Time
    updated_at: Time


async def _read_filter(
    symbol: Name = None,
    exchange: Name = None,
    base: Name = None,
    quote: Name = None,
    status: Name = None,
) -> SymbolFilter:
    return SymbolFilter(symbol, exchange, base, quote, status)


@router.get("/symbols", operation_id="listSymbols")
async def list_symbols(
    bound: Reader,
    asked: Paged,
    wanted: Annotated[SymbolFilter, Depends(_read_filter)],
    sort: Annotated[_Sort, Query(description="-created_at begins with the newest.")] = "symbol",
) -> Page[Symbol]:
    """List pairs."""
    listed = Listed(asked, sort, _SORTS)
    rows = await pages.page_symbols(bound.session, wanted, listed.span())
    return await listed.page(Symbol, rows, lambda: pages.count_symbols(bound.session, wanted))


@router.get("/symbols/{symbol_id}", operation_id="getSymbol", response_model=Symbol)
async def get_symbol(quick: QuickReader, symbol_id: Id, known: IfNoneMatch = None) -> Response:
    """Tell of a pair."""
    return tagged(Symbol.model_validate(await find_symbol(quick.connection, symbol_id)), known)


class Exchange(Told):
    """A venue, or another publisher of prices."""

    id: int = Field(examples=[1])
    code: str = Field(examples=["binance"])
    name: str | None
    status: str = Field(examples=["active"])
    website_url: str | None
    country_code: str | None = Field(examples=["MT"])
    created_at: Time
    updated_at: Time


@router.get("/exchanges", operation_id="listExchanges")
async def list_exchanges(
    bound: Reader, asked: Paged, sort: Literal["code", "-code"] = "code"
) -> Page[Exchange]:
    """List exchanges."""
    listed = Listed(asked, sort, _CODES)
    rows = await pages.page_exchanges(bound.session, listed.span())
    return await listed.page(Exchange, rows, lambda: pages.count_exchanges(bound.session))
