"""What the roles may do in the migrated database: its catalogue's word, and attempts."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.db import database
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.faults import translated
from seawall.db.series import SERIES, ensure_chunks

Faults = Callable[..., Awaitable[set[str]]]

# What the application may do with each table and view; `*` is an update of these columns alone.
MAY = {
    "users": "SELECT INSERT UPDATE",
    "profiles": "SELECT INSERT UPDATE",
    "user_settings": "SELECT INSERT UPDATE",
    "user_sessions": "SELECT INSERT UPDATE",
    "one_time_tokens": "SELECT INSERT UPDATE",
    "api_keys": "SELECT INSERT UPDATE",
    "subscriptions": "SELECT",
    "billing_events": "INSERT",
    "idempotency_keys": "SELECT INSERT UPDATE",
    "guesses": "",
    "outbox": "SELECT INSERT UPDATE",
    "system_settings": "SELECT INSERT UPDATE",
    "system_logs": "SELECT INSERT",
    "backups": "SELECT",
    "restore_drills": "SELECT",
    "archives": "",
    "audit_logs": "SELECT INSERT",
    "assets": "SELECT INSERT UPDATE",
    "exchanges": "SELECT INSERT UPDATE",
    "symbols": "SELECT INSERT UPDATE",
    "candles": "SELECT INSERT UPDATE",
    "candles_by_day": "SELECT",
    "candle_revisions": "SELECT INSERT",
    "daily_price_summary": "SELECT",
    "price_history": "SELECT INSERT UPDATE",
    "price_history_by_day": "SELECT",
    "price_history_daily": "SELECT",
    "price_revisions": "SELECT INSERT",
    "quotes": "SELECT INSERT UPDATE",
    "market_trades": "SELECT INSERT UPDATE",
    "order_books": "SELECT INSERT",
    "social_sentiment_history": "SELECT INSERT UPDATE",
    "onchain_history": "SELECT INSERT UPDATE",
    "data_coverage": "SELECT INSERT UPDATE",
    "data_gaps": "SELECT INSERT DELETE",
    "portfolios": "SELECT INSERT UPDATE",
    "exchange_connections": "SELECT INSERT UPDATE",
    "transactions": "SELECT INSERT *void_kind *void_reason *voided_at",
    "lots": "SELECT INSERT UPDATE DELETE",
    "holdings": "SELECT INSERT UPDATE DELETE",
    "portfolio_snapshots": "SELECT INSERT UPDATE",
    "portfolio_risk_metrics": "SELECT INSERT",
    "encryption_keys": "SELECT INSERT *retired_at",
    "model_versions": "SELECT INSERT *artefact_sha256 *deployed_at *model_path"
    " *performance_metrics *status",
    "predictions": "SELECT INSERT *accuracy_score *actual_value",
    "model_performance": "SELECT INSERT",
    "model_performance_summary": "SELECT",
    "market_regimes": "SELECT INSERT *duration_minutes",
    "adaptation_history": "SELECT INSERT",
    "experience_replay": "SELECT INSERT DELETE *priority *tier",
    "ai_insights": "SELECT INSERT *checked_at *verdict *verdict_details",
    "alerts": "SELECT INSERT UPDATE DELETE",
    "alert_history": "SELECT INSERT *error_message *notification_status",
    "notifications": "SELECT INSERT *read_at",
    "strategies": "SELECT INSERT UPDATE",
    "strategy_versions": "SELECT INSERT",
    "backtests": "SELECT INSERT",
    "performance_metrics": "SELECT INSERT UPDATE",
    "performance_analytics": "SELECT INSERT UPDATE",
    "trading_accounts": "SELECT INSERT UPDATE",
    "ledger_entries": "SELECT INSERT",
    "orders": "SELECT INSERT UPDATE",
    "fills": "SELECT INSERT",
    "positions": "SELECT INSERT UPDATE",
    "active_portfolio": "SELECT",
    "risk_metrics": "SELECT INSERT UPDATE",
    "account_risk_metrics": "SELECT INSERT",
    "risk_scores": "SELECT INSERT UPDATE",
    "latest_risk_scores": "SELECT",
    "risk_limits": "SELECT INSERT UPDATE",
    "risk_events": "SELECT INSERT UPDATE",
    "stress_tests": "SELECT INSERT",
    "job_failures": "",
    "measured_midnights": "",
    "series": "SELECT",
    "rollups": "SELECT",
    "series_changes": "",
    "alembic_version": "SELECT",
}
# Workers may do the same, and what is their job alone.
WORKERS_MAY = (
    MAY
    | {"subscriptions": "SELECT INSERT UPDATE", "billing_events": "SELECT INSERT UPDATE"}
    | dict.fromkeys(("backups", "restore_drills"), "SELECT INSERT UPDATE")
    | dict.fromkeys(("job_failures", "measured_midnights"), "SELECT INSERT")
)
MAY_CALL = {
    "announce_change",
    "count_guess",
    "current_user_id",
    "defer_job",
    "ensure_chunks",
    "find_api_key",
    "find_one_time_token",
    "find_refresh_token",
    "find_session",
    "find_user_by_email",
    "list_public_portfolios",
    "notify_cache",
    "old_hash_cost",
    "public_holdings",
    "public_portfolio",
    "queue_lag",
    "refresh_rollups",
}
WORKERS_MAY_CALL = MAY_CALL | {
    "list_users",
    "list_tenants",
    "assets_held",
    "portfolios_to_measure",
    "portfolio_weights",
    "keep_portfolio_risk",
    "portfolios_limited",
    "list_users_to_purge",
    "find_subscriber",
    "list_subscribers",
    "purge_user",
}
RIGHTS = """
    SELECT concat_ws(' ', name || ':', (
        SELECT string_agg(privilege, ' ' ORDER BY place)
        FROM unnest('{{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}}'::text[])
            WITH ORDINALITY AS each (privilege, place)
        WHERE has_table_privilege('{role}', ours.oid, privilege)
    ), (
        SELECT string_agg(CASE privilege_type WHEN 'UPDATE' THEN '*' ELSE privilege_type END
            || attname, ' ' ORDER BY attname COLLATE "C")
        FROM columns, aclexplode(attacl) WHERE attrelid = ours.oid
            AND pg_has_role('{role}', grantee, 'USAGE')
    )) FROM ours WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition
