"""The queue: procrastinate's tables in a schema apart, who may do what with them, what failed."""

from alembic import op

from seawall.db.engine import APP_ROLE, WORKER_ROLE
from seawall.jobs import schema
from seawall.jobs.schema import SCHEMA
from seawall.migrations.operations import run_script

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# ruff: noqa: S608 - the only text put in is the name of the schema

# What waits already is not queued twice, but held until the caller's transaction ends: a worker
# that took it before would look at what was there without what the caller has written.
DEFER_JOB = f"""
CREATE FUNCTION defer_job(task text, subject text, urgency integer, ids jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    waiting bigint;
    only_one text := task || ':' || subject;
BEGIN
    LOOP
        INSERT INTO {SCHEMA}.procrastinate_jobs AS job
            (queue_name, task_name, priority, lock, queueing_lock, args)
        VALUES ('default', task, urgency, task, only_one, ids)
        ON CONFLICT (queueing_lock) WHERE status = 'todo' DO NOTHING;
        EXIT WHEN FOUND;
        SELECT id INTO waiting FROM {SCHEMA}.procrastinate_jobs
        WHERE queueing_lock = only_one AND status = 'todo' FOR UPDATE;
        IF FOUND THEN
            -- Workers that passed it by while it was held hear of it when it no longer is.
            PERFORM pg_notify('procrastinate_any_queue_v1',
                json_build_object('type', 'job_inserted', 'job_id', waiting)::text);
            EXIT;
        END IF;
    END LOOP;
END $$
"""

# One that runs is no longer the one that waits: another may be queued behind it, and it can come
# back to wait beside that one when it has to be tried again.
NO_LONGER_WAITING = """
CREATE FUNCTION queue.no_longer_waiting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.queueing_lock := NULL;
    RETURN NEW;
END $$
"""
ON_START = """
CREATE TRIGGER no_longer_waiting BEFORE UPDATE OF status ON queue.procrastinate_jobs
FOR EACH ROW WHEN (NEW.status = 'doing') EXECUTE FUNCTION queue.no_longer_waiting()
"""

# The library names its tables without a schema, and finds them by the path of whoever calls.
IN_PLACE = """
DO $$ DECLARE
    each regprocedure;
BEGIN
    FOR each IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'queue'::regnamespace
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = queue, pg_temp', each);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', each);
    END LOOP;
END $$
"""
RIGHTS = (
    f"GRANT USAGE ON SCHEMA {SCHEMA} TO {WORKER_ROLE}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO {WORKER_ROLE}",
    f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {WORKER_ROLE}",
    f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} TO {WORKER_ROLE}",
)


def upgrade() -> None:
    op.execute("""
        CREATE TABLE job_failures (
            job_id bigint NOT NULL,
            attempt integer NOT NULL,
            task text NOT NULL,
            error text NOT NULL,
            retried boolean NOT NULL,
            failed_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_job_failures PRIMARY KEY (job_id, attempt),
            CONSTRAINT ck_job_failures_attempt CHECK (attempt >= 1),
            CONSTRAINT ck_job_failures_error CHECK (length(error) <= 4000)
        )
    """)
    op.execute("CREATE INDEX idx_job_failures_failed_at ON job_failures (failed_at)")
    op.execute(f"GRANT SELECT, INSERT ON job_failures TO {WORKER_ROLE}")
    if not op.get_context().as_sql:
        _create_queue()
    op.execute(DEFER_JOB)
    op.execute(f"GRANT EXECUTE ON FUNCTION defer_job TO {APP_ROLE}")


def _create_queue() -> None:
    op.execute(f"CREATE SCHEMA {SCHEMA}")
    op.execute(f"SET LOCAL search_path = {SCHEMA}")
    run_script(schema.whole())
    op.execute("SET LOCAL search_path TO DEFAULT")
    op.execute(f"COMMENT ON SCHEMA {SCHEMA} IS 'procrastinate {schema.installed_version()}'")
    op.execute(NO_LONGER_WAITING)
    op.execute(ON_START)
    op.execute(IN_PLACE)
    for right in RIGHTS:
        op.execute(right)


def downgrade() -> None:
    op.execute("DROP FUNCTION defer_job")
    op.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    op.execute("DROP TABLE job_failures")
