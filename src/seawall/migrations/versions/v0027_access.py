"""What letting users in needs: second factors used once, refresh tokens, and mail that waits."""

from alembic import op

from seawall.db.engine import APP_ROLE
from seawall.migrations.operations import (
    audit_rows,
    grant,
    open_to_owner,
    restrict_rows,
    unaudit_rows,
)

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

EMAIL = r"'^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$'"
SECRETS = ("password_hash", "first_name", "last_name", "full_name", "two_factor_secret")

# Unlike `find_session` it finds what was used up too: a token that comes again was stolen.
REFRESH_DOOR = """
CREATE FUNCTION find_refresh_token(wanted bytea)
RETURNS TABLE (id uuid, user_id uuid, family_id uuid)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 1
SET search_path = public, pg_temp AS $$BEGIN RETURN QUERY
    SELECT s.id, s.user_id, s.family_id
    FROM user_sessions s JOIN users u ON u.id = s.user_id
    WHERE s.refresh_token_hash = wanted AND s.refresh_expires_at > now()
        AND u.status = 'active' AND u.deleted_at IS NULL;
END$$
"""


def upgrade() -> None:
    op.execute("""
        ALTER TABLE users
            ADD two_factor_step bigint,
            ADD recovery_codes bytea[] NOT NULL DEFAULT '{}',
            ADD CONSTRAINT ck_users_recovery_codes CHECK (cardinality(recovery_codes) <= 20)
    """)
    unaudit_rows("users")
    audit_rows(
        "users",
        redacted=(*SECRETS, "recovery_codes"),
        derived=("last_login_at", "two_factor_step"),
    )
    _create_outbox()
    op.execute(REFRESH_DOOR)
    op.execute(f"GRANT EXECUTE ON FUNCTION find_refresh_token TO {APP_ROLE}")


def _create_outbox() -> None:
    op.execute(f"""
        CREATE TABLE outbox (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_outbox PRIMARY KEY,
            user_id uuid NOT NULL DEFAULT current_user_id()
                CONSTRAINT fk_outbox_users REFERENCES users ON DELETE CASCADE,
            recipient text NOT NULL,
            subject text NOT NULL,
            body bytea,
            created_at timestamptz NOT NULL DEFAULT now(),
            sent_at timestamptz,
            CONSTRAINT ck_outbox_recipient
                CHECK (recipient ~ {EMAIL} AND length(recipient) <= 255),
            CONSTRAINT ck_outbox_subject CHECK (length(subject) BETWEEN 1 AND 200),
            CONSTRAINT ck_outbox_sealed CHECK (substr(body, 1, 3) = 'SWS'),
            CONSTRAINT ck_outbox_kept CHECK ((body IS NULL) = (sent_at IS NOT NULL))
        )
    """)
    op.execute("CREATE INDEX idx_outbox_user_id ON outbox (user_id, created_at)")
    op.execute("CREATE INDEX idx_outbox_created_at ON outbox (created_at)")
    restrict_rows("outbox")
    open_to_owner("outbox", "SELECT")
    open_to_owner("outbox", "DELETE")
    grant("outbox", "SELECT", "INSERT", "UPDATE")


def downgrade() -> None:
    op.execute("DROP FUNCTION find_refresh_token")
    op.execute("DROP TABLE outbox")
    unaudit_rows("users")
    audit_rows("users", redacted=SECRETS, derived=("last_login_at",))
    op.execute("ALTER TABLE users DROP two_factor_step, DROP recovery_codes")
