"""How series age: chunks of hypertables, compression, rollups and their upkeep."""

from alembic import op

from seawall.db.engine import APP_ROLE
from seawall.db.series import SERIES, Rollup, Series, Summary
from seawall.migrations.operations import grant

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# ruff: noqa: S608 - names are declared in code

# Rows are summed up in the order of time, so that floats add up to the same on both engines: a
# native rollup reads them so, a continuous aggregate is told so.
BOTH: dict[Summary, str] = {"max": "max({})", "min": "min({})", "count": "count({})"}
NATIVE = BOTH | {
    "first": "(array_agg({}))[1]",
    "last": "(array_agg({}))[count(*)]",
    "mean": "avg({})",
    "sum": "sum({})",
}
TIMESCALEDB = BOTH | {
    "first": "first({}, time)",
    "last": "last({}, time)",
    "mean": "avg({} ORDER BY time)",
    "sum": "sum({} ORDER BY time)",
}

AGE_SERIES = """
CREATE FUNCTION age_series(name text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    declared series%ROWTYPE;
    order_by text;
BEGIN
    SELECT * INTO STRICT declared FROM series WHERE table_name = name;
    IF declared.engine <> 'timescaledb' THEN
        RETURN;
    END IF;
    PERFORM set_chunk_time_interval(name::regclass, ('1 ' || declared.hyperchunk)::interval);
    IF declared.compress_after IS NOT NULL THEN
        -- Small chunks compress badly, so they are joined as they are compressed. In each segment
        -- the rest of the key follows the time: a row's twin is found without unpacking all.
        SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname <> 'time', attnum)
        INTO order_by
        FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indrelid = name::regclass AND indisprimary
            AND NOT attname = ANY (declared.segment_by);
        EXECUTE format('ALTER TABLE %I SET (timescaledb.compress,'
            ' timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = %L,'
            ' timescaledb.compress_chunk_time_interval = %L)',
            name, array_to_string(declared.segment_by, ', '), order_by,
            CASE declared.hyperchunk WHEN 'day' THEN '30 days' ELSE '360 days' END);
    END IF;
END $$
"""

CREATE_ROLLUP = """
CREATE FUNCTION create_rollup(rollup text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    declared rollups%ROWTYPE;
    keys text;
BEGIN
    SELECT * INTO STRICT declared FROM rollups WHERE name = rollup;
    keys := array_to_string(declared.keys, ', ');
    IF (SELECT engine FROM series WHERE table_name = declared.table_name) = 'timescaledb' THEN
        EXECUTE format('CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous,'
            ' timescaledb.materialized_only = false) AS'
            ' SELECT %s, time_bucket(''1 day'', time) AS day, %s FROM %I WHERE %s'
            ' GROUP BY %s, time_bucket(''1 day'', time) WITH NO DATA',
            rollup, keys, declared.timescaledb_values, declared.table_name, declared.condition,
            keys);
    ELSE
        EXECUTE format('CREATE TABLE %I AS SELECT %s, date_trunc(''day'', time, ''UTC'') AS day,'
            ' %s FROM %I WHERE %s GROUP BY %s, day WITH NO DATA',
            rollup, keys, declared.native_values, declared.table_name, declared.condition, keys);
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (%s, day)',
            rollup, 'pk_' || rollup, keys);
        EXECUTE format('CREATE OR REPLACE TRIGGER note_change AFTER INSERT OR UPDATE OR DELETE OR'
            ' TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION note_change()',
            declared.table_name);
        INSERT INTO series_changes (table_name) VALUES (declared.table_name);
    END IF;
    EXECUTE format('GRANT SELECT ON %I TO seawall_app', rollup);
END $$
"""

# A writer announces what it is about to change. One that does not is noticed by the trigger,
# which cannot tell the rows: with a transition table, COPY would write row by row.
ANNOUNCE_CHANGE = """
CREATE FUNCTION announce_change(series text, subject integer[], first timestamptz,
    last timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM set_config('seawall.announced_' || series, pg_current_xact_id()::text, true);
    INSERT INTO series_changes (table_name, subject, first, last)
    SELECT table_name, announce_change.subject, announce_change.first, announce_change.last
    FROM series AS declared WHERE table_name = series AND engine = 'native';
END $$
"""
NOTE_CHANGE = """
CREATE FUNCTION note_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('seawall.announced_' || TG_TABLE_NAME, true)
            IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM set_config('seawall.announced_' || TG_TABLE_NAME, pg_current_xact_id()::text, true);
        INSERT INTO series_changes (table_name) VALUES (TG_TABLE_NAME);
    END IF;
    RETURN NULL;
END $$
"""

