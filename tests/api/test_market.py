"""The catalogue, prices, ticks and coverage over HTTP: what was put in, page by page, in order."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from httpx import AsyncClient
from sqlalchemy import text

from seawall.core.time import iso, now
from seawall.db.series import MARKET_TRADES, ORDER_BOOKS, PRICE_HISTORY, QUOTES, ensure_chunks
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import (
    CANDLE_DTYPE,
    PRICE_DTYPE,
    ParsedFile,
    Records,
    SeriesKind,
    Timeframe,
)

Web = Any  # what the fixture is
V1 = "/api/v1"
START, HOUR, DAY = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1), timedelta(days=1)
TICKS = """
INSERT INTO market_trades (symbol_id, time, trade_id, side, price, quantity, ingested_at)
SELECT id, CAST(:start AS timestamptz) + make_interval(hours => n / 2), n,
    CASE n % 3 WHEN 0 THEN 1 WHEN 1 THEN -1 END, 100 + n / 8.0, 0.1, now()
FROM symbols, generate_series(0, 6) n WHERE symbol = 'BTC/USDT';
"""
BOOKS = """
INSERT INTO order_books (symbol_id, time, bids, asks, sequence, ingested_at)
SELECT id, CAST(:start AS timestamptz) + make_interval(hours => n),
    '[[99.5, 1], [99, 2.25]]', '[]', 7, now()
FROM symbols, generate_series(0, 2) n WHERE symbol = 'BTC/USDT'
"""
BIDS = """
INSERT INTO quotes (symbol_id, time, bid_price, bid_size, ingested_at)
SELECT id, CAST(:start AS timestamptz) + make_interval(hours => n), 99.5, 1, now()
FROM symbols, generate_series(0, 2) n WHERE symbol = 'BTC/USDT'
"""
NAMED = """
UPDATE assets
SET name = CASE symbol WHEN 'BTC' THEN 'Bitcoin' WHEN 'ETH' THEN 'Ether' ELSE name END,
    rank = CASE symbol WHEN 'BTC' THEN 1 WHEN 'ETH' THEN 2 END
