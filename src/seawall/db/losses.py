"""What a step back of the database's version would lose: tried in the transaction, and undone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from seawall.db.series import SERIES

# ruff: noqa: S608 - names come from the catalogue

_MACHINERY = {
    "alembic_version",
    "series",
    "rollups",
    "series_changes",
    # Made again from the rows.
    *(rollup.name for series in SERIES for rollup in series.rollups),
}
_KEPT_BY_TRIGGERS = {"updated_at", "changed_in"}
_MADE_BY_MIGRATIONS = {"audit_logs": "operation = 'BEGIN'"}
"""Rows that no one would miss."""
_COLUMNS = text("""
    SELECT relname, attname, pg_get_expr(adbin, adrelid), relforcerowsecurity
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY relname, attnum
""")


@dataclass(frozen=True, slots=True)
class _Column:
    table: str
    name: str
    default: str | None
    is_forced: bool


def find_losses(connection: Connection, step: Callable[[], None]) -> list[str]:
    """Return the tables and columns with data in them that a step would take away.

    The connection acts as the tables' owner, in a transaction; the step is undone.
    """
    before = _columns(connection)
    trial = connection.begin_nested()
    step()
    left = {(each.table, each.name) for each in _columns(connection)}
    trial.rollback()
    lost: dict[str, list[_Column]] = {}
    for each in before:
        is_missed = each.table not in _MACHINERY and each.name not in _KEPT_BY_TRIGGERS
        if is_missed and (each.table, each.name) not in left:
            lost.setdefault(each.table, []).append(each)
    remaining = {table for table, _ in left}
    return [
        loss
        for table, columns in lost.items()
        for loss in _held(connection, columns, whole=table not in remaining)
    ]


def _columns(connection: Connection) -> list[_Column]:
    return [_Column(*row) for row in connection.execute(_COLUMNS)]


def _held(connection: Connection, columns: list[_Column], *, whole: bool) -> Iterator[str]:
    table = columns[0].table
    if columns[0].is_forced:
        # The owner sees every row only while the policies are not forced on it.
        connection.execute(text(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"))
    if whole:
        query = (
            f"SELECT count(*) FROM {table} WHERE NOT ({_MADE_BY_MIGRATIONS.get(table, 'false')})"
        )
        if rows := connection.scalar(text(query)):
            yield f"{table} ({rows:,} rows)"
    else:
        for each in columns:
            query = f"SELECT count(*) FROM {table} WHERE {each.name} IS DISTINCT FROM"
            if rows := connection.scalar(text(f"{query} ({each.default or 'NULL'})")):
                yield f"{table}.{each.name} ({rows:,} rows)"
    if columns[0].is_forced:
        connection.execute(text(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"))
