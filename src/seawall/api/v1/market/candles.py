"""Candles of a pair: as columns, in one answer however many a month has."""

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import Field

from seawall.api.bodies import Figure, Time, Told
from seawall.api.columns import OTHERS
from seawall.api.deps import QuickReader
from seawall.api.operations import routes
from seawall.api.v1.market.asked import Id, find_symbol
from seawall.api.v1.market.stretches import Shown, Stretched, respond
from seawall.market.browse.store.columns import CANDLE_COLUMNS, read_candles
from seawall.market.schemas import Timeframe

router = routes("", "market")


class CandleColumns(Told):
    """A list for each column, all of the same length; null is what its source left out."""

    time: list[Time] = Field(default_factory=list, description="When each opened.")
    open: list[float] = Field(default_factory=list)
    high: list[float] = Field(default_factory=list)
    low: list[float] = Field(default_factory=list)
    close: list[float] = Field(default_factory=list)
    volume: list[Figure] = Field(default_factory=list, description="In the base.")
    quote_volume: list[Figure] = Field(default_factory=list, description="In the quote.")
    trade_count: list[int | None] = Field(default_factory=list)


class Candles(Shown):
    """A stretch of the candles of a pair and a timeframe."""

    symbol_id: int
    symbol: str = Field(examples=["BTC/USDT"])
    exchange: str = Field(examples=["binance"])
    timeframe: str = Field(examples=["1h"])
    columns: CandleColumns


@router.get(
    "/symbols/{symbol_id}/candles",
    operation_id="listCandles",
    response_model=Candles,
    responses=OTHERS,
)
async def list_candles(
    quick: QuickReader,
    request: Request,
    symbol_id: Id,
    asked: Stretched,
    timeframe: Annotated[
        str, Query(max_length=10, description="How long each is.", examples=["1h"])
    ] = "1d",
) -> Response:
    """List the candles that opened from `since` to before `until`, as JSON, Arrow or CSV."""
    shown, read = asked.columns(CANDLE_COLUMNS)
    length = Timeframe.parse(timeframe)
    pair = await find_symbol(quick.connection, symbol_id)
    rows = await read_candles(quick.connection, pair.id, length, asked.within, asked.span, read)
    about = {
        "symbol_id": pair.id,
        "symbol": pair.symbol,
        "exchange": pair.exchange,
        "timeframe": str(length),
    }
    return await respond(request, asked, rows, shown, about)
