"""How many of a process's connections to the database one caller holds: the rest is for others."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import timedelta

from seawall.core.time import now
from seawall.identity.errors import TooManyRequestsError

OF_ONE = 4
"""How many transactions one user has at once, of the 24 connections that there are."""
WAITING = 32
"""How many more of their requests wait for one of those to end."""
LOOKUPS, LOOKUPS_WAITING = 8, 128
"""The same of an address, where it is not known yet who asks: many may have one, behind a proxy."""
SECONDS = 5.0
"""For how long they wait."""
_AGAIN = timedelta(seconds=1)


class Shares:
    """What each user, or each address, holds, and who of theirs waits."""

    def __init__(self, of_one: int = OF_ONE, most_waiting: int = WAITING) -> None:
        self._of_one, self._most_waiting = of_one, most_waiting
        self._held: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def take(self, who: Hashable) -> None:
        """Take one share, for which `give` has to follow; wait where all of theirs are taken.

        Raises:
            TooManyRequestsError: none became free in time, or very many wait already.
        """
        held = self._held.get(who, 0)
        if held < self._of_one:
            self._held[who] = held + 1
        else:
            await self._wait(who)

    def give(self, who: Hashable) -> None:
        """Give a share back, to whoever of the same has waited longest."""
        waiting = self._waiting.get(who)
        while waiting:
            first = waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
        held = self._held[who] - 1
        if held:
            self._held[who] = held
        else:
            del self._held[who]

    @asynccontextmanager
    async def held(self, who: Hashable) -> AsyncIterator[None]:
        """Hold a share for as long as the block runs, as `take`."""
        await self.take(who)
        try:
            yield
        finally:
            self.give(who)

    async def _wait(self, who: Hashable) -> None:
        waiting = self._waiting.setdefault(who, deque())
        if len(waiting) >= self._most_waiting:
            raise self._too_many()
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            async with asyncio.timeout(SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # It came in the moment in which nobody waited for it any more.
                self.give(who)
            if isinstance(error, TimeoutError):
                raise self._too_many() from None
            raise
        finally:
            if not turn.done() or turn.cancelled():
                turn.cancel()
                if turn in waiting:
                    waiting.remove(turn)
            if not waiting and self._waiting.get(who) is waiting:
                del self._waiting[who]

    def _too_many(self) -> TooManyRequestsError:
        return TooManyRequestsError(
            f"{self._of_one} requests of yours are under way, and more wait. Wait for one of them.",
            now() + _AGAIN,
        )
