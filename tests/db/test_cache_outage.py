"""A cache that is dead, hangs, was emptied or refuses: reads do without it, and it comes back."""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from redis import Redis

from seawall.core.errors import UnavailableError
from seawall.core.settings import CacheSettings, Settings
from seawall.core.time import now
from seawall.db.cache import Cache, connect, outage
from seawall.db.cache.keys import PRICE, RISK_LIMITS, Slot
from seawall.db.cache.values import CachedPrice, CachedRiskLimits

Opener = Callable[..., Awaitable[Cache]]
USER = UUID(int=1)
BTC = PRICE(exchange="binance", symbol="BTC/USDT")
LIMITS = RISK_LIMITS(user_id=USER)
BOTH: list[Slot[Any]] = [BTC, LIMITS]
PRICE_NOW = CachedPrice(Decimal(1), now())
SECRET = "s3cret"  # noqa: S105 - the tests look for it


async def load() -> tuple[CachedRiskLimits, ...]:
    return (CachedRiskLimits(max_orders_per_hour=7),)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Wait less than usual, and hear what is logged."""
    monkeypatch.setattr(outage, "PAUSE", 0.2)
    monkeypatch.setattr(connect, "PATIENCE", 0.5)
    caplog.set_level(logging.INFO, "seawall")


@pytest.fixture
async def cache(open_one: Opener, valkey: Any) -> Cache:
    """A cache on the server, with a price."""
    made = await open_one(at(f"unix://{valkey.unix_socket_path}"))
    await made.renew()
    await made.set(BTC, PRICE_NOW)
    return made


def at(url: str) -> Settings:
    return Settings(cache=CacheSettings(url=SecretStr(url)))


@contextmanager
def hanging(valkey: Any) -> Iterator[None]:
    """Let the server take connections, but not answer."""
    pid = valkey._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def assert_does_without(cache: Cache) -> None:
    assert await cache.get(BTC) is None
    assert await cache.get_many(BOTH) == [None, None]
    await cache.set(BTC, PRICE_NOW)
    assert await cache.fetch(LIMITS, load) == await load()
    await cache.drop(BTC)
    await cache.renew()
    assert not cache.trusted
    with pytest.raises(UnavailableError, match="The cache d") as caught:
        await cache.hit(USER, "x")
    assert "SEAWALL_CACHE__URL" in caught.value.hint


async def assert_comes_back(cache: Cache) -> None:
    async with asyncio.timeout(10):
        while (await _try(cache)) is None:  # noqa: ASYNC110 - nobody tells when it is back
            await asyncio.sleep(0.05)
    await cache.renew()
    assert await cache.fetch(LIMITS, load) == await load()
    assert await cache.get(LIMITS) == await load()


async def many(cache: Cache, slot: Slot[Any], times: int) -> list[Any]:
    """Read a place as often at the same time."""
    found: list[Any] = await asyncio.gather(*(cache.get(slot) for _ in range(times)))
    return found


async def _try(cache: Cache) -> CachedPrice | None:
    await cache.set(BTC, PRICE_NOW)
    return await cache.get(BTC)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{each.levelname} {each.message}" for each in caplog.records]


async def test_a_dead_server_is_done_without_until_it_is_back(
    cache: Cache, valkey: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await cache.hit(USER, "x", 86_400)).count == 1
    valkey.terminate()
    for _ in range(3):
        await assert_does_without(cache)
        await asyncio.sleep(outage.PAUSE)
    (line,) = said(caplog)
    assert line.startswith("WARNING The cache does not answer, and Seawall does without: ")
    valkey.start()
    await assert_comes_back(cache)
    assert said(caplog)[1:] == ["INFO The cache answers again."]
    assert (await cache.hit(USER, "x", 86_400)).count == 1


async def test_a_server_that_hangs_costs_a_moment_once(
    cache: Cache, valkey: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with hanging(valkey):
        began = time.monotonic()
        assert await many(cache, BTC, 200) == [None] * 200
        assert time.monotonic() - began < 3
        await cache.get(BTC)
        began = time.monotonic()
        await assert_does_without(cache)
        assert time.monotonic() - began < 2
    assert len(said(caplog)) == 1
    await assert_comes_back(cache)


async def test_a_server_that_hangs_forgets_a_connection_rather_than_mix_answers(
    cache: Cache, valkey: Any
) -> None:
    eth = PRICE(exchange="binance", symbol="ETH/USDT")
    await cache.set(eth, CachedPrice(Decimal(2), PRICE_NOW.time))
    with hanging(valkey):
        await many(cache, BTC, 40)
    await asyncio.sleep(outage.PAUSE)
    assert {found.price for found in await many(cache, eth, 40)} == {2}


async def test_a_server_that_was_emptied_is_filled_again(
    cache: Cache, valkey: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await cache.fetch(LIMITS, load)
    await cache.hit(USER, "x")
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
        client.flushall()
        client.script_flush()
    assert await cache.get_many(BOTH) == [None, None]
    assert (await cache.hit(USER, "x")).count == 1
    await assert_comes_back(cache)
    assert said(caplog) == []


async def test_a_server_that_is_full_still_gives_what_it_has(
    cache: Cache, valkey: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
        client.config_set("maxmemory", 1)
        try:
            await cache.set(BTC, CachedPrice(Decimal(2), PRICE_NOW.time))
            with pytest.raises(UnavailableError):
                await cache.hit(USER, "x")
            await asyncio.sleep(outage.PAUSE)
            assert await cache.get(BTC) == PRICE_NOW
            await cache.set(BTC, PRICE_NOW)
        finally:
            client.config_set("maxmemory", 0)
    await asyncio.sleep(outage.PAUSE)
    await assert_comes_back(cache)
    # The same is not told each time that it comes and goes.
    assert [each.partition(" ")[0] for each in said(caplog)].count("WARNING") == 1


@pytest.fixture
async def silent() -> AsyncIterator[int]:
    """The port of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.listen()
        yield server.getsockname()[1]


async def test_what_never_was_a_cache_is_done_without(
    open_one: Opener, silent: int, caplog: pytest.LogCaptureFixture
) -> None:
    cache = await open_one(at(f"redis://:{SECRET}@127.0.0.1:{silent}/0"))
    await assert_does_without(cache)
    assert SECRET not in str(said(caplog))


async def test_a_wrong_password_is_told_without_it(
    open_one: Opener, valkey: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
        client.config_set("requirepass", SECRET)
        try:
            cache = await open_one(at(f"unix://:{SECRET}-not@{valkey.unix_socket_path}"))
            await assert_does_without(cache)
        finally:
            client.config_set("requirepass", "")
    (line,) = said(caplog)
    assert "password" in line
    assert SECRET not in line


async def test_nothing_that_listens_is_done_without(
    open_one: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as probe:  # Bound but not listening: nothing answers there.
        probe.bind(("127.0.0.1", 0))
        cache = await open_one(at(f"redis://:{SECRET}@127.0.0.1:{probe.getsockname()[1]}/0"))
        await assert_does_without(cache)
    assert len(said(caplog)) == 1
    assert SECRET not in str(said(caplog))


async def test_a_bug_in_loading_is_not_taken_for_an_outage(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await cache.fetch(LIMITS, fail)
    assert cache.trusted
    assert said(caplog) == []
