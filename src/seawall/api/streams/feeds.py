"""Where news come from: the rows that were committed since a feed was last read.

There is one feed of prices for all, and one for each user who listens. Whatever the news is woken
by, it is read from the database, by what the feed has seen of it: so nothing is lost, whoever was
away, and nothing comes twice.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.api.streams.messages import (
    Message,
    News,
    bring,
    say,
    tell_limit,
    tell_price,
    tell_report,
)
from seawall.api.streams.reader import End, Reader
from seawall.db.positions import Position, hold_still
from seawall.db.session import transaction, unbound_transaction
from seawall.market import store as market
from seawall.market.prices import read_prices
from seawall.market.store import AssetRecord
from seawall.risk.news import store as risk

MOST_CHANGES = 500
"""What is told of a user at once; whoever has missed more is to read afresh."""


@dataclass(frozen=True, slots=True)
class Span:
    """From where to where news is read; without a beginning it is how everything is."""

    since: Position | None
    here: Position


_TOO_OLD = "This id is too old, or of another database."
_TOO_MANY = f"More than {MOST_CHANGES} changes came since."


class Feed(ABC):
    """What a process tells its readers of one user, or of prices."""

    slot: str
    """By which an id tells its position from another feed's."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.readers: set[Reader] = set()
        self.position: Position | None = None

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction in which the feed may be read."""

    @abstractmethod
    async def read(
        self, session: AsyncSession, topics: frozenset[str], span: Span
    ) -> Sequence[News] | None:
        """Return what is new of topics since a position, else how they are; None for too much."""

    async def now(
        self, session: AsyncSession, topics: frozenset[str], here: Position
    ) -> Sequence[News]:
        """Return how topics are, once the other readers' news is read."""
        return await self.read(session, topics, Span(None, here)) or ()

    @abstractmethod
    def is_of(self, topic: str) -> bool:
        """Say whether a topic is told of here."""

    @asynccontextmanager
    async def _still(self) -> AsyncIterator[tuple[AsyncSession, Position]]:
        async with self.open() as session:
            yield session, await hold_still(session)

    async def pump(self) -> None:
        """Tell the readers what is new."""
        async with self._lock:
            if self.readers:
                async with self._still() as (session, here):
                    news = await self._read_new(session, here)
                self._tell(here, news)

    async def join(self, reader: Reader, topics: frozenset[str], after: Position | None) -> None:
        """Let a reader listen from a position on, or with how everything is now.

        It misses nothing: what others are told, and what it is told, is of the same snapshot.
        """
        async with self._lock:
            async with self._still() as (session, here):
                others = await self._read_new(session, here)
                reason, own = "", None
                if after is not None and not after.leads_to(here):
                    reason = _TOO_OLD
                elif after is not None:
                    own = await self.read(session, topics, Span(after, here))
                    reason = "" if own is not None else _TOO_MANY
                if own is None:
                    own = await self.now(session, topics, here)
            self._tell(here, others)
            self._note(own)
            if reader.end is None:
                self._begin(reader, topics, own, reason)

    def _begin(
        self, reader: Reader, topics: frozenset[str], own: Sequence[News], reason: str
    ) -> None:
        assert self.position is not None  # noqa: S101 - it was told just now
        self.readers.add(reader)
        reader.topics |= topics
        reader.positions[self.slot] = self.slot + self.position.write()
        if reason:
            reader.put(say("reset", reader.id, reason=reason))
        if own:
            reader.put(bring(reader.id, own))

    def leave(self, reader: Reader, topics: frozenset[str] | None = None) -> None:
        """Let a reader no longer listen, to some topics or at all."""
        if topics is not None:
            reader.topics -= topics
        if topics is None or not any(map(self.is_of, reader.topics)):
            self.readers.discard(reader)
            reader.positions.pop(self.slot, None)

    def watched(self) -> frozenset[str]:
        """Return what anybody listens to here."""
        every = {topic for topics in {each.topics for each in self.readers} for topic in topics}
        return frozenset(filter(self.is_of, every))

    def _note(self, news: Sequence[News]) -> Sequence[News]:
        """Return those that were not told before."""
        return news

    async def _read_new(self, session: AsyncSession, here: Position) -> Sequence[News] | None:
        if not self.readers or self.position is None:
            return ()
        news = await self.read(session, self.watched(), Span(self.position, here))
        return None if news is None else self._note(news)

    def _tell(self, here: Position, news: Sequence[News] | None) -> None:
        self.position = here
        if news is None:
            # They come again with their ids, and are told to read afresh.
            for reader in tuple(self.readers):
                reader.finish(End.TOO_MUCH)
            return
        place = self.slot + here.write()
        changed = frozenset(each.topic for each in news)
        made: dict[tuple[frozenset[str], str], Message] = {}
        for reader in tuple(self.readers):
            reader.positions[self.slot] = place
            wanted = reader.topics & changed
            if wanted:
                key = wanted, reader.id
                if key not in made:
                    made[key] = bring(key[1], (each for each in news if each.topic in wanted))
                reader.put(made[key])


