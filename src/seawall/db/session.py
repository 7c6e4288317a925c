"""The unit of work: one transaction, bound to one user."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.engine import TenantConnection
from seawall.db.faults import translated


@asynccontextmanager
async def transaction(engine: AsyncEngine, user_id: UUID) -> AsyncIterator[AsyncSession]:
    """Open one transaction as one user; commit at the end, or undo everything on an error.

    Raises:
        SeawallError: the database's own errors, each as the family it belongs to.
    """
    with translated():
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            connection = await _driver(session)
            connection.bound_user = user_id
            try:
                yield session
                # What is only added yet may be the first that is asked, and has to be bound too.
                await session.flush()
            finally:
                # Where nothing was asked, nothing has begun: the next user of the connection is
                # not to begin as this one.
                connection.bound_user = None


@asynccontextmanager
async def unbound_transaction(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Open one transaction as nobody: no user's rows are seen in it, but through doors.

    Raises:
        SeawallError: the database's own errors, each as the family it belongs to.
    """
    with translated():
        async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
            yield session


async def raw_connection(session: AsyncSession) -> TenantConnection:
    """Return the asyncpg connection under a session, in the session's transaction."""
    driver = await _driver(session)
    if not driver.is_in_transaction():
        # SQLAlchemy begins with its own first statement; what runs before it would stand alone.
        await session.execute(text("SELECT"))
    return driver


async def _driver(session: AsyncSession) -> TenantConnection:
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, TenantConnection)  # noqa: S101 - what `create_engine` makes
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
