"""Secrets that can be recognised go every way that secrets go, and are then looked for everywhere.

The server logs every statement with its parameters, which it does not do otherwise.
"""

import asyncio
import base64
import io
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import sqlalchemy
from pydantic import SecretStr
from rich.console import Console
from rich.traceback import Traceback
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.crypto import Place, rewrap, seal
from seawall.core.keys import KeyStore
from seawall.core.settings import Settings
from seawall.db.database import Location, embedded_server
from seawall.db.engine import libpq_url
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity.tables import User

CANARY = f"canary-{uuid4().hex}"
MARKER = f"marker-{uuid4().hex}"
"""Goes the same ways without being secret, and so shows that the search would find."""
USER = UUID(int=0x0CA0A12)
NAME = Place("users", "first_name", USER, USER)
LOUD = {
    "log_statement": "all",
    "log_min_error_statement": "error",
    "log_error_verbosity": "verbose",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "-1",
}

Admit = Callable[..., Awaitable[None]]


@pytest.fixture
async def loud(location: Location, admin: AsyncEngine) -> Location:
    """A database whose every statement is in the server's log, with its parameters."""
    async with admin.begin() as connection:
        for name, value in LOUD.items():
            setting = f"ALTER DATABASE {location.name} SET {name} = '{value}'"
            await connection.execute(text(setting))
    return location


def _server_log() -> str:
    folder = Path(os.environ["SEAWALL_TEST_ROOT"]) / "home" / "logs"
    return "".join(path.read_text(errors="replace") for path in sorted(folder.glob("*.log*")))


