"""Users who leave: deleted softly, restored by a mail's token, purged with all that was theirs."""

from alembic import op

from seawall.db.engine import APP_ROLE, WORKER_ROLE
from seawall.migrations.steps.v0028_audit_row import AUDIT_ROW, AUDIT_ROW_BEFORE

# ruff: noqa: S608 - of constants

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

PURPOSES = "'email_verification', 'password_reset', 'email_change'"

# The database keeps `updated_at`, whatever an update says: so nobody who may change the row can
# date a deletion back and have it purged before its time.
DUE = """
    deleted_at < now() - interval '30 days' AND updated_at < now() - interval '30 days'
    AND NOT is_superuser AND id <> '00000000-0000-4000-8000-000000000001'
"""

# What a user may do and has paid for is not theirs to say, nor of whoever acts in their place.
GUARD = """
CREATE FUNCTION guard_user() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF current_user = 'seawall_app' AND (
        NEW.is_superuser IS DISTINCT FROM (CASE TG_OP WHEN 'UPDATE' THEN OLD.is_superuser
            ELSE false END)
        OR NEW.tier IS DISTINCT FROM (CASE TG_OP WHEN 'UPDATE' THEN OLD.tier ELSE 'free' END)
    ) THEN
        RAISE 'the application changes neither tier nor is_superuser of a user'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
"""

# Whoever has left opens one door alone: the one by which they come back.
FIND_LINK = """
CREATE OR REPLACE FUNCTION find_one_time_token(meant_for text, wanted bytea)
RETURNS TABLE (id uuid, user_id uuid, email text, expires_at timestamptz)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 1
SET search_path = public, pg_temp AS $$BEGIN RETURN QUERY{end}
        SELECT t.id, t.user_id, t.email, t.expires_at
        FROM one_time_tokens t JOIN users u ON u.id = t.user_id
        WHERE t.token_hash = wanted AND t.purpose = meant_for
            AND t.used_at IS NULL AND t.expires_at > now()
            AND u.status = 'active' AND {living}
        ; END$$
"""
LIVING = "u.deleted_at IS NULL"

# A number, by which checking a password can cost the same for everybody: see `identity.passwords`.
OLD_COST = """
CREATE FUNCTION old_hash_cost() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$SELECT max(substr(password_hash, 5, 2))::integer FROM users WHERE password_hash LIKE '$2%'$$
"""

REFUSE = """
CREATE OR REPLACE FUNCTION refuse_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
{purged}    RAISE '% of % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'insufficient_privilege';
END $$
"""
# Which entries then go is the policy's to say.
UNLESS_PURGED = """
    IF TG_TABLE_NAME = 'audit_logs' AND TG_OP = 'DELETE'
            AND current_setting('seawall.purging', true) = pg_current_xact_id()::text THEN
        RETURN NULL;
    END IF;
""".lstrip("\n")

LIST_LEFT = f"""
CREATE FUNCTION list_users_to_purge() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$SELECT id FROM users WHERE {DUE} ORDER BY deleted_at$$
"""

# One transaction: whatever interrupts it, the user is there as before, or gone with everything.
PURGE = f"""
CREATE FUNCTION purge_user(gone uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    entries bigint;
    last_sequence bigint;
    last_hash bytea;
BEGIN
    PERFORM set_config('seawall.purging', pg_current_xact_id()::text, true);
    -- Whoever is writing to the chain ends first; what they wrote goes too.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_logs ' || gone, 0));
    -- Foreign keys take along every row of every table of users.
    DELETE FROM users WHERE id = gone AND {DUE};
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT count(*) INTO entries FROM audit_logs WHERE user_id = gone;
    SELECT sequence, hash INTO last_sequence, last_hash FROM audit_logs
    WHERE user_id = gone ORDER BY sequence DESC LIMIT 1;
    FOR attempt IN 1..100 LOOP
        INSERT INTO audit_logs (user_id, table_name, operation, record_id, new_data)
        VALUES (NULL, 'audit_logs', 'EXPIRE', gone, jsonb_build_object(
            'entries', entries, 'sequence', last_sequence, 'hash', encode(last_hash, 'hex')))
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        IF attempt = 100 THEN
            RAISE 'the audit log was too busy to note a purge'
                USING ERRCODE = 'serialization_failure';
        END IF;
    END LOOP;
    DELETE FROM audit_logs WHERE user_id = gone;
    RETURN true;
END $$
"""
WHEN_PUBLIC = "is_public AND deleted_at IS NULL"
BY_WORKER = f"(SELECT current_setting('role')) = '{WORKER_ROLE}'"


