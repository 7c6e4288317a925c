"""Nobody writes, moves, empties or points at what is another's, or passes for another."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from asyncpg import PostgresError

# ruff: noqa: S608 - names of tables and columns are the metadata's

Attack = Any
"""What the conftest makes."""
Kind = Callable[[Attack], Awaitable[None]]
Find = Callable[[Any, dict[str, Kind]], Awaitable[str]]
KINDS: dict[str, Kind] = {}


def _kind(made: Kind) -> Kind:
    KINDS[made.__name__] = made
    return made


DENIED = frozenset({"42501"})
# Where another's row or value is pointed at: by policies, keys, checks and the rules of orders.
NO_PLACE = frozenset({"42501", "23503", "23505", "23514"})


def _other_id(it: Attack, row: Any) -> list[Any]:
    """Return the values of a row under an id that is not taken."""
    changed = dict(row)
    if "id" in changed:
        changed["id"] = uuid4()
    return [changed[name] for name in it.table.columns]


def _as_mine(it: Attack, row: Any) -> dict[str, Any]:
    return {name: it.me.id if value == it.victim.id else value for name, value in row.items()}


def _child(it: Attack) -> Any:
    """Choose a table with a foreign key to a row of the same user, and the key."""
    it.table = it.random.choice([each for each in it.sown.tables if each.parents])
    return it.random.choice(it.table.parents)


@_kind
async def inserts_in_anothers_name(it: Attack) -> None:
    # An entry of the ledger is refused before the policy is asked: its fill is not to be seen.
    states = DENIED | {"23503"} if it.table.name == "ledger_entries" else DENIED
    await it.is_refused(it.table.insert, *_other_id(it, it.row), states=states)


@_kind
async def inserts_below_anothers_row(it: Attack) -> None:
    parent = _child(it)
    rows = it.victim.rows[it.table.name]
    below = [row for row in rows if row[parent.columns[0]] is not None]
    if not below:
        named = it.random.choice(it.victim.rows[parent.table])
        keys = dict(zip(parent.columns, (named[name] for name in parent.referred), strict=True))
        below = [{**row, **keys} for row in rows]
    values = _other_id(it, _as_mine(it, it.random.choice(below)))
    await it.is_refused(it.table.insert, *values, states=NO_PLACE)


@_kind
async def inserts_what_it_selects(it: Attack) -> None:
    columns = ", ".join(it.table.columns)
    await it.touches_none(
        "INSERT",
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
        await it.is_refused(f"UPDATE {table.name} SET {table.owner} = {table.owner}")


@_kind
async def gives_away(it: Attack) -> None:
    statement = f"UPDATE {it.table.name} SET {it.table.owner} = $1 WHERE {it.table.owner} = $2"
    await it.is_refused(statement, it.victim.id, it.me.id, states=NO_PLACE)


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
    values = [named[name] for name in parent.referred]
    await it.is_refused(statement, *values, states=NO_PLACE)


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
        await it.is_refused(f"DELETE FROM {it.table.name}")


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
    shapes = [each for each in it.sown.tables if "id" in each.key]
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
    await it.is_refused(f"{table.insert} {on_conflict}", *values, states=NO_PLACE)


@_kind
async def upserts_nothing(it: Attack) -> None:
    table = _with_an_id(it)
    row = _as_mine(it, it.row)
    values = [row[name] for name in table.columns]
    try:
        await it.changes_none(f"{table.insert} ON CONFLICT DO NOTHING", *values)
    except PostgresError as error:
        await it.accept(error, NO_PLACE, values)


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


@_kind
async def copies_in(it: Attack) -> None:
    try:
        await it.connection.copy_to_table(
            it.table.name, source=_nothing(), columns=[it.table.owner], format="csv"
        )
    except PostgresError as error:
        refused = frozenset() if "INSERT" in it.table.rights else DENIED
        await it.accept(error, frozenset({"0A000"}) | refused)
    else:
        it.leak(f"copied into {it.table.name}")


@_kind
async def truncates(it: Attack) -> None:
    await it.is_refused(f"TRUNCATE {it.table.name} CASCADE")


@_kind
async def writes_to_a_public_portfolio(it: Attack) -> None:
    shown = [each for each in it.sown.tenants if each.is_public and each is not it.me]
    portfolio = it.random.choice(shown).portfolio
    await it.changes_none("UPDATE portfolios SET is_public = false WHERE id = $1", portfolio)
    await it.changes_none("UPDATE holdings SET quantity = 0 WHERE portfolio_id = $1", portfolio)
    await it.changes_none("DELETE FROM holdings WHERE portfolio_id = $1", portfolio)
    statement = (
        "INSERT INTO holdings (portfolio_id, asset_id, quantity) SELECT $1, id, 1 FROM assets"
    )
    await it.is_refused(statement, portfolio, states=frozenset({"23503"}))


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
    await it.is_refused(statement, *values)


@_kind
async def writes_of_its_own(it: Attack) -> None:
    """Add what is allowed, without saying whose it is; the end looks whose it became."""
    message = "INSERT INTO notifications (type, title, message) VALUES ('note', $1, '')"
    assert await it.connection.execute(message, f"fresh {it.me.mark}") == "INSERT 0 1"
    event = "INSERT INTO audit_logs (table_name, operation) VALUES ('users', 'EXPORT')"
    assert await it.connection.execute(event) == "INSERT 0 1"


LOOSE_KEY = """
    ALTER TABLE holdings DROP CONSTRAINT fk_holdings_portfolios,
        ADD FOREIGN KEY (portfolio_id) REFERENCES portfolios
"""
# Changes after which it is written to, and what is said then.
FAULTS = {
    "row security is off": ("ALTER TABLE lots DISABLE ROW LEVEL SECURITY", "lots|cost_basis"),
    "a policy takes everything": (
        "ALTER POLICY tenant ON stress_tests WITH CHECK (true)",
        "was not refused INSERT INTO stress_tests",
    ),
    "a key leads anywhere": (LOOSE_KEY, "was not refused (INSERT INTO|UPDATE) holdings"),
    "a table may be emptied": (
        "GRANT TRUNCATE ON holdings TO seawall_app",
        "was not refused TRUNCATE holdings",
    ),
    "the log may be forged": (
        "ALTER POLICY tenant ON audit_logs WITH CHECK (true)",
        "forges_the_log|was not refused INSERT INTO audit_logs",
    ),
}


async def test_nobody_writes_to_what_is_another_s(attempts: Callable[..., Awaitable[None]]) -> None:
    await attempts(KINDS)


@pytest.mark.parametrize(("change", "said"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_found(
    sown_after: Callable[[str], Awaitable[Any]], found: Find, change: str, said: str
) -> None:
    assert re.search(said, await found(await sown_after(change), KINDS))
