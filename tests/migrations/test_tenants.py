"""What every table of users has to be, as the database's catalogue tells.

A rule is a query that names its faults. What it names and is meant stands beside it, with the
reason; so does how to break it, by which a test sees that its faults are named.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import walk_packages

import pytest

import seawall
from seawall.db.base import Base

for _module in walk_packages(seawall.__path__, "seawall."):
    if _module.name.endswith(".tables"):
        import_module(_module.name)
TENANTS = [table for table in Base.metadata.sorted_tables if table.info.get("tenant")]
Faults = Callable[..., Awaitable[set[str]]]

# ruff: noqa: S608 - the queries are put together from constants alone


@dataclass(frozen=True)
class Rule:
    """A query of faults, changes that break the rule with what it then names, and what is meant."""

    query: str
    broken_by: Mapping[str, str]
    meant: Mapping[str, str] = field(default_factory=dict)


# A table of users as it should be; each change below takes something away from it.
NAMED = "CONSTRAINT fk_things_portfolios"
PARENT = "FOREIGN KEY (user_id, portfolio_id) REFERENCES portfolios (user_id, id)"
THINGS = f"""
    CREATE TABLE things (
        id uuid DEFAULT gen_random_uuid() PRIMARY KEY,
        user_id uuid NOT NULL DEFAULT current_user_id(),
        portfolio_id uuid,
        name text,
        CONSTRAINT fk_things_users FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE,
        {NAMED} {PARENT} ON DELETE SET NULL (portfolio_id),
        CONSTRAINT uq_things_name UNIQUE (user_id, name)
    );
    CREATE INDEX idx_things_portfolio_id ON things (portfolio_id);
    ALTER TABLE things ENABLE ROW LEVEL SECURITY;
    ALTER TABLE things FORCE ROW LEVEL SECURITY;
    CREATE POLICY tenant ON things TO seawall_app
        USING (user_id = (SELECT current_setting('app.user_id')::uuid))
        WITH CHECK (user_id = (SELECT current_setting('app.user_id')::uuid));
    CREATE TRIGGER audit_things AFTER INSERT OR UPDATE OR DELETE ON things
        FOR EACH ROW EXECUTE FUNCTION audit_row('', '');
