"""A populated database goes through the migration of portfolios, up and down, with its history."""

from collections.abc import AsyncIterator, Callable, Coroutine
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db import migrate
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.portfolios.portfolios import get_portfolio
from seawall.portfolios.projecting.project import project_holdings
from seawall.portfolios.store import list_holdings

CopyFilled = Callable[[Location, str, Callable[[Location], Coroutine[None, None, None]]], None]
USER = UUID(int=0xA11CE)
POPULATE = """
    INSERT INTO users (id, username) VALUES (:user, 'alice');
    INSERT INTO assets (symbol, name, kind) VALUES ('BTC', 'Bitcoin', 'crypto');
    INSERT INTO portfolios (user_id, name, description) VALUES (:user, 'Old', 'kept');
    INSERT INTO transactions (user_id, portfolio_id, transaction_date, transaction_type, asset_id,
        quantity, price_usd, fee_usd, notes, external_id, recorded_at)
    SELECT :user, portfolios.id, '2024-01-01'::timestamptz + n * interval '1 day',
        CASE WHEN n % 3 = 2 THEN 'sell' ELSE 'buy' END, assets.id, 1.5, 100 + n, 0.1, 'note ' || n,
        CASE WHEN n % 2 = 0 THEN 'imported ' || n END, '2024-06-01'
    FROM portfolios, assets, generate_series(0, 29) n
"""
OLD = (
    "SELECT id, user_id, portfolio_id, entry, transaction_date, transaction_type, asset_id,"
    " quantity, price_usd, fee_usd, notes, external_id, recorded_at"
    " FROM transactions ORDER BY entry"
)
OLD_PORTFOLIOS = "SELECT id, user_id, name, description, created_at, deleted_at FROM portfolios"


async def _populate(location: Location) -> None:
    engine = create_engine(location.admin_url, role=None, pooled=False)
    await migrate.downgrade(engine, "0009")
    async with engine.begin() as connection:
        for statement in POPULATE.split(";"):
            said = text(statement)
            await connection.execute(said, {"user": USER} if ":user" in statement else {})
    await engine.dispose()


@pytest.fixture
def location(empty_location: Location, copy_filled: CopyFilled) -> Location:
    """A populated database of the revision before."""
    copy_filled(empty_location, "portfolios_of_before", _populate)
    return empty_location


@pytest.fixture
async def before(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine on it, as who may migrate."""
    engine = create_engine(location.admin_url, role=None, pooled=False)
    yield engine
    await engine.dispose()


async def _rows(engine: AsyncEngine, query: str) -> list[tuple[object, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def test_the_history_goes_up_and_down_unchanged(before: AsyncEngine) -> None:
    history, portfolios = await _rows(before, OLD), await _rows(before, OLD_PORTFOLIOS)
    assert len(history) == 30
    await migrate.upgrade(before)
    assert await _rows(before, OLD) == history
    assert await _rows(before, OLD_PORTFOLIOS) == portfolios
    await migrate.downgrade(before, "0009", lose_data=True)
    assert await _rows(before, OLD) == history
    assert await _rows(before, OLD_PORTFOLIOS) == portfolios


async def test_new_columns_say_what_is_known_of_the_past(before: AsyncEngine) -> None:
    await migrate.upgrade(before)
    told = await _rows(
        before,
        "SELECT DISTINCT total_usd = quantity * price_usd, external_id IS NULL,"
        " imported_at IS NOT DISTINCT FROM recorded_at, imported_at IS NULL FROM transactions",
    )
    assert sorted(told) == [(True, False, True, False), (True, True, False, True)]
    (portfolio,) = await _rows(
        before, "SELECT lot_method, is_primary, is_public, total_value_usd FROM portfolios"
    )
    assert portfolio == ("fifo", False, False, None)


async def test_holdings_follow_from_a_history_that_is_older_than_they_are(
    before: AsyncEngine, engine: AsyncEngine
) -> None:
    await migrate.upgrade(before)
    async with transaction(engine, USER) as session:
        old = await get_portfolio(session, "Old")
        await project_holdings(session, old.id, old.created_at)
        (held,) = await list_holdings(session, old.id)
    # Twenty buys and ten sells of 1.5 each; the first ten buys have left.
    assert held.quantity == 15
    (lots,) = await _rows(before, "SELECT count(*), sum(quantity), min(acquired_at) FROM lots")
    assert lots[:2] == (10, 15)
    assert str(lots[2]).startswith("2024-01-16")
