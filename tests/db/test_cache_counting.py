"""Counting requests, in the process and on a real Valkey alike."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from redis import Redis

from seawall.core.settings import Settings
from seawall.core.time import now
from seawall.db.cache import Cache

Opener = Callable[..., Awaitable[Cache]]
USER, OTHER = UUID(int=1), UUID(int=2)


async def test_all_who_ask_at_once_are_counted(cache: Cache) -> None:
    found = await asyncio.gather(*(cache.hit(USER, "GET /v1/risk", 3600) for _ in range(300)))
    assert sorted(usage.count for usage in found) == list(range(1, 301))
    assert len({usage.resets_at for usage in found}) == 1


async def test_processes_count_together(open_one: Opener, server_settings: Settings) -> None:
    caches = [await open_one(server_settings, "test:shared") for _ in range(4)]
    hits = (cache.hit(USER, "x", 3600) for cache in caches for _ in range(100))
    assert sorted(usage.count for usage in await asyncio.gather(*hits)) == list(range(1, 401))


async def test_users_and_endpoints_are_counted_apart(cache: Cache) -> None:
    for _ in range(3):
        await cache.hit(USER, "a", 3600)
    assert (await cache.hit(OTHER, "a", 3600)).count == 1
    assert (await cache.hit(USER, "b", 3600)).count == 1
    assert (await cache.hit("203.0.113.9", "a", 3600)).count == 1
    assert (await cache.hit(USER, "a", 3600)).count == 4


async def test_the_count_begins_anew_when_it_says(
    open_one: Opener, cache_settings: Settings
) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 59, 999_999, tzinfo=UTC)
    cache = await open_one(cache_settings, clock=lambda: moment)
    next_minute = datetime(2026, 3, 4, 5, 7, tzinfo=UTC)
    for count in (1, 2):
        usage = await cache.hit(USER, "x", 60)
        assert (usage.count, usage.resets_at) == (count, next_minute)
    moment = next_minute
    usage = await cache.hit(USER, "x", 60)
    assert (usage.count, usage.resets_at) == (1, next_minute + timedelta(minutes=1))
    usage = await cache.hit(USER, "x", 86_400)
    assert usage.resets_at == datetime(2026, 3, 5, tzinfo=UTC)


async def test_a_count_does_not_outlive_its_window(
    open_one: Opener, server_settings: Settings, valkey: Any
) -> None:
    cache = await open_one(server_settings)
    usage = await cache.hit(USER, "x", 60)
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
        (name,) = client.scan_iter(f"{cache._namespace}:*")
        left = client.pttl(name) / 1000
    assert 0 < left <= (usage.resets_at - now()).total_seconds() + 1.1
