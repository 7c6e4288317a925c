"""What is measured continuously: two more figures of assets, and the midnights that are done."""

from alembic import op

from seawall.db.engine import WORKER_ROLE

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Without checks: TimescaleDB takes no more of them once a series is compressed.
    op.execute("ALTER TABLE risk_metrics ADD downside_deviation double precision")
    op.execute("ALTER TABLE risk_metrics ADD calmar_ratio double precision")
    op.execute("""
        CREATE TABLE measured_midnights (
            midnight timestamptz CONSTRAINT pk_measured_midnights PRIMARY KEY,
            measured_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT ck_measured_midnights_midnight
                CHECK (date_trunc('day', midnight, 'UTC') = midnight AND midnight <= measured_at)
        )
    """)
    op.execute(f"GRANT SELECT, INSERT ON measured_midnights TO {WORKER_ROLE}")


def downgrade() -> None:
    op.execute("DROP TABLE measured_midnights")
    op.execute("ALTER TABLE risk_metrics DROP downside_deviation, DROP calmar_ratio")
