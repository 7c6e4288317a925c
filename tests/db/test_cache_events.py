"""What changes in the database leaves the cache, at once or as soon as it can be known."""

import asyncio
import hashlib
import logging
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from functools import partial
from typing import Any, cast
from uuid import UUID, uuid4

import asyncpg
import pytest
from redis import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.settings import Settings
from seawall.core.time import now
from seawall.db.cache import Cache, events, follow, outage
from seawall.db.cache.keys import (
    ACTIVE_STRATEGIES,
    PRICE,
    REFRESH_TOKEN,
    RISK_LIMITS,
    SESSION,
    STRATEGY,
    Slot,
)
from seawall.db.cache.values import (
    CachedPrice,
    CachedRefreshToken,
    CachedRiskLimits,
    CachedSession,
    CachedStrategy,
    StrategyName,
)
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID

MakeRows = Callable[[AsyncEngine], Awaitable[None]]
Opener = Callable[..., Awaitable[Cache]]
STRATEGY_ID, OTHER = UUID(int=5), UUID(int=6)
TOKEN, REFRESH = (hashlib.sha256(each).digest() for each in (b"access", b"refresh"))
BTC = PRICE(exchange="binance", symbol="BTC/USDT")

STRATEGIES = {"strategies:active", f"strategy:{OWNER_ID}:{STRATEGY_ID}"}
LIMITS = {f"risk_limits:{OWNER_ID}"}
TOKENS = {SESSION(token_hash=TOKEN).name, REFRESH_TOKEN(token_hash=REFRESH).name}
CHANGES = [
    ("UPDATE strategies SET is_active = false", STRATEGIES),
    ("UPDATE strategies SET config = '{\"n\": 2}'", STRATEGIES),
    ("DELETE FROM strategies", STRATEGIES),
    ("UPDATE risk_limits SET max_daily_loss = 2", LIMITS),
    ("DELETE FROM risk_limits", LIMITS),
    ("UPDATE user_sessions SET revoked_at = now()", TOKENS),
    ("UPDATE user_sessions SET rotated_at = now()", TOKENS),
    ("UPDATE user_sessions SET expires_at = now() + interval '1 hour'", TOKENS),
    ("DELETE FROM user_sessions", TOKENS),
    ("UPDATE users SET status = 'suspended'", TOKENS),
    ("UPDATE users SET deleted_at = now()", TOKENS),
    ("DELETE FROM users", STRATEGIES | LIMITS | TOKENS),
]


async def answer(value: Any) -> Any:
    return value


def entries() -> list[tuple[Slot[Any], Any]]:
    """A place of every entry that repeats rows, with a value; and another user's, and a price."""
    ends = now().replace(year=now().year + 1)
    return [
        (SESSION(token_hash=TOKEN), CachedSession(uuid4(), OWNER_ID, ends, now())),
        (REFRESH_TOKEN(token_hash=REFRESH), CachedRefreshToken(uuid4(), OWNER_ID, ends)),
        (ACTIVE_STRATEGIES(), (StrategyName(OWNER_ID, STRATEGY_ID),)),
        (
            STRATEGY(user_id=OWNER_ID, strategy_id=STRATEGY_ID),
            CachedStrategy("trend", 60, {}, {}, (), is_active=True),
        ),
        (RISK_LIMITS(user_id=OWNER_ID), (CachedRiskLimits(max_daily_loss=Decimal(1)),)),
        (SESSION(token_hash=bytes(32)), CachedSession(uuid4(), OTHER, ends, now())),
        (
            STRATEGY(user_id=OTHER, strategy_id=OTHER),
            CachedStrategy("x", 1, {}, {}, (), is_active=False),
        ),
        (RISK_LIMITS(user_id=OTHER), ()),
        (BTC, CachedPrice(Decimal(1), now())),
    ]


async def fill(cache: Cache) -> set[str]:
    """Keep a value in every place, and name them."""
    for slot, value in entries():
        await cache.fetch(slot, partial(answer, value))
    return {slot.name for slot, _ in entries()}


async def kept(cache: Cache, names: set[str]) -> set[str]:
    slots = [slot for slot, _ in entries()]
    found = await cache.get_many(slots)
    return names & {
        slot.name for slot, value in zip(slots, found, strict=True) if value is not None
    }


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what is about to happen."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - nobody tells when it is
            await asyncio.sleep(0.005)


async def is_gone(cache: Cache, names: set[str]) -> bool:
    return not await kept(cache, names)


async def trusts(cache: Cache, *, wanted: bool = True) -> bool:
    return cache.trusted == wanted


