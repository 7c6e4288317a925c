"""The function that logs changes of rows, which says nothing of what goes with a purged user."""

_PURGED = """
    -- What goes with a purged user is to be forgotten: an entry of it would keep it.
    IF TG_OP <> 'INSERT' AND current_setting('seawall.purging', true) = pg_current_xact_id()::text
            AND NOT EXISTS (
                SELECT FROM users WHERE id = (to_jsonb(OLD)
                    ->> CASE TG_TABLE_NAME WHEN 'users' THEN 'id' ELSE 'user_id' END)::uuid
            ) THEN
        RETURN NULL;
    END IF;"""
_AUDIT_ROW = """
CREATE OR REPLACE FUNCTION audit_row() RETURNS trigger
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
<purged>
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
AUDIT_ROW = _AUDIT_ROW.replace("<purged>", _PURGED.lstrip("\n"))
AUDIT_ROW_BEFORE = _AUDIT_ROW.replace("<purged>\n", "")
