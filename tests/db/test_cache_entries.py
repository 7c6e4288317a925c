"""Reading, writing and counting, in the process and on a real Valkey alike."""

import asyncio
import hashlib
import json
import os
import pickle
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cashews.backends.memory import Memory
from cashews.backends.redis import Redis as RedisBackend
from redis import Redis

from seawall.core.settings import Settings
from seawall.core.time import now
from seawall.db.cache import Cache
from seawall.db.cache.keys import (
    ACTIVE_STRATEGIES,
    METRIC,
    ORDER_BOOK,
    PRICE,
    REFRESH_TOKEN,
    RISK_LIMITS,
    SESSION,
    STRATEGY,
    Live,
    Slot,
)
from seawall.db.cache.values import (
    CachedMetric,
    CachedOrderBook,
    CachedPrice,
    CachedRefreshToken,
    CachedRiskLimits,
    CachedSession,
    CachedStrategy,
    StrategyName,
)

TOKEN = "the token that the user holds"  # noqa: S105 - the tests look for it
HASH = hashlib.sha256(TOKEN.encode()).digest()
USER, OTHER = UUID(int=1), UUID(int=2)
BTC = PRICE(exchange="binance", symbol="BTC/USDT")


def price(amount: str = "65000.1") -> CachedPrice:
    return CachedPrice(Decimal(amount), now(), Decimal("0.5"))


def examples() -> list[tuple[Slot[Any], Any]]:
    """A place of every entry, with a value."""
    moment, ends = now(), now() + timedelta(days=30)
    level = (Decimal("65000.1"), Decimal("0.000000000000000001"))
    return [
        (SESSION(token_hash=HASH), CachedSession(uuid4(), USER, ends, moment)),
        (REFRESH_TOKEN(token_hash=HASH), CachedRefreshToken(uuid4(), USER, ends)),
        (BTC, price()),
        (ORDER_BOOK(exchange="binance", symbol="x"), CachedOrderBook((level,), (), moment)),
        (ACTIVE_STRATEGIES(), (StrategyName(USER, uuid4()),)),
        (
            STRATEGY(user_id=USER, strategy_id=OTHER),
            CachedStrategy("trend", 60, {"n": 1}, {}, (1,), is_active=True),
        ),
        (RISK_LIMITS(user_id=USER), (CachedRiskLimits(max_daily_loss=Decimal("1e9")),)),
        (METRIC(component="market", metric="lag"), CachedMetric(0.1, moment)),
    ]


Opener = Callable[..., Awaitable[Cache]]
LIFETIMES = {
    "session": 604_800,
    "refresh_token": 604_800,
    "price": 30,
    "orderbook": 5,
    "strategies": 300,
    "strategy": 300,
    "risk_limits": 300,
    "metrics": 300,
}


async def answer(value: Any) -> Any:
    return value


def never() -> Any:
    raise AssertionError("The database was read.")


async def test_every_entry_is_kept_for_its_lifetime(cache: Cache) -> None:
    for slot, value in examples():
        assert await cache.get(slot) is None
        assert await cache.fetch(slot, partial(answer, value)) == value
        assert await cache.get(slot) == value
        assert await cache.fetch(slot, never) == value
        kept = await cache._backend.get_expire(cache._name(slot.name))
        assert LIFETIMES[slot.name.partition(":")[0]] - 3 <= kept
        assert kept <= LIFETIMES[slot.name.partition(":")[0]]
        await cache.drop(slot)
        assert await cache.get(slot) is None


async def test_places_do_not_meet(cache: Cache) -> None:
    for slot, value in examples():
        await cache.fetch(slot, partial(answer, value))
    assert await cache.get(PRICE(exchange="binance", symbol="ETH/USDT")) is None
    assert await cache.get(PRICE(exchange="kraken", symbol="BTC/USDT")) is None
    assert await cache.get(RISK_LIMITS(user_id=OTHER)) is None
    assert await cache.get(SESSION(token_hash=bytes(32))) is None
    await cache.drop(BTC)
    kept = [await cache.get(slot) for slot, _ in examples() if slot.name.startswith("risk")]
    assert None not in kept


async def test_an_entry_goes_when_its_lifetime_is_over(cache: Cache) -> None:
    brief = Live("brief:{n}", CachedMetric, timedelta(milliseconds=80))
    await cache.set(brief(n=1), CachedMetric(1.0, now()))
    assert await cache.get(brief(n=1)) is not None
    await asyncio.sleep(0.1)
    assert await cache.get(brief(n=1)) is None


