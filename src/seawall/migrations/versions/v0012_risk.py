"""Risk in full: metrics of assets and accounts, scores, limits, events, stress tests."""

from alembic import op

from seawall.db.series import ACCOUNT_RISK_METRICS, RISK_METRICS
from seawall.migrations.operations import (
    audit_rows,
    create_series,
    drop_series,
    grant,
    restrict_rows,
    touch_on_update,
)

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ASSET_METRICS = """
CREATE TABLE risk_metrics (
    asset_id integer NOT NULL,
    time timestamptz NOT NULL,
    window_days integer NOT NULL,
    benchmark_asset_id integer NOT NULL,
    observations integer NOT NULL,
    volatility double precision,
    var_95 double precision,
    var_99 double precision,
    expected_shortfall double precision,
    sharpe_ratio double precision,
    sortino_ratio double precision,
    max_drawdown double precision,
    beta double precision,
    correlation_sp500 double precision,
    correlation_btc double precision,
    skewness double precision,
    kurtosis double precision,
    ingested_at timestamptz NOT NULL,
    CONSTRAINT pk_risk_metrics PRIMARY KEY (asset_id, time, window_days),
    CONSTRAINT ck_risk_metrics_window CHECK (window_days > 0),
    CONSTRAINT ck_risk_metrics_observations CHECK (observations >= 0),
    CONSTRAINT ck_risk_metrics_volatility CHECK (volatility >= 0 AND volatility < 'Infinity'),
    CONSTRAINT ck_risk_metrics_max_drawdown CHECK (max_drawdown BETWEEN 0 AND 1),
    CONSTRAINT ck_risk_metrics_correlations
        CHECK (correlation_sp500 BETWEEN -1 AND 1 AND correlation_btc BETWEEN -1 AND 1),
    CONSTRAINT ck_risk_metrics_finite CHECK (
        greatest(
            abs(var_95), abs(var_99), abs(expected_shortfall), abs(sharpe_ratio),
            abs(sortino_ratio), abs(beta), abs(skewness), abs(kurtosis)
        ) < 'Infinity'
    )
) PARTITION BY RANGE (time)
"""

ACCOUNT_METRICS = """
CREATE TABLE account_risk_metrics (
    user_id uuid NOT NULL DEFAULT current_user_id(),
    account_id uuid NOT NULL,
    time timestamptz NOT NULL,
    portfolio_value numeric(38, 18) NOT NULL,
    total_exposure numeric(38, 18) NOT NULL,
    margin_used numeric(38, 18) NOT NULL,
    available_margin numeric(38, 18) NOT NULL,
    leverage_ratio double precision,
    max_drawdown double precision,
    var_95 double precision,
    expected_shortfall double precision,
    CONSTRAINT pk_account_risk_metrics PRIMARY KEY (account_id, time),
    CONSTRAINT fk_account_risk_metrics_trading_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES trading_accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_account_risk_metrics_amounts
        CHECK (total_exposure >= 0 AND margin_used >= 0 AND available_margin >= 0),
    CONSTRAINT ck_account_risk_metrics_not_nan CHECK (
        'NaN' NOT IN (portfolio_value, total_exposure, margin_used, available_margin)
    ),
    CONSTRAINT ck_account_risk_metrics_leverage
        CHECK (leverage_ratio >= 0 AND leverage_ratio < 'Infinity'),
    CONSTRAINT ck_account_risk_metrics_finite CHECK (
        max_drawdown >= 0
        AND greatest(max_drawdown, abs(var_95), abs(expected_shortfall)) < 'Infinity'
    )
) PARTITION BY RANGE (time)
"""

SCORES = """
CREATE TABLE risk_scores (
    id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_risk_scores PRIMARY KEY,
    asset_id integer NOT NULL CONSTRAINT fk_risk_scores_assets REFERENCES assets,
    risk_score double precision NOT NULL,
    risk_level text NOT NULL,
    volatility_score double precision,
    liquidity_score double precision,
    social_sentiment_score double precision,
    on_chain_score double precision,
    audit_status text,
    team_status text,
    exchange_listings_count integer,
    factors jsonb NOT NULL DEFAULT '{}',
    calculated_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_risk_scores_score CHECK (risk_score BETWEEN 0 AND 100),
    CONSTRAINT ck_risk_scores_level
        CHECK (risk_level IN ('low', 'medium', 'high', 'extreme')),
    CONSTRAINT ck_risk_scores_components CHECK (
        volatility_score BETWEEN 0 AND 100 AND liquidity_score BETWEEN 0 AND 100
        AND social_sentiment_score BETWEEN 0 AND 100 AND on_chain_score BETWEEN 0 AND 100
    ),
    CONSTRAINT ck_risk_scores_audit_status
        CHECK (audit_status IN ('audited', 'unaudited', 'known_issues')),
    CONSTRAINT ck_risk_scores_team_status
        CHECK (team_status IN ('doxxed', 'anonymous', 'partial')),
    CONSTRAINT ck_risk_scores_listings CHECK (exchange_listings_count >= 0),
    CONSTRAINT ck_risk_scores_factors CHECK (jsonb_typeof(factors) = 'object')
)
"""

