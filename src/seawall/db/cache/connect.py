"""Connecting to the cache that the settings name, or making one in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cashews.backends.interface import Backend
from cashews.backends.memory import Memory
from cashews.backends.redis import Redis as RedisBackend
from cashews.serialize import Serializer
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import UnavailableError
from seawall.core.settings import Settings
from seawall.db.cache.client import AT_ONCE, Cache
from seawall.db.faults import translated

TIMEOUT = 3.0
PATIENCE = 1.0
"""Seconds to wait for a connection, and for an answer: by then the database had given it."""
ENTRIES = 100_000
"""Kept in the process at most; those that were not used for longest go first."""


class _Verbatim(Serializer):
    """Passes bytes as they are, instead of unpickling them as cashews does.

    Whoever can write to the server could otherwise make Seawall run anything.
    """

    async def encode(
        self,
        backend: Backend,  # noqa: ARG002 - cashews names what it gives
        key: str,  # noqa: ARG002
        value: Any,
        expire: float | None,  # noqa: ARG002
    ) -> Any:
        return value

    async def decode(
        self,
        backend: Backend,  # noqa: ARG002
        key: str,  # noqa: ARG002
        value: bytes,
        default: Any,  # noqa: ARG002
    ) -> Any:
        return value


class _Server(RedisBackend):
    """A server, left as redis-py wants it: cashews still calls what is deprecated there."""

    async def close(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def open_cache(settings: Settings, engine: AsyncEngine) -> AsyncIterator[Cache]:
    """Open the cache of a database: on the server that is set, else in this process.

    The server need not be there, now or later.

    Raises:
        UnavailableError: SEAWALL_CACHE__URL is not an address, or the database is away.
    """
    cache = Cache(await connect(settings), await namespace(engine))
    try:
        yield cache
    finally:
        await cache.close()


async def connect(settings: Settings) -> Backend:
    """Make the backend ready; no connection is opened before it is used."""
    backend = _backend(settings)
    await backend.init()  # type: ignore[no-untyped-call] # cashews says nothing of it
    return backend


def _backend(settings: Settings) -> Backend:
    if settings.cache.url is None:
        return Memory(size=ENTRIES, check_interval=0)
    address = settings.cache.url.get_secret_value()
    _client(address)
    return _Server(
        address,
        suppress=False,
        serializer=_Verbatim(),  # type: ignore[no-untyped-call]
        client_name="seawall",
        health_check_interval=0,
        max_connections=AT_ONCE,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
    )


async def namespace(engine: AsyncEngine) -> str:
    """Return what the names of a database's entries begin with, on whatever server they are.

    It is made of what tells this database from every other, so that a cache may be shared: names
    would not do, since most databases are called the same.
    """
    query = text(
        "SELECT system_identifier, oid FROM pg_control_system(), pg_database"
        " WHERE datname = current_database()"
    )
    with translated():
        async with engine.connect() as connection:
            cluster, database = (await connection.execute(query)).one()
    return f"seawall:{cluster}-{database}"


async def ping(url: str) -> str:
    """Return what answers at an address, with its version.

    Raises:
        UnavailableError: nothing does; Seawall works without, on the cache in its process.
    """
    hint = "Start it, or unset SEAWALL_CACHE__URL to use the cache in the process."
    client = _client(url)
    try:
        async with client:
            found = await client.info("server")
    except (RedisError, OSError) as error:
        said = str(error).rstrip(".") or type(error).__name__
        raise UnavailableError(f"The cache does not answer: {said}.", hint=hint) from error
    name = "Valkey" if "valkey_version" in found else "Redis"
    return f"{name} {found.get('valkey_version') or found.get('redis_version')}"


def _client(url: str) -> Redis:
    try:
        client = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # Unconnected, it looks at the options.
    except (ValueError, TypeError):
        # The address may hold a password, so neither it nor what was said of it is repeated.
        raise UnavailableError(
            "SEAWALL_CACHE__URL is not a cache's address.",
            hint="Write it like redis://host:6379/0.",
        ) from None
    return client
