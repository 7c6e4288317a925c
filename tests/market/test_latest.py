"""The newest quote and prices, and the prices of a chart: what they are and what they read."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.bulk import instant
from seawall.db.series import PRICE_HISTORY, QUOTES, ensure_chunks
from seawall.db.session import raw_connection
from seawall.market import series
from seawall.market.schemas import LatestPrice, LatestQuote

BTC, ETH, SILENT, NEVER = 1, 2, 3, 4
FIRST = datetime(2021, 1, 1, tzinfo=UTC)
LAST = datetime(2025, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

# Of each subject one row every six hours, and of the silent one only in the first year.
ADD_PRICES = text("""
    INSERT INTO price_history (asset_id, time, price_usd, volume_24h_usd, ingested_at)
    SELECT asset_id, time, 100 * asset_id + extract(day FROM time AT TIME ZONE 'UTC'),
        CASE WHEN asset_id = 1 THEN 5 END, now()
    FROM unnest(CAST(:ids AS integer[])) asset_id,
        generate_series(CAST(:first AS timestamptz), :last, interval '6 hours') time
""")
ADD_QUOTES = text("""
    INSERT INTO quotes (symbol_id, time, bid_price, bid_size, ingested_at)
    SELECT symbol_id, time, symbol_id, extract(hour FROM time AT TIME ZONE 'UTC'), now()
    FROM unnest(CAST(:ids AS integer[])) symbol_id,
        generate_series(CAST(:first AS timestamptz), :last, interval '1 hour') time
