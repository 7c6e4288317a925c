"""How assets and pairs get into the catalogue."""

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.market import store
from seawall.market.pairs import kind_of
from seawall.market.store import AssetRecord, SymbolRecord


async def ensure_asset(
    session: AsyncSession, symbol: str, *, is_simulated: bool = False
) -> AssetRecord:
    """Return a coin or currency, put into the catalogue when it is new."""
    return await store.get_or_create_asset(
        session, symbol, kind_of(symbol), is_simulated=is_simulated
    )


async def ensure_index(session: AsyncSession, symbol: str) -> AssetRecord:
    """Return an index, put into the catalogue when it is new."""
    return await store.get_or_create_asset(session, symbol, "index")


async def ensure_pair(
    session: AsyncSession, exchange: str, pair: str, *, is_simulated: bool = False
) -> SymbolRecord:
    """Return a BASE/QUOTE pair on an exchange, put into the catalogue when it is new."""
    base, quote = pair.split("/")
    return await store.get_or_create_symbol(
        session,
        exchange,
        await ensure_asset(session, base, is_simulated=is_simulated),
        await ensure_asset(session, quote),
    )
