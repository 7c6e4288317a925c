"""The cache: a Redis-compatible server, which may be lost at any time without losing anything."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from seawall.core.errors import UnavailableError

TIMEOUT = 3.0


async def ping(url: str) -> str:
    """Return what answers at an address, with its version.

    Raises:
        UnavailableError: nothing does; Seawall works without, on the cache in its process.
    """
    hint = "Start it, or unset SEAWALL_CACHE__URL to use the cache in the process."
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
    try:
        async with client:
            found = await client.info("server")
    except (RedisError, OSError) as error:
        said = str(error).rstrip(".") or type(error).__name__
        raise UnavailableError(f"The cache does not answer: {said}.", hint=hint) from error
    name = "Valkey" if "valkey_version" in found else "Redis"
    return f"{name} {found.get('valkey_version') or found.get('redis_version')}"
