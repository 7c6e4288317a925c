"""Models: versions, predictions, their performance, regimes, adaptation, memory."""

from alembic import op

from seawall.db.series import MARKET_REGIMES, MODEL_PERFORMANCE
from seawall.migrations.operations import audit_rows, create_series, drop_series, grant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Hours between two instants, not days on a calendar: no session's time zone has a say in it.
SPAN = """
    CASE timeframe WHEN '7d' THEN interval '7 days' WHEN '14d' THEN interval '14 days'
        WHEN '30d' THEN interval '30 days' END
"""

# By the database's clock, so that no writer decides when the future has come. A row may come with
# its outcome when that is known already, as one that is read back from an archive does.
GUARD_PREDICTION = """
CREATE FUNCTION guard_prediction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF to_jsonb(NEW) - '{actual_value,accuracy_score}'::text[]
                <> to_jsonb(OLD) - '{actual_value,accuracy_score}'::text[] THEN
            RAISE 'prediction % is made and cannot be changed', OLD.id
                USING ERRCODE = 'restrict_violation';
        ELSIF OLD.actual_value IS NOT NULL THEN
            RAISE 'prediction % has been scored already', OLD.id
                USING ERRCODE = 'restrict_violation';
        END IF;
    END IF;
    IF NEW.actual_value IS NOT NULL AND NEW.target_date > now() THEN
        RAISE 'prediction % is for %, which has not come yet', NEW.id, NEW.target_date
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$
"""

SUMMARY = """
CREATE VIEW model_performance_summary WITH (security_invoker = true) AS
SELECT model_versions.model_name,
    model_versions.version AS model_version,
    exchanges.code AS exchange,
    symbols.symbol,
    avg(abs(model_performance.prediction - model_performance.actual)) AS avg_error,
    avg(model_performance.latency_ms) AS avg_latency,
    count(*) AS prediction_count
FROM model_performance
JOIN model_versions ON model_versions.id = model_performance.model_version_id
JOIN symbols ON symbols.id = model_performance.symbol_id
JOIN exchanges ON exchanges.id = symbols.exchange_id
WHERE model_performance.time > now() - interval '24 hours'
GROUP BY model_versions.id, symbols.id, exchanges.id
"""


def upgrade() -> None:
    _create_model_versions()
    _create_predictions()
    _create_model_performance()
    _create_market_regimes()
    _create_adaptation_history()
    _create_experience_replay()
    op.execute(SUMMARY)
    grant("model_performance_summary", "SELECT")


def _create_model_versions() -> None:
    op.execute("""
        CREATE TABLE model_versions (
            id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_model_versions PRIMARY KEY,
            model_name text NOT NULL,
            version text NOT NULL,
            status text NOT NULL DEFAULT 'training',
            performance_metrics jsonb NOT NULL DEFAULT '{}',
            hyperparameters jsonb NOT NULL DEFAULT '{}',
            model_path text,
            artefact_sha256 bytea,
            trained_from timestamptz,
            trained_until timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            deployed_at timestamptz,
            CONSTRAINT uq_model_versions_version UNIQUE (model_name, version),
            CONSTRAINT ck_model_versions_names CHECK (model_name <> '' AND version <> ''),
            CONSTRAINT ck_model_versions_status
                CHECK (status IN ('training', 'validating', 'deployed', 'retired')),
            CONSTRAINT ck_model_versions_deployed CHECK (
                CASE status WHEN 'deployed' THEN deployed_at IS NOT NULL
                    WHEN 'retired' THEN true ELSE deployed_at IS NULL END
            ),
            CONSTRAINT ck_model_versions_artefact CHECK (
                (model_path IS NULL) = (artefact_sha256 IS NULL)
                AND octet_length(artefact_sha256) = 32
            ),
            CONSTRAINT ck_model_versions_trained CHECK (
                (trained_from IS NULL) = (trained_until IS NULL) AND trained_from < trained_until
            ),
            CONSTRAINT ck_model_versions_objects CHECK (
                jsonb_typeof(performance_metrics) = 'object'
                AND jsonb_typeof(hyperparameters) = 'object'
            )
        )
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_model_versions_deployed ON model_versions (model_name)
        WHERE status = 'deployed'
    """)
    # Asked before a version is trained: has this been tried? Metrics are compared, not searched.
    op.execute("""
        CREATE INDEX idx_model_versions_hyperparameters
        ON model_versions USING gin (hyperparameters)
    """)
    audit_rows("model_versions", derived=("performance_metrics",))
    changing = "status, deployed_at, performance_metrics, model_path, artefact_sha256"
    grant("model_versions", "SELECT", "INSERT", f"UPDATE ({changing})")


