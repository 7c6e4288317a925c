"""What happens on a pair between candles: its quotes, its public trades and its order books."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import Field

from seawall.api.bodies import Figure, Time, Told
from seawall.api.deps import Bound, Reader
from seawall.api.operations import routes
from seawall.api.paging import Asked, Page, Paged, read_time
from seawall.api.sorting import Listed, Sorts, read_integer
from seawall.api.v1.market.asked import Id, Range, Ranged, find_symbol
from seawall.db.session import raw_connection
from seawall.market.browse.schemas import Within
from seawall.market.browse.store import pages
from seawall.market.browse.store.pages import Ticks

router = routes("", "market")
M = TypeVar("M", bound=Told)
_BY_TIME: Sorts = {"time": {"time": read_time}}
_BY_TRADE: Sorts = {"time": {"time": read_time, "trade_id": read_integer}}


@dataclass(frozen=True, slots=True)
class _Series(Generic[M]):
    """A series of a pair: where it is read, how it is shown and how it is sorted."""

    ticks: Ticks
    model: type[M]
    sorts: Sorts

    async def page(self, bound: Bound, symbol_id: int, asked: Asked, range_: Range) -> Page[M]:
        pair = await find_symbol(await raw_connection(bound.session), symbol_id)
        listed, within = Listed(asked, range_.sort, self.sorts), Within(range_.since, range_.until)
        session, which = bound.session, (self.ticks, pair.id, within)
        rows = await pages.page_ticks(session, *which, listed.span())
        return await listed.page(self.model, rows, lambda: pages.count_ticks(session, *which))


class Trade(Told):
    """One public trade; `side` is the taker's: 1 bought, -1 sold, null is not given."""

    time: Time
    trade_id: int = Field(examples=[123456])
    side: int | None
    price: float
    quantity: float
    venue_trade_id: str | None = Field(description="The venue's id, where that is no number.")
    ingested_at: Time


_TRADES = _Series(pages.TRADES, Trade, _BY_TRADE)


@router.get("/symbols/{symbol_id}/trades", operation_id="listMarketTrades")
async def list_trades(bound: Reader, symbol_id: Id, asked: Paged, range_: Ranged) -> Page[Trade]:
    """List the public trades of a pair from `since` to before `until`."""
    return await _TRADES.page(bound, symbol_id, asked, range_)


class Book(Told):
    """Both sides at an instant: [price, amount] of each level, the best first."""

    time: Time
    bids: list[list[float]] = Field(examples=[[[42000.0, 0.5]]])
    asks: list[list[float]] = Field(examples=[[[42001.0, 0.25]]])
    sequence: int | None = Field(description="The venue's number of the last update in it.")
    ingested_at: Time


_BOOKS = _Series(pages.BOOKS, Book, _BY_TIME)


@router.get("/symbols/{symbol_id}/books", operation_id="listOrderBooks")
async def list_books(bound: Reader, symbol_id: Id, asked: Paged, range_: Ranged) -> Page[Book]:
    """List the order books of a pair from `since` to before `until`."""
    return await _BOOKS.page(bound, symbol_id, asked, range_)


class Quote(Told):
    """The best bid and ask at an instant; a side that was empty is null."""

    time: Time
    bid_price: Figure
    bid_size: Figure
    ask_price: Figure
    ask_size: Figure
    last_price: Figure
    last_size: Figure
    ingested_at: Time


_QUOTES = _Series(pages.QUOTES, Quote, _BY_TIME)


@router.get("/symbols/{symbol_id}/quotes", operation_id="listQuotes")
async def list_quotes(bound: Reader, symbol_id: Id, asked: Paged, range_: Ranged) -> Page[Quote]:
    """List the quotes of a pair from `since` to before `until`."""
    return await _QUOTES.page(bound, symbol_id, asked, range_)
