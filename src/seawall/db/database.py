"""The database of an installation: where it is, and opening it ready for use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ForbiddenError, UnavailableError
from seawall.core.settings import DatabaseSettings, Settings
from seawall.db import migrate
from seawall.db.engine import create_engine, parse_url
from seawall.db.server.driver import Server

DEFAULT_NAME = "seawall"


@dataclass(frozen=True, slots=True)
class Location:
    """How to reach the database: as the application, and as who may change its tables.

    `maintenance_url` is where the database can be created from. The embedded server's application
    role logs in with `app_password`; elsewhere the login in `url` takes that role on.
    """

    name: str
    url: str = field(repr=False)
    admin_url: str = field(repr=False)
    maintenance_url: str = field(repr=False)
    app_password: str | None = field(default=None, repr=False)

    @property
    def is_embedded(self) -> bool:
        """Whether Seawall runs the server itself."""
        return self.app_password is not None


def embedded_server(settings: Settings) -> Server:
    """Return the embedded server of these settings, running or not."""
    return Server(settings.home, bin_dir=settings.database.bin_dir, port=settings.database.port)


def locate(settings: Settings) -> Location:
    """Return where the database is; the embedded server is started when it is not running.

    Raises:
        UnavailableError: the embedded server cannot be started.
    """
    if settings.database.url is not None:
        return _locate_given(settings.database, settings.database.url)
    name = settings.database.name or DEFAULT_NAME
    access = embedded_server(settings).ensure()
    return Location(
        name=name,
        url=access.url(name),
        admin_url=access.url(name, as_admin=True),
        maintenance_url=access.url("postgres", as_admin=True),
        app_password=access.app_password,
    )


def _locate_given(given: DatabaseSettings, url: SecretStr) -> Location:
    application = parse_url(url.get_secret_value())
    admin = application
    if given.admin_url is not None:
        setting = "SEAWALL_DATABASE__ADMIN_URL"
        admin = parse_url(given.admin_url.get_secret_value(), setting)
    name = given.name or application.database or DEFAULT_NAME

    def named(address: URL, database: str | None) -> str:
        return address.set(database=database).render_as_string(hide_password=False)

    return Location(
        name=name,
        url=named(application, name),
        admin_url=named(admin, name),
        maintenance_url=named(admin, admin.database),
    )


async def prepare(location: Location) -> migrate.Version:
    """Create the database when it is not there, and migrate it; return the version found."""
    maintenance = create_engine(location.maintenance_url, role=None, pooled=False)
    try:
        await migrate.create_database(maintenance, location.name)
    finally:
        await maintenance.dispose()
    admin = create_engine(location.admin_url, role=None, pooled=False)
    try:
        return await migrate.upgrade(admin, app_password=location.app_password)
    finally:
        await admin.dispose()


async def version(location: Location) -> migrate.Version:
    """Say where the database stands.

    Raises:
        UnavailableError: it cannot be reached, or is not there.
    """
    engine = create_engine(location.url, pooled=False)
    try:
        return await migrate.version(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Open the database; the embedded one is started and brought up to date as needed.

    Raises:
        UnavailableError: it cannot be reached, or a server of others is not migrated.
        ConflictError: it belongs to a newer Seawall.
    """
    location = await make_ready(settings)
    engine = create_engine(location.url)
    try:
        if not location.is_embedded:
            await _require_current(engine)
        yield engine
    finally:
        await engine.dispose()


async def make_ready(settings: Settings) -> Location:
    """Return where the database is; the embedded one is started and brought up to date as needed.

    Raises:
        UnavailableError: the embedded server cannot be started.
    """
    location = locate(settings)
    if location.is_embedded:
        await _bring_up_to_date(location)
    return location


async def _bring_up_to_date(location: Location) -> None:
    try:
        found = await version(location)
    except (UnavailableError, ForbiddenError):
        # The database or the role is not there yet, its password was made anew, or the first
        # migration was interrupted.
        await prepare(location)
        return
    if not found.is_current:
        await prepare(location)


async def _require_current(engine: AsyncEngine) -> None:
    found = await migrate.version(engine)
    if not found.is_current:
        raise UnavailableError(
            f"The database is at version {found.current or 'none'}, and this Seawall needs"
            f" {found.needed}.",
            hint="Run `seawall db migrate`.",
        )
