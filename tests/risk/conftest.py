"""Real prices in a database of the module's own, imported as a user would."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.formats.base import ParseHints
from seawall.market.formats.parse import parse_file
from seawall.market.ingest import ingest
from seawall.portfolios.importers.csv import parse_transactions
from seawall.portfolios.portfolios import create_portfolio
from seawall.portfolios.transactions import import_transactions

NOW = datetime(2026, 6, 1, tzinfo=UTC)

TRANSACTIONS = """date,type,asset,quantity,price_usd,fee_usd,notes
2023-01-05,deposit,USD,50000,,,
2023-01-10,buy,BTC,1.0,17000,17,
2023-02-10,buy,ETH,5,1550,7,
2023-05-10,buy,SOL,100,20,2,
2023-08-01,buy,LINK,200,7.5,1.5,
2024-02-01,sell,BTC,0.25,42000,10,
"""


async def fill_with_real_prices(location: Location, real_data: Path) -> None:
    """Import every daily file and the S&P 500, and make the portfolio `Real`."""
    engine = create_engine(location.url)
    files = [*sorted((real_data / "daily").iterdir()), real_data / "reference" / "SP500-close.csv"]
    for path in files:
        async with transaction(engine, OWNER_ID) as session:
            await ensure_owner(session)
            for parsed in parse_file(path, hints=ParseHints(now=NOW)):
                done = await ingest(session, parsed, str(path))
                assert not done.rejected
    async with transaction(engine, OWNER_ID) as session:
        await add_portfolio(session, "Real", TRANSACTIONS)
    await engine.dispose()


async def add_portfolio(session: AsyncSession, name: str, transactions: str) -> None:
    """Make a portfolio of these transactions."""
    await ensure_owner(session)
    portfolio = await create_portfolio(session, OWNER_ID, name)
    parsed = parse_transactions(transactions.encode(), NOW)
    assert not (await import_transactions(session, portfolio, parsed)).rejected


@pytest.fixture(scope="module")
def real_prices(module_location: Location, real_data: Path) -> Location:
    """A database with every real daily price."""
    asyncio.run(fill_with_real_prices(module_location, real_data))
    return module_location
