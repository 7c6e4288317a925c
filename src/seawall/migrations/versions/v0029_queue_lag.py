"""How far behind the queue is, for whoever serves: two numbers, and nothing of what is queued."""

from alembic import op

from seawall.db.engine import APP_ROLE

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# A job tells no time of its own: when it was queued is an event, and when it is due a schedule.
QUEUE_LAG = """
CREATE FUNCTION queue_lag() RETURNS TABLE (jobs bigint, oldest_seconds double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT count(*), coalesce(extract(epoch FROM now() - min(coalesce(
        job.scheduled_at, (SELECT min(event.at) FROM queue.procrastinate_events AS event
            WHERE event.job_id = job.id AND event.type = 'deferred')
    )))::double precision, 0)
    FROM queue.procrastinate_jobs AS job
    WHERE job.status = 'todo' AND (job.scheduled_at IS NULL OR job.scheduled_at <= now());
END $$
"""


def upgrade() -> None:
    op.execute(QUEUE_LAG)
    op.execute(f"GRANT EXECUTE ON FUNCTION queue_lag TO {APP_ROLE}")


def downgrade() -> None:
    op.execute("DROP FUNCTION queue_lag")
