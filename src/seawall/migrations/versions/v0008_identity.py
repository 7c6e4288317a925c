"""Users in full: profiles, settings, sessions, tokens, API keys, subscriptions."""

from alembic import op

from seawall.db.engine import APP_ROLE, WORKER_ROLE
from seawall.migrations.operations import (
    audit_rows,
    grant,
    open_to_owner,
    restrict_rows,
    touch_on_update,
    unaudit_rows,
)

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

EMAIL = r"'^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$'"
TABLES = (
    "profiles",
    "user_settings",
    "user_sessions",
    "one_time_tokens",
    "api_keys",
    "subscriptions",
    "idempotency_keys",
    "system_settings",
)
# In the order in which they were added to `users`.
USER_COLUMNS = (
    "email",
    "password_hash",
    "tier",
    "status",
    "is_superuser",
    "email_verified",
    "first_name",
    "last_name",
    "full_name",
    "two_factor_enabled",
    "two_factor_secret",
    "country_code",
    "timezone",
    "language",
    "last_login_at",
    "updated_at",
    "deleted_at",
)
# Before anybody is bound, whoever knows a key that is exactly right learns whose it is. In
# PL/pgSQL, because a connection plans it once: in SQL a call took 0.040 ms instead of 0.019.
DOORS = {
    "find_user_by_email(wanted text)": (
        (
            "id uuid, password_hash text, status text, email_verified boolean,"
            " two_factor_enabled boolean"
        ),
        """
        SELECT u.id, u.password_hash, u.status, u.email_verified, u.two_factor_enabled
        FROM users u WHERE lower(u.email) = lower(wanted) AND u.deleted_at IS NULL
        """,
    ),
    "find_session(wanted bytea)": (
        "id uuid, user_id uuid, expires_at timestamptz, last_accessed_at timestamptz",
        """
        SELECT s.id, s.user_id, s.expires_at, s.last_accessed_at
        FROM user_sessions s JOIN users u ON u.id = s.user_id
        WHERE s.token_hash = wanted AND s.expires_at > now()
            AND s.revoked_at IS NULL AND s.rotated_at IS NULL
            AND u.status = 'active' AND u.deleted_at IS NULL
        """,
    ),
    "find_api_key(wanted bytea)": (
        (
            "id uuid, user_id uuid, permissions jsonb, expires_at timestamptz,"
            " last_used_at timestamptz"
        ),
        """
        SELECT k.id, k.user_id, k.permissions, k.expires_at, k.last_used_at
        FROM api_keys k JOIN users u ON u.id = k.user_id
        WHERE k.key_hash = wanted AND k.is_active
            AND (k.expires_at IS NULL OR k.expires_at > now())
            AND u.status = 'active' AND u.deleted_at IS NULL
        """,
    ),
    "find_one_time_token(meant_for text, wanted bytea)": (
        "id uuid, user_id uuid, email text, expires_at timestamptz",
        """
        SELECT t.id, t.user_id, t.email, t.expires_at
        FROM one_time_tokens t JOIN users u ON u.id = t.user_id
        WHERE t.token_hash = wanted AND t.purpose = meant_for
            AND t.used_at IS NULL AND t.expires_at > now()
            AND u.status = 'active' AND u.deleted_at IS NULL
        """,
    ),
}


def upgrade() -> None:
    _extend_users()
    _index_users()
    _create_profiles()
    _create_user_settings()
    _create_user_sessions()
    _create_one_time_tokens()
    _create_api_keys()
    _create_subscriptions()
    _create_idempotency_keys()
    _create_system_settings()
    _open_doors()


