"""What is measured continuously: two more figures of assets, and the midnights that are done."""

from alembic import op

from seawall.db.engine import WORKER_ROLE

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


# Before 2.20 TimescaleDB takes no more checks of a series that may be compressed. Nothing was kept
# in this one so far, so that there is hardly anything to unpack.
UNPACK = """
DO $$ BEGIN
    IF (SELECT engine FROM series WHERE table_name = 'risk_metrics') = 'timescaledb' THEN
        PERFORM decompress_chunk(chunk, if_compressed => true)
        FROM show_chunks('risk_metrics') chunk;
        ALTER TABLE risk_metrics SET (timescaledb.compress = false);
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute(UNPACK)
    op.execute("""
        ALTER TABLE risk_metrics
            ADD downside_deviation double precision
                CONSTRAINT ck_risk_metrics_downside_deviation
                CHECK (downside_deviation >= 0 AND downside_deviation < 'Infinity'),
            ADD calmar_ratio double precision
                CONSTRAINT ck_risk_metrics_calmar_ratio CHECK (abs(calmar_ratio) < 'Infinity')
    """)
    op.execute("SELECT age_series('risk_metrics')")
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