async def change(engine: AsyncEngine, statement: str) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(text(statement))


@pytest.fixture
async def engine(engine: AsyncEngine, make_rows: MakeRows) -> AsyncEngine:
    """An engine on a database with a row of each kind that is cached."""
    await make_rows(engine)
    return engine


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """As who may delete anything and end connections."""
    made = create_engine(location.admin_url, role=None)
    yield made
    await made.dispose()


@pytest.fixture
async def followed(
    open_one: Opener, cache_settings: Settings, engine: AsyncEngine
) -> AsyncIterator[Cache]:
    cache = await open_one(cache_settings)
    async with follow(cache, engine):
        assert cache.trusted
        yield cache


async def test_a_change_drops_what_it_outdates_and_nothing_else(
    open_one: Opener,
    cache_settings: Settings,
    engine: AsyncEngine,
    admin: AsyncEngine,
    make_rows: MakeRows,
) -> None:
    for statement, names in CHANGES:
        cache = await open_one(cache_settings)
        async with follow(cache, engine):
            everything = await fill(cache)
            assert await kept(cache, everything) == everything
            async with admin.begin() as connection:
                await connection.execute(text(f"SET LOCAL app.user_id = '{OWNER_ID}'"))
                await connection.execute(text(statement))
                await asyncio.sleep(0.02)
                assert await kept(cache, everything) == everything, "It is not committed yet."
            await until(partial(is_gone, cache, names))
            assert await kept(cache, everything) == everything - names, statement
            async with admin.begin() as connection:
                await connection.execute(text("DELETE FROM users"))
        await make_rows(engine)


async def test_what_is_no_announcement_does_no_harm(followed: Cache, engine: AsyncEngine) -> None:
    everything = await fill(followed)
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(text("SELECT pg_notify('seawall_cache', 'garbage')"))
        await session.execute(text("UPDATE risk_limits SET max_daily_loss = 2"))
    await until(partial(is_gone, followed, LIMITS))
    assert await kept(followed, everything) == everything - LIMITS
    assert followed.trusted


async def test_many_changes_of_one_transaction_are_all_heard(
    followed: Cache, engine: AsyncEngine
) -> None:
    ids = [uuid4() for _ in range(2_000)]
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(
            text(
                "INSERT INTO strategies (id, name, type, timeframe)"
                " SELECT id, id::text, 'x', 60 FROM unnest(CAST(:ids AS uuid[])) AS id"
            ),
            {"ids": ids},
        )
    slots: list[Slot[Any]] = [STRATEGY(user_id=OWNER_ID, strategy_id=each) for each in ids]
    for slot in slots:
        await followed.fetch(
            slot, partial(answer, CachedStrategy("x", 60, {}, {}, (), is_active=True))
        )
    await change(engine, "UPDATE strategies SET is_active = true")

    async def are_gone() -> bool:
        return not any(await followed.get_many(slots))

    await until(are_gone)


async def test_a_change_is_known_within_a_tenth_of_a_second(
    followed: Cache, engine: AsyncEngine
) -> None:
    slot = RISK_LIMITS(user_id=OWNER_ID)
    took = []
    for _ in range(20):
        await followed.fetch(slot, partial(answer, (CachedRiskLimits(),)))
        assert await followed.get(slot) is not None
        await change(engine, "UPDATE risk_limits SET max_daily_loss = max_daily_loss + 1")
        committed = time.perf_counter()
        while await followed.get(slot) is not None:  # noqa: ASYNC110 - it is measured
            await asyncio.sleep(0)
        took.append(time.perf_counter() - committed)
    assert statistics.median(took) < 0.1


async def _limit(engine: AsyncEngine) -> tuple[CachedRiskLimits, ...]:
    async with transaction(engine, OWNER_ID) as session:
        found = await session.scalar(text("SELECT max_daily_loss FROM risk_limits"))
    return (CachedRiskLimits(max_daily_loss=found),)


