"""How assets and pairs get into the catalogue."""

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError
from seawall.market import store
from seawall.market.pairs import QUOTES, WELL_KNOWN_BASES, kind_of
from seawall.market.store import AssetRecord, SymbolRecord

INDEX = "index"


async def ensure_asset(
    session: AsyncSession, symbol: str, *, is_simulated: bool = False
) -> AssetRecord:
    """Return a coin or currency, put into the catalogue when it is new."""
    return await store.get_or_create_asset(
        session, symbol, kind_of(symbol), is_simulated=is_simulated
    )


async def ensure_traded(
    session: AsyncSession, symbol: str, *, is_simulated: bool = False
) -> AssetRecord:
    """Return a coin or currency that a pair trades.

    Raises:
        ConflictError: the name is an index' here.
    """
    asset = await ensure_asset(session, symbol, is_simulated=is_simulated)
    if await store.read_kind(session, asset.id) == INDEX:
        raise ConflictError(
            f"{symbol} is an index here, which no pair trades.",
            hint="Name the pair otherwise: --symbol BASE/QUOTE.",
        )
    return asset


async def ensure_index(session: AsyncSession, symbol: str) -> AssetRecord:
    """Return an index, put into the catalogue when it is new.

    What was only ever named in a transaction, and so taken for a coin, becomes the index.

    Raises:
        ConflictError: the name is a coin's or a currency's.
    """
    if symbol not in QUOTES | WELL_KNOWN_BASES:
        asset = await store.get_or_create_asset(session, symbol, INDEX)
        if await store.read_kind(session, asset.id, to_change=True) == INDEX:
            return asset
        if not await store.is_traded(session, asset.id):
            return await store.set_kind(session, asset, INDEX)
    raise ConflictError(
        f"{symbol} is the name of a coin or currency, whose prices are candles of a pair.",
        hint="Bring candles of it; or name the index otherwise: --symbol NAME.",
    )


async def ensure_pair(
    session: AsyncSession, exchange: str, pair: str, *, is_simulated: bool = False
) -> SymbolRecord:
    """Return a BASE/QUOTE pair on an exchange, put into the catalogue when it is new."""
    base, quote = pair.split("/")
    return await store.get_or_create_symbol(
        session,
        exchange,
        await ensure_traded(session, base, is_simulated=is_simulated),
        await ensure_traded(session, quote),
    )
