"""Transactions that no longer count: when and why they were voided, and what replaced them.

No row vanishes: what was known before the void is still to be computed from it.
"""

from alembic import op

from seawall.db.engine import APP_ROLE
from seawall.migrations.versions.v0023_batch_risk import PORTFOLIOS_TO_MEASURE
from seawall.migrations.versions.v0026_batch_doors import PORTFOLIO_WEIGHTS

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# What stands in the functions as they were, and what counts now.
MOVED = ("WHERE t.recorded_at > known", "WHERE t.recorded_at > known OR t.voided_at > known")
LATER = ("t.transaction_date > as_of", "t.transaction_date > as_of AND t.voided_at IS NULL")
HAPPENED = (
    "WHERE t.portfolio_id = p.id LIMIT 1",
    "WHERE t.portfolio_id = p.id AND t.voided_at IS NULL LIMIT 1",
)


def upgrade() -> None:
    op.execute("""
        ALTER TABLE transactions
            ADD voided_at timestamptz,
            ADD void_kind text
                CONSTRAINT ck_transactions_void_kind
                CHECK (void_kind IN ('row', 'correction', 'import')),
            ADD void_reason text NOT NULL DEFAULT '',
            ADD replaces_id uuid,
            ADD CONSTRAINT ck_transactions_voided CHECK (
                (voided_at IS NULL) = (void_kind IS NULL)
                AND (voided_at IS NOT NULL OR void_reason = '')
            ),
            ADD CONSTRAINT ck_transactions_voided_after CHECK (voided_at >= recorded_at),
            ADD CONSTRAINT fk_transactions_replaced FOREIGN KEY (user_id, replaces_id)
                REFERENCES transactions (user_id, id) ON DELETE CASCADE,
            DROP CONSTRAINT uq_transactions_external_id
    """)
    # What was voided may be recorded again, and is replaced once.
    op.execute("""
        CREATE UNIQUE INDEX uq_transactions_external_id
        ON transactions (portfolio_id, external_id, user_id) WHERE voided_at IS NULL
    """)
    op.execute("""
        CREATE UNIQUE INDEX uq_transactions_replaces_id
        ON transactions (user_id, replaces_id) WHERE replaces_id IS NOT NULL
    """)
    op.execute("""
        CREATE INDEX idx_transactions_voided_at ON transactions (voided_at)
        WHERE voided_at IS NOT NULL
    """)
    # Nothing else of a transaction can be changed, and this once.
    op.execute(f"GRANT UPDATE (voided_at, void_kind, void_reason) ON transactions TO {APP_ROLE}")
    op.execute("""
        CREATE TRIGGER keep_voids BEFORE UPDATE OF voided_at, void_kind, void_reason
        ON transactions FOR EACH ROW WHEN (OLD.voided_at IS NOT NULL)
        EXECUTE FUNCTION refuse_statement('what is voided stays so')
    """)
    _replace(PORTFOLIOS_TO_MEASURE, HAPPENED)
    _replace(PORTFOLIO_WEIGHTS, MOVED, LATER)


def _replace(function: str, *changes: tuple[str, str]) -> None:
    for before, after in changes:
        assert function.count(before) == 1  # noqa: S101 - it stands there
        function = function.replace(before, after)
    op.execute(function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


def downgrade() -> None:
    _replace(PORTFOLIO_WEIGHTS)
    _replace(PORTFOLIOS_TO_MEASURE)
    op.execute("DROP TRIGGER keep_voids ON transactions")
    op.execute(f"REVOKE UPDATE (voided_at, void_kind, void_reason) ON transactions FROM {APP_ROLE}")
    op.execute("DROP INDEX uq_transactions_replaces_id, uq_transactions_external_id")
    op.execute("ALTER TABLE transactions DROP replaces_id")
    # Without the columns they would count again, and no ledger would be what it was. What is
    # deleted is not logged: there is no user here whose log it could be.
    op.execute("""
        ALTER TABLE transactions NO FORCE ROW LEVEL SECURITY, DISABLE TRIGGER audit_transactions,
            DISABLE TRIGGER lock_transactions
    """)
    op.execute("DELETE FROM transactions WHERE voided_at IS NOT NULL")
    op.execute("""
        ALTER TABLE transactions FORCE ROW LEVEL SECURITY, ENABLE TRIGGER audit_transactions,
            ENABLE TRIGGER lock_transactions
    """)
    for column in ("voided_at", "void_kind", "void_reason"):
        op.execute(f"ALTER TABLE transactions DROP {column}")
    op.execute("""
        ALTER TABLE transactions ADD CONSTRAINT uq_transactions_external_id
            UNIQUE (portfolio_id, external_id, user_id)
    """)
