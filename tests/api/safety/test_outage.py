"""The database may stop, or hang: requests are refused at once, and served again soon after."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall.db import database
from seawall.db.database import Location
from seawall.db.server.driver import Server

WITHIN, AGAIN_WITHIN = 2.0, 10.0
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that only this module stops."""
    home = tmp_path_factory.mktemp("server")
    for folder in [home, *home.parents][:3]:
        folder.chmod(0o755)
    bin_dir = os.environ.get("SEAWALL_TEST_BIN_DIR")
    server = Server(home, bin_dir=Path(bin_dir) if bin_dir else None, settings=FAST)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def own_location(own_server: Server) -> Location:
    """A migrated database on it."""
    access = own_server.ensure()
    found = Location(
        name="seawall",
        url=access.url("seawall"),
        admin_url=access.url("seawall", as_admin=True),
        maintenance_url=access.url("postgres", as_admin=True),
        app_password=access.app_password,
    )
    asyncio.run(database.prepare(found))
    return found


@pytest.fixture(scope="module")
def own_api(own_location: Location, start_api: Callable[..., Any]) -> Any:
    """The API on it."""
    return start_api(own_location)


def _processes(postmaster: int) -> list[int]:
    """The server's processes, each of which is a group of its own."""
    found = [postmaster]
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = each.read_text().rpartition(") ")
        except OSError:
            continue
        if int(rest.split()[1]) == postmaster:
            found.append(int(each.parent.name))
    return found


class Hanging:
    """A server that is stopped in the midst of what it does, and goes on as if nothing was."""

    def __init__(self, server: Server) -> None:
        pid = server.status().pid
        assert pid is not None
        self._pid = pid

    def begin(self) -> None:
        for each in _processes(self._pid):
            os.kill(each, signal.SIGSTOP)

    def end(self) -> None:
        for each in reversed(_processes(self._pid)):
            os.kill(each, signal.SIGCONT)


class Gone:
    """A server that is shut down, and started again."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def begin(self) -> None:
        self._server.stop()

    def end(self) -> None:
        self._server.ensure()


def _asked(client: httpx.Client, path: str) -> tuple[int, float]:
    start = time.perf_counter()
    status = client.get(path).status_code
    return status, time.perf_counter() - start


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to find processes in")
@pytest.mark.parametrize("kind", [Hanging, Gone])
def test_an_outage_is_told_at_once_and_is_soon_over(
    kind: Callable[[Server], Any],
    own_server: Server,
    own_api: Any,
    figures: Any,
) -> None:
    api = own_api
    name = kind.__name__.lower()
    outage = kind(own_server)
    token = api.new_user("ada@example.com" if kind is Hanging else "bob@example.com")
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=api.url, headers=headers, timeout=30) as client:
        assert _asked(client, "/api/v1/portfolios")[0] == 200
        outage.begin()
        try:
            until = time.monotonic() + figures.pick(3, 60)
            slowest, statuses = 0.0, set()
            while time.monotonic() < until:
                for path in ("/api/v1/portfolios", "/api/v1/profile", "/readyz"):
                    status, seconds = _asked(client, path)
                    statuses.add(status)
                    slowest = max(slowest, seconds)
                assert _asked(client, "/healthz")[0] == 200
        finally:
            outage.end()
        over = time.monotonic()
        while _asked(client, "/api/v1/portfolios")[0] != 200:
            assert time.monotonic() < over + 60
            time.sleep(0.05)
        took = time.monotonic() - over
        again = [_asked(client, "/api/v1/profile")[0] for _ in range(30)]
    assert statuses == {503}
    figures.at_most(f"outage, {name}: slowest refusal", slowest, "s", WITHIN)
    figures.at_most(f"outage, {name}: served again after", took, "s", AGAIN_WITHIN)
    figures.at_most(f"outage, {name}: refusals after that", sum(s != 200 for s in again), "", 0)
