"""Measured portfolio risk."""

from alembic import op

from seawall.db.series import PORTFOLIO_RISK_METRICS
from seawall.migrations.operations import create_series, drop_series, grant, secure_rows

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE portfolio_risk_metrics (
            id uuid NOT NULL DEFAULT gen_random_uuid(),
            time timestamptz NOT NULL,
            user_id uuid NOT NULL,
            portfolio_id uuid NOT NULL,
            known_at timestamptz NOT NULL,
            window_days integer NOT NULL,
            confidence double precision NOT NULL,
            benchmark text NOT NULL,
            observations integer NOT NULL,
            total_value_usd numeric(38, 18),
            volatility double precision,
            var_95 double precision,
            var_99 double precision,
            expected_shortfall double precision,
            sharpe_ratio double precision,
            sortino_ratio double precision,
            max_drawdown double precision,
            beta double precision,
            correlation_btc double precision,
            correlation_sp500 double precision,
            skewness double precision,
            kurtosis double precision,
            herfindahl_index double precision,
            effective_n double precision,
            correlation_matrix jsonb NOT NULL,
            details jsonb NOT NULL,
            CONSTRAINT pk_portfolio_risk_metrics PRIMARY KEY (id, time),
            CONSTRAINT fk_portfolio_risk_metrics_portfolios FOREIGN KEY (user_id, portfolio_id)
                REFERENCES portfolios (user_id, id) ON DELETE CASCADE,
            CONSTRAINT ck_portfolio_risk_metrics_confidence
                CHECK (confidence > 0 AND confidence < 1),
            CONSTRAINT ck_portfolio_risk_metrics_window CHECK (window_days > 0),
            CONSTRAINT ck_portfolio_risk_metrics_known_after CHECK (known_at >= time)
        ) PARTITION BY RANGE (time)
    """)
    op.execute("""
        CREATE INDEX idx_portfolio_risk_metrics_portfolio_time
        ON portfolio_risk_metrics (portfolio_id, time)
    """)
    op.execute(
        "CREATE INDEX idx_portfolio_risk_metrics_user_id ON portfolio_risk_metrics (user_id)"
    )
    create_series(PORTFOLIO_RISK_METRICS)
    secure_rows("portfolio_risk_metrics")
    grant("portfolio_risk_metrics", "SELECT", "INSERT")


def downgrade() -> None:
    drop_series(PORTFOLIO_RISK_METRICS)
