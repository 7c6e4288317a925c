"""The SQL of an export: which tables of users there are, and their rows as CSV."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.cells import MARK, RISKY
from seawall.db.session import raw_connection
from seawall.identity.tables import User

# Asked of the catalogue, so that a new table or column is in the next export. Bytes are hashes or
# sealed; what else the audit log redacts is as secret.
_COLUMNS = text("""
    SELECT relname::text AS table_name, attname::text AS name,
        atttypid = 'timestamptz'::regtype AS is_time,
        (SELECT typcategory = 'S' FROM pg_type WHERE pg_type.oid = atttypid) AS is_text,
        atttypid IN ('bytea'::regtype, 'bytea[]'::regtype) OR EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = pg_class.oid AND tgname = 'audit_' || relname AND attname = ANY (
                string_to_array(split_part(encode(tgargs, 'escape'), '\\000', 1), ','))
        ) AS is_secret,
        EXISTS (
            SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary
                AND attnum = ANY (indkey)
        ) AS is_key
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
        AND relrowsecurity
        AND has_table_privilege(pg_class.oid, 'SELECT') AND EXISTS (
            SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'tenant')
    ORDER BY relname, attnum
""")

_RISKY = "'" + RISKY.replace(MARK, 2 * MARK) + "'"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table of users."""

    table_name: str
    name: str
    is_time: bool
    is_text: bool
    is_secret: bool
    is_key: bool

    @property
    def written(self) -> str:
        """How it is selected: times in UTC, with a Z; text so that it is no formula."""
        quoted = f'"{self.name}"'
        if self.is_text:
            mark = f"CASE WHEN {quoted} ~ {_RISKY} THEN '{MARK}{MARK}' ELSE '' END"
            return f"{mark} || {quoted} AS {quoted}"
        if not self.is_time:
            return quoted
        shape = """'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'"""
        utc = f"to_char({quoted} AT TIME ZONE 'UTC', {shape})"
        return f"CASE WHEN isfinite({quoted}) THEN {utc} ELSE {quoted}::text END AS {quoted}"


async def list_columns(session: AsyncSession) -> list[Column]:
    """Return every column of every table of users, table by table."""
    return [Column(*row) for row in await session.execute(_COLUMNS)]


async def copy_rows(
    session: AsyncSession,
    columns: list[Column],
    take: Callable[[bytes], Coroutine[None, None, None]],
) -> int:
    """Give the bound user's rows of a table as CSV, piece by piece; return how many there are."""
    table = columns[0].table_name
    chosen = ", ".join(each.written for each in columns if not each.is_secret)
    order = ", ".join(f'"{each.name}"' for each in columns if each.is_key)
    connection = await raw_connection(session)
    # Row security shows the bound user's rows alone. The names are the catalogue's.
    done = await connection.copy_from_query(
        f'SELECT {chosen} FROM "{table}" ORDER BY {order}',  # noqa: S608
        output=take,
        format="csv",
        header=True,
    )
    return int(done.rpartition(" ")[2])


async def sealed_names(session: AsyncSession) -> dict[str, bytes]:
    """Return the bound user's own names, as far as there are any, sealed."""
    names = ("first_name", "last_name", "full_name")
    row = (await session.execute(select(*(User.__table__.c[name] for name in names)))).one()
    return {name: value for name, value in zip(names, row, strict=True) if value is not None}
