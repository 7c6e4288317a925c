"""What the tests of the migrations share: who may migrate, and a picture of the schema."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db import migrate
from seawall.db.database import Location
from seawall.db.engine import create_engine

Schema = dict[str, list[str]]
Dump = Callable[[AsyncEngine], Awaitable[Schema]]

# ruff: noqa: S608 - the queries are put together from constants alone

# Everything in the schema but the extension's own things, as text without object ids.
_OWN = "NOT EXISTS (SELECT FROM pg_depend WHERE objid = it.oid AND deptype = 'e')"
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