def _create_predictions() -> None:
    op.execute(f"""
        CREATE TABLE predictions (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_predictions PRIMARY KEY,
            asset_id integer NOT NULL CONSTRAINT fk_predictions_assets REFERENCES assets,
            prediction_type text NOT NULL,
            timeframe text NOT NULL,
            model_version_id integer NOT NULL
                CONSTRAINT fk_predictions_model_versions REFERENCES model_versions,
            prediction_date timestamptz NOT NULL,
            target_date timestamptz NOT NULL,
            predicted_value double precision,
            confidence_score double precision,
            direction text,
            actual_value double precision,
            accuracy_score double precision,
            factors jsonb NOT NULL DEFAULT '{{}}',
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT uq_predictions_prediction UNIQUE
                (asset_id, prediction_type, timeframe, prediction_date, model_version_id),
            CONSTRAINT ck_predictions_prediction_type
                CHECK (prediction_type IN ('price', 'trend', 'volatility')),
            CONSTRAINT ck_predictions_timeframe CHECK (timeframe IN ('7d', '14d', '30d')),
            CONSTRAINT ck_predictions_target_date CHECK (target_date - prediction_date = {SPAN}),
            CONSTRAINT ck_predictions_confidence
                CHECK (confidence_score >= 0 AND confidence_score <= 100),
            CONSTRAINT ck_predictions_direction
                CHECK (direction IN ('bullish', 'bearish', 'neutral')),
            CONSTRAINT ck_predictions_says_something CHECK (
                CASE prediction_type WHEN 'trend' THEN direction IS NOT NULL
                    ELSE predicted_value IS NOT NULL END
            ),
            CONSTRAINT ck_predictions_values CHECK (
                least(predicted_value, actual_value)
                    >= CASE prediction_type WHEN 'trend' THEN -1 ELSE 0 END
                AND greatest(predicted_value, actual_value) < 'Infinity'
            ),
            CONSTRAINT ck_predictions_accuracy
                CHECK (accuracy_score >= 0 AND accuracy_score <= 100),
            CONSTRAINT ck_predictions_scored
                CHECK ((actual_value IS NULL) = (accuracy_score IS NULL)),
            CONSTRAINT ck_predictions_factors CHECK (jsonb_typeof(factors) = 'object')
        )
    """)
    op.execute("""
        CREATE INDEX idx_predictions_prediction_date ON predictions (prediction_date DESC)
    """)
    op.execute("""
        CREATE INDEX idx_predictions_target_date ON predictions (target_date)
        WHERE actual_value IS NULL
    """)
    op.execute("""
        CREATE INDEX idx_predictions_model_version_id
        ON predictions (model_version_id, prediction_date)
    """)
    op.execute("""
        CREATE INDEX idx_predictions_accuracy ON predictions (accuracy_score)
        WHERE accuracy_score IS NOT NULL
    """)
    op.execute("CREATE INDEX idx_predictions_factors ON predictions USING gin (factors)")
    op.execute(GUARD_PREDICTION)
    op.execute("""
        CREATE TRIGGER guard_predictions BEFORE INSERT OR UPDATE ON predictions
        FOR EACH ROW EXECUTE FUNCTION guard_prediction()
    """)
    grant("predictions", "SELECT", "INSERT", "UPDATE (actual_value, accuracy_score)")


def _create_model_performance() -> None:
    op.execute("""
        CREATE TABLE model_performance (
            model_version_id integer NOT NULL,
            symbol_id integer NOT NULL,
            time timestamptz NOT NULL,
            prediction double precision NOT NULL,
            actual double precision NOT NULL,
            confidence double precision NOT NULL,
            latency_ms double precision NOT NULL,
            ingested_at timestamptz NOT NULL,
            CONSTRAINT pk_model_performance PRIMARY KEY (model_version_id, symbol_id, time),
            CONSTRAINT ck_model_performance_values CHECK (
                least(prediction, actual) > '-Infinity'
                AND greatest(prediction, actual) < 'Infinity'
            ),
            CONSTRAINT ck_model_performance_confidence
                CHECK (confidence >= 0 AND confidence <= 1),
            CONSTRAINT ck_model_performance_latency
                CHECK (latency_ms >= 0 AND latency_ms < 'Infinity')
        ) PARTITION BY RANGE (time)
    """)
    create_series(MODEL_PERFORMANCE)
    # The day of all models, out of a chunk of a month.
    op.execute("""
        CREATE INDEX idx_model_performance_time ON model_performance USING brin (time)
    """)
    grant("model_performance", "SELECT", "INSERT")


