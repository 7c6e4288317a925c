"""The tables of risk: what was measured, scored and stressed."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Identity,
    Index,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import (
    TENANT,
    Base,
    BigInt,
    CreatedAt,
    Money,
    UserId,
    UuidKey,
    tenant_reference,
    unaudited,
)


class PortfolioRiskMetrics(Base):
    """One risk report: what was measured, as of when, and as it was known when.

    `time` is the as-of instant and `known_at` the instant after which nothing was known to the
    measurement: the two and the parameters are enough to compute the same figures again.
    `parameters` are those that are not as by default; `figures` is every metric of the registry by
    its slug, each an object of value, low, high, standard_error, observations and reason, and null
    where they were not asked for. `total_invested_usd` is what the holdings cost;
    `total_profit_loss_percentage` is in per cent, and null when nothing was invested. What was
    measured in a batch has no correlation matrix.
    """

    __tablename__ = "portfolio_risk_metrics"
    __table_args__ = (
        tenant_reference("portfolio_risk_metrics", "portfolios", "portfolio_id"),
        CheckConstraint("confidence > 0 AND confidence < 1", name="confidence"),
        CheckConstraint("window_days > 0", name="window"),
        CheckConstraint("known_at >= time", name="known_after"),
        CheckConstraint("total_invested_usd >= 0 AND total_invested_usd <> 'NaN'", name="invested"),
        Index("idx_portfolio_risk_metrics_portfolio_time", "portfolio_id", "time"),
        Index("idx_portfolio_risk_metrics_user_id", "user_id", "changed_in"),
        {
            "info": TENANT | unaudited("a series of measured figures"),
            "postgresql_partition_by": "RANGE (time)",
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    time: Mapped[datetime] = mapped_column(primary_key=True)
    user_id: Mapped[UserId]
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
    correlation_matrix: Mapped[dict[str, Any] | None]
    details: Mapped[dict[str, Any]]
    total_invested_usd: Mapped[Decimal | None] = mapped_column(Money)
    total_profit_loss_usd: Mapped[Decimal | None] = mapped_column(
        Money, Computed("total_value_usd - total_invested_usd", persisted=True)
    )
    total_profit_loss_percentage: Mapped[float | None] = mapped_column(
        Computed(
            "CASE WHEN total_invested_usd > 0::numeric THEN"
            " (100::numeric * (total_value_usd / total_invested_usd - 1::numeric))"
            "::double precision ELSE NULL::double precision END",
            persisted=True,
        )
    )
    downside_deviation: Mapped[float | None]
    calmar_ratio: Mapped[float | None]
    value_at_risk: Mapped[float | None]
    parameters: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    figures: Mapped[dict[str, Any] | None]
    changed_in: Mapped[BigInt] = mapped_column(
        server_default=text("pg_current_xact_id()::text::bigint")
    )


class RiskMetrics(Base):
    """What was measured of an asset's daily returns over the window that ends at `time`.

    `var_95`, `var_99`, `expected_shortfall` (beyond `var_95`) and `max_drawdown` are fractions,
    positive for a loss; `beta` is against the benchmark. What cannot be estimated is null. A
    measurement that revised prices change takes the place of the earlier one. Nothing that was
    taken in after `ingested_at` was known to it, so that it can be computed again.
    """

    __tablename__ = "risk_metrics"
    __table_args__ = (
        CheckConstraint("window_days > 0", name="window"),
        CheckConstraint("observations >= 0", name="observations"),
        CheckConstraint("volatility >= 0 AND volatility < 'Infinity'", name="volatility"),
        CheckConstraint("max_drawdown BETWEEN 0 AND 1", name="max_drawdown"),
        CheckConstraint(
            "correlation_sp500 BETWEEN -1 AND 1 AND correlation_btc BETWEEN -1 AND 1",
            name="correlations",
        ),
        CheckConstraint(
            "greatest(abs(var_95), abs(var_99), abs(expected_shortfall), abs(sharpe_ratio),"
            " abs(sortino_ratio), abs(beta), abs(skewness), abs(kurtosis)) < 'Infinity'",
            name="finite",
        ),
        CheckConstraint(
            "downside_deviation >= 0 AND downside_deviation < 'Infinity'",
            name="downside_deviation",
        ),
        CheckConstraint("abs(calmar_ratio) < 'Infinity'", name="calmar_ratio"),
        Index("idx_risk_metrics_time", "time"),
        {"postgresql_partition_by": "RANGE (time)"},
    )

    asset_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    window_days: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    benchmark_asset_id: Mapped[int]
    observations: Mapped[int]
    volatility: Mapped[float | None]
    var_95: Mapped[float | None]
    var_99: Mapped[float | None]
    expected_shortfall: Mapped[float | None]
    sharpe_ratio: Mapped[float | None]
    sortino_ratio: Mapped[float | None]
    max_drawdown: Mapped[float | None]
    beta: Mapped[float | None]
    correlation_sp500: Mapped[float | None]
    correlation_btc: Mapped[float | None]
    skewness: Mapped[float | None]
    kurtosis: Mapped[float | None]
    ingested_at: Mapped[datetime]
    downside_deviation: Mapped[float | None]
    calmar_ratio: Mapped[float | None]


class MeasuredMidnight(Base):
    """A midnight as of which every portfolio was measured; those that lack are caught up with."""

    __tablename__ = "measured_midnights"
    __table_args__ = (
        CheckConstraint(
            "date_trunc('day', midnight, 'UTC') = midnight AND midnight <= measured_at",
            name="midnight",
        ),
    )

    midnight: Mapped[datetime] = mapped_column(primary_key=True)
    measured_at: Mapped[CreatedAt]


class AccountRiskMetrics(Base):
    """What a trading account risks at one time.

    Amounts are in the account's currency; `max_drawdown`, `var_95` and `expected_shortfall` are
    fractions of `portfolio_value`, positive for a loss, and null from too short a history.
    """

    __tablename__ = "account_risk_metrics"
    __table_args__ = (
        tenant_reference("account_risk_metrics", "trading_accounts", "account_id"),
        CheckConstraint(
            "total_exposure >= 0 AND margin_used >= 0 AND available_margin >= 0", name="amounts"
        ),
        CheckConstraint(
            "'NaN' NOT IN (portfolio_value, total_exposure, margin_used, available_margin)",
            name="not_nan",
        ),
        CheckConstraint("leverage_ratio >= 0 AND leverage_ratio < 'Infinity'", name="leverage"),
        CheckConstraint(
            "max_drawdown >= 0"
            " AND greatest(max_drawdown, abs(var_95), abs(expected_shortfall)) < 'Infinity'",
            name="finite",
        ),
        Index("idx_account_risk_metrics_user_time", "user_id", "time"),
        {
            "info": TENANT | unaudited("a series of measured figures"),
            "postgresql_partition_by": "RANGE (time)",
        },
    )

    user_id: Mapped[UserId]
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(primary_key=True)
    portfolio_value: Mapped[Decimal] = mapped_column(Money)
    total_exposure: Mapped[Decimal] = mapped_column(Money)
    margin_used: Mapped[Decimal] = mapped_column(Money)
    available_margin: Mapped[Decimal] = mapped_column(Money)
    leverage_ratio: Mapped[float | None]
    max_drawdown: Mapped[float | None]
    var_95: Mapped[float | None]
    expected_shortfall: Mapped[float | None]


class RiskScore(Base):
    """How risky an asset is, from 0 to 100, with what that is made of; one for each UTC day.

    The statuses and the number of listings are what the score was made of on that day.
    """

    __tablename__ = "risk_scores"
    __table_args__ = (
        CheckConstraint("risk_score BETWEEN 0 AND 100", name="score"),
        CheckConstraint("risk_level IN ('low', 'medium', 'high', 'extreme')", name="level"),
        CheckConstraint(
            "volatility_score BETWEEN 0 AND 100 AND liquidity_score BETWEEN 0 AND 100"
            " AND social_sentiment_score BETWEEN 0 AND 100 AND on_chain_score BETWEEN 0 AND 100",
            name="components",
        ),
        CheckConstraint(
            "audit_status IN ('audited', 'unaudited', 'known_issues')", name="audit_status"
        ),
        CheckConstraint("team_status IN ('doxxed', 'anonymous', 'partial')", name="team_status"),
        CheckConstraint("exchange_listings_count >= 0", name="listings"),
        CheckConstraint("jsonb_typeof(factors) = 'object'", name="factors"),
        Index(
            "uq_risk_scores_day",
            "asset_id",
            text("((calculated_at AT TIME ZONE 'UTC')::date)"),
            unique=True,
        ),
        Index("idx_risk_scores_latest", "asset_id", text("calculated_at DESC")),
        Index("idx_risk_scores_calculated_at", text("calculated_at DESC")),
        Index("idx_risk_scores_risk_level", "risk_level"),
        Index("idx_risk_scores_score", "risk_score"),
        Index("idx_risk_scores_factors", "factors", postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    asset_id: Mapped[int] = mapped_column(ForeignKey("assets.id", name="fk_risk_scores_assets"))
    risk_score: Mapped[float]
    risk_level: Mapped[str]
    volatility_score: Mapped[float | None]
    liquidity_score: Mapped[float | None]
    social_sentiment_score: Mapped[float | None]
    on_chain_score: Mapped[float | None]
    audit_status: Mapped[str | None]
    team_status: Mapped[str | None]
    exchange_listings_count: Mapped[int | None]
    factors: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    calculated_at: Mapped[datetime]
    created_at: Mapped[CreatedAt]


class StressTest(Base):
    """What a scenario would cost a portfolio, or a trading account.

    The value and the loss are in USD, or in the account's currency; a gain is a negative loss, and
    `loss_percentage` is in per cent of the value.
    """

    __tablename__ = "stress_tests"
    __table_args__ = (
        tenant_reference("stress_tests", "portfolios", "portfolio_id"),
        tenant_reference("stress_tests", "trading_accounts", "account_id"),
        CheckConstraint("num_nonnulls(portfolio_id, account_id) > 0", name="subject"),
        CheckConstraint("length(scenario_name) BETWEEN 1 AND 100", name="scenario"),
        CheckConstraint("'NaN' NOT IN (portfolio_value, loss_amount)", name="not_nan"),
        CheckConstraint("abs(loss_percentage) < 'Infinity'", name="loss_percentage"),
        CheckConstraint("recovery_time_minutes >= 0", name="recovery"),
        CheckConstraint("jsonb_typeof(risk_metrics) = 'object'", name="risk_metrics"),
        Index("idx_stress_tests_user_time", "user_id", "test_date"),
        Index("idx_stress_tests_portfolio", "portfolio_id", "test_date"),
        Index("idx_stress_tests_account", "account_id", "test_date"),
        {"info": TENANT | unaudited("computed figures; never changed")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId]
    portfolio_id: Mapped[UUID | None]
    account_id: Mapped[UUID | None]
    scenario_name: Mapped[str]
    test_date: Mapped[datetime]
    portfolio_value: Mapped[Decimal] = mapped_column(Money)
    loss_amount: Mapped[Decimal] = mapped_column(Money)
    loss_percentage: Mapped[float]
    recovery_time_minutes: Mapped[int | None]
    risk_metrics: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[CreatedAt]
