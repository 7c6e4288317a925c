"""Connections: an asyncpg engine that acts as the application's role, never as the owner."""

import math
from collections.abc import Iterable
from time import perf_counter
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
from asyncpg import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from seawall.core.errors import InvalidError
from seawall.db import slow
from seawall.db.pool import FairPool

APP_ROLE = "seawall_app"
OWNER_ROLE = "seawall_owner"
WORKER_ROLE = "seawall_worker"
MINIMUM_VERSION = 15


def parse_url(url: str, setting: str = "SEAWALL_DATABASE__URL") -> URL:
    """Read a postgresql:// address and name asyncpg as its driver; `setting` is where it stands.

    Raises:
        InvalidError: it is not an address of a PostgreSQL database.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The address may hold a password, so neither it nor what was said of it is repeated.
        raise InvalidError(
            f"{setting} is not a database address.",
            hint="Write it like postgresql://user:password@host:5432/seawall.",
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise InvalidError(
            f"{setting} names {parsed.get_backend_name()}; Seawall needs PostgreSQL."
        )
    query = dict(parsed.query)
    if "sslmode" in query:
        # libpq's name for what asyncpg calls ssl.
        query["ssl"] = query.pop("sslmode")
    return parsed.set(drivername="postgresql+asyncpg", query=query)


def libpq_url(url: str) -> str:
    """Write an address as psql and other programs read it."""
    parsed = parse_url(url)
    query = dict(parsed.query)
    if "ssl" in query:
        query["sslmode"] = query.pop("ssl")
    plain = parsed.set(drivername="postgresql", query=query)
    return plain.render_as_string(hide_password=False)


_ENDS = ("COMMIT;", "ROLLBACK;")
_LEAVE_NOTHING = " CLOSE ALL; DISCARD TEMP; RESET ALL"
_FIXED = 10_000
"""Types of lower numbers are PostgreSQL's own, and have them on every server."""
_told: dict[frozenset[int], Any] = {}
_NOT_ASKED = SimpleNamespace(name="not asked")
"""In place of the statement that the server was asked by: with a name it replaced no other."""


class TenantConnection(Connection):
    """A connection whose next transaction begins bound to a user, in one round trip.

    The transaction's end takes with it what could outlive it on the connection, which the next
    user of the pool gets: cursors, temporary tables and settings.
    """

    bound_user: UUID | None = None
    slow_seconds: float | None = None
    """From when on a statement is logged as slow."""

    async def execute(
        self,
        query: str,
        *args: object,
        timeout: float | None = None,  # noqa: ASYNC109 - asyncpg's own
    ) -> str:
        """Run a statement; BEGIN takes the binding with it, for this one transaction."""
        if query in _ENDS:
            query += _LEAVE_NOTHING
        if self.bound_user is not None and query.startswith("BEGIN"):
            # A UUID has no character that could end the literal; BEGIN takes no parameters.
            query = f"{query} SET LOCAL app.user_id = '{self.bound_user}'"
            self.bound_user = None
        return await super().execute(query, *args, timeout=timeout)

    async def fetch(self, query: str, *args: object, **options: Any) -> Any:
        """Return the rows of a statement, which is logged when it is slow."""
        started = perf_counter()
        try:
            return await super().fetch(query, *args, **options)
        finally:
            self._note(query, perf_counter() - started)

    async def fetchrow(self, query: str, *args: object, **options: Any) -> Any:
        """Return the first row of a statement, which is logged when it is slow."""
        started = perf_counter()
        try:
            return await super().fetchrow(query, *args, **options)
        finally:
            self._note(query, perf_counter() - started)

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> Any:  # noqa: ASYNC109 - asyncpg's own
        """Return what types are, such as arrays of numbers: once in a process, not a connection.

        The server plans that question for longer than most that it is asked for.
        """
        wanted = frozenset(typeoids)
        if wanted in _told:
            return _told[wanted], _NOT_ASKED
        found, statement = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]
        if max(wanted) < _FIXED and all(each["kind"] == b"b" for each in found):
            _told[wanted] = found
        return found, statement

    def _note(self, query: str, seconds: float) -> None:
        if self.slow_seconds is not None and seconds >= self.slow_seconds:
            slow.note(query, seconds)


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


CONNECTIONS = 24
"""How many one process has at most: enough to do for two cores while others wait for the disk."""
POOL_SECONDS = 10
"""For how long somebody waits for one of them to become free."""


def create_engine(
    url: str,
    *,
    role: str | None = APP_ROLE,
    pooled: bool = True,
    connections: int = CONNECTIONS,
    slow_ms: int = 0,
    statement_seconds: float | None = None,
) -> AsyncEngine:
    """Open an engine whose every connection takes the given role.

    A statement that takes longer than `statement_seconds` is ended by the server.
    """
    settings = {"application_name": "seawall", "timezone": "UTC", "jit": "off"}
    if role is not None:
        settings["role"] = role
    if statement_seconds is not None:
        # Of the connection, which RESET ALL leaves: said with each transaction it would cost more.
        settings["statement_timeout"] = str(math.ceil(statement_seconds * 1_000))
    # Without overflow: those connections would be closed as soon as they are free, and opened
    # again a moment later, which costs the server a process and the caller more than the query.
    kept = {
        "poolclass": FairPool,
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": POOL_SECONDS,
    }
    options: dict[str, Any] = kept if pooled else {"poolclass": NullPool}
    engine = create_async_engine(
        parse_url(url),
        connect_args={
            "server_settings": settings,
            "timeout": 10,
            "connection_class": TenantConnection,
        },
        json_serializer=_to_json,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # They may be secret, and errors are printed.
        **options,
    )
    slow.note_slow(engine, slow_ms)
    return engine