async def test_many_are_read_at_once(cache: Cache) -> None:
    slots = [PRICE(exchange="binance", symbol=f"A{number}") for number in range(10)]
    values = [price(str(number)) for number in range(10)]
    for slot, value in zip(slots[::2], values[::2], strict=True):
        await cache.set(slot, value)
    wanted = [value if number % 2 == 0 else None for number, value in enumerate(values)]
    assert await cache.get_many(slots) == wanted
    assert await cache.get_many([]) == []


async def test_dropping_nothing_and_what_is_not_there_is_nothing(cache: Cache) -> None:
    await cache.drop()
    await cache.drop(BTC, BTC)
    assert await cache.get(BTC) is None


async def test_what_is_not_in_the_database_is_looked_up_again(cache: Cache) -> None:
    slot = RISK_LIMITS(user_id=USER)
    assert await cache.fetch(slot, partial(answer, None)) is None
    limits = (CachedRiskLimits(max_orders_per_hour=7),)
    assert await cache.fetch(slot, partial(answer, limits)) == limits


async def test_a_load_that_fails_leaves_nothing(cache: Cache) -> None:
    with pytest.raises(AssertionError):
        await cache.fetch(BTC, never)
    assert not cache._loads
    assert await cache.get(BTC) is None


async def test_a_session_that_is_over_is_neither_given_nor_kept(
    open_one: Opener, cache_settings: Settings
) -> None:
    moment = now()
    cache = await open_one(cache_settings, clock=lambda: moment)
    await cache.renew()
    slot = SESSION(token_hash=HASH)
    session = CachedSession(uuid4(), USER, moment + timedelta(hours=1), moment)
    await cache.fetch(slot, partial(answer, session))
    assert await cache._backend.get_expire(cache._name(slot.name)) in range(3590, 3601)
    moment += timedelta(hours=2)
    assert await cache.get(slot) is None
    await cache.drop(slot)
    await cache.fetch(slot, partial(answer, session))
    moment -= timedelta(hours=2)
    assert await cache.get(slot) is None


async def test_without_followers_nothing_that_repeats_rows_is_kept_or_given(
    open_one: Opener, cache_settings: Settings
) -> None:
    followed = await open_one(cache_settings, "test:same")
    alone = await open_one(cache_settings, "test:same")
    await followed.renew()
    for slot, value in examples():
        assert await alone.fetch(slot, partial(answer, value)) == value
        is_live = slot.name.partition(":")[0] in {"price", "orderbook", "metrics"}
        assert (await alone.get(slot) == value) == is_live
        assert is_live or await followed.get(slot) is None
        await followed.fetch(slot, partial(answer, value))
        assert await followed.get(slot) == value
        assert (await alone.get(slot) == value) == is_live


async def test_renewing_drops_what_repeats_rows_and_nothing_else(
    open_one: Opener, cache_settings: Settings
) -> None:
    cache, other = await open_one(cache_settings), await open_one(cache_settings)
    for each in (cache, other):
        await each.renew()
        for slot, value in examples():
            await each.fetch(slot, partial(answer, value))
        await each.hit(USER, "x")
    await cache.renew()
    found = [slot.name.partition(":")[0] for slot, _ in examples() if await cache.get(slot)]
    assert found == ["price", "orderbook", "metrics"]
    assert (await cache.hit(USER, "x")).count == 2
    assert None not in await other.get_many([slot for slot, _ in examples()])


async def test_what_changed_while_it_was_read_is_not_kept(cache: Cache) -> None:
    slot = RISK_LIMITS(user_id=USER)
    old = (CachedRiskLimits(max_drawdown=0.2),)

    async def read_as_it_changes(change: Callable[[], Any]) -> tuple[CachedRiskLimits, ...]:
        await change()
        return old

    for change in (partial(cache.drop, slot), cache.renew):
        assert await cache.fetch(slot, partial(read_as_it_changes, change)) == old
        assert await cache.get(slot) is None
    unrelated = partial(cache.drop, RISK_LIMITS(user_id=OTHER))
    assert await cache.fetch(slot, partial(read_as_it_changes, unrelated)) == old
    assert await cache.get(slot) == old


