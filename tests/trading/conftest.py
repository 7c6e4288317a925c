"""What an account needs to trade, of a user of each test's own in a database of the module's."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db.database import Location
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.market import catalog
from seawall.strategies.tables import Strategy
from seawall.trading.tables import TradingAccount


@pytest.fixture
def location(module_location: Location) -> Location:
    """Keep to one database: a test's user sees nothing of another's."""
    return module_location


@pytest.fixture
def user() -> UUID:
    """The user of this test."""
    return uuid4()


@pytest.fixture
async def session(engine: AsyncEngine, user: UUID) -> AsyncIterator[AsyncSession]:
    """One transaction as this test's user, committed at the test's end."""
    async with transaction(engine, user) as opened:
        await opened.execute(insert(User).values(id=user, username=str(user)))
        yield opened


@pytest.fixture
async def usdt(session: AsyncSession) -> int:
    """The currency that accounts are kept in."""
    return (await catalog.ensure_asset(session, "USDT")).id


@pytest.fixture
async def btc(session: AsyncSession) -> int:
    """What is bought with it."""
    return (await catalog.ensure_asset(session, "BTC")).id


@pytest.fixture
async def pair(session: AsyncSession) -> int:
    """BTC/USDT on Binance."""
    return (await catalog.ensure_pair(session, "binance", "BTC/USDT")).id


@pytest.fixture
async def other_pair(session: AsyncSession) -> int:
    """ETH/USDT on Binance."""
    return (await catalog.ensure_pair(session, "binance", "ETH/USDT")).id


async def _account(session: AsyncSession, currency: int, name: str, mode: str) -> UUID:
    made = insert(TradingAccount).values(
        name=name, mode=mode, currency_asset_id=currency, initial_balance=1000
    )
    return (await session.scalars(made.returning(TradingAccount.id))).one()


@pytest.fixture
async def account(session: AsyncSession, usdt: int) -> UUID:
    """A paper account."""
    return await _account(session, usdt, "Paper", "paper")


@pytest.fixture
async def live_account(session: AsyncSession, usdt: int) -> UUID:
    """An account with real money."""
    return await _account(session, usdt, "Live", "live")


@pytest.fixture
async def strategy(session: AsyncSession) -> UUID:
    """A strategy."""
    made = insert(Strategy).values(name="Trend", type="moving_average", timeframe=3600)
    return (await session.scalars(made.returning(Strategy.id))).one()
