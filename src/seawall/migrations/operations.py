"""What every migration of a tenant table or a series does in the same way."""

from alembic import op

from seawall.db.engine import APP_ROLE, OWNER_ROLE, WORKER_ROLE
from seawall.db.series import Series


def run_script(sql: str) -> None:
    """Run several statements of a file as they stand, in the migration's transaction."""
    driver = op.get_bind().connection.dbapi_connection
    assert driver is not None  # noqa: S101 - the migration runs on it
    driver.run_async(lambda connection: connection.execute(sql))


def grant(table: str, *privileges: str) -> None:
    """Let the application do no more than this with a table."""
    op.execute(f"GRANT {', '.join(privileges)} ON {table} TO {APP_ROLE}")


def secure_rows(table: str, column: str = "user_id") -> None:
    """Do what `restrict_rows` does, for every role: as migrations before 0006 did."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    bound = f"{column} = (SELECT current_setting('app.user_id')::uuid)"
    op.execute(f"CREATE POLICY tenant ON {table} USING ({bound}) WITH CHECK ({bound})")


def restrict_rows(table: str, column: str = "user_id") -> None:
    """Show and take only the rows of the user that the transaction is bound to.

    The policy is the application's, and so the worker's; the owner sees no row but by a policy of
    its own (`open_to_owner`). Unbound, `current_setting` raises: it fails closed.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    bound = f"{column} = (SELECT current_setting('app.user_id')::uuid)"
    op.execute(
        f"CREATE POLICY tenant ON {table} TO {APP_ROLE} USING ({bound}) WITH CHECK ({bound})"
    )


def open_to_owner(table: str, command: str = "SELECT", rows: str = "true") -> None:
    """Let functions and maintenance that run as the owner reach rows of every user."""
    clause = "WITH CHECK" if command == "INSERT" else "USING"
    op.execute(
        f"CREATE POLICY owner_{command.lower()} ON {table} FOR {command} TO {OWNER_ROLE}"
        f" {clause} ({rows})"
    )


def open_to_doors(table: str, command: str = "SELECT") -> None:
    """Let functions that run as the owner reach rows of every user, when a worker calls them.

    The role of the connection decides, which a function that runs as another cannot change. The
    name sorts before `owner_…`: it is asked first, once a statement and not for each row.
    """
    clause = "WITH CHECK" if command == "INSERT" else "USING"
    op.execute(
        f"CREATE POLICY door_{command.lower()} ON {table} FOR {command} TO {OWNER_ROLE}"
        f" {clause} ((SELECT current_setting('role')) = '{WORKER_ROLE}')"
    )


def touch_on_update(table: str) -> None:
    """Keep `updated_at`: every update sets it to the transaction's time."""
    op.execute(
        f"CREATE TRIGGER update_{table}_updated_at BEFORE UPDATE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()"
    )


def audit_rows(
    table: str, *, redacted: tuple[str, ...] = (), derived: tuple[str, ...] = ()
) -> None:
    """Log every change of a table; see `db.base.Audit` for the columns."""
    op.execute(
        f"CREATE TRIGGER audit_{table} AFTER INSERT OR UPDATE OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION audit_row('{','.join(redacted)}', '{','.join(derived)}')"
    )
    op.execute(
        f"CREATE TRIGGER lock_{table} BEFORE INSERT OR UPDATE OR DELETE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION lock_audit_chain()"
    )
    # It would empty the table without a word in the log, and past row security.
    op.execute(
        f"CREATE TRIGGER keep_{table} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT"
        " EXECUTE FUNCTION refuse_statement('DELETE is logged, row by row')"
    )


def unaudit_rows(table: str) -> None:
    """Undo `audit_rows` on a table that stays."""
    op.execute(f"DROP TRIGGER audit_{table} ON {table}")
    op.execute(f"DROP TRIGGER lock_{table} ON {table}")
    op.execute(f"DROP TRIGGER keep_{table} ON {table}")


def create_series(series: Series) -> None:
    """Cut a table into chunks; it has to be declared PARTITION BY RANGE (time) already."""
    tenant = "true" if series.tenant else "false"
    op.execute(f"SELECT create_series('{series.table}', '{series.chunk}', {tenant})")


def drop_series(series: Series) -> None:
    """Drop a series with all its chunks."""
    op.execute(f"DROP TABLE {series.table}")
    op.execute(f"DELETE FROM series WHERE table_name = '{series.table}'")  # noqa: S608 - declared
