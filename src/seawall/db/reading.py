"""Short reads on the driver itself, in one transaction that is bound to one user.

A session costs more than a millisecond of processor time a request, several times what the
database takes to find a row. What is asked most often is read here; all else through
`db.session.transaction`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from seawall.db.engine import TenantConnection
from seawall.db.faults import translated


@asynccontextmanager
async def reading(engine: AsyncEngine, user_id: UUID) -> AsyncIterator[TenantConnection]:
    """Open one read-only transaction as one user, on a connection of the engine's pool.

    Raises:
        SeawallError: the database's own errors, each as the family it belongs to.
    """
    with translated():
        pooled = await engine.raw_connection()
        connection = pooled.driver_connection
        assert isinstance(connection, TenantConnection)  # noqa: S101 - what `create_engine` makes
        is_over = False
        try:
            connection.bound_user = user_id
            await connection.execute("BEGIN READ ONLY;")
            try:
                yield connection
            except Exception:
                await connection.execute("ROLLBACK;")
                is_over = True
                raise
            await connection.execute("COMMIT;")
            is_over = True
        finally:
            # One that was left in the midst of something is not for the next.
            await greenlet_spawn(pooled.close if is_over else pooled.invalidate)


class Reading:
    """A query that is written once, with `bindparam`s, and asked by their names."""

    def __init__(self, query: Select[Any]) -> None:
        self._query = query

    @cached_property
    def _written(self) -> tuple[str, list[str]]:
        # Not when it is made: the tables that it names may not be known whole by then.
        compiled = self._query.compile(dialect=dialect())  # type: ignore[no-untyped-call]
        return str(compiled), list(compiled.positiontup or ())

    async def rows(self, connection: TenantConnection, **values: Any) -> list[Record]:
        """Return the rows, by the names of their columns, as the driver reads them."""
        text, names = self._written
        found: list[Record] = await connection.fetch(text, *(values[name] for name in names))
        return found

    async def row(self, connection: TenantConnection, **values: Any) -> Record | None:
        """Return the first row; None when there is none."""
        text, names = self._written
        return await connection.fetchrow(text, *(values[name] for name in names))
