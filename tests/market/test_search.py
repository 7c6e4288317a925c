"""Assets are found by how the words of their symbol and name begin."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.session import raw_connection
from seawall.market import store
from seawall.market.tables import SEARCHED

HELD = {
    "BTC": ("Bitcoin", 1),
    "BCH": ("Bitcoin Cash", 20),
    "WBTC": ("Wrapped Bitcoin", 15),
    "YFI": ("yearn.finance", None),
    "OLD": ("Bitcoin Old", 2),
    "1INCH": ("1inch Network", 300),
}


@pytest.fixture
async def catalogue(session: AsyncSession) -> AsyncSession:
    """A session on a catalogue with a few coins, one of which is no longer active."""
    for symbol, (name, rank) in HELD.items():
        await store.get_or_create_asset(session, symbol, "crypto", name=name)
        await session.execute(
            text("UPDATE assets SET rank = :rank, is_active = :active WHERE symbol = :symbol"),
            {"rank": rank, "active": symbol != "OLD", "symbol": symbol},
        )
    return session


FOUND = [
    ("bitcoin", ["BTC", "WBTC", "BCH"]),
    ("BITC", ["BTC", "WBTC", "BCH"]),
    ("btc", ["BTC"]),
    ("bit cas", ["BCH"]),
    ("cash bch", ["BCH"]),
    ("yearn.finance", ["YFI"]),
    ("yea", ["YFI"]),
    ("1in", ["1INCH"]),
    ("coin", []),
    ("bitcoin dogecoin", []),
    ("", []),
    (" \t\n", []),
    ("'", []),
    ("\\ ' \0", []),
    ("&", []),
    ("b'i\\t | !", []),
    ("bitcoin' | 'yearn", []),
    ("x" * 10_000, []),
    ("bitcoin\0", ["BTC", "WBTC", "BCH"]),
]


async def test_a_search_finds(catalogue: AsyncSession) -> None:
    for words, found in FOUND:
        searched = await store.search_assets(catalogue, words)
        assert [each.symbol for each in searched] == found, words[:20]


async def test_no_more_are_found_than_asked_for(catalogue: AsyncSession) -> None:
    found = await store.search_assets(catalogue, "bitcoin", limit=2)
    assert [each.symbol for each in found] == ["BTC", "WBTC"]


async def test_the_index_answers(catalogue: AsyncSession) -> None:
    await catalogue.execute(text("SET LOCAL enable_seqscan = off"))
    plan = await (await raw_connection(catalogue)).fetch(
        f"EXPLAIN SELECT id FROM assets WHERE {SEARCHED} @@ to_tsquery('simple', 'bit:*')"  # noqa: S608
    )
    assert "idx_assets_search" in str(plan)
