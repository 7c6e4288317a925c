"""The tables of market data: what can be traded, and its series."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    SmallInteger,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import Base, BigInt, CreatedAt


class Asset(Base):
    """Something with a price: a coin, a currency, an index."""

    __tablename__ = "assets"
    __table_args__ = (
        CheckConstraint("symbol = upper(symbol) AND symbol <> ''", name="symbol_upper"),
        CheckConstraint(
            "kind IN ('crypto', 'stablecoin', 'fiat', 'index', 'commodity')", name="kind"
        ),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    symbol: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[str]
    is_simulated: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]


class Exchange(Base):
    """A venue, or another publisher of prices."""

    __tablename__ = "exchanges"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]


class Symbol(Base):
    """A pair on an exchange."""

    __tablename__ = "symbols"
    __table_args__ = (
        UniqueConstraint("exchange_id", "base_asset_id", "quote_asset_id", name="uq_symbols_pair"),
        CheckConstraint("base_asset_id <> quote_asset_id", name="two_assets"),
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
        CheckConstraint("volume >= 0 AND volume < 'Infinity'", name="volume"),
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
    """An asset's price in USD, at the instant from which it is known."""

    __tablename__ = "price_history"
    __table_args__ = (
        CheckConstraint("price_usd > 0 AND price_usd < 'Infinity'", name="price"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    asset_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    price_usd: Mapped[float]
    ingested_at: Mapped[datetime]


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
    """The best bid and ask of a pair at an instant; an empty side is NULL."""

    __tablename__ = "quotes"
    __table_args__ = (
        CheckConstraint("bid_price > 0 AND ask_price > 0", name="prices"),
        CheckConstraint("bid_size >= 0 AND ask_size >= 0", name="sizes"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    bid_price: Mapped[float | None]
    bid_size: Mapped[float | None]
    ask_price: Mapped[float | None]
    ask_size: Mapped[float | None]
    ingested_at: Mapped[datetime]


class MarketTrade(Base):
    """One public trade of a pair; `side` is the taker's: 1 buy, -1 sell, NULL not given."""

    __tablename__ = "market_trades"
    __table_args__ = (
        CheckConstraint("side IN (-1, 1)", name="side"),
        CheckConstraint("price > 0 AND quantity > 0", name="amounts"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    symbol_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    trade_id: Mapped[BigInt] = mapped_column(primary_key=True, autoincrement=False)
    side: Mapped[int | None] = mapped_column(SmallInteger())
    price: Mapped[float]
    quantity: Mapped[float]
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
        ForeignKey("assets.id", name="fk_data_coverage_assets")
    )
    symbol_id: Mapped[int | None] = mapped_column(
        ForeignKey("symbols.id", name="fk_data_coverage_symbols")
    )
    timeframe: Mapped[int | None]
    rows: Mapped[BigInt]
    first_time: Mapped[datetime]
    last_time: Mapped[datetime]
    missing: Mapped[BigInt]
    updated_at: Mapped[datetime]


class DataGap(Base):
    """A stretch that is missing from a series: its first missing time, the next held, and why."""

    __tablename__ = "data_gaps"
    __table_args__ = (
        CheckConstraint("start_time < end_time AND missing > 0", name="range"),
        CheckConstraint("reason IN ('absent_in_source', 'not_imported')", name="reason"),
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