def _dump(location: Location) -> str:
    home = Path(os.environ["SEAWALL_TEST_ROOT"]) / "home"
    binaries = embedded_server(Settings(home=home)).status().binaries
    assert binaries is not None
    done = subprocess.run(
        [binaries.folder / "pg_dump", "--format=plain", libpq_url(location.admin_url)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def _seawall(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "seawall.cli.app", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"


def _rendered(error: BaseException, *, with_locals: bool) -> str:
    """Return a traceback as Python and rich write it, and every error of the chain."""
    trace = Traceback.extract(
        type(error),
        error,
        error.__traceback__,
        show_locals=with_locals,
        locals_max_length=100,
        locals_max_string=1_000,
    )
    frames = [frame for stack in trace.stacks for frame in stack.frames]
    # What rich shows of a frame's variables; to colour all of SQLAlchemy's source takes long.
    variables = [
        f"{name} = {node}" for each in frames for name, node in (each.locals or {}).items()
    ]
    screen = Console(file=io.StringIO(), width=500)
    screen.print(Traceback(trace, width=500, suppress=[sqlalchemy, asyncpg]))
    assert isinstance(screen.file, io.StringIO)
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        chain += [str(seen), repr(seen), repr(getattr(seen, "detail", ""))]
        seen = seen.__cause__ or seen.__context__
    plain = traceback.format_exception(error)
    return "\n".join([*plain, screen.file.getvalue(), *variables, *chain])


class Provocations:
    """Everything that goes wrong with a secret, each told with all that could be printed of it."""

    def __init__(self, engine: AsyncEngine, vault: Vault, sealed: bytes, home: Path) -> None:
        self.engine, self.vault, self.sealed = engine, vault, sealed
        self.elsewhere = Vault(KeyStore(Settings(home=home / "elsewhere")))

    def in_memory(self) -> Iterator[Callable[[], object]]:
        other = Place("users", "last_name", USER, USER)
        ring = self.vault.store.read()
        yield lambda: self.vault.open(self.sealed, other)
        yield lambda: self.vault.open(self.sealed[:-1], NAME)
        yield lambda: self.vault.open(b"SWS\x09" + self.sealed[4:], NAME)
        yield lambda: self.elsewhere.open(self.sealed, NAME)
        yield lambda: rewrap(ring, self.sealed, other)
        yield lambda: seal(ring, SecretStr(CANARY + "\ud800"), NAME)

    def in_the_database(self) -> Iterator[Awaitable[None]]:
        yield self._change(first_name=self.sealed[1:])
        yield self._change(two_factor_enabled=True, two_factor_secret=None, full_name=self.sealed)
        yield self._change(username="x" * 101, first_name=self.sealed)
        yield self._change(first_name=SecretStr(CANARY))
        yield self._add_again()
        yield self._seal_elsewhere()

    def in_the_clear(self) -> Iterator[Awaitable[None]]:
        yield self._change(first_name=CANARY)
        yield self._change(first_name=[CANARY])

    async def _change(self, **values: object) -> None:
        async with transaction(self.engine, USER) as session:
            await session.execute(update(User).values(**values))

    async def _add_again(self) -> None:
        async with transaction(self.engine, USER) as session:
            row = insert(User).values(id=USER, username="again", first_name=self.sealed)
            await session.execute(row)

    async def _seal_elsewhere(self) -> None:
        async with transaction(self.engine, USER) as session:
            await self.elsewhere.seal(session, SecretStr(CANARY), NAME)


async def _told(work: Callable[[], object] | Awaitable[None], *, with_locals: bool) -> str:
    try:
        if isinstance(work, Awaitable):
            await work
        else:
            work()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return _rendered(error, with_locals=with_locals)
    raise AssertionError("nothing went wrong")


async def _provoke(engine: AsyncEngine, vault: Vault, settings: Settings) -> list[str]:
    async with transaction(engine, USER) as session:
        row = (await session.execute(select(User))).scalar_one()
    assert row.first_name is not None
    opened = vault.open(row.first_name, NAME)
    assert CANARY in opened.get_secret_value()
    store = KeyStore(settings)
    shown = [repr(each) for each in (vault, store, store.read(), settings, row, vars(row), opened)]
    shown += [f"{opened} {vars(vault)} {vars(store)} {settings.model_dump()}"]
    wrong = Provocations(engine, vault, row.first_name, settings.home)
    told = [await _told(each, with_locals=True) for each in wrong.in_memory()]
    told += [await _told(each, with_locals=True) for each in wrong.in_the_database()]
    # What SQLAlchemy is given in the clear is in its frames; nothing prints those.
    told += [await _told(each, with_locals=False) for each in wrong.in_the_clear()]
    assert all("Traceback" in each for each in told)
    return shown + told


async def _audit_log(admin: AsyncEngine) -> str:
    async with admin.connect() as connection:
        rows = await connection.scalars(text("SELECT audit_logs::text FROM audit_logs"))
        return "\n".join(rows)


def _forbidden(store: KeyStore) -> dict[str, str]:
    """Return the secrets and the keys in every form in which they could be written."""
    found: dict[str, str] = {}
    secrets = {f"key {key.id}": key.secret.get_secret_value() for key in store.read().keys}
    for name, raw in {"the canary": CANARY.encode(), **secrets}.items():
        found |= {
            f"{name}, as it is": repr(raw)[2:-1],
            f"{name} in hexadecimal": raw.hex(),
            f"{name} in base64": base64.b64encode(raw).decode().rstrip("="),
            f"{name} in base64url": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        }
    return found


def _find(evidence: dict[str, str], store: KeyStore) -> list[str]:
    forbidden = _forbidden(store)
    found = []
    for what, said in evidence.items():
        lowered = said.lower()
        found += [f"{what}: {name}" for name, form in forbidden.items() if form.lower() in lowered]
    return found


async def _commands(store: KeyStore) -> list[str]:
    away = store.path.with_name("away")
    done = [await asyncio.to_thread(_seawall, "keys", "status")]
    done += [await asyncio.to_thread(_seawall, "keys", "rotate", "--json")]
    store.path.rename(away)
    done += [await asyncio.to_thread(_seawall, "portfolio", "list")]
    done += [await asyncio.to_thread(_seawall, "keys", "rotate")]
    away.rename(store.path)
    return done


@pytest.fixture
async def told(
    loud: Location,
    settings: Settings,
    engine: AsyncEngine,
    vault: Vault,
    admit: Admit,
    change_secrets: Admit,
) -> str:
    """What is said when secrets go every way, right ones and wrong ones."""
    assert loud.name
    await admit(USER, CANARY)
    async with transaction(engine, USER) as session:
        await session.execute(update(User).values(username=MARKER))
    await change_secrets(USER, f"{CANARY} changed")
    return "\n".join(await _provoke(engine, vault, settings))


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged in this process, whatever its level."""
    for name in ("", "sqlalchemy.engine", "sqlalchemy.pool", "asyncpg", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def _logged(heard: pytest.LogCaptureFixture) -> Iterator[str]:
    form = logging.Formatter()
    for phase in ("setup", "call"):
        yield from (form.format(record) for record in heard.get_records(phase))


async def test_no_secret_and_no_key_is_written_anywhere(
    heard: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    told: str,
    vault: Vault,
    location: Location,
    admin: AsyncEngine,
) -> None:
    commands = await _commands(vault.store)
    printed = capfd.readouterr()
    evidence = {
        "the server's log": _server_log(),
        "a dump": await asyncio.to_thread(_dump, location),
        "the audit log": await _audit_log(admin),
        "our logs": "\n".join(_logged(heard)),
        "what was printed": printed.out + printed.err,
        "what commands print": "\n".join(commands),
        "errors and representations": told,
    }
    assert [each.splitlines()[0][-1] for each in commands] == ["0", "0", "7", "7"]
    assert len(vault.store.read().keys) == 2
    # The search finds what is there: the marker went the same ways, and what is sealed is a dump's.
    for what in ("the server's log", "a dump", "the audit log"):
        assert MARKER in evidence[what]
    assert vault.store.read().current.id in evidence["a dump"]
    assert b"SWS\x01".hex() in evidence["a dump"]
    assert "[redacted: changed]" in evidence["the audit log"]
    assert "UPDATE users SET" in evidence["our logs"]
    control = {"a control": f"... {CANARY} ..."}
    assert _find(control, vault.store) == ["a control: the canary, as it is"]
    assert _find(evidence, vault.store) == []


async def test_a_secret_that_nobody_sealed_is_refused_and_logged_nowhere(
    engine: AsyncEngine, vault: Vault, admit: Admit
) -> None:
    """With the server's own settings: those of the other test log what the client sends."""
    await admit(USER, "sealed")

    async def store_it() -> None:
        async with transaction(engine, USER) as session:
            await session.execute(update(User).values(first_name=CANARY.encode()))

    told = await _told(store_it(), with_locals=False)
    assert "ck_users_sealed" in told
    assert "ck_users_sealed" in _server_log()
    assert _find({"the error": told, "the log": _server_log()}, vault.store) == []
