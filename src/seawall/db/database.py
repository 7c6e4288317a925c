"""The database of an installation: where it is, and opening it ready for use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ForbiddenError, UnavailableError
from seawall.core.settings import DatabaseSettings, Settings
from seawall.db import migrate
from seawall.db.engine import WORKER_ROLE, create_engine, parse_url
from seawall.db.faults import translated
from seawall.db.server.driver import Server

DEFAULT_NAME = "seawall"
_KEYS_IN_USE = text("SELECT id, check_value FROM encryption_keys WHERE retired_at IS NULL")


@dataclass(frozen=True, slots=True)
class Location:
    """How to reach the database: as the application, and as who may change its tables.

    `maintenance_url` is where the database can be created from. The embedded server's application
    role logs in with `app_password`; elsewhere the login in `url` takes that role on. Series use
    TimescaleDB where the server has it, unless `timescaledb` is off.
    """

    name: str
    url: str = field(repr=False)
    admin_url: str = field(repr=False)
    maintenance_url: str = field(repr=False)
    app_password: str | None = field(default=None, repr=False)
    timescaledb: bool = True

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
        timescaledb=settings.database.timescaledb,
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
        timescaledb=given.timescaledb,
    )


async def prepare(location: Location) -> migrate.Version:
    """Create the database when it is not there, and migrate it; return the version found."""
    maintenance = create_engine(location.maintenance_url, role=None, pooled=False)
    try:
        await migrate.create_database(maintenance, location.name)
    finally:
        await maintenance.dispose()
    async with open_admin(location) as admin:
        return await migrate.upgrade(
            admin, app_password=location.app_password, timescaledb=location.timescaledb
        )


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
async def open_database(
    settings: Settings, *, require_keys: bool = True, statement_seconds: float | None = None
) -> AsyncIterator[AsyncEngine]:
    """Open the database; the embedded one is started and brought up to date as needed.

    Args:
        settings: where it is, and where its keys are.
        require_keys: whether to refuse it when a key is missing.
        statement_seconds: how long a statement may take.

    Raises:
        UnavailableError: it cannot be reached, a server of others is not migrated, or a key that
            its secrets are sealed with is missing.
        ConflictError: it belongs to a newer Seawall.
    """
    location = await make_ready(settings)
    slow_ms = settings.database.slow_ms
    engine = create_engine(location.url, slow_ms=slow_ms, statement_seconds=statement_seconds)
    try:
        if not location.is_embedded:
            await _require_current(engine)
        if require_keys:
            await _require_keys(engine, settings)
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_admin(location: Location, role: str | None = None) -> AsyncIterator[AsyncEngine]:
    """Connect with the login that may change the tables, acting as `role`."""
    engine = create_engine(location.admin_url, role=role, pooled=False)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """Open the database, which is ready, as a worker: who may ask for every user, and bind to each.

    Raises:
        ForbiddenError: the login may not act as the worker's role.
    """
    admin_url, slow_ms = locate(settings).admin_url, settings.database.slow_ms
    engine = create_engine(admin_url, role=WORKER_ROLE, slow_ms=slow_ms)
    try:
        await _require_role(engine)
        yield engine
    finally:
        await engine.dispose()


async def _require_role(engine: AsyncEngine) -> None:
    try:
        with translated():
            async with engine.connect():
                pass
    except ForbiddenError as error:
        raise ForbiddenError(
            error.message,
            hint=f"Put a login that may take on {WORKER_ROLE} into SEAWALL_DATABASE__ADMIN_URL.",
        ) from error


async def make_ready(settings: Settings) -> Location:
    """Return where the database is; the embedded one is started and brought up to date as needed.

    Raises:
        UnavailableError: the embedded server cannot be started, or what is to be migrated holds
            secrets whose key is missing.
    """
    location = locate(settings)
    if location.is_embedded:
        await _bring_up_to_date(location, settings)
    return location


async def _bring_up_to_date(location: Location, settings: Settings) -> None:
    try:
        found = await version(location)
    except (UnavailableError, ForbiddenError):
        # The database or the role is not there yet, its password was made anew, or the first
        # migration was interrupted.
        await prepare(location)
        return
    if not found.is_current:
        await _require_keys_of_older(location, settings)
        await prepare(location)


async def _require_keys_of_older(location: Location, settings: Settings) -> None:
    engine = create_engine(location.url, pooled=False)
    try:
        with translated():
            async with engine.connect() as connection:
                knows_keys = await connection.scalar(text("SELECT to_regclass('encryption_keys')"))
        if knows_keys is not None:
            await _require_keys(engine, settings)
    finally:
        await engine.dispose()


async def _require_keys(engine: AsyncEngine, settings: Settings) -> None:
    """Refuse a database whose secrets could not be opened, before anything of it is touched."""
    with translated():
        async with engine.connect() as connection:
            in_use = [(row.id, row.check_value) for row in await connection.execute(_KEYS_IN_USE)]
    if in_use:
        from seawall.core.keys import KeyStore  # noqa: PLC0415 - most databases need no key,
        from seawall.db.vault import require_keys  # noqa: PLC0415 - and this takes 20 ms

        require_keys(KeyStore(settings).read(), in_use)


async def _require_current(engine: AsyncEngine) -> None:
    found = await migrate.version(engine)
    if not found.is_current:
        raise UnavailableError(
            f"The database is at version {found.current or 'none'}, and this Seawall needs"
            f" {found.needed}.",
            hint="Run `seawall db migrate`.",
        )
