"""What the application's role may do in the migrated database, as its catalogue says."""

import re
from datetime import UTC, datetime
from importlib import import_module
from pkgutil import walk_packages

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import seawall
from seawall.core.errors import ForbiddenError
from seawall.db import database
from seawall.db.base import Base
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.faults import translated
from seawall.db.series import SERIES, ensure_chunks
from seawall.market.schemas import SeriesKind

for _module in walk_packages(seawall.__path__, "seawall."):
    if _module.name.endswith(".tables"):
        import_module(_module.name)
TABLES = Base.metadata.sorted_tables
TENANTS = [table.name for table in TABLES if table.info.get("tenant")]
MAY = {
    "users": "SELECT INSERT UPDATE",
    "profiles": "SELECT INSERT UPDATE",
    "user_settings": "SELECT INSERT UPDATE",
    "user_sessions": "SELECT INSERT UPDATE",
    "one_time_tokens": "SELECT INSERT UPDATE",
    "api_keys": "SELECT INSERT UPDATE",
    "subscriptions": "SELECT INSERT UPDATE",
    "idempotency_keys": "SELECT INSERT UPDATE",
    "system_settings": "SELECT INSERT UPDATE",
    "system_logs": "SELECT INSERT",
    "backups": "SELECT",
    "restore_drills": "SELECT",
    "audit_logs": "SELECT INSERT",
    "assets": "SELECT INSERT UPDATE",
    "exchanges": "SELECT INSERT UPDATE",
    "symbols": "SELECT INSERT UPDATE",
    "candles": "SELECT INSERT UPDATE",
    "candle_revisions": "SELECT INSERT",
    "price_history": "SELECT INSERT UPDATE",
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
    "transactions": "SELECT INSERT",
    "lots": "SELECT INSERT UPDATE DELETE",
    "holdings": "SELECT INSERT UPDATE DELETE",
    "portfolio_snapshots": "SELECT INSERT UPDATE",
    "portfolio_risk_metrics": "SELECT INSERT",
    "encryption_keys": "SELECT INSERT",
    "model_versions": "SELECT INSERT",
    "predictions": "SELECT INSERT",
    "model_performance": "SELECT INSERT",
    "market_regimes": "SELECT INSERT",
    "adaptation_history": "SELECT INSERT",
    "experience_replay": "SELECT INSERT DELETE",
    "ai_insights": "SELECT INSERT",
    "alerts": "SELECT INSERT UPDATE DELETE",
    "alert_history": "SELECT INSERT",
    "notifications": "SELECT INSERT",
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
    "risk_metrics": "SELECT INSERT UPDATE",
    "account_risk_metrics": "SELECT INSERT",
    "risk_scores": "SELECT INSERT UPDATE",
    "risk_limits": "SELECT INSERT UPDATE",
    "risk_events": "SELECT INSERT UPDATE",
    "stress_tests": "SELECT INSERT",
    "series": "SELECT",
    "rollups": "SELECT",
    "series_changes": "",
    "alembic_version": "SELECT",
}
# Where it may update no more of a row than these columns.
MAY_UPDATE = {
    "ai_insights": "checked_at verdict verdict_details",
    "alert_history": "error_message notification_status",
    "encryption_keys": "retired_at",
    "experience_replay": "priority tier",
    "market_regimes": "duration_minutes",
    "model_versions": "artefact_sha256 deployed_at model_path performance_metrics status",
    "notifications": "read_at",
    "predictions": "accuracy_score actual_value",
}
PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
REPLACE_FUNCTION = """
    CREATE OR REPLACE FUNCTION ensure_chunks(name text, first timestamptz, last timestamptz)
    RETURNS integer LANGUAGE sql AS 'SELECT 1'
"""


async def _refused(session: AsyncSession, statement: str, said: str = "permission denied") -> None:
    with pytest.raises(ForbiddenError, match=said), translated():
        async with session.begin_nested():
            await session.execute(text(statement))


@pytest.mark.parametrize("table", TENANTS)
async def test_every_tenant_s_table_is_under_forced_row_security(
    session: AsyncSession, table: str
) -> None:
    found = await session.execute(
        text(
            "SELECT relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE oid = CAST(:table AS regclass)"
        ),
        {"table": table},
    )
    assert tuple(found.one()) == (True, True)
    policies = await session.execute(
        text(
            "SELECT permissive, roles, cmd, qual, with_check FROM pg_policies"
            " WHERE tablename = :t AND policyname = 'tenant'"
        ),
        {"t": table},
    )
    permissive, roles, command, using, check = policies.one()
    assert (permissive, roles, command) == ("PERMISSIVE", ["seawall_app"], "ALL")
    assert using == check
    column = "id" if table == "users" else "user_id"
    bound = r"\( SELECT \(current_setting\('app.user_id'::text\)\)::uuid AS current_setting\)"
    assert re.fullmatch(rf"\({column} = {bound}\)", using)


