"""A server of several processes, and people who ask it for a bit of everything."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from seawall.db.cache import Cache
from seawall.db.database import Location
from seawall.db.session import transaction
from seawall.identity.operators import NewUser, create_user
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe

V1 = "/api/v1"
SECRET = "only for the tests, and 32 characters or more"  # noqa: S105 - of nobody
PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
DAYS = 400
PAUSE = 0.5
"""Seconds between what one person does: a user has 600 requests a minute."""
TOO_LARGE = (1 << 20) + 1


class Process:
    """`seawall serve` with several workers."""

    def __init__(self, given: dict[str, str], workers: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "seawall.cli.app", "serve", "--port", str(self.port)]
        # What needs no login is counted by address: so many come that each has one of their own.
        command += ["--workers", str(workers), "--proxy", "127.0.0.0/8"]
        self._process = subprocess.Popen(command, env=os.environ | given, stdout=subprocess.DEVNULL)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """The processes that serve; of several there is a parent, and a child that tracks."""
        own = self._process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        commands = {int(each): Path(f"/proc/{each}/cmdline").read_bytes() for each in children}
        return [each for each, what in commands.items() if b"spawn_main" in what] or [own]

    async def is_up(self) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(240), httpx.AsyncClient() as client:
            while True:
                assert self._process.poll() is None
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    def stop(self) -> None:
        """End it as whoever runs it does."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        finally:
            self._process.kill()


