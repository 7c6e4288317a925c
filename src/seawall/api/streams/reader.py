"""One reader of a stream: what waits for it, within bounds, and why it is over."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from time import monotonic
from uuid import UUID

from seawall.api.metrics import STREAMED, STREAMS_CUT
from seawall.api.streams.messages import Message, say
from seawall.db.positions import Position, read_position

MOST_WAITING = 256
MOST_BYTES = 1 << 18
"""What waits for one reader: when it is as much as either and more comes, the reader is cut."""
HEARTBEAT = 15.0
"""Seconds after which a silent stream says that it lives, and where it is."""
WRITE_SECONDS = 10.0
"""Seconds in which a reader has to take what it is sent."""
_JOINED = "~"


class End(Enum):
    """Why a stream is over: a word, WebSocket's code, and whether to come again."""

    LEFT = ("left", 1000, False)
    DONE = ("done", 1000, False)
    STOPPING = ("stopping", 1001, True)
    SLOW = ("slow", 1013, True)
    TOO_MUCH = ("too-much", 1013, True)
    POLICY = ("too-many-messages", 1008, False)
    SESSION = ("session-over", 4401, False)

    @property
    def word(self) -> str:
        """What the reader is told."""
        return self.value[0]

    @property
    def code(self) -> int:
        """WebSocket's."""
        return self.value[1]

    @property
    def again(self) -> bool:
        """Whether it may go on from where it was."""
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose stream it is, and what lets them in: a session, refreshed or not, or a key."""

    user_id: UUID
    session_id: UUID | None = None
    key_id: UUID | None = None


@dataclass(eq=False)
class Reader:
    """Gets what is published, and is cut rather than waited for.

    `on_end` is called once, when it is over.
    """

    holder: Holder
    until: datetime
    address: str = ""
    topics: frozenset[str] = frozenset()
    positions: dict[str, str] = field(default_factory=dict)
    end: End | None = None
    on_end: Callable[[End], None] | None = None
    _waiting: deque[Message] = field(default_factory=deque)
    _bytes: int = 0
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _busy_since: float | None = None
    _quiet_since: float = field(default_factory=monotonic)

    @property
    def id(self) -> str:
        """Where to go on from once all that waits has come."""
        return _JOINED.join(self.positions.values())

    def put(self, message: Message) -> None:
        """Send something, or cut the reader when too much waits already."""
        if self.end is not None:
            return
        # Whoever has taken all is sent the next, however long it is.
        if len(self._waiting) >= MOST_WAITING or self._bytes > MOST_BYTES:
            self.finish(End.SLOW)
            return
        self._bytes += len(message.body)
        self._waiting.append(message)
        self._some.set()

    def finish(self, end: End) -> None:
        """End it; one that is cut is not given what waits."""
        if self.end is not None:
            return
        self.end = end
        if end is not End.DONE:
            self._waiting.clear()
        if end not in (End.LEFT, End.DONE):
            STREAMS_CUT.labels(end.word).inc()
        self._some.set()
        if self.on_end is not None:
            self.on_end(end)

    async def take(self) -> Message | None:
        """Return what comes next, None once it is over; call `taken` when that has been sent."""
        while not self._waiting:
            if self.end is not None:
                return None
            self._some.clear()
            await self._some.wait()
        message = self._waiting.popleft()
        self._bytes -= len(message.body)
        self._busy_since = self._quiet_since = monotonic()
        return message

    def taken(self) -> None:
        """Note that the reader has taken what it was sent."""
        self._busy_since = None
        STREAMED.inc()

    def look(self) -> None:
        """Cut it when it does not take what it is sent; say that it lives when all is silent.

        One look at all readers each second costs less than a clock for each message.
        """
        now = monotonic()
        if self._busy_since is not None:
            if now - self._busy_since > WRITE_SECONDS:
                self.finish(End.SLOW)
        elif not self._waiting and now - self._quiet_since > HEARTBEAT:
            self.put(say("heartbeat", self.id))


def read_id(written: str) -> dict[str, Position] | None:
    """Read where a reader was; None when it is no id of a stream."""
    found: dict[str, Position] = {}
    for part in written.split(_JOINED)[:2]:
        position = read_position(part[1:])
        if position is None or part[0] not in "pu":
            return None
        found[part[0]] = position
    return found
