"""A batch's row is compared with the newest of its own question, not with what else was asked."""

from alembic import op

from seawall.migrations.versions.v0023_batch_risk import KEEP_PORTFOLIO_RISK

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BEFORE = "AND r.benchmark = asked_benchmark"
AFTER = f"{BEFORE} AND r.parameters = '{{}}'"


def upgrade() -> None:
    op.execute(_replacing(KEEP_PORTFOLIO_RISK).replace(BEFORE, AFTER))


def _replacing(function: str) -> str:
    return function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


def downgrade() -> None:
    op.execute(_replacing(KEEP_PORTFOLIO_RISK))
