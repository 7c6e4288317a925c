"""How many of a process's connections to the database one caller holds: the rest is for others."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from seawall.core.time import now
from seawall.db.engine import CONNECTIONS
from seawall.identity.errors import TooManyRequestsError

OF_ONE = 4
"""How many transactions one user has at once, of the 24 connections that there are."""
WAITING = 32
"""How many more of their requests wait for one of those to end."""
LOOKUPS, LOOKUPS_WAITING = 8, 128
"""The same of an address, where it is not known yet who asks: many may have one, behind a proxy."""
LOOKUPS_OF_ALL = CONNECTIONS // 2
"""The same of all addresses: whoever has many leaves the rest to those who are known."""
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
        if self._has_room(who):
            self._hold(who)
        else:
            await self._wait(who)

    def give(self, who: Hashable) -> None:
        """Give a share back, to whoever of the same has waited longest."""
        held = self._held[who] - 1
        if held:
            self._held[who] = held
        else:
            del self._held[who]
        self._hand_on(who)

    def _has_room(self, who: Hashable) -> bool:
        return self._held.get(who, 0) < self._of_one

    def _hold(self, who: Hashable) -> None:
        self._held[who] = self._held.get(who, 0) + 1

    def _hand_on(self, who: Hashable) -> bool:
        """Give a share to whoever of the same has waited longest; say whether anybody has."""
        waiting = self._waiting.get(who)
        while waiting:
            first = waiting.popleft()
            if not first.done():
                self._hold(who)
                first.set_result(None)
                return True
        return False

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


class Lookups(Shares):
    """What each address holds while it is looked up who asks: of all that there is, a part.

    One that was refused for its many wrong keys has one share, until it is no longer refused.
    """

    def __init__(self) -> None:
        super().__init__(LOOKUPS, LOOKUPS_WAITING)
        self._refused: dict[Hashable, datetime] = {}

    def refuse(self, who: Hashable, until: datetime) -> None:
        """Leave an address one share until then."""
        if who not in self._refused:
            self._refused = {each: end for each, end in self._refused.items() if end > now()}
        self._refused[who] = until

    def _has_room(self, who: Hashable) -> bool:
        is_refused = who in self._refused and self._refused[who] > now()
        most = 1 if is_refused else self._of_one
        return self._held.get(who, 0) < most and sum(self._held.values()) < LOOKUPS_OF_ALL

    def _hand_on(self, who: Hashable) -> bool:
        del who
        # The addresses have it in turn, however many wait of one.
        for each in self._waiting:
            if self._has_room(each) and super()._hand_on(each):
                self._waiting[each] = self._waiting.pop(each)
                return True
        return False

    def _too_many(self) -> TooManyRequestsError:
        return TooManyRequestsError(
            "Very many keys and logins are being looked up, for your address or for all.",
            now() + _AGAIN,
        )
