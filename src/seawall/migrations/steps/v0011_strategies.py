"""The tables of strategies."""

from alembic import op

from seawall.db.series import PERFORMANCE_ANALYTICS, PERFORMANCE_METRICS
from seawall.migrations.operations import (
    audit_rows,
    create_series,
    drop_series,
    grant,
    restrict_rows,
    touch_on_update,
)

STRATEGIES = """
CREATE TABLE strategies (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_strategies PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id()
        CONSTRAINT fk_strategies_users REFERENCES users ON DELETE CASCADE,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    type text NOT NULL,
    timeframe integer NOT NULL,
    parameters jsonb NOT NULL DEFAULT '{}',
    config jsonb NOT NULL DEFAULT '{}',
    assets integer[] NOT NULL DEFAULT '{}',
    risk_level text,
    is_active boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT uq_strategies_tenant UNIQUE (user_id, id),
    CONSTRAINT ck_strategies_name_length CHECK (length(name) BETWEEN 1 AND 100),
    CONSTRAINT ck_strategies_type CHECK (length(type) BETWEEN 1 AND 50),
    CONSTRAINT ck_strategies_timeframe CHECK (timeframe > 0),
    CONSTRAINT ck_strategies_objects CHECK (
        jsonb_typeof(parameters) = 'object' AND jsonb_typeof(config) = 'object'
    ),
    CONSTRAINT ck_strategies_risk_level
        CHECK (risk_level IN ('low', 'medium', 'high', 'critical')),
    CONSTRAINT ck_strategies_active_lives CHECK (NOT is_active OR deleted_at IS NULL)
)
"""

# Trigger functions name the schema: a temporary table of the caller's must not stand in.
CHECK_ASSETS = """
CREATE FUNCTION check_strategy_assets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM public.assets WHERE id = ANY (NEW.assets))
            <> cardinality(NEW.assets) THEN
        RAISE 'the assets % of strategy % are not all there, or one is named twice',
            NEW.assets, NEW.id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'fk_strategies_assets';
    END IF;
    RETURN NEW;
END $$
"""

STRATEGY_VERSIONS = """
CREATE TABLE strategy_versions (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_strategy_versions PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id(),
    strategy_id uuid NOT NULL,
    version_number integer NOT NULL,
    config jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by uuid DEFAULT current_user_id(),
    CONSTRAINT fk_strategy_versions_strategies FOREIGN KEY (user_id, strategy_id)
        REFERENCES strategies (user_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_strategy_versions_tenant UNIQUE (user_id, strategy_id, version_number),
    CONSTRAINT uq_strategy_versions_number UNIQUE (strategy_id, version_number),
    CONSTRAINT ck_strategy_versions_number CHECK (version_number > 0),
    CONSTRAINT ck_strategy_versions_config CHECK (jsonb_typeof(config) = 'object'),
    CONSTRAINT ck_strategy_versions_created_by CHECK (created_by = user_id)
)
"""

BACKTESTS = """
CREATE TABLE backtests (
    id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_backtests PRIMARY KEY,
    user_id uuid NOT NULL DEFAULT current_user_id(),
    strategy_id uuid NOT NULL,
    version_number integer,
    start_date timestamptz NOT NULL,
    end_date timestamptz NOT NULL,
    initial_capital numeric(38, 18) NOT NULL,
    final_capital numeric(38, 18) NOT NULL,
    returns double precision NOT NULL,
    win_rate double precision,
    trades_count integer NOT NULL,
    max_drawdown double precision NOT NULL,
    sharpe_ratio double precision,
    profit_factor double precision,
    deflated_sharpe_ratio double precision,
    trial_count integer NOT NULL DEFAULT 1,
    seed bigint,
    data_fingerprint text NOT NULL,
    results_data jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT fk_backtests_strategies FOREIGN KEY (user_id, strategy_id)
        REFERENCES strategies (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_backtests_strategy_versions
        FOREIGN KEY (user_id, strategy_id, version_number)
        REFERENCES strategy_versions (user_id, strategy_id, version_number)
        ON DELETE CASCADE,
    CONSTRAINT ck_backtests_period CHECK (start_date < end_date),
    CONSTRAINT ck_backtests_capital CHECK (initial_capital > 0 AND final_capital >= 0),
    CONSTRAINT ck_backtests_not_nan
        CHECK ('NaN' NOT IN (initial_capital, final_capital)),
    CONSTRAINT ck_backtests_returns CHECK (returns >= -100 AND returns < 'Infinity'),
    CONSTRAINT ck_backtests_percentages
        CHECK (win_rate BETWEEN 0 AND 100 AND max_drawdown BETWEEN 0 AND 100),
    CONSTRAINT ck_backtests_ratios CHECK (
        abs(sharpe_ratio) < 'Infinity' AND profit_factor >= 0
        AND profit_factor < 'Infinity' AND deflated_sharpe_ratio BETWEEN 0 AND 1
    ),
    CONSTRAINT ck_backtests_counts CHECK (trades_count >= 0 AND trial_count > 0),
    CONSTRAINT ck_backtests_data_fingerprint CHECK (data_fingerprint <> ''),
    CONSTRAINT ck_backtests_results_data CHECK (jsonb_typeof(results_data) = 'object')
)
"""

