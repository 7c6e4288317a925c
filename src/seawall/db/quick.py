"""Short transactions on the driver itself, each bound to one user.

A session costs more than a millisecond of processor time a request, several times what the
database takes to find a row. What is asked most often is asked here; all else through
`db.session.transaction`.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import greenlet_spawn

from seawall.db.engine import TenantConnection
from seawall.db.faults import translated


def reading(engine: AsyncEngine, user_id: UUID) -> AbstractAsyncContextManager[TenantConnection]:
    """Open one transaction as one user that only reads.

    Raises:
        SeawallError: the database's own errors, each as the family it belongs to.
    """
    return _transaction(engine, user_id, "BEGIN READ ONLY;")


def writing(engine: AsyncEngine, user_id: UUID) -> AbstractAsyncContextManager[TenantConnection]:
    """Open one transaction as one user; commit at the end, or undo everything on an error.

    Raises:
        SeawallError: the database's own errors, each as the family it belongs to.
    """
    return _transaction(engine, user_id, "BEGIN;")


async def restart(connection: TenantConnection, user_id: UUID) -> None:
    """Undo what a transaction has done, and begin another in its place."""
    await connection.execute("ROLLBACK;")
    connection.bound_user = user_id
    await connection.execute("BEGIN;")


@asynccontextmanager
async def _transaction(
    engine: AsyncEngine, user_id: UUID, begin: str
) -> AsyncIterator[TenantConnection]:
    with translated():
        async with _connection(engine) as connection:
            connection.bound_user = user_id
            await connection.execute(begin)
            try:
                yield connection
            except Exception:
                await connection.execute("ROLLBACK;")
                raise
            await connection.execute("COMMIT;")


@asynccontextmanager
async def _connection(engine: AsyncEngine) -> AsyncIterator[TenantConnection]:
    pooled = await engine.raw_connection()
    connection = pooled.driver_connection
    assert isinstance(connection, TenantConnection)  # noqa: S101 - what `create_engine` makes
    is_over = False
    try:
        try:
            yield connection
        except Exception:
            is_over = not connection.is_closed() and not connection.is_in_transaction()
            raise
        is_over = True
    finally:
        # One that was left in the midst of something is not for the next.
        await greenlet_spawn(pooled.close if is_over else pooled.invalidate)


class Statement:
    """A statement that is written once, with `bindparam`s, and asked by their names."""

    def __init__(self, query: ClauseElement) -> None:
        self._query = query

    @cached_property
    def _written(self) -> tuple[str, list[str]]:
        # Not when it is made: the tables that it names may not be known whole by then.
        compiled = self._query.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what a statement is compiled by
        return str(compiled), list(compiled.positiontup or ())

    @cached_property
    def _bound(self) -> tuple[str, list[str]]:
        # The binding lasts as long as the statement, which is a transaction by itself. What is read
        # depends on it, so it stands first: a plan that read before it was bound would be refused
        # by the policies, which do not know an unbound user.
        text, names = self._written
        id_ = f"${len(names) + 1}"
        bound = f"""
            SELECT found.*
            FROM (SELECT set_config('app.user_id', {id_}, true) AS id OFFSET 0) AS who
            CROSS JOIN LATERAL (
                SELECT * FROM ({text}) AS asked WHERE who.id IS NOT NULL OFFSET 0
            ) AS found
        """  # noqa: S608 - of a statement of ours
        return bound, names

    async def alone(self, engine: AsyncEngine, user_id: UUID, **values: Any) -> list[Record]:
        """Return the rows that a user sees, in one round trip: a transaction of this read alone.

        Raises:
            SeawallError: the database's own errors, each as the family it belongs to.
        """
        text, names = self._bound
        with translated():
            async with _connection(engine) as connection:
                found: list[Record] = await connection.fetch(
                    text, *(values[name] for name in names), str(user_id)
                )
                return found

    async def rows(self, connection: TenantConnection, **values: Any) -> list[Record]:
        """Return the rows, by the names of their columns, as the driver reads them."""
        text, names = self._written
        found: list[Record] = await connection.fetch(text, *(values[name] for name in names))
        return found

    async def row(self, connection: TenantConnection, **values: Any) -> Record | None:
        """Return the first row; None when there is none."""
        text, names = self._written
        found: Record | None = await connection.fetchrow(text, *(values[name] for name in names))
        return found
