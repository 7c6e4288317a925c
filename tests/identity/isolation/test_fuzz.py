"""Fifty thousand attempts of ten users, on three connections, to get at rows of one another.

An attempt is what a unit of work could do that is bound to its user: any statement on any table.
Where the boundary lies: the application binds, so code that binds another user, or SQL that comes
from outside and does so, is past it. So are the doors to log in by (`find_user_by_email` and its
like, see `test_doors`), which open to an exact key. What everybody may see of all is how much
there is: the planner's estimates, the server's counters, and that a name or an e-mail is taken.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import InvalidTextRepresentationError, PostgresError
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db import engine as engine_module
from seawall.db.database import Location, open_admin
from seawall.db.engine import TenantConnection
from seawall.db.series import SERIES
from seawall.db.session import raw_connection

# ruff: noqa: S608 - names of tables and columns are the metadata's

# What `conftest` makes: tests cannot import it.
Attack = Any
Field = Any
Sow = Callable[[Location, int], Awaitable[Field]]
OpenFuzz = Callable[[Location, Field], AbstractAsyncContextManager[Any]]
Kind = Callable[[Attack], Awaitable[None]]
KINDS: dict[str, Kind] = {}
ENDS: dict[str, Kind] = {}
USERS, SEEDS, ATTEMPTS = 10, 10, 5_000
UNBOUND = frozenset({"42704", "22P02"})
DENIED = frozenset({"42501"})
# Where another's row or value is pointed at: by policies, keys, checks and the rules of orders.
NO_PLACE = frozenset({"42501", "23503", "23505", "23514"})


def _kind(made: Kind) -> Kind:
    KINDS[made.__name__] = made
    return made


def _end(made: Kind) -> Kind:
    ENDS[made.__name__] = made
    return made


# Reading.


@_kind
async def selects_by_key(it: Attack) -> None:
    await it.sees_none(f"SELECT * FROM {it.table.name} WHERE {it.table.by_key}", *it.key())


@_kind
async def selects_by_user(it: Attack) -> None:
    table = it.table
    await it.sees_none(f"SELECT * FROM {table.name} WHERE {table.owner} = $1", it.victim.id)


@_kind
async def selects_what_is_not_its_own(it: Attack) -> None:
    condition = f"{it.table.owner} IS DISTINCT FROM $1"
    await it.sees_none(f"SELECT * FROM {it.table.name} WHERE {condition}", it.me.id)


@_kind
async def selects_everything(it: Attack) -> None:
    await it.sees(f"SELECT * FROM {it.table.name} LIMIT 50")


@_kind
async def joins(it: Attack) -> None:
    one, other = it.table, it.random.choice(list(it.sown.tables.values()))
    await it.sees_none(
        f"SELECT a.*, b.* FROM {one.name} a JOIN {other.name} b ON a.{one.owner} <> b.{other.owner}"
    )
    await it.sees_none(
        f"SELECT b.* FROM unnest($1::uuid[]) AS a JOIN {other.name} b ON b.{other.owner} = a",
        [each.id for each in it.sown.tenants if each is not it.me],
    )


@_kind
async def selects_below_a_select(it: Attack) -> None:
    table = it.table
    theirs = f"FROM {table.name} WHERE {table.owner} = $1"
    (row,) = await it.sees(
        f"SELECT EXISTS (SELECT {theirs}) AS is_there, (SELECT count(*) {theirs}) AS number,"
        f" (SELECT to_jsonb(array_agg(it)) FROM (SELECT * {theirs}) it) AS rows",
        it.victim.id,
    )
    assert tuple(row) == (False, 0, None)


@_kind
async def aggregates(it: Attack) -> None:
    table = it.table
    (row,) = await it.sees(
        f"SELECT count(*) FILTER (WHERE {table.owner} IS DISTINCT FROM $1) AS others,"
        f" array_agg(DISTINCT {table.owner}) AS whose, max(to_jsonb(it)::text)"
        f" FROM {table.name} it",
        it.me.id,
    )
    assert (row["others"], row["whose"]) == (0, [it.me.id])


@_kind
async def reads_a_view(it: Attack) -> None:
    view = it.random.choice(it.sown.views)
    await it.sees(f"SELECT * FROM {view}")
    await it.sees_none(f"SELECT * FROM {view} WHERE user_id = $1", it.victim.id)


@_kind
async def reads_the_log(it: Attack) -> None:
    log = "SELECT * FROM audit_logs WHERE"
    await it.sees_none(f"{log} user_id = $1 OR actor_id = $1 OR user_id IS NULL", it.victim.id)
    await it.sees_none(f"{log} record_id = $1", str(it.victim.portfolio))


@_kind
async def reads_a_public_portfolio(it: Attack) -> None:
    victim = it.victim
    allowed = {victim.mark, str(victim.portfolio)}
    rows = await it.connection.fetch("SELECT * FROM public_portfolio($1)", victim.portfolio)
    held = await it.connection.fetch("SELECT * FROM public_holdings($1)", victim.portfolio)
    it.look((rows, held), allowed if victim.is_public else ())
    assert len(rows) == len(held) == int(victim.is_public)
    hidden = ("quantity", "average_buy_price", "total_invested_usd", "current_price")
    shown = [row[name] for row in held for name in hidden]
    shown += [row[name] for row in rows for name in ("total_value_usd", "total_invested_usd")]
    assert all((value is not None) == victim.shows_quantities for value in shown)


@_kind
async def lists_public_portfolios(it: Attack) -> None:
    rows = await it.connection.fetch("SELECT * FROM list_public_portfolios(100)")
    found = {row["id"]: row["total_value_usd"] is not None for row in rows}
    assert found == {
        each.portfolio: each.shows_quantities for each in it.sown.tenants if each.is_public
    }


@_kind
async def reads_statistics(it: Attack) -> None:
    seen = "SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats"
    await it.sees_none(f"{seen} WHERE tablename = $1", it.table.name)


@_kind
async def reads_errors(it: Attack) -> None:
    table = it.table
    statement = f"SELECT * FROM {table.name} WHERE {table.owner}::text::integer = 1"
    await it.is_refused(frozenset({"22P02"}), statement)


@_kind
async def reads_notices(it: Attack) -> None:
    """Have a cheap function look at every row before the policy has, and tell of it."""
    said: list[object] = []

    def hear(_: object, message: object) -> None:
        said.append(message)

    it.connection.add_log_listener(hear)
    await it.connection.execute(
        "CREATE FUNCTION pg_temp.peek(seen text) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
        " AS $$BEGIN RAISE NOTICE '%', seen; RETURN true; END$$"
    )
    await it.sees(f"SELECT * FROM {it.table.name} it WHERE pg_temp.peek(it::text) LIMIT 50")
    await it.go_back()
    it.connection.remove_log_listener(hear)
    assert said
    it.look(said)


@_kind
async def reads_by_a_cursor(it: Attack) -> None:
    cursor = f"over_{it.table.name}"
    await it.connection.execute(f"DECLARE {cursor} CURSOR FOR SELECT * FROM {it.table.name}")
    await it.sees(f"FETCH 50 FROM {cursor}")
    await it.connection.execute(f"CLOSE {cursor}")


@_kind
async def executes_what_another_prepared(it: Attack) -> None:
    name = f"all_of_{it.table.name}"
    there = "SELECT FROM pg_prepared_statements WHERE name = $1"
    if not await it.connection.fetch(there, name):
        await it.connection.execute(f"PREPARE {name} AS SELECT * FROM {it.table.name} LIMIT 50")
    await it.sees(f"EXECUTE {name}")


@_kind
async def copies_out(it: Attack) -> None:
    read: list[bytes] = []

    async def keep(block: bytes) -> None:
        read.append(block)

    table = it.table
    if it.random.random() < 0.5:
        await it.connection.copy_from_table(table.name, output=keep)
        it.look(b"".join(read))
    else:
        query = f"SELECT * FROM {table.name} WHERE {table.owner} <> $1"
        await it.connection.copy_from_query(query, it.me.id, output=keep)
        assert b"".join(read) == b""


@_kind
async def copies_to_the_server(it: Attack) -> None:
    aim = it.random.choice(["'/tmp/copied'", "PROGRAM 'cat'"])
    await it.is_refused(DENIED, f"COPY {it.table.name} TO {aim}")


@_kind
async def locks(it: Attack) -> None:
    strength = it.random.choice(["UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"])
    query = f"SELECT * FROM {it.table.name} WHERE {it.table.by_key} FOR {strength} NOWAIT"
    if "UPDATE" in it.table.rights:
        await it.sees_none(query, *it.key())
    else:
        await it.is_refused(DENIED, query, *it.key())


@_kind
async def reads_a_partition(it: Attack) -> None:
    series = it.random.choice([each.table for each in SERIES if each.tenant])
    verb = it.random.choice(["SELECT * FROM", "DELETE FROM", "TRUNCATE"])
    await it.is_refused(DENIED, f"{verb} {series}_2024")


# Writing.


def _other_id(it: Attack, row: Any) -> list[Any]:
    """The values of a row of another, under an id that is not taken, as `it.me`'s or theirs."""
    changed = dict(row)
    if "id" in changed:
        changed["id"] = uuid4()
    return [changed[name] for name in it.table.columns]


