"""Opening a database whose secrets need a key: refused without it, before anything is touched."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.crypto import Place
from seawall.core.errors import ForbiddenError, InvalidError, SeawallError, UnavailableError
from seawall.core.keys import KeyStore
from seawall.core.settings import Settings, load_settings
from seawall.db import database
from seawall.db.database import Location, open_database
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.db.vault import Vault
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.identity.tables import User

OPEN = """
import asyncio, sys
from seawall.core.settings import load_settings
from seawall.db.database import open_database

async def use():
    async with open_database(load_settings()):
        pass

asyncio.run(use())
print(*sorted(name for name in sys.modules if name in ("cryptography", "seawall.db.vault")))
"""


@pytest.fixture
def settings(installation: Location) -> Settings:
    """The settings of a command on the test's database."""
    assert not installation.is_embedded
    return load_settings()


async def _open(settings: Settings) -> None:
    async with open_database(settings):
        pass


@pytest.fixture
async def key_id(settings: Settings, engine: AsyncEngine) -> str:
    """The key that a secret in the database is sealed with."""
    place = Place("users", "full_name", OWNER_ID, OWNER_ID)
    store = KeyStore(settings)
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        sealed = await Vault(store).seal(session, SecretStr("Ada"), place)
        await session.execute(update(User).values(full_name=sealed))
    return store.read().current.id


def _run_open() -> str:
    done = subprocess.run(
        [sys.executable, "-c", OPEN], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


async def test_a_database_without_secrets_needs_no_key_and_makes_none(settings: Settings) -> None:
    assert await asyncio.to_thread(_run_open) == "", "what encrypts is not even imported"
    assert not settings.home.exists()


@pytest.mark.usefixtures("key_id")
async def test_with_its_key_a_database_opens(settings: Settings) -> None:
    await _open(settings)
    assert "cryptography" in await asyncio.to_thread(_run_open)


def _lose(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    path.unlink()
    KeyStore(Settings(home=path.parents[1])).read_or_make()


def _open_to_others(path: Path) -> None:
    path.chmod(0o644)


def _damage(path: Path) -> None:
    path.write_text(path.read_text()[:-10])


@pytest.mark.parametrize(
    ("spoil", "family", "names_key"),
    [
        (_lose, UnavailableError, True),
        (_replace, UnavailableError, True),
        (_open_to_others, ForbiddenError, False),
        (_damage, InvalidError, True),
    ],
)
async def test_a_wrong_or_missing_key_is_refused_and_nothing_is_touched(
    settings: Settings,
    engine: AsyncEngine,
    key_id: str,
    spoil: Callable[[Path], None],
    family: type[SeawallError],
    names_key: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    path = KeyStore(settings).path
    spoil(path)
    files = sorted(settings.home.rglob("*"))
    before = await _contents(engine)
    with pytest.raises(family) as caught:
        await _open(settings)
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert (key_id in caught.value.message) is names_key
    assert sorted(settings.home.rglob("*")) == files
    assert await _contents(engine) == before


async def _contents(engine: AsyncEngine) -> list[object]:
    async with transaction(engine, OWNER_ID) as session:
        user = (await session.execute(select(*User.__table__.columns))).one()
        known = (await session.execute(text("SELECT * FROM encryption_keys"))).all()
        return [tuple(user), *map(tuple, known)]


async def test_a_check_value_that_was_exchanged_is_noticed(
    settings: Settings, location: Location, key_id: str
) -> None:
    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with admin.begin() as connection:
        spoil = "UPDATE encryption_keys SET check_value = check_value || '\\x00'"
        await connection.execute(text(spoil))
    await admin.dispose()
    with pytest.raises(ForbiddenError, match=f"key {key_id} does not open"):
        await _open(settings)


async def test_an_older_database_whose_key_is_missing_is_not_migrated(
    settings: Settings, location: Location, key_id: str
) -> None:
    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with admin.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    KeyStore(settings).path.unlink()
    with pytest.raises(UnavailableError, match=key_id):
        await database._bring_up_to_date(location, settings)
    async with admin.connect() as connection:
        kept = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    await admin.dispose()
    assert kept == "older"


async def test_keys_that_are_retired_are_not_asked_for(
    settings: Settings, engine: AsyncEngine, key_id: str
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await session.execute(text("UPDATE encryption_keys SET retired_at = now()"))
    KeyStore(settings).path.unlink()
    await _open(settings)
    assert key_id
