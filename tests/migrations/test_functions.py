"""What views and functions have to be, and whose everything is, as the catalogue tells.

A rule is a query that names its faults. What it names and is meant stands beside it, with the
reason; so does how to break it, by which a test sees that its faults are named.
"""

from collections.abc import Awaitable, Callable, Mapping

import pytest

Faults = Callable[..., Awaitable[set[str]]]

DOOR = "opens one row to whoever has the exact key, before anybody is bound"
PUBLISHED = "shows public portfolios to everybody, without quantities where they are hidden"
MEASURED = "measures everybody's portfolios at once; workers alone may call it"
PURGED = "who left 30 days ago is removed with every row; workers alone may call it"
SERIES_KEEPING = "the application may not make partitions or write rollups itself"
AS_OWNER = {
    "audit_row": "nobody else may write to the log what became of a row",
    "find_user_by_email": DOOR,
    "find_session": DOOR,
    "find_api_key": DOOR,
    "find_one_time_token": DOOR,
    "find_refresh_token": DOOR,
    "list_users": "workers, who alone may call it, work for one user after the other",
    "list_tenants": "as list_users, with those deleted: what they sealed is sealed anew too",
    "assets_held": MEASURED,
    "portfolios_to_measure": MEASURED,
    "portfolio_weights": MEASURED,
    "keep_portfolio_risk": MEASURED,
    "portfolios_limited": MEASURED,
    "count_guess": "the application may count a guess, and neither read nor lower what is counted",
    "old_hash_cost": "a number of all users' hashes, by which no time tells them apart",
    "find_subscriber": "says whose a message of Stripe's is; workers alone may call it",
    "list_subscribers": "as list_users, of those who pay",
    "list_users_to_purge": PURGED,
    "purge_user": PURGED,
    "public_portfolio": PUBLISHED,
    "public_holdings": PUBLISHED,
    "list_public_portfolios": PUBLISHED,
    "defer_job": "the application may queue a job, and neither read nor change what is queued",
    "queue_lag": "the application may know how many jobs wait, and for how long, and nothing more",
    "ensure_chunks": SERIES_KEEPING,
    "announce_change": SERIES_KEEPING,
    "note_change": SERIES_KEEPING,
    "refresh_rollups": SERIES_KEEPING,
}
FUNCTION = "CREATE FUNCTION it() RETURNS integer LANGUAGE sql {} RETURN 1"
DEFINER = FUNCTION.format("SECURITY DEFINER SET search_path = public, pg_temp")
# What each query names is a fault, but for what is meant; how to break the rule, and what is named.
RULES: dict[str, tuple[str, Mapping[str, str], Mapping[str, str]]] = {
    # A rollup that TimescaleDB keeps is a view of its own kind, of rows that are no user's.
    "a view shows what its reader may see": (
        """
        SELECT name FROM ours WHERE relkind = 'm' OR relkind = 'v'
            AND NOT coalesce(reloptions @> '{security_invoker=true}', false) AND name NOT IN (
                SELECT rollups.name FROM rollups JOIN series USING (table_name) WHERE NOT tenant)
        """,
        {
            "CREATE VIEW it AS SELECT * FROM users": "it",
            "CREATE MATERIALIZED VIEW it AS SELECT * FROM users": "it",
            "ALTER VIEW active_portfolio SET (security_invoker = false)": "active_portfolio",
        },
        {},
    ),
    "a table is read as it is": (
        "SELECT concat(name, ': ', rulename) FROM pg_rewrite JOIN tables ON tables.oid = ev_class",
        {
            "CREATE RULE more AS ON INSERT TO fills DO ALSO SELECT * FROM orders": "fills: more",
        },
        {},
    ),
    "no function acts as the owner": (
        "SELECT proname::text FROM functions WHERE prosecdef",
        {DEFINER: "it"},
        AS_OWNER,
    ),
    "a function that acts as the owner looks for names in one place": (
        """
        SELECT name FROM functions WHERE prosecdef
            AND NOT coalesce(proconfig @> '{"search_path=public, pg_temp"}', false)
        """,
        {
            FUNCTION.format("SECURITY DEFINER"): "it()",
            FUNCTION.format("SECURITY DEFINER SET search_path = pg_temp, public"): "it()",
        },
        {},
    ),
    "no function is everybody's": (
        "SELECT name FROM functions WHERE has_function_privilege('public', oid, 'EXECUTE')",
        {f"{DEFINER}; GRANT EXECUTE ON FUNCTION it TO PUBLIC": "it()"},
        {},
    ),
    # Its arguments would be looked at before row security has chosen the rows.
    "no function is trusted to keep secrets": (
        "SELECT name FROM functions WHERE proleakproof",
        {
            f"{DEFINER}; RESET ROLE; ALTER FUNCTION it LEAKPROOF": "it()",
        },
        {},
    ),
    "numbers are drawn by the tables alone": (
        """
        SELECT name FROM ours, aclexplode(relacl) WHERE relkind = 'S' AND grantee <> relowner
        """,
        {"GRANT USAGE ON SEQUENCE assets_id_seq TO seawall_app": "assets_id_seq"},
        {},
    ),
    "nobody empties, refers to or follows a table": (
        """
        SELECT concat_ws(' ', name, grantee::regrole, privilege_type)
        FROM ours, aclexplode(relacl) WHERE grantee <> relowner
            AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
        """,
        {"GRANT TRUNCATE ON quotes TO seawall_worker": "quotes seawall_worker TRUNCATE"},
        {},
    ),
    "nobody else has any right": (
        """
        SELECT concat_ws(' ', name, grantee::regrole) FROM (
            SELECT name, relowner, relacl FROM ours
            UNION ALL SELECT name, proowner, proacl FROM functions
        ) AS every (name, owner, acl), aclexplode(acl)
        WHERE grantee NOT IN (owner, 'seawall_app'::regrole, 'seawall_worker'::regrole)
        """,
        {
            "GRANT SELECT ON users TO pg_monitor": "users pg_monitor",
            "GRANT EXECUTE ON FUNCTION list_users TO pg_monitor": "list_users() pg_monitor",
        },
        {},
    ),
    "everything belongs to the owner": (
        """
        SELECT name FROM ours WHERE relowner <> 'seawall_owner'::regrole
        UNION ALL SELECT name FROM functions WHERE proowner <> 'seawall_owner'::regrole
        """,
        {
            "RESET ROLE; CREATE TABLE it ()": "it",
            f"RESET ROLE; {DEFINER}": "it()",
        },
        {},
    ),
}
BROKEN = [
    pytest.param(query, meant, change, named, id=f"{name}: {change}")
    for name, (query, broken_by, meant) in RULES.items()
    for change, named in broken_by.items()
]


@pytest.mark.parametrize(("query", "_", "meant"), RULES.values(), ids=RULES)
async def test_there_is_no_fault_but_what_is_meant(
    faults: Faults, query: str, _: object, meant: Mapping[str, str]
) -> None:
    assert await faults(query) == set(meant)


@pytest.mark.parametrize(("query", "meant", "change", "named"), BROKEN)
async def test_a_fault_is_named(
    faults: Faults, query: str, meant: Mapping[str, str], change: str, named: str
) -> None:
    assert await faults(query, change) == {*meant, named}
