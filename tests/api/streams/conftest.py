"""The API on a port of this machine, as uvicorn serves it, and news for whoever listens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import pytest
import uvicorn
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.asyncio.client import ClientConnection, connect

from seawall.api.app import build_app
from seawall.cli.serve import STREAMS
from seawall.db.bulk import record_dtype
from seawall.db.database import Location, open_admin
from seawall.db.series import PORTFOLIO_RISK_METRICS, ensure_chunks
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.desk import Desk
from seawall.market import ingest as market
from seawall.market.schemas import ParsedFile, SeriesKind, Timeframe
from seawall.market.store import KEYED

V1 = "/api/v1/streams"
DEADLINE = 20.0


class Served:
    """A server of one app, in this process."""

    def __init__(self, app: FastAPI, **more: Any) -> None:
        options = STREAMS | more
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", **options)
        self.app, self.server = app, uvicorn.Server(config)
        self.server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]

    @property
    def port(self) -> int:
        """Where it listens."""
        (server,) = self.server.servers
        return int(server.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """How it is reached."""
        return f"127.0.0.1:{self.port}"


@asynccontextmanager
async def serve(app: FastAPI, **more: Any) -> AsyncIterator[Served]:
    """Serve an app until the block ends."""
    served = Served(app, **more)
    running = asyncio.create_task(served.server._serve())
    async with asyncio.timeout(DEADLINE):
        while not served.server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    yield served
    served.server.should_exit = True
    await running


@pytest.fixture
async def served(desk: Desk) -> AsyncIterator[Served]:
    """The app of the test's desk, served."""
    async with serve(build_app(desk), timeout_graceful_shutdown=5) as found:
        yield found


@dataclass
class Listener:
    """Somebody with a token, who listens at a server."""

    token: str
    portfolio: str
    user_id: UUID
    address: str
    sockets: list[ClientConnection] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """What shows who they are."""
        return {"Authorization": f"Bearer {self.token}"}

    async def connect(self, *topics: str, after: str = "", **more: Any) -> ClientConnection:
        """Open a WebSocket that listens to topics."""
        url = f"ws://{self.address}{V1}/ws"
        socket = await connect(url, additional_headers=self.headers, compression=None, **more)
        self.sockets.append(socket)
        assert (await told(socket))["type"] == "ready"
        if topics:
            await socket.send(ask("subscribe", topics=topics, after=after))
        return socket

    @asynccontextmanager
    async def events(self, *topics: str, **more: Any) -> AsyncIterator[AsyncIterator[Any]]:
        """Open Server-Sent Events of topics; gives each as its id, kind and data."""
        url = f"http://{self.address}{V1}/events"
        headers = self.headers | more.pop("headers", {})
        given = {"topics": ",".join(topics)} | more
        async with (
            AsyncClient(timeout=DEADLINE) as client,
            client.stream("GET", url, params=given, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                await answer.aread()
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert "content-encoding" not in answer.headers
            yield _parse(answer.aiter_lines())

    @staticmethod
    def ask(kind: str, **more: Any) -> str:
        """Write a message."""
        return ask(kind, **more)

    @staticmethod
    async def told(socket: ClientConnection, kind: str | None = None) -> Any:
        """The next message, or the next of a kind."""
        return await told(socket, kind)


async def _parse(lines: AsyncIterator[str]) -> AsyncIterator[Any]:
    event: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif event:
            yield event.get("id", ""), event["event"], orjson.loads(event["data"])
            event = {}


def ask(kind: str, **more: Any) -> str:
    """Write a message."""
    return orjson.dumps({"type": kind} | more).decode()


async def told(socket: ClientConnection, kind: str | None = None) -> Any:
    """The next message, or the next of a kind."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found = orjson.loads(await socket.recv())
            if kind is None or found["type"] == kind:
                return found


@pytest.fixture
async def listener(web: Any, served: Served) -> AsyncIterator[Callable[..., Awaitable[Listener]]]:
    """Make users with a portfolio each, who listen."""
    made: list[Listener] = []

    async def make(name: str = "ada", address: str | None = None) -> Listener:
        user = await web.user(f"{name}@example.com")
        token = (await web.log_in(f"{name}@example.com"))["access_token"]
        client = web.client(token)
        portfolio = (await client.post("/api/v1/portfolios", json={"name": "Mine"})).json()["id"]
        user_id = UUID(bytes=user.id.bytes)
        made.append(Listener(token, portfolio, user_id, address or served.address))
        return made[-1]

    yield make
    for each in made:
        for socket in each.sockets:
            await socket.close()


_KEEP = text("""
    INSERT INTO portfolio_risk_metrics
        (time, portfolio_id, known_at, window_days, confidence, benchmark, observations,
        total_value_usd, details, volatility)
    SELECT CAST(:time AS timestamptz) + each * interval '1 microsecond', :portfolio,
        clock_timestamp() + interval '1 day', 90, 0.95, 'BTC', 90, :value + each, '{}', 0.5
    FROM generate_series(0, :more) AS each
""")


@dataclass
class Publisher:
    """Whoever brings news."""

    engine: AsyncEngine

    async def report(self, of: Listener, value: int, more: int = 0) -> None:
        """Keep reports of a portfolio, worth so much and one more each."""
        moment = datetime.now(UTC)
        async with transaction(self.engine, of.user_id) as session:
            await ensure_chunks(session, PORTFOLIO_RISK_METRICS, moment, moment)
            given = {"time": moment, "portfolio": of.portfolio, "value": value, "more": more}
            await session.execute(_KEEP, given)

    async def price(self, close: float, asset: str = "BTC", age: int = 0) -> None:
        """Take in a candle of the minute that was over so many minutes ago."""
        start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=age + 1)
        await take_in(self.engine, asset, start, close)


async def take_in(engine: AsyncEngine, asset: str, start: datetime, close: float) -> None:
    """Take in one candle of a minute."""
    columns = KEYED[SeriesKind.CANDLES].columns

    records = np.zeros(1, record_dtype(columns))
    records["time"] = np.datetime64(start.replace(tzinfo=None), "us")
    for name in ("open", "high", "low", "close"):
        records[name] = close
    parsed = ParsedFile(
        format="test",
        kind=SeriesKind.CANDLES,
        symbol=f"{asset}/USD",
        exchange="test",
        timeframe=Timeframe(60),
        records=records,
        rows_read=1,
    )
    async with unbound_transaction(engine) as session:
        await market.ingest(session, parsed, "test")


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine as a superuser."""
    async with open_admin(location) as engine:
        yield engine


@pytest.fixture
def publisher(engine: AsyncEngine) -> Publisher:
    """Whoever brings news to the test's database."""
    return Publisher(engine)
