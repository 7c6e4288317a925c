"""The statement that a store's function sends, to be measured by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asyncpg import Connection, connect
from asyncpg.connection import LoggedQuery
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.engine import APP_ROLE, libpq_url
from seawall.db.session import raw_connection, transaction

Work = Callable[[AsyncSession], Awaitable[object]]
_QUOTING = "SELECT quote_literal("
"""By which the driver puts arguments into the text of a COPY."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One query with its arguments, and the user to whom its transaction was bound."""

    user: UUID
    query: str
    arguments: tuple[Any, ...]


async def sent_by(engine: AsyncEngine, user: UUID, work: Work) -> Statement:
    """Run work that asks one question, and return how it was asked.

    What travels by COPY is returned as the query that is copied.
    """
    found: list[tuple[str, tuple[Any, ...]]] = []

    def note(*given: Any) -> None:
        found.append((given[2], tuple(given[3])))

    def log(record: LoggedQuery) -> None:
        if not record.query.startswith(_QUOTING):
            found.append((record.query, tuple(record.args or ())))

    async with transaction(engine, user) as session:
        connection = await raw_connection(session)
        # A new connection learns of types the first time.
        await work(session)
        copy = connection.copy_from_query

        def note_copy(query: str, *arguments: Any, **options: Any) -> Awaitable[str]:
            found.append((query, arguments))
            return copy(query, *arguments, **options)

        connection.copy_from_query = note_copy  # type: ignore[assignment,method-assign]
        event.listen(engine.sync_engine, "before_cursor_execute", note)
        connection.add_query_logger(log)
        await work(session)
        # The driver's own log is a moment late.
        await asyncio.sleep(0.01)
        connection.remove_query_logger(log)
        event.remove(engine.sync_engine, "before_cursor_execute", note)
        del connection.copy_from_query  # The class' own is there again.
    ((query, arguments),) = found
    return Statement(user, query, arguments)


async def as_application(url: str, user: UUID) -> Connection:
    """Connect as the application does, bound to a user until the connection is closed."""
    connection = await connect(libpq_url(url))
    await connection.execute(f"SET ROLE {APP_ROLE}; SET jit = off")
    await bind(connection, user)
    return connection


async def bind(connection: Connection, user: UUID) -> None:
    """Bind a connection to another user."""
    await connection.execute("SELECT set_config('app.user_id', $1, false)", str(user))
