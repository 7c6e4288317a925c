"""Insights, alerts and notifications."""

from alembic import op

from seawall.migrations.operations import audit_rows, grant, restrict_rows, touch_on_update

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A word of a vocabulary that grows with the code that writes it.
WORD = "'^[a-z][a-z_]{0,49}$'"
CHANNELS = "'email', 'push', 'sms', 'webhook', 'in_app'"
CHANNEL_LIST = """'["email", "push", "sms", "webhook", "in_app"]'"""

# What a condition may say beside its type and threshold, and of what kind each part is.
CONDITION_PARTS = "'{metric,timeframe,window_hours,min_confidence}'"
MISTYPED = """'strict $ ? (exists(@.metric ? (@.type() != "string"))
    || exists(@.timeframe ? (@.type() != "string" || @ != "7d" && @ != "14d" && @ != "30d"))
    || exists(@.window_hours ? (@.type() != "number" || @ <= 0))
    || exists(@.min_confidence ? (@.type() != "number" || @ < 0 || @ > 100)))'"""


def upgrade() -> None:
    _create_insights()
    _create_alerts()
    _create_alert_history()
    _create_notifications()


def _create_insights() -> None:
    op.execute(f"""
        CREATE TABLE ai_insights (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_ai_insights PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_ai_insights_users REFERENCES users ON DELETE CASCADE,
            portfolio_id uuid,
            asset_id integer CONSTRAINT fk_ai_insights_assets REFERENCES assets,
            insight_type text NOT NULL,
            title text NOT NULL,
            summary text NOT NULL,
            detailed_analysis text,
            facts jsonb NOT NULL,
            verdict text NOT NULL DEFAULT 'unchecked',
            verdict_details jsonb NOT NULL DEFAULT '{{}}',
            checked_at timestamptz,
            confidence_score double precision,
            model_name text,
            model_version text,
            prompt_used text,
            tags jsonb NOT NULL DEFAULT '[]',
            risk_level text,
            actionable boolean NOT NULL DEFAULT false,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz,
            CONSTRAINT fk_ai_insights_portfolios FOREIGN KEY (user_id, portfolio_id)
                REFERENCES portfolios (user_id, id) ON DELETE SET NULL (portfolio_id),
            CONSTRAINT ck_ai_insights_insight_type CHECK (insight_type ~ {WORD}),
            CONSTRAINT ck_ai_insights_texts
                CHECK (length(title) BETWEEN 1 AND 255 AND summary <> ''),
            CONSTRAINT ck_ai_insights_facts CHECK (jsonb_typeof(facts) = 'object'),
            CONSTRAINT ck_ai_insights_verdict
                CHECK (verdict IN ('unchecked', 'verified', 'refuted')),
            CONSTRAINT ck_ai_insights_checked
                CHECK ((verdict = 'unchecked') = (checked_at IS NULL)),
            CONSTRAINT ck_ai_insights_verdict_details
                CHECK (jsonb_typeof(verdict_details) = 'object'),
            CONSTRAINT ck_ai_insights_confidence
                CHECK (confidence_score >= 0 AND confidence_score <= 100),
            CONSTRAINT ck_ai_insights_tags CHECK (jsonb_typeof(tags) = 'array'),
            CONSTRAINT ck_ai_insights_risk_level
                CHECK (risk_level IN ('low', 'medium', 'high', 'extreme')),
            CONSTRAINT ck_ai_insights_expires CHECK (expires_at > created_at)
        )
    """)
    op.execute("CREATE INDEX idx_ai_insights_user_id ON ai_insights (user_id, created_at DESC)")
    op.execute("CREATE INDEX idx_ai_insights_portfolio_id ON ai_insights (portfolio_id)")
    op.execute("CREATE INDEX idx_ai_insights_asset_id ON ai_insights (asset_id)")
    op.execute("CREATE INDEX idx_ai_insights_type ON ai_insights (user_id, insight_type)")
    # None on the tags: under row security no plan may use an index for jsonb's operators, which are
    # not leakproof, and a user's own insights are found by the indexes above.
    restrict_rows("ai_insights")
    grant("ai_insights", "SELECT", "INSERT", "UPDATE (verdict, verdict_details, checked_at)")


