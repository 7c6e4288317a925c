"""The streams of one process: feeds, who reads them, and what wakes them.

It listens to the database's announcements while anybody reads. They only wake: what is told is read
from the rows. So a connection that is lost delays news and loses none.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from asyncpg import Connection
from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from seawall.api.streams.feeds import Feed, PriceFeed, UserFeed
from seawall.api.streams.guard import find_end
from seawall.api.streams.reader import End, Holder, Reader, read_id
from seawall.api.streams.topics import Kind, Topic, require
from seawall.core.errors import InvalidError, SeawallError, UnavailableError
from seawall.db.faults import translated
from seawall.identity.desk import Desk
from seawall.identity.errors import TooManyRequestsError

_log = logging.getLogger(__name__)
CHANNEL = "seawall_streams"
SIGN_OF_LIFE = 1.0
"""Seconds after which a silent connection is asked whether it lives."""
RETRY = 1.0
LOOK_AGAIN = timedelta(seconds=60)
"""After so long feeds are read and sessions looked up, though nothing was announced."""
_AT_ONCE = 4
_LATER = timedelta(seconds=5)
_FAULTS = (SeawallError, SQLAlchemyError)


class Hub:
    """All streams of a process."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._prices = PriceFeed(desk.engine)
        self._users: dict[UUID, UserFeed] = {}
        self._readers: dict[UUID, set[Reader]] = {}
        self._addresses: Counter[str] = Counter()
        self._gate = asyncio.Semaphore(_AT_ONCE)
        # However many come at once, connections are left for requests.
        self._door = asyncio.Semaphore(_AT_ONCE)
        self._stale: set[Feed] = set()
        self._checked: dict[UUID, datetime] = {}
        self._suspects: set[UUID] = set()
        self._work: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None
        self._is_heard = asyncio.Event()

    async def open(self, holder: Holder, address: str) -> Reader:
        """Let somebody at an address read; `close` has to follow.

        Raises:
            TooManyRequestsError: the user, or the address, has very many streams.
            UnavailableError: this process has.
        """
        settings = self._desk.settings.api
        if sum(map(len, self._readers.values())) >= settings.streams:
            raise UnavailableError("This process has as many streams as it may have.")
        if self._addresses[address] >= settings.streams_per_address:
            raise TooManyRequestsError(
                f"Your address has {self._addresses[address]} streams. Close one first.",
                self._desk.clock() + _LATER,
            )
        own = self._readers.get(holder.user_id, set())
        if len(own) >= settings.streams_per_user:
            raise TooManyRequestsError(
                f"You have {len(own)} streams. Close one first.", self._desk.clock() + _LATER
            )
        reader = Reader(holder, self._desk.clock(), address)
        self._readers.setdefault(holder.user_id, own).add(reader)
        self._addresses[address] += 1
        if self._listening is None:
            self._listening = _of_nobody(self._run())
        try:
            # From here on whatever ends the session is heard of.
            await self._is_heard.wait()
            async with self._door:
                await self._look(holder.user_id)
        except BaseException:
            self.close(reader)
            raise
        return reader

    async def subscribe(self, reader: Reader, topics: frozenset[Topic], after: str) -> None:
        """Let a reader listen to topics, from an id on or from now.

        Raises:
            NotFoundError: a topic is of something that is not there, or another's.
            InvalidError: the id is none.
        """
        positions = read_id(after) if after else {}
        if positions is None:
            raise InvalidError("This is not the id of an event.", hint="Leave it out.")
        user_id = reader.holder.user_id
        async with self._door:
            self._prices.know(await require(self._desk, user_id, topics))
        prices = frozenset(each.name for each in topics if each.kind is Kind.PRICES)
        own = frozenset(each.name for each in topics) - prices
        if prices:
            await self._prices.join(reader, prices, positions.get("p"))
        if own:
            feed = self._users.setdefault(user_id, UserFeed(self._desk.engine, user_id))
            feed.joining += 1
            try:
                await feed.join(reader, own, positions.get("u"))
            finally:
                feed.joining -= 1
                self._forget_unread(feed)

    def unsubscribe(self, reader: Reader, topics: frozenset[Topic]) -> None:
        """Let a reader no longer listen to topics."""
        names = frozenset(each.name for each in topics)
        self._leave(reader, names)

    def close(self, reader: Reader) -> None:
        """Forget a reader; after the last one nothing is listened to."""
        self._leave(reader, None)
        user_id = reader.holder.user_id
        own = self._readers.get(user_id, set())
        if reader in own:
            own.discard(reader)
            self._addresses -= Counter((reader.address,))
        if not own:
            self._readers.pop(user_id, None)
            self._checked.pop(user_id, None)
        if not self._readers and self._listening is not None:
            self._stop(self._listening)

    def _stop(self, listening: "asyncio.Task[None]") -> None:
        # All of it here: what listens next may have begun before this one has ended.
        listening.cancel()
        self._listening = None
        self._is_heard.clear()
        for task in tuple(self._work):
            task.cancel()
        self._stale.clear()
        self._suspects.clear()

    def _leave(self, reader: Reader, topics: frozenset[str] | None) -> None:
        self._prices.leave(reader, topics)
        feed = self._users.get(reader.holder.user_id)
        if feed is not None:
            feed.leave(reader, topics)
            self._forget_unread(feed)

    def _forget_unread(self, feed: UserFeed) -> None:
        # Who is about to join waits for the database, and is to join a feed that is still fed.
        if not feed.readers and not feed.joining and self._users.get(feed.user_id) is feed:
            del self._users[feed.user_id]

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = _of_nobody(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _hear(self, announced: str) -> None:
        try:
            what, *who = orjson.loads(announced)
            users = list(map(UUID, who))
        except (ValueError, TypeError, AttributeError):
            return  # Whoever may connect to the database can say anything.
        if what == "prices":
            self._wake(self._prices)
        elif what == "users":
            for user in users:
                if user in self._users:
                    self._wake(self._users[user])
        elif what == "ended":
            self._suspects.update(user for user in users if user in self._readers)
            self._do(self._look_at_suspects())

    def _wake(self, feed: Feed) -> None:
        if feed not in self._stale and feed.readers:
            self._stale.add(feed)
            self._do(self._pump(feed))

    async def _pump(self, feed: Feed) -> None:
        async with self._gate:
            # What is announced from here on needs another look.
            self._stale.discard(feed)
            try:
                await feed.pump()
            except _FAULTS as error:
                _log.warning("A stream's news cannot be read, and is read later: %s", error)
                await asyncio.sleep(RETRY)
                self._wake(feed)

    async def _look_at_suspects(self) -> None:
        while self._suspects:
            user_id = self._suspects.pop()
            try:
                async with self._gate:
                    await self._look(user_id)
            except _FAULTS as error:
                _log.warning("A stream's session cannot be looked up: %s", error)
                self._suspects.add(user_id)
                await asyncio.sleep(RETRY)

    async def _look(self, user_id: UUID) -> None:
        """End the streams of a user whose sessions or keys are over."""
        now = self._desk.clock()
        self._checked[user_id] = now
        readers = tuple(self._readers.get(user_id, ()))
        found = await find_end(self._desk, {each.holder for each in readers})
        for reader in readers:
            until = found.get(reader.holder)
            if until is None or until <= now:
                reader.finish(End.SESSION)
            else:
                reader.until = until

    async def _run(self) -> None:
        mine, watching = asyncio.current_task(), asyncio.create_task(self._watch())
        was_lost = False
        try:
            while True:
                try:
                    with translated():
                        await self._listen()
                except _FAULTS as error:
                    if self._listening is not mine:
                        return  # It was ended, and its connection would not close.
                    if not was_lost:
                        _log.warning("Streams do not hear from the database: %s", error)
                    was_lost = True
                    self._is_heard.clear()
                    await asyncio.sleep(RETRY)
        finally:
            watching.cancel()

    async def _listen(self) -> None:
        async with self._desk.engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, Connection)  # noqa: S101 - the engine is always asyncpg's
            lost = asyncio.Event()
            try:
                driver.add_termination_listener(lambda _: lost.set())
                await driver.execute("SET application_name = 'seawall streams'")
                await driver.add_listener(CHANNEL, lambda *event: self._hear(str(event[-1])))
                # Whatever was announced before is looked for.
                self._look_everywhere()
                self._is_heard.set()
                while not lost.is_set():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(SIGN_OF_LIFE):
                            await lost.wait()
                    await driver.fetchval("SELECT 1", timeout=5 * SIGN_OF_LIFE)
            finally:
                # The pool must not hand out a connection that listens.
                await connection.invalidate()
        raise UnavailableError("The connection was closed.")

    def _look_everywhere(self) -> None:
        for feed in (self._prices, *self._users.values()):
            self._wake(feed)
        self._suspects.update(self._readers)
        self._do(self._look_at_suspects())

    async def _watch(self) -> None:
        """Look now and then at what nothing was announced of."""
        while True:
            await asyncio.sleep(RETRY)
            for reader in [each for readers in self._readers.values() for each in readers]:
                reader.look()
            now = self._desk.clock()
            # Unheard, a session may be over without a word.
            patience = LOOK_AGAIN if self._is_heard.is_set() else timedelta(seconds=2 * RETRY)
            due = {
                user
                for user, readers in self._readers.items()
                if now - self._checked.get(user, now) >= patience
                or any(each.until <= now for each in readers)
            }
            if due - self._suspects:
                self._suspects |= due
                self._do(self._look_at_suspects())
            for feed in (self._prices, *self._users.values()):
                if feed.position is not None and now - feed.position.at >= LOOK_AGAIN:
                    self._wake(feed)


def _of_nobody(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Begin what is done for all, and is not logged as of the request that it began with."""
    return asyncio.create_task(work, context=Context())


def hub_of(app: FastAPI) -> Hub:
    """Return the streams of an app, which begin with the first one."""
    found: Hub | None = getattr(app.state, "streams", None)
    if found is None:
        found = app.state.streams = Hub(app.state.desk)
    return found