# From when on a rollup may be made anew: days that its rows have begun to leave stay as they are.
ROLLUP_START = """
CREATE FUNCTION rollup_start(keep interval) RETURNS timestamptz LANGUAGE sql STABLE
SET search_path = public, pg_temp
RETURN CASE WHEN keep IS NULL THEN NULL
    ELSE date_trunc('day', now() - keep, 'UTC') + interval '1 day' END
"""
# Rows are read in the order of time, which a hash aggregate keeps: sorting them again by day, or
# each group for itself, takes three times as long.
# Whoever refreshes a subject holds its lock: else one that began earlier could write over the
# days of one that saw more. A change of unknown rows takes the whole series.
REFRESH_ROLLUPS = """
CREATE FUNCTION refresh_rollups(series text, of_subject integer[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET max_parallel_workers_per_gather = 0 SET enable_sort = off AS $$
DECLARE
    rollup rollups%ROWTYPE;
    change record;
    taken bigint[];
    whole boolean;
    start timestamptz;
    finish timestamptz;
    keys text;
    held text;
BEGIN
    SELECT array_agg(id), bool_or(subject IS NULL) INTO taken, whole FROM series_changes
    WHERE table_name = series AND (of_subject IS NULL OR subject = of_subject);
    IF taken IS NULL THEN
        RETURN;
    ELSIF whole THEN
        PERFORM pg_advisory_xact_lock(hashtext('refresh_rollups'), hashtext(series));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(hashtext('refresh_rollups'), hashtext(series));
    END IF;
    FOR change IN
        SELECT DISTINCT subject, date_trunc('day', first, 'UTC') AS first,
            date_trunc('day', last, 'UTC') + interval '1 day' AS last
        FROM series_changes WHERE id = ANY (taken) AND (NOT whole OR subject IS NULL)
        ORDER BY subject
    LOOP
        IF NOT whole THEN
            PERFORM pg_advisory_xact_lock(hashtext(series), hashtext(change.subject::text));
        END IF;
        FOR rollup IN SELECT * FROM rollups WHERE table_name = series LOOP
            keys := array_to_string(rollup.keys, ', ');
            held := CASE WHEN whole THEN 'true' ELSE
                format('(%s) = (%s)', keys, array_to_string(change.subject, ', ')) END;
            start := greatest(rollup_start(rollup.keep), coalesce(change.first, '-infinity'));
            finish := coalesce(change.last, 'infinity');
            EXECUTE format('DELETE FROM %I WHERE %s AND day >= %L AND day < %L',
                rollup.name, held, start, finish);
            EXECUTE format('INSERT INTO %I SELECT %s, day, %s FROM'
                ' (SELECT *, date_bin(''1 day'', time, ''2000-01-01 00:00:00+00'') AS day FROM %I'
                ' WHERE %s AND %s AND time >= %L AND time < %L ORDER BY %s time) AS ordered'
                ' GROUP BY %s day',
                rollup.name,
                CASE WHEN whole THEN keys ELSE array_to_string(change.subject, ', ') END,
                rollup.native_values, series, rollup.condition, held, start, finish,
                CASE WHEN whole THEN keys || ',' END, CASE WHEN whole THEN keys || ',' END);
        END LOOP;
    END LOOP;
    DELETE FROM series_changes WHERE id = ANY (taken);
END $$
"""

# One procedure keeps every series: TimescaleDB's scheduler runs it as a job, `seawall db maintain`
# calls it on either engine. It commits after each step, so an interrupted run goes on from there.
MAINTAIN_SERIES = """
CREATE PROCEDURE maintain_series(job_id integer DEFAULT 0, config jsonb DEFAULT '{}')
LANGUAGE plpgsql AS $$
DECLARE
    declared record;
    rollup record;
    chunk regclass;
BEGIN
    FOR declared IN SELECT * FROM public.series
            WHERE table_name = coalesce(config->>'series', table_name) ORDER BY table_name LOOP
        -- One keeper of a series at a time: two would join the same chunks. The commit lets this
        -- one see what the other has done.
        PERFORM pg_advisory_lock(hashtext('maintain_series'), hashtext(declared.table_name));
        COMMIT;
        IF declared.engine = 'native' THEN
            PERFORM public.ensure_chunks(declared.table_name, now(),
                now() + ('1 ' || declared.chunk)::interval);
            COMMIT;
            PERFORM public.refresh_rollups(declared.table_name);
            COMMIT;
            PERFORM pg_advisory_unlock(hashtext('maintain_series'), hashtext(declared.table_name));
            CONTINUE;
        END IF;
        FOR rollup IN SELECT * FROM public.rollups WHERE table_name = declared.table_name LOOP
            CALL public.refresh_continuous_aggregate(rollup.name::regclass,
                public.rollup_start(rollup.keep), NULL);
            COMMIT;
        END LOOP;
        IF declared.compress_after IS NOT NULL THEN
            FOR chunk IN SELECT public.show_chunks(declared.table_name::regclass,
                    older_than => now() - declared.compress_after) LOOP
                PERFORM public.compress_chunk(chunk, if_not_compressed => true);
                COMMIT;
            END LOOP;
        END IF;
        PERFORM pg_advisory_unlock(hashtext('maintain_series'), hashtext(declared.table_name));
    END LOOP;
END $$
"""
FUNCTIONS = (
    AGE_SERIES,
    ANNOUNCE_CHANGE,
    NOTE_CHANGE,
    ROLLUP_START,
    CREATE_ROLLUP,
    REFRESH_ROLLUPS,
    MAINTAIN_SERIES,
)


