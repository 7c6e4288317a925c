"""The tables in the code and the tables in the migrated database are the same."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from pkgutil import walk_packages

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    CheckConstraint,
    Connection,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    UniqueConstraint,
    text,
)
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.schema import Constraint, SchemaItem

import seawall
from seawall.db.base import Base
from seawall.db.series import SERIES

Dump = Callable[[AsyncEngine], Awaitable[dict[str, list[str]]]]
TABLE_MODULES = {
    module.name: import_module(module.name)
    for module in walk_packages(seawall.__path__, "seawall.")
    if module.name.endswith(".tables")
}
# What the migrations keep for themselves and no code maps.
MACHINERY = {
    "series",
    "rollups",
    "series_changes",
    "alembic_version",
    *(rollup.name for series in SERIES for rollup in series.rollups),
}


def test_every_table_stands_in_a_module_of_tables() -> None:
    assert {"seawall.identity.tables", "seawall.market.tables"} <= set(TABLE_MODULES)
    declared = {mapper.class_.__module__ for mapper in Base.registry.mappers}
    assert declared == set(TABLE_MODULES)


def _differences(connection: Connection) -> list[object]:
    def belongs(item: SchemaItem, name: str | None, kind: str, *_: object) -> bool:
        table = item if kind == "table" else getattr(item, "table", None)
        return not (kind == "table" and (name in MACHINERY or _is_partition(str(table))))

    context = MigrationContext.configure(
        connection,
        opts={"compare_type": True, "compare_server_default": True, "include_object": belongs},
    )
    return list(compare_metadata(context, Base.metadata))


def _is_partition(name: str) -> bool:
    return any(name.startswith(f"{series.table}_2") for series in SERIES)


async def test_alembic_finds_no_difference(admin: AsyncEngine) -> None:
    async with admin.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_alembic_would_find_one(admin: AsyncEngine) -> None:
    async with admin.begin() as connection:
        await connection.execute(text("ALTER TABLE exchanges ADD COLUMN surprise text"))
        await connection.execute(text("ALTER TABLE assets ALTER COLUMN kind DROP NOT NULL"))
    async with admin.connect() as connection:
        assert len(await connection.run_sync(_differences)) == 2


KINDS: dict[str, type[Constraint]] = {
    "c": CheckConstraint,
    "u": UniqueConstraint,
    "f": ForeignKeyConstraint,
    "p": PrimaryKeyConstraint,
}


def _names(metadata: MetaData, kind: str) -> set[tuple[str, str]]:
    return {
        (table.name, str(constraint.name))
        for table in metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, KINDS[kind])
    }


async def _stored(session: AsyncSession, kind: str) -> set[tuple[str, str]]:
    rows = await session.execute(
        text(
            "SELECT relname, conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
            " WHERE connamespace = 'public'::regnamespace AND contype = CAST(:kind AS text)"
            " AND NOT relispartition"
        ),
        {"kind": kind},
    )
    return {(table, name) for table, name in rows if table not in MACHINERY}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_constraint_has_one_name_in_code_and_database(
    session: AsyncSession, kind: str
) -> None:
    assert await _stored(session, kind) == _names(Base.metadata, kind)


async def test_every_index_has_one_name_in_code_and_database(session: AsyncSession) -> None:
    expected = {
        (table.name, str(index.name))
        for table in Base.metadata.sorted_tables
        for index in table.indexes
    }
    rows = await session.execute(
        text(
            "SELECT relname, pg_index.indexrelid::regclass::text FROM pg_index"
            " JOIN pg_class ON pg_class.oid = indrelid"
            " WHERE relnamespace = 'public'::regnamespace AND NOT relispartition"
            " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)"
        )
    )
    assert {(table, name) for table, name in rows if table not in MACHINERY} == expected


async def test_checks_say_the_same_in_code_and_database(admin: AsyncEngine, dump: Dump) -> None:
    """Build the tables from the code beside the migrated ones, and compare their definitions."""

    def create(connection: Connection) -> None:
        connection.execute(text("CREATE SCHEMA other"))
        connection.execute(text("SET LOCAL search_path = other, public"))
        Base.metadata.create_all(connection, checkfirst=False)

    definitions = text(
        "SELECT relname, conname, pg_get_constraintdef(c.oid)"
        " FROM pg_constraint c JOIN pg_class ON pg_class.oid = conrelid"
        " WHERE connamespace = CAST(:schema AS regnamespace) AND contype IN ('c', 'u', 'f', 'p')"
        " AND NOT relispartition"
    )
    async with admin.begin() as connection:
        await connection.run_sync(create)
        from_code = await connection.execute(definitions, {"schema": "other"})
        of_code = {tuple(row) for row in from_code}
        await connection.execute(text("SET LOCAL search_path = public"))
        migrated = await connection.execute(definitions, {"schema": "public"})
        of_database = {tuple(row) for row in migrated if row[0] not in MACHINERY}
        await connection.rollback()
    assert of_code == of_database
    assert len(of_code) > 30
    assert (await dump(admin))["constraints"]


def test_tenants_are_marked_where_a_row_names_its_user() -> None:
    named = {table.name for table in Base.metadata.sorted_tables if "user_id" in table.columns}
    marked = {table.name for table in Base.metadata.sorted_tables if table.info.get("tenant")}
    assert marked == named | {"users"}


def test_series_are_marked_where_a_table_is_cut() -> None:
    cut = {
        table.name
        for table in Base.metadata.sorted_tables
        if table.dialect_options["postgresql"]["partition_by"]
    }
    assert cut == {series.table for series in SERIES}
    tenants = {table.name for table in Base.metadata.sorted_tables if table.info.get("tenant")}
    assert {series.table for series in SERIES if series.tenant} == cut & tenants
