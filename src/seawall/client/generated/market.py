"""Market: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Accept, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Something with a price; `rank` to `volume_24h` are as its newest price says, in USD."""

    id: int
    symbol: str
    name: str
    kind: str
    is_simulated: bool
    is_active: bool
    coingecko_id: str | None
    blockchain: str | None
    contract_address: str | None
    decimals: int | None
    description: str
    rank: int | None
    market_cap: float | None
    circulating_supply: float | None
    total_supply: float | None
    max_supply: float | None
    current_price_usd: float | None
    price_change_24h: float | None
    price_change_percentage_24h: float | None
    volume_24h: float | None
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
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BestPrices:
    """The best bid and ask at an instant; a side that was empty is null."""

    time: datetime
    bid_price: float | None
    bid_size: float | None
    ask_price: float | None
    ask_size: float | None
    last_price: float | None
    last_size: float | None
    ingested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleColumns:
    """A list for each column, all of the same length; null is what its source left out."""

    time: list[datetime] | None = None
    open: list[float] | None = None
    high: list[float] | None = None
    low: list[float] | None = None
    close: list[float] | None = None
    volume: list[float | None] | None = None
    quote_volume: list[float | None] | None = None
    trade_count: list[int | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageGap:
    """A stretch that is missing."""

    start: datetime
    end: datetime
    missing: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A venue, or another publisher of prices."""

    id: int
    code: str
    name: str | None
    status: str
    website_url: str | None
    country_code: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestPrice:
    """The newest price of an asset, as portfolios are valued; null with a note when there is none.

    From `market_cap_usd` on it is what the newest row of the asset's own prices says.
    """

    asset_id: int
    symbol: str
    price_usd: float | None
    time: datetime | None
    source: str
    note: str
    market_cap_usd: float | None
    volume_24h_usd: float | None
    percent_change_1h: float | None
    percent_change_24h: float | None
    percent_change_7d: float | None
    rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBook:
    """Both sides at an instant: [price, amount] of each level, the best first."""

    time: datetime
    bids: list[list[float]]
    asks: list[list[float]]
    sequence: int | None
    ingested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceColumns:
    """A list for each column, all of the same length; null is what its source left out."""

    time: list[datetime] | None = None
    price_usd: list[float] | None = None
    market_cap_usd: list[float | None] | None = None
    volume_24h_usd: list[float | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTrade:
    """One public trade; `side` is the taker's: 1 bought, -1 sold, null is not given."""

    time: datetime
    trade_id: int
    side: int | None
    price: float
    quantity: float
    venue_trade_id: str | None
    ingested_at: datetime


SeriesKind = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A pair on an exchange; order sizes are quantities of the base.

    Precisions are decimal places; below 0 they are powers of ten: -3 is whole thousands.
    """

    id: int
    symbol: str
    exchange: str
    base: str
    quote: str
    base_asset_id: int
    quote_asset_id: int
    is_simulated: bool
    status: str
    min_order_size: Decimal | None
    max_order_size: Decimal | None
    price_precision: int | None
    quantity_precision: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetPage:
    """A page of a list."""

    items: list[Asset]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BestPricesPage:
    """A page of a list."""

    items: list[BestPrices]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """A stretch of the candles of a pair and a timeframe."""

    since: datetime | None
    until: datetime | None
    known_at: datetime | None
    rows: int
    next_since: datetime | None
    next_until: datetime | None
    symbol_id: int
    symbol: str
    exchange: str
    timeframe: str
    columns: CandleColumns


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What is held of a series; null where nothing can be said to be missing, as of trades."""

    id: int
    kind: SeriesKind
    symbol: str
    exchange: str
    symbol_id: int | None
    asset_id: int | None
    timeframe: str | None
    is_simulated: bool
    rows: int
    first_time: datetime
    last_time: datetime
    missing: int | None
    gap_count: int | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageGapPage:
    """A page of a list."""

    items: list[CoverageGap]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangePage:
    """A page of a list."""

    items: list[Exchange]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestPricePage:
    """A page of a list."""

    items: list[LatestPrice]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderBookPage:
    """A page of a list."""

    items: list[OrderBook]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHistory:
    """A stretch of the prices of an asset."""

    since: datetime | None
    until: datetime | None
    known_at: datetime | None
    rows: int
    next_since: datetime | None
    next_until: datetime | None
    asset_id: int
    symbol: str
    columns: PriceColumns


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTradePage:
    """A page of a list."""

    items: list[PublicTrade]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolPage:
    """A page of a list."""

    items: list[Symbol]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveragePage:
    """A page of a list."""

    items: list[Coverage]
    next_cursor: str | None = None
    total: int | None = None


class MarketOperations(Connection):
    """What the API does about market."""

    def get_asset(self, asset_id: int) -> Asset:
        """Tell of an asset."""
        request = Request("GET", f"/api/v1/assets/{asset_id}")
        return self.send(request, TypeAdapter(Asset))

    def get_coverage(self, coverage_id: int) -> Coverage:
        """Tell what is held of a series."""
        request = Request("GET", f"/api/v1/coverage/{coverage_id}")
        return self.send(request, TypeAdapter(Coverage))

    def get_symbol(self, symbol_id: int) -> Symbol:
        """Tell of a pair."""
        request = Request("GET", f"/api/v1/symbols/{symbol_id}")
        return self.send(request, TypeAdapter(Symbol))

    def list_assets(
        self,
        *,
        sort: Literal[
            "symbol", "-symbol", "name", "-name", "rank", "-rank", "created_at", "-created_at"
        ]
        | Omitted
        | None = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
        search: str | Omitted | None = OMITTED,
        symbol: str | Omitted | None = OMITTED,
        kind: Literal["crypto", "stablecoin", "fiat", "index", "commodity"]
        | Omitted
        | None = OMITTED,
        blockchain: str | Omitted | None = OMITTED,
        is_active: bool | Omitted | None = OMITTED,
    ) -> AssetPage:
        """List assets, or those that a search finds."""
        request = Request(
            "GET",
            "/api/v1/assets",
            query={
                "sort": sort,
                "limit": limit,
                "cursor": cursor,
                "total": total,
                "search": search,
                "symbol": symbol,
                "kind": kind,
                "blockchain": blockchain,
                "is_active": is_active,
            },
        )
        return self.send(request, TypeAdapter(AssetPage))

    def list_candles(
        self,
        symbol_id: int,
        *,
        timeframe: str | Omitted = OMITTED,
        known_at: datetime | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        sort: Literal["time", "-time"] | Omitted = OMITTED,
    ) -> Candles:
        """List the candles that opened from `since` to before `until`, as JSON, Arrow or CSV."""
        request = Request(
            "GET",
            f"/api/v1/symbols/{symbol_id}/candles",
            query={
                "timeframe": timeframe,
                "known_at": known_at,
                "limit": limit,
                "since": since,
                "until": until,
                "sort": sort,
            },
        )
        return self.send(request, TypeAdapter(Candles))

    def list_candles_as(
        self,
        symbol_id: int,
        accept: Accept,
        *,
        timeframe: str | Omitted = OMITTED,
        known_at: datetime | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        sort: Literal["time", "-time"] | Omitted = OMITTED,
    ) -> bytes:
        """List the candles that opened from `since` to before `until`, as JSON, Arrow or CSV."""
        request = Request(
            "GET",
            f"/api/v1/symbols/{symbol_id}/candles",
            query={
                "timeframe": timeframe,
                "known_at": known_at,
                "limit": limit,
                "since": since,
                "until": until,
                "sort": sort,
            },
            headers={"Accept": accept},
        )
        return self.raw(request).content

    def list_coverage(
        self,
        *,
        symbol: str | Omitted | None = OMITTED,
        exchange: str | Omitted | None = OMITTED,
        kind: Literal["candles", "quotes", "trades", "prices"] | Omitted | None = OMITTED,
        sort: Literal["symbol", "-symbol"] | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> CoveragePage:
        """List what is held; `symbol` is an asset, a pair, or the base of pairs."""
        request = Request(
            "GET",
            "/api/v1/coverage",
            query={
                "symbol": symbol,
                "exchange": exchange,
                "kind": kind,
                "sort": sort,
                "limit": limit,
                "cursor": cursor,
                "total": total,
            },
        )
        return self.send(request, TypeAdapter(CoveragePage))

    def list_exchanges(
        self,
        *,
        sort: Literal["code", "-code"] | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> ExchangePage:
        """List exchanges."""
        request = Request(
            "GET",
            "/api/v1/exchanges",
            query={"sort": sort, "limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(ExchangePage))

    def list_gaps(
        self,
        coverage_id: int,
        *,
        sort: Literal["start", "-start", "missing", "-missing"] | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> CoverageGapPage:
        """List what is missing from a series, and why."""
        request = Request(
            "GET",
            f"/api/v1/coverage/{coverage_id}/gaps",
            query={"sort": sort, "limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(CoverageGapPage))

    def list_latest_prices(
        self,
        *,
        assets: str | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> LatestPricePage:
        """List the newest prices of assets, by symbol."""
        request = Request(
            "GET",
            "/api/v1/prices",
            query={"assets": assets, "limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(LatestPricePage))

    def list_market_trades(
        self,
        symbol_id: int,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        sort: Literal["time", "-time"] | Omitted = OMITTED,
    ) -> PublicTradePage:
        """List the public trades of a pair from `since` to before `until`."""
        request = Request(
            "GET",
            f"/api/v1/symbols/{symbol_id}/trades",
            query={
                "limit": limit,
                "cursor": cursor,
                "total": total,
                "since": since,
                "until": until,
                "sort": sort,
            },
        )
        return self.send(request, TypeAdapter(PublicTradePage))

    def list_order_books(
        self,
        symbol_id: int,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        sort: Literal["time", "-time"] | Omitted = OMITTED,
    ) -> OrderBookPage:
        """List the order books of a pair from `since` to before `until`."""
        request = Request(
            "GET",
            f"/api/v1/symbols/{symbol_id}/books",
            query={
                "limit": limit,
                "cursor": cursor,
                "total": total,
                "since": since,
                "until": until,
                "sort": sort,
            },
        )
        return self.send(request, TypeAdapter(OrderBookPage))

    def list_price_history(
        self,
        asset_id: int,
        *,
        known_at: datetime | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        sort: Literal["time", "-time"] | Omitted = OMITTED,
    ) -> PriceHistory:
        """List the prices of an asset from `since` to before `until`, as JSON, Arrow or CSV."""
        request = Request(
            "GET",
            f"/api/v1/assets/{asset_id}/prices",
            query={
                "known_at": known_at,
                "limit": limit,
                "since": since,
                "until": until,
                "sort": sort,
            },
        )
        return self.send(request, TypeAdapter(PriceHistory))

    def list_price_history_as(
        self,
        asset_id: int,
        accept: Accept,
        *,
        known_at: datetime | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        sort: Literal["time", "-time"] | Omitted = OMITTED,
    ) -> bytes:
        """List the prices of an asset from `since` to before `until`, as JSON, Arrow or CSV."""
        request = Request(
            "GET",
            f"/api/v1/assets/{asset_id}/prices",
            query={
                "known_at": known_at,
                "limit": limit,
                "since": since,
                "until": until,
                "sort": sort,
            },
            headers={"Accept": accept},
        )
        return self.raw(request).content

    def list_quotes(
        self,
        symbol_id: int,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        sort: Literal["time", "-time"] | Omitted = OMITTED,
    ) -> BestPricesPage:
        """List the quotes of a pair from `since` to before `until`."""
        request = Request(
            "GET",
            f"/api/v1/symbols/{symbol_id}/quotes",
            query={
                "limit": limit,
                "cursor": cursor,
                "total": total,
                "since": since,
                "until": until,
                "sort": sort,
            },
        )
        return self.send(request, TypeAdapter(BestPricesPage))

    def list_symbols(
        self,
        *,
        sort: Literal["symbol", "-symbol", "exchange", "-exchange", "created_at", "-created_at"]
        | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
        symbol: str | Omitted | None = OMITTED,
        exchange: str | Omitted | None = OMITTED,
        base: str | Omitted | None = OMITTED,
        quote: str | Omitted | None = OMITTED,
        status: str | Omitted | None = OMITTED,
    ) -> SymbolPage:
        """List pairs."""
        request = Request(
            "GET",
            "/api/v1/symbols",
            query={
                "sort": sort,
                "limit": limit,
                "cursor": cursor,
                "total": total,
                "symbol": symbol,
                "exchange": exchange,
                "base": base,
                "quote": quote,
                "status": status,
            },
        )
        return self.send(request, TypeAdapter(SymbolPage))