def test_there_are_tenants() -> None:
    assert {"users", "portfolios", "transactions", "portfolio_risk_metrics"} <= set(TENANTS)
    assert len(SeriesKind) < len(TABLES)


async def test_the_application_may_do_exactly_this(session: AsyncSession) -> None:
    names = {table.name for table in TABLES} | {
        "series",
        "rollups",
        "series_changes",
        "alembic_version",
    }
    assert set(MAY) == names
    for table in names:
        held = [
            privilege
            for privilege in PRIVILEGES
            if await session.scalar(
                text("SELECT has_table_privilege('seawall_app', :table, :privilege)"),
                {"table": table, "privilege": privilege},
            )
        ]
        assert " ".join(held) == MAY[table], table


async def test_the_application_may_update_these_columns_alone(session: AsyncSession) -> None:
    rows = await session.execute(
        text(
            "SELECT relname, string_agg(attname, ' ' ORDER BY attname COLLATE \"C\"),"
            " array_agg(DISTINCT privilege_type)"
            " FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, aclexplode(attacl) acl"
            " WHERE relnamespace = 'public'::regnamespace"
            " AND acl.grantee = 'seawall_app'::regrole GROUP BY relname"
        )
    )
    found = {table: (columns, privileges) for table, columns, privileges in rows}
    assert found == {table: (columns, ["UPDATE"]) for table, columns in MAY_UPDATE.items()}


async def test_the_roles_are_without_power(session: AsyncSession) -> None:
    rows = await session.execute(
        text(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication"
            " FROM pg_roles WHERE rolname IN ('seawall_app', 'seawall_owner', 'seawall_worker')"
        )
    )
    powers = {name: tuple(rest) for name, *rest in rows}
    assert powers == dict.fromkeys(("seawall_app", "seawall_owner", "seawall_worker"), (False,) * 5)
    memberships = "SELECT count(*) FROM pg_auth_members WHERE member = 'seawall_app'::regrole"
    assert await session.scalar(text(memberships)) == 0
    owned = (
        "SELECT count(*) FROM pg_shdepend WHERE refobjid = 'seawall_app'::regrole AND deptype = 'o'"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    assert await session.scalar(text(owned)) == 0


async def test_everything_belongs_to_the_owner(session: AsyncSession) -> None:
    owners = await session.execute(
        text(
            "SELECT relname, relowner::regrole::text FROM pg_class WHERE relkind IN ('r', 'p', 'S')"
            " AND relnamespace = 'public'::regnamespace"
        )
    )
    assert {owner for name, owner in owners} == {"seawall_owner"}


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
        for role in ("seawall_owner", "seawall_admin"):
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


async def test_a_tenant_s_partition_has_row_security_of_its_own(session: AsyncSession) -> None:
    moment = datetime(2024, 5, 6, tzinfo=UTC)
    for series in SERIES:
        if not series.tenant:
            continue
        await ensure_chunks(session, series, moment, moment)
        secured = await session.execute(
            text(
                "SELECT relrowsecurity, relforcerowsecurity FROM pg_inherits"
                " JOIN pg_class ON pg_class.oid = inhrelid"
                " WHERE inhparent = CAST(:table AS regclass) AND relkind = 'r'"
            ),
            {"table": series.table},
        )
        assert [tuple(row) for row in secured] == [(True, True)]


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
        callable_by_all = await connection.scalars(
            text(
                "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                " AND proname IN ('create_series', 'ensure_chunks')"
                " AND has_function_privilege('public', oid, 'EXECUTE')"
            )
        )
        assert list(callable_by_all) == []
    await engine.dispose()


async def test_a_function_that_runs_as_its_owner_fixes_where_it_looks(
    session: AsyncSession,
) -> None:
    rows = await session.execute(
        text(
            "SELECT proname, proconfig FROM pg_proc it WHERE prosecdef"
            " AND pronamespace = 'public'::regnamespace"
            " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = it.oid AND deptype = 'e')"
        )
    )
    found: dict[str, list[str]] = dict(rows.all())
    assert set(found) == {
        "audit_row",
        "ensure_chunks",
        "announce_change",
        "note_change",
        "refresh_rollups",
        "find_user_by_email",
        "find_session",
        "find_api_key",
        "find_one_time_token",
        "list_users",
        "list_tenants",
        "public_portfolio",
        "public_holdings",
        "list_public_portfolios",
    }
    assert all("search_path=public, pg_temp" in settings for settings in found.values())


async def test_a_table_of_the_application_s_own_misleads_no_chunk(session: AsyncSession) -> None:
    await session.execute(
        text("CREATE TEMP TABLE series (table_name text, chunk text, engine text)")
    )
    await session.execute(text("INSERT INTO pg_temp.series VALUES ('users', 'year', 'native')"))
    with pytest.raises(Exception, match="query returned no rows"):
        async with session.begin_nested():
            await session.execute(text("SELECT ensure_chunks('users', '2024-01-01', '2024-01-01')"))
