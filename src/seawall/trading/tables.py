"""The tables of trading: accounts and their ledger, orders, fills and positions."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
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
    tenant_reference,
    unaudited,
)


class TradingAccount(Base):
    """Money to trade with, played (`paper`) or real (`live`).

    `balance` is what the ledger says that the account holds of its currency: a trigger adds every
    entry to it, the deposit of `initial_balance` too, so it begins at 0.
    """

    __tablename__ = "trading_accounts"
    __table_args__ = (
        UniqueConstraint("user_id", "id", name="uq_trading_accounts_tenant"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name_length"),
        CheckConstraint("mode IN ('paper', 'live')", name="mode"),
        CheckConstraint("initial_balance >= 0", name="initial_balance"),
        CheckConstraint("'NaN' NOT IN (initial_balance, balance)", name="not_nan"),
        Index(
            "uq_trading_accounts_living_name",
            "user_id",
            func.lower(text("name")),
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("idx_trading_accounts_currency", "currency_asset_id"),
        {"info": TENANT | audited(derived=("balance", "updated_at"))},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_trading_accounts_users", ondelete="CASCADE")
    )
    name: Mapped[str]
    mode: Mapped[str] = mapped_column(server_default="paper")
    currency_asset_id: Mapped[int] = mapped_column(
        ForeignKey("assets.id", name="fk_trading_accounts_assets")
    )
    initial_balance: Mapped[Decimal] = mapped_column(Money)
    balance: Mapped[Decimal] = mapped_column(Money, server_default="0")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[datetime | None]


class LedgerEntry(Base):
    """One line of a journal: so much of an asset moved into a ledger, or out of it.

    Double entry with signed amounts: a debit is positive, a credit negative, and at commit a
    trigger refuses a journal whose amounts do not add up to 0 for each asset. The `assets` ledger
    is what the account holds, `equity` what its owner put in, `trading` what deals exchanged.
    `fill_id` goes on naming a fill that went to the archive; a trigger refuses one that is not
    there when the entry is made.
    """

    __tablename__ = "ledger_entries"
    __table_args__ = (
        tenant_reference("ledger_entries", "trading_accounts", "account_id"),
        CheckConstraint(
            "ledger IN ('assets', 'equity', 'trading', 'fees', 'interest', 'adjustments')",
            name="ledger",
        ),
        CheckConstraint("amount NOT IN (0, 'NaN')", name="amount"),
        Index("idx_ledger_entries_journal", "journal_id", "asset_id"),
        Index("idx_ledger_entries_account", "user_id", "account_id", "asset_id", "effective_at"),
        Index("idx_ledger_entries_fill_id", "fill_id"),
        Index("idx_ledger_entries_created_at", "created_at", postgresql_using="brin"),
        {"info": TENANT | unaudited("it is an append-only log itself")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    account_id: Mapped[UUID]
    journal_id: Mapped[UUID]
    entry: Mapped[BigInt] = mapped_column(Identity(always=True))
    ledger: Mapped[str]
    asset_id: Mapped[int] = mapped_column(
        ForeignKey("assets.id", name="fk_ledger_entries_assets"), index=True
    )
    amount: Mapped[Decimal] = mapped_column(Money)
    fill_id: Mapped[UUID | None]
    description: Mapped[str] = mapped_column(server_default="")
    effective_at: Mapped[datetime]
    created_at: Mapped[CreatedAt]


class Order(Base):
    """An order: what was meant to be traded, and how far that got.

    It is `pending` until just before it is sent, so a pending one was surely never sent; it is
    `unknown` while the venue's answer is in doubt. A trigger refuses other ways through the
    states. `fees` are in the pair's quote asset; a rebate is negative.
    """

    __tablename__ = "orders"
    __table_args__ = (
        tenant_reference("orders", "trading_accounts", "account_id"),
        tenant_reference("orders", "strategies", "strategy_id", "SET NULL (strategy_id)"),
        UniqueConstraint("user_id", "id", name="uq_orders_tenant"),
        UniqueConstraint("account_id", "client_order_id", name="uq_orders_client_order_id"),
        UniqueConstraint(
            "account_id", "symbol_id", "exchange_order_id", name="uq_orders_exchange_order_id"
        ),
        CheckConstraint(
            "length(client_order_id) BETWEEN 1 AND 100"
            " AND length(exchange_order_id) BETWEEN 1 AND 100",
            name="ids",
        ),
        CheckConstraint("side IN ('buy', 'sell')", name="side"),
        CheckConstraint(
            "type IN ('market', 'limit', 'stop', 'stop_limit', 'take_profit', 'take_profit_limit')",
            name="type",
        ),
        CheckConstraint("time_in_force IN ('gtc', 'ioc', 'fok', 'gtd')", name="time_in_force"),
        CheckConstraint("(expires_at IS NOT NULL) = (time_in_force = 'gtd')", name="expiry"),
        CheckConstraint(
            "(price IS NOT NULL) = (type IN ('limit', 'stop_limit', 'take_profit_limit'))",
            name="price",
        ),
        CheckConstraint(
            "(stop_price IS NOT NULL) = (type NOT IN ('market', 'limit'))", name="stop_price"
        ),
        CheckConstraint(
            "price > 0 AND stop_price > 0 AND quantity > 0 AND average_price > 0", name="positive"
        ),
        CheckConstraint(
            "'NaN' NOT IN (price, stop_price, quantity, filled_quantity, average_price, fees)",
            name="not_nan",
        ),
        CheckConstraint(
            "status IN ('pending', 'submitted', 'open', 'partially_filled', 'filled', 'canceled',"
            " 'rejected', 'expired', 'unknown')",
            name="status",
        ),
        CheckConstraint(
            "filled_quantity BETWEEN 0 AND quantity AND CASE"
            " WHEN status IN ('pending', 'submitted', 'open', 'rejected') THEN filled_quantity = 0"
            " WHEN status = 'partially_filled'"
            " THEN filled_quantity > 0 AND filled_quantity < quantity"
            " WHEN status = 'filled' THEN filled_quantity = quantity"
            " WHEN status IN ('canceled', 'expired') THEN filled_quantity < quantity"
            " ELSE true END",
            name="filled",
        ),
        CheckConstraint(
            "(average_price IS NOT NULL) = (filled_quantity > 0)", name="average_price"
        ),
        Index("idx_orders_symbol_time", "symbol_id", "created_at"),
        Index("idx_orders_strategy_time", "strategy_id", "created_at"),
        Index(
            "idx_orders_working",
            "account_id",
            "created_at",
            postgresql_where=text(
                "status IN ('pending', 'submitted', 'open', 'partially_filled', 'unknown')"
            ),
        ),
        {"info": TENANT | audited()},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    account_id: Mapped[UUID]
    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbols.id", name="fk_orders_symbols"))
    strategy_id: Mapped[UUID | None]
    client_order_id: Mapped[str]
    exchange_order_id: Mapped[str | None]
    side: Mapped[str]
    type: Mapped[str]
    time_in_force: Mapped[str] = mapped_column(server_default="gtc")
    expires_at: Mapped[datetime | None]
    price: Mapped[Decimal | None] = mapped_column(Money)
    stop_price: Mapped[Decimal | None] = mapped_column(Money)
    quantity: Mapped[Decimal] = mapped_column(Money)
    filled_quantity: Mapped[Decimal] = mapped_column(Money, server_default="0")
    average_price: Mapped[Decimal | None] = mapped_column(Money)
    fees: Mapped[Decimal] = mapped_column(Money, server_default="0")
    status: Mapped[str] = mapped_column(server_default="pending")
    status_reason: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class Fill(Base):
    """A trade of an account's, as the venue reported it.

    Venues number trades per pair, so the pair is part of the key. `total` is in the pair's quote
    asset, and so is `profit_loss`, what the fill realised; a rebate is a negative `fee`.
    """

    __tablename__ = "fills"
    __table_args__ = (
        tenant_reference("fills", "trading_accounts", "account_id"),
        tenant_reference("fills", "orders", "order_id", "SET NULL (order_id)"),
        tenant_reference("fills", "strategies", "strategy_id", "SET NULL (strategy_id)"),
        UniqueConstraint("user_id", "id", name="uq_fills_tenant"),
        UniqueConstraint("account_id", "symbol_id", "trade_id", name="uq_fills_trade"),
        CheckConstraint("length(trade_id) BETWEEN 1 AND 100", name="trade_id"),
        CheckConstraint("side IN ('buy', 'sell')", name="side"),
        CheckConstraint("price > 0 AND quantity > 0", name="positive"),
        CheckConstraint("fee = 0 OR fee_asset_id IS NOT NULL", name="fee_asset"),
        CheckConstraint("'NaN' NOT IN (price, quantity, fee, profit_loss)", name="not_nan"),
        Index("idx_fills_account_time", "account_id", "executed_at"),
        Index("idx_fills_symbol_time", "symbol_id", "executed_at"),
        Index("idx_fills_strategy_time", "strategy_id", "executed_at"),
        Index("idx_fills_order_id", "order_id"),
        Index("idx_fills_executed_at", "executed_at", postgresql_using="brin"),
        {"info": TENANT | audited()},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    account_id: Mapped[UUID]
    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbols.id", name="fk_fills_symbols"))
    order_id: Mapped[UUID | None]
    strategy_id: Mapped[UUID | None]
    trade_id: Mapped[str]
    side: Mapped[str]
    price: Mapped[Decimal] = mapped_column(Money)
    quantity: Mapped[Decimal] = mapped_column(Money)
    total: Mapped[Decimal | None] = mapped_column(
        Money, Computed("price * quantity", persisted=True)
    )
    fee: Mapped[Decimal] = mapped_column(Money, server_default="0")
    fee_asset_id: Mapped[int | None] = mapped_column(
        ForeignKey("assets.id", name="fk_fills_assets"), index=True
    )
    profit_loss: Mapped[Decimal | None] = mapped_column(Money)
    executed_at: Mapped[datetime]
    created_at: Mapped[CreatedAt]


class Position(Base):
    """What an account holds of a pair, one way or the other, or once held.

    A trigger keeps `unrealized_pnl`, which is 0 once the position is closed. `quantity` is what is
    still held, of a closed one what was held last; `exit_price` is the average of what was closed.
    `pnl` is realised, after `fees`; `pnl_percentage` in per cent. A stop may trail past the entry.
    """

    __tablename__ = "positions"
    __table_args__ = (
        tenant_reference("positions", "trading_accounts", "account_id"),
        tenant_reference("positions", "strategies", "strategy_id", "SET NULL (strategy_id)"),
        CheckConstraint("side IN ('long', 'short')", name="side"),
        CheckConstraint("status IN ('open', 'partial', 'closed')", name="status"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint(
            "entry_price > 0 AND current_price > 0 AND exit_price > 0 AND stop_loss > 0"
            " AND take_profit > 0",
            name="prices",
        ),
        CheckConstraint("abs(pnl_percentage) < 'Infinity'", name="pnl_percentage"),
        CheckConstraint(
            "'NaN' NOT IN (quantity, entry_price, current_price, exit_price, pnl, fees, stop_loss,"
            " take_profit)",
            name="not_nan",
        ),
        CheckConstraint(
            "(closed_at IS NOT NULL) = (status = 'closed') AND closed_at >= opened_at",
            name="closed",
        ),
        CheckConstraint(
            "CASE status WHEN 'open' THEN exit_price IS NULL"
            " WHEN 'closed' THEN exit_price IS NOT NULL ELSE true END",
            name="exit_price",
        ),
        Index(
            "uq_positions_open",
            "account_id",
            "symbol_id",
            "side",
            unique=True,
            postgresql_where=text("status <> 'closed'"),
        ),
        Index(
            "idx_positions_active",
            "user_id",
            "symbol_id",
            postgresql_where=text("status <> 'closed'"),
        ),
        Index("idx_positions_symbol_status", "symbol_id", "status"),
        Index("idx_positions_account", "account_id", "opened_at"),
        Index("idx_positions_strategy", "strategy_id", "opened_at"),
        {"info": TENANT | audited(derived=("current_price", "unrealized_pnl", "updated_at"))},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    account_id: Mapped[UUID]
    symbol_id: Mapped[int] = mapped_column(ForeignKey("symbols.id", name="fk_positions_symbols"))
    strategy_id: Mapped[UUID | None]
    exchange_position_id: Mapped[str | None]
    side: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="open")
    quantity: Mapped[Decimal] = mapped_column(Money)
    entry_price: Mapped[Decimal] = mapped_column(Money)
    current_price: Mapped[Decimal] = mapped_column(Money)
    exit_price: Mapped[Decimal | None] = mapped_column(Money)
    unrealized_pnl: Mapped[Decimal] = mapped_column(Money)
    pnl: Mapped[Decimal | None] = mapped_column(Money)
    pnl_percentage: Mapped[float | None]
    fees: Mapped[Decimal] = mapped_column(Money, server_default="0")
    stop_loss: Mapped[Decimal | None] = mapped_column(Money)
    take_profit: Mapped[Decimal | None] = mapped_column(Money)
    opened_at: Mapped[datetime] = mapped_column(server_default=func.now())
    closed_at: Mapped[datetime | None]
    updated_at: Mapped[UpdatedAt]


# No foreign key says so: see `LedgerEntry`.
Base.metadata.tables["ledger_entries"].add_is_dependent_on(Base.metadata.tables["fills"])
