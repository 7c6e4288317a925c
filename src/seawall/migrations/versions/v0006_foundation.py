"""What every later table rests on: the bound user as a default, `updated_at`, stricter policies."""

from alembic import op

from seawall.db.engine import APP_ROLE, OWNER_ROLE
from seawall.migrations.operations import restrict_rows, secure_rows

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TENANTS = {
    "users": "id",
    "portfolios": "user_id",
    "transactions": "user_id",
    "portfolio_risk_metrics": "user_id",
}


def upgrade() -> None:
    # Functions are for those who are named: nobody calls one because it was forgotten.
    op.execute(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER_ROLE} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
    )
    op.execute("""
        CREATE FUNCTION current_user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
        RETURN current_setting('app.user_id')::uuid
    """)
    op.execute(f"GRANT EXECUTE ON FUNCTION current_user_id TO {APP_ROLE}")
    op.execute("""
        CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.updated_at = now();
            RETURN NEW;
        END $$
    """)
    for table, column in TENANTS.items():
        op.execute(f"DROP POLICY tenant ON {table}")
        restrict_rows(table, column)
        if column == "user_id":
            op.execute(f"ALTER TABLE {table} ALTER user_id SET DEFAULT current_user_id()")


def downgrade() -> None:
    for table, column in TENANTS.items():
        if column == "user_id":
            op.execute(f"ALTER TABLE {table} ALTER user_id DROP DEFAULT")
        op.execute(f"DROP POLICY tenant ON {table}")
        secure_rows(table, column)
    op.execute("DROP FUNCTION update_updated_at_column")
    op.execute("DROP FUNCTION current_user_id")
    op.execute(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER_ROLE} GRANT EXECUTE ON FUNCTIONS TO PUBLIC"
    )
