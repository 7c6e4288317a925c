"""Every migration goes up and down, alone and together, interrupted or contested."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from alembic import command, op
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import ConflictError, UnavailableError
from seawall.db import database, migrate
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.migrations import operations

Dump = Callable[[AsyncEngine], Awaitable[dict[str, list[str]]]]
REVISIONS = sorted(
    script.revision for script in ScriptDirectory.from_config(migrate._config()).walk_revisions()
)


async def _version(engine: AsyncEngine) -> str | None:
    return (await migrate.version(engine)).current


async def test_from_nothing_to_everything(empty: AsyncEngine, dump: Dump) -> None:
    assert await _version(empty) is None
    found = await migrate.upgrade(empty)
    assert found == migrate.Version(None, REVISIONS[-1])
    assert await _version(empty) == migrate.head() == REVISIONS[-1]
    assert len((await dump(empty))["tables"]) > 30


async def test_to_the_base_and_back_is_the_same(admin: AsyncEngine, dump: Dump) -> None:
    before = await dump(admin)
    assert len(before["tables"]) > 30
    await migrate.downgrade(admin, "base")
    left = await dump(admin)
    assert [entry.split()[0] for entry in left["tables"]] == [
        "alembic_version",
        "alembic_version_pkc",
    ]
    assert left["functions"] == left["policies"] == []
    await migrate.upgrade(admin)
    assert await dump(admin) == before


async def test_each_step_down_undoes_the_step_up(empty: AsyncEngine, dump: Dump) -> None:
    async def step(revision: str) -> dict[str, list[str]]:
        await migrate._locked(empty, lambda connection: _upgrade_to(connection, revision))
        return await dump(empty)

    await migrate.upgrade(empty)
    await migrate.downgrade(empty, "base")
    states = {"base": await dump(empty)}
    for before, revision in zip(["base", *REVISIONS], REVISIONS, strict=False):
        states[revision] = await step(revision)
        assert states[revision] != states[before]
        await migrate.downgrade(empty, before)
        assert await dump(empty) == states[before], f"{revision} down"
        assert await step(revision) == states[revision], f"{revision} up again"


def _upgrade_to(connection: Connection, revision: str) -> migrate.Version:
    migrate._run(connection, lambda config: command.upgrade(config, revision))
    return migrate.Version(revision, migrate.head())


async def test_data_of_earlier_tables_survives_later_steps(admin: AsyncEngine) -> None:
    async with admin.begin() as connection:
        await connection.execute(text("INSERT INTO exchanges (code) VALUES ('kept')"))
    await migrate.downgrade(admin, "0003", lose_data=True)
    await migrate.upgrade(admin)
    async with admin.connect() as connection:
        assert list(await connection.scalars(text("SELECT code FROM exchanges"))) == ["kept"]


async def test_a_second_migration_changes_nothing(admin: AsyncEngine, dump: Dump) -> None:
    before = await dump(admin)
    assert (await migrate.upgrade(admin)).is_current
    assert await dump(admin) == before


async def test_two_that_migrate_at_once_both_succeed(empty: AsyncEngine) -> None:
    found = await asyncio.gather(*(migrate.upgrade(empty) for _ in range(3)))
    assert sorted(str(each.current) for each in found) == [REVISIONS[-1], REVISIONS[-1], "None"]
    assert (await migrate.version(empty)).is_current


async def test_two_that_make_the_same_database_at_once_both_succeed(
    empty_location: Location,
) -> None:
    await asyncio.gather(*(database.prepare(empty_location) for _ in range(3)))
    assert (await database.version(empty_location)).is_current


async def test_databases_of_one_server_are_given_their_roles_at_once(
    location: Location,
) -> None:
    names = [f"{location.name}_{number}" for number in range(3)]
    maintenance = create_engine(location.maintenance_url, role=None, pooled=False)
    urls = [make_url(location.admin_url).set(database=name) for name in names]
    engines = [create_engine(url.render_as_string(hide_password=False), role=None) for url in urls]

    async def give(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            for _ in range(20):
                await connection.run_sync(migrate._ensure_roles, location.app_password)

    try:
        for name in names:
            await migrate.create_database(maintenance, name)
        await asyncio.gather(*map(give, engines))
    finally:
        for engine in engines:
            await engine.dispose()
        autocommit = maintenance.execution_options(isolation_level="AUTOCOMMIT")
        async with autocommit.connect() as connection:
            for name in names:
                await connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        await maintenance.dispose()


async def test_a_database_of_a_newer_seawall_is_left_alone(admin: AsyncEngine, dump: Dump) -> None:
    async with admin.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = await dump(admin)
    with pytest.raises(ConflictError, match="9999, which this Seawall does not know") as caught:
        await migrate.upgrade(admin)
    assert "Use that version" in caught.value.hint
    assert await dump(admin) == before
    assert await _version(admin) == "9999"


@pytest.mark.parametrize("fails_at", ["transactions", "portfolio_risk_metrics"])
async def test_a_migration_that_fails_half_way_leaves_no_half(
    admin: AsyncEngine, dump: Dump, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    whole = await dump(admin)
    before = {"transactions": "0003", "portfolio_risk_metrics": "0004"}[fails_at]
    await migrate.downgrade(admin, before)
    state = await dump(admin)
    await migrate.downgrade(admin, "0002")
    grant = operations.grant

    def fail(table: str, *privileges: str) -> None:
        if table == fails_at:
            raise RuntimeError("interrupted")
        grant(table, *privileges)

    with monkeypatch.context() as patch:
        patch.setattr(operations, "grant", fail)
        with pytest.raises(RuntimeError, match="interrupted"):
            await migrate.upgrade(admin)
    assert await _version(admin) == before
    assert await dump(admin) == state
    await migrate.upgrade(admin)
    assert await dump(admin) == whole


async def test_a_migrator_that_is_killed_leaves_no_half_and_no_lock(
    empty: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = operations.grant

    def die(table: str, *privileges: str) -> None:
        grant(table, *privileges)
        if table == "candles":
            op.execute("RESET ROLE")
            op.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with monkeypatch.context() as patch:
        patch.setattr(operations, "grant", die)
        with pytest.raises(UnavailableError):
            await migrate.upgrade(empty)
    assert await _version(empty) == "0002"
    async with asyncio.timeout(30):
        await migrate.upgrade(empty)
    assert (await migrate.version(empty)).is_current


async def test_the_lock_and_the_role_are_given_back(admin: AsyncEngine) -> None:
    await migrate.downgrade(admin, "0004")
    await migrate.upgrade(admin)
    async with admin.connect() as connection:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        own = " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        assert await connection.scalar(text(held + own)) == 0


@pytest.mark.parametrize(("number", "shown"), [("140012", "14"), ("90624", "9"), (None, "0")])
def test_an_old_server_is_refused(number: str | None, shown: str) -> None:
    connection = cast("Any", SimpleNamespace(scalar=lambda _: number))
    with pytest.raises(UnavailableError, match=rf"is PostgreSQL {shown};.* needs 15"):
        migrate._require_version(connection)


@pytest.mark.parametrize("number", ["150000", "150014", "180001"])
def test_a_server_of_15_or_newer_will_do(number: str) -> None:
    migrate._require_version(cast("Any", SimpleNamespace(scalar=lambda _: number)))


async def test_the_application_may_see_the_version_but_not_migrate(location: Location) -> None:
    engine = create_engine(location.url, pooled=False)
    assert (await migrate.version(engine)).is_current
    with pytest.raises(
        Exception, match=r"must have|must be|permission denied|(?i:only roles with)"
    ):
        await migrate.upgrade(engine)
    await engine.dispose()


def test_the_revisions_are_one_line_in_files_of_their_name() -> None:
    script = ScriptDirectory.from_config(migrate._config())
    assert script.get_heads() == [REVISIONS[-1]]
    assert script.get_bases() == [REVISIONS[0]]
    names = [Path(each.path).name[:5] for each in script.walk_revisions()]
    assert sorted(names) == [f"v{revision}" for revision in REVISIONS]
