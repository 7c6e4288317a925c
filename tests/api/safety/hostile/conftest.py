"""What hostile requests may cost, and who asks them."""

import asyncio
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from seawall.api.protocol import HurriedProtocol

CPU_SECONDS, MEGABYTES = 1.0, 100.0


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


@dataclass
class Toll:
    """What the requests have cost so far, the server's side and ours together."""

    asked: int = 0
    cpu: float = 0.0
    megabytes: float = 0.0
    worst: list[tuple[float, str]] = field(default_factory=list)

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Measure one request."""
        cpu, memory = time.process_time(), _peak_megabytes()
        yield
        took = time.process_time() - cpu
        self.asked += 1
        self.worst.append((took, what[:100]))
        self.cpu = max(self.cpu, took)
        self.megabytes = max(self.megabytes, _peak_megabytes() - memory)

    def check(self, figures: Any, name: str, least: int) -> None:
        """Note what it came to."""
        assert self.cpu <= CPU_SECONDS, sorted(self.worst)[-3:]
        figures.at_least(f"hostile, {name}: payloads", self.asked, "", least)
        figures.at_most(f"hostile, {name}: most CPU", self.cpu, "s", CPU_SECONDS)
        figures.at_most(f"hostile, {name}: most memory", self.megabytes, "MB", MEGABYTES)


@pytest.fixture
def toll() -> Toll:
    """Nothing yet."""
    return Toll()


@pytest.fixture(scope="module")
def ask(served: Any) -> Iterator[httpx.Client]:
    """Somebody who is logged in, over HTTP."""
    token = httpx.get(f"{served.url}/token-of-the-tests").json()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=served.url, headers=headers, timeout=30) as client:
        # What is loaded when it is first needed is no payload's.
        made = client.post("/api/v1/portfolios", json={"name": "Main"}).json()
        path = f"/api/v1/portfolios/{made['id']}/transactions"
        client.post(path, content=b"date,type\n", headers={"Content-Type": "text/csv"})
        yield client


@pytest.fixture(scope="module")
def portfolio(ask: httpx.Client) -> str:
    """The path of a portfolio of theirs."""
    (found,) = ask.get("/api/v1/portfolios").json()["items"][:1]
    return f"/api/v1/portfolios/{found['id']}"


@pytest.fixture
def harmless() -> Callable[[httpx.Response], None]:
    """Checks that an answer is one of ours, and nothing that a browser would run."""

    def check(found: httpx.Response) -> None:
        assert found.status_code < 500, (found.request.url, found.text)
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["content-security-policy"].startswith("default-src 'none'")
        if found.content:
            kind = found.headers["content-type"].partition(";")[0]
            assert kind in {"application/json", "application/problem+json", "text/csv"}
        assert "root:x:0" not in found.text
        assert "Traceback" not in found.text

    return check


class Listener:
    """Something on this machine that nobody is to ask."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.port = listening.getsockname()[1]

    def was_asked(self) -> bool:
        """Tell whether somebody connected."""
        self._listening.settimeout(0.2)
        try:
            self._listening.accept()[0].close()
        except TimeoutError:
            return False
        return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    """It listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield Listener(listening)


@pytest.fixture(scope="module")
def hurried_port(served: Any) -> Iterator[int]:
    """The port of the same app, where the head of a request has to come within half a second."""

    class Quick(HurriedProtocol):
        head_seconds = 0.5

    config = uvicorn.Config(
        served.app, port=0, http=Quick, lifespan="off", access_log=False, log_level="critical"
    )
    config.load()
    state = uvicorn.server.ServerState()

    async def listen() -> asyncio.Server:
        loop: asyncio.AbstractEventLoop = served.loop
        return await loop.create_server(lambda: Quick(config, state, {}), "127.0.0.1", 0)

    server = served.run(listen())
    yield server.sockets[0].getsockname()[1]
    served.loop.call_soon_threadsafe(server.close)
