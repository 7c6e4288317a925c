"""What is read of the catalogue and the series, and by what it is chosen."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """All that the catalogue says of an asset; the fields are columns of its table."""

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


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which assets are wanted; words are beginnings of those in symbol and name."""

    search: str | None = None
    symbol: str | None = None
    kind: str | None = None
    blockchain: str | None = None
    is_active: bool | None = None
    symbols: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class SymbolFacts:
    """A pair on an exchange, and what the exchange asks of an order."""

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


@dataclass(frozen=True, slots=True)
class SymbolFilter:
    """Which pairs are wanted."""

    symbol: str | None = None
    exchange: str | None = None
    base: str | None = None
    quote: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class ExchangeFacts:
    """A venue, or another publisher of prices."""

    id: int
    code: str
    name: str | None
    status: str
    website_url: str | None
    country_code: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Within:
    """Which stretch of a series: from `since` to before `until`, as known at `known_at`.

    None is no bound; without `known_at` it is what is held now.
    """

    since: datetime | None = None
    until: datetime | None = None
    known_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TradeFacts:
    """One public trade; `side` is the taker's: 1 buy, -1 sell, None not given."""

    time: datetime
    trade_id: int
    side: int | None
    price: float
    quantity: float
    venue_trade_id: str | None
    ingested_at: datetime


@dataclass(frozen=True, slots=True)
class BookFacts:
    """A level 2 snapshot: [price, amount] of each level, the best first."""

    time: datetime
    bids: list[Any]
    asks: list[Any]
    sequence: int | None
    ingested_at: datetime


@dataclass(frozen=True, slots=True)
class QuoteFacts:
    """The best bid and ask at an instant; None is an empty side, or no trade that came with it."""

    time: datetime
    bid_price: float | None
    bid_size: float | None
    ask_price: float | None
    ask_size: float | None
    last_price: float | None
    last_size: float | None
    ingested_at: datetime


@dataclass(frozen=True, slots=True)
class CoverageFilter:
    """Of which series the coverage is wanted; a symbol is an asset's, a pair's or its base's."""

    symbol: str | None = None
    exchange: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class CoverageFacts:
    """What is held of a series, and how much is missing in between.

    `missing` and `gap_count` are None for a kind in which nothing can be said to be missing.
    """

    id: int
    kind: str
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


@dataclass(frozen=True, slots=True)
class GapFacts:
    """A stretch that is missing: its first missing time, the next that is held, and why."""

    start: datetime
    end: datetime
    missing: int
    reason: str