class Person:
    """Somebody who does a bit of everything, one thing after the other."""

    def __init__(self, url: str, number: int) -> None:
        self._url, self.email = url, f"person-{number}@example.com"
        self._chosen = random.Random(number)  # noqa: S311 - a mix, not secrets
        self._client = self._call()
        self._device: str | None = None
        self._path = self._token = ""
        self.done: Counter[str] = Counter()

    async def begin(self) -> None:
        """Log in, and hold something."""
        await self._log_in()
        made = await self._ask("POST", "/portfolios", 201, json={"name": "Main"})
        self._path = f"/portfolios/{made.json()['id']}"
        await self._upload_to(self._path)
        await self._ask("POST", f"{self._path}/risk/reports/now", 201, json={})

    async def go_on(self, until: float) -> None:
        """Do one thing after the other."""
        steps: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._read, 10),
            (self._write, 4),
            (self._listen, 2),
            (self._upload, 1),
            (self._compute, 1),
            (self._log_in_again, 1),
            (self._be_refused, 1),
        ]
        ways, weights = zip(*steps, strict=True)
        while time.monotonic() < until:
            (step,) = self._chosen.choices(ways, weights)
            await step()
            self.done[step.__name__.strip("_")] += 1
            await asyncio.sleep(PAUSE * 2 * self._chosen.random())

    async def end(self) -> None:
        """Hang up."""
        await self._client.aclose()

    def _call(self) -> httpx.AsyncClient:
        # The server hangs up after five seconds of silence.
        return httpx.AsyncClient(base_url=self._url, limits=httpx.Limits(keepalive_expiry=2))

    def _from(self) -> dict[str, str]:
        return {
            "X-Forwarded-For": f"10.{'.'.join(str(self._chosen.randrange(256)) for _ in '123')}"
        }

    async def _ask(self, method: str, path: str, *right: int, **given: Any) -> httpx.Response:
        headers = self._from() | given.pop("headers", {})
        if method == "POST" and not path.startswith("/auth"):
            headers.setdefault("Idempotency-Key", uuid4().hex)
        times = 0
        while True:
            with suppress(httpx.TransportError):
                url = f"{V1}{path}"
                found = await self._client.request(
                    method, url, headers=headers, timeout=60, **given
                )
                if found.status_code not in {429, 503}:
                    break
            # On a busy machine the database may not answer within a second.
            times += 1
            self.done["asked again"] += 1
            await asyncio.sleep(1)
        # What was refused may have been done: then it was there no more when it was asked again.
        is_done = times > 0 and (method == "DELETE" or path == "/auth/logout")
        assert found.status_code in (right or (200,)) or is_done, (method, path, found.text)
        return found

    async def _log_in(self) -> None:
        given = {"email": self.email, "password": PASSWORD, "device": self._device}
        told = (await self._ask("POST", "/auth/login", json=given)).json()
        self._device, refresh = told["device"], {"refresh_token": told["refresh_token"]}
        found = await self._ask("POST", "/auth/refresh", 200, 401, json=refresh)
        if found.status_code == 401:
            # It was asked twice, and so taken for a thief.
            await self._log_in()
            return
        self._token = found.json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {self._token}"

    async def _log_in_again(self) -> None:
        await self._ask("POST", "/auth/logout", 200, 204)
        await self._client.aclose()
        self._client = self._call()
        await self._log_in()

    async def _read(self) -> None:
        of_it = ("", "/holdings", "/lots", "/performance", "/snapshots", "/transactions")
        of_risk = ("/risk", "/risk/history", "/risk/attribution", "/risk/stress-tests")
        of_all = ("/profile", "/portfolios?total=true", "/sessions", "/audit/entries", "/assets")
        more = ("/risk/latest", "/risk/metrics", "/risk/limits", "/prices?assets=BTC,ETH")
        paths = [*(f"{self._path}{each}" for each in of_it + of_risk), *of_all, *more]
        path = self._chosen.choice([*paths, "/openapi.json", "/candles"])
        if path == "/candles":
            symbol = (await self._ask("GET", "/symbols")).json()["items"][0]["id"]
            path = f"/symbols/{symbol}/candles?timeframe=1d&limit={DAYS}"
        kinds = ("application/json", "text/csv", "application/vnd.apache.arrow.stream")
        accept = self._chosen.choice(kinds if "candles" in path else kinds[:1])
        found = await self._ask("GET", path, headers={"Accept": accept})
        if tag := found.headers.get("etag"):
            await self._ask("GET", path, 200, 304, headers={"If-None-Match": tag, "Accept": accept})

    async def _write(self) -> None:
        name = uuid4().hex
        if self._chosen.random() < 0.3:
            given = {"name": name, "scopes": ["read"]}
            made = await self._ask("POST", "/api-keys", 201, json=given)
            with_key = {"Authorization": f"Bearer {made.json()['key']}"}
            await self._ask("GET", "/profile", headers=with_key)
            await self._ask("DELETE", f"/api-keys/{made.json()['id']}", 200, 204)
            await self._ask("PATCH", "/profile", json={"bio": name})
            return
        once = {"Idempotency-Key": name}
        for _ in range(2):
            made = await self._ask("POST", "/portfolios", 201, json={"name": name}, headers=once)
        path = f"/portfolios/{made.json()['id']}"
        await self._ask("PATCH", path, json={"description": name})
        await self._ask("DELETE", path, 200, 204)

    async def _upload_to(self, path: str, **more: Any) -> None:
        start = datetime.now(UTC) - timedelta(days=300)
        rows = ["date,type,asset,quantity,price_usd,fee_usd,notes"]
        rows += [f"{start:%Y-%m-%d},deposit,USD,100000,,,"]
        for day in range(1, 100):
            asset = ("BTC", "ETH")[day % 2]
            rows.append(f"{start + timedelta(days=day):%Y-%m-%d},buy,{asset},0.1,900,1,a note")
        content, headers = "\n".join(rows), {"Content-Type": "text/csv"}
        await self._ask(
            "POST", f"{path}/transactions", 201, content=content, headers=headers, **more
        )

    async def _upload(self) -> None:
        made = await self._ask("POST", "/portfolios", 201, json={"name": uuid4().hex})
        path = f"/portfolios/{made.json()['id']}"
        await self._upload_to(path, params={"dry_run": "true"})
        await self._upload_to(path)
        await self._ask("DELETE", path, 200, 204)

    async def _compute(self) -> None:
        risk = f"{self._path}/risk"
        trade = {"side": "buy", "asset": "BTC", "quantity": "0.5"}
        way = self._chosen.randrange(5)
        if way == 0:
            await self._ask("POST", f"{risk}/reports/now", 201, json={})
        elif way == 1:
            await self._ask("POST", f"{risk}/what-if", json={"trades": [trade]})
        elif way == 2:
            await self._ask("POST", f"{risk}/optimisation", json={})
        elif way == 3:
            await self._ask("POST", f"{risk}/stress-tests", 201, json={})
        else:
            report = (await self._ask("GET", risk)).json()["id"]
            await self._ask("GET", f"/risk/reports/{report}/tear-sheet")

    async def _listen(self) -> None:
        try:
            await self._hear()
        except (InvalidStatus, ConnectionClosed, TimeoutError, httpx.TransportError):
            self.done["asked again"] += 1

    async def _hear(self) -> None:
        topics = ["prices:BTC", "alerts", self._path.replace("/portfolios/", "portfolio:")]
        token = {"Authorization": f"Bearer {self._token}"}
        if self._chosen.random() < 0.5:
            params = {"topics": ",".join(topics)}
            url = f"{self._url}{V1}/streams/events"
            async with (
                httpx.AsyncClient(timeout=30) as client,
                client.stream("GET", url, params=params, headers=token) as answer,
            ):
                if answer.status_code in {429, 503}:
                    return
                lines = answer.aiter_lines()
                while not (await anext(lines)).startswith("event: events"):
                    pass
            return
        url = f"{self._url.replace('http', 'ws')}{V1}/streams/ws"
        async with connect(url, additional_headers=token) as stream:
            await stream.send(json.dumps({"type": "subscribe", "topics": topics}))
            while '"subscribed"' not in str(await asyncio.wait_for(stream.recv(decode=True), 30)):
                pass
            if self._chosen.random() < 0.3:
                # As one does whose train enters a tunnel.
                stream.transport.abort()

    async def _be_refused(self) -> None:
        absent = f"/portfolios/{uuid4()}"
        way = self._chosen.randrange(5)
        if way == 0:
            await self._ask("GET", absent, 404)
        elif way == 1:
            await self._ask("POST", "/portfolios", 422, json={"name": ["x"] * 50})
        elif way == 2:
            await self._ask("GET", "/profile", 401, headers={"Authorization": "Bearer a.b.c"})
        elif way == 3:
            await self._ask("PATCH", "/profile", 413, content=b"x" * TOO_LARGE)
        else:
            given = {"email": f"{uuid4().hex}@example.com", "password": "not the password"}
            await self._ask("POST", "/auth/login", 401, json=given)