def _create_market_regimes() -> None:
    op.execute("""
        CREATE TABLE market_regimes (
            symbol_id integer NOT NULL,
            time timestamptz NOT NULL,
            regime_type text NOT NULL,
            confidence double precision NOT NULL,
            features jsonb NOT NULL DEFAULT '{}',
            duration_minutes integer,
            ingested_at timestamptz NOT NULL,
            CONSTRAINT pk_market_regimes PRIMARY KEY (symbol_id, time),
            CONSTRAINT ck_market_regimes_regime_type
                CHECK (regime_type IN ('trending', 'ranging', 'volatile', 'crisis')),
            CONSTRAINT ck_market_regimes_confidence CHECK (confidence >= 0 AND confidence <= 1),
            CONSTRAINT ck_market_regimes_features CHECK (jsonb_typeof(features) = 'object'),
            CONSTRAINT ck_market_regimes_duration CHECK (duration_minutes >= 0)
        ) PARTITION BY RANGE (time)
    """)
    create_series(MARKET_REGIMES)
    grant("market_regimes", "SELECT", "INSERT", "UPDATE (duration_minutes)")


def _create_adaptation_history() -> None:
    op.execute("""
        CREATE TABLE adaptation_history (
            id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_adaptation_history PRIMARY KEY,
            time timestamptz NOT NULL DEFAULT now(),
            model_version_id integer NOT NULL
                CONSTRAINT fk_adaptation_history_model_versions REFERENCES model_versions,
            trigger_event text NOT NULL,
            adaptation_type text NOT NULL,
            performance_before jsonb NOT NULL,
            performance_after jsonb,
            success boolean NOT NULL,
            CONSTRAINT ck_adaptation_history_trigger_event
                CHECK (trigger_event IN ('drift', 'regime_change', 'performance', 'manual')),
            CONSTRAINT ck_adaptation_history_adaptation_type
                CHECK (adaptation_type IN ('retraining', 'finetuning', 'parameter_update')),
            CONSTRAINT ck_adaptation_history_measured
                CHECK (performance_after IS NOT NULL OR NOT success),
            CONSTRAINT ck_adaptation_history_objects CHECK (
                jsonb_typeof(performance_before) = 'object'
                AND jsonb_typeof(performance_after) = 'object'
            )
        )
    """)
    op.execute("""
        CREATE INDEX idx_adaptation_history_model_version_id
        ON adaptation_history (model_version_id, time)
    """)
    grant("adaptation_history", "SELECT", "INSERT")


def _create_experience_replay() -> None:
    op.execute("""
        CREATE TABLE experience_replay (
            id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_experience_replay PRIMARY KEY,
            time timestamptz NOT NULL,
            tier integer NOT NULL,
            state jsonb NOT NULL,
            action jsonb NOT NULL,
            reward double precision NOT NULL,
            next_state jsonb NOT NULL,
            priority double precision NOT NULL DEFAULT 1,
            CONSTRAINT ck_experience_replay_tier CHECK (tier BETWEEN 1 AND 6),
            CONSTRAINT ck_experience_replay_reward
                CHECK (reward > '-Infinity' AND reward < 'Infinity'),
            CONSTRAINT ck_experience_replay_priority
                CHECK (priority >= 0 AND priority < 'Infinity')
        )
    """)
    op.execute("""
        CREATE INDEX idx_experience_replay_tier_priority_time
        ON experience_replay (tier, priority DESC, time)
    """)
    op.execute("""
        CREATE INDEX idx_experience_replay_time ON experience_replay USING brin (time)
    """)
    # Memory is bounded: what a tier has no room for is promoted or forgotten.
    grant("experience_replay", "SELECT", "INSERT", "UPDATE (tier, priority)", "DELETE")


def downgrade() -> None:
    op.execute("DROP VIEW model_performance_summary")
    op.execute("DROP TABLE experience_replay")
    op.execute("DROP TABLE adaptation_history")
    drop_series(MARKET_REGIMES)
    drop_series(MODEL_PERFORMANCE)
    op.execute("DROP TABLE predictions")
    op.execute("DROP FUNCTION guard_prediction")
    op.execute("DROP TABLE model_versions")
