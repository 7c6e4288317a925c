"""Retention and archives: what left the database, where it lies, and who may take it out."""

from alembic import op

from seawall.migrations.operations import open_to_owner

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# Rows of every user expire by one policy, which runs as the owner.
EXPIRING = {
    "fills": ("SELECT", "DELETE", "INSERT"),
    "orders": ("SELECT", "DELETE", "INSERT"),
    "positions": ("SELECT", "DELETE", "INSERT"),
    "risk_events": ("SELECT", "DELETE", "INSERT"),
    "notifications": ("SELECT", "DELETE", "INSERT"),
    "user_sessions": ("DELETE",),
    "one_time_tokens": ("DELETE",),
    "idempotency_keys": ("SELECT", "DELETE"),
    "performance_metrics": ("SELECT", "DELETE"),
    "performance_analytics": ("SELECT", "DELETE"),
}


def upgrade() -> None:
    op.execute("""
        CREATE TABLE archives (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_archives PRIMARY KEY,
            table_name text NOT NULL,
            rule text NOT NULL,
            month date NOT NULL,
            path text NOT NULL CONSTRAINT uq_archives_path UNIQUE,
            rows bigint NOT NULL,
            size_bytes bigint NOT NULL,
            sha256 bytea NOT NULL,
            first_time timestamptz NOT NULL,
            last_time timestamptz NOT NULL,
            columns jsonb NOT NULL,
            revision text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            restored_at timestamptz,
            CONSTRAINT ck_archives_month CHECK (extract(day FROM month) = 1),
            CONSTRAINT ck_archives_rows CHECK (rows > 0 AND size_bytes > 0),
            CONSTRAINT ck_archives_sha256 CHECK (octet_length(sha256) = 32),
            CONSTRAINT ck_archives_times CHECK (first_time <= last_time),
            CONSTRAINT ck_archives_columns CHECK (jsonb_typeof(columns) = 'object')
        )
    """)
    op.execute("CREATE INDEX idx_archives_table_month ON archives (table_name, month)")
    for table, commands in EXPIRING.items():
        for command in commands:
            open_to_owner(table, command)


def downgrade() -> None:
    for table, commands in EXPIRING.items():
        for command in commands:
            op.execute(f"DROP POLICY owner_{command.lower()} ON {table}")
    op.execute("DROP TABLE archives")
