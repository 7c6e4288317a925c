"""What can be listened to, and whether who asks may."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from seawall.api.v1.portfolios import absent
from seawall.core.errors import InvalidError, NotFoundError
from seawall.db.session import transaction
from seawall.identity.desk import Desk
from seawall.market.store import AssetRecord, find_assets
from seawall.portfolios.browse.store import count_portfolios

MOST_TOPICS = 50
_SYMBOL = re.compile(r"[^\s\0:,]{1,32}")
_HINT = "Topics are prices:BTC, portfolio:{id}, risk:{id} and alerts."


class Kind(StrEnum):
    """The kinds of topics."""

    PRICES = "prices"
    PORTFOLIO = "portfolio"
    RISK = "risk"
    ALERTS = "alerts"


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing that can be listened to: a kind, and an asset's symbol or a portfolio's id."""

    kind: Kind
    subject: str = ""

    @property
    def name(self) -> str:
        """How it is written."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind.value


def parse_topics(written: Iterable[str]) -> frozenset[Topic]:
    """Read topics.

    Raises:
        InvalidError: one is none, or there are too many.
    """
    topics = frozenset(map(_parse, written))
    if not 1 <= len(topics) <= MOST_TOPICS:
        raise InvalidError(f"A stream has 1 to {MOST_TOPICS} topics.", hint=_HINT)
    return topics


def _parse(written: str) -> Topic:
    kind, _, subject = written.partition(":")
    match kind:
        case Kind.ALERTS if not subject and written == kind:
            return Topic(Kind.ALERTS)
        case Kind.PRICES if _SYMBOL.fullmatch(subject):
            return Topic(Kind.PRICES, subject)
        case Kind.PORTFOLIO | Kind.RISK:
            try:
                return Topic(Kind(kind), str(UUID(subject)))
            except ValueError:
                pass
    raise InvalidError(f"{written[:50]!r} is not a topic.", hint=_HINT)


async def require(desk: Desk, user_id: UUID, topics: Iterable[Topic]) -> list[AssetRecord]:
    """Check that all that topics are about is there, and the user's; return the assets.

    Raises:
        NotFoundError: something is not, or is another's: nobody can tell which.
    """
    portfolios = {each.subject for each in topics if each.kind in (Kind.PORTFOLIO, Kind.RISK)}
    symbols = {each.subject for each in topics if each.kind is Kind.PRICES}
    async with transaction(desk.engine, user_id) as session:
        if await count_portfolios(session, [*map(UUID, portfolios)]) < len(portfolios):
            raise absent()
        assets = await find_assets(session, symbols)
    missing = sorted(symbols - assets.keys())
    if missing:
        raise NotFoundError(f"There is no asset {missing[0]}.")
    return list(assets.values())
