"""Authenticated, row-secured reads of the API, beside a bare endpoint that asks the same.

Both run in a process of their own on the same machine and database, and are asked in turns over 32
connections that stay open, for one of `USERS` portfolios each time. Every answer is checked.
"""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from pydantic import SecretStr

from benchmarks.api_bare import DSN
from benchmarks.installation import installation
from benchmarks.result import Result
from seawall.api import access
from seawall.core.settings import ApiSettings, Settings
from seawall.core.signing import read_secret
from seawall.db.database import Location
from seawall.db.engine import create_engine, libpq_url
from seawall.db.session import transaction
from seawall.identity import sessions
from seawall.identity.schemas import Client
from seawall.identity.store import users
from seawall.portfolios.portfolios import create_portfolio

CONNECTIONS, SECONDS, TURNS = 32, 4.0, 2
USERS = 256
"""Each may ask 600 times a minute, and together they ask more often."""
OK = b"HTTP/1.1 200"


@dataclass(frozen=True, slots=True)
class Reader:
    """A user with a portfolio and an access token."""

    user: UUID
    portfolio: UUID
    token: str


@dataclass(frozen=True, slots=True)
class Load:
    """What came of asking for a while: how many answers a second, and the latencies in ms."""

    rate: float
    p99: float


def api_read() -> Iterator[Result]:
    """Measure requests a second, and the 99th percentile of their latency."""
    with installation() as location, tempfile.TemporaryDirectory() as home:
        given = {
            "SEAWALL_HOME": home,
            "SEAWALL_API__SECRET": secrets.token_hex(32),
            "SEAWALL_DATABASE__URL": location.url,
            "SEAWALL_DATABASE__ADMIN_URL": location.admin_url,
            DSN: libpq_url(location.admin_url),
        }
        readers = asyncio.run(_fill(location, given["SEAWALL_API__SECRET"]))
        with (
            _serving("seawall.api.app:create_app", given) as ours,
            _serving("benchmarks.api_bare:create_app", given) as bare,
        ):
            found = asyncio.run(_measure(ours, bare, readers))
    api, peer = found
    yield Result("api-read", api.rate, "req/s", "bare", peer.rate, api.rate / peer.rate)
    yield Result("api-read-p99", api.p99, "ms", "bare", peer.p99, peer.p99 / api.p99)


async def _fill(location: Location, secret: str) -> list[Reader]:
    engine = create_engine(location.url)
    signing = read_secret(Settings(api=ApiSettings(secret=SecretStr(secret))))
    readers = []
    for number in range(USERS):
        user = uuid4()
        async with transaction(engine, user) as session:
            await users.add_user(session, id=user, username=f"reader-{number}")
            made = await create_portfolio(session, user, "Main")
            opened = await sessions.begin(session, user, Client(), refreshable=True)
        readers.append(Reader(user, made.id, access.issue(signing, opened)))
    await engine.dispose()
    return readers


@contextmanager
def _serving(app: str, given: dict[str, str]) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", app, "--factory", "--port", str(port)]
    options = ["--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
    with subprocess.Popen([*command, *options], env=os.environ | given) as server:
        try:
            _wait_for(port)
            yield port
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    until = perf_counter() + 60
    while perf_counter() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            continue
        return
    raise TimeoutError(port)


async def _measure(ours: int, bare: int, readers: Sequence[Reader]) -> tuple[Load, Load]:
    asked = {
        ours: [
            f"GET /api/v1/portfolios/{each.portfolio} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {each.token}\r\n\r\n".encode()
            for each in readers
        ],
        bare: [
            f"GET /{each.user}/{each.portfolio} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            for each in readers
        ],
    }
    loads: dict[int, list[Load]] = {ours: [], bare: []}
    for port, requests in asked.items():
        await _load(port, requests, 1.0)
    for _ in range(TURNS):
        for port, requests in asked.items():
            loads[port].append(await _load(port, requests, SECONDS))
    return _best(loads[ours]), _best(loads[bare])


def _best(loads: Sequence[Load]) -> Load:
    return max(loads, key=lambda load: load.rate)


async def _load(port: int, requests: Sequence[bytes], seconds: float) -> Load:
    until = perf_counter() + seconds
    took: list[float] = []
    share = len(requests) // CONNECTIONS

    async def ask(own: Sequence[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        at = 0
        while (start := perf_counter()) < until:
            writer.write(own[at % len(own)])
            at += 1
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(OK), head
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            body = await reader.readexactly(length)
            assert b'"Main"' in body
            took.append(perf_counter() - start)
        writer.close()

    tasks: list[Any] = [
        ask(requests[each * share : (each + 1) * share]) for each in range(CONNECTIONS)
    ]
    await asyncio.gather(*tasks)
    return Load(len(took) / seconds, float(np.percentile(took, 99)) * 1_000)
