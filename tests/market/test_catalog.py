"""Assets and pairs get into the catalogue once, as what they are."""

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market import catalog, store
from seawall.market.tables import Asset, Exchange, Symbol


async def test_a_pair_brings_its_assets_and_its_exchange(session: AsyncSession) -> None:
    pair = await catalog.ensure_pair(session, "kraken", "ETH/USDC")
    assert (pair.symbol, pair.exchange) == ("ETH/USDC", "kraken")
    assert (pair.base.symbol, pair.base.kind) == ("ETH", "crypto")
    assert (pair.quote.symbol, pair.quote.kind) == ("USDC", "stablecoin")
    assert await catalog.ensure_pair(session, "kraken", "ETH/USDC") == pair
    other = await catalog.ensure_pair(session, "binance", "ETH/USDC")
    assert other.id != pair.id
    assert (other.base, other.quote) == (pair.base, pair.quote)
    for table, rows in ((Asset, 2), (Exchange, 2), (Symbol, 2)):
        assert await session.scalar(select(func.count()).select_from(table)) == rows


@pytest.mark.parametrize(
    ("symbol", "kind"), [("USD", "fiat"), ("DAI", "stablecoin"), ("X", "crypto")]
)
async def test_an_asset_is_of_its_kind(session: AsyncSession, symbol: str, kind: str) -> None:
    assert (await catalog.ensure_asset(session, symbol)).kind == kind


async def test_what_an_asset_was_first_stays(session: AsyncSession) -> None:
    first = await catalog.ensure_asset(session, "SIM", is_simulated=True)
    assert await catalog.ensure_asset(session, "SIM") == first
    assert first.is_simulated


async def test_an_index_is_no_coin(session: AsyncSession) -> None:
    index = await catalog.ensure_index(session, "SP500")
    assert index.kind == "index"
    assert await catalog.ensure_index(session, "SP500") == index
    for pair in ("SP500/USD", "BTC/SP500"):
        with pytest.raises(ConflictError, match="SP500 is an index here"):
            await catalog.ensure_pair(session, "kraken", pair)


async def test_a_coin_that_is_traded_is_no_index(session: AsyncSession) -> None:
    await catalog.ensure_pair(session, "kraken", "BTC/USD")
    for symbol in ("BTC", "USD"):
        with pytest.raises(ConflictError, match=f"{symbol} is the name of a coin or currency"):
            await catalog.ensure_index(session, symbol)


async def test_what_was_only_named_becomes_an_index(session: AsyncSession) -> None:
    named = await catalog.ensure_asset(session, "NIKKEI")
    index = await catalog.ensure_index(session, "NIKKEI")
    assert (index.id, index.kind) == (named.id, "index")
    assert (await store.find_assets(session, ["NIKKEI"]))["NIKKEI"] == index


async def test_assets_are_found_by_their_symbols(session: AsyncSession) -> None:
    made = [await catalog.ensure_asset(session, symbol) for symbol in ("ETH", "BTC", "SOL")]
    found = await store.find_assets(session, ["BTC", "ETH", "BTC", "NONE"])
    assert found == {"ETH": made[0], "BTC": made[1]}
    assert await store.find_assets(session, []) == {}
    assert [each.symbol for each in await store.list_assets(session)] == ["BTC", "ETH", "SOL"]


async def test_the_pairs_of_assets_are_listed_by_exchange_and_name(session: AsyncSession) -> None:
    bought = {"kraken": ["BTC/USD"], "binance": ["BTC/USDT", "BTC/EUR", "ETH/BTC"]}
    for exchange, name in [(key, name) for key, names in bought.items() for name in names]:
        await catalog.ensure_pair(session, exchange, name)
    bitcoin = (await store.find_assets(session, ["BTC"]))["BTC"]
    found = await store.list_symbols_of(session, [bitcoin.id])
    assert [(each.exchange, each.symbol) for each in found] == [
        ("binance", "BTC/EUR"),
        ("binance", "BTC/USDT"),
        ("kraken", "BTC/USD"),
    ]
    assert {each.base for each in found} == {bitcoin}
    assert await store.list_symbols_of(session, []) == []


async def test_the_same_pair_from_several_sides_is_made_once(engine: AsyncEngine) -> None:
    async def make() -> int:
        async with transaction(engine, OWNER_ID) as session:
            return (await catalog.ensure_pair(session, "kraken", "BTC/USD")).id

    assert len(set(await asyncio.gather(*(make() for _ in range(5))))) == 1
