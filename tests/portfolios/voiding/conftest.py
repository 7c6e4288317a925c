"""Portfolios of a module's database, with what is done to their transactions."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.portfolios import store
from seawall.portfolios.browse.store import find_transaction
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.schemas import (
    LotMethod,
    ParsedTransactions,
    PortfolioRecord,
    Transaction,
)
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.voiding.history import lock_history
from seawall.portfolios.voiding.void import (
    Correction,
    correct_transaction,
    void_import,
    void_transactions,
)

NAMES = count(1)


class Books:
    """What the owner does: each test has portfolios of its own."""

    now = datetime(2025, 1, 1, tzinfo=UTC)
    buys = (
        "2024-01-01,deposit,USD,1000,,,",
        "2024-01-01,buy,BTC,2,100,1,",
        "2024-01-03,sell,BTC,1,150,,",
    )

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction as the owner."""
        return transaction(self._engine, OWNER_ID)

    def file(self, *rows: str) -> ParsedTransactions:
        """Read rows as a file of them."""
        return parse_transactions("\n".join([HEADER, *rows]).encode(), self.now)

    async def make(self, method: LotMethod = LotMethod.FIFO) -> PortfolioRecord:
        """Make a portfolio."""
        async with self.transaction() as session:
            return await create_portfolio(session, OWNER_ID, f"P{next(NAMES)}", "", method)

    async def take(
        self, portfolio: PortfolioRecord, *rows: str, again: bool = False
    ) -> tuple[int, int, int]:
        """Import rows; tell how many were new, known, and left out."""
        async with self.transaction() as session:
            done = await import_transactions(session, portfolio, self.file(*rows), again=again)
        assert not done.rejected
        return done.inserted, done.unchanged, done.left_out

    async def rows(self, portfolio: PortfolioRecord) -> list[Transaction]:
        """What counts, in order."""
        async with self.transaction() as session:
            return await store.list_transactions(session, portfolio.id)

    async def void(self, portfolio: PortfolioRecord, *which: Transaction) -> int:
        """Void some of it."""
        ids = [each.id for each in which if each.id is not None]
        async with self.transaction() as session:
            locked = await lock_history(session, portfolio.id)
            return await void_transactions(session, locked, ids, "typed wrongly")

    async def correct(self, portfolio: PortfolioRecord, which: Transaction, **columns: str) -> UUID:
        """Correct one; return the id of what replaced it."""
        assert which.id is not None
        async with self.transaction() as session:
            locked = await lock_history(session, portfolio.id)
            wanted = Correction(columns, self.now)
            return (await correct_transaction(session, locked, which.id, wanted)).id

    async def undo(self, portfolio: PortfolioRecord, one: Transaction) -> None:
        """Void the import that a transaction came with."""
        async with self.transaction() as session:
            assert one.id is not None
            record = await find_transaction(session, portfolio.id, one.id)
            assert record is not None
            assert record.imported_at is not None
            locked = await lock_history(session, portfolio.id)
            await void_import(session, locked, record.imported_at)


@pytest.fixture
async def books(module_location: Location) -> AsyncIterator[Books]:
    """The owner's books in the module's database."""
    made = create_engine(module_location.url)
    async with transaction(made, OWNER_ID) as session:
        await ensure_owner(session)
    yield Books(made)
    await made.dispose()
