"""The cache may stop, or be emptied: reads and jobs go on, and nobody guesses at passwords."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import text

from seawall.core.settings import CacheSettings, DatabaseSettings, Settings
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.identity.attempts import GUESSES
from seawall.jobs.crew import load_crew
from seawall.jobs.run import Pace, drain

V1 = "/api/v1"
PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
CSV = b"date,type,asset,quantity,price_usd,fee_usd,notes\n2024-01-01,deposit,USD,100,,,\n"
WITHIN = 2.0


class Asker:
    """Somebody who is logged in at an API whose cache is on a server."""

    def __init__(self, client: httpx.Client, email: str) -> None:
        self.client, self.email = client, email
        self.statuses: set[int] = set()
        self.slowest = 0.0

    def read(self) -> None:
        """Read things of several kinds, as several requests do."""
        for path in ("profile", "portfolios", "sessions", "assets", "risk/limits"):
            self._ask("GET", path)

    def write(self, name: str) -> None:
        """Make something, and record in it."""
        made = self._ask("POST", "portfolios", json={"name": name})
        path = f"portfolios/{made.json()['id']}"
        self._ask("POST", f"{path}/transactions", content=CSV, headers={"Content-Type": "text/csv"})
        self._ask("POST", f"{path}/risk/reports", json={})

    def reports(self) -> set[str]:
        """The names of the portfolios that a worker has measured."""
        held = self._ask("GET", "portfolios").json()["items"]
        found = {
            each["name"]: self.client.get(f"{V1}/portfolios/{each['id']}/risk") for each in held
        }
        return {name for name, answer in found.items() if answer.status_code == 200}

    def guess(self, password: str) -> int:
        """Try to log in, from no known device."""
        given = {"email": self.email, "password": password}
        return self.client.post(f"{V1}/auth/login", json=given).status_code

    def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        begun = time.perf_counter()
        found = self.client.request(method, f"{V1}/{path}", **given)
        self.slowest = max(self.slowest, time.perf_counter() - begun)
        self.statuses.add(found.status_code)
        return found


@pytest.fixture(scope="module")
def api(module_location: Location, valkey: Any, start_api: Callable[..., Any]) -> Any:
    """The API, with its cache on a server."""
    return start_api(module_location, SEAWALL_CACHE__URL=f"unix://{valkey.unix_socket_path}")


@pytest.fixture
def asker(api: Any, request: pytest.FixtureRequest) -> Any:
    """A user of the test's own."""
    email = f"{request.node.name.replace('_', '-')}@example.com"
    token = api.new_user(email)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=api.url, headers=headers, timeout=30) as client:
        yield Asker(client, email)


def _work(location: Location, valkey: Any, home: Path) -> int:
    """Work the queue off, with the same cache."""
    settings = Settings(
        home=home,
        database=DatabaseSettings(
            url=SecretStr(location.url), admin_url=SecretStr(location.admin_url)
        ),
        cache=CacheSettings(url=SecretStr(f"unix://{valkey.unix_socket_path}")),
    )
    done = drain(settings, load_crew("seawall.workers.app"), Pace.of(settings), lambda _: None)
    return asyncio.run(done)


def _noted(location: Location) -> int:
    """How many logins were looked at, whatever came of them."""

    async def count() -> int:
        engine = create_engine(location.admin_url, role=None, pooled=False)
        query = "SELECT count(*) FROM audit_logs WHERE operation IN ('LOGIN', 'LOGIN_FAILED')"
        async with engine.connect() as connection:
            found = int(await connection.scalar(text(query)) or 0)
        await engine.dispose()
        return found

    return asyncio.run(count())


def test_a_cache_that_is_down_stops_only_who_would_log_in(
    api: Any,
    asker: Asker,
    valkey: Any,
    module_location: Location,
    tmp_path: Path,
    figures: Any,
) -> None:
    assert api.port
    asker.read()
    asker.write("before")
    valkey.terminate()
    try:
        looked_at = _noted(module_location)
        for number in range(figures.pick(3, 60)):
            asker.read()
            asker.write(f"meanwhile {number}")
            assert {asker.guess(PASSWORD), asker.guess("guess")} == {503}
        assert _noted(module_location) == looked_at
        assert asker.client.get("/readyz").json()["checks"]["cache"] == "unavailable"
        assert _work(module_location, valkey, tmp_path) > 0
        assert "meanwhile 0" in asker.reports()
    finally:
        valkey.start()
    until = time.monotonic() + 30
    while asker.guess(PASSWORD) != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
    asker.read()
    figures.at_most(
        "cache down: answers that are not right", len(asker.statuses - {200, 201, 202}), "", 0
    )
    figures.at_most("cache down: slowest answer", asker.slowest, "s", WITHIN)


def test_a_cache_that_was_emptied_lets_nobody_guess_anew(
    asker: Asker, valkey: Any, module_location: Location, tmp_path: Path, figures: Any
) -> None:
    asker.read()
    looked_at = _noted(module_location)
    assert [asker.guess("guess") for _ in range(GUESSES + 1)] == [401] * GUESSES + [429]
    again = set()
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as server:
        for number in range(figures.pick(3, 60)):
            server.flushall()
            asker.read()
            server.flushall()
            asker.write(f"emptied {number}")
            again |= {asker.guess("guess"), asker.guess(PASSWORD)}
            server.flushall()
            if number == 0:
                assert _work(module_location, valkey, tmp_path) > 0
    assert again == {429}
    assert "emptied 0" in asker.reports()
    figures.at_most(
        "cache emptied: guesses looked at", _noted(module_location) - looked_at, "", GUESSES
    )
    figures.at_most(
        "cache emptied: answers that are not right", len(asker.statuses - {200, 201, 202}), "", 0
    )


def test_a_cache_that_stops_and_starts_at_any_moment_breaks_no_request(
    asker: Asker, valkey: Any, figures: Any
) -> None:
    for number in range(figures.pick(2, 20)):
        asker.read()
        valkey.terminate()
        asker.read()
        asker.write(f"stopped {number}")
        valkey.start()
        asker.read()
        asker.write(f"started {number}")
    assert asker.statuses <= {200, 201, 202}


def test_the_cache_of_the_tests_is_the_one_that_is_stopped(asker: Asker, valkey: Any) -> None:
    # After a failure the cache is left alone for a second.
    until = time.monotonic() + 30
    with Redis(unix_socket_path=str(valkey.unix_socket_path)) as server:
        asker.read()
        while not server.dbsize():
            assert time.monotonic() < until, "nothing is kept there, so nothing was shown"
            time.sleep(0.1)
            asker.read()