"""
CALLS = "SELECT proname::text FROM functions WHERE has_function_privilege('{role}', oid, 'EXECUTE')"


@pytest.mark.parametrize(
    ("role", "may", "may_call"),
    [
        ("seawall_app", MAY, MAY_CALL),
        ("seawall_worker", WORKERS_MAY, WORKERS_MAY_CALL),
    ],
    ids=["application", "worker"],
)
async def test_a_role_may_do_exactly_this(
    faults: Faults, role: str, may: Mapping[str, str], may_call: set[str]
) -> None:
    held = await faults(RIGHTS.format(role=role))
    assert held == {f"{name}: {rights}".rstrip() for name, rights in may.items()}
    assert await faults(CALLS.format(role=role)) == may_call


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ("GRANT TRUNCATE ON lots TO seawall_app", "lots: SELECT INSERT UPDATE DELETE TRUNCATE"),
        ("GRANT TRIGGER ON fills TO PUBLIC", "fills: SELECT INSERT TRIGGER"),
        ("GRANT UPDATE (fee) ON fills TO seawall_app", "fills: SELECT INSERT *fee"),
        ("GRANT REFERENCES (id) ON fills TO seawall_app", "fills: SELECT INSERT REFERENCESid"),
        ("CREATE TABLE things (); GRANT SELECT ON things TO seawall_app", "things: SELECT"),
        ("CREATE TABLE things ()", "things:"),
    ],
)
async def test_a_right_more_is_seen(faults: Faults, change: str, held: str) -> None:
    expected = {f"{name}: {rights}".rstrip() for name, rights in MAY.items()}
    assert await faults(RIGHTS.format(role="seawall_app"), change) - expected == {held}


async def test_the_roles_are_without_power(session: AsyncSession) -> None:
    rows = await session.execute(
        text(
            "SELECT rolname, rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole,"
            " rolreplication, ARRAY(SELECT roleid::regrole::text FROM pg_auth_members"
            "   WHERE member = pg_roles.oid)"
            " FROM pg_roles WHERE starts_with(rolname, 'seawall_') AND rolname <> 'seawall_admin'"
        )
    )
    found = {name: (login, any(powers), member) for name, login, *powers, member in rows}
    assert found == {
        "seawall_owner": (False, False, []),
        "seawall_app": (True, False, []),
        "seawall_worker": (False, False, ["seawall_app"]),
    }


async def test_the_application_owns_nothing(session: AsyncSession) -> None:
    owned = (
        "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o'"
        " AND refobjid IN ('seawall_app'::regrole, 'seawall_worker'::regrole)"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    assert await session.scalar(text(owned)) == 0


REPLACE_FUNCTION = """
    CREATE OR REPLACE FUNCTION ensure_chunks(name text, first timestamptz, last timestamptz)
    RETURNS integer LANGUAGE sql AS 'SELECT 1'