def _as_mine(it: Attack, row: Any) -> dict[str, Any]:
    return {name: it.me.id if value == it.victim.id else value for name, value in row.items()}


def _child(it: Attack) -> Any:
    """Choose a table with a foreign key to a row of the same user, and the key."""
    it.table = it.random.choice([each for each in it.sown.tables.values() if each.parents])
    return it.random.choice(it.table.parents)


@_kind
async def inserts_in_anothers_name(it: Attack) -> None:
    # An entry of the ledger is refused before the policy is asked: its fill is not to be seen.
    states = DENIED | {"23503"} if it.table.name == "ledger_entries" else DENIED
    await it.is_refused(states, it.table.insert, *_other_id(it, it.row))


@_kind
async def inserts_below_anothers_row(it: Attack) -> None:
    columns = _child(it).columns
    rows = [row for row in it.victim.rows[it.table.name] if row[columns[0]] is not None]
    values = _other_id(it, _as_mine(it, it.random.choice(rows)))
    await it.is_refused(NO_PLACE, it.table.insert, *values)


@_kind
async def inserts_what_it_selects(it: Attack) -> None:
    columns = ", ".join(it.table.columns)
    await it.changes_none(
        f"INSERT INTO {it.table.name} ({columns}) SELECT {columns} FROM {it.table.name}"
        f" WHERE {it.table.owner} = $1",
        it.victim.id,
    )


