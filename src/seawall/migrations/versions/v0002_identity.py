"""Users."""

from alembic import op

from seawall.migrations.operations import grant, secure_rows

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE users (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_users PRIMARY KEY,
            username text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_users_username_length CHECK (length(username) BETWEEN 1 AND 100)
        )
    """)
    op.execute("CREATE UNIQUE INDEX uq_users_username ON users (lower(username))")
    secure_rows("users", "id")
    grant("users", "SELECT", "INSERT", "UPDATE")


def downgrade() -> None:
    op.execute("DROP TABLE users")
