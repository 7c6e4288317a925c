"""The table of measured portfolio risk."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import TENANT, Base, Money


class PortfolioRiskMetrics(Base):
    """One risk report: what was measured, as of when, and as it was known when.

    `time` is the as-of instant and `known_at` the instant after which nothing was known to the
    measurement: the two and the parameters are enough to compute the same figures again.
    """

    __tablename__ = "portfolio_risk_metrics"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "portfolio_id"],
            ["portfolios.user_id", "portfolios.id"],
            name="fk_portfolio_risk_metrics_portfolios",
            ondelete="CASCADE",
        ),
        CheckConstraint("confidence > 0 AND confidence < 1", name="confidence"),
        CheckConstraint("window_days > 0", name="window"),
        CheckConstraint("known_at >= time", name="known_after"),
        Index("idx_portfolio_risk_metrics_portfolio_time", "portfolio_id", "time"),
        Index("idx_portfolio_risk_metrics_user_id", "user_id"),
        {"info": TENANT, "postgresql_partition_by": "RANGE (time)"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    time: Mapped[datetime] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    portfolio_id: Mapped[UUID]
    known_at: Mapped[datetime]
    window_days: Mapped[int]
    confidence: Mapped[float]
    benchmark: Mapped[str]
    observations: Mapped[int]
    total_value_usd: Mapped[Decimal | None] = mapped_column(Money)
    volatility: Mapped[float | None]
    var_95: Mapped[float | None]
    var_99: Mapped[float | None]
    expected_shortfall: Mapped[float | None]
    sharpe_ratio: Mapped[float | None]
    sortino_ratio: Mapped[float | None]
    max_drawdown: Mapped[float | None]
    beta: Mapped[float | None]
    correlation_btc: Mapped[float | None]
    correlation_sp500: Mapped[float | None]
    skewness: Mapped[float | None]
    kurtosis: Mapped[float | None]
    herfindahl_index: Mapped[float | None]
    effective_n: Mapped[float | None]
    correlation_matrix: Mapped[dict[str, Any]]
    details: Mapped[dict[str, Any]]
