"""What the tests of the migrations share: who may migrate, and a picture of the schema."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.db import migrate
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE, create_engine
from seawall.db.session import raw_connection

Schema = dict[str, list[str]]
Dump = Callable[[AsyncEngine], Awaitable[Schema]]
Faults = Callable[..., Awaitable[set[str]]]

# ruff: noqa: S608 - the queries are put together from constants alone

# Everything in the schema but the extension's own things, as text without object ids.
# With the catalogue's number the index is used: else all of it is read again for each thing.
_OWN = """NOT EXISTS (
    SELECT FROM pg_depend WHERE classid = it.tableoid AND objid = it.oid AND deptype = 'e'
)"""
_PUBLIC = "'public'::regnamespace"
_CATALOGUE = {
    "tables": f"""
        SELECT concat_ws(' ', relname, relkind, relowner::regrole, relrowsecurity,
            relforcerowsecurity, (SELECT string_agg(acl::text, ',' ORDER BY acl::text)
                FROM unnest(relacl) acl), pg_get_partkeydef(it.oid))
        FROM pg_class it WHERE relnamespace = {_PUBLIC} AND {_OWN}
    """,
    "columns": f"""
        SELECT concat_ws(' ', relname,
            row_number() OVER (PARTITION BY attrelid ORDER BY attnum), attname,
            format_type(atttypid, atttypmod),
            attnotnull, attidentity, pg_get_expr(adbin, adrelid))
        FROM pg_attribute JOIN pg_class it ON it.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = {_PUBLIC} AND relkind IN ('r', 'p') AND attnum > 0
            AND NOT attisdropped AND {_OWN}
    """,
    "constraints": f"""
        SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(it.oid))
        FROM pg_constraint it WHERE connamespace = {_PUBLIC} AND {_OWN}
    """,
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "policies": "SELECT concat_ws(' ', tablename, policyname, cmd, qual, with_check, roles)"
    " FROM pg_policies WHERE schemaname = 'public'",
    "functions": f"""
        SELECT concat_ws(' ', pg_get_functiondef(it.oid), proowner::regrole, proacl)
        FROM pg_proc it WHERE pronamespace = {_PUBLIC} AND prokind = 'f' AND {_OWN}
    """,
}

# What rules of the schema are written with: all of it that is ours; its tables with the column
# that tells whose a row is; the tables that have to do with users, whatever the code says of them;
# columns, foreign keys and functions.
_OURS = f"""
    WITH ours AS (
        SELECT it.*, it.oid::regclass::text AS name FROM pg_class it
        WHERE relnamespace = {_PUBLIC} AND {_OWN}
    ), tables AS (
        SELECT *, CASE name WHEN 'users' THEN 'id' ELSE 'user_id' END::name AS owner_column
        FROM ours WHERE relkind IN ('r', 'p') AND NOT relispartition
    ), tenants AS (
        SELECT * FROM tables WHERE name = 'users' OR relrowsecurity
            OR EXISTS (SELECT FROM pg_policy WHERE polrelid = tables.oid)
            OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = tables.oid AND attname = 'user_id')
    ), columns AS (
        SELECT pg_attribute.*, pg_get_expr(adbin, adrelid) AS preset
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attnum > 0 AND NOT attisdropped
    ), keys AS (
        SELECT pg_constraint.*, parent.oid IN (SELECT oid FROM tenants) AS to_tenant,
            child.owner_column AS child_owner, parent.owner_column AS parent_owner
        FROM pg_constraint JOIN tables child ON child.oid = conrelid
        JOIN tables parent ON parent.oid = confrelid WHERE contype = 'f'
    ), functions AS (
        SELECT it.*, it.oid::regprocedure::text AS name FROM pg_proc it
        WHERE pronamespace = {_PUBLIC} AND {_OWN}
    )
"""


@pytest.fixture
async def faults(module_location: Location) -> AsyncIterator[Faults]:
    """Change the schema as its owner, return what a rule then names, and undo it all."""
    async with open_admin(module_location) as engine, AsyncSession(engine) as session:

        async def find(rule: str, *changes: str) -> set[str]:
            connection = await raw_connection(session)
            await connection.execute(f"SET LOCAL ROLE {OWNER_ROLE}")
            for change in changes:
                await connection.execute(change)
            await connection.execute("RESET ROLE")
            named = {row[0] for row in await connection.fetch(_OURS + rule)}
            await session.rollback()
            return named

        yield find


@pytest.fixture
def dump() -> Dump:
    """Return what stands in the schema, as sorted texts by kind."""

    async def read(engine: AsyncEngine) -> Schema:
        async with engine.connect() as connection:
            return {
                kind: sorted(map(str, await connection.scalars(text(query))))
                for kind, query in _CATALOGUE.items()
            }

    return read


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine on a migrated database as who may change it."""
    engine = create_engine(location.admin_url, role=None, pooled=False)
    yield engine
    await engine.dispose()


@pytest.fixture
async def empty(empty_location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine on an empty database as who may change it."""
    maintenance = create_engine(empty_location.maintenance_url, role=None, pooled=False)
    await migrate.create_database(maintenance, empty_location.name)
    await maintenance.dispose()
    engine = create_engine(empty_location.admin_url, role=None, pooled=False)
    yield engine
    await engine.dispose()
