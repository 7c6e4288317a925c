"""The audit log: what was changed, chained so that no change of it goes unseen."""

from alembic import op

from seawall.migrations.operations import grant, open_to_owner, restrict_rows

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Of the caller's rights, because `current_user` then tells the application, which may log what it
# alone knows of, from `audit_row`, which logs what became of rows.
LINK = """
CREATE FUNCTION link_audit_log() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    last_sequence bigint;
BEGIN
    IF current_user <> 'seawall_owner'
            AND NEW.operation NOT IN ('LOGIN', 'LOGIN_FAILED', 'LOGOUT', 'EXPORT') THEN
        RAISE 'only the database itself logs %', NEW.operation
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.actor_id := nullif(current_setting('app.user_id', true), '')::uuid;
    IF NEW.actor_id IS NOT NULL THEN
        -- One writer of a chain at a time; the next statement sees what the last one committed.
        -- Who is bound to nobody may write to more chains than there is room for locks.
        PERFORM pg_advisory_xact_lock(
            hashtextextended('audit_logs ' || coalesce(NEW.user_id::text, 'system'), 0));
    END IF;
    IF NEW.user_id IS NULL THEN
        SELECT sequence, hash INTO last_sequence, NEW.previous_hash FROM audit_logs
        WHERE user_id IS NULL ORDER BY sequence DESC LIMIT 1;
    ELSE
        SELECT sequence, hash INTO last_sequence, NEW.previous_hash FROM audit_logs
        WHERE user_id = NEW.user_id ORDER BY sequence DESC LIMIT 1;
    END IF;
    NEW.sequence := coalesce(last_sequence, 0) + 1;
    NEW.time := clock_timestamp();
    NEW.actor_role := coalesce(nullif(current_setting('role'), 'none'), session_user);
    -- An array of text and numbers, so that no two entries are written alike; UTC, so that the
    -- session's time zone does not matter.
    NEW.hash := sha256(convert_to(json_build_array(
        NEW.id, NEW.user_id, NEW.sequence, NEW.time AT TIME ZONE 'UTC', NEW.table_name,
        NEW.operation, NEW.record_id, NEW.old_data::text, NEW.new_data::text, NEW.actor_id,
        NEW.actor_role, encode(NEW.previous_hash, 'hex'))::text, 'UTF8'));
    RETURN NEW;
END $$
"""

# Taken before a statement locks any row: else two transactions of one user, each with a row that
# the other wants, would also wait for each other's chain.
LOCK = """
CREATE FUNCTION lock_audit_chain() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bound text := nullif(current_setting('app.user_id', true), '');
BEGIN
    IF bound IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('audit_logs ' || bound::uuid, 0));
    END IF;
    RETURN NULL;
END $$
"""

# What a session sets must not change how a row is written down: digits that are not shown would
# be a change that is not seen.
AUDIT = """
CREATE FUNCTION audit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET timezone = 'UTC' SET extra_float_digits = 1 AS $$
DECLARE
    unlogged text[] := string_to_array(TG_ARGV[1], ',') || 'updated_at'::text;
    old_row jsonb;
    new_row jsonb;
    subject jsonb;
    record text;
    secret text;
    mark text;
BEGIN
    -- Rows that retention takes out or puts back are logged by it, many in one entry.
    IF TG_OP <> 'UPDATE' AND current_setting('role') = 'seawall_owner'
            AND current_setting('seawall.ageing', true) = pg_current_xact_id()::text THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        old_row := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_row := to_jsonb(NEW);
    END IF;
    IF TG_OP = 'UPDATE' AND old_row - unlogged = new_row - unlogged THEN
        RETURN NULL;
    END IF;
    FOREACH secret IN ARRAY string_to_array(TG_ARGV[0], ',') LOOP
        -- A column that was renamed must not be logged in the clear.
        IF NOT coalesce(old_row, new_row) ? secret THEN
            RAISE '% has no column % to redact', TG_TABLE_NAME, secret
                USING ERRCODE = 'undefined_column';
        END IF;
        mark := '[redacted]';
        IF TG_OP = 'UPDATE' AND old_row -> secret <> new_row -> secret THEN
            mark := '[redacted: changed]';
        END IF;
        IF old_row ->> secret IS NOT NULL THEN
            old_row := old_row || jsonb_build_object(secret, '[redacted]');
        END IF;
        IF new_row ->> secret IS NOT NULL THEN
            new_row := new_row || jsonb_build_object(secret, mark);
        END IF;
    END LOOP;
    subject := coalesce(old_row, new_row);
    record := subject ->> 'id';
    IF record IS NULL THEN
        SELECT string_agg(subject ->> attname, ',' ORDER BY place) INTO record
        FROM pg_index CROSS JOIN unnest(indkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = indrelid AND attnum = number
        WHERE indrelid = TG_RELID AND indisprimary;
    END IF;
    -- A writer without a lock waits here for one who is writing to the same chain, and then begins
    -- anew after the other's entries. In a transaction that cannot see those, the conflict is
    -- raised as the serialization failure that it is, which tells the caller to try again.
    FOR attempt IN 1..100 LOOP
        INSERT INTO audit_logs (user_id, table_name, operation, record_id, old_data, new_data)
        VALUES (
            (subject ->> CASE TG_TABLE_NAME WHEN 'users' THEN 'id' ELSE 'user_id' END)::uuid,
            TG_TABLE_NAME, TG_OP, record, old_row, new_row
        ) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN NULL;
        END IF;
    END LOOP;
    RAISE 'the audit log has an entry already where the next one belongs'
        USING ERRCODE = 'serialization_failure';
END $$
"""

