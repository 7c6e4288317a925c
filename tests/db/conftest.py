"""A real cache server, and caches on it and in the process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.settings import CacheSettings, Settings
from seawall.db.cache import Cache
from seawall.db.cache.connect import connect
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner

Opener = Callable[..., Awaitable[Cache]]


@pytest.fixture
def server_settings(valkey: Any) -> Settings:
    """The settings of a cache on a server."""
    return Settings(cache=CacheSettings(url=SecretStr(f"unix://{valkey.unix_socket_path}")))


@pytest.fixture(params=["mem", "valkey"])
def cache_settings(request: pytest.FixtureRequest) -> Settings:
    """The settings of a cache in the process, then of one on a server."""
    if request.param == "mem":
        return Settings()
    found: Settings = request.getfixturevalue("server_settings")
    return found


@pytest.fixture
async def open_one() -> AsyncIterator[Opener]:
    """Opens caches, each under names of its own unless they are given."""
    opened = []

    async def start(settings: Settings, namespace: str | None = None, **options: Any) -> Cache:
        made = Cache(await connect(settings), namespace or f"test:{uuid4().hex}", **options)
        opened.append(made)
        return made

    yield start
    for each in opened:
        await each.close()


@pytest.fixture
async def cache(open_one: Opener, cache_settings: Settings) -> Cache:
    """A cache that trusts its entries, as one does that is followed."""
    made = await open_one(cache_settings)
    await made.renew()
    return made


CACHED_ROWS = """
    INSERT INTO strategies (id, name, type, timeframe, is_active)
        VALUES ('00000000-0000-0000-0000-000000000005', 'trend', 'trend', 60, true);
    INSERT INTO risk_limits (max_daily_loss) VALUES (1);
    INSERT INTO user_sessions (token_hash, refresh_token_hash, expires_at, refresh_expires_at)
        VALUES (sha256('access'), sha256('refresh'), now() + interval '1 day',
            now() + interval '2 days')
"""


@pytest.fixture
def make_rows() -> Callable[[AsyncEngine], Awaitable[None]]:
    """Makes a row of each kind that is cached, the owner's."""

    async def make(engine: AsyncEngine) -> None:
        async with transaction(engine, OWNER_ID) as session:
            await ensure_owner(session)
            for statement in CACHED_ROWS.split(";"):
                await session.execute(text(statement))

    return make
