"""The connections of a process, given to those who wait in the order in which they came."""

import asyncio
from collections import deque
from time import monotonic
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util.concurrency import await_only
from sqlalchemy.util.queue import Empty, Full, QueueCommon


class _Line(QueueCommon[Any]):
    """What is free, and who waits for it: one of the two is empty.

    asyncio's own queue wakes the one who waited longest, but lets whoever comes in between take
    what was put there; then the other waits again, behind all. What is put here is handed over.
    """

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:  # noqa: FBT001, FBT002 - the pool's
        self.maxsize, self.use_lifo = maxsize, use_lifo
        self._free: deque[Any] = deque()
        self._waiting: deque[asyncio.Future[Any]] = deque()

    def empty(self) -> bool:
        """Tell whether nothing is free."""
        return not self._free

    def full(self) -> bool:
        """Tell whether all are free."""
        return len(self._free) >= self.maxsize

    def qsize(self) -> int:
        """Return how many are free."""
        return len(self._free)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002, FBT001, FBT002 - the pool's
        """Give one back."""
        self.put_nowait(item)

    def put_nowait(self, item: Any) -> None:
        """Give one back, to whoever has waited longest.

        Raises:
            Full: all are here.
        """
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(item)
                return
        if self.full():
            raise Full
        self._free.append(item)

    def get_nowait(self) -> Any:
        """Take one.

        Raises:
            Empty: none is free.
        """
        if not self._free:
            raise Empty
        return self._free.popleft()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002 - the pool's
        """Take one, when one is free within so many seconds.

        Raises:
            Empty: none was.
        """
        if self._free or not block:
            return self.get_nowait()
        return await_only(self._wait(timeout))

    async def _wait(self, seconds: float | None) -> Any:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiting.append(waiter)
        end = None if seconds is None else loop.call_later(seconds, _give_up, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # It was handed over in the moment in which nobody wanted it any more.
                self.put_nowait(waiter.result())
            raise
        finally:
            if end is not None:
                end.cancel()


def _give_up(waiter: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_exception(Empty())


class FairPool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, with a line before it."""

    _queue_class = _Line
    handed_at = 0.0
    """When somebody was given a connection last, by the monotonic clock."""

    def _do_get(self) -> ConnectionPoolEntry:
        found = super()._do_get()
        self.handed_at = monotonic()
        return found


def is_busy(engine: AsyncEngine) -> bool:
    """Tell whether all connections of an engine are taken, and still go from hand to hand.

    Where nobody was given one for as long as anybody waits for it, all who ask are refused.
    """
    pool = engine.pool
    if not isinstance(pool, FairPool) or pool.checkedout() < pool.size():
        return False
    return monotonic() - pool.handed_at < pool.timeout()
