"""How many of a process's connections to the database one caller holds: the rest is for others."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from seawall.core.time import now
from seawall.identity.errors import TooManyRequestsError

OF_ONE = 4
"""How many transactions one user has at once, of the 24 connections that there are."""
WAITING = 32
"""How many more of their requests wait for one of those to end."""
SECONDS = 5.0
"""For how long they wait."""
_AGAIN = timedelta(seconds=1)


class Shares:
    """What each user holds, and who of theirs waits."""

    def __init__(self) -> None:
        self._held: dict[UUID, int] = {}
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}

    async def take(self, user_id: UUID) -> None:
        """Take one share, for which `give` has to follow; wait where the user has all of theirs.

        Raises:
            TooManyRequestsError: none became free in time, or very many wait already.
        """
        held = self._held.get(user_id, 0)
        if held < OF_ONE:
            self._held[user_id] = held + 1
        else:
            await self._wait(user_id)

    def give(self, user_id: UUID) -> None:
        """Give a share back, to whoever of the same user has waited longest."""
        waiting = self._waiting.get(user_id)
        while waiting:
            first = waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
        held = self._held[user_id] - 1
        if held:
            self._held[user_id] = held
        else:
            del self._held[user_id]

    @asynccontextmanager
    async def held(self, user_id: UUID) -> AsyncIterator[None]:
        """Hold a share for as long as the block runs, as `take`."""
        await self.take(user_id)
        try:
            yield
        finally:
            self.give(user_id)

    async def _wait(self, user_id: UUID) -> None:
        waiting = self._waiting.setdefault(user_id, deque())
        if len(waiting) >= WAITING:
            raise _too_many()
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            async with asyncio.timeout(SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It came in the moment in which nobody waited for it any more.
                self.give(user_id)
            if isinstance(error, TimeoutError):
                raise _too_many() from None
            raise
        finally:
            if not turn.done() or turn.cancelled():
                turn.cancel()
                if turn in waiting:
                    waiting.remove(turn)
            if not waiting and self._waiting.get(user_id) is waiting:
                del self._waiting[user_id]


def _too_many() -> TooManyRequestsError:
    return TooManyRequestsError(
        f"{OF_ONE} requests of yours are under way, and more wait. Wait for one of them.",
        now() + _AGAIN,
    )
