"""The tables of portfolios and what happened in them."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import TENANT, Base, BigInt, CreatedAt, Money, UuidKey


class Portfolio(Base):
    """A named set of holdings that belongs to one user."""

    __tablename__ = "portfolios"
    __table_args__ = (
        UniqueConstraint("user_id", "id", name="uq_portfolios_tenant"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name_length"),
        Index(
            "uq_portfolios_living_name",
            "user_id",
            func.lower(text("name")),
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        {"info": TENANT},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", name="fk_portfolios_users", ondelete="CASCADE")
    )
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]


class TransactionRow(Base):
    """One thing that happened in a portfolio."""

    __tablename__ = "transactions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "portfolio_id"],
            ["portfolios.user_id", "portfolios.id"],
            name="fk_transactions_portfolios",
            ondelete="CASCADE",
        ),
        UniqueConstraint("portfolio_id", "external_id", name="uq_transactions_external_id"),
        CheckConstraint(
            "transaction_type IN ('buy', 'sell', 'transfer', 'stake', 'unstake', 'reward', 'fee',"
            " 'deposit', 'withdrawal')",
            name="type",
        ),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("price_usd >= 0", name="price"),
        CheckConstraint("fee_usd >= 0", name="fee"),
        Index("idx_transactions_history", "portfolio_id", "transaction_date", "entry"),
        Index("idx_transactions_user_id", "user_id"),
        {"info": TENANT},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UUID]
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