@_kind
async def updates(it: Attack) -> None:
    table = it.table
    statement = f"UPDATE {table.name} it SET {table.settable} = it.{table.settable}"
    by_user = f"it.{table.owner} = $1"
    condition, *values = it.random.choice(
        [
            (f"WHERE {table.by_key}", *it.key()),
            (f"WHERE {by_user}", it.victim.id),
            (f"FROM users WHERE {by_user} AND users.id = $2", it.victim.id, it.me.id),
        ]
    )
    await it.touches_none("UPDATE", f"{statement} {condition}", *values)


@_kind
async def updates_everything(it: Attack) -> None:
    table = it.table
    if "UPDATE" in table.rights:
        it.spoils = True
        change = f"{table.settable} = {table.settable}"
        rows = await it.sees(f"UPDATE {table.name} SET {change} RETURNING *")
        assert rows
    else:
        await it.is_refused(DENIED, f"UPDATE {table.name} SET {table.owner} = {table.owner}")


@_kind
async def gives_away(it: Attack) -> None:
    statement = f"UPDATE {it.table.name} SET {it.table.owner} = $1 WHERE {it.table.owner} = $2"
    await it.is_refused(NO_PLACE, statement, it.victim.id, it.me.id)


@_kind
async def takes(it: Attack) -> None:
    table = it.table
    statement = f"UPDATE {table.name} SET {table.owner} = $1 WHERE {table.owner} = $2"
    await it.touches_none("GIVE", statement, it.me.id, it.victim.id)