""")


async def _add_prices(
    session: AsyncSession, ids: Sequence[int], first: datetime, last: datetime
) -> None:
    # A chunk that lies ahead is empty, as it is in life.
    await ensure_chunks(session, PRICE_HISTORY, first, last + 400 * DAY)
    await session.execute(ADD_PRICES, {"ids": ids, "first": first, "last": last})


async def _add_quotes(
    session: AsyncSession, ids: Sequence[int], first: datetime, last: datetime
) -> None:
    await ensure_chunks(session, QUOTES, first, last + 40 * DAY)
    await session.execute(ADD_QUOTES, {"ids": ids, "first": first, "last": last})


async def test_nothing_held_is_nothing_found(session: AsyncSession) -> None:
    assert await series.latest_quote(session, BTC) is None
    assert await series.latest_prices(session, [BTC, ETH]) == {}
    assert await series.latest_prices(session, []) == {}
    assert len(await series.price_history_between(session, BTC, FIRST, LAST)) == 0


async def test_the_newest_quote_is_found_in_whichever_chunk_it_is(session: AsyncSession) -> None:
    await _add_quotes(session, [SILENT], LAST - 100 * DAY, LAST - 90 * DAY)
    await _add_quotes(session, [BTC, ETH], LAST - 3 * DAY, LAST)
    newest = await series.latest_quote(session, BTC)
    assert newest == LatestQuote(BTC, LAST, 1.0, 0.0, None, None, None, None)
    silent = await series.latest_quote(session, SILENT)
    assert silent is not None
    assert silent.time == LAST - 90 * DAY
    assert await series.latest_quote(session, NEVER) is None


async def test_a_quote_that_comes_late_is_not_the_newest(session: AsyncSession) -> None:
    await _add_quotes(session, [BTC], LAST, LAST)
    await _add_quotes(session, [BTC], LAST - DAY, LAST - DAY)
    newest = await series.latest_quote(session, BTC)
    assert newest is not None
    assert newest.time == LAST


async def test_a_quote_comes_with_all_that_it_says(session: AsyncSession) -> None:
    await ensure_chunks(session, QUOTES, LAST, LAST)
    await session.execute(
        text(
            "INSERT INTO quotes (symbol_id, time, bid_price, bid_size, ask_price, ask_size,"
            " last_price, last_size, ingested_at) VALUES (1, :time, 1, 2, 3, 4, 5, 6, now())"
        ),
        {"time": LAST},
    )
    assert await series.latest_quote(session, 1) == LatestQuote(1, LAST, 1, 2, 3, 4, 5, 6)


async def test_the_newest_price_of_each_asset_is_found(session: AsyncSession) -> None:
    await _add_prices(session, [SILENT], FIRST, FIRST + 20 * DAY)
    await _add_prices(session, [BTC, ETH], LAST - 40 * DAY, LAST)
    found = await series.latest_prices(session, [ETH, SILENT, NEVER, ETH])
    assert {asset: (price.time, price.price_usd) for asset, price in found.items()} == {
        ETH: (LAST, 201.0),
        SILENT: (FIRST + 20 * DAY, 321.0),
    }
    assert set(await series.latest_prices(session, {BTC})) == {BTC}


async def test_a_price_comes_with_all_that_its_source_said(session: AsyncSession) -> None:
    await ensure_chunks(session, PRICE_HISTORY, LAST, LAST)
    await session.execute(
        text(
            "INSERT INTO price_history (asset_id, time, price_usd, ingested_at, market_cap_usd,"
            " volume_24h_usd, percent_change_1h, percent_change_24h, percent_change_7d,"
            " price_change_24h, high_24h, low_24h, rank, circulating_supply, max_supply,"
            " data_source) VALUES (1, :time, 1, now(), 2, 3, 4, 5, 6, 7, 9, 8, 10, 11, 12, 'cg')"
        ),
        {"time": LAST},
    )
    found = await series.latest_prices(session, [1])
    assert found == {1: LatestPrice(1, LAST, 1, 2, 3, 4, 5, 6, 10, "cg")}


async def test_a_chart_has_every_price_between_its_ends(session: AsyncSession) -> None:
    new_year = datetime(2022, 1, 1, tzinfo=UTC)
    await _add_prices(session, [BTC, ETH], new_year - 9 * DAY, new_year + 9 * DAY)
    found = await series.price_history_between(session, BTC, new_year - DAY, new_year + DAY)
    assert [instant(row["time"]) for row in found] == [
        new_year - DAY + count * 6 * HOUR for count in range(9)
    ]
    assert list(found["price_usd"]) == [131.0] * 4 + [101.0] * 4 + [102.0]
    assert list(found["volume_24h_usd"]) == [5.0] * 9
    assert all(math.isnan(cap) for cap in found["market_cap_usd"])
    backwards = await series.price_history_between(session, BTC, new_year, new_year - DAY)
    assert len(backwards) == 0


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _is_chunk(node: dict[str, Any]) -> bool:
    # TimescaleDB's own node names the table that it puts together.
    return "Relation Name" in node and "Plans" not in node


async def _read(session: AsyncSession, query: str, *args: object) -> list[dict[str, Any]]:
    """Return the scans of chunks that a query really did, in an order that needed no sorting."""
    connection = await raw_connection(session)
    explained = await connection.fetchval(
        f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}", *args
    )
    nodes = list(_nodes(explained[0]["Plan"]))
    assert not [node for node in nodes if node["Node Type"] == "Sort"]
    return [node for node in nodes if _is_chunk(node) and node["Actual Loops"]]


@pytest.mark.parametrize("chosen", ["force_custom_plan", "force_generic_plan"])
async def test_the_newest_is_read_from_the_newest_chunks_alone(
    session: AsyncSession, chosen: str
) -> None:
    await session.execute(text(f"SET LOCAL plan_cache_mode = {chosen}"))
    await _add_prices(session, range(1, 11), FIRST, LAST)
    await _add_quotes(session, range(1, 6), LAST - 200 * DAY, LAST)
    # The chunk that holds the newest row, and on native partitions the empty ones ahead.
    quotes = await _read(session, series._LATEST_QUOTE, 3)
    prices = await _read(session, series._LATEST_PRICES, [1, 5, 9])
    for scans in (quotes, prices):
        assert 1 <= len(scans) <= 3
        assert all(scan["Node Type"] == "Index Scan" for scan in scans)
        assert all(scan["Scan Direction"] == "Backward" for scan in scans)
        assert sum(scan["Actual Rows"] * scan["Actual Loops"] for scan in scans) in (1, 3)


async def test_a_chart_is_read_from_the_chunks_that_it_spans(session: AsyncSession) -> None:
    await _add_prices(session, range(1, 11), FIRST, LAST)
    query = series._PRICES_BETWEEN.replace("$2", f"'{LAST - 30 * DAY}'").replace("$3", f"'{LAST}'")
    scans = await _read(session, query, 5)
    assert 1 <= len(scans) <= 3
    assert sum(scan["Actual Rows"] for scan in scans) == 121