def _extend_users() -> None:
    op.execute(f"""
        ALTER TABLE users
            ADD email text,
            ADD password_hash text,
            ADD tier text NOT NULL DEFAULT 'free',
            ADD status text NOT NULL DEFAULT 'active',
            ADD is_superuser boolean NOT NULL DEFAULT false,
            ADD email_verified boolean NOT NULL DEFAULT false,
            ADD first_name bytea,
            ADD last_name bytea,
            ADD full_name bytea,
            ADD two_factor_enabled boolean NOT NULL DEFAULT false,
            ADD two_factor_secret bytea,
            ADD country_code text,
            ADD timezone text NOT NULL DEFAULT 'UTC',
            ADD language text NOT NULL DEFAULT 'en',
            ADD last_login_at timestamptz,
            ADD updated_at timestamptz NOT NULL DEFAULT now(),
            ADD deleted_at timestamptz,
            ADD CONSTRAINT ck_users_email_format CHECK (email ~ {EMAIL}),
            ADD CONSTRAINT ck_users_email_length CHECK (length(email) <= 255),
            ADD CONSTRAINT ck_users_email_verified CHECK (email IS NOT NULL OR NOT email_verified),
            ADD CONSTRAINT ck_users_password_hash
                CHECK (password_hash ~ '^\\$(argon2id|2[aby])\\$'),
            ADD CONSTRAINT ck_users_tier CHECK (tier IN ('free', 'plus', 'pro', 'power-trader')),
            ADD CONSTRAINT ck_users_status CHECK (status IN ('active', 'inactive', 'suspended')),
            ADD CONSTRAINT ck_users_two_factor
                CHECK (two_factor_secret IS NOT NULL OR NOT two_factor_enabled),
            ADD CONSTRAINT ck_users_sealed CHECK (
                substr(first_name, 1, 3) = 'SWS' AND substr(last_name, 1, 3) = 'SWS'
                AND substr(full_name, 1, 3) = 'SWS' AND substr(two_factor_secret, 1, 3) = 'SWS'
            ),
            ADD CONSTRAINT ck_users_country_code CHECK (country_code ~ '^[A-Z]{{2}}$'),
            ADD CONSTRAINT ck_users_timezone CHECK (length(timezone) BETWEEN 1 AND 50),
            ADD CONSTRAINT ck_users_language CHECK (language ~ '^[a-z]{{2,3}}(-[A-Z]{{2}})?$')
    """)
    touch_on_update("users")
    audit_rows(
        "users",
        redacted=("password_hash", "first_name", "last_name", "full_name", "two_factor_secret"),
        derived=("last_login_at",),
    )


def _index_users() -> None:
    op.execute("""
        CREATE UNIQUE INDEX idx_users_email ON users (lower(email)) WHERE deleted_at IS NULL
    """)
    op.execute("CREATE INDEX idx_users_tier ON users (tier)")
    op.execute("CREATE INDEX idx_users_created_at ON users (created_at)")
    # With the id in it, who is living can be read from the index alone.
    op.execute("""
        CREATE INDEX idx_users_deleted_at ON users (deleted_at, id) WHERE deleted_at IS NULL
    """)


def _create_profiles() -> None:
    op.execute("""
        CREATE TABLE profiles (
            user_id uuid DEFAULT current_user_id() CONSTRAINT pk_profiles PRIMARY KEY
                CONSTRAINT fk_profiles_users REFERENCES users ON DELETE CASCADE,
            display_name text,
            avatar_url text,
            bio text,
            preferences jsonb NOT NULL DEFAULT '{}',
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_profiles_display_name CHECK (length(display_name) BETWEEN 1 AND 255),
            CONSTRAINT ck_profiles_avatar_url
                CHECK (length(avatar_url) <= 500 AND avatar_url ~ '^(https?://|/[^/])'),
            CONSTRAINT ck_profiles_preferences CHECK (jsonb_typeof(preferences) = 'object')
        )
    """)
    restrict_rows("profiles")
    touch_on_update("profiles")
    audit_rows("profiles")
    grant("profiles", "SELECT", "INSERT", "UPDATE")


