"""What the tests of safety share: the app served over HTTP by this process, and real clients."""

import asyncio
import base64
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
import uvicorn
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr

from seawall.api import access
from seawall.api.app import build_app
from seawall.core.keys import KeyStore
from seawall.core.settings import ApiSettings, EncryptionSettings, Settings
from seawall.core.signing import read_secret
from seawall.db.cache import Cache
from seawall.db.cache.connect import connect
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity import accounts, login, sessions
from seawall.identity.desk import Desk
from seawall.identity.evenly import evenly
from seawall.identity.operators import NewUser, create_user
from seawall.identity.passwords import Passwords
from seawall.identity.schemas import Client, OpenedSession, UserStatus

T = TypeVar("T")
PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
TOKEN_PATH = "/token-of-the-tests"  # noqa: S105 - a path
SECRET = "only for the tests, and 32 characters or more"  # noqa: S105 - of nobody
KEY_32 = base64.b64encode(b"an encryption key of the tests:)").decode()


@asynccontextmanager
async def open_desk(location: Location, home: Path, kind: type[Cache]) -> AsyncIterator[Desk]:
    """Open a desk that hashes quickly."""
    settings = Settings(
        home=home,
        api=ApiSettings(secret=SecretStr(SECRET)),
        encryption=EncryptionSettings(key=SecretStr(KEY_32)),
    )
    engine = create_engine(location.url)
    cache = kind(await connect(settings), f"test:{location.name}")
    quick = Passwords(Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1))
    yield Desk(engine, cache, Vault(KeyStore(settings)), settings, read_secret(settings), quick)
    await cache.close()
    await engine.dispose()


@dataclass
class Served:
    """An app that a thread of this process serves, and the thread's loop."""

    app: FastAPI
    desk: Desk
    port: int
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something where the app runs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


class Somebody:
    """A user who is there and logged in whatever was done to them before."""

    def __init__(self, desk: Desk, email: str) -> None:
        self._desk, self._email = desk, email
        self._opened: OpenedSession | None = None

    async def token(self) -> str:
        """Return an access token that is good now."""
        if self._opened is None or await sessions.find(self._desk, self._opened.token) is None:
            self._opened = await self._log_in()
        return access.issue(self._desk.secret, self._opened)

    async def _log_in(self) -> OpenedSession:
        found = await login.find(self._desk, self._email)
        if found is None or found.status is not UserStatus.ACTIVE:
            self._email = f"{uuid4().hex}@example.com" if found else self._email
            made = NewUser(self._email, password=SecretStr(PASSWORD))
            user_id = (await create_user(self._desk, made)).id
        else:
            user_id = found.id
        async with transaction(self._desk.engine, user_id) as session:
            return await sessions.begin(session, user_id, Client(), refreshable=True)


def _socket() -> socket.socket:
    # Only of one that says that it is TCP asyncio asks not to wait before it sends.
    return socket.socket(proto=socket.IPPROTO_TCP)


@pytest.fixture(scope="module")
def served(
    module_location: Location, tmp_path_factory: pytest.TempPathFactory, uncounting: type[Cache]
) -> Iterator[Served]:
    """The app on a database of the module's own; nobody is counted, and nothing made to last."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, _socket() as listening:
        patch.setattr(accounts, "evenly", lambda: evenly(0))
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        opened = open_desk(module_location, home, uncounting)
        yield from _serve(opened, listening)


def _serve(opened: AbstractAsyncContextManager[Desk], listening: socket.socket) -> Iterator[Served]:
    ready, given = threading.Event(), []

    async def main() -> None:
        async with opened as desk:
            app = build_app(desk)
            app.add_api_route(TOKEN_PATH, Somebody(desk, "ada@example.com").token)
            config = uvicorn.Config(app, log_level="critical", lifespan="off", access_log=False)
            server = uvicorn.Server(config)
            port = listening.getsockname()[1]
            given.append((server, Served(app, desk, port, asyncio.get_running_loop())))
            ready.set()
            await server.serve(sockets=[listening])

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait(60)
    server, found = given[0]
    yield found
    server.should_exit = True
    thread.join(60)


_ZYGOTE = """
import gc, os, signal, sys
import uvicorn
import seawall.api.app
from seawall.api import deadline
options = dict(factory=True, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop",
    access_log=False, log_level="error", timeout_graceful_shutdown=2)
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        uvicorn.run("seawall.api.app:create_app", **options)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


@dataclass
class Api:
    """A process of its own that serves the API: it can be killed, and is back in a moment.

    A parent that has imported everything stands behind it, and is forked for each new one.
    """

    location: Location
    home: Path
    port: int
    kind: type[Cache]
    more: dict[str, str] = field(default_factory=dict)
    pid: int = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Import everything, and serve."""
        given = {
            "SEAWALL_HOME": str(self.home),
            "SEAWALL_API__SECRET": SECRET,
            "SEAWALL_ENCRYPTION__KEY": KEY_32,
            "SEAWALL_DATABASE__URL": self.location.url,
            "SEAWALL_DATABASE__ADMIN_URL": self.location.admin_url,
        }
        self._parent = subprocess.Popen(
            [sys.executable, "-c", _ZYGOTE, str(self.port)],
            env=os.environ | given | self.more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._parent.stdout is not None
        assert self._parent.stdout.readline() == "ready\n"
        self.start()

    def start(self) -> None:
        """Serve, and wait until it does."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()
        self.pid = int(self._parent.stdout.readline())
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """End it as a loss of power would."""
        os.kill(self.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it all."""
        with suppress(ProcessLookupError):
            self.kill()
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(30)
        self._parent.stdout.close()

    def new_user(self, email: str) -> str:
        """Make a user; return an access token of theirs."""

        async def make() -> str:
            async with open_desk(self.location, self.home, self.kind) as desk:
                return await Somebody(desk, email).token()

        with ThreadPoolExecutor(1) as apart:
            return apart.submit(asyncio.run, make()).result()


@pytest.fixture(scope="module")
def start_api(
    tmp_path_factory: pytest.TempPathFactory, uncounting: type[Cache]
) -> Iterator[Callable[..., Api]]:
    """Serves the API of a database in a process of its own, until the module is done."""
    started: list[Api] = []

    def start(location: Location, **more: str) -> Api:
        with _socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started.append(Api(location, tmp_path_factory.mktemp("home"), port, uncounting, more))
        started[-1].open()
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture(name="open_desk")
def _open_desk() -> Any:
    """Opens desks that hash quickly."""
    return open_desk
