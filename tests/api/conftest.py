"""The app on a database of the test's own, asked in this process as over HTTPS."""

import itertools
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.api.app import build_app
from seawall.core.keys import KeyStore
from seawall.core.settings import ApiSettings, Settings
from seawall.core.signing import read_secret
from seawall.core.time import from_micros
from seawall.db.cache import Cache
from seawall.db.cache.connect import connect
from seawall.db.cache.values import Usage
from seawall.db.vault import Vault
from seawall.identity import accounts, login
from seawall.identity.desk import Desk
from seawall.identity.evenly import evenly
from seawall.identity.mail import list_outbox
from seawall.identity.operators import NewUser, create_user
from seawall.identity.passwords import Passwords

PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
SOAK = "SEAWALL_TEST_SOAK"
"""Set by `make soak`: the tests are then as long as what is promised says."""
YEAR_3000 = 32_503_680_000_000_000
_WINDOWS = itertools.count()
COUNTED_AT = datetime(2024, 5, 6, 12, tzinfo=UTC)


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk that hashes quickly, and whose counts do not run into the next window."""
    settings = Settings(
        home=tmp_path / "home",
        # Kernels that are compiled for the first time take long on a busy machine.
        api=ApiSettings(request_seconds=300.0),
    )
    cache = Cache(await connect(settings), f"test:{uuid4().hex}", clock=lambda: COUNTED_AT)
    yield Desk(
        engine,
        cache,
        Vault(KeyStore(settings)),
        settings,
        read_secret(settings),
        Passwords(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)),
    )
    await cache.close()


class Web:
    """The app, and who asks it."""

    password = PASSWORD

    def __init__(self, app: FastAPI, desk: Desk) -> None:
        self.app, self.desk = app, desk

    def client(self, token: str | None = None) -> AsyncClient:
        """Somebody with cookies of their own, and maybe a token."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = ASGITransport(self.app, raise_app_exceptions=False)
        return AsyncClient(transport=transport, base_url="https://test", headers=headers)

    async def user(self, email: str) -> Any:
        """A user who may log in."""
        return await create_user(self.desk, NewUser(email, password=SecretStr(PASSWORD)))

    async def owner(self, email: str) -> Any:
        """The installation's owner, who may log in."""
        new = NewUser(email, password=SecretStr(PASSWORD), is_owner=True)
        return await create_user(self.desk, new)

    async def log_in(self, email: str, client: AsyncClient | None = None, **more: Any) -> Any:
        """The tokens of a login."""
        given = {"email": email, "password": PASSWORD} | more
        found = await (client or self.client()).post("/api/v1/auth/login", json=given)
        assert found.status_code == 200, found.text
        return found.json()

    async def known(self, email: str) -> AsyncClient:
        """A user who is made and logged in."""
        await self.user(email)
        return self.client((await self.log_in(email))["access_token"])

    async def token(self, email: str) -> str:
        """The token in the newest mail to a user."""
        found = await login.find(self.desk, email)
        assert found is not None
        newest, *_ = await list_outbox(self.desk.engine, self.desk.vault, found.id, 1)
        assert newest.body is not None
        (token,) = re.findall(r"^[\w-]{43}$", newest.body.get_secret_value(), re.MULTILINE)
        return str(token)


def problem(found: Response, status: int, slug: str) -> Any:
    """Check that an answer is a problem; return it."""
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "application/problem+json"
    told = found.json()
    assert (told["status"], told["type"]) == (status, f"/problems/{slug}")
    assert told["instance"] == found.headers["x-request-id"]
    return told


@pytest.fixture(name="problem")
def _problem() -> Any:
    return problem


@pytest.fixture
def web(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Web:
    """The app; answers that take equally long take no time at all."""
    monkeypatch.setattr(accounts, "evenly", lambda: evenly(0))
    return Web(build_app(desk), desk)


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, and the most that it may be (or the least)."""

    name: str
    value: float
    unit: str
    bound: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the bound is kept."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


class Figures:
    """Measures alike in a minute and in hours."""

    def __init__(self) -> None:
        self.all: list[Figure] = []
        self.is_long = os.environ.get(SOAK) == "1"

    def pick(self, short: int, long: int) -> int:
        """Return how much is to be done: little, or as much as is promised."""
        return long if self.is_long else short

    def at_most(self, name: str, value: float, unit: str, bound: float) -> None:
        """Note a figure, and fail when it is above its bound."""
        self._note(Figure(name, value, unit, bound))

    def at_least(self, name: str, value: float, unit: str, bound: float) -> None:
        """Note a figure, and fail when it is below its bound."""
        self._note(Figure(name, value, unit, bound, at_least=True))

    def _note(self, figure: Figure) -> None:
        self.all.append(figure)
        assert figure.holds, figure


KEY = pytest.StashKey[Figures]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with an empty table."""
    config.stash[KEY] = Figures()


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> Figures:
    """Where figures are noted."""
    return pytestconfig.stash[KEY]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, when it is what was asked for."""
    found = terminalreporter.config.stash[KEY]
    if not found.is_long:
        return
    terminalreporter.section("figures")
    for each in found.all:
        sign, kept = ("≥" if each.at_least else "≤"), ("" if each.holds else "  MISSED")
        terminalreporter.write_line(
            f"{each.name:<58} {each.value:>12,.6g} {each.unit:<9} {sign} {each.bound:,.6g}{kept}"
        )


class Uncounting(Cache):
    """A cache that counts nobody's requests: limits are not to hide what stands behind them."""

    async def hit(self, user_id: Any, endpoint: str, seconds: int = 60) -> Usage:
        """Count nothing: each is the first of a window of its own."""
        del user_id, endpoint, seconds
        return Usage(1, from_micros(YEAR_3000 + next(_WINDOWS)))


@pytest.fixture(scope="session")
def uncounting() -> type[Cache]:
    """The kind of cache that counts nothing."""
    return Uncounting
