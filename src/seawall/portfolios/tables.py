"""The tables of portfolios, what happened in them, and what follows from it."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import (
    TENANT,
    Base,
    BigInt,
    CreatedAt,
    Money,
    UpdatedAt,
    UserId,
    UuidKey,
    audited,
    sealed,
    tenant_reference,
    unaudited,
)

_LIVING = text("deleted_at IS NULL")
_TOTAL_PROFIT = "total_value_usd - total_invested_usd"
_TOTAL_PERCENTAGE = f"({_TOTAL_PROFIT}) / nullif(total_invested_usd, 0) * 100"
_PROFIT = "quantity * current_price - total_invested_usd"


def _amount(column: str, name: str) -> CheckConstraint:
    """Refuse what is negative, and NaN, which PostgreSQL counts as more than any number."""
    return CheckConstraint(f"{column} >= 0 AND {column} < 'Infinity'", name=name)


_SECRETS = ("api_key_encrypted", "api_secret_encrypted", "passphrase_encrypted")
"""What `core.crypto` sealed begins with its mark; a key in the clear is refused."""


class Portfolio(Base):
    """A named set of holdings that belongs to one user.

    The totals are the sums of its holdings, None while one of them has no price; they and the
    risk are of `valued_at`, when its prices are from.
    """

    __tablename__ = "portfolios"
    __table_args__ = (
        UniqueConstraint("user_id", "id", name="uq_portfolios_tenant"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name_length"),
        CheckConstraint("color ~ '^#[0-9A-Fa-f]{6}$'", name="color"),
        CheckConstraint("lot_method IN ('fifo', 'lifo', 'hifo', 'average')", name="lot_method"),
        _amount("total_value_usd", "total_value"),
        _amount("total_invested_usd", "total_invested"),
        CheckConstraint("risk_score BETWEEN 0 AND 100", name="risk_score"),
        CheckConstraint("volatility >= 0 AND volatility < 'Infinity'", name="volatility"),
        CheckConstraint(
            "sharpe_ratio > '-Infinity' AND sharpe_ratio < 'Infinity'", name="sharpe_ratio"
        ),
        CheckConstraint("max_drawdown BETWEEN 0 AND 1", name="max_drawdown"),
        Index(
            "uq_portfolios_living_name",
            "user_id",
            func.lower(text("name")),
            unique=True,
            postgresql_where=_LIVING,
        ),
        Index("idx_portfolios_user_id", "user_id", postgresql_where=_LIVING),
        Index(
            "idx_portfolios_is_primary",
            "user_id",
            unique=True,
            postgresql_where=text("is_primary AND deleted_at IS NULL"),
        ),
        Index(
            "idx_portfolios_is_public",
            "created_at",
            "id",
            postgresql_where=text("is_public AND deleted_at IS NULL"),
        ),
        {
            "info": TENANT
            | audited(
                derived=(
                    "total_value_usd",
                    "total_invested_usd",
                    "total_profit_loss_usd",
                    "total_profit_loss_percentage",
                    "risk_score",
                    "volatility",
                    "sharpe_ratio",
                    "max_drawdown",
                    "valued_at",
                )
            )
        },
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_portfolios_users", ondelete="CASCADE")
    )
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]
    is_primary: Mapped[bool] = mapped_column(server_default="false")
    is_public: Mapped[bool] = mapped_column(server_default="false")
    shows_quantities: Mapped[bool] = mapped_column(server_default="false")
    color: Mapped[str] = mapped_column(server_default="#3B82F6")
    lot_method: Mapped[str] = mapped_column(server_default="fifo")
    total_value_usd: Mapped[Decimal | None] = mapped_column(Money)
    total_invested_usd: Mapped[Decimal | None] = mapped_column(Money)
    total_profit_loss_usd: Mapped[Decimal | None] = mapped_column(
        Money, Computed(_TOTAL_PROFIT, persisted=True)
    )
    total_profit_loss_percentage: Mapped[float | None] = mapped_column(
        Computed(_TOTAL_PERCENTAGE, persisted=True)
    )
    risk_score: Mapped[float | None]
    volatility: Mapped[float | None]
    sharpe_ratio: Mapped[float | None]
    max_drawdown: Mapped[float | None]
    valued_at: Mapped[datetime | None]
    updated_at: Mapped[UpdatedAt]


class ExchangeConnection(Base):
    """A user's access to an exchange, with keys that may read and trade but never withdraw."""

    __tablename__ = "exchange_connections"
    __table_args__ = (
        tenant_reference(
            "exchange_connections", "portfolios", "portfolio_id", "SET NULL (portfolio_id)"
        ),
        UniqueConstraint("user_id", "id", name="uq_exchange_connections_tenant"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name"),
        CheckConstraint(
            " AND ".join(f"substr({column}, 1, 3) = 'SWS'" for column in _SECRETS), name="sealed"
        ),
        CheckConstraint("length(api_key_last_four) = 4", name="last_four"),
        CheckConstraint(
            "jsonb_typeof(permissions) = 'object'"
            " AND permissions ?& ARRAY['read', 'trade', 'withdraw']"
            " AND permissions - ARRAY['read', 'trade', 'withdraw'] = '{}'"
            " AND jsonb_typeof(permissions -> 'read') = 'boolean'"
            " AND jsonb_typeof(permissions -> 'trade') = 'boolean'"
            " AND jsonb_typeof(permissions -> 'withdraw') = 'boolean'",
            name="permissions",
        ),
        CheckConstraint("permissions -> 'withdraw' <> 'true'", name="no_withdrawal"),
        CheckConstraint("status IN ('pending', 'connected', 'failing', 'revoked')", name="status"),
        CheckConstraint(
            "last_sync_status IN ('success', 'failed', 'pending')", name="last_sync_status"
        ),
        Index(
            "uq_exchange_connections_living_key",
            "user_id",
            "exchange_id",
            "api_key_last_four",
            unique=True,
            postgresql_where=_LIVING,
        ),
        Index("idx_exchange_connections_user_id", "user_id", postgresql_where=_LIVING),
        Index("idx_exchange_connections_portfolio_id", "portfolio_id"),
        Index("idx_exchange_connections_exchange_id", "exchange_id"),
        Index(
            "idx_exchange_connections_last_sync",
            text("last_sync_at NULLS FIRST"),
            postgresql_where=text("is_active AND deleted_at IS NULL"),
        ),
        {
            "info": TENANT
            | audited(
                redacted=_SECRETS,
                derived=("last_sync_at", "last_sync_status", "sync_error_message"),
            )
        },
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_exchange_connections_users", ondelete="CASCADE")
    )
    portfolio_id: Mapped[UUID | None]
    exchange_id: Mapped[int] = mapped_column(
        ForeignKey("exchanges.id", name="fk_exchange_connections_exchanges")
    )
    name: Mapped[str]
    api_key_encrypted: Mapped[bytes] = mapped_column(info=sealed())
    api_secret_encrypted: Mapped[bytes | None] = mapped_column(info=sealed())
    passphrase_encrypted: Mapped[bytes | None] = mapped_column(info=sealed())
    api_key_last_four: Mapped[str]
    permissions: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("""'{"read": true, "trade": false, "withdraw": false}'""")
    )
    status: Mapped[str] = mapped_column(server_default="pending")
    is_active: Mapped[bool] = mapped_column(server_default="true")
    last_sync_at: Mapped[datetime | None]
    last_sync_status: Mapped[str | None]
    sync_error_message: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[datetime | None]


