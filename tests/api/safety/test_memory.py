"""Memory stays as it is, however long and whatever is asked: measured of each serving process.

`SEAWALL_TEST_MEMORY_MINUTES` says how long, where 30 minutes are too long or too short.
"""

import asyncio
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
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
WORKERS, PERSONS, DAYS = 2, 12, 400
PAUSE = 0.5
"""Seconds between what one person does: a user has 600 requests a minute."""
MOST_GROWTH = 0.05
WARM_UP_SECONDS = 240
SHORT_SECONDS, SHORT_MOST_GROWTH = 8, 0.25
MIB = 1 << 20
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="no /proc to read memory from"
)


def private_bytes(pid: int) -> int:
    """Return the memory that a process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(each.split()[1]) for each in lines if each.startswith("Private_")) * 1024


def growth(samples: Sequence[float]) -> float:
    """Return by what fraction memory grew, from the first fifth of samples to the last.

    Of each it is the median: a hash takes 64 MiB for a moment.
    """
    fifth = len(samples) // 5
    return statistics.median(samples[-fifth:]) / statistics.median(samples[:fifth]) - 1


def test_a_leak_would_be_seen() -> None:
    noise = random.Random(1)  # noqa: S311 - no secrets
    flat = [200.0 + noise.random() + 64 * (noise.random() < 0.2) for _ in range(1_000)]
    assert abs(growth(flat)) < 0.01
    # A hundred bytes for each of 100 requests a second, in half an hour.
    leaking = [each + 17.2 * number / 1_000 for number, each in enumerate(flat)]
    assert growth(leaking) > MOST_GROWTH


def test_a_leak_of_a_process_is_seen() -> None:
    program = (
        "kept = [bytearray(b'x' * (20 << 20))]\n"
        "for line in iter(input, ''):\n"
        "    kept += [bytearray(b'x' * (1 << 20))] if line == 'leak' else []\n"
        "    print(len(kept), flush=True)\n"
    )
    found = {}
    for what in ("keep", "leak"):
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            samples = []
            for _ in range(10):
                process.stdin.write(f"{what}\n")
                process.stdin.flush()
                process.stdout.readline()
                samples.append(private_bytes(process.pid))
            process.stdin.write("\n")
            process.stdin.flush()
        found[what] = growth(samples)
    assert abs(found["keep"]) < 0.01
    assert found["leak"] > MOST_GROWTH


class Process:
    """`seawall serve` with several workers."""

    def __init__(self, given: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "seawall.cli.app", "serve", "--port", str(self.port)]
        # What needs no login is counted by address: so many come that each has one of their own.
        command += ["--workers", str(WORKERS), "--proxy", "127.0.0.0/8"]
        self._process = subprocess.Popen(command, env=os.environ | given, stdout=subprocess.DEVNULL)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[int]:
        """The processes that serve; another child tracks what they share."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found = [int(each) for each in children.read_text().split()]
        return [
            each for each in found if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()
        ]

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
            await self._ask("PATCH", "/profile", 413, content=b"x" * (MIB + 1))
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


async def _fill(desk: Any) -> None:
    async with transaction(desk.engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, _candles("BTC/USD", 1), "btc")
        await ingest(session, _candles("ETH/USD", 2), "eth")
    password = "correct horse battery staple"  # noqa: S105 - of nobody
    for number in range(PERSONS):
        await create_user(
            desk, NewUser(f"person-{number}@example.com", password=SecretStr(password))
        )


@pytest.fixture
def served(module_location: Location, valkey: Any, tmp_path: Path) -> Iterator[Process]:
    """The API as it is served to others: several processes, which share a cache."""
    process = Process(
        {
            "SEAWALL_HOME": str(tmp_path),
            "SEAWALL_API__SECRET": SECRET,
            "SEAWALL_DATABASE__URL": module_location.url,
            "SEAWALL_DATABASE__ADMIN_URL": module_location.admin_url,
            "SEAWALL_CACHE__URL": f"unix://{valkey.unix_socket_path}",
        }
    )
    yield process
    process.stop()


async def test_memory_stays_as_it_is(
    served: Process, module_location: Location, tmp_path: Path, open_desk: Any, figures: Any
) -> None:
    minutes = float(os.environ.get("SEAWALL_TEST_MEMORY_MINUTES", "30"))
    warm_up = figures.pick(SHORT_SECONDS, WARM_UP_SECONDS)
    seconds = minutes * 60 if figures.is_long else SHORT_SECONDS
    # What is loaded when it is first needed still comes in the short form.
    most = 100 * (MOST_GROWTH if figures.is_long else SHORT_MOST_GROWTH)
    async with open_desk(module_location, tmp_path, Cache) as desk:
        await _fill(desk)
    await served.is_up()
    people = [Person(served.url, number) for number in range(figures.pick(4, PERSONS))]
    await asyncio.gather(*(each.begin() for each in people))
    workers = served.workers()
    assert len(workers) == WORKERS
    until = time.monotonic() + warm_up + seconds
    samples: dict[int, list[float]] = {each: [] for each in workers}
    async with asyncio.TaskGroup() as going:
        for each in people:
            going.create_task(each.go_on(until))
        await asyncio.sleep(warm_up)
        while time.monotonic() < until:
            for pid, found in samples.items():
                found.append(private_bytes(pid))
            assert served.workers() == workers, "one ended, and another came in its place"
            await asyncio.sleep(seconds / 1_000)
    for each in people:
        await each.end()
    done = sum((each.done for each in people), Counter[str]())
    print(dict(done))  # noqa: T201
    figures.at_least("memory: things done", done.total(), "", figures.pick(50, 5_000))
    for number, found in enumerate(samples.values()):
        print(f"worker {number}:", [round(each / MIB) for each in found[:: len(found) // 60]])  # noqa: T201
        figures.at_most(f"memory: of worker {number} at the end", found[-1] / MIB, "MiB", 1_024)
        more = 100 * growth(found)
        figures.at_most(f"memory: growth of worker {number}", more, "%", most)