@_kind
async def points_at_anothers_row(it: Attack) -> None:
    parent = _child(it)
    named = it.random.choice(it.victim.rows[parent.table])
    change = ", ".join(f"{name} = ${number}" for number, name in enumerate(parent.columns, 1))
    there = " AND ".join(f"{name} IS NOT NULL" for name in parent.columns)
    statement = f"UPDATE {it.table.name} SET {change} WHERE {there}"
    await it.is_refused(NO_PLACE, statement, *(named[name] for name in parent.referred))


@_kind
async def deletes(it: Attack) -> None:
    table = it.table
    if it.random.random() < 0.5:
        statement = f"DELETE FROM {table.name} WHERE {table.by_key}"
        await it.touches_none("DELETE", statement, *it.key())
    else:
        statement = f"DELETE FROM {table.name} WHERE {table.owner} <> $1"
        await it.touches_none("DELETE", statement, it.me.id)


@_kind
async def deletes_everything(it: Attack) -> None:
    if "DELETE" in it.table.rights:
        it.spoils = True
        rows = await it.sees(
            f"WITH gone AS (DELETE FROM {it.table.name} RETURNING *) SELECT * FROM gone"
        )
        assert rows
    else:
        await it.is_refused(DENIED, f"DELETE FROM {it.table.name}")


@_kind
async def merges(it: Attack) -> None:
    table = it.table
    right = it.random.choice(["UPDATE", "DELETE"])
    change = f"UPDATE SET {table.settable} = it.{table.settable}"
    await it.touches_none(
        right,
        f"MERGE INTO {table.name} it USING unnest($1::uuid[]) AS other ON it.{table.owner} = other"
        f" WHEN MATCHED THEN {change if right == 'UPDATE' else 'DELETE'}",
        [it.victim.id],
    )


def _with_an_id(it: Attack) -> Any:
    """Choose a table whose rows have ids; entries of the log are nobody's to choose."""
    shapes = [each for each in it.sown.tables.values() if "id" in each.key]
    it.table = it.random.choice([each for each in shapes if each.name != "audit_logs"])
    return it.table


@_kind
async def upserts(it: Attack) -> None:
    """Try a value that another has: it may be told that the value is taken, and nothing more."""
    table = _with_an_id(it)
    row = it.row if table.name == "users" else _as_mine(it, it.row)
    change = f"{table.settable} = excluded.{table.settable}"
    on_conflict = f"ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {change} RETURNING *"
    values = [row[name] for name in table.columns]
    await it.is_refused(NO_PLACE, f"{table.insert} {on_conflict}", *values)


@_kind
async def upserts_nothing(it: Attack) -> None:
    table = _with_an_id(it)
    row = _as_mine(it, it.row)
    values = [row[name] for name in table.columns]
    statement = f"{table.insert} ON CONFLICT DO NOTHING"
    await it.changes_none_or_fails(NO_PLACE, statement, *values)


@_kind
async def copies_in(it: Attack) -> None:
    try:
        await it.connection.copy_to_table(
            it.table.name, source=BytesIO(), columns=[it.table.owner], format="csv"
        )
    except PostgresError as error:
        await it.accept(error, frozenset({"0A000"}), "")
    else:
        it.leak(f"copied into {it.table.name}")


