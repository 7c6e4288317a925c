"""What rows leave behind that expire: days that stay as they are, a gap that says why.

And a table that stands where a partition is to be, such as one that was detached, is named.
"""

from alembic import op

from seawall.migrations.versions.v0001_series import ENSURE_CHUNKS

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

REASON = "ALTER TABLE data_gaps ADD CONSTRAINT ck_data_gaps_reason CHECK (reason IN ({}))"

# An instant and not a length of time: what has left does not come back when rows are kept longer.
ROLLUP_START = """
CREATE FUNCTION rollup_start(keep timestamptz) RETURNS timestamptz LANGUAGE sql STABLE
SET search_path = public, pg_temp
RETURN date_trunc('day', keep - interval '1 microsecond', 'UTC') + interval '1 day'
"""
ROLLUP_START_BEFORE = """
CREATE FUNCTION rollup_start(keep interval) RETURNS timestamptz LANGUAGE sql STABLE
SET search_path = public, pg_temp
RETURN CASE WHEN keep IS NULL THEN NULL
    ELSE date_trunc('day', now() - keep, 'UTC') + interval '1 day' END
"""

IS_THERE = "IF to_regclass(partition) IS NULL THEN"
IS_ATTACHED = """IF NOT EXISTS (
            SELECT FROM pg_inherits
            WHERE inhparent = name::regclass AND inhrelid = to_regclass(partition)
        ) THEN"""
CREATE = "EXECUTE format('CREATE TABLE %I (LIKE"
CREATE_UNLESS_TAKEN = f"""IF to_regclass(partition) IS NOT NULL THEN
                    RAISE 'the table % is no partition of %: attach it, or rename it',
                        partition, name USING ERRCODE = 'datetime_field_overflow';
                END IF;
                {CREATE}"""


def upgrade() -> None:
    op.execute("ALTER TABLE data_gaps DROP CONSTRAINT ck_data_gaps_reason")
    op.execute(REASON.format("'absent_in_source', 'not_imported', 'expired'"))
    op.execute("ALTER TABLE rollups ALTER keep TYPE timestamptz USING now() - keep")
    op.execute("DROP FUNCTION rollup_start(interval)")
    op.execute(ROLLUP_START)
    op.execute(
        _replacing(ENSURE_CHUNKS)
        .replace(IS_THERE, IS_ATTACHED)
        .replace(CREATE, CREATE_UNLESS_TAKEN)
    )


def _replacing(function: str) -> str:
    return function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


def downgrade() -> None:
    op.execute(_replacing(ENSURE_CHUNKS))
    op.execute("DROP FUNCTION rollup_start(timestamptz)")
    op.execute(ROLLUP_START_BEFORE)
    op.execute("ALTER TABLE rollups ALTER keep TYPE interval USING now() - keep")
    # Nothing was held before that nobody knows of: what expired is as if it had never been there.
    op.execute("DELETE FROM data_gaps WHERE reason = 'expired'")
    op.execute("DELETE FROM data_coverage WHERE rows = 0")
    op.execute("ALTER TABLE data_gaps DROP CONSTRAINT ck_data_gaps_reason")
    op.execute(REASON.format("'absent_in_source', 'not_imported'"))