def _create_alerts() -> None:
    op.execute(f"""
        CREATE TABLE alerts (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_alerts PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_alerts_users REFERENCES users ON DELETE CASCADE,
            alert_type text NOT NULL,
            asset_id integer CONSTRAINT fk_alerts_assets REFERENCES assets,
            portfolio_id uuid,
            condition_type text NOT NULL,
            threshold_value numeric(38, 18),
            condition jsonb NOT NULL DEFAULT '{{}}',
            severity text NOT NULL DEFAULT 'info',
            title text NOT NULL,
            message text NOT NULL DEFAULT '',
            note text NOT NULL DEFAULT '',
            notification_channels jsonb NOT NULL DEFAULT '["email"]',
            status text NOT NULL DEFAULT 'active',
            is_active boolean NOT NULL GENERATED ALWAYS AS (status = 'active') STORED,
            is_recurring boolean NOT NULL DEFAULT false,
            cooldown_hours integer NOT NULL DEFAULT 24,
            current_value numeric(38, 18),
            triggered_at timestamptz,
            last_triggered_at timestamptz,
            is_sent boolean NOT NULL DEFAULT false,
            read_at timestamptz,
            is_read boolean NOT NULL GENERATED ALWAYS AS (read_at IS NOT NULL) STORED,
            metadata jsonb NOT NULL DEFAULT '{{}}',
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz,
            CONSTRAINT uq_alerts_tenant UNIQUE (user_id, id),
            CONSTRAINT fk_alerts_portfolios FOREIGN KEY (user_id, portfolio_id)
                REFERENCES portfolios (user_id, id) ON DELETE CASCADE,
            CONSTRAINT ck_alerts_alert_type CHECK (
                alert_type IN ('price', 'volume', 'risk', 'prediction', 'portfolio', 'whale')
            ),
            CONSTRAINT ck_alerts_target CHECK (
                CASE alert_type WHEN 'portfolio' THEN portfolio_id IS NOT NULL AND asset_id IS NULL
                    WHEN 'risk' THEN num_nonnulls(asset_id, portfolio_id) = 1
                    ELSE asset_id IS NOT NULL AND portfolio_id IS NULL END
            ),
            CONSTRAINT ck_alerts_condition_type CHECK (
                condition_type ~ {WORD} AND starts_with(condition_type, alert_type || '_')
            ),
            CONSTRAINT ck_alerts_threshold CHECK (
                CASE WHEN condition_type ~ '_(above|below)$' THEN threshold_value IS NOT NULL
                    ELSE true END
                AND threshold_value < 'Infinity'
            ),
            CONSTRAINT ck_alerts_condition CHECK (
                jsonb_typeof(condition) = 'object'
                AND condition - {CONDITION_PARTS}::text[] = '{{}}'
                AND NOT jsonb_path_exists(condition, {MISTYPED})
            ),
            CONSTRAINT ck_alerts_severity CHECK (severity IN ('info', 'warning', 'critical')),
            CONSTRAINT ck_alerts_title_length CHECK (length(title) BETWEEN 1 AND 255),
            CONSTRAINT ck_alerts_notification_channels CHECK (
                jsonb_typeof(notification_channels) = 'array'
                AND notification_channels <@ {CHANNEL_LIST}
            ),
            CONSTRAINT ck_alerts_status
                CHECK (status IN ('active', 'triggered', 'expired', 'paused')),
            CONSTRAINT ck_alerts_cooldown CHECK (cooldown_hours >= 0),
            CONSTRAINT ck_alerts_current_value CHECK (current_value < 'Infinity'),
            CONSTRAINT ck_alerts_triggered CHECK (
                (triggered_at IS NULL) = (last_triggered_at IS NULL)
                AND triggered_at <= last_triggered_at
            ),
            CONSTRAINT ck_alerts_status_dated CHECK (
                CASE status WHEN 'triggered' THEN triggered_at IS NOT NULL
                    WHEN 'expired' THEN expires_at IS NOT NULL ELSE true END
            ),
            CONSTRAINT ck_alerts_metadata CHECK (jsonb_typeof(metadata) = 'object'),
            CONSTRAINT ck_alerts_expires CHECK (expires_at > created_at)
        )
    """)
    op.execute("CREATE INDEX idx_alerts_user_status ON alerts (user_id, status)")
    op.execute("CREATE INDEX idx_alerts_asset_id ON alerts (asset_id)")
    op.execute("CREATE INDEX idx_alerts_portfolio_id ON alerts (portfolio_id)")
    op.execute("""
        CREATE INDEX idx_alerts_active_asset ON alerts (asset_id, is_active) WHERE is_active
    """)
    restrict_rows("alerts")
    touch_on_update("alerts")
    audit_rows("alerts", derived=("current_value", "is_read", "read_at", "is_sent"))
    grant("alerts", "SELECT", "INSERT", "UPDATE", "DELETE")


