"""The tables of limits: what is allowed, and what went beyond."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import (
    TENANT,
    Base,
    ChangedIn,
    CreatedAt,
    Money,
    UpdatedAt,
    UserId,
    UuidKey,
    audited,
    tenant_reference,
)

LIMIT_NAMES = (
    "'max_position_value', 'max_daily_loss', 'max_drawdown', 'max_orders_per_hour', 'max_weight',"
    " 'max_var_95', 'max_expected_shortfall', 'max_volatility', 'max_leverage'"
)


class RiskLimit(Base):
    """What a user allows for one portfolio, one trading account, or, with neither, altogether.

    Amounts are in USD, the others are fractions but for `max_leverage`, a multiple, and the number
    of orders; what is null is not limited. A broken limit named in `blocking` stops trading.
    """

    __tablename__ = "risk_limits"
    __table_args__ = (
        tenant_reference("risk_limits", "portfolios", "portfolio_id"),
        tenant_reference("risk_limits", "trading_accounts", "account_id"),
        UniqueConstraint("user_id", "id", name="uq_risk_limits_tenant"),
        UniqueConstraint(
            "user_id",
            "portfolio_id",
            "account_id",
            name="uq_risk_limits_scope",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("num_nonnulls(portfolio_id, account_id) <= 1", name="one_scope"),
        CheckConstraint("max_position_value >= 0 AND max_daily_loss >= 0", name="amounts"),
        CheckConstraint("'NaN' NOT IN (max_position_value, max_daily_loss)", name="not_nan"),
        CheckConstraint("max_drawdown BETWEEN 0 AND 1", name="max_drawdown"),
        CheckConstraint("max_orders_per_hour >= 0", name="max_orders"),
        CheckConstraint("max_weight BETWEEN 0 AND 1", name="max_weight"),
        CheckConstraint(
            "max_var_95 BETWEEN 0 AND 1 AND max_expected_shortfall BETWEEN 0 AND 1", name="tail"
        ),
        CheckConstraint(
            "max_volatility >= 0 AND max_volatility < 'Infinity'", name="max_volatility"
        ),
        CheckConstraint("max_leverage >= 0 AND max_leverage < 'Infinity'", name="max_leverage"),
        CheckConstraint(f"blocking <@ ARRAY[{LIMIT_NAMES}]", name="blocking"),
        Index("idx_risk_limits_portfolio_id", "portfolio_id"),
        Index("idx_risk_limits_account_id", "account_id"),
        {"info": TENANT | audited()},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_risk_limits_users", ondelete="CASCADE")
    )
    portfolio_id: Mapped[UUID | None]
    account_id: Mapped[UUID | None]
    max_position_value: Mapped[Decimal | None] = mapped_column(Money)
    max_daily_loss: Mapped[Decimal | None] = mapped_column(Money)
    max_drawdown: Mapped[float | None]
    max_orders_per_hour: Mapped[int | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    max_weight: Mapped[float | None]
    max_var_95: Mapped[float | None]
    max_expected_shortfall: Mapped[float | None]
    max_volatility: Mapped[float | None]
    max_leverage: Mapped[float | None]
    blocking: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default="{}")


class RiskEvent(Base):
    """Something that went beyond what is allowed, and when and by whom it was resolved.

    `limit_name` is the column of the limit that was broken; each has one unresolved event at most.
    Resolved by nobody means that it was over by itself.
    """

    __tablename__ = "risk_events"
    __table_args__ = (
        tenant_reference("risk_events", "risk_limits", "limit_id", "SET NULL (limit_id)"),
        CheckConstraint(f"limit_name IN ({LIMIT_NAMES})", name="limit_name"),
        CheckConstraint("limit_id IS NULL OR limit_name IS NOT NULL", name="limit"),
        CheckConstraint("event_type ~ '^[a-z][a-z0-9_]{0,49}$'", name="type"),
        CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
        CheckConstraint("jsonb_typeof(details) = 'object'", name="details"),
        CheckConstraint("resolved_at >= triggered_at", name="resolved_after"),
        CheckConstraint(
            "resolved_by IS NULL OR (resolved_by = user_id AND resolved_at IS NOT NULL)",
            name="resolved_by",
        ),
        Index(
            "uq_risk_events_unresolved",
            "limit_id",
            "limit_name",
            unique=True,
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index("idx_risk_events_limit_id", "limit_id"),
        Index("idx_risk_events_user_time", "user_id", text("triggered_at DESC")),
        Index("idx_risk_events_event_type", "user_id", "event_type"),
        Index("idx_risk_events_severity", "user_id", "severity"),
        {"info": TENANT | audited()},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_risk_events_users", ondelete="CASCADE")
    )
    limit_id: Mapped[UUID | None]
    limit_name: Mapped[str | None]
    event_type: Mapped[str]
    severity: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    details: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    triggered_at: Mapped[datetime] = mapped_column(server_default=func.now())
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[UUID | None]
    changed_in: Mapped[ChangedIn]
