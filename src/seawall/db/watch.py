"""Watching whether the database answers, so that nobody waits for one that hangs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

logger = logging.getLogger(__name__)

EVERY, PATIENCE = 0.5, 1.0
"""Seconds between questions, and for an answer: after the two together it counts as away."""
_QUESTION = "SELECT"


class Watch:
    """Whether the database answered a moment ago."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: asyncpg.Connection | None = None
        self._told: dict[object, Callable[[], object]] = {}
        self._answered_at: float | None = None
        self.is_down = False

    def has_answered_since(self, moment: float) -> bool:
        """Tell whether the database answered after an instant of the monotonic clock."""
        return self._answered_at is not None and self._answered_at >= moment

    def when_down(self, tell: Callable[[], object]) -> Callable[[], None]:
        """Have something called when the database goes away; return what stops that."""
        key = object()
        self._told[key] = tell
        return lambda: self._told.pop(key, None) and None

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(EVERY)
        finally:
            self._drop()

    async def _look(self) -> None:
        asked = asyncio.ensure_future(self._ask())
        try:
            await asyncio.wait({asked}, timeout=PATIENCE)
            if not asked.done():
                # This process may have been busy itself, with the answer waiting to be read.
                await asyncio.sleep(0.02)
        finally:
            asked.cancel()
        error = await _outcome(asked)
        if error is None:
            self._answered_at = monotonic()
            await self.is_up()
        else:
            self._drop()
            self.is_away(error)

    async def _ask(self) -> None:
        if self._connection is None:
            _, options = self._engine.dialect.create_connect_args(self._engine.url)
            wanted = {
                name: options[name]
                for name in ("host", "port", "user", "password", "database", "ssl")
                if name in options
            }
            self._connection = await asyncpg.connect(**wanted, timeout=PATIENCE)
        await self._connection.execute(_QUESTION)

    def _drop(self) -> None:
        # Closed without a word: whoever hangs would not hear it.
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def is_up(self) -> None:
        """Note that the database answers."""
        if self.is_down:
            # Connections of before may be dead, and none of them says so before it is used.
            await self._replace()
            self.is_down = False
            logger.warning("The database answers again.")

    async def _replace(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._engine.dispose()
        except Exception:  # noqa: BLE001 - one that cannot be closed is left to itself
            await self._engine.dispose(close=False)

    def is_away(self, error: BaseException) -> None:
        """Note that it does not, and tell those who wait for it."""
        if not self.is_down:
            said = str(error).rstrip(".") or type(error).__name__
            logger.error("The database does not answer: %s.", said)
        self.is_down = True
        for tell in [*self._told.values()]:
            tell()


async def _outcome(asked: "asyncio.Future[None]") -> BaseException | None:
    try:
        await asked
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return TimeoutError("it hangs")
    except Exception as error:  # noqa: BLE001 - whatever it is, it does not answer
        return error
    return None


@asynccontextmanager
async def watching(engine: AsyncEngine) -> AsyncIterator[Watch]:
    """Watch the database of an engine for as long as the block runs."""
    watch = Watch(engine)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
