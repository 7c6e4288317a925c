"""The database's version: roles, the database itself, and the migrations up to this release."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from seawall.core.errors import ConflictError, NotFoundError, UnavailableError, name_some
from seawall.db import upkeep
from seawall.db.base import Base
from seawall.db.engine import APP_ROLE, MINIMUM_VERSION, OWNER_ROLE, WORKER_ROLE
from seawall.db.faults import translated
from seawall.db.losses import find_losses
from seawall.db.server.credentials import scram_verifier

if TYPE_CHECKING:  # It is slow to load, and hardly any start has something to migrate.
    from alembic.config import Config
    from alembic.script import ScriptDirectory

# ruff: noqa: PLC0415 - so it is loaded where it runs

_SCRIPTS = Path(__file__).parent.parent / "migrations"
LOCK = 0x5EA_0A11
"""The advisory lock that makes a second migrator wait."""


@dataclass(frozen=True, slots=True)
class Version:
    """Where a database stands: its revision now, and the one this release needs."""

    current: str | None
    needed: str

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to migrate."""
        return self.current == self.needed


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["metadata"] = Base.metadata
    return config


@cache
def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    # Every file of it is loaded when it is first asked for a revision.
    return ScriptDirectory.from_config(_config())


@cache
def head() -> str:
    """Return the revision that this release needs: the last by the names of the files."""
    return max(path.name[1:5] for path in _SCRIPTS.glob("versions/v[0-9]*.py"))


async def create_database(admin: AsyncEngine, name: str) -> bool:
    """Create the database when it is not there; true when it was made."""
    with translated():
        async with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            if await _is_there(connection, name):
                return False
            quoted = _quote(connection, name)
            try:
                await connection.execute(
                    text(f"CREATE DATABASE {quoted} ENCODING 'UTF8' TEMPLATE template0")
                )
            except DBAPIError:
                if await _is_there(connection, name):
                    return False  # Another has made it meanwhile.
                raise
            return True


async def _is_there(connection: AsyncConnection, name: str) -> bool:
    query = text("SELECT EXISTS (SELECT FROM pg_database WHERE datname = :name)")
    return bool(await connection.scalar(query, {"name": name}))