class Late(Memory):
    """Takes what it is given to keep only when it is let: as a server that is slow to hear it."""

    def __init__(self) -> None:
        super().__init__(check_interval=0)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def set(self, *given: Any, **named: Any) -> bool:
        self.asked.set()
        await self.let.wait()
        return await super().set(*given, **named)


async def test_what_is_dropped_while_it_is_written_is_gone() -> None:
    backend = Late()
    cache = Cache(backend, "test")
    await cache.renew()
    slot = RISK_LIMITS(user_id=USER)
    value = (CachedRiskLimits(max_drawdown=0.2),)
    writing: asyncio.Task[Any] = asyncio.create_task(cache.fetch(slot, partial(answer, value)))
    await backend.asked.wait()
    await cache.drop(slot)
    backend.let.set()
    assert await writing == value
    assert await cache.get(slot) is None


class Doubted(Memory):
    """Gives cause for doubt as its entries are listed."""

    cache: Cache

    async def scan(self, pattern: str, batch_size: int = 100) -> AsyncIterator[str]:
        self.cache.distrust()
        async for name in super().scan(pattern, batch_size):
            yield name


async def test_a_doubt_that_comes_while_the_cache_is_renewed_stays() -> None:
    backend = Doubted(check_interval=0)
    cache = backend.cache = Cache(backend, "test")
    await cache.renew()
    assert not cache.trusted


async def test_what_changed_while_it_was_read_is_not_even_written() -> None:
    backend = Late()
    cache = Cache(backend, "test")
    await cache.renew()
    slot = RISK_LIMITS(user_id=USER)

    async def read_as_it_changes() -> tuple[CachedRiskLimits, ...]:
        await cache.drop(slot)
        return (CachedRiskLimits(max_drawdown=0.2),)

    backend.let.set()
    await cache.fetch(slot, read_as_it_changes)
    assert not backend.asked.is_set()


async def test_no_answer_is_another_s_when_callers_are_cancelled(cache: Cache) -> None:
    slots = [METRIC(component="a", metric=number) for number in range(20)]
    for number, slot in enumerate(slots):
        await cache.set(slot, CachedMetric(float(number), now()))
    chance = random.Random(7)  # noqa: S311 - any order will do
    for _ in range(20):
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(cache.get(slot)) for slot in slots]
        await asyncio.sleep(chance.random() / 500)
        for task in chance.sample(tasks, 10):
            task.cancel()
        for number, found in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
            assert isinstance(found, asyncio.CancelledError) or (
                isinstance(found, CachedMetric) and found.value == number
            )


async def test_no_token_and_no_hash_of_the_database_is_on_the_server(
    open_one: Opener, server_settings: Settings, valkey: Any
) -> None:
    cache = await open_one(server_settings)
    await cache.renew()
    for slot, value in examples():
        await cache.fetch(slot, partial(answer, value))
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
        held = b"\n".join(key + b" " + (client.get(key) or b"") for key in client.scan_iter())
    assert held.count(b":session:") >= 1
    assert held.count(b":refresh_token:") >= 1
    for secret in (TOKEN.encode(), HASH, HASH.hex().encode()):
        assert secret not in held


class Bomb:
    """What makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


async def test_what_others_wrote_is_not_executed(
    open_one: Opener, server_settings: Settings, valkey: Any, tmp_path: Path
) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
    cache = await open_one(server_settings)
    name = cache._name(BTC.name)
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
        client.set(name, bomb)
        assert await cache.get(BTC) is None
        assert not (tmp_path / "exploded").exists()
        # cashews as it comes does execute it.
        usual: Any = RedisBackend(f"unix://{valkey.unix_socket_path}")
        await usual.init()
        await usual.get(name)
        await usual._client.aclose()
        assert (tmp_path / "exploded").exists()
        await cache.set(BTC, price())
        assert await cache.get(BTC) is not None
        assert json.loads(client.get(name) or b"")["price"] == "65000.1"


async def test_a_value_of_another_kind_is_a_miss_and_is_replaced(
    open_one: Opener, server_settings: Settings, valkey: Any
) -> None:
    cache = await open_one(server_settings)
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as client:
        client.rpush(cache._name(BTC.name), "a list")
    assert await cache.get(BTC) is None
    await cache.set(BTC, price())
    assert await cache.get(BTC) is not None