"""


async def _refused(session: AsyncSession, statement: str, said: str = "permission denied") -> None:
    with pytest.raises(ForbiddenError, match=said), translated():
        async with session.begin_nested():
            await session.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE TABLE mine (id integer)", "permission denied for schema public"),
        ("CREATE SCHEMA mine", "permission denied for database"),
        ("ALTER TABLE portfolios DISABLE ROW LEVEL SECURITY", "must be owner"),
        ("ALTER TABLE portfolios NO FORCE ROW LEVEL SECURITY", "must be owner"),
        ("DROP POLICY tenant ON portfolios", "must be owner"),
        ("ALTER POLICY tenant ON portfolios USING (true)", "must be owner"),
        ("CREATE POLICY mine ON portfolios USING (true)", "must be owner"),
        ("TRUNCATE candles", "permission denied"),
        ("TRUNCATE portfolios CASCADE", "permission denied"),
        ("DELETE FROM transactions", "permission denied"),
        ("UPDATE transactions SET quantity = 1", "permission denied"),
        ("UPDATE transactions SET replaces_id = id", "permission denied"),
        ("DELETE FROM users", "permission denied"),
        ("UPDATE series SET engine = 'native'", "permission denied"),
        ("UPDATE alembic_version SET version_num = '0001'", "permission denied"),
        ("SELECT create_series('portfolios', 'year', false)", "permission denied"),
        ("DROP TABLE candles", "must be owner"),
        ("SET SESSION AUTHORIZATION seawall_owner", "permission denied"),
        (REPLACE_FUNCTION, "permission denied"),
    ],
)
async def test_the_application_is_refused(session: AsyncSession, statement: str, said: str) -> None:
    await _refused(session, statement, said)


async def test_the_login_of_the_application_cannot_become_another(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        for role in ("seawall_owner", "seawall_worker", "seawall_admin"):
            with pytest.raises(ForbiddenError, match="permission denied to set role"), translated():
                await connection.execute(text(f"SET ROLE {role}"))
            await connection.rollback()


async def test_row_security_cannot_be_switched_off(session: AsyncSession) -> None:
    await session.execute(text("SET LOCAL row_security = off"))
    await _refused(session, "SELECT * FROM portfolios", "affected by row-level security policy")


async def test_partitions_are_reached_through_their_series_alone(session: AsyncSession) -> None:
    moment = datetime(2024, 5, 6, tzinfo=UTC)
    for series in SERIES:
        await ensure_chunks(session, series, moment, moment)
    partitions = await session.scalars(
        text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    )
    native = [
        name
        for name, engine in await session.execute(text("SELECT table_name, engine FROM series"))
        if engine == "native"
    ]
    found = list(partitions)
    assert len(found) == len(native)
    for partition in found:
        await _refused(session, f"TABLE {partition}")
        await _refused(session, f"TRUNCATE {partition}")


async def test_a_stranger_may_do_nothing(empty_location: Location) -> None:
    await database.prepare(empty_location)
    engine = create_engine(empty_location.url, pooled=False)
    async with engine.connect() as connection:
        granted = await connection.scalar(
            text(
                "SELECT array_agg(acl.privilege_type) FROM pg_database, aclexplode(datacl) acl"
                " WHERE datname = current_database() AND acl.grantee = 0"
            )
        )
        assert granted is None
    await engine.dispose()


async def test_a_table_of_the_application_s_own_misleads_no_chunk(session: AsyncSession) -> None:
    await session.execute(
        text("CREATE TEMP TABLE series (table_name text, chunk text, engine text)")
    )
    await session.execute(text("INSERT INTO pg_temp.series VALUES ('users', 'year', 'native')"))
    with pytest.raises(Exception, match="query returned no rows"):
        async with session.begin_nested():
            await session.execute(text("SELECT ensure_chunks('users', '2024-01-01', '2024-01-01')"))