def upgrade() -> None:
    op.execute(GUARD)
    op.execute("""
        CREATE TRIGGER guard_users BEFORE INSERT OR UPDATE ON users
        FOR EACH ROW EXECUTE FUNCTION guard_user()
    """)
    op.execute("""
        CREATE INDEX idx_users_left ON users (deleted_at) WHERE deleted_at IS NOT NULL
    """)
    op.execute("""
        CREATE INDEX idx_users_old_hash ON users (substr(password_hash, 5, 2))
        WHERE password_hash LIKE '$2%'
    """)
    op.execute(OLD_COST)
    op.execute(f"GRANT EXECUTE ON FUNCTION old_hash_cost TO {APP_ROLE}")
    _name_purposes(f"{PURPOSES}, 'account_restore'")
    left = "(u.deleted_at IS NOT NULL) = (meant_for = 'account_restore')"
    op.execute(FIND_LINK.format(living=left, end=" "))
    op.execute(f"""
        ALTER POLICY owner_select ON portfolios USING ({WHEN_PUBLIC} AND EXISTS (
            SELECT FROM users WHERE users.id = portfolios.user_id AND users.deleted_at IS NULL))
    """)
    op.execute(f"""
        CREATE POLICY door_delete ON users FOR DELETE TO seawall_owner
        USING ({BY_WORKER} AND {DUE})
    """)
    _open_log()
    op.execute(AUDIT_ROW)
    op.execute(LIST_LEFT)
    op.execute(PURGE)
    op.execute(f"GRANT EXECUTE ON FUNCTION list_users_to_purge, purge_user TO {WORKER_ROLE}")


def _name_purposes(names: str) -> None:
    op.execute(f"""
        ALTER TABLE one_time_tokens DROP CONSTRAINT ck_one_time_tokens_purpose,
            ADD CONSTRAINT ck_one_time_tokens_purpose CHECK (purpose IN ({names}))
    """)


def _open_log() -> None:
    """Let the chain of who was purged go, and no other entry."""
    op.execute(f"""
        CREATE POLICY door_delete ON audit_logs FOR DELETE TO seawall_owner
        USING ({BY_WORKER} AND user_id <> '00000000-0000-0000-0000-000000000000'
            AND NOT EXISTS (SELECT FROM users WHERE users.id = audit_logs.user_id))
    """)
    op.execute(REFUSE.format(purged=UNLESS_PURGED))


def downgrade() -> None:
    op.execute("DROP FUNCTION purge_user, list_users_to_purge")
    op.execute(AUDIT_ROW_BEFORE)
    op.execute(REFUSE.format(purged=""))
    op.execute("DROP POLICY door_delete ON audit_logs")
    op.execute("DROP POLICY door_delete ON users")
    op.execute(f"ALTER POLICY owner_select ON portfolios USING ({WHEN_PUBLIC})")
    op.execute(FIND_LINK.format(living=LIVING, end=" "))
    # As the owner sees every token here and may delete it: those that restore are of no use now.
    op.execute("DELETE FROM one_time_tokens WHERE purpose = 'account_restore'")
    _name_purposes(PURPOSES)
    op.execute("DROP FUNCTION old_hash_cost")
    op.execute("DROP INDEX idx_users_old_hash, idx_users_left")
    op.execute("DROP TRIGGER guard_users ON users")
    op.execute("DROP FUNCTION guard_user")
