"""A user of the test's own, with two coins whose prices are told day by day, and a portfolio."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.database import Location
from seawall.db.locks import clock
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.valuation import Moment, Valuation, value_portfolio
from seawall.risk.limits.change import change_limits
from seawall.risk.limits.schemas import Amount, LimitName, Limits, Subject

START = datetime(2024, 1, 1, tzinfo=UTC)


def candles(pair: str, closes: Sequence[float]) -> ParsedFile:
    """Daily candles from 2024 on; the close of the n-th day is known at midnight n + 1."""
    records = np.zeros(len(closes), CANDLE_DTYPE)
    records["time"] = np.datetime64("2024-01-01", "us") + np.arange(len(closes)) * np.timedelta64(
        1, "D"
    )
    for name in ("open", "high", "low", "close"):
        records[name] = closes
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, len(closes), (), pair, "kraken", Timeframe(86_400)
    )


@dataclass(frozen=True)
class Desk:
    """What a test does with a portfolio and its limits."""

    session: AsyncSession
    user: UUID

    async def portfolio(self, *rows: str, name: str = "Mine") -> PortfolioRecord:
        """Make a portfolio out of rows of transactions."""
        made = await create_portfolio(self.session, self.user, name)
        if not rows:
            return made
        text = "\n".join((HEADER, *rows)) + "\n"
        parsed = parse_transactions(text.encode(), START + timedelta(days=400))
        assert not (await import_transactions(self.session, made, parsed)).rejected
        return made

    async def prices(self, pair: str, *closes: float) -> None:
        """Hold daily closes of a pair."""
        await ingest(self.session, candles(pair, closes), pair)

    async def value(self, portfolio: PortfolioRecord, days: float) -> Valuation:
        """Value a portfolio so many days after the start."""
        moment = Moment(START + timedelta(days=days), await clock(self.session))
        return await value_portfolio(self.session, portfolio, moment, portfolio.lot_method)

    async def limit(
        self,
        portfolio: PortfolioRecord | None = None,
        *,
        blocking: tuple[LimitName, ...] = (),
        **allowed: Amount | None,
    ) -> Limits:
        """Set limits of a portfolio, or of everything."""
        subject = Subject(None if portfolio is None else portfolio.id)
        values = {LimitName(name): value for name, value in allowed.items()}
        return await change_limits(
            self.session, self.user, subject, values, dict.fromkeys(blocking, True)
        )


@pytest.fixture
def location(module_location: Location) -> Location:
    """Keep to one database: a test's user sees nothing of another's."""
    return module_location


@pytest.fixture
async def desk(engine: AsyncEngine) -> AsyncIterator[Desk]:
    """A transaction as a user of the test's own, undone at its end."""
    user = uuid4()
    async with transaction(engine, user) as session:
        await session.execute(insert(User).values(id=user, username=str(user)))
        yield Desk(session, user)
        await session.rollback()
