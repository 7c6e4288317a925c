"""What takes long is done aside: in a thread with its own loop and connection, a few at once.

Replaying a ledger and measuring a portfolio take from milliseconds to seconds of processor time,
and every other request would wait for the event loop meanwhile.
"""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.api.callers import Caller
from seawall.api.deps import Bound, TheManager, TheReader
from seawall.core.errors import UnavailableError
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.desk import Desk
from seawall.identity.errors import TooManyRequestsError

T = TypeVar("T")
WAITING = 32
"""How many may be under way or waiting in one process; who comes then is to come again."""
OF_ONE = 4
"""How many of them may be of one user."""
_AGAIN = timedelta(seconds=1)


class Bench:
    """The threads of one process, and what is under way in them."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = ThreadPoolExecutor(
            threads or os.cpu_count() or 1, thread_name_prefix="aside"
        )
        self._own = threading.local()
        self._of: Counter[UUID] = Counter()

    async def run(self, desk: Desk, caller: Caller, work: Callable[[Bound], Awaitable[T]]) -> T:
        """Do some work in one transaction as the caller; it is committed when this returns.

        Raises:
            TooManyRequestsError: the caller has too much under way already.
            UnavailableError: everybody together has.
            SeawallError: the work's own.
        """
        user = caller.user_id
        if self._of[user] >= OF_ONE:
            raise TooManyRequestsError(
                f"{OF_ONE} requests of yours are being computed. Wait for one of them.",
                desk.clock() + _AGAIN,
            )
        if self._of.total() >= WAITING:
            raise UnavailableError("Too much is being computed now.", hint="Try again in a while.")
        self._of[user] += 1

        inner: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
        left = threading.Event()

        async def within() -> T:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - it runs in one
            inner.append((asyncio.get_running_loop(), task))
            # Who left before it stood there could not end it.
            if left.is_set():
                raise asyncio.CancelledError
            async with transaction(self._open(desk), user) as session:
                return await work(Bound(caller, session, desk))

        # What it logs is of this request.
        context = copy_context()
        running = self._threads.submit(context.run, lambda: asyncio.run(within()))
        done = asyncio.wrap_future(running)
        # It counts until it is over, though the caller may have gone by then.
        done.add_done_callback(lambda over: self._end(user, over))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            left.set()
            if not running.cancel():
                # At its next wait it ends, and what it has done is undone.
                for loop, task in inner:
                    # Its loop is closed where it has just ended by itself.
                    with suppress(RuntimeError):
                        loop.call_soon_threadsafe(task.cancel)
            raise

    def _open(self, desk: Desk) -> AsyncEngine:
        # One for each thread, whose loops come one after the other: an engine's locks are of one
        # loop. Without a pool, because a connection is of one as well.
        found: AsyncEngine | None = getattr(self._own, "engine", None)
        if found is None:
            url = desk.engine.url.render_as_string(hide_password=False)
            settings = desk.settings
            found = self._own.engine = create_engine(
                url,
                pooled=False,
                slow_ms=settings.database.slow_ms,
                statement_seconds=settings.api.request_seconds,
            )
        return found

    def _end(self, user: UUID, over: asyncio.Future[Any]) -> None:
        if not over.cancelled():
            over.exception()
        self._of[user] -= 1
        if not self._of[user]:
            del self._of[user]


@dataclass(frozen=True, slots=True)
class Apart:
    """Who asks, and where their work is done."""

    caller: Caller
    request: Request

    async def run(self, work: Callable[[Bound], Awaitable[T]]) -> T:
        """Do it aside, as `Bench.run`."""
        state = self.request.app.state
        bench: Bench = state.bench
        return await bench.run(state.desk, self.caller, work)


async def _reader(request: Request, caller: TheReader) -> Apart:
    return Apart(caller, request)


async def _manager(request: Request, caller: TheManager) -> Apart:
    # Read here, and kept: a thread cannot wait for what comes by this one's loop.
    await request.body()
    return Apart(caller, request)


ReaderAside = Annotated[Apart, Depends(_reader)]
"""Whoever may read what takes long to compute."""
ManagerAside = Annotated[Apart, Depends(_manager)]
"""Whoever may change what takes long."""
