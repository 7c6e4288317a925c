"""Announcements of changed rows, by which caches know what they have to drop.

What is announced is a table and ids, as a JSON array of texts. PostgreSQL delivers it when the
transaction commits, and never when it does not.
"""

from alembic import op

from seawall.db.engine import APP_ROLE

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NOTIFY = """
CREATE FUNCTION notify_cache(VARIADIC announced text[]) RETURNS void LANGUAGE sql
AS $$SELECT pg_notify('seawall_cache', to_jsonb(announced)::text)$$
"""

# The columns that make the ids are the trigger's arguments.
NOTIFY_ROW = """
CREATE FUNCTION notify_cache_of_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed jsonb := to_jsonb(CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END);
BEGIN
    PERFORM public.notify_cache(VARIADIC ARRAY[TG_TABLE_NAME::text] || ARRAY(
        SELECT changed ->> name FROM unnest(TG_ARGV) WITH ORDINALITY AS given (name, position)
        ORDER BY position
    ));
    RETURN NULL;
END $$
"""

# A token's hash finds a session, so it is hashed once more before everybody can read it.
NOTIFY_SESSION = """
CREATE FUNCTION notify_cache_of_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.notify_cache('user_sessions', encode(sha256(OLD.token_hash), 'hex'),
        encode(sha256(OLD.refresh_token_hash), 'hex'));
    RETURN NULL;
END $$
"""

# Whoever may no longer log in has no session either, though its row stays as it is.
NOTIFY_USER = """
CREATE FUNCTION notify_cache_of_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.notify_cache('user_sessions', encode(sha256(token_hash), 'hex'),
        encode(sha256(refresh_token_hash), 'hex'))
    FROM public.user_sessions
    WHERE user_id = OLD.id AND coalesce(refresh_expires_at, expires_at) > now();
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    for statement in (NOTIFY, NOTIFY_ROW, NOTIFY_SESSION, NOTIFY_USER):
        op.execute(statement)
    op.execute(f"GRANT EXECUTE ON FUNCTION notify_cache TO {APP_ROLE}")
    op.execute("""
        CREATE TRIGGER notify_cache AFTER INSERT OR UPDATE OR DELETE ON strategies
        FOR EACH ROW EXECUTE FUNCTION notify_cache_of_row('user_id', 'id')
    """)
    op.execute("""
        CREATE TRIGGER notify_cache AFTER INSERT OR UPDATE OR DELETE ON risk_limits
        FOR EACH ROW EXECUTE FUNCTION notify_cache_of_row('user_id')
    """)
    # What is over is in no cache: nobody need hear when it is removed.
    op.execute("""
        CREATE TRIGGER notify_cache AFTER DELETE OR UPDATE OF token_hash, refresh_token_hash,
            expires_at, refresh_expires_at, rotated_at, revoked_at ON user_sessions
        FOR EACH ROW WHEN (coalesce(OLD.refresh_expires_at, OLD.expires_at) > now())
        EXECUTE FUNCTION notify_cache_of_session()
    """)
    op.execute("""
        CREATE TRIGGER notify_cache AFTER UPDATE OF status, deleted_at ON users
        FOR EACH ROW WHEN ((OLD.status, OLD.deleted_at) IS DISTINCT FROM
            (NEW.status, NEW.deleted_at))
        EXECUTE FUNCTION notify_cache_of_user()
    """)


def downgrade() -> None:
    for table in ("users", "user_sessions", "risk_limits", "strategies"):
        op.execute(f"DROP TRIGGER notify_cache ON {table}")
    for function in ("user", "session", "row"):
        op.execute(f"DROP FUNCTION notify_cache_of_{function}")
    op.execute("DROP FUNCTION notify_cache")