"""
REKEY = f"ALTER TABLE things DROP {NAMED}, ADD {NAMED}"

EXPIRY = "rows of every user expire by one policy, which runs as the owner"
RESTORE = "what was archived is put back for whoever it was"
ARCHIVED = ("fills", "orders", "positions", "risk_events", "notifications")
EXPIRING = (*ARCHIVED, "idempotency_keys", "outbox", "performance_metrics", "performance_analytics")
DOOR = "opens one row to whoever has the exact key, before anybody is bound"
PUBLISHED = "public portfolios are shown to everybody, by functions that choose the columns"
OF_PUBLIC = (
    "(EXISTS ( SELECT FROM portfolios WHERE ((portfolios.id = holdings.portfolio_id)"
    " AND portfolios.is_public AND (portfolios.deleted_at IS NULL))))"
)
MEASURED = "everybody's portfolios are measured at once, by doors that a worker alone may open"
MEASURING = (
    "portfolios",
    "holdings",
    "transactions",
    "portfolio_risk_metrics",
    "portfolio_snapshots",
    "risk_limits",
)
BY_WORKER = "(( SELECT current_setting('role'::text) AS current_setting) = 'seawall_worker'::text)"
PURGED = "who left 30 days ago goes, by a door that a worker alone may open, and their chain too"
PUBLIC = (
    "(is_public AND (deleted_at IS NULL) AND (EXISTS ( SELECT FROM users"
    " WHERE ((users.id = portfolios.user_id) AND (users.deleted_at IS NULL)))))"
)
LONG_GONE = (
    f"({BY_WORKER} AND (deleted_at < (now() - '30 days'::interval))"
    " AND (updated_at < (now() - '30 days'::interval)) AND (NOT is_superuser)"
    " AND (id <> '00000000-0000-4000-8000-000000000001'::uuid))"
)
OF_NOBODY_LEFT = (
    f"({BY_WORKER} AND (user_id <> '00000000-0000-0000-0000-000000000000'::uuid)"
    " AND (NOT (EXISTS ( SELECT FROM users WHERE (users.id = audit_logs.user_id)))))"
)
OPEN_TO_OWNER = {
    "audit_logs seawall_owner SELECT true": "an entry is chained to the one before it",
    "audit_logs seawall_owner INSERT true": "the triggers that log act as the owner",
    "users seawall_owner SELECT true": DOOR,
    "user_sessions seawall_owner SELECT true": DOOR,
    "api_keys seawall_owner SELECT true": DOOR,
    "one_time_tokens seawall_owner SELECT true": DOOR,
    f"portfolios seawall_owner SELECT {PUBLIC}": PUBLISHED,
    f"subscriptions seawall_owner SELECT {BY_WORKER}": "whose a message of Stripe's is",
    f"users seawall_owner DELETE {LONG_GONE}": PURGED,
    f"audit_logs seawall_owner DELETE {OF_NOBODY_LEFT}": PURGED,
    f"holdings seawall_owner SELECT {OF_PUBLIC}": PUBLISHED,
    **{f"{table} seawall_owner SELECT {BY_WORKER}": MEASURED for table in MEASURING},
    f"portfolios seawall_owner UPDATE {BY_WORKER}false": "locked while measured, never changed",
    f"portfolio_risk_metrics seawall_owner INSERT {BY_WORKER}": MEASURED,
    f"portfolio_snapshots seawall_owner INSERT {BY_WORKER}": MEASURED,
    f"portfolio_snapshots seawall_owner UPDATE {BY_WORKER}": MEASURED,
    "user_sessions seawall_owner DELETE true": EXPIRY,
    "one_time_tokens seawall_owner DELETE true": EXPIRY,
    **{f"{table} seawall_owner SELECT true": EXPIRY for table in EXPIRING},
    **{f"{table} seawall_owner DELETE true": EXPIRY for table in EXPIRING},
    **{f"{table} seawall_owner INSERT true": RESTORE for table in ARCHIVED},
}
SECRET = "the hash of a secret that nobody can guess"  # noqa: S105 - it is none
UNNAMED = "begins with the random id of a parent that no other user is ever told"
KNOWN_TO_BE_TAKEN = {
    "idx_users_email": "an e-mail is one user's: it tells that there is an account",
    "uq_users_username": "so is a name",
    "uq_subscriptions_stripe_subscription_id": "Stripe's, and random",
    "uq_subscriptions_active_customer": "Stripe's, and random",
    "uq_api_keys_key_hash": SECRET,
    "uq_one_time_tokens_token_hash": SECRET,
    "uq_user_sessions_token_hash": SECRET,
    "uq_user_sessions_refresh_token_hash": SECRET,
    "uq_lots_opening_transaction_id": UNNAMED,
    "pk_account_risk_metrics": UNNAMED,
    "uq_alert_history_delivery": UNNAMED,
    "uq_fills_trade": UNNAMED,
    "uq_orders_client_order_id": UNNAMED,
    "uq_orders_exchange_order_id": UNNAMED,
    "pk_performance_analytics": UNNAMED,
    "pk_performance_metrics": UNNAMED,
    "uq_positions_open": UNNAMED,
    "uq_risk_events_unresolved": UNNAMED,
    "uq_strategy_versions_number": UNNAMED,
    "uq_transactions_exchange_transaction_id": UNNAMED,
}

BOUND = "( SELECT (current_setting(''app.user_id''::text))::uuid AS current_setting)"
RULES = {
    "row security is enabled, and forced on the owner": Rule(
        "SELECT name FROM tenants WHERE NOT (relrowsecurity AND relforcerowsecurity)",
        {
            "ALTER TABLE things DISABLE ROW LEVEL SECURITY": "things",
            "ALTER TABLE things NO FORCE ROW LEVEL SECURITY": "things",
            "CREATE TABLE other (user_id uuid)": "other",
        },
    ),
    "a policy shows and takes rows of the bound user alone": Rule(
        f"""
        SELECT name FROM tenants WHERE NOT EXISTS (
            SELECT FROM pg_policies WHERE tablename = name AND policyname = 'tenant'
                AND permissive = 'PERMISSIVE' AND roles = '{{seawall_app}}' AND cmd = 'ALL'
                AND qual = format('(%s = {BOUND})', owner_column) AND with_check = qual
        )
        """,
        {
            "DROP POLICY tenant ON things": "things",
            "ALTER POLICY tenant ON things TO PUBLIC": "things",
            "ALTER POLICY tenant ON things WITH CHECK (true)": "things",
            "ALTER POLICY tenant ON things USING (user_id = current_setting('app.user_id',"
            " true)::uuid)": "things",
        },
    ),
    "no other policy opens it": Rule(
        r"""
        SELECT concat_ws(' ', tablename, array_to_string(roles, ','), cmd,
            regexp_replace(concat(qual, with_check), '\s+', ' ', 'g'))
        FROM pg_policies WHERE schemaname = 'public' AND policyname <> 'tenant'
        """,
        {
            "CREATE POLICY more ON things FOR SELECT TO seawall_app USING (name = 'a')": (
                "things seawall_app SELECT (name = 'a'::text)"
            ),
            "CREATE POLICY owner_update ON users FOR UPDATE TO seawall_owner USING (true)": (
                "users seawall_owner UPDATE true"
            ),
        },
        OPEN_TO_OWNER,
    ),
    "every row is a user's, the bound one's by default": Rule(
        """
        SELECT name FROM tenants WHERE NOT EXISTS (
            SELECT FROM columns WHERE attrelid = tenants.oid AND attname = owner_column
                AND attnotnull AND atttypid = 'uuid'::regtype AND preset
                    = CASE name WHEN 'users' THEN 'gen_random_uuid()' ELSE 'current_user_id()' END
        )
        """,
        {
            "ALTER TABLE things ALTER user_id DROP NOT NULL": "things",
            "ALTER TABLE things ALTER user_id DROP DEFAULT": "things",
            "CREATE TABLE other (); ALTER TABLE other ENABLE ROW LEVEL SECURITY": "other",
        },
        {"audit_logs": "entries of the system's own chain are no user's"},
    ),
    "no foreign key leads to a row of another user": Rule(
        """
        SELECT conname FROM keys WHERE to_tenant AND NOT EXISTS (
            SELECT FROM unnest(conkey, confkey) AS pair (ours, theirs)
            JOIN columns mine ON mine.attrelid = conrelid AND mine.attnum = ours
            JOIN columns its ON its.attrelid = confrelid AND its.attnum = theirs
            WHERE mine.attname = child_owner AND its.attname = parent_owner
        )
        """,
        {
            f"{REKEY} FOREIGN KEY (portfolio_id) REFERENCES portfolios": "fk_things_portfolios",
            "CREATE TABLE other (it uuid CONSTRAINT fk_other REFERENCES things)": "fk_other",
            "ALTER TABLE things ADD CONSTRAINT fk_makers FOREIGN KEY (id) REFERENCES users": (
                "fk_makers"
            ),
        },
    ),
    "no foreign key changes whose row it is": Rule(
        """
        SELECT conname FROM keys JOIN columns ON attrelid = conrelid AND attnum = ANY (conkey)
        WHERE to_tenant AND attname = child_owner AND (confupdtype <> 'a' OR confdeltype
            IN ('n', 'd') AND coalesce(attnum = ANY (nullif(confdelsetcols, '{}')), true))
        """,
        {
            f"{REKEY} {PARENT} ON DELETE SET NULL": "fk_things_portfolios",
            f"{REKEY} {PARENT} ON UPDATE CASCADE": "fk_things_portfolios",
        },
    ),
    "every row goes with its user": Rule(
        """
        SELECT name FROM tenants WHERE name <> 'users' AND NOT EXISTS (
            SELECT FROM keys WHERE conrelid = tenants.oid AND to_tenant AND confdeltype = 'c'
        )
        """,
        {"ALTER TABLE things DROP CONSTRAINT fk_things_users": "things"},
        {"audit_logs": "the log outlives users"},
    ),
    # Either with the user's column or without it: it is the same for all rows that are seen.
    "an index begins with the columns of each foreign key": Rule(
        """
        SELECT conname FROM keys CROSS JOIN LATERAL (
            SELECT array_agg(attnum) AS columns, max(attname) AS one FROM columns
            WHERE attrelid = conrelid AND attnum = ANY (conkey)
                AND (attname <> child_owner OR cardinality(conkey) = 1)
        ) AS other
        WHERE NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = conrelid AND indisvalid
                AND (indpred IS NULL
                    OR pg_get_expr(indpred, indrelid) = format('(%I IS NOT NULL)', one))
                AND ((indkey::int2[])[0:cardinality(columns) - 1] @> columns
                    OR (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)
        )
        """,
        {
            "DROP INDEX idx_things_portfolio_id": "fk_things_portfolios",
            "ALTER TABLE things DROP CONSTRAINT uq_things_name": "fk_things_users",
            "DROP INDEX idx_things_portfolio_id; CREATE INDEX ON things (portfolio_id)"
            " WHERE name <> ''": "fk_things_portfolios",
        },
    ),
    # A unique value of all users tells whoever tries it that another has it already.
    "no value tells that another user has it": Rule(
        """
        SELECT indexrelid::regclass::text FROM pg_index JOIN tenants ON tenants.oid = indrelid
        WHERE indisunique AND NOT EXISTS (
            SELECT FROM columns WHERE attrelid = indrelid AND attnum = ANY (indkey)
                AND (attname = 'user_id' OR preset = 'gen_random_uuid()')
        )
        """,
        {
            "CREATE UNIQUE INDEX uq_things ON things (portfolio_id, name)": "uq_things",
            "CREATE UNIQUE INDEX uq_things ON things (lower(name))": "uq_things",
        },
        KNOWN_TO_BE_TAKEN,
    ),
    "every change is logged": Rule(
        """
        SELECT name FROM tenants WHERE NOT EXISTS (
            SELECT FROM pg_trigger JOIN functions ON functions.oid = tgfoid
            WHERE tgrelid = tenants.oid AND tgenabled = 'O' AND proname = 'audit_row'
        )
        """,
        {
            "DROP TRIGGER audit_things ON things": "things",
            "ALTER TABLE things DISABLE TRIGGER audit_things": "things",
        },
        {
            table.name: str(table.info.get("unaudited"))
            for table in TENANTS
            if "audit" not in table.info
        },
    ),
    "a partition is reached through its table alone": Rule(
        """
        SELECT ours.name FROM ours JOIN pg_inherits ON inhrelid = ours.oid
        JOIN tenants ON tenants.oid = inhparent
        WHERE NOT (ours.relrowsecurity AND ours.relforcerowsecurity)
            OR EXISTS (SELECT FROM pg_policy WHERE polrelid = ours.oid)
            OR EXISTS (SELECT FROM aclexplode(ours.relacl) WHERE grantee <> ours.relowner)
        """,
        {
            "SELECT ensure_chunks('portfolio_snapshots', '2024-01-01', '2024-01-01');"
            f" {change}": "portfolio_snapshots_2024"
            for change in (
                "ALTER TABLE portfolio_snapshots_2024 DISABLE ROW LEVEL SECURITY",
                "ALTER TABLE portfolio_snapshots_2024 NO FORCE ROW LEVEL SECURITY",
                "CREATE POLICY more ON portfolio_snapshots_2024 USING (true)",
                "GRANT SELECT ON portfolio_snapshots_2024 TO seawall_app",
            )
        },
    ),
}
BROKEN = [
    pytest.param(rule, change, named, id=f"{name}: {change}")
    for name, rule in RULES.items()
    for change, named in rule.broken_by.items()
]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_there_is_no_fault_but_what_is_meant(faults: Faults, rule: Rule) -> None:
    assert await faults(rule.query) == set(rule.meant)
    assert all(len(reason) > 10 for reason in rule.meant.values())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
async def test_a_table_as_it_should_be_has_no_fault(faults: Faults, rule: Rule) -> None:
    assert await faults(rule.query, THINGS) == set(rule.meant)


@pytest.mark.parametrize(("rule", "change", "named"), BROKEN)
async def test_a_fault_is_named(faults: Faults, rule: Rule, change: str, named: str) -> None:
    assert await faults(rule.query, THINGS, change) == {*rule.meant, named}


async def test_the_tables_of_users_are_those_that_the_code_marks(faults: Faults) -> None:
    assert await faults("SELECT name FROM tenants") == {table.name for table in TENANTS}
    assert {"users", "portfolios", "fills", "audit_logs"} <= {table.name for table in TENANTS}
