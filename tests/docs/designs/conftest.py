"""How a design's own query is put to the migrated schema."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market import catalog

Rows = list[tuple[Any, ...]]
Names = Mapping[str, str]
Ask = Callable[..., Awaitable[Rows]]


@pytest.fixture
async def session(module_location: Location) -> AsyncIterator[AsyncSession]:
    """One transaction on the module's database, undone at the end."""
    engine = create_engine(module_location.url, pooled=False)
    async with transaction(engine, OWNER_ID) as opened:
        await ensure_owner(opened)
        yield opened
        await opened.rollback()
    await engine.dispose()


@pytest.fixture
def ask(session: AsyncSession) -> Ask:
    """Run a query as a design writes it, its names changed to ours; return the rows, if any.

    Every name that is given has to stand in the query, so none is given in vain.
    """

    async def run(query: str, *values: object, names: Names | None = None) -> Rows:
        renamed = _rename(query, names or {})
        found = await (await session.connection()).exec_driver_sql(renamed, values)
        return [tuple(row) for row in found] if found.returns_rows else []

    return run


def _rename(query: str, names: Names) -> str:
    if not names:
        return query
    written = re.compile("|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in names))
    assert set(written.findall(query)) == set(names)
    return written.sub(lambda found: names[found[0]], query)


@pytest.fixture
async def assets(session: AsyncSession) -> dict[str, int]:
    """The ids of some coins."""
    return {
        symbol: (await catalog.ensure_asset(session, symbol)).id
        for symbol in ("BTC", "ETH", "SOL", "SHIB")
    }


@pytest.fixture
async def pairs(session: AsyncSession) -> dict[str, int]:
    """The ids of some pairs on Binance."""
    return {
        symbol: (await catalog.ensure_pair(session, "binance", symbol)).id
        for symbol in ("BTC/USDT", "ETH/USDT")
    }
