"""What every migration of a tenant table or a series does in the same way."""

from alembic import op

from seawall.db.engine import APP_ROLE
from seawall.db.series import Series


def grant(table: str, *privileges: str) -> None:
    """Let the application do no more than this with a table."""
    op.execute(f"GRANT {', '.join(privileges)} ON {table} TO {APP_ROLE}")


def secure_rows(table: str, column: str = "user_id") -> None:
    """Show and take only the rows of the user that the transaction is bound to.

    Without a bound user `current_setting` raises, so an unbound session fails closed.
    """
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    bound = f"{column} = (SELECT current_setting('app.user_id')::uuid)"
    op.execute(f"CREATE POLICY tenant ON {table} USING ({bound}) WITH CHECK ({bound})")


def create_series(series: Series) -> None:
    """Cut a table into chunks; it has to be declared PARTITION BY RANGE (time) already."""
    tenant = "true" if series.tenant else "false"
    op.execute(f"SELECT create_series('{series.table}', '{series.chunk}', {tenant})")


def drop_series(series: Series) -> None:
    """Drop a series with all its chunks."""
    op.execute(f"DROP TABLE {series.table}")
    op.execute(f"DELETE FROM series WHERE table_name = '{series.table}'")  # noqa: S608 - declared