class TransactionRow(Base):
    """One thing that happened in a portfolio.

    `price` and `fee_quantity` are what was paid, in the asset that it was paid in, where that is
    not USD; `price_usd` and `fee_usd` are the same in USD at the time. What is voided counts no
    more, from `voided_at` on; what it was replaced by names it in `replaces_id`, and has its
    `entry`.
    """

    __tablename__ = "transactions"
    __table_args__ = (
        tenant_reference("transactions", "portfolios", "portfolio_id"),
        ForeignKeyConstraint(
            ["user_id", "exchange_connection_id"],
            ["exchange_connections.user_id", "exchange_connections.id"],
            name="fk_transactions_exchange_connections",
            ondelete="SET NULL (exchange_connection_id)",
        ),
        UniqueConstraint("user_id", "id", name="uq_transactions_tenant"),
        ForeignKeyConstraint(
            ["user_id", "replaces_id"],
            ["transactions.user_id", "transactions.id"],
            name="fk_transactions_replaced",
            ondelete="CASCADE",
        ),
        CheckConstraint(
            "transaction_type IN ('buy', 'sell', 'transfer', 'stake', 'unstake', 'reward', 'fee',"
            " 'deposit', 'withdrawal')",
            name="type",
        ),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("price_usd >= 0", name="price"),
        CheckConstraint("fee_usd >= 0", name="fee"),
        _amount("price", "paid"),
        CheckConstraint("fee_quantity > 0 AND fee_quantity < 'Infinity'", name="fee_quantity"),
        CheckConstraint("(price IS NULL) = (price_currency_id IS NULL)", name="price_currency"),
        CheckConstraint("(fee_quantity IS NULL) = (fee_asset_id IS NULL)", name="fee_asset"),
        CheckConstraint("void_kind IN ('row', 'correction', 'import')", name="void_kind"),
        CheckConstraint(
            "(voided_at IS NULL) = (void_kind IS NULL)"
            " AND (voided_at IS NOT NULL OR void_reason = '')",
            name="voided",
        ),
        CheckConstraint("voided_at >= recorded_at", name="voided_after"),
        Index(
            "uq_transactions_external_id",
            "portfolio_id",
            "external_id",
            "user_id",
            unique=True,
            postgresql_where=text("voided_at IS NULL"),
        ),
        Index(
            "uq_transactions_replaces_id",
            "user_id",
            "replaces_id",
            unique=True,
            postgresql_where=text("replaces_id IS NOT NULL"),
        ),
        Index(
            "idx_transactions_voided_at",
            "voided_at",
            postgresql_where=text("voided_at IS NOT NULL"),
        ),
        Index("idx_transactions_history", "portfolio_id", "transaction_date", "entry"),
        Index("idx_transactions_transaction_date", "user_id", text("transaction_date DESC")),
        Index("idx_transactions_type", "portfolio_id", "transaction_type"),
        Index("idx_transactions_recorded_at", "recorded_at", postgresql_using="brin"),
        Index(
            "uq_transactions_exchange_transaction_id",
            "exchange_connection_id",
            "exchange_transaction_id",
            unique=True,
            postgresql_where=text("exchange_connection_id IS NOT NULL"),
        ),
        Index(
            "idx_transactions_price_currency_id",
            "price_currency_id",
            postgresql_where=text("price_currency_id IS NOT NULL"),
        ),
        Index(
            "idx_transactions_fee_asset_id",
            "fee_asset_id",
            postgresql_where=text("fee_asset_id IS NOT NULL"),
        ),
        {"info": TENANT | audited()},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    portfolio_id: Mapped[UUID]
    entry: Mapped[BigInt] = mapped_column(Identity(always=True))
    transaction_date: Mapped[datetime]
    transaction_type: Mapped[str]
    asset_id: Mapped[int] = mapped_column(
        ForeignKey("assets.id", name="fk_transactions_assets"), index=True
    )
    quantity: Mapped[Decimal] = mapped_column(Money)
    price_usd: Mapped[Decimal | None] = mapped_column(Money)
    fee_usd: Mapped[Decimal] = mapped_column(Money, server_default="0")
    notes: Mapped[str] = mapped_column(server_default="")
    external_id: Mapped[str | None]
    recorded_at: Mapped[datetime]
    exchange_connection_id: Mapped[UUID | None]
    exchange_transaction_id: Mapped[str | None]
    price: Mapped[Decimal | None] = mapped_column(Money)
    price_currency_id: Mapped[int | None] = mapped_column(
        ForeignKey("assets.id", name="fk_transactions_price_currencies")
    )
    fee_quantity: Mapped[Decimal | None] = mapped_column(Money)
    fee_asset_id: Mapped[int | None] = mapped_column(
        ForeignKey("assets.id", name="fk_transactions_fee_assets")
    )
    total_usd: Mapped[Decimal | None] = mapped_column(
        Money, Computed("quantity * price_usd", persisted=True)
    )
    imported_at: Mapped[datetime | None]
    voided_at: Mapped[datetime | None]
    void_kind: Mapped[str | None]
    void_reason: Mapped[str] = mapped_column(server_default="")
    replaces_id: Mapped[UUID | None]


class LotRow(Base):
    """What is left of a quantity that one transaction brought in; the lowest position leaves next.

    Under the average method an asset has one lot, opened by the oldest transaction in it.
    """

    __tablename__ = "lots"
    __table_args__ = (
        tenant_reference("lots", "portfolios", "portfolio_id"),
        ForeignKeyConstraint(
            ["user_id", "opening_transaction_id"],
            ["transactions.user_id", "transactions.id"],
            name="fk_lots_transactions",
            ondelete="CASCADE",
        ),
        # Of a queue that moves up, each position is taken for a moment by two.
        UniqueConstraint(
            "portfolio_id",
            "asset_id",
            "position",
            "user_id",
            name="uq_lots_position",
            deferrable=True,
            initially="IMMEDIATE",
        ),
        CheckConstraint("position > 0", name="position"),
        CheckConstraint("quantity > 0 AND quantity <= original_quantity", name="quantity"),
        CheckConstraint("original_quantity < 'Infinity'", name="original_quantity"),
        _amount("cost_basis_usd", "cost_basis"),
        {"info": TENANT | unaudited("lots follow from transactions")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    portfolio_id: Mapped[UUID]
    asset_id: Mapped[int] = mapped_column(
        ForeignKey("assets.id", name="fk_lots_assets"), index=True
    )
    opening_transaction_id: Mapped[UUID] = mapped_column(unique=True)
    position: Mapped[int]
    acquired_at: Mapped[datetime]
    quantity: Mapped[Decimal] = mapped_column(Money)
    original_quantity: Mapped[Decimal] = mapped_column(Money)
    cost_basis_usd: Mapped[Decimal] = mapped_column(Money)
    cost_per_unit_usd: Mapped[Decimal] = mapped_column(
        Money, Computed("cost_basis_usd / quantity", persisted=True)
    )


class HoldingRow(Base):
    """What a portfolio holds of one asset in one place.

    What its transactions add up to is in the place `manual`, without a wallet; the prices are of
    the last valuation. Changes of the price are in percent.
    """

    __tablename__ = "holdings"
    __table_args__ = (
        tenant_reference("holdings", "portfolios", "portfolio_id"),
        UniqueConstraint(
            "portfolio_id",
            "asset_id",
            "exchange_source",
            "wallet_address",
            "user_id",
            name="uq_holdings_place",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint(
            "exchange_source = lower(exchange_source) AND exchange_source <> ''",
            name="exchange_source",
        ),
        CheckConstraint("length(wallet_address) BETWEEN 1 AND 100", name="wallet_address"),
        _amount("quantity", "quantity"),
        CheckConstraint("staked >= 0 AND staked <= quantity", name="staked"),
        _amount("average_buy_price", "average_buy_price"),
        _amount("total_invested_usd", "total_invested"),
        _amount("current_price", "current_price"),
        CheckConstraint(
            "price_change_24h >= -100 AND price_change_24h < 'Infinity'", name="price_change_24h"
        ),
        CheckConstraint(
            "price_change_7d >= -100 AND price_change_7d < 'Infinity'", name="price_change_7d"
        ),
        Index(
            "idx_holdings_exchange_source",
            "portfolio_id",
            "exchange_source",
            postgresql_where=text("exchange_source <> 'manual'"),
        ),
        Index(
            "idx_holdings_current_value",
            "portfolio_id",
            text("current_value_usd DESC NULLS LAST"),
        ),
        Index("idx_holdings_last_updated", "last_updated_at"),
        Index(
            "idx_holdings_ledger",
            "portfolio_id",
            postgresql_include=["asset_id", "quantity", "total_invested_usd"],
            postgresql_where=text("exchange_source = 'manual' AND wallet_address IS NULL"),
        ),
        {"info": TENANT | unaudited("holdings follow from transactions, and from prices")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    portfolio_id: Mapped[UUID]
    asset_id: Mapped[int] = mapped_column(
        ForeignKey("assets.id", name="fk_holdings_assets"), index=True
    )
    exchange_source: Mapped[str] = mapped_column(server_default="manual")
    wallet_address: Mapped[str | None]
    quantity: Mapped[Decimal] = mapped_column(Money)
    staked: Mapped[Decimal] = mapped_column(Money, server_default="0")
    average_buy_price: Mapped[Decimal | None] = mapped_column(Money)
    total_invested_usd: Mapped[Decimal | None] = mapped_column(Money)
    current_price: Mapped[Decimal | None] = mapped_column(Money)
    current_value_usd: Mapped[Decimal | None] = mapped_column(
        Money, Computed("quantity * current_price", persisted=True)
    )
    price_change_24h: Mapped[float | None]
    price_change_7d: Mapped[float | None]
    profit_loss_usd: Mapped[Decimal | None] = mapped_column(
        Money, Computed(_PROFIT, persisted=True)
    )
    profit_loss_percentage: Mapped[float | None] = mapped_column(
        Computed(f"({_PROFIT}) / nullif(total_invested_usd, 0) * 100", persisted=True)
    )
    notes: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[CreatedAt]
    last_updated_at: Mapped[UpdatedAt]


class PortfolioSnapshot(Base):
    """What a portfolio was worth at an instant, as it was known at another."""

    __tablename__ = "portfolio_snapshots"
    __table_args__ = (
        tenant_reference("portfolio_snapshots", "portfolios", "portfolio_id"),
        CheckConstraint("known_at >= time", name="known_after"),
        _amount("total_value_usd", "total_value"),
        _amount("total_invested_usd", "total_invested"),
        CheckConstraint("cash_usd >= 0 AND cash_usd <= total_value_usd", name="cash"),
        CheckConstraint("holdings_count >= 0", name="holdings_count"),
        {
            "info": TENANT | unaudited("a time series"),
            "postgresql_partition_by": "RANGE (time)",
        },
    )

    portfolio_id: Mapped[UUID] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    user_id: Mapped[UserId] = mapped_column(primary_key=True)
    known_at: Mapped[datetime]
    total_value_usd: Mapped[Decimal] = mapped_column(Money)
    total_invested_usd: Mapped[Decimal] = mapped_column(Money)
    total_profit_loss_usd: Mapped[Decimal] = mapped_column(
        Money, Computed(_TOTAL_PROFIT, persisted=True)
    )
    total_profit_loss_percentage: Mapped[float | None] = mapped_column(
        Computed(_TOTAL_PERCENTAGE, persisted=True)
    )
    cash_usd: Mapped[Decimal] = mapped_column(Money)
    holdings_count: Mapped[int]
