"""Connections: an asyncpg engine that acts as the application's role, never as the owner."""

from typing import Any

import orjson
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from seawall.core.errors import InvalidError

APP_ROLE = "seawall_app"
OWNER_ROLE = "seawall_owner"
MINIMUM_VERSION = 15


def parse_url(url: str) -> URL:
    """Read a postgresql:// address and name asyncpg as its driver.

    Raises:
        InvalidError: it is not an address of a PostgreSQL database.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The address may hold a password, so neither it nor what was said of it is repeated.
        raise InvalidError(
            "SEAWALL_DATABASE__URL is not a database address.",
            hint="Write it like postgresql://user:password@host:5432/seawall.",
        ) from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise InvalidError(
            f"SEAWALL_DATABASE__URL names {parsed.get_backend_name()}; Seawall needs PostgreSQL."
        )
    return parsed.set(drivername="postgresql+asyncpg")


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


def create_engine(url: str, *, role: str | None = APP_ROLE, pooled: bool = True) -> AsyncEngine:
    """Open an engine whose every connection takes the given role."""
    settings = {"application_name": "seawall", "timezone": "UTC", "jit": "off"}
    if role is not None:
        settings["role"] = role
    options: dict[str, Any] = {} if pooled else {"poolclass": NullPool}
    return create_async_engine(
        parse_url(url),
        connect_args={"server_settings": settings, "timeout": 10},
        json_serializer=_to_json,
        json_deserializer=orjson.loads,
        **options,
    )