"""


def _candles(hours: list[int], close: float) -> Records:
    records = np.zeros(len(hours), CANDLE_DTYPE)
    records["time"] = [(START + each * HOUR).replace(tzinfo=None) for each in hours]
    for name in ("open", "high", "low", "close"):
        records[name] = close
    return records


def _parsed(kind: SeriesKind, records: Records, symbol: str) -> ParsedFile:
    is_index = kind is SeriesKind.PRICES
    timeframe = Timeframe(86_400 if is_index else 3_600)
    exchange = None if is_index else "binance"
    more: Any = {"symbol": symbol, "exchange": exchange, "timeframe": timeframe}
    return ParsedFile("generic", kind, records, len(records), **more)


def _closes(prices: list[float]) -> Records:
    records = np.zeros(len(prices), PRICE_DTYPE)
    # From Tuesday on, each at the midnight after its day.
    first = np.datetime64("2024-01-03", "us")
    records["time"] = first + np.arange(len(prices)) * np.timedelta64(1, "D")
    records["price_usd"] = prices
    return records


async def _take_in(web: Web, *files: ParsedFile) -> None:
    async with transaction(web.desk.engine, OWNER_ID) as session:
        await ensure_owner(session)
        for each in files:
            await ingest(session, each, "file")


@pytest.fixture
async def ada(web: Web) -> AsyncIterator[AsyncClient]:
    """Somebody who looks at two pairs, of which one has a gap, and at an index."""
    await _take_in(
        web,
        _parsed(SeriesKind.CANDLES, _candles([0, 1, 2, 5, 6, 10], 42_000.5), "BTC/USDT"),
        _parsed(SeriesKind.CANDLES, _candles([0, 1], 2_500.25), "ETH/BTC"),
        _parsed(SeriesKind.PRICES, _closes([4_700.5, 4_701.25]), "SP500"),
    )
    async with transaction(web.desk.engine, OWNER_ID) as session:
        await session.execute(text(NAMED))
    async with await web.known("ada@example.com") as client:
        yield client


async def _every(client: AsyncClient, url: str, limit: int = 2) -> list[Any]:
    """All items of a list, by its pages."""
    seen: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        given: dict[str, Any] = {"limit": limit} | dict(_params(url))
        found = await client.get(url, params=given | ({"cursor": cursor} if cursor else {}))
        assert found.status_code == 200, found.text
        page = found.json()
        assert len(page["items"]) <= limit
        seen += page["items"]
        cursor = page["next_cursor"]
    return seen


def _params(url: str) -> list[tuple[str, str]]:
    _, _, query = url.partition("?")
    return [(name, value) for name, _, value in (each.partition("=") for each in query.split("&"))]


async def _id(client: AsyncClient, path: str) -> int:
    (found,) = (await client.get(V1 + path)).json()["items"]
    return int(found["id"])


async def test_assets_are_found_and_told(ada: AsyncClient, problem: Any) -> None:
    listed = (await ada.get(f"{V1}/assets?total=true")).json()
    symbols = [each["symbol"] for each in listed["items"]]
    assert (symbols, listed["total"]) == (["BTC", "ETH", "SP500", "USDT"], 4)
    for query, expected in (
        ("search=bit", ["BTC"]),
        ("search=e", ["ETH"]),
        ("search=%27%26%7C", []),
        ("kind=index", ["SP500"]),
        ("kind=crypto&symbol=ETH", ["ETH"]),
        ("is_active=false", []),
    ):
        found = (await ada.get(f"{V1}/assets?total=true&{query}")).json()
        assert [each["symbol"] for each in found["items"]] == expected, query
        assert found["total"] == len(expected)
    one = await ada.get(f"{V1}/assets/{listed['items'][0]['id']}")
    assert one.json() == listed["items"][0]
    assert (one.json()["name"], one.json()["market_cap"]) == ("Bitcoin", None)
    known = {"If-None-Match": one.headers["etag"]}
    assert (await ada.get(str(one.url), headers=known)).status_code == 304
    problem(await ada.get(f"{V1}/assets/999"), 404, "not-found")
    problem(await ada.get(f"{V1}/assets?symbol=%00"), 422, "invalid")


async def test_pages_keep_to_the_order(ada: AsyncClient, problem: Any) -> None:
    by_rank = ["BTC", "ETH", "SP500", "USDT"]
    for sort, expected in (
        ("symbol", by_rank),
        ("-symbol", by_rank[::-1]),
        ("name", by_rank),
        ("rank", by_rank),
        ("-rank", by_rank[::-1]),
        ("created_at", None),
        ("-created_at", None),
    ):
        url = f"{V1}/assets?sort={sort}"
        whole = [each["symbol"] for each in (await ada.get(url)).json()["items"]]
        assert [each["symbol"] for each in await _every(ada, url, 1)] == whole
        assert len(set(whole)) == 4
        assert expected is None or whole == expected, sort
        cursor = (await ada.get(f"{url}&limit=1")).json()["next_cursor"]
        other = "symbol" if sort != "symbol" else "-symbol"
        told = problem(await ada.get(f"{V1}/assets?sort={other}&cursor={cursor}"), 422, "invalid")
        assert "sorted otherwise" in told["detail"]
    assert by_rank == [each["symbol"] for each in await _every(ada, f"{V1}/assets", 3)]


async def test_what_is_no_cursor_is_refused(ada: AsyncClient, problem: Any) -> None:
    # Not base64; a list that is empty; of a wrong length; an object; of other types.
    wrong = ("x", "W10", "WyJzeW1ib2wiXQ", "e30", "WyJzeW1ib2wiLDEsMiwzXQ", "WzEsMl0")
    for path in ("/assets", "/symbols", "/exchanges", "/coverage", "/prices"):
        for cursor in wrong:
            problem(await ada.get(f"{V1}{path}?cursor={cursor}"), 422, "invalid")


async def test_symbols_are_told_with_their_assets(ada: AsyncClient, problem: Any) -> None:
    listed = await _every(ada, f"{V1}/symbols", 1)
    assert [(each["symbol"], each["base"], each["quote"]) for each in listed] == [
        ("BTC/USDT", "BTC", "USDT"),
        ("ETH/BTC", "ETH", "BTC"),
    ]
    assert {each["exchange"] for each in listed} == {"binance"}
    found = (await ada.get(f"{V1}/symbols?base=ETH&total=true&sort=-created_at")).json()
    assert (found["items"], found["total"]) == ([listed[1]], 1)
    assert (await ada.get(f"{V1}/symbols?exchange=kraken")).json()["items"] == []
    assert (await ada.get(f"{V1}/symbols/{listed[0]['id']}")).json() == listed[0]
    problem(await ada.get(f"{V1}/symbols/999"), 404, "not-found")
    exchanges = (await ada.get(f"{V1}/exchanges?total=true&fields=code")).json()
    assert exchanges == {"items": [{"code": "binance"}], "next_cursor": None, "total": 1}


async def test_the_newest_prices_are_those_that_portfolios_have(
    ada: AsyncClient, problem: Any
) -> None:
    found = (await ada.get(f"{V1}/prices?assets=BTC,SP500,%20ETH&total=true")).json()
    shown = ("symbol", "price_usd", "time", "source", "note")
    told = [tuple(each[name] for name in shown) for each in found["items"]]
    assert found["total"] == 3
    taken = "priced in USDT, which is taken as USD"
    assert told == [
        ("BTC", 42_000.5, "2024-01-01T11:00:00Z", "binance BTC/USDT 1h", taken),
        ("ETH", None, None, "", "no price of it is held"),
        ("SP500", 4_701.25, "2024-01-04T00:00:00Z", "prices", ""),
    ]
    every = await _every(ada, f"{V1}/prices", 3)
    assert [each["symbol"] for each in every] == ["BTC", "ETH", "SP500", "USDT"]
    missing = problem(await ada.get(f"{V1}/prices?assets=BTC,XYZ,"), 404, "not-found")
    assert "XYZ" in missing["detail"]
    many = ",".join(f"A{each}" for each in range(201))
    problem(await ada.get(f"{V1}/prices?assets={many}"), 422, "invalid")


async def test_the_history_of_prices_is_told_as_it_was_known(web: Web, ada: AsyncClient) -> None:
    asset = await _id(ada, "/assets?symbol=SP500")
    url = f"{V1}/assets/{asset}/prices"
    between = now()
    await _take_in(web, _parsed(SeriesKind.PRICES, _closes([4_700.5, 1.5, 2.5]), "SP500"))
    told = (await ada.get(url)).json()
    days = ["2024-01-03T00:00:00Z", "2024-01-04T00:00:00Z", "2024-01-05T00:00:00Z"]
    assert (told["symbol"], told["rows"]) == ("SP500", 3)
    assert told["columns"] == {
        "time": days,
        "price_usd": [4_700.5, 1.5, 2.5],
        "market_cap_usd": [None, None, None],
        "volume_24h_usd": [None, None, None],
    }
    then = (await ada.get(f"{url}?known_at={iso(between)}")).json()["columns"]
    assert (then["time"], then["price_usd"]) == (days[:2], [4_700.5, 4_701.25])
    until = (await ada.get(f"{url}?since={days[0]}&until={days[1]}&fields=price_usd")).json()
    assert until["columns"] == {"price_usd": [4_700.5]}
    csv = await ada.get(f"{url}?known_at={iso(between)}", headers={"Accept": "text/csv"})
    assert csv.text == (
        "time,price_usd,market_cap_usd,volume_24h_usd\n"
        "2024-01-03T00:00:00Z,4700.5,,\n2024-01-04T00:00:00Z,4701.25,,\n"
    )


async def test_ticks_are_told_page_by_page(web: Web, ada: AsyncClient) -> None:
    async with transaction(web.desk.engine, OWNER_ID) as session:
        for series in (MARKET_TRADES, ORDER_BOOKS, QUOTES, PRICE_HISTORY):
            await ensure_chunks(session, series, START, START + DAY)
        for statement in (TICKS, BOOKS, BIDS):
            await session.execute(text(statement), {"start": START})
    pair = await _id(ada, "/symbols?symbol=BTC/USDT")
    for way in ("time", "-time"):
        # Two happened at each instant: a page may end between them.
        trades = await _every(ada, f"{V1}/symbols/{pair}/trades?sort={way}", 1)
        order = list(range(7)) if way == "time" else list(range(6, -1, -1))
        assert [each["trade_id"] for each in trades] == order
    assert [each["side"] for each in trades] == [1, None, -1, 1, None, -1, 1]
    assert trades[0] | {"ingested_at": ""} == {
        "time": "2024-01-01T03:00:00Z",
        "trade_id": 6,
        "side": 1,
        "price": 100.75,
        "quantity": 0.1,
        "venue_trade_id": None,
        "ingested_at": "",
    }
    within = f"{V1}/symbols/{pair}/trades?total=true&since=2024-01-01T01:00:00Z"
    found = (await ada.get(f"{within}&until=2024-01-01T02:00:00Z")).json()
    assert ([each["trade_id"] for each in found["items"]], found["total"]) == ([2, 3], 2)
    books = await _every(ada, f"{V1}/symbols/{pair}/books?sort=-time", 1)
    assert [each["time"] for each in books] == [iso(START + each * HOUR) for each in (2, 1, 0)]
    sides = (books[0]["bids"], books[0]["asks"], books[0]["sequence"])
    assert sides == ([[99.5, 1.0], [99.0, 2.25]], [], 7)
    quotes = await _every(ada, f"{V1}/symbols/{pair}/quotes", 2)
    assert [(each["bid_price"], each["ask_price"]) for each in quotes] == [(99.5, None)] * 3


async def test_coverage_says_what_is_missing_and_why(ada: AsyncClient, problem: Any) -> None:
    listed = await _every(ada, f"{V1}/coverage", 1)
    shown = ("symbol", "kind", "timeframe", "rows", "missing", "gap_count")
    assert [tuple(each[name] for name in shown) for each in listed] == [
        ("BTC/USDT", "candles", "1h", 6, 5, 2),
        ("ETH/BTC", "candles", "1h", 2, 0, 0),
        ("SP500", "prices", "1d", 2, 0, 0),
    ]
    for query, expected in (
        ("symbol=BTC", ["BTC/USDT"]),
        ("symbol=SP500", ["SP500"]),
        ("kind=candles&exchange=binance", ["BTC/USDT", "ETH/BTC"]),
        ("kind=trades", []),
    ):
        found = (await ada.get(f"{V1}/coverage?total=true&{query}")).json()
        assert [each["symbol"] for each in found["items"]] == expected, query
        assert found["total"] == len(expected)
    url = f"{V1}/coverage/{listed[0]['id']}"
    assert (await ada.get(url)).json() == listed[0]
    short = {
        "start": "2024-01-01T03:00:00Z",
        "end": "2024-01-01T05:00:00Z",
        "missing": 2,
        "reason": "absent_in_source",
    }
    long = short | {
        "start": "2024-01-01T07:00:00Z",
        "end": "2024-01-01T10:00:00Z",
        "missing": 3,
    }
    for sort, ordered in (
        ("start", [short, long]),
        ("-start", [long, short]),
        ("missing", [short, long]),
        ("-missing", [long, short]),
    ):
        assert await _every(ada, f"{url}/gaps?sort={sort}", 1) == ordered, sort
    assert (await ada.get(f"{url}/gaps?total=true&limit=1")).json()["total"] == 2
    for path in ("/coverage/999", "/coverage/999/gaps"):
        problem(await ada.get(V1 + path), 404, "not-found")


async def test_market_data_is_for_whoever_is_known(
    web: Web, ada: AsyncClient, problem: Any
) -> None:
    pair = await _id(ada, "/symbols?symbol=BTC/USDT")
    bob = await web.known("bob@example.com")
    made = await bob.post(f"{V1}/api-keys", json={"name": "reads", "scopes": ["read"]})
    for path in (
        "/assets",
        f"/symbols/{pair}/candles?timeframe=1h",
        "/prices?assets=BTC",
        "/coverage",
    ):
        seen = (await ada.get(V1 + path)).json()
        for other in (bob, web.client(made.json()["key"])):
            assert (await other.get(V1 + path)).json() == seen
        problem(await web.client().get(V1 + path), 401, "not-authenticated")
