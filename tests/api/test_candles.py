"""Candles over HTTP: to the bit what was stored, from `since` to before `until`, in three types."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from httpx import AsyncClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from seawall.api.columns import Columns, _framed, _json
from seawall.core.time import from_micros, iso, now
from seawall.db import bulk
from seawall.db.bulk import Column
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe

Web = Any  # what the fixture is
V1 = "/api/v1"
START, HOUR = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1)
ARROW, CSV = "application/vnd.apache.arrow.stream", "text/csv"
ROWS = 48


def made(rows: int = ROWS, seed: int = 1) -> Any:
    """Hourly candles of awkward floats, with what a source may leave out left out of some."""
    random = np.random.default_rng(seed)
    records = np.zeros(rows, CANDLE_DTYPE)
    first = np.datetime64(START.replace(tzinfo=None), "us")
    records["time"] = first + np.arange(rows) * np.timedelta64(3_600, "s")
    for name in ("open", "high", "low", "close"):
        records[name] = 100 + random.random(rows) / 3
    prices = np.stack([records[name] for name in ("open", "close")])
    records["high"], records["low"] = prices.max(axis=0) + 1e-9, prices.min(axis=0) - 1e-9
    records["volume"] = random.random(rows) * 1e-7
    records["quote_volume"] = random.random(rows) * 1e22
    records["trade_count"] = random.integers(0, 1 << 40, rows)
    for name, row, absent in (
        ("volume", 1, np.nan),
        ("quote_volume", 3, np.nan),
        ("trade_count", 5, -1),
    ):
        records[name][row : row + 1] = absent
    return records


async def fill(web: Web, records: Any, symbol: str = "BTC/USDT") -> int:
    """Take candles in as a file of them would be; return the pair's id."""
    parsed = ParsedFile(
        "generic",
        SeriesKind.CANDLES,
        records,
        len(records),
        symbol=symbol,
        exchange="binance",
        timeframe=Timeframe(3_600),
    )
    async with transaction(web.desk.engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, parsed, "file")
        found = await session.scalar(
            text("SELECT id FROM symbols WHERE symbol = :symbol"), {"symbol": symbol}
        )
    return int(found)


@pytest.fixture
async def ada(web: Web) -> AsyncIterator[AsyncClient]:
    async with await web.known("ada@example.com") as client:
        yield client


def _expected(records: Any) -> dict[str, list[Any]]:
    """The columns as they have to be told, from what was put in."""

    def told(name: str, value: Any) -> Any:
        if name == "time":
            return iso(value.replace(tzinfo=UTC))
        absent = value == -1 if name == "trade_count" else np.isnan(value)
        return None if absent else value

    names = CANDLE_DTYPE.names or ()
    return {name: [told(name, each) for each in records[name].tolist()] for name in names}


async def test_candles_are_told_to_the_bit(web: Web, ada: AsyncClient) -> None:
    records = made()
    pair = await fill(web, records)
    found = await ada.get(f"{V1}/symbols/{pair}/candles?timeframe=1h")
    assert found.headers["content-type"] == "application/json"
    told = found.json()
    assert told["columns"] == _expected(records)
    assert "NaN" not in found.text
    del told["columns"]
    assert told == {
        "symbol_id": pair,
        "symbol": "BTC/USDT",
        "exchange": "binance",
        "timeframe": "1h",
        "since": None,
        "until": None,
        "known_at": None,
        "rows": ROWS,
        "next_since": None,
        "next_until": None,
    }
    empty = (await ada.get(f"{V1}/symbols/{pair}/candles")).json()
    assert (empty["timeframe"], empty["rows"], empty["columns"]["time"]) == ("1d", 0, [])


async def test_all_types_say_the_same(web: Web, ada: AsyncClient) -> None:
    pair = await fill(web, made())
    url = f"{V1}/symbols/{pair}/candles?timeframe=1h&since=2024-01-01T02:00:00Z"
    told = (await ada.get(url)).json()["columns"]
    for kind in (ARROW, CSV):
        found = await ada.get(url, headers={"Accept": kind})
        assert found.headers["content-type"].partition(";")[0] == kind
        assert "accept" in found.headers["vary"].lower()
        read = pl.read_ipc_stream if kind == ARROW else pl.read_csv
        frame = read(io.BytesIO(found.content))
        columns = frame.to_dict(as_series=False)
        if kind == ARROW:
            assert frame.schema["time"] == pl.Datetime("us", "UTC")
            columns["time"] = [iso(each) for each in columns["time"]]
        assert columns == told