def _create_user_settings() -> None:
    op.execute("""
        CREATE TABLE user_settings (
            user_id uuid DEFAULT current_user_id() CONSTRAINT pk_user_settings PRIMARY KEY
                CONSTRAINT fk_user_settings_users REFERENCES users ON DELETE CASCADE,
            email_notifications boolean NOT NULL DEFAULT true,
            push_notifications boolean NOT NULL DEFAULT true,
            sms_notifications boolean NOT NULL DEFAULT false,
            price_alerts boolean NOT NULL DEFAULT true,
            risk_alerts boolean NOT NULL DEFAULT true,
            portfolio_alerts boolean NOT NULL DEFAULT true,
            risk_tolerance text NOT NULL DEFAULT 'medium',
            max_portfolio_risk text NOT NULL DEFAULT 'medium',
            default_currency text NOT NULL DEFAULT 'USD',
            timezone text,
            theme text NOT NULL DEFAULT 'light',
            auto_rebalancing boolean NOT NULL DEFAULT false,
            stop_loss_enabled boolean NOT NULL DEFAULT false,
            take_profit_enabled boolean NOT NULL DEFAULT false,
            custom_settings jsonb NOT NULL DEFAULT '{}',
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_user_settings_risk_tolerance
                CHECK (risk_tolerance IN ('low', 'medium', 'high')),
            CONSTRAINT ck_user_settings_max_portfolio_risk
                CHECK (max_portfolio_risk IN ('low', 'medium', 'high', 'extreme')),
            CONSTRAINT ck_user_settings_default_currency
                CHECK (default_currency ~ '^[A-Z]{3}$'),
            CONSTRAINT ck_user_settings_timezone CHECK (length(timezone) BETWEEN 1 AND 50),
            CONSTRAINT ck_user_settings_theme CHECK (theme IN ('light', 'dark', 'system')),
            CONSTRAINT ck_user_settings_custom_settings
                CHECK (jsonb_typeof(custom_settings) = 'object')
        )
    """)
    restrict_rows("user_settings")
    touch_on_update("user_settings")
    audit_rows("user_settings")
    grant("user_settings", "SELECT", "INSERT", "UPDATE")


def _create_user_sessions() -> None:
    op.execute("""
        CREATE TABLE user_sessions (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_user_sessions PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_user_sessions_users REFERENCES users ON DELETE CASCADE,
            token_hash bytea NOT NULL CONSTRAINT uq_user_sessions_token_hash UNIQUE,
            refresh_token_hash bytea CONSTRAINT uq_user_sessions_refresh_token_hash UNIQUE,
            family_id uuid NOT NULL DEFAULT gen_random_uuid(),
            ip inet,
            user_agent text,
            device_name text,
            expires_at timestamptz NOT NULL,
            refresh_expires_at timestamptz,
            last_accessed_at timestamptz NOT NULL DEFAULT now(),
            rotated_at timestamptz,
            replaced_by uuid,
            revoked_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT uq_user_sessions_tenant UNIQUE (user_id, id),
            CONSTRAINT fk_user_sessions_user_sessions FOREIGN KEY (user_id, replaced_by)
                REFERENCES user_sessions (user_id, id) ON DELETE SET NULL (replaced_by),
            CONSTRAINT ck_user_sessions_hashes CHECK (
                octet_length(token_hash) = 32 AND octet_length(refresh_token_hash) = 32
                AND token_hash <> refresh_token_hash
            ),
            CONSTRAINT ck_user_sessions_lifetime CHECK (expires_at > created_at),
            CONSTRAINT ck_user_sessions_refresh CHECK (
                (refresh_token_hash IS NULL) = (refresh_expires_at IS NULL)
                AND (refresh_expires_at IS NULL OR refresh_expires_at >= expires_at)
            ),
            CONSTRAINT ck_user_sessions_replaced
                CHECK (replaced_by IS NULL OR (rotated_at IS NOT NULL AND replaced_by <> id))
        )
    """)
    op.execute("CREATE INDEX idx_user_sessions_family_id ON user_sessions (user_id, family_id)")
    op.execute("CREATE INDEX idx_user_sessions_replaced_by ON user_sessions (user_id, replaced_by)")
    op.execute("CREATE INDEX idx_user_sessions_expires_at ON user_sessions (expires_at)")
    restrict_rows("user_sessions")
    audit_rows(
        "user_sessions",
        redacted=("token_hash", "refresh_token_hash"),
        derived=("last_accessed_at",),
    )
    grant("user_sessions", "SELECT", "INSERT", "UPDATE")