def _quote(connection: AsyncConnection, identifier: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(identifier)


async def version(engine: AsyncEngine) -> Version:
    """Say where a database stands."""
    with translated():
        async with engine.connect() as connection:
            return Version(await connection.run_sync(_current), head())


def _current(connection: Connection) -> str | None:
    if connection.scalar(text("SELECT to_regclass('alembic_version') IS NULL")):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


async def upgrade(
    admin: AsyncEngine, *, app_password: str | None = None, timescaledb: bool = True
) -> Version:
    """Bring a database to this release: roles first, then every migration that it lacks.

    Each migration is one transaction, so an interrupted one leaves the database as it was before
    it. A second migrator waits for the first. Returns the version that was found. Without
    `timescaledb` new series are native even where the server has the extension.

    Raises:
        ConflictError: the database belongs to a newer Seawall.
        UnavailableError: the server is too old, or cannot be reached.
    """

    def go(connection: Connection) -> Version:
        _require_version(connection)
        _ensure_roles(connection, app_password)
        if timescaledb:
            create_extension(connection)
            connection.commit()
        return _upgrade(connection)

    return await _locked(admin, go)


def _upgrade(connection: Connection) -> Version:
    from alembic import command

    found = Version(_current(connection), head())
    if found.is_current:
        return found
    known = {script.revision for script in _scripts().walk_revisions()}
    if found.current is not None and found.current not in known:
        raise ConflictError(
            f"The database is at version {found.current}, which this Seawall does not know:"
            " it was migrated by a newer one.",
            hint="Use that version of Seawall, or restore a backup from before the migration.",
        )
    _run(connection, lambda config: command.upgrade(config, "head"))
    upkeep.schedule(connection)
    return found


async def downgrade(admin: AsyncEngine, revision: str, *, lose_data: bool = False) -> Version:
    """Take a database back to an earlier revision, in one transaction; `base` empties it.

    Returns the version that was found.

    Raises:
        ConflictError: data would be lost that the earlier revision has no place for, and
            `lose_data` does not allow it.
        NotFoundError: there is no such revision before the database's.
    """
    from alembic import command

    def go(connection: Connection) -> Version:
        found = Version(_current(connection), head())
        _require_earlier(found, revision)
        upkeep.unschedule(connection)
        connection.execute(text(f"SET ROLE {OWNER_ROLE}"))
        config = _config()
        config.attributes["connection"] = connection
        if not lose_data:
            losses = find_losses(connection, lambda: command.downgrade(config, revision))
            if losses:
                raise ConflictError(
                    f"Going back to version {revision} would lose {name_some(losses)}.",
                    hint="Take a backup, then allow it with --lose-data.",
                )
        command.downgrade(config, revision)
        connection.execute(text("RESET ROLE"))
        upkeep.schedule(connection)
        return found

    return await _locked(admin, go)


def _require_earlier(found: Version, revision: str) -> None:
    before = [
        script.revision for script in _scripts().walk_revisions("base", found.current or "base")
    ]
    if revision != "base" and revision not in before:
        raise NotFoundError(
            f"There is no version {revision} before {found.current or 'none'}.",
            hint=f"Choose of {', '.join(sorted(before))}, or base.",
        )


async def _locked(admin: AsyncEngine, work: Callable[[Connection], Version]) -> Version:
    with translated():
        async with admin.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            await connection.commit()
            try:
                return await connection.run_sync(work)
            finally:
                await asyncio.shield(_unlock(connection))


async def _unlock(connection: AsyncConnection) -> None:
    await connection.rollback()
    await connection.execute(text("RESET ROLE"))
    await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
    await connection.commit()


def _run(connection: Connection, run: "Callable[[Config], None]") -> None:
    connection.execute(text(f"SET ROLE {OWNER_ROLE}"))
    connection.commit()
    config = _config()
    config.attributes["connection"] = connection
    run(config)
    connection.execute(text("RESET ROLE"))
    connection.commit()


def _major_version(connection: Connection) -> int:
    return int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000


def _require_version(connection: Connection) -> None:
    major = _major_version(connection)
    if major < MINIMUM_VERSION:
        raise UnavailableError(
            f"The server is PostgreSQL {major}; Seawall needs {MINIMUM_VERSION} or newer.",
            hint="Upgrade it, or unset SEAWALL_DATABASE__URL to use the embedded server.",
        )


def _ensure_roles(connection: Connection, app_password: str | None) -> None:
    """Make the owner and the application's role, and let the owner make things here.

    Roles belong to the whole server, so another database of it may have made them before.
    """
    # Since PostgreSQL 16 a member is not always one who may SET ROLE.
    becoming = "SET" if _major_version(connection) >= 16 else "MEMBER"  # noqa: PLR2004
    # All are without BYPASSRLS: not even the owner's own queries pass the policies.
    for role in (OWNER_ROLE, APP_ROLE, WORKER_ROLE):
        connection.execute(
            text(f"""
                DO $$ BEGIN
                    CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
                EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
                END $$
            """)
        )
        connection.execute(
            text(f"""
                DO $$ BEGIN
                    IF NOT pg_has_role(current_user, '{role}', '{becoming}') THEN
                        EXECUTE format('GRANT {role} TO %I', current_user);
                    END IF;
                END $$
            """)
        )
    # A worker may do what the application may, and besides ask which users there are.
    connection.execute(
        text(f"""
            DO $$ BEGIN
                IF NOT pg_has_role('{WORKER_ROLE}', '{APP_ROLE}', 'MEMBER') THEN
                    GRANT {APP_ROLE} TO {WORKER_ROLE};
                END IF;
            EXCEPTION WHEN unique_violation OR internal_error THEN NULL;
            END $$
        """)
    )
    if app_password is not None:
        # Only what the password can be checked with travels, so no log or error can show it.
        verifier = scram_verifier(app_password)
        # An internal error is that another gives the role its password, the same, at this moment.
        connection.exec_driver_sql(
            f"DO $$ BEGIN ALTER ROLE {APP_ROLE} LOGIN PASSWORD '{verifier}';"
            " EXCEPTION WHEN internal_error THEN NULL; END $$"
        )
    database = connection.dialect.identifier_preparer.quote_identifier(
        str(connection.scalar(text("SELECT current_database()")))
    )
    # Nobody but these roles reaches the database; the application makes no lasting table in it.
    connection.exec_driver_sql(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    connection.exec_driver_sql(f"GRANT CREATE, USAGE ON SCHEMA public TO {OWNER_ROLE}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {APP_ROLE}")
    for role in (APP_ROLE, OWNER_ROLE):
        connection.exec_driver_sql(f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}")
    # The queue's tables lie in a schema apart.
    connection.exec_driver_sql(f"GRANT CREATE ON DATABASE {database} TO {OWNER_ROLE}")
    connection.commit()


def create_extension(connection: Connection) -> bool:
    """Give the database TimescaleDB where the server has it; true when the database has it."""
    there = text("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'")
    if not connection.scalar(there):
        return False
    # Without having been loaded at the start, it would end the connection.
    if "timescaledb" not in str(connection.scalar(text("SHOW shared_preload_libraries"))):
        return False
    connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS timescaledb")
    return True
