"""The tables of alerts, of when they triggered, and of notifications."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import (
    TENANT,
    Base,
    CreatedAt,
    Money,
    UpdatedAt,
    UserId,
    UuidKey,
    audited,
    unaudited,
)


class Alert(Base):
    """What a user wants to be told of: a condition on an asset or on a portfolio.

    `condition_type` begins with `alert_type`, as in price_above or portfolio_drawdown_above; what
    ends in above or below has a threshold. `condition` says the rest, in the parts metric (which
    figure), timeframe (of a prediction), window_hours (of a change) and min_confidence (0 to 100).

    Risk is an asset's or a portfolio's, `portfolio` is of a portfolio, all else of an asset.
    Severity has three steps: what is called low elsewhere is info, medium is warning, high,
    extreme and critical are critical.

    `triggered_at` is the first time and `last_triggered_at` the last; after it a recurring alert
    stays active and keeps still for `cooldown_hours`, any other is triggered for good.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("user_id", "id", name="uq_alerts_tenant"),
        ForeignKeyConstraint(
            ["user_id", "portfolio_id"],
            ["portfolios.user_id", "portfolios.id"],
            name="fk_alerts_portfolios",
            ondelete="CASCADE",
        ),
        CheckConstraint(
            "alert_type IN ('price', 'volume', 'risk', 'prediction', 'portfolio', 'whale')",
            name="alert_type",
        ),
        CheckConstraint(
            "CASE alert_type WHEN 'portfolio' THEN portfolio_id IS NOT NULL AND asset_id IS NULL"
            " WHEN 'risk' THEN num_nonnulls(asset_id, portfolio_id) = 1"
            " ELSE asset_id IS NOT NULL AND portfolio_id IS NULL END",
            name="target",
        ),
        CheckConstraint(
            "condition_type ~ '^[a-z][a-z_]{0,49}$'"
            " AND starts_with(condition_type, alert_type || '_')",
            name="condition_type",
        ),
        CheckConstraint(
            "CASE WHEN condition_type ~ '_(above|below)$' THEN threshold_value IS NOT NULL"
            " ELSE true END AND threshold_value < 'Infinity'",
            name="threshold",
        ),
        CheckConstraint(
            "jsonb_typeof(condition) = 'object'"
            " AND condition - '{metric,timeframe,window_hours,min_confidence}'::text[] = '{}'"
            """ AND NOT jsonb_path_exists(condition, 'strict $ ? (
                exists(@.metric ? (@.type() != "string"))
                || exists(@.timeframe ? (
                    @.type() != "string" || @ != "7d" && @ != "14d" && @ != "30d"))
                || exists(@.window_hours ? (@.type() != "number" || @ <= 0))
                || exists(@.min_confidence ? (@.type() != "number" || @ < 0 || @ > 100)))')""",
            name="condition",
        ),
        CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
        CheckConstraint("length(title) BETWEEN 1 AND 255", name="title_length"),
        CheckConstraint(
            "jsonb_typeof(notification_channels) = 'array' AND notification_channels"
            """ <@ '["email", "push", "sms", "webhook", "in_app"]'""",
            name="notification_channels",
        ),
        CheckConstraint("status IN ('active', 'triggered', 'expired', 'paused')", name="status"),
        CheckConstraint("cooldown_hours >= 0", name="cooldown"),
        CheckConstraint("current_value < 'Infinity'", name="current_value"),
        CheckConstraint(
            "(triggered_at IS NULL) = (last_triggered_at IS NULL)"
            " AND triggered_at <= last_triggered_at",
            name="triggered",
        ),
        CheckConstraint(
            "CASE status WHEN 'triggered' THEN triggered_at IS NOT NULL"
            " WHEN 'expired' THEN expires_at IS NOT NULL ELSE true END",
            name="status_dated",
        ),
        CheckConstraint("jsonb_typeof(metadata) = 'object'", name="metadata"),
        CheckConstraint("expires_at > created_at", name="expires"),
        Index("idx_alerts_user_status", "user_id", "status"),
        Index(
            "idx_alerts_active_asset", "asset_id", "is_active", postgresql_where=text("is_active")
        ),
        {"info": TENANT | audited(derived=("current_value", "is_read", "read_at", "is_sent"))},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_alerts_users", ondelete="CASCADE")
    )
    alert_type: Mapped[str]
    asset_id: Mapped[int | None] = mapped_column(
        ForeignKey("assets.id", name="fk_alerts_assets"), index=True
    )
    portfolio_id: Mapped[UUID | None] = mapped_column(index=True)
    condition_type: Mapped[str]
    threshold_value: Mapped[Decimal | None] = mapped_column(Money)
    condition: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    severity: Mapped[str] = mapped_column(server_default="info")
    title: Mapped[str]
    message: Mapped[str] = mapped_column(server_default="")
    note: Mapped[str] = mapped_column(server_default="")
    notification_channels: Mapped[list[Any]] = mapped_column(server_default='["email"]')
    status: Mapped[str] = mapped_column(server_default="active")
    is_active: Mapped[bool] = mapped_column(Computed("status = 'active'::text", persisted=True))
    is_recurring: Mapped[bool] = mapped_column(server_default="false")
    cooldown_hours: Mapped[int] = mapped_column(server_default="24")
    current_value: Mapped[Decimal | None] = mapped_column(Money)
    triggered_at: Mapped[datetime | None]
    last_triggered_at: Mapped[datetime | None]
    is_sent: Mapped[bool] = mapped_column(server_default="false")
    read_at: Mapped[datetime | None]
    is_read: Mapped[bool] = mapped_column(Computed("read_at IS NOT NULL", persisted=True))
    # `metadata` is what every mapped class calls its tables.
    extra: Mapped[dict[str, Any]] = mapped_column("metadata", server_default="{}")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    expires_at: Mapped[datetime | None]