async def test_writers_and_readers_of_two_processes_end_with_the_truth(
    open_one: Opener, cache_settings: Settings, engine: AsyncEngine
) -> None:
    slot = RISK_LIMITS(user_id=OWNER_ID)
    caches = [await open_one(cache_settings, "test:two") for _ in range(2)]
    writing = True

    async def read(cache: Cache) -> None:
        while writing:
            await cache.fetch(slot, partial(_limit, engine))
            await asyncio.sleep(0)

    async with follow(caches[0], engine), follow(caches[1], engine):
        readers = [asyncio.create_task(read(cache)) for cache in caches for _ in range(2)]
        for _ in range(50):
            await change(engine, "UPDATE risk_limits SET max_daily_loss = max_daily_loss + 1")
        writing = False
        await asyncio.gather(*readers)
        truth = await _limit(engine)
        assert truth[0].max_daily_loss == 51
        for cache in caches:

            async def is_true(cache: Cache = cache) -> bool:
                return await cache.fetch(slot, partial(_limit, engine)) == truth

            await until(is_true)
            await asyncio.sleep(0.1)
            assert await cache.get(slot) == truth


# Connections that are lost


async def _end_listeners(admin: AsyncEngine) -> None:
    async with admin.begin() as connection:
        ended = await connection.scalars(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE '%LISTEN%' AND datname = current_database()"
                " AND pid <> pg_backend_pid()"
            )
        )
        assert any(ended)


@pytest.fixture(params=["at once", "when it is asked"])
def connection_dies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How it is seen that a connection is lost."""
    monkeypatch.setattr(events, "RETRY", 0.5)
    monkeypatch.setattr(events, "HEARTBEAT", 60 if request.param == "at once" else 0.1)
    if request.param != "at once":
        monkeypatch.setattr(asyncpg.Connection, "add_termination_listener", lambda *_: None)


@pytest.mark.usefixtures("connection_dies")
async def test_nothing_outdated_survives_a_lost_connection(
    followed: Cache, admin: AsyncEngine, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    everything = await fill(followed)
    await _end_listeners(admin)
    await until(partial(trusts, followed, wanted=False))
    assert await kept(followed, everything) == {BTC.name}
    await change(engine, "UPDATE risk_limits SET max_daily_loss = 7")
    await until(partial(trusts, followed))
    assert await kept(followed, everything) == {BTC.name}
    await fill(followed)
    await change(engine, "UPDATE risk_limits SET max_daily_loss = 8")
    await until(partial(is_gone, followed, LIMITS))
    said = [record.message for record in caplog.records if record.name == events.__name__]
    assert [each.partition(":")[0].partition(",")[0] for each in said] == [
        "Changes in the database cannot be followed",
        "Changes in the database are followed again.",
    ]


async def test_a_database_that_is_away_at_first_is_followed_when_it_comes(
    open_one: Opener, cache_settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RETRY", 0.05)
    cache = await open_one(cache_settings)
    away = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    is_back = asyncio.Event()

    class Returning:
        """Connects in vain until the database is back."""

        def connect(self) -> Any:
            return (engine if is_back.is_set() else away).connect()

    async with follow(cache, cast("AsyncEngine", Returning())):
        assert not cache.trusted
        assert await kept(cache, await fill(cache)) == {BTC.name}
        is_back.set()

        await until(partial(trusts, cache))
        await fill(cache)
        await change(engine, "UPDATE risk_limits SET max_daily_loss = 7")
        await until(partial(is_gone, cache, LIMITS))
    await away.dispose()


async def test_who_stops_following_trusts_no_more_and_leaves_nothing(
    open_one: Opener, cache_settings: Settings, location: Location
) -> None:
    cache = await open_one(cache_settings)
    alone = create_engine(location.url)
    before = asyncio.all_tasks()
    async with follow(cache, alone):
        assert await trusts(cache)
    assert await trusts(cache, wanted=False)
    assert asyncio.all_tasks() == before
    async with alone.connect() as connection:
        assert not list(await connection.scalars(text("SELECT pg_listening_channels()")))
    assert "Checked out connections: 0" in alone.pool.status()
    await alone.dispose()


async def test_nothing_outdated_survives_a_lost_cache(
    open_one: Opener,
    server_settings: Settings,
    valkey: Any,
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "RETRY", 0.05)
    monkeypatch.setattr(outage, "PAUSE", 0.1)
    cache = await open_one(server_settings)
    async with follow(cache, engine):
        everything = await fill(cache)
        with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
            client.save()
        valkey.terminate()
        await change(engine, "UPDATE risk_limits SET max_daily_loss = 7")

        await until(partial(trusts, cache, wanted=False))
        assert await kept(cache, everything) == set()
        valkey.start()
        with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
            assert client.dbsize() > 0
        await until(partial(trusts, cache))
        assert await kept(cache, everything) == {BTC.name}
        await fill(cache)
        await change(engine, "UPDATE risk_limits SET max_daily_loss = 8")
        await until(partial(is_gone, cache, LIMITS))
        assert await kept(cache, everything) == everything - LIMITS
