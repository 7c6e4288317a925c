"""Following the database: what changed rows outdate is dropped from the cache.

Triggers announce on one channel which rows a transaction changed, when it commits (migration
0018). An announcement is a JSON array: a table, then ids.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from asyncpg import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import SeawallError, UnavailableError
from seawall.db.cache.client import Cache
from seawall.db.cache.keys import (
    ACTIVE_STRATEGIES,
    REFRESH_TOKEN,
    RISK_LIMITS,
    SESSION,
    STRATEGY,
    OfRows,
    Slot,
)
from seawall.db.faults import translated

logger = logging.getLogger(__name__)

CHANNEL = "seawall_cache"
HEARTBEAT = 5.0
"""Seconds after which a silent connection is asked whether it still lives."""
RETRY = 1.0
"""Seconds between attempts to connect, and to make the cache trustworthy again."""


def _tokens(session: str, refresh: str | None) -> tuple[Slot[Any], ...]:
    """Name the entries of a session's tokens, whose hashes were hashed in the database."""
    named: list[Slot[Any]] = [_of_token(SESSION, session)]
    if refresh is not None:
        named.append(_of_token(REFRESH_TOKEN, refresh))
    return tuple(named)


def _of_token(entry: OfRows[Any], digest: str) -> Slot[Any]:
    return Slot(entry, entry.template.format(token_hash=digest))


OUTDATED: dict[str, Callable[..., tuple[Slot[Any], ...]]] = {
    "user_sessions": _tokens,
    "strategies": lambda user_id, strategy_id: (
        ACTIVE_STRATEGIES(),
        STRATEGY(user_id=user_id, strategy_id=strategy_id),
    ),
    "risk_limits": lambda user_id: (RISK_LIMITS(user_id=user_id),),
}
"""Which places a change outdates: for each table, from the ids that are announced."""


def outdated(announcement: str) -> tuple[Slot[Any], ...]:
    """Say which places an announcement outdates; none when it is not one of ours."""
    try:
        table, *ids = orjson.loads(announcement)
        return OUTDATED[table](*ids)
    except (ValueError, TypeError, KeyError):
        return ()


@asynccontextmanager
async def follow(cache: Cache, engine: AsyncEngine) -> AsyncIterator[None]:
    """Keep the cache true to the database's rows for as long as the block runs.

    It takes one of the engine's connections. When that is lost it is made again, and all that
    repeats rows is dropped, since changes may have been missed; until then the cache neither gives
    nor keeps such entries.
    """
    follower = _Follower(cache, engine)
    task = asyncio.create_task(follower.run())
    try:
        await follower.attempted.wait()
        yield
    finally:
        follower.is_over = True
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class _Follower:
    """Listens, for as long as it is let."""

    def __init__(self, cache: Cache, engine: AsyncEngine) -> None:
        self._cache = cache
        self._engine = engine
        self._is_lost = False
        self.attempted = asyncio.Event()
        # Cancelling alone may not do: before Python 3.12 `wait_for`, which redis uses, swallows it
        # when the answer comes at the same moment.
        self.is_over = False

    async def run(self) -> None:
        """Listen, and again when the connection is lost."""
        try:
            while not self.is_over:
                try:
                    with translated():
                        await self._listen()
                except (SeawallError, SQLAlchemyError) as error:
                    self._cache.distrust()
                    self._say_lost(error)
                    self.attempted.set()
                    await asyncio.sleep(RETRY)
        finally:
            self._cache.distrust()
            self.attempted.set()

    async def _listen(self) -> None:
        inbox: asyncio.Queue[str | None] = asyncio.Queue()
        async with self._engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, Connection)  # noqa: S101 - the engine is always asyncpg's
            try:
                driver.add_termination_listener(lambda _: inbox.put_nowait(None))
                await driver.add_listener(CHANNEL, lambda *event: inbox.put_nowait(event[-1]))
                await self._cache.renew()
                self._say_found()
                self.attempted.set()
                while not self.is_over:
                    await self._pass_on(inbox, driver)
            finally:
                # The pool must not hand out a connection that listens.
                await connection.invalidate()

    async def _pass_on(self, inbox: asyncio.Queue[str | None], driver: Connection) -> None:
        """Drop what the next announcements outdate, or see that the connection lives."""
        patience = HEARTBEAT if self._cache.trusted else RETRY
        news = []
        try:
            async with asyncio.timeout(patience):
                news.append(await inbox.get())
        except TimeoutError:
            await driver.fetchval("SELECT 1", timeout=HEARTBEAT)
        while not inbox.empty():
            news.append(inbox.get_nowait())
        if None in news:
            raise UnavailableError("The connection was closed.")
        await self._cache.drop(*(slot for each in news if each for slot in outdated(each)))
        if not self._cache.trusted:
            await self._cache.renew()

    def _say_lost(self, error: Exception) -> None:
        if not self._is_lost:
            self._is_lost = True
            logger.warning(
                "Changes in the database cannot be followed, and the cache does without what they"
                " may outdate: %s",
                error,
            )

    def _say_found(self) -> None:
        if self._is_lost:
            self._is_lost = False
            logger.info("Changes in the database are followed again.")