def _create_alert_history() -> None:
    op.execute(f"""
        CREATE TABLE alert_history (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_alert_history PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id(),
            alert_id uuid NOT NULL,
            triggered_at timestamptz NOT NULL DEFAULT now(),
            trigger_value numeric(38, 18),
            notification_channel text NOT NULL,
            notification_status text NOT NULL DEFAULT 'pending',
            error_message text,
            CONSTRAINT fk_alert_history_alerts FOREIGN KEY (user_id, alert_id)
                REFERENCES alerts (user_id, id) ON DELETE CASCADE,
            CONSTRAINT uq_alert_history_delivery
                UNIQUE (alert_id, triggered_at, notification_channel),
            CONSTRAINT ck_alert_history_trigger_value CHECK (trigger_value < 'Infinity'),
            CONSTRAINT ck_alert_history_notification_channel
                CHECK (notification_channel IN ({CHANNELS})),
            CONSTRAINT ck_alert_history_notification_status
                CHECK (notification_status IN ('sent', 'failed', 'pending')),
            CONSTRAINT ck_alert_history_error CHECK (
                CASE notification_status WHEN 'failed' THEN error_message IS NOT NULL
                    WHEN 'sent' THEN error_message IS NULL ELSE true END
            )
        )
    """)
    op.execute("""
        CREATE INDEX idx_alert_history_user_id ON alert_history (user_id, triggered_at DESC)
    """)
    op.execute("""
        CREATE INDEX idx_alert_history_triggered_at ON alert_history USING brin (triggered_at)
    """)
    restrict_rows("alert_history")
    grant("alert_history", "SELECT", "INSERT", "UPDATE (notification_status, error_message)")


def _create_notifications() -> None:
    op.execute(f"""
        CREATE TABLE notifications (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_notifications PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_notifications_users REFERENCES users ON DELETE CASCADE,
            type text NOT NULL,
            title text NOT NULL,
            message text NOT NULL,
            priority text NOT NULL DEFAULT 'normal',
            source_type text,
            source_id uuid,
            created_at timestamptz NOT NULL DEFAULT now(),
            read_at timestamptz,
            CONSTRAINT ck_notifications_type CHECK (type ~ {WORD}),
            CONSTRAINT ck_notifications_title_length CHECK (length(title) BETWEEN 1 AND 255),
            CONSTRAINT ck_notifications_priority
                CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
            CONSTRAINT ck_notifications_source
                CHECK ((source_type IS NULL) = (source_id IS NULL) AND source_type ~ {WORD}),
            CONSTRAINT ck_notifications_read CHECK (read_at >= created_at)
        )
    """)
    op.execute("CREATE INDEX idx_notifications_user_id ON notifications (user_id, created_at DESC)")
    op.execute("""
        CREATE INDEX idx_notifications_unread ON notifications (user_id, created_at DESC)
        WHERE read_at IS NULL
    """)
    op.execute("""
        CREATE INDEX idx_notifications_created_at ON notifications USING brin (created_at)
    """)
    restrict_rows("notifications")
    grant("notifications", "SELECT", "INSERT", "UPDATE (read_at)")


def downgrade() -> None:
    op.execute("DROP TABLE notifications")
    op.execute("DROP TABLE alert_history")
    op.execute("DROP TABLE alerts")
    op.execute("DROP TABLE ai_insights")