REFUSE = """
CREATE FUNCTION refuse_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE '% of % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'insufficient_privilege';
END $$
"""


def upgrade() -> None:
    op.execute("""
        CREATE TABLE audit_logs (
            id uuid DEFAULT gen_random_uuid() CONSTRAINT pk_audit_logs PRIMARY KEY,
            user_id uuid DEFAULT current_user_id(),
            sequence bigint NOT NULL,
            time timestamptz NOT NULL,
            table_name text NOT NULL,
            operation text NOT NULL,
            record_id text,
            old_data jsonb,
            new_data jsonb,
            actor_id uuid,
            actor_role text NOT NULL,
            previous_hash bytea,
            hash bytea NOT NULL,
            CONSTRAINT uq_audit_logs_chain UNIQUE NULLS NOT DISTINCT (user_id, sequence),
            CONSTRAINT ck_audit_logs_operation CHECK (operation IN (
                'INSERT', 'UPDATE', 'DELETE', 'BEGIN', 'ANCHOR', 'EXPIRE', 'RESTORE', 'LOGIN',
                'LOGIN_FAILED', 'LOGOUT', 'EXPORT'
            )),
            CONSTRAINT ck_audit_logs_data CHECK (
                (old_data IS NOT NULL) = (operation IN ('UPDATE', 'DELETE'))
                AND (new_data IS NOT NULL OR operation NOT IN ('INSERT', 'UPDATE'))
                AND (new_data IS NULL OR operation <> 'DELETE')
            ),
            CONSTRAINT ck_audit_logs_link CHECK (
                sequence >= 1 AND (previous_hash IS NULL) = (sequence = 1)
            )
        )
    """)
    op.execute("CREATE INDEX idx_audit_logs_record_id ON audit_logs (record_id)")
    op.execute("CREATE INDEX idx_audit_logs_time ON audit_logs USING brin (time)")
    restrict_rows("audit_logs")
    open_to_owner("audit_logs", "SELECT")
    open_to_owner("audit_logs", "INSERT")
    grant("audit_logs", "SELECT", "INSERT")
    op.execute(LINK)
    op.execute(LOCK)
    op.execute(AUDIT)
    op.execute(REFUSE)
    op.execute("""
        CREATE TRIGGER link_audit_logs BEFORE INSERT ON audit_logs
        FOR EACH ROW EXECUTE FUNCTION link_audit_log()
    """)
    op.execute("""
        CREATE TRIGGER keep_audit_logs BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_statement('it is only ever added to')
    """)
    # Its random id makes the first hash a name that no other log has.
    op.execute("""
        INSERT INTO audit_logs (user_id, table_name, operation) VALUES (NULL, 'audit_logs', 'BEGIN')
    """)


def downgrade() -> None:
    op.execute("DROP TABLE audit_logs")
    op.execute("DROP FUNCTION refuse_statement")
    op.execute("DROP FUNCTION audit_row")
    op.execute("DROP FUNCTION lock_audit_chain")
    op.execute("DROP FUNCTION link_audit_log")
