"""A thousand WebSocket clients in another process, who are told of a price each second.

The latency is from the instant before a price is committed to its arrival at each client. What is
missing between a client's first and last is a drop, and so is a client that was cut: there may be
none. The peer is a bare `websockets` server that broadcasts the same text, in the same run.
`SEAWALL_BENCH_STREAM_SECONDS` says how long (600 for the ten minutes that are promised).
"""

import asyncio
import json
import os
import resource
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.installation import installation
from benchmarks.result import Result
from seawall.api import access
from seawall.core.settings import ApiSettings, Settings
from seawall.core.signing import read_secret
from seawall.db.bulk import record_dtype
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction, unbound_transaction
from seawall.identity import sessions
from seawall.identity.schemas import Client
from seawall.identity.store import users
from seawall.market.ingest import ingest
from seawall.market.schemas import ParsedFile, SeriesKind, Timeframe
from seawall.market.store import CANDLES

CLIENTS, USERS = 1_000, 50
SECONDS = int(os.environ.get("SEAWALL_BENCH_STREAM_SECONDS", "20"))
PEER_SECONDS = min(SECONDS, 10)
FAREWELL_SECONDS = 5
_TICK = os.sysconf("SC_CLK_TCK")
Publish = Callable[[int], Awaitable[float]]
"""Tells everybody a number; returns when."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The 99th percentile of latencies in ms, what was lost, and processor ms a second."""

    p99: float
    worst: float
    drops: int
    processor: float


def ws_1000() -> Iterator[Result]:
    """Measure how late messages come, and how much the server works for it."""
    _raise_limit()
    with installation() as location, tempfile.TemporaryDirectory() as home:
        api = asyncio.run(_measure_api(location, home))
    bare = asyncio.run(_measure_bare())
    yield Result("ws-1000", api.p99, "ms", "bare", bare.p99, bare.p99 / api.p99)
    yield Result("ws-1000-worst", api.worst, "ms", "bare", bare.worst, bare.worst / api.worst)
    ratio = bare.processor / max(api.processor, 1.0)
    yield Result("ws-1000-processor", api.processor, "ms/s", "bare", bare.processor, ratio)
    if api.drops:
        raise AssertionError(f"{api.drops} messages were lost.")


def _raise_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _measure_api(location: Location, home: str) -> Heard:
    given = {
        "SEAWALL_HOME": home,
        "SEAWALL_API__SECRET": secrets.token_hex(32),
        "SEAWALL_DATABASE__URL": location.url,
        "SEAWALL_DATABASE__ADMIN_URL": location.admin_url,
    }
    tokens = await _fill(location, given["SEAWALL_API__SECRET"])
    engine = create_engine(location.url)

    async def publish(number: int) -> float:
        return await _take_in(engine, number)

    await publish(1)
    port = _free_port()
    command = ["-m", "seawall.cli.app", "serve", "--port", str(port)]
    with _process(command, given) as server:
        heard = await _listen(server, port, tokens, publish, SECONDS)
    await engine.dispose()
    return heard


async def _measure_bare() -> Heard:
    port = _free_port()
    with _process(["-m", "benchmarks.ws_bare", str(port)], {}) as server:

        async def publish(number: int) -> float:
            begun = time.monotonic()
            assert server.stdin is not None
            server.stdin.write(f"{number}\n")
            server.stdin.flush()
            return begun

        return await _listen(server, port, [""] * CLIENTS, publish, PEER_SECONDS)


async def _fill(location: Location, secret: str) -> list[str]:
    engine = create_engine(location.url)
    signing = read_secret(Settings(api=ApiSettings(secret=SecretStr(secret))))
    tokens = []
    for number in range(USERS):
        user = uuid4()
        async with transaction(engine, user) as session:
            await users.add_user(session, id=user, username=f"listener-{number}")
            opened = await sessions.begin(session, user, Client(), refreshable=True)
        tokens += [access.issue(signing, opened)] * (CLIENTS // USERS)
    await engine.dispose()
    return tokens


async def _take_in(engine: AsyncEngine, close: int) -> float:
    records = np.zeros(1, record_dtype(CANDLES.columns))
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    records["time"] = np.datetime64(start.replace(tzinfo=None), "us")
    for name in ("open", "high", "low", "close"):
        records[name] = close
    parsed = ParsedFile(
        format="test",
        kind=SeriesKind.CANDLES,
        records=records,
        rows_read=1,
        symbol="BTC/USD",
        exchange="test",
        timeframe=Timeframe(60),
    )
    async with unbound_transaction(engine) as session:
        await ingest(session, parsed, "test")
        return time.monotonic()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _process(arguments: Sequence[str], given: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [sys.executable, *arguments],
        env=os.environ | given,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


async def _listen(
    server: "subprocess.Popen[str]",
    port: int,
    tokens: Sequence[str],
    publish: Publish,
    seconds: int,
) -> Heard:
    await _wait_for(port)
    with _process(["-m", "benchmarks.ws_readers"], {}) as readers:
        assert readers.stdin is not None
        assert readers.stdout is not None
        readers.stdin.write(json.dumps({"port": port, "tokens": list(tokens)}) + "\n")
        readers.stdin.flush()
        assert await asyncio.to_thread(readers.stdout.readline) == "ready\n"
        await asyncio.sleep(1)
        begun, used = time.monotonic(), _processor_seconds(server.pid)
        published = {}
        for number in range(2, seconds + 2):
            published[number] = await publish(number)
            await asyncio.sleep(max(0.0, begun + number - 1 - time.monotonic()))
        used, took = _processor_seconds(server.pid) - used, time.monotonic() - begun
        await asyncio.sleep(FAREWELL_SECONDS)
        readers.stdin.write("stop\n")
        readers.stdin.flush()
        told = json.loads(await asyncio.to_thread(readers.stdout.readline))
    return _judge(told, published, 1_000 * used / took)


async def _wait_for(port: int) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            await asyncio.sleep(0.1)
            continue
        return
    raise TimeoutError(port)


def _processor_seconds(pid: int) -> float:
    values = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / _TICK


def _judge(told: dict[str, Any], published: dict[int, float], processor: float) -> Heard:
    late, drops, lost = [], int(told["cut"]) * len(published), set()
    for came in told["arrivals"]:
        numbers = [number for number, _ in came if number in published]
        if len(numbers) != len(set(numbers)):
            raise AssertionError("A message came twice.")
        drops += len(published) - len(numbers)
        lost |= published.keys() - set(numbers)
        late += [at - published[number] for number, at in came if number in published]
    if drops:
        print(f"Lost by some: {sorted(lost)[:20]}, cut: {told['cut']}", file=sys.stderr)
    return Heard(float(np.percentile(late, 99)) * 1_000, max(late) * 1_000, drops, processor)