@_kind
async def truncates(it: Attack) -> None:
    await it.is_refused(DENIED, f"TRUNCATE {it.table.name} CASCADE")


@_kind
async def writes_to_a_public_portfolio(it: Attack) -> None:
    shown = [each for each in it.sown.tenants if each.is_public and each is not it.me]
    portfolio = it.random.choice(shown).portfolio
    await it.changes_none("UPDATE portfolios SET is_public = false WHERE id = $1", portfolio)
    await it.changes_none("UPDATE holdings SET quantity = 0 WHERE portfolio_id = $1", portfolio)
    await it.changes_none("DELETE FROM holdings WHERE portfolio_id = $1", portfolio)
    await it.is_refused(
        frozenset({"23503"}),
        "INSERT INTO holdings (portfolio_id, asset_id, quantity)"
        " SELECT $1, asset_id, 1 FROM holdings LIMIT 1",
        portfolio,
    )


@_kind
async def forges_the_log(it: Attack) -> None:
    add = "INSERT INTO audit_logs (user_id, table_name, operation) VALUES ($1, 'users', $2)"
    statement, *values = it.random.choice(
        [
            (add, it.victim.id, "LOGIN"),
            (add, it.me.id, "UPDATE"),
            (add, None, "LOGIN"),
            ("UPDATE audit_logs SET time = now() WHERE user_id = $1", it.victim.id),
            ("DELETE FROM audit_logs WHERE user_id = $1", it.victim.id),
        ]
    )
    await it.is_refused(DENIED, statement, *values)


@_kind
async def writes_of_its_own(it: Attack) -> None:
    """Add what is allowed, without saying whose it is; the end looks whose it became."""
    message = "INSERT INTO notifications (type, title, message) VALUES ('note', $1, '')"
    assert await it.connection.execute(message, f"fresh {it.me.mark}") == "INSERT 0 1"
    event = "INSERT INTO audit_logs (table_name, operation) VALUES ('users', 'EXPORT')"
    assert await it.connection.execute(event) == "INSERT 0 1"


# Getting out of what holds it.


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
    await it.is_refused(DENIED, statement)


@_kind
async def switches_row_security_off(it: Attack) -> None:
    await it.connection.execute("SET LOCAL row_security = off")
    await it.is_refused(DENIED, f"SELECT * FROM {it.table.name}")


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
    await it.is_refused(UNBOUND, everything)
    # What is undone binds it again.
    assert {row[0] for row in await it.sees(everything)} == {it.me.id}


@_kind
async def discards(it: Attack) -> None:
    what = it.random.choice(["ALL", "PLANS", "SEQUENCES", "TEMP"])
    if what == "ALL":
        await it.is_refused(frozenset({"25001"}), "DISCARD ALL")
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


# Ways in which a transaction ends, besides being cancelled.


@_end
async def commits(it: Attack) -> None:
    """Leave it to the unit of work."""


@_end
async def is_undone(it: Attack) -> None:
    await it.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    it.undo()


@_end
async def fails(it: Attack) -> None:
    await it.connection.fetch("SELECT 1 / 0")


@_end
async def ends_by_itself(it: Attack) -> None:
    """End the transaction past the unit of work, which leaves it bound to nobody."""
    ends = ["COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"]
    await it.connection.execute(it.random.choice(ends))
    await it.connection.execute("SET app.user_id = ''")
    with pytest.raises(InvalidTextRepresentationError):
        await it.connection.fetch(f"SELECT * FROM {it.table.name}")
    it.undo()


async def _sow(sow: Sow, location: Location) -> Field:
    return await sow(location, USERS)