def _candles(pair: str, seed: int) -> ParsedFile:
    records = np.zeros(DAYS, CANDLE_DTYPE)
    noise = np.random.default_rng(seed).normal(0, 0.03, DAYS)
    first = np.datetime64(datetime.now(UTC).date() - timedelta(days=DAYS), "us")
    records["time"] = first + np.arange(DAYS) * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = 1_000 * np.exp(np.cumsum(noise))
    records["quote_volume"], records["trade_count"] = np.nan, -1
    daily = Timeframe(86_400)
    return ParsedFile("test", SeriesKind.CANDLES, records, DAYS, (), pair, "kraken", daily)


async def _fill(desk: Any, persons: int) -> None:
    async with transaction(desk.engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, _candles("BTC/USD", 1), "btc")
        await ingest(session, _candles("ETH/USD", 2), "eth")
    for number in range(persons):
        new = NewUser(f"person-{number}@example.com", password=SecretStr(PASSWORD))
        await create_user(desk, new)


@pytest.fixture
def serve(module_location: Location, valkey: Any, tmp_path: Path) -> Iterator[Any]:
    """Serves the API as it is served to others: by several processes, which share a cache."""
    given = {
        "SEAWALL_HOME": str(tmp_path),
        "SEAWALL_API__SECRET": SECRET,
        "SEAWALL_DATABASE__URL": module_location.url,
        "SEAWALL_DATABASE__ADMIN_URL": module_location.admin_url,
        "SEAWALL_CACHE__URL": f"unix://{valkey.unix_socket_path}",
    }
    started: list[Process] = []

    async def start(workers: int) -> Process:
        started.append(Process(given, workers))
        await started[-1].is_up()
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def gather(module_location: Location, tmp_path: Path, open_desk: Any) -> Any:
    """Makes so many people who do a bit of everything, and prices of what they hold."""

    async def make(url: str, persons: int) -> list[Person]:
        async with open_desk(module_location, tmp_path, Cache) as desk:
            await _fill(desk, persons)
        people = [Person(url, number) for number in range(persons)]
        await asyncio.gather(*(each.begin() for each in people))
        return people

    return make
