"""Nobody gets out of what holds them: binding, role and policies, or finds what others left."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from seawall.db import engine
from seawall.db.engine import TenantConnection

# ruff: noqa: S608 - names of tables and columns are the metadata's

Attack = Any
"""What the conftest makes."""
Kind = Callable[[Attack], Awaitable[None]]
Find = Callable[[Any, dict[str, Kind]], Awaitable[str]]
KINDS: dict[str, Kind] = {}


def _kind(made: Kind) -> Kind:
    KINDS[made.__name__] = made
    return made


@_kind
async def breaks_out(it: Attack) -> None:
    table = it.table.name
    statement = it.random.choice(
        [
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
            f"DROP POLICY tenant ON {table}",
            f"CREATE POLICY mine ON {table} USING (true)",
            f"ALTER TABLE {table} OWNER TO seawall_app",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
            f"CREATE TRIGGER mine BEFORE INSERT ON {table} EXECUTE FUNCTION refuse_statement()",
            f"DROP TABLE {table} CASCADE",
            f"CREATE TABLE mine (it uuid REFERENCES {table})",
            "SET ROLE seawall_owner",
            "SET ROLE seawall_worker",
            "SET SESSION AUTHORIZATION seawall_owner",
            "SELECT * FROM list_users()",
            "SELECT * FROM list_tenants()",
            "SELECT create_series('portfolios', 'year', false)",
            "REASSIGN OWNED BY seawall_owner TO seawall_app",
            "SET session_replication_role = replica",
        ]
    )
    await it.is_refused(statement)


@_kind
async def switches_row_security_off(it: Attack) -> None:
    await it.connection.execute("SET LOCAL row_security = off")
    await it.is_refused(f"SELECT * FROM {it.table.name}")


@_kind
async def changes_its_role(it: Attack) -> None:
    change = it.random.choice(["SET ROLE NONE", "RESET ROLE", "SET LOCAL ROLE seawall_app"])
    await it.connection.execute(change)
    await it.sees_none(f"SELECT * FROM {it.table.name} WHERE {it.table.owner} <> $1", it.me.id)


@_kind
async def loses_its_binding(it: Attack) -> None:
    everything = f"SELECT {it.table.owner} FROM {it.table.name}"
    await it.connection.execute(
        it.random.choice(
            [
                "RESET app.user_id",
                "RESET ALL",
                "SET LOCAL app.user_id TO DEFAULT",
                "SELECT set_config('app.user_id', '', true)",
                "SELECT set_config('app.user_id', NULL, false)",
            ]
        )
    )
    await it.is_refused(everything, states=frozenset({"42704", "22P02"}))
    # What is undone binds it again.
    assert {row[0] for row in await it.sees(everything)} == {it.me.id}


@_kind
async def discards(it: Attack) -> None:
    what = it.random.choice(["ALL", "PLANS", "SEQUENCES", "TEMP"])
    if what == "ALL":
        await it.is_refused("DISCARD ALL", states=frozenset({"25001"}))
    else:
        await it.connection.execute(f"DISCARD {what}")
    await it.sees(f"SELECT * FROM {it.table.name} LIMIT 50")


@_kind
async def puts_tables_in_the_way(it: Attack) -> None:
    """Have functions that act as the owner look at tables of its own making."""
    private = it.random.choice([each for each in it.sown.tenants if not each.is_public])
    await it.connection.execute(
        "CREATE TEMP TABLE portfolios AS SELECT *, true AS is_public FROM"
        f" (VALUES ('{private.portfolio}'::uuid)) AS it (id);"
        "SET LOCAL search_path = pg_temp, public"
    )
    if private is not it.me:
        await it.sees_none("SELECT * FROM public.public_portfolio($1)", private.portfolio)
        await it.sees_none("SELECT * FROM public.public_holdings($1)", private.portfolio)
    await it.go_back()


@_kind
async def leaves_something_behind(it: Attack) -> None:
    table = it.table.name
    left = {
        f"kept_{table}": f"CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}",
        f"seen_{table}": f"CREATE TEMP VIEW seen_{table} AS SELECT * FROM {table}",
    }
    name = it.random.choice(list(left))
    if await it.connection.fetchval("SELECT to_regclass('pg_temp.' || $1)", name) is None:
        await it.connection.execute(left[name])
    held = await it.connection.fetch("SELECT FROM pg_cursors WHERE name = $1", f"held_{table}")
    if not held:
        query = f"DECLARE held_{table} CURSOR WITH HOLD FOR SELECT * FROM {table}"
        await it.connection.execute(query)
    await it.connection.execute(f"SET SESSION app.user_id = '{it.me.id}'")


@_kind
async def looks_for_what_was_left(it: Attack) -> None:
    """Look for what an earlier user of the connection had in it."""
    for row in await it.connection.fetch("SELECT name FROM pg_cursors WHERE name LIKE 'held%'"):
        await it.sees(f"FETCH 50 FROM {row[0]}")
    relations = "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = pg_my_temp_schema()"
    for row in await it.connection.fetch(f"{relations} AND relkind IN ('r', 'v')"):
        await it.sees(f"SELECT * FROM {row[0]} LIMIT 50")


async def test_nobody_gets_out(attempts: Callable[..., Awaitable[None]]) -> None:
    await attempts(KINDS)


async def test_what_is_left_on_a_connection_is_found(
    sown: Any, found: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_LEAVE_NOTHING", "")
    assert "got" in await found(sown, KINDS)


async def test_a_binding_that_stays_is_found(
    sown: Any, found: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind = TenantConnection.execute
    first: dict[TenantConnection, UUID] = {}

    async def bind_to_the_first(self: TenantConnection, query: str, *args: object) -> str:
        if query.startswith("BEGIN") and self.bound_user is not None:
            self.bound_user = first.setdefault(self, self.bound_user)
        return await bind(self, query, *args)

    monkeypatch.setattr(TenantConnection, "execute", bind_to_the_first)
    assert "got" in await found(sown, KINDS)


async def test_a_function_that_anybody_may_call_is_found(
    sown_after: Callable[[str], Awaitable[Any]], found: Find
) -> None:
    sown = await sown_after("GRANT EXECUTE ON FUNCTION list_users TO seawall_app")
    assert "was not refused SELECT * FROM list_users()" in await found(sown, KINDS)