LATEST_SCORES = """
CREATE VIEW latest_risk_scores WITH (security_invoker = true) AS
SELECT DISTINCT ON (risk_scores.asset_id) assets.symbol AS asset_symbol, risk_scores.*
FROM risk_scores JOIN assets ON assets.id = risk_scores.asset_id
ORDER BY risk_scores.asset_id, risk_scores.calculated_at DESC
"""

LIMITS = """
CREATE TABLE risk_limits (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_risk_limits PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id()
        CONSTRAINT fk_risk_limits_users REFERENCES users ON DELETE CASCADE,
    portfolio_id uuid,
    account_id uuid,
    max_position_value numeric(38, 18),
    max_daily_loss numeric(38, 18),
    max_drawdown double precision,
    max_orders_per_hour integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_risk_limits_portfolios FOREIGN KEY (user_id, portfolio_id)
        REFERENCES portfolios (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_risk_limits_trading_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES trading_accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_risk_limits_tenant UNIQUE (user_id, id),
    CONSTRAINT uq_risk_limits_scope
        UNIQUE NULLS NOT DISTINCT (user_id, portfolio_id, account_id),
    CONSTRAINT ck_risk_limits_one_scope CHECK (num_nonnulls(portfolio_id, account_id) <= 1),
    CONSTRAINT ck_risk_limits_amounts CHECK (max_position_value >= 0 AND max_daily_loss >= 0),
    CONSTRAINT ck_risk_limits_not_nan CHECK ('NaN' NOT IN (max_position_value, max_daily_loss)),
    CONSTRAINT ck_risk_limits_max_drawdown CHECK (max_drawdown BETWEEN 0 AND 1),
    CONSTRAINT ck_risk_limits_max_orders CHECK (max_orders_per_hour >= 0)
)
"""

EVENTS = """
CREATE TABLE risk_events (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_risk_events PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id()
        CONSTRAINT fk_risk_events_users REFERENCES users ON DELETE CASCADE,
    limit_id uuid,
    limit_name text,
    event_type text NOT NULL,
    severity text NOT NULL,
    description text NOT NULL DEFAULT '',
    details jsonb NOT NULL DEFAULT '{}',
    triggered_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolved_by uuid,
    CONSTRAINT fk_risk_events_risk_limits FOREIGN KEY (user_id, limit_id)
        REFERENCES risk_limits (user_id, id) ON DELETE SET NULL (limit_id),
    CONSTRAINT ck_risk_events_limit_name CHECK (limit_name IN (
        'max_position_value', 'max_daily_loss', 'max_drawdown', 'max_orders_per_hour'
    )),
    CONSTRAINT ck_risk_events_limit CHECK (limit_id IS NULL OR limit_name IS NOT NULL),
    CONSTRAINT ck_risk_events_type CHECK (event_type ~ '^[a-z][a-z0-9_]{0,49}$'),
    CONSTRAINT ck_risk_events_severity CHECK (severity IN ('info', 'warning', 'critical')),
    CONSTRAINT ck_risk_events_details CHECK (jsonb_typeof(details) = 'object'),
    CONSTRAINT ck_risk_events_resolved_after CHECK (resolved_at >= triggered_at),
    CONSTRAINT ck_risk_events_resolved_by CHECK (
        resolved_by IS NULL OR (resolved_by = user_id AND resolved_at IS NOT NULL)
    )
)
"""

STRESS_TESTS = """
CREATE TABLE stress_tests (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_stress_tests PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id(),
    portfolio_id uuid,
    account_id uuid,
    scenario_name text NOT NULL,
    test_date timestamptz NOT NULL,
    portfolio_value numeric(38, 18) NOT NULL,
    loss_amount numeric(38, 18) NOT NULL,
    loss_percentage double precision NOT NULL,
    recovery_time_minutes integer,
    risk_metrics jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_stress_tests_portfolios FOREIGN KEY (user_id, portfolio_id)
        REFERENCES portfolios (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_stress_tests_trading_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES trading_accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_stress_tests_subject CHECK (num_nonnulls(portfolio_id, account_id) > 0),
    CONSTRAINT ck_stress_tests_scenario CHECK (length(scenario_name) BETWEEN 1 AND 100),
    CONSTRAINT ck_stress_tests_not_nan CHECK ('NaN' NOT IN (portfolio_value, loss_amount)),
    CONSTRAINT ck_stress_tests_loss_percentage CHECK (abs(loss_percentage) < 'Infinity'),
    CONSTRAINT ck_stress_tests_recovery CHECK (recovery_time_minutes >= 0),
    CONSTRAINT ck_stress_tests_risk_metrics CHECK (jsonb_typeof(risk_metrics) = 'object')
)
"""