def upgrade() -> None:
    op.execute("""
        ALTER TABLE series
            ADD hyperchunk text NOT NULL DEFAULT 'month'
                CONSTRAINT ck_series_hyperchunk CHECK (hyperchunk IN ('day', 'month', 'year')),
            ADD segment_by text[] NOT NULL DEFAULT '{}',
            ADD compress_after interval
    """)
    op.execute("""
        CREATE TABLE rollups (
            name text CONSTRAINT pk_rollups PRIMARY KEY,
            table_name text NOT NULL
                CONSTRAINT fk_rollups_series REFERENCES series ON DELETE CASCADE,
            keys text[] NOT NULL,
            native_values text NOT NULL,
            timescaledb_values text NOT NULL,
            condition text NOT NULL,
            keep interval
        )
    """)
    op.execute("""
        CREATE TABLE series_changes (
            id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_series_changes PRIMARY KEY,
            table_name text NOT NULL
                CONSTRAINT fk_series_changes_series REFERENCES series ON DELETE CASCADE,
            subject integer[],
            first timestamptz,
            last timestamptz
        )
    """)
    op.execute("CREATE INDEX idx_rollups_table_name ON rollups (table_name)")
    op.execute("CREATE INDEX idx_series_changes_table_name ON series_changes (table_name)")
    grant("rollups", "SELECT")
    for function in FUNCTIONS:
        op.execute(function)
    op.execute(f"GRANT EXECUTE ON FUNCTION announce_change, refresh_rollups TO {APP_ROLE}")
    for series in SERIES:
        _declare(series)
        for rollup in series.rollups:
            _create(series, rollup)
    op.execute("SELECT age_series(table_name) FROM series")
    _create_views()


def _declare(series: Series) -> None:
    segments = "{" + ",".join(series.segment_by) + "}"
    after = "NULL" if series.compress_after is None else f"'{series.compress_after.days} days'"
    op.execute(
        f"UPDATE series SET hyperchunk = '{series.hyperchunk}', segment_by = '{segments}',"
        f" compress_after = {after} WHERE table_name = '{series.table}'"
    )


def _create(series: Series, rollup: Rollup) -> None:
    def written(summaries: dict[Summary, str]) -> str:
        return ", ".join(
            f"{summaries[each.summary].format(each.column)} AS {each.name}"
            for each in rollup.values
        )

    keys = "{" + ",".join(rollup.keys) + "}"
    op.execute(
        "INSERT INTO rollups (name, table_name, keys, native_values, timescaledb_values, condition)"
        f" VALUES ('{rollup.name}', '{series.table}', '{keys}', '{written(NATIVE)}',"
        f" '{written(TIMESCALEDB)}', '{rollup.condition}')"
    )
    op.execute(f"SELECT create_rollup('{rollup.name}')")
    op.execute(f"SELECT refresh_rollups('{series.table}')")


def _create_views() -> None:
    op.execute("""
        CREATE VIEW price_history_daily WITH (security_invoker = true) AS
        SELECT day, assets.symbol AS asset_symbol, asset_id, open, high, low, close, avg_price,
            total_volume, prices
        FROM price_history_by_day JOIN assets ON assets.id = asset_id
    """)
    op.execute("""
        CREATE VIEW daily_price_summary WITH (security_invoker = true) AS
        SELECT day, exchanges.code AS exchange, symbols.symbol, symbol_id, open, high, low, close,
            volume, candles
        FROM candles_by_day
        JOIN symbols ON symbols.id = symbol_id
        JOIN exchanges ON exchanges.id = exchange_id
        WHERE timeframe = 3600
    """)
    grant("price_history_daily", "SELECT")
    grant("daily_price_summary", "SELECT")


DROP_ROLLUP = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE oid = '{name}'::regclass AND relkind = 'v') THEN
        DROP MATERIALIZED VIEW {name};
    ELSE
        DROP TABLE {name};
        DROP TRIGGER note_change ON {table};
    END IF;
END $$
"""
RESTORE_SERIES = """
DO $$ BEGIN
    IF (SELECT engine FROM series WHERE table_name = '{name}') = 'timescaledb' THEN
        PERFORM decompress_chunk(chunk, if_compressed => true) FROM show_chunks('{name}') chunk;
        ALTER TABLE {name} SET (timescaledb.compress = false);
        PERFORM set_chunk_time_interval('{name}', interval '1 {chunk}');
    END IF;
END $$
"""


def downgrade() -> None:
    op.execute("DROP VIEW daily_price_summary")
    op.execute("DROP VIEW price_history_daily")
    for series in SERIES:
        for rollup in series.rollups:
            op.execute(DROP_ROLLUP.format(name=rollup.name, table=series.table))
        op.execute(RESTORE_SERIES.format(name=series.table, chunk=series.chunk))
    op.execute("DROP PROCEDURE maintain_series")
    for function in (
        "refresh_rollups",
        "create_rollup",
        "rollup_start",
        "note_change",
        "announce_change",
        "age_series",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP TABLE series_changes")
    op.execute("DROP TABLE rollups")
    op.execute("ALTER TABLE series DROP hyperchunk, DROP segment_by, DROP compress_after")
