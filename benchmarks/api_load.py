"""Servers in processes of their own, asked over connections that stay open by checked requests."""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from pydantic import SecretStr

from benchmarks.api_bare import DSN
from benchmarks.installation import installation
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


@dataclass(frozen=True, slots=True)
class Caller:
    """A user with a portfolio and an access token."""

    user: UUID
    portfolio: UUID
    token: str


@dataclass(frozen=True, slots=True)
class Servers:
    """The API and the bare endpoint, by their ports, and who may ask them."""

    api: int
    bare: int
    callers: Sequence[Caller]
    location: Location


@dataclass(frozen=True, slots=True)
class Load:
    """What came of asking for a while: how many answers a second, and the latencies in ms."""

    rate: float
    p99: float


Ask = Callable[[int], bytes]
"""The request of a number, each time another one."""


@contextmanager
def servers(users_: int) -> Iterator[Servers]:
    """Serve a new installation with so many users, beside the bare endpoint."""
    with installation() as location, tempfile.TemporaryDirectory() as home:
        given = {
            "SEAWALL_HOME": home,
            "SEAWALL_API__SECRET": secrets.token_hex(32),
            "SEAWALL_DATABASE__URL": location.url,
            "SEAWALL_DATABASE__ADMIN_URL": location.admin_url,
            DSN: libpq_url(location.admin_url),
        }
        callers = asyncio.run(_fill(location, given["SEAWALL_API__SECRET"], users_))
        with (
            _serving("seawall.api.app:create_app", given) as api,
            _serving("benchmarks.api_bare:create_app", given) as bare,
        ):
            yield Servers(api, bare, callers, location)


async def _fill(location: Location, secret: str, users_: int) -> list[Caller]:
    engine = create_engine(location.url)
    signing = read_secret(Settings(api=ApiSettings(secret=SecretStr(secret))))
    callers = []
    for number in range(users_):
        user = uuid4()
        async with transaction(engine, user) as session:
            await users.add_user(session, id=user, username=f"caller-{number}")
            made = await create_portfolio(session, user, "Main")
            opened = await sessions.begin(session, user, Client(), refreshable=True)
        callers.append(Caller(user, made.id, access.issue(signing, opened)))
    await engine.dispose()
    return callers


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


def compare(found: Servers, ask: tuple[Ask, Ask], expected: bytes) -> tuple[Load, Load]:
    """Ask the API and the bare endpoint in turns; return the better turn of each."""
    return asyncio.run(_compare(found, ask, expected))


async def _compare(found: Servers, ask: tuple[Ask, Ask], expected: bytes) -> tuple[Load, Load]:
    loads: dict[int, list[Load]] = {found.api: [], found.bare: []}
    asked = dict(zip(loads, ask, strict=True))
    for port in loads:
        await _load(port, asked[port], 1.0, expected)
    for _ in range(TURNS):
        for port, kept in loads.items():
            kept.append(await _load(port, asked[port], SECONDS, expected))
    api, bare = (max(kept, key=lambda load: load.rate) for kept in loads.values())
    return api, bare


async def _load(port: int, ask: Ask, seconds: float, expected: bytes) -> Load:
    until = perf_counter() + seconds
    took: list[float] = []

    async def go(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := perf_counter()) < until:
            writer.write(ask(number))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 2"), head
            length = next(
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            )
            body = await reader.readexactly(length)
            assert expected in body, body
            took.append(perf_counter() - start)
            number += CONNECTIONS
        writer.close()

    tasks: list[Any] = [go(number) for number in range(CONNECTIONS)]
    await asyncio.gather(*tasks)
    return Load(len(took) / seconds, float(np.percentile(took, 99)) * 1_000)