class AlertTriggered(Base):
    """One time that an alert triggered, and how telling of it by one channel went."""

    __tablename__ = "alert_history"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "alert_id"],
            ["alerts.user_id", "alerts.id"],
            name="fk_alert_history_alerts",
            ondelete="CASCADE",
        ),
        # Whoever evaluates an alert twice tells of it once.
        UniqueConstraint(
            "alert_id", "triggered_at", "notification_channel", name="uq_alert_history_delivery"
        ),
        CheckConstraint("trigger_value < 'Infinity'", name="trigger_value"),
        CheckConstraint(
            "notification_channel IN ('email', 'push', 'sms', 'webhook', 'in_app')",
            name="notification_channel",
        ),
        CheckConstraint(
            "notification_status IN ('sent', 'failed', 'pending')", name="notification_status"
        ),
        CheckConstraint(
            "CASE notification_status WHEN 'failed' THEN error_message IS NOT NULL"
            " WHEN 'sent' THEN error_message IS NULL ELSE true END",
            name="error",
        ),
        Index("idx_alert_history_user_id", "user_id", text("triggered_at DESC")),
        Index("idx_alert_history_triggered_at", "triggered_at", postgresql_using="brin"),
        {"info": TENANT | unaudited("a log of which nothing but the delivery changes")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    alert_id: Mapped[UUID]
    triggered_at: Mapped[CreatedAt]
    trigger_value: Mapped[Decimal | None] = mapped_column(Money)
    notification_channel: Mapped[str]
    notification_status: Mapped[str] = mapped_column(server_default="pending")
    error_message: Mapped[str | None]


class Notification(Base):
    """A message to a user about something that has its own row elsewhere, if it has one."""

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("type ~ '^[a-z][a-z_]{0,49}$'", name="type"),
        CheckConstraint("length(title) BETWEEN 1 AND 255", name="title_length"),
        CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name="priority"),
        CheckConstraint(
            "(source_type IS NULL) = (source_id IS NULL) AND source_type ~ '^[a-z][a-z_]{0,49}$'",
            name="source",
        ),
        CheckConstraint("read_at >= created_at", name="read"),
        Index("idx_notifications_user_id", "user_id", text("created_at DESC")),
        Index(
            "idx_notifications_unread",
            "user_id",
            text("created_at DESC"),
            postgresql_where=text("read_at IS NULL"),
        ),
        Index("idx_notifications_created_at", "created_at", postgresql_using="brin"),
        {"info": TENANT | unaudited("tells of what is logged where it happened")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_notifications_users", ondelete="CASCADE")
    )
    type: Mapped[str]
    title: Mapped[str]
    message: Mapped[str]
    priority: Mapped[str] = mapped_column(server_default="normal")
    source_type: Mapped[str | None]
    source_id: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    read_at: Mapped[datetime | None]