def _create_one_time_tokens() -> None:
    op.execute(f"""
        CREATE TABLE one_time_tokens (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_one_time_tokens PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_one_time_tokens_users REFERENCES users ON DELETE CASCADE,
            purpose text NOT NULL,
            email text NOT NULL,
            token_hash bytea NOT NULL CONSTRAINT uq_one_time_tokens_token_hash UNIQUE,
            expires_at timestamptz NOT NULL,
            used_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_one_time_tokens_purpose
                CHECK (purpose IN ('email_verification', 'password_reset', 'email_change')),
            CONSTRAINT ck_one_time_tokens_email
                CHECK (email ~ {EMAIL} AND length(email) <= 255),
            CONSTRAINT ck_one_time_tokens_hash CHECK (octet_length(token_hash) = 32),
            CONSTRAINT ck_one_time_tokens_lifetime CHECK (expires_at > created_at)
        )
    """)
    op.execute("CREATE INDEX idx_one_time_tokens_user_id ON one_time_tokens (user_id)")
    op.execute("CREATE INDEX idx_one_time_tokens_expires_at ON one_time_tokens (expires_at)")
    op.execute("""
        CREATE UNIQUE INDEX uq_one_time_tokens_open ON one_time_tokens (user_id, purpose)
        WHERE used_at IS NULL
    """)
    restrict_rows("one_time_tokens")
    audit_rows("one_time_tokens", redacted=("token_hash",))
    grant("one_time_tokens", "SELECT", "INSERT", "UPDATE")


def _create_api_keys() -> None:
    op.execute("""
        CREATE TABLE api_keys (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_api_keys PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_api_keys_users REFERENCES users ON DELETE CASCADE,
            name text NOT NULL,
            prefix text NOT NULL,
            key_hash bytea NOT NULL CONSTRAINT uq_api_keys_key_hash UNIQUE,
            permissions jsonb NOT NULL,
            is_active boolean NOT NULL DEFAULT true,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz,
            last_used_at timestamptz,
            CONSTRAINT ck_api_keys_name CHECK (length(name) BETWEEN 1 AND 100),
            CONSTRAINT ck_api_keys_prefix CHECK (prefix ~ '^[A-Za-z0-9_]{4,16}$'),
            CONSTRAINT ck_api_keys_hash CHECK (octet_length(key_hash) = 32),
            CONSTRAINT ck_api_keys_permissions CHECK (
                jsonb_typeof(permissions -> 'read') IS NOT DISTINCT FROM 'boolean'
                AND jsonb_typeof(permissions -> 'trade') IS NOT DISTINCT FROM 'boolean'
                AND jsonb_typeof(permissions -> 'manage') IS NOT DISTINCT FROM 'boolean'
                AND permissions - ARRAY['read', 'trade', 'manage'] = '{}'
            ),
            CONSTRAINT ck_api_keys_lifetime CHECK (expires_at > created_at)
        )
    """)
    op.execute("CREATE INDEX idx_api_keys_user_id ON api_keys (user_id)")
    op.execute("""
        CREATE UNIQUE INDEX uq_api_keys_active_name ON api_keys (user_id, lower(name))
        WHERE is_active
    """)
    restrict_rows("api_keys")
    audit_rows("api_keys", redacted=("key_hash",), derived=("last_used_at",))
    grant("api_keys", "SELECT", "INSERT", "UPDATE")


def _create_subscriptions() -> None:
    op.execute("""
        CREATE TABLE subscriptions (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_subscriptions PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_subscriptions_users REFERENCES users ON DELETE CASCADE,
            tier text NOT NULL,
            status text NOT NULL DEFAULT 'active',
            stripe_customer_id text,
            stripe_subscription_id text CONSTRAINT uq_subscriptions_stripe_subscription_id UNIQUE,
            stripe_price_id text,
            billing_interval text,
            current_period_start timestamptz,
            current_period_end timestamptz,
            cancel_at_period_end boolean NOT NULL DEFAULT false,
            trial_start timestamptz,
            trial_end timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            canceled_at timestamptz,
            CONSTRAINT ck_subscriptions_tier
                CHECK (tier IN ('free', 'plus', 'pro', 'power-trader')),
            CONSTRAINT ck_subscriptions_status
                CHECK (status IN ('active', 'canceled', 'past_due', 'trialing')),
            CONSTRAINT ck_subscriptions_stripe_ids CHECK (
                length(stripe_customer_id) BETWEEN 1 AND 100
                AND length(stripe_subscription_id) BETWEEN 1 AND 100
                AND length(stripe_price_id) BETWEEN 1 AND 100
            ),
            CONSTRAINT ck_subscriptions_billing_interval
                CHECK (billing_interval IN ('monthly', 'yearly')),
            CONSTRAINT ck_subscriptions_period CHECK (current_period_start < current_period_end),
            CONSTRAINT ck_subscriptions_trial CHECK (
                trial_start < trial_end AND (trial_end IS NOT NULL OR status <> 'trialing')
            ),
            CONSTRAINT ck_subscriptions_canceled
                CHECK (canceled_at IS NOT NULL OR status <> 'canceled')
        )
    """)
    _index_subscriptions()
    restrict_rows("subscriptions")
    touch_on_update("subscriptions")
    audit_rows("subscriptions")
    grant("subscriptions", "SELECT", "INSERT", "UPDATE")


