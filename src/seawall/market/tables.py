"""The tables of market data: what can be traded, and its series."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import Base, BigInt, ChangedIn, CreatedAt, Money, UpdatedAt
from seawall.market import checks

LINKS = (
    "logo_url",
    "website_url",
    "whitepaper_url",
    "github_url",
    "twitter_url",
    "reddit_url",
    "telegram_url",
    "discord_url",
)
SEARCHED = "to_tsvector('simple'::regconfig, (symbol || ' '::text) || name)"
"""What an asset is found by; a search has to say the same for its index to answer."""


class Asset(Base):
    """Something with a price: a coin, a currency, an index.

    `rank` to `volume_24h` are as its newest price says, in USD and percent.
    """

    __tablename__ = "assets"
    __table_args__ = (
        CheckConstraint("symbol = upper(symbol) AND symbol <> ''", name="symbol_upper"),
        CheckConstraint(
            "kind IN ('crypto', 'stablecoin', 'fiat', 'index', 'commodity')", name="kind"
        ),
        CheckConstraint(checks.length("coingecko_id", 100), name="coingecko_id"),
        CheckConstraint(checks.length("blockchain", 50), name="blockchain"),
        CheckConstraint(
            "contract_address IS NULL"
            " OR blockchain IS NOT NULL AND length(contract_address) BETWEEN 1 AND 255",
            name="contract_address",
        ),
        CheckConstraint("decimals BETWEEN 0 AND 36", name="decimals"),
        CheckConstraint("rank > 0", name="rank"),
        CheckConstraint(
            checks.amount(
                "market_cap", "circulating_supply", "total_supply", "max_supply", "volume_24h"
            ),
            name="amounts",
        ),
        CheckConstraint(checks.price("current_price_usd"), name="price"),
        CheckConstraint(
            f"{checks.finite('price_change_24h')}"
            f" AND {checks.percent_change('price_change_percentage_24h')}",
            name="changes",
        ),
        CheckConstraint(
            "audit_status IN ('audited', 'unaudited', 'known_issues')", name="audit_status"
        ),
        CheckConstraint("team_status IN ('doxxed', 'anonymous', 'partial')", name="team_status"),
        CheckConstraint("exchange_listings_count >= 0", name="exchange_listings_count"),
        *(CheckConstraint(checks.link(link), name=link) for link in LINKS),
        Index(
            "uq_assets_contract",
            "blockchain",
            "contract_address",
            unique=True,
            postgresql_where=text("contract_address IS NOT NULL"),
        ),
        Index("idx_assets_search", text(SEARCHED), postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    symbol: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[str]
    is_simulated: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
    coingecko_id: Mapped[str | None] = mapped_column(unique=True)
    blockchain: Mapped[str | None]
    contract_address: Mapped[str | None]
    decimals: Mapped[int | None] = mapped_column(SmallInteger())
    description: Mapped[str] = mapped_column(server_default="")
    is_active: Mapped[bool] = mapped_column(server_default="true")
    rank: Mapped[int | None]
    market_cap: Mapped[float | None]
    circulating_supply: Mapped[float | None]
    total_supply: Mapped[float | None]
    max_supply: Mapped[float | None]
    current_price_usd: Mapped[float | None]
    price_change_24h: Mapped[float | None]
    price_change_percentage_24h: Mapped[float | None]
    volume_24h: Mapped[float | None]
    audit_status: Mapped[str | None]
    team_status: Mapped[str | None]
    exchange_listings_count: Mapped[int | None]
    logo_url: Mapped[str | None]
    website_url: Mapped[str | None]
    whitepaper_url: Mapped[str | None]
    github_url: Mapped[str | None]
    twitter_url: Mapped[str | None]
    reddit_url: Mapped[str | None]
    telegram_url: Mapped[str | None]
    discord_url: Mapped[str | None]
    updated_at: Mapped[UpdatedAt]


class Exchange(Base):
    """A venue, or another publisher of prices."""

    __tablename__ = "exchanges"
    __table_args__ = (
        CheckConstraint(checks.length("name", 100), name="name"),
        CheckConstraint(checks.STATUS, name="status"),
        CheckConstraint(checks.link("website_url"), name="website_url"),
        CheckConstraint("country_code ~ '^[A-Z]{2}$'", name="country_code"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]
    name: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    website_url: Mapped[str | None]
    country_code: Mapped[str | None]
    updated_at: Mapped[UpdatedAt]


class Symbol(Base):
    """A pair on an exchange.

    Order sizes are quantities of the base. Precisions are decimal places of a price and of a
    quantity; below 0 they are powers of ten: -3 is whole thousands.
    """

    __tablename__ = "symbols"
    __table_args__ = (
        UniqueConstraint("exchange_id", "base_asset_id", "quote_asset_id", name="uq_symbols_pair"),
        UniqueConstraint("exchange_id", "symbol", name="uq_symbols_symbol"),
        CheckConstraint("base_asset_id <> quote_asset_id", name="two_assets"),
        CheckConstraint(checks.STATUS, name="status"),
        CheckConstraint(
            f"{checks.amount('min_order_size')} AND {checks.price('max_order_size')}"
            " AND min_order_size <= max_order_size",
            name="order_sizes",
        ),
        CheckConstraint(
            "price_precision BETWEEN -18 AND 18 AND quantity_precision BETWEEN -18 AND 18",
            name="precisions",
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    exchange_id: Mapped[int] = mapped_column(
        ForeignKey("exchanges.id", name="fk_symbols_exchanges")
    )
    base_asset_id: Mapped[int] = mapped_column(
        ForeignKey("assets.id", name="fk_symbols_base_assets"), index=True
    )
    quote_asset_id: Mapped[int] = mapped_column(
        ForeignKey("assets.id", name="fk_symbols_quote_assets"), index=True
    )
    symbol: Mapped[str]
    created_at: Mapped[CreatedAt]
    status: Mapped[str] = mapped_column(server_default="active")
    min_order_size: Mapped[Decimal | None] = mapped_column(Money)
    max_order_size: Mapped[Decimal | None] = mapped_column(Money)
    price_precision: Mapped[int | None] = mapped_column(SmallInteger())
    quantity_precision: Mapped[int | None] = mapped_column(SmallInteger())
    updated_at: Mapped[UpdatedAt]


class _CandleValues:
    """What a candle says, now or before it was revised."""

    open: Mapped[float]
    high: Mapped[float]
    low: Mapped[float]
    close: Mapped[float]
    volume: Mapped[float | None]
    quote_volume: Mapped[float | None]
    trade_count: Mapped[int | None] = mapped_column(BigInteger())
    ingested_at: Mapped[datetime]


class Candle(_CandleValues, Base):
    """One candle as it is known now; `time` is its open time, `timeframe` its seconds."""

    __tablename__ = "candles"
    __table_args__ = (
        CheckConstraint(
            "low > 0 AND low <= least(open, close) AND high >= greatest(open, close)"
            " AND high < 'Infinity'",
            name="prices",
        ),
        CheckConstraint(checks.amount("volume"), name="volume"),
        CheckConstraint(checks.amount("quote_volume"), name="quote_volume"),
        CheckConstraint("trade_count >= 0", name="trade_count"),
        CheckConstraint("timeframe > 0", name="timeframe"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    timeframe: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)


class CandleRevision(_CandleValues, Base):
    """A candle as it was known until it was superseded."""

    __tablename__ = "candle_revisions"
    __table_args__ = ({"postgresql_partition_by": "RANGE (time)"},)

    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    timeframe: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    superseded_at: Mapped[datetime] = mapped_column(primary_key=True)


class PriceHistory(Base):
    """An asset's price in USD, at the instant from which it is known.

    What its source said of the market at that instant goes with it: in USD, percent and coins.
    """

    __tablename__ = "price_history"
    __table_args__ = (
        CheckConstraint(checks.price("price_usd"), name="price"),
        CheckConstraint(
            checks.amount("market_cap_usd", "volume_24h_usd", "circulating_supply", "max_supply"),
            name="amounts",
        ),
        CheckConstraint(
            checks.percent_change("percent_change_1h", "percent_change_24h", "percent_change_7d")
            + f" AND {checks.finite('price_change_24h')}",
            name="changes",
        ),
        CheckConstraint(
            f"{checks.price('low_24h', 'high_24h')} AND low_24h <= high_24h", name="range"
        ),
        CheckConstraint("rank > 0", name="rank"),
        CheckConstraint(checks.length("data_source", 50), name="data_source"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    asset_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    price_usd: Mapped[float]
    ingested_at: Mapped[datetime]
    market_cap_usd: Mapped[float | None]
    volume_24h_usd: Mapped[float | None]
    percent_change_1h: Mapped[float | None]
    percent_change_24h: Mapped[float | None]
    percent_change_7d: Mapped[float | None]
    price_change_24h: Mapped[float | None]
    high_24h: Mapped[float | None]
    low_24h: Mapped[float | None]
    rank: Mapped[int | None]
    circulating_supply: Mapped[float | None]
    max_supply: Mapped[float | None]
    data_source: Mapped[str | None]


class PriceRevision(Base):
    """A price as it was known until it was superseded."""

    __tablename__ = "price_revisions"
    __table_args__ = ({"postgresql_partition_by": "RANGE (time)"},)

    asset_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    price_usd: Mapped[float]
    ingested_at: Mapped[datetime]
    superseded_at: Mapped[datetime] = mapped_column(primary_key=True)


class Quote(Base):
    """The best bid and ask of a pair at an instant, and its last trade; an empty side is NULL."""

    __tablename__ = "quotes"
    __table_args__ = (
        CheckConstraint(checks.price("bid_price", "ask_price", "last_price"), name="prices"),
        CheckConstraint(checks.amount("bid_size", "ask_size", "last_size"), name="sizes"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    bid_price: Mapped[float | None]
    bid_size: Mapped[float | None]
    ask_price: Mapped[float | None]
    ask_size: Mapped[float | None]
    ingested_at: Mapped[datetime]
    last_price: Mapped[float | None]
    last_size: Mapped[float | None]


class MarketTrade(Base):
    """One public trade of a pair; `side` is the taker's: 1 buy, -1 sell, NULL not given.

    `venue_trade_id` is the venue's own id where that is no number; `trade_id` is then the first
    eight bytes of its SHA-256, as a signed integer.
    """

    __tablename__ = "market_trades"
    __table_args__ = (
        CheckConstraint("side IN (-1, 1)", name="side"),
        CheckConstraint(checks.price("price", "quantity"), name="amounts"),
        CheckConstraint(checks.length("venue_trade_id", 100), name="venue_trade_id"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    trade_id: Mapped[BigInt] = mapped_column(primary_key=True, autoincrement=False)
    side: Mapped[int | None] = mapped_column(SmallInteger())
    price: Mapped[float]
    quantity: Mapped[float]
    ingested_at: Mapped[datetime]
    venue_trade_id: Mapped[str | None]


class OrderBook(Base):
    """A level 2 snapshot of a pair: both sides as arrays of [price, amount], the best first.

    `sequence` is the venue's number of the update that it was taken after.
    """

    __tablename__ = "order_books"
    __table_args__ = (
        CheckConstraint(checks.levels("bids"), name="bids"),
        CheckConstraint(checks.levels("asks"), name="asks"),
        CheckConstraint("sequence >= 0", name="sequence"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    bids: Mapped[list[Any]]
    asks: Mapped[list[Any]]
    sequence: Mapped[int | None] = mapped_column(BigInteger())
    ingested_at: Mapped[datetime]


class SocialSentiment(Base):
    """What a source made of the talk about an asset; scores and shares are of 100."""

    __tablename__ = "social_sentiment_history"
    __table_args__ = (
        CheckConstraint(
            checks.score(
                "social_score", "sentiment_positive", "sentiment_negative", "sentiment_neutral"
            ),
            name="scores",
        ),
        CheckConstraint("mentions_count >= 0 AND influencer_mentions_count >= 0", name="counts"),
        CheckConstraint(checks.length("data_source", 50), name="data_source"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    asset_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    data_source: Mapped[str] = mapped_column(primary_key=True)
    social_score: Mapped[float | None]
    sentiment_positive: Mapped[float | None]
    sentiment_negative: Mapped[float | None]
    sentiment_neutral: Mapped[float | None]
    mentions_count: Mapped[int | None]
    influencer_mentions_count: Mapped[int | None]
    ingested_at: Mapped[datetime]


class OnchainFigure(Base):
    """One figure of an asset's blockchain at an instant: active_addresses, transfer_value_usd."""

    __tablename__ = "onchain_history"
    __table_args__ = (
        CheckConstraint("metric ~ '^[a-z][a-z0-9_]{0,49}$'", name="metric"),
        CheckConstraint(checks.finite("value"), name="value"),
        CheckConstraint(checks.length("data_source", 50), name="data_source"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    asset_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    metric: Mapped[str] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float]
    data_source: Mapped[str]
    ingested_at: Mapped[datetime]


class DataCoverage(Base):
    """What is held of one series, and how much is missing in between."""

    __tablename__ = "data_coverage"
    __table_args__ = (
        UniqueConstraint(
            "kind",
            "asset_id",
            "symbol_id",
            "timeframe",
            name="uq_data_coverage_series",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("(asset_id IS NULL) <> (symbol_id IS NULL)", name="one_subject"),
        CheckConstraint("kind IN ('candles', 'quotes', 'trades', 'prices')", name="kind"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    asset_id: Mapped[int | None] = mapped_column(
        ForeignKey("assets.id", name="fk_data_coverage_assets"), index=True
    )
    symbol_id: Mapped[int | None] = mapped_column(
        ForeignKey("symbols.id", name="fk_data_coverage_symbols"), index=True
    )
    timeframe: Mapped[int | None]
    rows: Mapped[BigInt]
    first_time: Mapped[datetime]
    last_time: Mapped[datetime]
    missing: Mapped[BigInt]
    updated_at: Mapped[datetime]
    changed_in: Mapped[ChangedIn]


class DataGap(Base):
    """A stretch that is missing from a series: its first missing time, the next held, and why."""

    __tablename__ = "data_gaps"
    __table_args__ = (
        CheckConstraint("start_time < end_time AND missing > 0", name="range"),
        CheckConstraint("reason IN ('absent_in_source', 'not_imported', 'expired')", name="reason"),
    )

    coverage_id: Mapped[int] = mapped_column(
        ForeignKey("data_coverage.id", name="fk_data_gaps_data_coverage", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    start_time: Mapped[datetime] = mapped_column(primary_key=True)
    end_time: Mapped[datetime]
    missing: Mapped[BigInt]
    reason: Mapped[str]
