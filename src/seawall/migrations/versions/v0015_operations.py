"""System logs, backups and drills."""

from alembic import op

from seawall.db.engine import WORKER_ROLE
from seawall.db.series import SYSTEM_LOGS
from seawall.migrations.operations import create_series, drop_series, grant

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_system_logs()
    _create_backups()
    _create_restore_drills()


def _create_system_logs() -> None:
    op.execute("""
        CREATE TABLE system_logs (
            time timestamptz NOT NULL DEFAULT now(),
            id uuid NOT NULL DEFAULT gen_random_uuid(),
            level text NOT NULL,
            component text NOT NULL,
            message text NOT NULL,
            metadata jsonb NOT NULL DEFAULT '{}',
            CONSTRAINT pk_system_logs PRIMARY KEY (time, id),
            CONSTRAINT ck_system_logs_level
                CHECK (level IN ('debug', 'info', 'warning', 'error', 'critical')),
            CONSTRAINT ck_system_logs_component CHECK (length(component) BETWEEN 1 AND 100),
            CONSTRAINT ck_system_logs_metadata CHECK (jsonb_typeof(metadata) = 'object')
        ) PARTITION BY RANGE (time)
    """)
    create_series(SYSTEM_LOGS)
    op.execute("CREATE INDEX idx_system_logs_component ON system_logs (component, time)")
    op.execute("""
        CREATE INDEX idx_system_logs_errors ON system_logs (time)
        WHERE level IN ('error', 'critical')
    """)
    grant("system_logs", "SELECT", "INSERT")


def _create_backups() -> None:
    op.execute("""
        CREATE TABLE backups (
            id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_backups PRIMARY KEY,
            kind text NOT NULL,
            status text NOT NULL DEFAULT 'running',
            started_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            path text,
            size_bytes bigint,
            checksum bytea,
            wal_start text,
            wal_end text,
            verified_at timestamptz,
            error text,
            CONSTRAINT ck_backups_kind CHECK (kind IN ('full', 'incremental', 'wal')),
            CONSTRAINT ck_backups_status
                CHECK (status IN ('running', 'succeeded', 'failed', 'expired')),
            CONSTRAINT ck_backups_finished CHECK (
                (status = 'running') = (finished_at IS NULL) AND finished_at >= started_at
            ),
            CONSTRAINT ck_backups_failed CHECK ((status = 'failed') = (error IS NOT NULL)),
            CONSTRAINT ck_backups_taken CHECK (
                status IN ('running', 'failed')
                OR (path IS NOT NULL AND size_bytes IS NOT NULL AND checksum IS NOT NULL)
            ),
            CONSTRAINT ck_backups_size CHECK (size_bytes >= 0),
            CONSTRAINT ck_backups_checksum CHECK (octet_length(checksum) = 32),
            CONSTRAINT ck_backups_wal CHECK (
                wal_start ~ '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$'
                AND wal_end ~ '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$'
                AND wal_start::pg_lsn <= wal_end::pg_lsn
            ),
            CONSTRAINT ck_backups_verified CHECK (
                verified_at IS NULL
                OR (status IN ('succeeded', 'expired') AND verified_at >= finished_at)
            )
        )
    """)
    op.execute("CREATE INDEX idx_backups_started_at ON backups (started_at)")
    op.execute("""
        CREATE UNIQUE INDEX uq_backups_kept_path ON backups (path) WHERE status = 'succeeded'
    """)
    _let_workers_keep("backups")


def _create_restore_drills() -> None:
    op.execute("""
        CREATE TABLE restore_drills (
            id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_restore_drills PRIMARY KEY,
            backup_id integer NOT NULL CONSTRAINT fk_restore_drills_backups REFERENCES backups,
            started_at timestamptz NOT NULL DEFAULT now(),
            finished_at timestamptz,
            duration interval GENERATED ALWAYS AS (finished_at - started_at) STORED,
            success boolean,
            checks jsonb NOT NULL DEFAULT '{}',
            CONSTRAINT ck_restore_drills_finished CHECK (
                (success IS NULL) = (finished_at IS NULL) AND finished_at >= started_at
            ),
            CONSTRAINT ck_restore_drills_checks CHECK (jsonb_typeof(checks) = 'object')
        )
    """)
    op.execute("CREATE INDEX idx_restore_drills_backup_id ON restore_drills (backup_id)")
    op.execute("CREATE INDEX idx_restore_drills_started_at ON restore_drills (started_at)")
    _let_workers_keep("restore_drills")


def _let_workers_keep(table: str) -> None:
    """Show a table to the application; only workers, who do the job, write down what they did."""
    grant(table, "SELECT")
    op.execute(f"GRANT INSERT, UPDATE ON {table} TO {WORKER_ROLE}")


def downgrade() -> None:
    op.execute("DROP TABLE restore_drills")
    op.execute("DROP TABLE backups")
    drop_series(SYSTEM_LOGS)
