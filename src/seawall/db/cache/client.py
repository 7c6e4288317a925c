"""Reading and writing the cache, on any backend; reads do without it when it is away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from cashews.backends.interface import Backend
from cashews.exceptions import CacheError
from redis.exceptions import RedisError

from seawall.core.errors import UnavailableError
from seawall.core.time import from_micros, now, to_micros
from seawall.db.cache.keys import KEYS, RATE_LIMIT, LiveSlot, OfRows, Slot
from seawall.db.cache.outage import Outage
from seawall.db.cache.values import Usage

T = TypeVar("T")
V = TypeVar("V")

_HINT = "See that the server in SEAWALL_CACHE__URL runs."
AT_ONCE = 16
"""Commands that one process has under way; more would open connections, not go faster."""
_BATCH = 1_000
_OF_ROWS = tuple(key.template.partition("{")[0] for key in KEYS if isinstance(key, OfRows))
"""What the names of entries that repeat rows begin with."""


@dataclass(frozen=True, slots=True, eq=False)
class _Load:
    """A value that is being read from the database, to be kept under a name."""

    name: str


class Cache:
    """The entries that `keys` lists, under the names of one database.

    What repeats rows is read and kept only while it is `trusted`: while somebody follows the
    database's announcements and drops what they outdate. It is a miss at any other time.
    """

    def __init__(
        self, backend: Backend, namespace: str, clock: Callable[[], datetime] = now
    ) -> None:
        self._backend = backend
        self._namespace = namespace
        self._clock = clock
        self._outage = Outage()
        self._gate = asyncio.Semaphore(AT_ONCE)
        # Those of them whose rows have not changed since.
        self._loads: set[_Load] = set()
        self._doubts = 0
        self.trusted = False

    async def get(self, slot: Slot[V]) -> V | None:
        """Return what is kept there; None when nothing is, or the cache is away."""
        return (await self.get_many([slot]))[0]

    async def get_many(self, slots: Sequence[Slot[V]]) -> list[V | None]:
        """Return what is kept in each place, asked for at once."""
        found = None
        if any(map(self._may_use, slots)):
            names = [self._name(slot.name) for slot in slots]
            found = await self._try(lambda: self._backend.get_many(*names))
        if found is None:
            return [None] * len(slots)
        return [self._read(slot, value) for slot, value in zip(slots, found, strict=True)]

    async def set(self, slot: LiveSlot[V], value: V) -> None:
        """Keep a value; it is dropped when the cache is away."""
        await self._put(slot, value)

    async def fetch(self, slot: Slot[V], load: Callable[[], Awaitable[V | None]]) -> V | None:
        """Return what is kept there, else what `load` reads from the database, and keep that.

        A value whose rows changed while it was read is returned but not kept, and None never is.
        """
        found = await self.get(slot)
        if found is not None:
            return found
        with self._loading(slot.name) as this:
            value = await load()
            if value is not None and this in self._loads and self._may_use(slot):
                await self._put(slot, value)
                if this not in self._loads:
                    # It was dropped at the same time, and which came first is not known.
                    await self.drop(slot)
        return value

    async def drop(self, *slots: Slot[V]) -> None:
        """Forget what is kept there, and what is being read for it."""
        wanted = {slot.name for slot in slots}
        self._loads = {load for load in self._loads if load.name not in wanted}
        names = [self._name(name) for name in wanted]
        if not names:
            return
        # When it fails, what could not be dropped is not trusted either.
        await self._try(lambda: self._backend.delete_many(*names))

    async def hit(self, user_id: UUID | str, endpoint: str, seconds: int = 60) -> Usage:
        """Count one request in the present window, which all processes share.

        Windows of so many seconds follow one another from 1970 on. Whoever limits compares the
        count, in which this request is, with the limit.

        Raises:
            UnavailableError: the cache is away; to go on without a limit is for the caller to say.
        """
        moment = self._clock()
        length = seconds * 1_000_000
        resets_at = from_micros((to_micros(moment) // length + 1) * length)
        unix = int(resets_at.timestamp())
        name = self._name(RATE_LIMIT(user_id=user_id, endpoint=endpoint, resets_at=unix))
        # Processes whose clocks differ a little still find the count.
        expire = (resets_at - moment).total_seconds() + 1
        count = await self._ask(lambda: self._backend.incr(name, 1, expire=expire))
        return Usage(count, resets_at)

    async def renew(self) -> None:
        """Drop all that repeats rows, and trust what is kept from then on.

        For whoever follows the announcements, at the start and whenever some may have been missed.
        """
        doubts = self._doubts
        self._loads.clear()
        with suppress(UnavailableError):
            await self._ask(self._drop_rows)
            self.trusted = doubts == self._doubts

    def distrust(self) -> None:
        """Neither read nor keep what repeats rows, until it is renewed."""
        self.trusted = False
        self._doubts += 1

    async def close(self) -> None:
        """Close the connections."""
        await self._backend.close()  # type: ignore[no-untyped-call] # cashews says nothing of it

    def _name(self, name: str) -> str:
        return f"{self._namespace}:{name}"

    def _may_use(self, slot: Slot[Any]) -> bool:
        return self.trusted or not isinstance(slot.entry, OfRows)

    def _read(self, slot: Slot[V], found: object) -> V | None:
        if not self._may_use(slot):
            return None  # Trust may have been lost while the answer was on its way.
        value = slot.entry.decode(found)
        if value is None or slot.entry.remaining(value, self._clock()).total_seconds() <= 0:
            return None
        return value

    async def _put(self, slot: Slot[V], value: V) -> None:
        seconds = slot.entry.remaining(value, self._clock()).total_seconds()
        if seconds <= 0:
            return
        name, written = self._name(slot.name), slot.entry.encode(value)
        await self._try(lambda: self._backend.set(name, written, expire=seconds))

    @contextmanager
    def _loading(self, name: str) -> Iterator[_Load]:
        this = _Load(name)
        self._loads.add(this)
        try:
            yield this
        finally:
            self._loads.discard(this)

    async def _drop_rows(self) -> None:
        # One pass over the server's keys for all kinds: a pass for each would take as long again.
        prefixes = tuple(map(self._name, _OF_ROWS))
        found = [
            name
            async for name in self._backend.scan(f"{self._namespace}:*", batch_size=_BATCH)
            if name.startswith(prefixes)
        ]
        for start in range(0, len(found), _BATCH):
            await self._backend.delete_many(*found[start : start + _BATCH])

    async def _try(self, command: Callable[[], Awaitable[T]]) -> T | None:
        with suppress(UnavailableError):
            return await self._ask(command)
        return None

    async def _ask(self, command: Callable[[], Awaitable[T]]) -> T:
        async with self._gate:
            # Those who waited while another found the cache dead need not find it again.
            if self._outage.is_paused:
                raise UnavailableError("The cache did not answer a moment ago.", hint=_HINT)
            try:
                answer = await command()
            except (CacheError, RedisError, OSError) as error:
                # A server that comes back may hold what was outdated meanwhile.
                self.distrust()
                self._outage.failed(error.__cause__ or error)
                raise UnavailableError("The cache does not answer.", hint=_HINT) from error
            self._outage.worked()
            return answer