def upgrade() -> None:
    _extend_portfolio_metrics()
    _create_asset_metrics()
    _create_account_metrics()
    _create_scores()
    _create_limits()
    _create_events()
    _create_stress_tests()


def _extend_portfolio_metrics() -> None:
    op.execute("""
        ALTER TABLE portfolio_risk_metrics
            ADD total_invested_usd numeric(38, 18),
            ADD total_profit_loss_usd numeric(38, 18)
                GENERATED ALWAYS AS (total_value_usd - total_invested_usd) STORED,
            ADD total_profit_loss_percentage double precision GENERATED ALWAYS AS (
                CASE WHEN total_invested_usd > 0 THEN
                    (100 * (total_value_usd / total_invested_usd - 1))::double precision
                END
            ) STORED,
            ADD CONSTRAINT ck_portfolio_risk_metrics_invested
                CHECK (total_invested_usd >= 0 AND total_invested_usd <> 'NaN')
    """)


def _create_asset_metrics() -> None:
    op.execute(ASSET_METRICS)
    create_series(RISK_METRICS)
    op.execute("CREATE INDEX idx_risk_metrics_time ON risk_metrics (time)")
    grant("risk_metrics", "SELECT", "INSERT", "UPDATE")


def _create_account_metrics() -> None:
    op.execute(ACCOUNT_METRICS)
    op.execute(
        "CREATE INDEX idx_account_risk_metrics_user_time ON account_risk_metrics (user_id, time)"
    )
    create_series(ACCOUNT_RISK_METRICS)
    restrict_rows("account_risk_metrics")
    grant("account_risk_metrics", "SELECT", "INSERT")


def _create_scores() -> None:
    op.execute(SCORES)
    op.execute("""
        CREATE UNIQUE INDEX uq_risk_scores_day
        ON risk_scores (asset_id, ((calculated_at AT TIME ZONE 'UTC')::date))
    """)
    op.execute("CREATE INDEX idx_risk_scores_latest ON risk_scores (asset_id, calculated_at DESC)")
    op.execute("CREATE INDEX idx_risk_scores_calculated_at ON risk_scores (calculated_at DESC)")
    op.execute("CREATE INDEX idx_risk_scores_risk_level ON risk_scores (risk_level)")
    op.execute("CREATE INDEX idx_risk_scores_score ON risk_scores (risk_score)")
    op.execute("CREATE INDEX idx_risk_scores_factors ON risk_scores USING gin (factors)")
    grant("risk_scores", "SELECT", "INSERT", "UPDATE")
    op.execute(LATEST_SCORES)
    grant("latest_risk_scores", "SELECT")


def _create_limits() -> None:
    op.execute(LIMITS)
    op.execute("CREATE INDEX idx_risk_limits_portfolio_id ON risk_limits (portfolio_id)")
    op.execute("CREATE INDEX idx_risk_limits_account_id ON risk_limits (account_id)")
    restrict_rows("risk_limits")
    audit_rows("risk_limits")
    touch_on_update("risk_limits")
    grant("risk_limits", "SELECT", "INSERT", "UPDATE")


def _create_events() -> None:
    op.execute(EVENTS)
    op.execute("""
        CREATE UNIQUE INDEX uq_risk_events_unresolved ON risk_events (limit_id, limit_name)
        WHERE resolved_at IS NULL
    """)
    op.execute("CREATE INDEX idx_risk_events_limit_id ON risk_events (limit_id)")
    op.execute("CREATE INDEX idx_risk_events_user_time ON risk_events (user_id, triggered_at DESC)")
    op.execute("CREATE INDEX idx_risk_events_event_type ON risk_events (user_id, event_type)")
    op.execute("CREATE INDEX idx_risk_events_severity ON risk_events (user_id, severity)")
    restrict_rows("risk_events")
    audit_rows("risk_events")
    grant("risk_events", "SELECT", "INSERT", "UPDATE")


def _create_stress_tests() -> None:
    op.execute(STRESS_TESTS)
    op.execute("CREATE INDEX idx_stress_tests_user_time ON stress_tests (user_id, test_date)")
    op.execute("CREATE INDEX idx_stress_tests_portfolio ON stress_tests (portfolio_id, test_date)")
    op.execute("CREATE INDEX idx_stress_tests_account ON stress_tests (account_id, test_date)")
    restrict_rows("stress_tests")
    grant("stress_tests", "SELECT", "INSERT")


def downgrade() -> None:
    for table in ("stress_tests", "risk_events", "risk_limits"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP VIEW latest_risk_scores")
    op.execute("DROP TABLE risk_scores")
    drop_series(ACCOUNT_RISK_METRICS)
    drop_series(RISK_METRICS)
    op.execute("""
        ALTER TABLE portfolio_risk_metrics
            DROP total_profit_loss_percentage,
            DROP total_profit_loss_usd,
            DROP total_invested_usd
    """)
