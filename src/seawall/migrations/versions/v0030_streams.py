"""What streams follow: which transaction changed a row, and announcements of whose rows changed.

`changed_in` is the transaction that a row was written by, the whole one and not a part of it, as
the system's own column would have it: by it and a snapshot it is known what was committed since.
What is announced is a word and the ids of users, as a JSON array of texts, never what a row holds.
"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

STAMP = """
CREATE FUNCTION stamp_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What is put back from the archive is as it was, and no news.
    IF TG_OP = 'UPDATE' OR NEW.changed_in = 0 THEN
        NEW.changed_in := pg_current_xact_id()::text::bigint;
    END IF;
    RETURN NEW;
END $$
"""

# Named by the trigger: the word, and the column with the user, if there is one.
TELL_ROW = """
CREATE FUNCTION tell_streams_of_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed jsonb := to_jsonb(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END);
BEGIN
    PERFORM pg_notify('seawall_streams', to_jsonb(
        ARRAY[TG_ARGV[0]] || array_remove(ARRAY[changed ->> TG_ARGV[1]], NULL)
    )::text);
    RETURN NULL;
END $$
"""

# One batch measures thousands of users: a payload has 8,000 bytes at most.
TELL_REPORTS = """
CREATE FUNCTION tell_streams_of_reports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('seawall_streams', (
        to_jsonb(ARRAY['users']) || jsonb_agg(part.user_id)
    )::text)
    FROM (
        SELECT each.user_id, row_number() OVER () / 150 AS place
        FROM (SELECT DISTINCT user_id FROM kept) AS each
    ) AS part
    GROUP BY part.place;
    RETURN NULL;
END $$
"""
STAMPED = ("data_coverage", "risk_events")


def upgrade() -> None:
    for statement in (STAMP, TELL_ROW, TELL_REPORTS):
        op.execute(statement)
    op.execute(
        "ALTER TABLE portfolio_risk_metrics ADD changed_in bigint NOT NULL"
        " DEFAULT pg_current_xact_id()::text::bigint"
    )
    op.execute("DROP INDEX idx_portfolio_risk_metrics_user_id")
    op.execute(
        "CREATE INDEX idx_portfolio_risk_metrics_user_id"
        " ON portfolio_risk_metrics (user_id, changed_in)"
    )
    for table in STAMPED:
        op.execute(f"ALTER TABLE {table} ADD changed_in bigint NOT NULL DEFAULT 0")
        op.execute(
            f"CREATE TRIGGER stamp_change BEFORE INSERT OR UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION stamp_change()"
        )
    _tell()


def _tell() -> None:
    op.execute("""
        CREATE TRIGGER tell_streams AFTER INSERT ON portfolio_risk_metrics
        REFERENCING NEW TABLE AS kept
        FOR EACH STATEMENT EXECUTE FUNCTION tell_streams_of_reports()
    """)
    op.execute("""
        CREATE TRIGGER tell_streams AFTER INSERT OR UPDATE ON risk_events
        FOR EACH ROW EXECUTE FUNCTION tell_streams_of_row('users', 'user_id')
    """)
    op.execute("""
        CREATE TRIGGER tell_streams AFTER INSERT OR UPDATE ON data_coverage
        FOR EACH ROW WHEN (NEW.kind = 'candles') EXECUTE FUNCTION tell_streams_of_row('prices')
    """)
    # Who may no longer be here is to be seen at once, and not when something is told next.
    op.execute("""
        CREATE TRIGGER tell_streams AFTER DELETE OR UPDATE OF revoked_at ON user_sessions
        FOR EACH ROW WHEN (OLD.revoked_at IS NULL)
        EXECUTE FUNCTION tell_streams_of_row('ended', 'user_id')
    """)
    op.execute("""
        CREATE TRIGGER tell_streams AFTER DELETE OR UPDATE OF is_active, expires_at, permissions
        ON api_keys FOR EACH ROW EXECUTE FUNCTION tell_streams_of_row('ended', 'user_id')
    """)
    op.execute("""
        CREATE TRIGGER tell_streams AFTER UPDATE OF status, deleted_at ON users
        FOR EACH ROW WHEN ((OLD.status, OLD.deleted_at) IS DISTINCT FROM
            (NEW.status, NEW.deleted_at))
        EXECUTE FUNCTION tell_streams_of_row('ended', 'id')
    """)


def downgrade() -> None:
    for table in ("users", "api_keys", "user_sessions", "portfolio_risk_metrics", *STAMPED):
        op.execute(f"DROP TRIGGER tell_streams ON {table}")
    for table in STAMPED:
        op.execute(f"DROP TRIGGER stamp_change ON {table}")
        op.execute(f"ALTER TABLE {table} DROP changed_in")
    op.execute("DROP INDEX idx_portfolio_risk_metrics_user_id")
    op.execute("ALTER TABLE portfolio_risk_metrics DROP changed_in")
    op.execute(
        "CREATE INDEX idx_portfolio_risk_metrics_user_id ON portfolio_risk_metrics (user_id)"
    )
    for function in ("tell_streams_of_reports", "tell_streams_of_row", "stamp_change"):
        op.execute(f"DROP FUNCTION {function}")
