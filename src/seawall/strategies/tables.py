"""The tables of strategies: what they are, how they tested, and how they do."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
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


class Strategy(Base):
    """A strategy as its user has set it up.

    `type` names the class that runs it, `timeframe` is in seconds, `parameters` are what that
    class is tuned by, `config` is how it is run, and `assets` are the ids of those that it trades
    (a trigger sees that they are there).
    """

    __tablename__ = "strategies"
    __table_args__ = (
        UniqueConstraint("user_id", "id", name="uq_strategies_tenant"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name_length"),
        CheckConstraint("length(type) BETWEEN 1 AND 50", name="type"),
        CheckConstraint("timeframe > 0", name="timeframe"),
        CheckConstraint(
            "jsonb_typeof(parameters) = 'object' AND jsonb_typeof(config) = 'object'",
            name="objects",
        ),
        CheckConstraint("risk_level IN ('low', 'medium', 'high', 'critical')", name="risk_level"),
        CheckConstraint("NOT is_active OR deleted_at IS NULL", name="active_lives"),
        Index(
            "uq_strategies_living_name",
            "user_id",
            func.lower(text("name")),
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("idx_strategies_active", "user_id", postgresql_where=text("is_active")),
        {"info": TENANT | audited()},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", name="fk_strategies_users", ondelete="CASCADE")
    )
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    type: Mapped[str]
    timeframe: Mapped[int]
    parameters: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    config: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    assets: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")
    risk_level: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[datetime | None]


class StrategyVersion(Base):
    """What a strategy was at one time, for good; numbered from 1 without gaps by its writer.

    Without `created_by` nobody made it: the platform did, by adapting the strategy.
    """

    __tablename__ = "strategy_versions"
    __table_args__ = (
        tenant_reference("strategy_versions", "strategies", "strategy_id"),
        UniqueConstraint(
            "user_id", "strategy_id", "version_number", name="uq_strategy_versions_tenant"
        ),
        UniqueConstraint("strategy_id", "version_number", name="uq_strategy_versions_number"),
        CheckConstraint("version_number > 0", name="number"),
        CheckConstraint("jsonb_typeof(config) = 'object'", name="config"),
        CheckConstraint("created_by = user_id", name="created_by"),
        {"info": TENANT | audited()},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    strategy_id: Mapped[UUID]
    version_number: Mapped[int]
    config: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]
    created_by: Mapped[UUID | None] = mapped_column(server_default=text("current_user_id()"))


class Backtest(Base):
    """How a strategy would have done, and what it takes to run the test again.

    `returns`, `win_rate` and `max_drawdown` are in per cent. `trial_count` is how many variants
    were tried before this one was picked, for which `deflated_sharpe_ratio`, the probability that
    the true ratio is above 0, makes up. Source: Bailey & López de Prado (2014), "The Deflated
    Sharpe Ratio", Journal of Portfolio Management 40(5).
    """

    __tablename__ = "backtests"
    __table_args__ = (
        tenant_reference("backtests", "strategies", "strategy_id"),
        ForeignKeyConstraint(
            ["user_id", "strategy_id", "version_number"],
            [
                "strategy_versions.user_id",
                "strategy_versions.strategy_id",
                "strategy_versions.version_number",
            ],
            name="fk_backtests_strategy_versions",
            ondelete="CASCADE",
        ),
        CheckConstraint("start_date < end_date", name="period"),
        CheckConstraint("initial_capital > 0 AND final_capital >= 0", name="capital"),
        CheckConstraint("'NaN' NOT IN (initial_capital, final_capital)", name="not_nan"),
        CheckConstraint("returns >= -100 AND returns < 'Infinity'", name="returns"),
        CheckConstraint(
            "win_rate BETWEEN 0 AND 100 AND max_drawdown BETWEEN 0 AND 100", name="percentages"
        ),
        CheckConstraint(
            "abs(sharpe_ratio) < 'Infinity' AND profit_factor >= 0 AND profit_factor < 'Infinity'"
            " AND deflated_sharpe_ratio BETWEEN 0 AND 1",
            name="ratios",
        ),
        CheckConstraint("trades_count >= 0 AND trial_count > 0", name="counts"),
        CheckConstraint("data_fingerprint <> ''", name="data_fingerprint"),
        CheckConstraint("jsonb_typeof(results_data) = 'object'", name="results_data"),
        Index("idx_backtests_version", "user_id", "strategy_id", "version_number"),
        Index("idx_backtests_strategy_time", "strategy_id", "created_at"),
        {
            "info": TENANT
            | unaudited("figures that follow from a version, a seed and data; never changed")
        },
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    strategy_id: Mapped[UUID]
    version_number: Mapped[int | None]
    start_date: Mapped[datetime]
    end_date: Mapped[datetime]
    initial_capital: Mapped[Decimal] = mapped_column(Money)
    final_capital: Mapped[Decimal] = mapped_column(Money)
    returns: Mapped[float]
    win_rate: Mapped[float | None]
    trades_count: Mapped[int]
    max_drawdown: Mapped[float]
    sharpe_ratio: Mapped[float | None]
    profit_factor: Mapped[float | None]
    deflated_sharpe_ratio: Mapped[float | None]
    trial_count: Mapped[int] = mapped_column(server_default="1")
    seed: Mapped[BigInt | None]
    data_fingerprint: Mapped[str]
    results_data: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[CreatedAt]


class PerformanceMetric(Base):
    """One figure of a running strategy at one time."""

    __tablename__ = "performance_metrics"
    __table_args__ = (
        tenant_reference("performance_metrics", "strategies", "strategy_id"),
        CheckConstraint("length(metric_name) BETWEEN 1 AND 50", name="name"),
        CheckConstraint("abs(value) < 'Infinity'", name="value"),
        Index("idx_performance_metrics_name_time", "user_id", "metric_name", "time"),
        {
            "info": TENANT | unaudited("a series of measured figures"),
            "postgresql_partition_by": "RANGE (time)",
        },
    )

    user_id: Mapped[UserId]
    strategy_id: Mapped[UUID] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    metric_name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]


class PerformanceAnalytics(Base):
    """How a strategy did over the period that ends at `time`.

    `total_return`, `max_drawdown` and `win_rate` are in per cent; `avg_loss` is positive. What too
    few trades do not tell is null.
    """

    __tablename__ = "performance_analytics"
    __table_args__ = (
        tenant_reference("performance_analytics", "strategies", "strategy_id"),
        CheckConstraint(
            "period IN ('hour', 'day', 'week', 'month', 'quarter', 'year', 'all')", name="period"
        ),
        CheckConstraint("total_return >= -100 AND total_return < 'Infinity'", name="return"),
        CheckConstraint(
            "win_rate BETWEEN 0 AND 100 AND max_drawdown BETWEEN 0 AND 100", name="percentages"
        ),
        CheckConstraint(
            "abs(sharpe_ratio) < 'Infinity' AND profit_factor >= 0 AND profit_factor < 'Infinity'",
            name="ratios",
        ),
        CheckConstraint("total_trades >= 0", name="total_trades"),
        CheckConstraint("avg_win >= 0 AND avg_loss >= 0", name="amounts"),
        CheckConstraint("'NaN' NOT IN (avg_win, avg_loss)", name="not_nan"),
        Index("idx_performance_analytics_user_time", "user_id", "time"),
        {
            "info": TENANT | unaudited("a series of measured figures"),
            "postgresql_partition_by": "RANGE (time)",
        },
    )

    user_id: Mapped[UserId]
    strategy_id: Mapped[UUID] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    total_return: Mapped[float]
    sharpe_ratio: Mapped[float | None]
    max_drawdown: Mapped[float]
    win_rate: Mapped[float | None]
    profit_factor: Mapped[float | None]
    total_trades: Mapped[int]
    avg_win: Mapped[Decimal | None] = mapped_column(Money)
    avg_loss: Mapped[Decimal | None] = mapped_column(Money)
