"""What the tables of market data refuse, take and keep."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Table, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError
from seawall.db.base import Base
from seawall.db.faults import translated
from seawall.db.series import SERIES, ensure_chunks
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market import store
from seawall.market.tables import LINKS

Values = Mapping[str, Any]
MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
NAN, INFINITY = float("nan"), float("inf")
# The least that a row of each series says.
LEAST: dict[str, Values] = {
    "candles": {"symbol_id": 1, "timeframe": 60, "open": 2.0, "high": 3.0, "low": 1.0, "close": 2},
    "price_history": {"asset_id": 1, "price_usd": 1.0},
    "quotes": {"symbol_id": 1},
    "market_trades": {"symbol_id": 1, "trade_id": 1, "price": 1.0, "quantity": 1.0},
    "order_books": {"symbol_id": 1, "bids": [], "asks": []},
    "social_sentiment_history": {"asset_id": 1, "data_source": "lunarcrush"},
    "onchain_history": {
        "asset_id": 1,
        "metric": "active_addresses",
        "value": 1.0,
        "data_source": "chain",
    },
}


def _table(name: str) -> Table:
    return Base.metadata.tables[name]


async def _add(session: AsyncSession, name: str, values: Values) -> None:
    series = next(series for series in SERIES if series.table == name)
    await ensure_chunks(session, series, MOMENT, MOMENT)
    row = {"time": MOMENT, "ingested_at": MOMENT, **LEAST[name], **values}
    await session.execute(insert(_table(name)).values(row))


async def _change(session: AsyncSession, name: str, values: Values) -> None:
    """Change the one row of a table of reference."""
    base = await store.get_or_create_asset(session, "BTC", "crypto", name="Bitcoin")
    if name == "assets":
        await session.execute(update(_table(name)).values(values))
        return
    quote = await store.get_or_create_asset(session, "USDT", "stablecoin")
    await store.get_or_create_symbol(session, "binance", base, quote)
    await session.execute(update(_table(name)).values(values))


async def _put(session: AsyncSession, name: str, values: Values) -> None:
    await (_add if name in LEAST else _change)(session, name, values)


def _each(
    table: str, constraint: str, *refused: Values
) -> list[tuple[str, str, Mapping[str, Any]]]:
    return [(table, f"ck_{table}_{constraint}", values) for values in refused]


def _bad(columns: str, *values: object) -> list[Values]:
    return [{column: value} for column in columns.split() for value in values]


LONG = "x" * 501
BAD_LINKS = ("javascript:alert(1)", "example.org", "ftp://a.b", "https://", "https://a b", "")
BAD_LEVELS: tuple[object, ...] = (
    {},
    "book",
    1,
    JSONB.NULL,
    [1, 2],
    [[]],
    [[1]],
    [[1, 2, 3]],
    [["1", "2"]],
    [[1, None]],
    [[[1], 2]],
    [{"price": 1, "amount": 2}],
    [[0, 1]],
    [[-1, 1]],
    [[1, -0.5]],
    [[1, 2], [3, 4], [5]],
)
REFUSED = [
    *_each("assets", "coingecko_id", *_bad("coingecko_id", "", "x" * 101)),
    *_each("assets", "blockchain", *_bad("blockchain", "", "x" * 51)),
    *_each(
        "assets",
        "contract_address",
        {"contract_address": "0xdac1"},
        {"contract_address": "", "blockchain": "ethereum"},
        {"contract_address": "x" * 256, "blockchain": "ethereum"},
    ),
    *_each("assets", "decimals", *_bad("decimals", -1, 37)),
    *_each("assets", "rank", *_bad("rank", 0, -1)),
    *_each(
        "assets",
        "amounts",
        *_bad(
            "market_cap circulating_supply total_supply max_supply volume_24h", -1.0, NAN, INFINITY
        ),
    ),
    *_each("assets", "price", *_bad("current_price_usd", 0.0, -1.0, NAN, INFINITY)),
    *_each(
        "assets",
        "changes",
        *_bad("price_change_24h", NAN, INFINITY, -INFINITY),
        *_bad("price_change_percentage_24h", -100.01, NAN, INFINITY),
    ),
    *_each("assets", "audit_status", *_bad("audit_status", "AUDITED", "")),
    *_each("assets", "team_status", *_bad("team_status", "known", "")),
    *_each("assets", "exchange_listings_count", *_bad("exchange_listings_count", -1)),
    *(case for link in LINKS for case in _each("assets", link, *_bad(link, *BAD_LINKS))),
    *_each("assets", "logo_url", {"logo_url": f"https://{LONG}"}),
    *_each("exchanges", "name", *_bad("name", "", "x" * 101)),
    *_each("exchanges", "status", *_bad("status", "gone")),
    *_each("exchanges", "website_url", *_bad("website_url", *BAD_LINKS)),
    *_each("exchanges", "country_code", *_bad("country_code", "mt", "MLT", "")),
    *_each("symbols", "status", *_bad("status", "ACTIVE", "")),
    *_each(
        "symbols",
        "order_sizes",
        *_bad("min_order_size", Decimal(-1), Decimal("NaN")),
        *_bad("max_order_size", Decimal(0), Decimal("NaN")),
        {"min_order_size": Decimal(2), "max_order_size": Decimal(1)},
    ),
    *_each("symbols", "precisions", *_bad("price_precision quantity_precision", -19, 19)),
    *_each("candles", "timeframe", *_bad("timeframe", 0, -60)),
    *_each("candles", "trade_count", *_bad("trade_count", -1)),
    *_each("candles", "quote_volume", *_bad("quote_volume", -0.1, NAN, INFINITY)),
    *_each(
        "price_history",
        "amounts",
        *_bad("market_cap_usd volume_24h_usd circulating_supply max_supply", -1.0, NAN, INFINITY),
    ),
    *_each(
        "price_history",
        "changes",
        *_bad("percent_change_1h percent_change_24h percent_change_7d", -100.01, NAN, INFINITY),
        *_bad("price_change_24h", -INFINITY, NAN, INFINITY),
    ),
    *_each(
        "price_history",
        "range",
        *_bad("high_24h low_24h", 0.0, -1.0, NAN, INFINITY),
        {"low_24h": 2.0, "high_24h": 1.0},
    ),
    *_each("price_history", "rank", *_bad("rank", 0)),
    *_each("price_history", "data_source", *_bad("data_source", "", "x" * 51)),
    *_each("quotes", "prices", *_bad("bid_price ask_price last_price", 0.0, -1.0, NAN, INFINITY)),
    *_each("quotes", "sizes", *_bad("bid_size ask_size last_size", -0.1, NAN, INFINITY)),
    *_each("market_trades", "amounts", *_bad("price quantity", 0.0, -1.0, NAN, INFINITY)),
    *_each("market_trades", "venue_trade_id", *_bad("venue_trade_id", "", "x" * 101)),
    *_each("order_books", "bids", *_bad("bids", *BAD_LEVELS)),
    *_each("order_books", "asks", *_bad("asks", *BAD_LEVELS)),
    *_each("order_books", "sequence", *_bad("sequence", -1)),
    *_each(
        "social_sentiment_history",
        "scores",
        *_bad(
            "social_score sentiment_positive sentiment_negative sentiment_neutral",
            -0.1,
            100.1,
            NAN,
        ),
    ),
    *_each(
        "social_sentiment_history",
        "counts",
        *_bad("mentions_count influencer_mentions_count", -1),
    ),
    *_each("social_sentiment_history", "data_source", *_bad("data_source", "", "x" * 51)),
    *_each("onchain_history", "metric", *_bad("metric", "", "Active", "1st", "a b", "x" * 51)),
    *_each("onchain_history", "value", *_bad("value", NAN, INFINITY, -INFINITY)),
    *_each("onchain_history", "data_source", *_bad("data_source", "", "x" * 51)),
]


async def test_what_makes_no_sense_is_refused(session: AsyncSession) -> None:
    """One test for all, so that a database is made once."""
    for table, constraint, values in REFUSED:
        with pytest.raises(IntegrityError) as caught:
            async with session.begin_nested():
                await _put(session, table, values)
        assert f'"{constraint}"' in str(caught.value), (table, values)
    checked = {constraint for _, constraint, _ in REFUSED}
    names = await session.scalars(
        text(
            "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = ANY("
            "SELECT unnest(CAST(:tables AS text[]))::regclass)"
        ),
        {"tables": ["order_books", "social_sentiment_history", "onchain_history", "exchanges"]},
    )
    assert set(names) <= checked


TAKEN: list[tuple[str, Values]] = [
    (
        "assets",
        {
            "coingecko_id": "bitcoin",
            "blockchain": "bitcoin",
            "decimals": 36,
            "rank": 1,
            "market_cap": 0.0,
            "circulating_supply": 19.9e6,
            "total_supply": 19.9e6,
            "max_supply": 21e6,
            "current_price_usd": 1e-12,
            "price_change_24h": -5.0,
            "price_change_percentage_24h": -100.0,
            "volume_24h": 0.0,
            "audit_status": "known_issues",
            "team_status": "anonymous",
            "exchange_listings_count": 0,
            **dict.fromkeys(LINKS, "HTTPS://example.org/a?b=c#d"),
        },
    ),
    ("assets", {"blockchain": "ethereum", "contract_address": "0xdAC17F958D2ee523a2206206994597C"}),
    ("exchanges", {"name": "Binance", "status": "inactive", "country_code": "MT"}),
    ("exchanges", {"website_url": "http://example.org"}),
    (
        "symbols",
        {
            "status": "deprecated",
            "min_order_size": Decimal("0.000000000000000001"),
            "max_order_size": Decimal("0.000000000000000001"),
            "price_precision": -3,
            "quantity_precision": 18,
        },
    ),
    ("symbols", {"min_order_size": Decimal(0)}),
    ("candles", {"trade_count": 0, "quote_volume": 0.0, "timeframe": 1}),
    (
        "price_history",
        {
            "market_cap_usd": 0.0,
            "volume_24h_usd": 3e10,
            "percent_change_1h": -0.5,
            "percent_change_24h": -100.0,
            "percent_change_7d": 900.0,
            "price_change_24h": -1.0,
            "high_24h": 1.0,
            "low_24h": 1.0,
            "rank": 1,
            "circulating_supply": 0.0,
            "max_supply": 21e6,
            "data_source": "coingecko",
        },
    ),
    ("quotes", {"bid_price": 1.0, "bid_size": 0.0, "last_price": 1.5, "last_size": 0.0}),
    ("market_trades", {"venue_trade_id": "T-1a", "side": -1}),
    ("order_books", {"bids": [[1.5, 0], [1e-9, 2.25]], "asks": [[2, 1]], "sequence": 0}),
    (
        "social_sentiment_history",
        {
            "social_score": 100.0,
            "sentiment_positive": 0.0,
            "sentiment_negative": 60.0,
            "sentiment_neutral": 40.0,
            "mentions_count": 0,
            "influencer_mentions_count": 12,
        },
    ),
    ("onchain_history", {"value": -1.5, "metric": "net_flow_1h"}),
]


async def test_what_makes_sense_is_taken_as_it_is(session: AsyncSession) -> None:
    for table, values in [*TAKEN, *((name, {}) for name in LEAST)]:
        said = {**LEAST.get(table, {}), **values}
        undone = await session.begin_nested()
        await _put(session, table, values)
        columns = [_table(table).c[name] for name in said]
        assert dict((await session.execute(select(*columns))).mappings().one()) == said
        await undone.rollback()


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("uq_assets_coingecko_id", "coingecko_id = 'bitcoin'"),
        ("uq_assets_contract", "blockchain = 'ethereum', contract_address = '0x1'"),
    ],
)
async def test_no_two_assets_are_one_elsewhere(session: AsyncSession, name: str, fact: str) -> None:
    for symbol in ("BTC", "WBTC"):
        await store.get_or_create_asset(session, symbol, "crypto")
    with pytest.raises(IntegrityError, match=name):
        async with session.begin_nested():
            await session.execute(text(f"UPDATE assets SET {fact}"))  # noqa: S608


async def test_the_same_address_on_another_chain_is_another_contract(session: AsyncSession) -> None:
    for symbol, chain in (("A", "ethereum"), ("B", "polygon"), ("C", "polygon")):
        await store.get_or_create_asset(session, symbol, "crypto")
        await session.execute(
            update(_table("assets"))
            .where(_table("assets").c.symbol == symbol)
            .values(blockchain=chain, contract_address="0x1" if symbol != "C" else None)
        )


async def test_a_venue_lists_no_two_pairs_under_one_name(session: AsyncSession) -> None:
    assets = [await store.get_or_create_asset(session, name, "crypto") for name in "ABC"]
    listed = await store.get_or_create_symbol(session, "binance", assets[0], assets[1])
    assert await store.get_or_create_symbol(session, "binance", assets[0], assets[1]) == listed
    elsewhere = await store.get_or_create_symbol(session, "kraken", assets[0], assets[1])
    assert elsewhere.id != listed.id
    other = await store.get_or_create_symbol(session, "binance", assets[0], assets[2])
    with pytest.raises(ConflictError, match="already"), translated():
        async with session.begin_nested():
            await session.execute(
                text("UPDATE symbols SET symbol = 'A/B' WHERE id = :id"), {"id": other.id}
            )


@pytest.mark.parametrize("table", ["assets", "exchanges", "symbols"])
async def test_an_update_leaves_its_time(engine: AsyncEngine, table: str) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await _change(session, table, {"created_at": MOMENT})
    async with transaction(engine, OWNER_ID) as session:
        await _change(session, table, {"updated_at": MOMENT})
        times = await session.execute(
            text(f"SELECT created_at, updated_at, now() FROM {table}")  # noqa: S608
        )
        created, updated, now = times.one()
    assert (created, updated) == (MOMENT, now)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("order_books", {"symbol_id": 2}),
        ("social_sentiment_history", {"data_source": "reddit"}),
        ("onchain_history", {"metric": "transfer_value_usd"}),
    ],
)
async def test_a_series_holds_each_key_once(session: AsyncSession, table: str, key: Values) -> None:
    await _add(session, table, {})
    await _add(session, table, key)
    with pytest.raises(IntegrityError, match=r"pk_|pkey"):
        async with session.begin_nested():
            await _add(session, table, {})