@pytest.mark.parametrize("way", ["time", "-time"])
async def test_a_range_has_its_beginning_and_not_its_end(
    web: Web, ada: AsyncClient, way: str
) -> None:
    pair = await fill(web, made())
    url = f"{V1}/symbols/{pair}/candles?timeframe=1h&fields=time&sort={way}"
    second = timedelta(seconds=1)
    for since, until, expected in (
        (START, START + HOUR, [0]),
        (START + HOUR, START + 3 * HOUR, [1, 2]),
        (START + HOUR - second, START + 2 * HOUR + second, [1, 2]),
        (START + HOUR + second, START + 2 * HOUR, []),
        (START, START, []),
        (START + 47 * HOUR, START + 90 * HOUR, [47]),
    ):
        found = (await ada.get(f"{url}&since={iso(since)}&until={iso(until)}")).json()
        hours = expected if way == "time" else expected[::-1]
        assert found["columns"] == {"time": [iso(START + each * HOUR) for each in hours]}
    offset = (await ada.get(f"{url}&until=2024-01-01T02:00:00%2B01:00")).json()
    assert (offset["rows"], offset["until"]) == (1, "2024-01-01T01:00:00Z")


@pytest.mark.parametrize("way", ["time", "-time"])
async def test_what_does_not_fit_is_asked_for_next(web: Web, ada: AsyncClient, way: str) -> None:
    records = made()
    pair = await fill(web, records)
    url: str | None = f"{V1}/symbols/{pair}/candles?timeframe=1h&sort={way}&limit=13&fields=close"
    bound = "next_since" if way == "time" else "next_until"
    seen: list[float] = []
    while url is not None:
        found = await ada.get(url)
        told = found.json()
        assert told.keys() >= {"next_since", "next_until"}
        seen += told["columns"]["close"]
        url = found.links["next"]["url"] if "next" in found.links else None
        assert (told[bound] is None) == (url is None)
    expected = records["close"].tolist()
    assert seen == (expected if way == "time" else expected[::-1])


async def test_candles_are_told_as_they_were_known(web: Web, ada: AsyncClient) -> None:
    before = made(6)
    pair = await fill(web, before)
    between = now()
    after = before.copy()
    after["close"][2] = after["open"][2]
    after["trade_count"][2] = 5
    await fill(web, after)
    url = f"{V1}/symbols/{pair}/candles?timeframe=1h"
    assert (await ada.get(url)).json()["columns"] == _expected(after)
    then = (await ada.get(f"{url}&known_at={iso(between)}")).json()
    assert then["columns"] == _expected(before)
    assert then["known_at"] == iso(between)
    assert (await ada.get(f"{url}&known_at=2020-01-01T00:00:00Z")).json()["rows"] == 0


async def test_the_type_is_the_one_that_is_wanted_most(
    web: Web, ada: AsyncClient, problem: Any
) -> None:
    pair = await fill(web, made(2))
    url = f"{V1}/symbols/{pair}/candles?timeframe=1h"
    for accept, kind in (
        ("*/*", "application/json"),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        (f"text/csv;q=0.5, {ARROW}", ARROW),
        ("text/*", CSV),
        ("application/*, application/json;q=0", ARROW),
        ("text/html, */*;q=0.1", "application/json"),
    ):
        found = await ada.get(url, headers={"Accept": accept})
        assert found.headers["content-type"].partition(";")[0] == kind, accept
    for accept in ("image/png", "application/json;q=0", "*/*;q=0", "text/csv;q=nan"):
        problem(await ada.get(url, headers={"Accept": accept}), 406, "not-acceptable")


