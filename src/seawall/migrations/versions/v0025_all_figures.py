"""What a report was asked beyond window, confidence and benchmark, and every figure of it."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE portfolio_risk_metrics"
        " ADD parameters jsonb NOT NULL DEFAULT '{}'::jsonb, ADD figures jsonb"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE portfolio_risk_metrics DROP figures, DROP parameters")