class PriceFeed(Feed):
    """Prices, which are everybody's: an asset's newest one, whenever candles of it came."""

    slot = "p"

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self._engine = engine
        self._assets: dict[str, AssetRecord] = {}
        self._told: dict[str, bytes] = {}

    def know(self, assets: Iterable[AssetRecord]) -> None:
        """Note assets that are listened to."""
        self._assets |= {each.symbol: each for each in assets}

    def is_of(self, topic: str) -> bool:
        """Say whether it is of a price."""
        return topic.startswith("prices:")

    def open(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction of nobody."""
        return unbound_transaction(self._engine)

    async def read(
        self, session: AsyncSession, topics: frozenset[str], span: Span
    ) -> Sequence[News]:
        """Return the prices of which candles came, else all."""
        assets = [self._assets[topic.partition(":")[2]] for topic in sorted(topics)]
        if span.since is not None and assets:
            ids = [each.id for each in assets]
            found = await market.list_repriced(session, ids, span.since)
            assets = [each for each in assets if each.id in found]
        if not assets:
            return ()
        moment = span.here.at
        prices = await read_prices(session, assets, [moment], None, moment)
        return [
            tell_price(f"prices:{each.symbol}", each.symbol, prices[each.symbol].at(moment))
            for each in assets
        ]

    async def now(
        self, session: AsyncSession, topics: frozenset[str], here: Position
    ) -> Sequence[News]:
        """Return prices: those that others listen to are as they were told."""
        known = [
            News(topic, self._told[topic])
            for topic in sorted(topics & self.watched())
            if topic in self._told
        ]
        rest = topics - {each.topic for each in known}
        return [*known, *await self.read(session, rest, Span(None, here))]

    def _note(self, news: Sequence[News]) -> Sequence[News]:
        """Return the prices that are not what they were: candles may have come of long ago."""
        fresh = [each for each in news if self._told.get(each.topic) != each.body]
        self._told |= {each.topic: each.body for each in fresh}
        return fresh


class UserFeed(Feed):
    """What concerns one user: portfolios, their risk, and limits."""

    slot = "u"

    def __init__(self, engine: AsyncEngine, user_id: UUID) -> None:
        super().__init__()
        self._engine = engine
        self.user_id = user_id
        self.joining = 0

    def is_of(self, topic: str) -> bool:
        """Say whether it is of the user."""
        return not topic.startswith("prices:")

    def open(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction that sees the user's rows alone."""
        return transaction(self._engine, self.user_id)

    async def read(
        self, session: AsyncSession, topics: frozenset[str], span: Span
    ) -> Sequence[News] | None:
        """Return the reports that were kept and what became of limits."""
        news: list[News] = []
        subjects = {each.partition(":")[2] for each in topics if self.is_of(each)} - {""}
        if subjects:
            portfolios = list(map(UUID, subjects))
            reports = await risk.list_reports(session, portfolios, span.since, MOST_CHANGES + 1)
            if span.since is not None and len(reports) > MOST_CHANGES:
                return None
            news += [each for kept in reports for each in tell_report(kept, topics)]
        if "alerts" in topics:
            events = await risk.list_events(session, span.since, MOST_CHANGES + 1)
            if span.since is not None and len(events) > MOST_CHANGES:
                return None
            news += map(tell_limit, events)
        return news
