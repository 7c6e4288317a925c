"""The machinery of time series: which tables are cut into chunks, and how."""

from alembic import op

from seawall.db.engine import APP_ROLE
from seawall.migrations.operations import grant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CREATE_SERIES = """
CREATE FUNCTION create_series(name text, chunk text, tenant boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    hypertable boolean := NOT tenant
        AND EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb');
    plain text := name || '_plain';
BEGIN
    INSERT INTO series (table_name, chunk, tenant, engine)
    VALUES (name, chunk, tenant, CASE WHEN hypertable THEN 'timescaledb' ELSE 'native' END);
    IF hypertable THEN
        -- A hypertable cannot be made of a partitioned table: make it of a plain one like it.
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', plain, name);
        EXECUTE format('DROP TABLE %I', name);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', plain, name);
        EXECUTE format('ALTER INDEX %I RENAME TO %I', plain || '_pkey', 'pk_' || name);
        PERFORM create_hypertable(name::regclass, 'time',
            chunk_time_interval => ('1 ' || chunk)::interval, create_default_indexes => false);
    END IF;
END $$
"""

# The application may not create tables, so the owner does it for it; `name` has to be a declared
# series, and partitions are reached through their parent alone, whose policies then hold.
ENSURE_CHUNKS = """
CREATE FUNCTION ensure_chunks(name text, first timestamptz, last timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    declared series%ROWTYPE;
    step interval;
    lower_bound timestamptz;
    partition text;
    made integer := 0;
BEGIN
    SELECT * INTO STRICT declared FROM series WHERE table_name = name;
    step := ('1 ' || declared.chunk)::interval;
    IF first < '1900-01-01' OR last > now() + interval '10 years' OR last < first
            OR last - first > 2000 * step THEN
        RAISE 'no chunks of % from % to %', name, first, last
            USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF declared.engine <> 'native' THEN
        RETURN 0;
    END IF;
    lower_bound := date_trunc(declared.chunk, first);
    WHILE lower_bound <= last LOOP
        partition := name || '_' || to_char(lower_bound,
            CASE declared.chunk WHEN 'year' THEN 'YYYY' WHEN 'month' THEN 'YYYY_MM'
                ELSE 'YYYY_MM_DD' END);
        IF to_regclass(partition) IS NULL THEN
            -- One maker at a time; the loser finds the partition made.
            PERFORM pg_advisory_xact_lock(hashtext('ensure_chunks'), hashtext(name));
            -- Asked of the table, because to_regclass may answer as before the lock.
            IF NOT EXISTS (
                SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                WHERE inhparent = name::regclass AND relname = partition
            ) THEN
                -- CREATE ... PARTITION OF would lock out whoever reads the series; ATTACH does not.
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition, name);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                    name, partition, lower_bound, lower_bound + step);
                IF declared.tenant THEN
                    -- Without a policy of its own nobody gets at a row past the parent's.
                    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', partition);
                    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', partition);
                END IF;
                made := made + 1;
            END IF;
        END IF;
        lower_bound := lower_bound + step;
    END LOOP;
    RETURN made;
END $$
"""


def upgrade() -> None:
    op.execute("""
        CREATE TABLE series (
            table_name text CONSTRAINT pk_series PRIMARY KEY,
            chunk text NOT NULL
                CONSTRAINT ck_series_chunk CHECK (chunk IN ('day', 'month', 'year')),
            tenant boolean NOT NULL,
            engine text NOT NULL
                CONSTRAINT ck_series_engine CHECK (engine IN ('native', 'timescaledb'))
        )
    """)
    grant("series", "SELECT")
    # Alembic makes its table before the first migration; the application reads where it stands.
    grant("alembic_version", "SELECT")
    op.execute(CREATE_SERIES)
    op.execute(ENSURE_CHUNKS)
    op.execute("REVOKE ALL ON FUNCTION create_series, ensure_chunks FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION ensure_chunks TO {APP_ROLE}")


def downgrade() -> None:
    op.execute("DROP FUNCTION ensure_chunks")
    op.execute("DROP FUNCTION create_series")
    op.execute("DROP TABLE series")
