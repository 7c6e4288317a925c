"""Which keys the secrets of this database are sealed with."""

from alembic import op

from seawall.db.engine import WORKER_ROLE
from seawall.migrations.operations import audit_rows, grant

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE encryption_keys (
            id text NOT NULL,
            check_value bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            retired_at timestamptz,
            CONSTRAINT pk_encryption_keys PRIMARY KEY (id),
            CONSTRAINT ck_encryption_keys_id_hexadecimal CHECK (id ~ '^[0-9a-f]{16}$'),
            CONSTRAINT ck_encryption_keys_check_value_size
                CHECK (octet_length(check_value) BETWEEN 100 AND 1000),
            CONSTRAINT ck_encryption_keys_retired_after_created CHECK (retired_at >= created_at)
        )
    """)
    audit_rows("encryption_keys", redacted=("check_value",))
    grant("encryption_keys", "SELECT", "INSERT", "UPDATE (retired_at)")
    # Unlike list_users: what a deleted user had sealed has to be wrapped anew too.
    op.execute("""
        CREATE FUNCTION list_tenants() RETURNS SETOF uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
        AS $$SELECT id FROM users ORDER BY id$$
    """)
    op.execute(f"GRANT EXECUTE ON FUNCTION list_tenants TO {WORKER_ROLE}")


def downgrade() -> None:
    op.execute("DROP FUNCTION list_tenants")
    op.execute("DROP TABLE encryption_keys")