METRICS = """
CREATE TABLE performance_metrics (
    user_id uuid NOT NULL DEFAULT current_user_id(),
    strategy_id uuid NOT NULL,
    time timestamptz NOT NULL,
    metric_name text NOT NULL,
    value double precision NOT NULL,
    CONSTRAINT pk_performance_metrics PRIMARY KEY (strategy_id, time, metric_name),
    CONSTRAINT fk_performance_metrics_strategies FOREIGN KEY (user_id, strategy_id)
        REFERENCES strategies (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_performance_metrics_name CHECK (length(metric_name) BETWEEN 1 AND 50),
    CONSTRAINT ck_performance_metrics_value CHECK (abs(value) < 'Infinity')
) PARTITION BY RANGE (time)
"""

ANALYTICS = """
CREATE TABLE performance_analytics (
    user_id uuid NOT NULL DEFAULT current_user_id(),
    strategy_id uuid NOT NULL,
    period text NOT NULL,
    time timestamptz NOT NULL,
    total_return double precision NOT NULL,
    sharpe_ratio double precision,
    max_drawdown double precision NOT NULL,
    win_rate double precision,
    profit_factor double precision,
    total_trades integer NOT NULL,
    avg_win numeric(38, 18),
    avg_loss numeric(38, 18),
    CONSTRAINT pk_performance_analytics PRIMARY KEY (strategy_id, period, time),
    CONSTRAINT fk_performance_analytics_strategies FOREIGN KEY (user_id, strategy_id)
        REFERENCES strategies (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_performance_analytics_period CHECK (
        period IN ('hour', 'day', 'week', 'month', 'quarter', 'year', 'all')
    ),
    CONSTRAINT ck_performance_analytics_return
        CHECK (total_return >= -100 AND total_return < 'Infinity'),
    CONSTRAINT ck_performance_analytics_percentages
        CHECK (win_rate BETWEEN 0 AND 100 AND max_drawdown BETWEEN 0 AND 100),
    CONSTRAINT ck_performance_analytics_ratios CHECK (
        abs(sharpe_ratio) < 'Infinity' AND profit_factor >= 0
        AND profit_factor < 'Infinity'
    ),
    CONSTRAINT ck_performance_analytics_total_trades CHECK (total_trades >= 0),
    CONSTRAINT ck_performance_analytics_amounts CHECK (avg_win >= 0 AND avg_loss >= 0),
    CONSTRAINT ck_performance_analytics_not_nan CHECK ('NaN' NOT IN (avg_win, avg_loss))
) PARTITION BY RANGE (time)
"""


def create_strategies() -> None:
    """Create strategies, their versions, backtests and performance."""
    _create_strategies()
    _create_strategy_versions()
    _create_backtests()
    _create_performance_metrics()
    _create_performance_analytics()


def drop_strategies() -> None:
    """Drop what `create_strategies` creates."""
    drop_series(PERFORMANCE_ANALYTICS)
    drop_series(PERFORMANCE_METRICS)
    for table in ("backtests", "strategy_versions", "strategies"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION check_strategy_assets")


def _create_strategies() -> None:
    op.execute(STRATEGIES)
    op.execute("""
        CREATE UNIQUE INDEX uq_strategies_living_name ON strategies (user_id, lower(name))
        WHERE deleted_at IS NULL
    """)
    op.execute("CREATE INDEX idx_strategies_active ON strategies (user_id) WHERE is_active")
    op.execute(CHECK_ASSETS)
    op.execute("""
        CREATE TRIGGER check_strategy_assets BEFORE INSERT OR UPDATE OF assets ON strategies
        FOR EACH ROW EXECUTE FUNCTION check_strategy_assets()
    """)
    restrict_rows("strategies")
    audit_rows("strategies")
    touch_on_update("strategies")
    grant("strategies", "SELECT", "INSERT", "UPDATE")


def _create_strategy_versions() -> None:
    op.execute(STRATEGY_VERSIONS)
    restrict_rows("strategy_versions")
    audit_rows("strategy_versions")
    # A version is for good: what was once tested or traded can be looked up.
    grant("strategy_versions", "SELECT", "INSERT")


def _create_backtests() -> None:
    op.execute(BACKTESTS)
    op.execute(
        "CREATE INDEX idx_backtests_version ON backtests (user_id, strategy_id, version_number)"
    )
    op.execute("CREATE INDEX idx_backtests_strategy_time ON backtests (strategy_id, created_at)")
    restrict_rows("backtests")
    grant("backtests", "SELECT", "INSERT")


def _create_performance_metrics() -> None:
    op.execute(METRICS)
    op.execute("""
        CREATE INDEX idx_performance_metrics_name_time
        ON performance_metrics (user_id, metric_name, time)
    """)
    create_series(PERFORMANCE_METRICS)
    restrict_rows("performance_metrics")
    # What a late fill changes is measured again.
    grant("performance_metrics", "SELECT", "INSERT", "UPDATE")


def _create_performance_analytics() -> None:
    op.execute(ANALYTICS)
    op.execute("""
        CREATE INDEX idx_performance_analytics_user_time ON performance_analytics (user_id, time)
    """)
    create_series(PERFORMANCE_ANALYTICS)
    restrict_rows("performance_analytics")
    grant("performance_analytics", "SELECT", "INSERT", "UPDATE")