async def test_what_makes_no_sense_is_refused(web: Web, ada: AsyncClient, problem: Any) -> None:
    pair = await fill(web, made(2))
    url = f"{V1}/symbols/{pair}/candles"
    for wrong in (
        "timeframe=1x",
        "limit=0",
        "limit=50001",
        "since=2024-01-02T00:00:00Z&until=2024-01-01T00:00:00Z",
        "fields=id",
        "fields=",
        "sort=close",
        "known_at=x",
    ):
        problem(await ada.get(f"{url}?{wrong}"), 422, "invalid")
    problem(await ada.get(f"{V1}/symbols/{pair + 1}/candles"), 404, "not-found")
    for id_ in ("0", "x", str(1 << 31)):
        problem(await ada.get(f"{V1}/symbols/{id_}/candles"), 422, "invalid")


async def test_a_month_of_minutes_is_one_answer(web: Web, ada: AsyncClient) -> None:
    minutes = 30 * 24 * 60
    records = np.repeat(made(1), minutes)
    records["time"] += np.arange(minutes) * np.timedelta64(60, "s")
    parsed = ParsedFile(
        "generic",
        SeriesKind.CANDLES,
        records,
        minutes,
        symbol="BTC/USDT",
        exchange="binance",
        timeframe=Timeframe(60),
    )
    async with transaction(web.desk.engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, parsed, "file")
    listed = (await ada.get(f"{V1}/symbols")).json()["items"]
    url = f"{V1}/symbols/{listed[0]['id']}/candles?timeframe=1m&fields=time,close"
    told = (await ada.get(url)).json()
    assert (told["rows"], told["next_since"]) == (minutes, None)
    assert told["columns"]["close"] == records["close"].tolist()


async def test_any_stretch_is_what_numpy_finds(web: Web, ada: AsyncClient) -> None:
    records = made()
    pair = await fill(web, records)
    hours = np.arange(ROWS)
    random = np.random.default_rng(2)
    for _ in range(30):
        first, last = np.sort(random.integers(-5, ROWS + 5, 2))
        limit, way = int(random.integers(1, ROWS)), str(random.choice(["time", "-time"]))
        since, until = iso(START + int(first) * HOUR), iso(START + int(last) * HOUR)
        url = f"{V1}/symbols/{pair}/candles?timeframe=1h&since={since}&until={until}"
        told = (await ada.get(f"{url}&limit={limit}&sort={way}")).json()
        expected = records["close"][(hours >= first) & (hours < last)]
        expected = expected if way == "time" else expected[::-1]
        assert told["columns"]["close"] == expected[:limit].tolist()
        following = told["next_since"] or told["next_until"]
        assert (following is None) == (len(expected) <= limit)


_COLUMNS = (
    Column("time", "<M8[us]"),
    Column("price", "<f8"),
    Column("volume", "<f8", float("nan")),
    Column("count", "<i8", -1),
)
_ROW = st.tuples(
    st.integers(-(10**15), 10**16),
    st.floats(allow_nan=False, allow_infinity=False),
    st.one_of(st.just(float("nan")), st.floats(allow_nan=False, allow_infinity=False)),
    st.integers(-1, (1 << 53) - 1),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_ROW, max_size=20))
def test_whatever_is_held_is_read_back_from_every_type(rows: list[Any]) -> None:
    records = np.array(rows, bulk.record_dtype(_COLUMNS))
    columns = Columns(records, _COLUMNS, {"rows": len(rows)})
    told = orjson.loads(_json(columns))
    assert told["rows"] == len(rows)
    found = told["columns"]
    assert found["price"] == records["price"].tolist()
    assert found["volume"] == [None if np.isnan(each[2]) else each[2] for each in rows]
    assert found["count"] == [None if each[3] < 0 else each[3] for each in rows]
    assert found["time"] == [iso(from_micros(each[0])) for each in rows]
    arrow = pl.read_ipc_stream(io.BytesIO(_framed(columns, ARROW)))
    assert arrow.drop("time").to_dict(as_series=False) == {
        name: found[name] for name in ("price", "volume", "count")
    }
    assert arrow["time"].to_physical().to_list() == [each[0] for each in rows]
    read = list(csv.DictReader(io.StringIO(_framed(columns, CSV).decode())))
    for line, row in zip(read, rows, strict=True):
        assert float(line["price"]) == row[1]
        assert line["volume"] == "" if np.isnan(row[2]) else float(line["volume"]) == row[2]
        assert line["count"] == ("" if row[3] < 0 else str(row[3]))
        assert datetime.fromisoformat(line["time"]) == from_micros(row[0])