@pytest.fixture(scope="module")
def sown(module_location: Location, sow: Sow) -> Field:
    """Ten users with rows in every table, in a database that the runs share."""
    return asyncio.run(_sow(sow, module_location))


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_nobody_gets_at_what_is_another_s(
    module_location: Location, sown: Field, open_fuzz: OpenFuzz, seed: int
) -> None:
    async with open_fuzz(module_location, sown) as fuzz:
        await fuzz.run(KINDS, ENDS, seed, ATTEMPTS)
    assert fuzz.attempts.total() >= ATTEMPTS
    # Everything was tried, and connections served everybody.
    assert set(fuzz.attempts) == set(KINDS)
    assert min(fuzz.attempts.values()) > ATTEMPTS / len(KINDS) / 2
    assert {*ENDS, "cancelled"} <= set(fuzz.ends)
    assert len(max(fuzz.served.values(), key=len)) == len(sown.tenants)


def test_there_are_fifty_thousand() -> None:
    assert SEEDS * ATTEMPTS == 50_000


# What a run has to find when it is done to a database.
FAULTS = {
    "row security is off": "ALTER TABLE alerts DISABLE ROW LEVEL SECURITY",
    "a policy is dropped": "DROP POLICY tenant ON holdings",
    "a policy shows everything": "ALTER POLICY tenant ON profiles USING (true)",
    "a policy takes everything": "ALTER POLICY tenant ON stress_tests WITH CHECK (true)",
    "a policy more": "CREATE POLICY more ON fills FOR SELECT TO seawall_app USING (side = 'buy')",
    "a key leads anywhere": "ALTER TABLE holdings DROP CONSTRAINT fk_holdings_portfolios,"
    " ADD FOREIGN KEY (portfolio_id) REFERENCES portfolios",
    "a view shows what its owner sees, on whom nothing is forced": "ALTER VIEW active_portfolio"
    " RESET (security_invoker); ALTER TABLE positions NO FORCE ROW LEVEL SECURITY;"
    " ALTER TABLE trading_accounts NO FORCE ROW LEVEL SECURITY",
    "a partition is open": "GRANT SELECT ON portfolio_snapshots_2024 TO seawall_app;"
    " ALTER TABLE portfolio_snapshots_2024 DISABLE ROW LEVEL SECURITY",
    "what is public shows quantities": "DO $$BEGIN EXECUTE replace(pg_get_functiondef("
    "'public_holdings'::regproc), 'w.shows_quantities', 'true'); END$$",
    "a table may be emptied": "GRANT TRUNCATE ON holdings TO seawall_app",
}
FEW, ENOUGH = 4, 10_000


@pytest.mark.parametrize("change", FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_found(
    location: Location, sow: Sow, open_fuzz: OpenFuzz, change: str
) -> None:
    sown = await sow(location, FEW)
    async with open_admin(location) as admin, AsyncSession(admin) as session:
        await (await raw_connection(session)).execute(change)
        await session.commit()
    async with open_fuzz(location, sown) as fuzz:
        with pytest.raises(AssertionError):
            await fuzz.run(KINDS, ENDS, 0, ENOUGH)


async def test_what_is_left_on_a_connection_is_found(
    module_location: Location,
    sown: Field,
    open_fuzz: OpenFuzz,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "_LEAVE_NOTHING", "")
    async with open_fuzz(module_location, sown) as fuzz:
        with pytest.raises(AssertionError):
            await fuzz.run(KINDS, ENDS, 0, ENOUGH)


async def test_a_binding_that_stays_is_found(
    module_location: Location,
    sown: Field,
    open_fuzz: OpenFuzz,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bind = TenantConnection.execute
    first: dict[TenantConnection, UUID | None] = {}

    async def bind_the_first(self: TenantConnection, query: str, *args: object) -> str:
        if query.startswith("BEGIN") and self.bound_user is not None:
            self.bound_user = first.setdefault(self, self.bound_user)
        return await bind(self, query, *args)

    monkeypatch.setattr(TenantConnection, "execute", bind_the_first)
    async with open_fuzz(module_location, sown) as fuzz:
        with pytest.raises(AssertionError):
            await fuzz.run(KINDS, ENDS, 0, ENOUGH)
