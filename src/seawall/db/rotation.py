"""What a change of the encryption key asks of the database, on tables that are marked as sealed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    Select,
    Table,
    bindparam,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from seawall.core.crypto import KEY_ID_AT, Place
from seawall.core.errors import ConflictError
from seawall.core.keys import ID_BYTES
from seawall.db.base import Base
from seawall.db.faults import translated
from seawall.db.tables import EncryptionKey

BATCH = 200
"""Rows in one transaction."""
_LOCK = 0x5EA_0A12
_WAIT_BRIEFLY = text("SET LOCAL lock_timeout = '100ms'")
_BIND = text("SELECT set_config('app.user_id', :user_id, true)")


def sealed_tables() -> list[Table]:
    """Return the tables that are known and have sealed columns."""
    return [table for table in Base.metadata.sorted_tables if sealed_columns(table)]


def sealed_columns(table: Table) -> list[Column[Any]]:
    """Return the columns of a table that hold sealed secrets."""
    return [column for column in table.columns if column.info.get("sealed")]


def tenant_column(table: Table) -> Column[Any]:
    """Return the column that says whose row it is."""
    return table.c.id if table.name == "users" else table.c.user_id


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A row with what is sealed in it under other keys than the wanted one, by column."""

    table: Table
    row_id: UUID
    tenant: UUID
    values: dict[str, bytes] = field(repr=False)

    def place(self, column: str) -> Place:
        """Return the place of one of its values."""
        return Place(self.table.name, column, self.tenant, self.row_id)


@asynccontextmanager
async def exclusive(engine: AsyncEngine) -> AsyncIterator[None]:
    """Let one rotation at a time work on a database; a second is refused.

    Raises:
        ConflictError: another is under way.
    """
    with translated():
        async with engine.connect() as connection:
            lock = text("SELECT pg_try_advisory_lock(:key)")
            if not await connection.scalar(lock, {"key": _LOCK}):
                raise ConflictError(
                    "Another rotation of the keys is under way in this database.",
                    hint="Let it end, then see `seawall keys status`.",
                )
            # The lock is the connection's: nothing needs a transaction to stay open for it.
            await connection.commit()
            try:
                yield
            finally:
                await asyncio.shield(_unlock(connection))


async def _unlock(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
    await connection.commit()


async def wait_briefly(session: AsyncSession) -> None:
    """Have this transaction give up, before anybody else has to, when others hold what it needs.

    Who waits for a lock while holding others can be waited for in turn. PostgreSQL ends such a
    circle after a second by undoing one transaction, which must not be one of the application's.
    """
    await session.execute(_WAIT_BRIEFLY)


async def bind(session: AsyncSession, tenant: UUID) -> None:
    """Bind the rest of a transaction to another user."""
    await session.execute(_BIND, {"user_id": str(tenant)})


async def list_tenants(session: AsyncSession) -> Sequence[UUID]:
    """Return every user, deleted ones too; a worker's session alone may ask."""
    return (await session.scalars(select(func.list_tenants()))).all()


async def list_keys(session: AsyncSession) -> Sequence[EncryptionKey]:
    """Return the keys that this database was ever sealed with, the newest first."""
    newest_first = select(EncryptionKey).order_by(EncryptionKey.created_at.desc(), EncryptionKey.id)
    return (await session.scalars(newest_first)).all()


async def rows_to_wrap(
    session: AsyncSession, table: Table, key_id: str, after: UUID
) -> list[SealedRow]:
    """Return the next rows, in the order of their ids, that have anything under another key."""
    columns = sealed_columns(table)
    wanted = bytes.fromhex(key_id)
    found = await session.execute(_next_outdated(table, BATCH), {"after": after, "wanted": wanted})
    rows = []
    for row in found.mappings():
        held = {column.name: row[column] for column in columns if row[column] is not None}
        values = {
            name: value
            for name, value in held.items()
            if value[KEY_ID_AT : KEY_ID_AT + ID_BYTES] != wanted
        }
        rows.append(SealedRow(table, row["id"], row["tenant"], values))
    return rows


async def has_rows_to_wrap(session: AsyncSession, table: Table, key_id: str) -> bool:
    """Tell whether a row of the user has anything under another key."""
    return bool(await session.scalar(_any_outdated(table), {"wanted": bytes.fromhex(key_id)}))


# Every user is asked for each table twice: to put a statement together takes longer than to run it.
@cache
def _next_outdated(table: Table, limit: int) -> Select[Any]:
    columns = sealed_columns(table)
    return (
        select(table.c.id, tenant_column(table).label("tenant"), *columns)
        .where(table.c.id > bindparam("after"), _under_another(columns))
        .order_by(table.c.id)
        .limit(limit)
    )


@cache
def _any_outdated(table: Table) -> Select[Any]:
    return select(select(table.c.id).where(_under_another(sealed_columns(table))).exists())


def _under_another(columns: Iterable[Column[Any]]) -> ColumnElement[bool]:
    wanted = bindparam("wanted", type_=LargeBinary)
    return or_(*(func.substr(column, KEY_ID_AT + 1, ID_BYTES) != wanted for column in columns))


async def replace(session: AsyncSession, row: SealedRow, values: dict[str, bytes]) -> bool:
    """Put sealed values in place of those that were found; false when one has changed since."""
    table = row.table
    unchanged = (table.c[name] == row.values[name] for name in values)
    changed = await session.execute(
        update(table)
        .where(table.c.id == row.row_id, *unchanged)
        .values(values)
        .returning(table.c.id)
    )
    return changed.one_or_none() is not None


async def retire(session: AsyncSession, key_ids: Sequence[str]) -> None:
    """Retire keys; waits until no other transaction seals with them, and holds off new ones."""
    await session.execute(
        update(EncryptionKey)
        .where(EncryptionKey.id.in_(key_ids), EncryptionKey.retired_at.is_(None))
        # A clock that was set back must not keep a key in use for ever.
        .values(retired_at=func.greatest(func.now(), EncryptionKey.created_at))
    )
