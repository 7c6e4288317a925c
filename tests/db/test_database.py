"""Opening the database of an installation: the embedded one, and one that is given."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url

from seawall.core.errors import InvalidError, SeawallError, UnavailableError
from seawall.core.settings import DatabaseSettings, Settings
from seawall.db import database, migrate
from seawall.db.database import Location, open_database
from seawall.db.engine import create_engine, libpq_url, parse_url
from seawall.db.server import cluster
from seawall.db.server.driver import Server

FAST = {"fsync": "off", "shared_buffers": "16MB", "timescaledb.max_background_workers": "0"}
SECRET = "s3cret/%@:w0rd"  # noqa: S105 - the tests look for it
QUOTED = quote(SECRET, safe="")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A running server on a home of its own, that no Seawall has opened yet."""
    chosen = os.environ.get("SEAWALL_TEST_BIN_DIR")
    made = Server(tmp_path / "home", bin_dir=Path(chosen) if chosen else None, settings=FAST)
    made.ensure()
    yield made
    folder = cluster.find_cluster(made.home)
    made.stop()
    if folder is not None and not folder.is_relative_to(made.home):
        shutil.rmtree(folder)


def _given(url: str, **more: object) -> Settings:
    return Settings(
        home=Path("/nowhere"),
        database=DatabaseSettings.model_validate({"url": SecretStr(url), **more}),
    )


async def _opened(settings: Settings) -> str | None:
    async with open_database(settings) as engine, engine.connect() as connection:
        assert await connection.scalar(text("SELECT current_user")) == "seawall_app"
        return str(await connection.scalar(text("SELECT version_num FROM alembic_version")))


async def test_the_embedded_database_is_made_migrated_and_kept(
    server: Server, needed_version: str
) -> None:
    foreign = _given(server.ensure().url("postgres", as_admin=True))
    with pytest.raises(UnavailableError, match="seawall db migrate"):
        await _opened(foreign)  # Not even the roles are there.

    embedded = Settings(home=server.home, database=DatabaseSettings(bin_dir=server.bin_dir))
    assert await _opened(embedded) == needed_version
    location = database.locate(embedded)
    assert location.is_embedded
    assert location.name == "seawall"

    admin = create_engine(location.admin_url, role=None, pooled=False)
    async with admin.begin() as connection:
        await connection.execute(text("INSERT INTO exchanges (code) VALUES ('kept')"))
    await migrate.downgrade(admin, "0004")
    assert await _opened(embedded) == needed_version
    async with admin.connect() as connection:
        assert await connection.scalar(text("SELECT code FROM exchanges")) == "kept"

    other = Settings(home=server.home, database=DatabaseSettings(name='odd "name"'))
    assert await _opened(other) == needed_version
    async with admin.begin() as connection:
        # As after a restore of the home from before the role had its password.
        await connection.execute(text("ALTER ROLE seawall_app PASSWORD 'another'"))
    await admin.dispose()
    assert await _opened(embedded) == needed_version


async def test_a_given_database_is_opened_as_the_application(
    location: Location, needed_version: str
) -> None:
    for url in (location.url, location.admin_url):
        assert await _opened(_given(url)) == needed_version


async def test_a_given_database_that_is_not_migrated_is_not_touched(
    empty_location: Location,
) -> None:
    maintenance = create_engine(empty_location.maintenance_url, role=None, pooled=False)
    assert await migrate.create_database(maintenance, empty_location.name)
    assert not await migrate.create_database(maintenance, empty_location.name)
    await maintenance.dispose()
    with pytest.raises(UnavailableError, match="is at version none") as caught:
        await _opened(_given(empty_location.admin_url))
    assert caught.value.hint == "Run `seawall db migrate`."
    admin = create_engine(empty_location.admin_url, role=None, pooled=False)
    async with admin.connect() as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert await connection.scalar(text(tables)) == 0
    await admin.dispose()


async def test_a_given_database_of_an_older_version_is_refused(location: Location) -> None:
    admin = create_engine(location.admin_url, role=None, pooled=False)
    await migrate.downgrade(admin, "0003")
    await admin.dispose()
    with pytest.raises(UnavailableError, match="is at version 0003, and this Seawall needs"):
        await _opened(_given(location.url))


async def test_a_wrong_password_is_not_shown(location: Location) -> None:
    url = make_url(location.url).set(password=SECRET)
    settings = _given(url.render_as_string(hide_password=False))
    with pytest.raises(UnavailableError, match="refused to log in") as caught:
        await _opened(settings)
    _assert_hidden(caught.value, settings)


async def test_a_database_that_does_not_exist_is_told(empty_location: Location) -> None:
    with pytest.raises(UnavailableError, match=f'"{empty_location.name}" does not exist'):
        await _opened(_given(empty_location.url))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"mysql://me:{QUOTED}@host/db", "names mysql; Seawall needs PostgreSQL"),
        ("sqlite:///file.db", "names sqlite"),
        (f"me:{SECRET}", "is not a database address"),
        (f"postgresql://me:{SECRET}@host:port/db", "is not a database address"),
        ("postgresql://me@[::1/db", "is not a database address"),
        (f"nothing://me:{QUOTED}@host/db", "names nothing"),
        ("", "is not a database address"),
    ],
)
async def test_another_address_is_refused_without_its_password(url: str, said: str) -> None:
    settings = _given(url)
    with pytest.raises(InvalidError, match=said) as caught:
        await _opened(settings)
    _assert_hidden(caught.value, settings)


def _assert_hidden(error: SeawallError, *others: object) -> None:
    seen: BaseException | None = error
    told = [repr(other) for other in others]
    while seen is not None:
        told += [str(seen), repr(seen)]
        seen = seen.__cause__
    for part in (SECRET, "s3cret", "w0rd"):
        assert not any(part in each for each in told)


def test_a_location_does_not_show_its_addresses(location: Location) -> None:
    found = parse_url(location.url)
    assert found.password
    for shown in (repr(location), str(location)):
        assert found.password not in shown
        assert "postgresql" not in shown
        assert location.name in shown


def test_given_addresses_are_told_apart_by_what_they_are_for() -> None:
    found = database.locate(
        _given(
            "postgresql://app:one@host/first?sslmode=require",
            admin_url=SecretStr("postgresql://chief:two@host/postgres"),
            name="chosen",
        )
    )
    assert not found.is_embedded
    assert found.name == "chosen"
    assert found.url == "postgresql+asyncpg://app:one@host/chosen?ssl=require"
    assert found.admin_url == "postgresql+asyncpg://chief:two@host/chosen"
    assert found.maintenance_url == "postgresql+asyncpg://chief:two@host/postgres"
    # Other programs know libpq's names alone.
    assert libpq_url(found.url) == "postgresql://app:one@host/chosen?sslmode=require"


def test_one_address_serves_for_everything() -> None:
    found = database.locate(_given("postgresql://me:one@host"))
    assert found.name == "seawall"
    assert found.url == found.admin_url == "postgresql+asyncpg://me:one@host/seawall"


async def test_preparing_twice_changes_nothing(
    empty_location: Location, needed_version: str
) -> None:
    assert (await database.prepare(empty_location)).current is None
    again = await database.prepare(replace(empty_location, app_password=None))
    assert again.current == needed_version
    assert (await database.version(empty_location)).is_current