def _index_subscriptions() -> None:
    for column in ("user_id", "status", "stripe_customer_id", "current_period_end"):
        op.execute(f"CREATE INDEX idx_subscriptions_{column} ON subscriptions ({column})")
    # What is tried or owed for counts as well: a user has one tier at a time. Who comes back after
    # cancelling keeps the customer's id, which one user alone may have.
    for name, column in (("active", "user_id"), ("active_customer", "stripe_customer_id")):
        op.execute(f"""
            CREATE UNIQUE INDEX uq_subscriptions_{name} ON subscriptions ({column})
            WHERE status <> 'canceled'
        """)


def _create_idempotency_keys() -> None:
    op.execute("""
        CREATE TABLE idempotency_keys (
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_idempotency_keys_users REFERENCES users ON DELETE CASCADE,
            key text NOT NULL,
            request_hash bytea NOT NULL,
            status_code smallint,
            response jsonb,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL DEFAULT now() + interval '24 hours',
            CONSTRAINT pk_idempotency_keys PRIMARY KEY (user_id, key),
            CONSTRAINT ck_idempotency_keys_key CHECK (length(key) BETWEEN 1 AND 255),
            CONSTRAINT ck_idempotency_keys_request_hash CHECK (octet_length(request_hash) = 32),
            CONSTRAINT ck_idempotency_keys_status_code CHECK (status_code BETWEEN 100 AND 599),
            CONSTRAINT ck_idempotency_keys_answered
                CHECK (status_code IS NOT NULL OR response IS NULL),
            CONSTRAINT ck_idempotency_keys_lifetime CHECK (expires_at > created_at)
        )
    """)
    op.execute("CREATE INDEX idx_idempotency_keys_expires_at ON idempotency_keys (expires_at)")
    restrict_rows("idempotency_keys")
    grant("idempotency_keys", "SELECT", "INSERT", "UPDATE")


def _create_system_settings() -> None:
    op.execute("""
        CREATE TABLE system_settings (
            id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_system_settings PRIMARY KEY,
            setting_key text NOT NULL CONSTRAINT uq_system_settings_setting_key UNIQUE,
            setting_value jsonb NOT NULL,
            description text NOT NULL DEFAULT '',
            updated_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_system_settings_setting_key CHECK (length(setting_key) BETWEEN 1 AND 100)
        )
    """)
    touch_on_update("system_settings")
    audit_rows("system_settings")
    grant("system_settings", "SELECT", "INSERT", "UPDATE")


def _open_doors() -> None:
    for table in ("users", "user_sessions", "api_keys", "one_time_tokens"):
        open_to_owner(table)
    for signature, (columns, query) in DOORS.items():
        op.execute(f"""
            CREATE FUNCTION {signature} RETURNS TABLE ({columns})
            LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 1
            SET search_path = public, pg_temp AS $$BEGIN RETURN QUERY {query}; END$$
        """)
        op.execute(f"GRANT EXECUTE ON FUNCTION {_name(signature)} TO {APP_ROLE}")
    op.execute("""
        CREATE FUNCTION list_users() RETURNS SETOF uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$SELECT id FROM users WHERE deleted_at IS NULL$$
    """)
    op.execute(f"GRANT EXECUTE ON FUNCTION list_users TO {WORKER_ROLE}")


def _name(signature: str) -> str:
    return signature.partition("(")[0]


def downgrade() -> None:
    op.execute("DROP FUNCTION list_users")
    for signature in DOORS:
        op.execute(f"DROP FUNCTION {_name(signature)}")
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP POLICY owner_select ON users")
    unaudit_rows("users")
    op.execute("DROP TRIGGER update_users_updated_at ON users")
    op.execute("DROP INDEX idx_users_created_at")
    op.execute(
        f"ALTER TABLE users {', '.join(f'DROP {column}' for column in reversed(USER_COLUMNS))}"
    )
