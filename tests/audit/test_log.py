"""What is logged of a change, what is not, and who may write to the log."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from seawall.audit.tables import AuditLog
from seawall.core.errors import ForbiddenError
from seawall.db.database import Location, open_admin
from seawall.db.engine import WORKER_ROLE
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.identity.tables import Profile, SystemSetting, User
from seawall.portfolios.tables import Portfolio

Attack = Callable[..., Awaitable[None]]
CANARY = "$argon2id$canary"


async def _entries(engine: AsyncEngine, chain: UUID | None) -> list[AuditLog]:
    async with AsyncSession(engine) as session:
        query = select(AuditLog).where(AuditLog.user_id.is_not_distinct_from(chain))
        return list(await session.scalars(query.order_by(AuditLog.sequence)))


async def _last(engine: AsyncEngine, chain: UUID | None) -> AuditLog:
    return (await _entries(engine, chain))[-1]


async def _refused(session: AsyncSession | AsyncConnection, statement: str, said: str) -> None:
    with pytest.raises(ForbiddenError, match=said), translated():
        async with session.begin_nested():
            await session.execute(text(statement))


async def test_a_change_is_logged_with_who_and_what(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        portfolio = (await session.scalars(select(Portfolio))).one()
        await session.execute(update(Portfolio).values(description="mine"))
    last = await _last(owner, alice)
    assert (last.table_name, last.operation, last.record_id) == (
        "portfolios",
        "UPDATE",
        str(portfolio.id),
    )
    assert (last.actor_id, last.actor_role) == (alice, "seawall_app")
    assert last.old_data is not None
    assert last.new_data is not None
    assert (last.old_data["description"], last.new_data["description"]) == ("", "mine")
    assert last.new_data["name"] == "3", "the whole row is kept"
    operations = [each.operation for each in await _entries(owner, alice)]
    assert operations == ["INSERT", "INSERT", "UPDATE", "UPDATE", "UPDATE", "LOGIN", "UPDATE"]
    first = (await _entries(owner, alice))[0]
    assert (first.table_name, first.record_id, first.old_data) == ("users", str(alice), None)


async def test_a_deleted_user_s_log_stays_and_tells_of_all_that_went_with_them(
    owner: AsyncEngine, admin: AsyncEngine, alice: UUID
) -> None:
    async with admin.begin() as connection:
        await connection.execute(text("DELETE FROM users WHERE id = :id"), {"id": alice})
    deleted = {
        each.table_name: each for each in await _entries(owner, alice) if each.operation == "DELETE"
    }
    assert set(deleted) == {"users", "portfolios"}
    assert deleted["portfolios"].old_data is not None
    assert deleted["portfolios"].old_data["name"] == "3"
    assert deleted["users"].new_data is None
    assert (deleted["users"].actor_id, deleted["users"].actor_role) == (None, "seawall_admin")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "3"},
        {"total_value_usd": 5, "valued_at": func.now(), "risk_score": 3.5},
        {"updated_at": text("now() + interval '1 day'")},
    ],
    ids=["nothing", "derived", "updated_at"],
)
async def test_what_follows_from_elsewhere_is_no_change(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID, change: dict[str, Any]
) -> None:
    before = await _last(owner, alice)
    async with transaction(engine, alice) as session:
        done = await session.execute(update(Portfolio).values(change).returning(Portfolio.id))
        assert len(done.all()) == 1
    assert (await _last(owner, alice)).sequence == before.sequence


async def test_a_change_beside_a_derived_one_is_logged_with_both(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        await session.execute(update(Portfolio).values(total_value_usd=5, name="new"))
    last = await _last(owner, alice)
    assert last.new_data is not None
    assert (last.new_data["name"], last.new_data["total_value_usd"]) == ("new", 5)


async def test_of_a_secret_only_that_it_changed_is_logged(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    async def change(**values: object) -> tuple[Any, Any]:
        async with transaction(engine, alice) as session:
            await session.execute(update(User).values(values))
        last = await _last(owner, alice)
        assert last.old_data is not None
        assert last.new_data is not None
        return last.old_data["password_hash"], last.new_data["password_hash"]

    secret = CANARY.encode()
    assert await change(password_hash=CANARY) == (None, "[redacted: changed]")
    assert await change(password_hash=f"{CANARY}2") == ("[redacted]", "[redacted: changed]")
    assert await change(full_name=b"SWS" + secret) == ("[redacted]", "[redacted]")
    last = await _last(owner, alice)
    assert last.new_data is not None
    assert last.new_data["full_name"] == "[redacted: changed]"
    assert await change(password_hash=None) == ("[redacted]", None)
    async with owner.connect() as connection:
        whole = str(list(await connection.scalars(text("SELECT audit_logs::text FROM audit_logs"))))
    assert "[redacted: changed]" in whole
    assert "canary" not in whole
    assert secret.hex() not in whole


async def test_a_secret_whose_column_is_gone_stops_the_change(
    engine: AsyncEngine, admin: AsyncEngine, alice: UUID
) -> None:
    async with admin.begin() as connection:
        await connection.execute(text("ALTER TABLE users RENAME password_hash TO password"))
    async with transaction(engine, alice) as session:
        with pytest.raises(DBAPIError, match="users has no column password_hash to redact"):
            async with session.begin_nested():
                await session.execute(text(f"UPDATE users SET password = '{CANARY}'"))  # noqa: S608 - ours


async def test_a_row_is_named_by_its_key_whatever_that_is(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        await session.execute(insert(Profile).values(display_name="A"))
    assert (await _last(owner, alice)).record_id == str(alice)
    columns = "a text, b integer, c text"
    for name, key in (("two_keys", ", PRIMARY KEY (b, a)"), ("no_key", "")):
        async with owner.begin() as connection:
            await connection.execute(text(f"CREATE TABLE {name} ({columns} {key})"))
            await connection.execute(
                text(
                    f"CREATE TRIGGER audit_{name} AFTER INSERT OR UPDATE OR DELETE ON {name}"
                    " FOR EACH ROW EXECUTE FUNCTION audit_row('a', '')"
                )
            )
            await connection.execute(text(f"INSERT INTO {name} VALUES ('x', 7, 'z')"))  # noqa: S608 - ours
    two_keys, no_key = (await _entries(owner, None))[-2:]
    assert (two_keys.table_name, two_keys.record_id) == ("two_keys", "7,[redacted]")
    assert (no_key.table_name, no_key.record_id) == ("no_key", None)


async def test_what_belongs_to_no_user_is_in_the_system_s_chain(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        await session.execute(insert(SystemSetting).values(setting_key="k", setting_value=1))
        assert await session.scalar(select(func.count()).where(AuditLog.user_id.is_(None))) == 0
    begin, setting = await _entries(owner, None)
    assert (begin.operation, begin.sequence, begin.previous_hash) == ("BEGIN", 1, None)
    assert (setting.table_name, setting.actor_id) == ("system_settings", alice)


async def test_a_worker_is_told_from_the_application(
    location: Location, owner: AsyncEngine, alice: UUID
) -> None:
    async with open_admin(location, WORKER_ROLE) as worker, transaction(worker, alice) as session:
        await session.execute(update(Portfolio).values(name="by a worker"))
    last = await _last(owner, alice)
    assert (last.actor_id, last.actor_role) == (alice, "seawall_worker")


async def test_what_is_undone_was_never_logged(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    before = await _entries(owner, alice)
    async with transaction(engine, alice) as session:
        await session.execute(update(Portfolio).values(name="never"))
        await session.rollback()
    async with transaction(engine, alice) as session:
        savepoint = await session.begin_nested()
        await session.execute(update(Portfolio).values(name="never"))
        await savepoint.rollback()
        await session.execute(update(Portfolio).values(name="at last"))
    after = await _entries(owner, alice)
    assert [each.sequence for each in after] == list(range(1, len(before) + 2))
    assert after[-1].new_data is not None
    assert after[-1].new_data["name"] == "at last"


async def test_an_event_of_one_s_own_may_be_logged_but_nothing_of_it_be_made_up(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID, bob: UUID
) -> None:
    before = await _last(owner, alice)
    made_up = {
        "sequence": 999,
        "time": func.to_timestamp(0),
        "actor_id": bob,
        "actor_role": "postgres",
        "previous_hash": b"x" * 32,
        "hash": b"y" * 32,
    }
    async with transaction(engine, alice) as session:
        event = insert(AuditLog).values(table_name="users", operation="EXPORT", **made_up)
        await session.execute(event)
    last = await _last(owner, alice)
    assert (last.sequence, last.previous_hash) == (before.sequence + 1, before.hash)
    assert (last.actor_id, last.actor_role) == (alice, "seawall_app")
    assert last.time > before.time
    assert last.hash != b"y" * 32


async def test_events_of_one_statement_are_linked_too(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    rows = [{"table_name": "users", "operation": each} for each in ("LOGOUT", "LOGIN_FAILED")]
    async with transaction(engine, alice) as session:
        await session.execute(insert(AuditLog).values(rows))
    one, two = (await _entries(owner, alice))[-2:]
    assert (two.sequence, two.previous_hash) == (one.sequence + 1, one.hash)


@pytest.mark.parametrize("operation", ["INSERT", "UPDATE", "DELETE", "BEGIN", "ANCHOR", "WHATEVER"])
async def test_changes_of_rows_are_the_database_s_alone_to_log(
    engine: AsyncEngine, alice: UUID, operation: str
) -> None:
    async with transaction(engine, alice) as session:
        forged = (
            "INSERT INTO audit_logs (table_name, operation, old_data, new_data)"  # noqa: S608 - ours
            f" VALUES ('portfolios', '{operation}', '{{}}', '{{}}')"
        )
        await _refused(session, forged, f"only the database itself logs {operation}")


async def test_nothing_is_logged_in_the_name_of_others(
    engine: AsyncEngine, alice: UUID, bob: UUID
) -> None:
    async with transaction(engine, alice) as session:
        for user in (f"'{bob}'", f"'{uuid4()}'", "NULL"):
            event = (
                "INSERT INTO audit_logs (user_id, table_name, operation)"  # noqa: S608 - ours
                f" VALUES ({user}, 'users', 'LOGIN')"
            )
            await _refused(session, event, "row-level security")
        assert set(await session.scalars(select(AuditLog.user_id))) == {alice}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_logs SET new_data = NULL",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "INSERT INTO audit_logs TABLE audit_logs ON CONFLICT (id) DO UPDATE SET time = NULL",
    ],
)
async def test_the_log_is_only_ever_added_to(
    engine: AsyncEngine, owner: AsyncEngine, admin: AsyncEngine, alice: UUID, statement: str
) -> None:
    async with transaction(engine, alice) as session:
        await _refused(session, statement, "permission denied")
    for mighty in (owner, admin):
        async with mighty.begin() as connection:
            await _refused(connection, statement, "is refused: it is only ever added to")


async def test_a_table_is_not_emptied_past_the_log(owner: AsyncEngine) -> None:
    async with owner.begin() as connection:
        for statement in ("TRUNCATE portfolios CASCADE", "TRUNCATE users CASCADE"):
            await _refused(connection, statement, "DELETE is logged, row by row")


async def test_a_table_of_the_application_s_own_misleads_no_entry(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    before = await _last(owner, alice)
    async with transaction(engine, alice) as session:
        await session.execute(text("CREATE TEMP TABLE audit_logs (LIKE public.audit_logs)"))
        await session.execute(
            text(
                "INSERT INTO pg_temp.audit_logs (id, user_id, sequence, time, table_name,"
                " operation, actor_role, hash) SELECT id, user_id, 500, time, table_name,"
                " operation, actor_role, 'forged' FROM public.audit_logs LIMIT 1"
            )
        )
        await session.execute(update(Portfolio).values(name="as ever"))
        event = "INSERT INTO public.audit_logs (table_name, operation) VALUES ('users', 'LOGOUT')"
        await session.execute(text(event))
    assert (await _last(owner, alice)).sequence == before.sequence + 2


async def test_no_table_of_the_application_s_own_is_logged(
    engine: AsyncEngine, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        await session.execute(text("CREATE TEMP TABLE users (id uuid, user_id uuid)"))
        forging = (
            "CREATE TRIGGER forge AFTER INSERT ON pg_temp.users FOR EACH ROW"
            " EXECUTE FUNCTION public.audit_row('', '')"
        )
        await _refused(session, forging, r"permission denied for function .*audit_row")


async def test_what_a_session_sets_hides_no_change(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    async with transaction(engine, alice) as session:
        await session.execute(insert(Profile).values(preferences={}))
        for setting in (
            "extra_float_digits = -15",
            "timezone = 'Asia/Kolkata'",
            "datestyle = 'SQL, DMY'",
            "search_path = pg_temp",
        ):
            await session.execute(text(f"SET LOCAL {setting}"))
        await session.execute(
            text("UPDATE public.users SET deleted_at = '2024-05-06 12:00+05:30', timezone = 'X'")
        )
    last = await _last(owner, alice)
    assert last.new_data is not None
    assert last.new_data["deleted_at"] == "2024-05-06T06:30:00+00:00"


async def test_digits_that_a_session_does_not_show_are_a_change(
    engine: AsyncEngine, owner: AsyncEngine, alice: UUID
) -> None:
    async with owner.begin() as connection:
        await connection.execute(
            text(
                "CREATE TRIGGER audit_float AFTER UPDATE ON exchanges FOR EACH ROW"
                " EXECUTE FUNCTION audit_row('', '')"
            )
        )
        await connection.execute(text("ALTER TABLE exchanges ADD weight float8"))
        await connection.execute(text("INSERT INTO exchanges (code, weight) VALUES ('x', 0.1)"))
    async with transaction(engine, alice) as session:
        await session.execute(text("SET LOCAL extra_float_digits = -15"))
        await session.execute(text("UPDATE exchanges SET weight = 0.1000000001"))
    last = await _last(owner, None)
    assert last.new_data is not None
    assert (last.table_name, last.new_data["weight"]) == ("exchanges", 0.1000000001)
