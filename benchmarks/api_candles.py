"""30 days of candles through the API, beside a bare endpoint that asks the database the same.

One client asks over one connection, each in turn: for hours as JSON and as an Arrow stream, and for
minutes as JSON. Every answer is checked, one of each to the bit.
"""

import asyncio
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter

import numpy as np
import orjson
import polars as pl

from benchmarks.api_load import Servers, servers
from benchmarks.installation import candles
from benchmarks.result import Result
from seawall.core.time import iso
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import ParsedFile, Records, SeriesKind, Timeframe

HOURS, MINUTES, DAYS = 365 * 24, 30 * 24 * 60, 30
TURNS, LONG_TURNS = 150, 12
"""A user may ask 600 times a minute."""
FIRST = datetime(2021, 1, 1, tzinfo=UTC)
SYMBOL = 1


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a server, and how the closes are found in its answer."""

    name: str
    port: int
    request: bytes
    closes: Callable[[bytes], list[float]]
    expected: list[float]


def api_candles() -> Iterator[Result]:
    """Measure the 95th percentile of the time until the whole of an answer is there."""
    hours, minutes = _made(HOURS, 3_600), _made(MINUTES, 60)
    with servers(1) as found:
        asyncio.run(_fill(found.location, hours, minutes))
        few = _questions(found, Timeframe(3_600), _month(hours))
        many = _questions(found, Timeframe(60), _month(minutes))
        took = asyncio.run(_measure(few, TURNS))
        long = asyncio.run(_measure([many[0], many[2]], LONG_TURNS))
    for name, value, peer in (
        ("api-candles", took["json"], took["bare"]),
        ("api-candles-arrow", took["arrow"], took["bare"]),
        ("api-candles-minutes", long["json"], long["bare"]),
    ):
        yield Result(name, value, "ms", "bare", peer, peer / value)


def _made(rows: int, seconds: int) -> Records:
    records = candles(rows)
    records["time"] = records["time"][0] + np.arange(rows) * np.timedelta64(seconds, "s")
    return records


def _month(records: Records) -> list[float]:
    until = np.datetime64((FIRST + timedelta(days=DAYS)).replace(tzinfo=None), "us")
    found: list[float] = records["close"][records["time"] < until].tolist()
    return found


async def _fill(location: Location, *series: Records) -> None:
    engine = create_engine(location.url)
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        for records in series:
            length = Timeframe(int((records["time"][1] - records["time"][0]).astype(int)) // 10**6)
            parsed = ParsedFile(
                "generic",
                SeriesKind.CANDLES,
                records,
                len(records),
                symbol="BTC/USDT",
                exchange="binance",
                timeframe=length,
            )
            await ingest(session, parsed, "made up")
    await engine.dispose()


def _questions(found: Servers, length: Timeframe, expected: list[float]) -> list[Question]:
    since, until = iso(FIRST), iso(FIRST + timedelta(days=DAYS))
    path = f"/api/v1/symbols/{SYMBOL}/candles?timeframe={length}&since={since}&until={until}"
    named = f"Authorization: Bearer {found.callers[0].token}\r\n"
    arrow = f"{named}Accept: application/vnd.apache.arrow.stream\r\n"
    bare = f"/candles/{SYMBOL}/{length.seconds}/{since}/{until}"
    ours, peer = found.api, found.bare
    return [
        Question("json", ours, _request(path, named), _of_columns, expected),
        Question("arrow", ours, _request(path, arrow), _of_arrow, expected),
        Question("bare", peer, _request(bare, ""), _of_rows, expected),
    ]


def _request(path: str, headers: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()


def _of_columns(body: bytes) -> list[float]:
    found: list[float] = orjson.loads(body)["columns"]["close"]
    return found


def _of_arrow(body: bytes) -> list[float]:
    found: list[float] = pl.read_ipc_stream(io.BytesIO(body))["close"].to_list()
    return found


def _of_rows(body: bytes) -> list[float]:
    return [each["close"] for each in orjson.loads(body)]


async def _measure(questions: list[Question], turns: int) -> dict[str, float]:
    """Ask each in turn; return the 95th percentile of each in milliseconds, by name."""
    streams = {
        each.port: await asyncio.open_connection("127.0.0.1", each.port, limit=1 << 24)
        for each in questions
    }
    took: dict[str, list[float]] = {each.name: [] for each in questions}
    first: dict[str, bytes] = {}
    for each in questions:
        _, first[each.name] = await _ask(streams[each.port], each)
        assert each.closes(first[each.name]) == each.expected, each.name
    for _ in range(turns):
        for each in questions:
            seconds, body = await _ask(streams[each.port], each)
            assert body == first[each.name], each.name
            took[each.name].append(seconds)
    for _, writer in streams.values():
        writer.close()
    return {name: float(np.percentile(each, 95)) * 1_000 for name, each in took.items()}


async def _ask(
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], question: Question
) -> tuple[float, bytes]:
    reader, writer = stream
    start = perf_counter()
    writer.write(question.request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    body = await reader.readexactly(length)
    return perf_counter() - start, body
