"""Opening the cache that is set, for the database that is there."""

import re
from decimal import Decimal

import pytest
from cashews.backends.memory import Memory
from cashews.backends.redis import Redis as RedisBackend
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import UnavailableError
from seawall.core.settings import CacheSettings, Settings
from seawall.core.time import now
from seawall.db.cache import open_cache
from seawall.db.cache.connect import namespace
from seawall.db.cache.keys import PRICE
from seawall.db.cache.values import CachedPrice
from seawall.db.database import Location
from seawall.db.engine import create_engine

BTC = PRICE(exchange="binance", symbol="BTC/USDT")


async def test_each_database_has_names_of_its_own(
    engine: AsyncEngine, empty_location: Location
) -> None:
    mine = await namespace(engine)
    assert re.fullmatch(r"seawall:\d+-\d+", mine)
    maintenance = create_engine(empty_location.maintenance_url, role=None)
    assert await namespace(maintenance) != mine
    await maintenance.dispose()
    again = create_engine(str(empty_location.url))
    assert await namespace(again) == mine
    await again.dispose()


async def test_the_cache_of_the_settings_is_opened(
    engine: AsyncEngine, cache_settings: Settings
) -> None:
    async with open_cache(cache_settings, engine) as cache:
        await cache.set(BTC, CachedPrice(Decimal(1), now()))
        assert await cache.get(BTC) is not None
    kind = Memory if cache_settings.cache.url is None else RedisBackend
    assert isinstance(cache._backend, kind)


async def test_what_is_no_address_is_refused_before_use(engine: AsyncEngine) -> None:
    settings = Settings(cache=CacheSettings(url=SecretStr("http://me:s3cret@host")))
    with pytest.raises(UnavailableError, match="is not a cache's address") as caught:
        async with open_cache(settings, engine):
            pass
    assert "s3cret" not in f"{caught.value!r} {caught.value}"
