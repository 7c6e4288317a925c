"""The unit of work: one transaction, bound to one user."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Connection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.faults import translated


@asynccontextmanager
async def transaction(engine: AsyncEngine, user_id: UUID) -> AsyncIterator[AsyncSession]:
    """Open one transaction as one user; commit at the end, or undo everything on an error.

    Raises:
        SeawallError: the database's own errors, each as the family it belongs to.
    """
    with translated():
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            await session.execute(
                text("SELECT set_config('app.user_id', :user_id, true)"), {"user_id": str(user_id)}
            )
            yield session


async def raw_connection(session: AsyncSession) -> Connection:
    """Return the asyncpg connection under a session, for the bulk path."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, Connection)  # noqa: S101 - the engine is always asyncpg's
    return driver


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself; no TimescaleDB is None."""

    version: str
    timescaledb: str | None
    size_bytes: int


async def server_facts(engine: AsyncEngine) -> ServerFacts:
    """Ask a server for its version and the size of the database."""
    with translated():
        async with engine.connect() as connection:
            row = (
                await connection.execute(
                    text(
                        "SELECT current_setting('server_version'),"
                        " (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),"
                        " pg_database_size(current_database())"
                    )
                )
            ).one()
    return ServerFacts(*row)
