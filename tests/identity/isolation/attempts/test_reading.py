"""Nobody reads what is another's: by queries, views, functions, errors, copies or locks."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from seawall.db.series import SERIES

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
    one, other = it.table, it.random.choice(it.sown.tables)
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
    if tuple(row) != (False, 0, None):
        it.leak(f"finds {row} of {table.name}")


@_kind
async def aggregates(it: Attack) -> None:
    table = it.table
    (row,) = await it.sees(
        f"SELECT count(*) FILTER (WHERE {table.owner} IS DISTINCT FROM $1) AS others,"
        f" array_agg(DISTINCT {table.owner}) AS whose, max(to_jsonb(it)::text)"
        f" FROM {table.name} it",
        it.me.id,
    )
    if (row["others"], row["whose"]) != (0, [it.me.id]):
        it.leak(f"sums up {table.name} to {row}")


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
    if any((value is not None) != victim.shows_quantities for value in shown):
        it.leak(f"shows what is hidden, or hides what is shown: {rows} {held}")


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
    await it.is_refused(statement, states=frozenset({"22P02"}))


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
    await it.is_refused(f"COPY {it.table.name} TO {aim}")


@_kind
async def locks(it: Attack) -> None:
    strength = it.random.choice(["UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"])
    query = f"SELECT * FROM {it.table.name} WHERE {it.table.by_key} FOR {strength} NOWAIT"
    if "UPDATE" in it.table.rights:
        await it.sees_none(query, *it.key())
    else:
        await it.is_refused(query, *it.key())


@_kind
async def reads_a_partition(it: Attack) -> None:
    series = it.random.choice([each.table for each in SERIES if each.tenant])
    verb = it.random.choice(["SELECT * FROM", "DELETE FROM", "TRUNCATE"])
    await it.is_refused(f"{verb} {series}_2024")


UNFORCED_VIEW = """
    ALTER VIEW active_portfolio RESET (security_invoker);
    ALTER TABLE positions NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE trading_accounts NO FORCE ROW LEVEL SECURITY
"""
OPEN_PARTITION = """
    ALTER TABLE portfolio_snapshots_2024 DISABLE ROW LEVEL SECURITY;
    GRANT SELECT ON portfolio_snapshots_2024 TO seawall_app
"""
SHOWN_QUANTITIES = """
    DO $$BEGIN
        EXECUTE replace(
            pg_get_functiondef('public_holdings'::regproc), 'w.shows_quantities', 'true');
    END$$
"""
MORE = "CREATE POLICY more ON fills FOR SELECT TO seawall_app USING (side = 'buy')"
# Changes after which it is read, and what is said then.
FAULTS = {
    "row security is off": ("ALTER TABLE alerts DISABLE ROW LEVEL SECURITY", "got"),
    "a policy is dropped": ("DROP POLICY tenant ON holdings", "(see its rows of|sums up) holdings"),
    "a policy shows everything": ("ALTER POLICY tenant ON profiles USING (true)", "got"),
    "a policy more": (MORE, "got"),
    "a view is its owner's, on whom nothing is forced": (UNFORCED_VIEW, "got .* net_position="),
    "a partition is open": (OPEN_PARTITION, "was not refused .* portfolio_snapshots_2024"),
    "what is public shows quantities": (SHOWN_QUANTITIES, "shows what is hidden"),
}


async def test_nobody_reads_what_is_another_s(attempts: Callable[..., Awaitable[None]]) -> None:
    await attempts(KINDS)


@pytest.mark.parametrize(("change", "said"), FAULTS.values(), ids=FAULTS)
async def test_a_fault_is_found(
    sown_after: Callable[[str], Awaitable[Any]], found: Find, change: str, said: str
) -> None:
    assert re.search(said, await found(await sown_after(change), KINDS))
