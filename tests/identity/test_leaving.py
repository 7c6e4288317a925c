"""Leaving: deleted softly, restored by mail and password, and purged with every row."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.audit import verify
from seawall.core.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
)
from seawall.db.database import Location, open_admin
from seawall.db.engine import OWNER_ROLE, WORKER_ROLE, create_engine
from seawall.db.session import transaction, unbound_transaction
from seawall.identity import accounts, api_keys, leaving, login, operators, sessions, two_factor
from seawall.identity.errors import NotAuthenticatedError, SecondFactorNeededError
from seawall.identity.mail import list_outbox
from seawall.identity.operators import NewUser
from seawall.identity.owner import OWNER_ID
from seawall.identity.schemas import Client, Scope
from seawall.identity.store import users
from seawall.identity.tables import User

# ruff: noqa: S608 - changes and tables are named here, or by the catalogue

Premises = Any  # what the fixture is
FillTenant = Callable[..., Awaitable[None]]
ADA, BOB = "ada@example.com", "bob@example.com"
DAYS_AGO = "now() - interval '{} days'"


@pytest.fixture
async def worker(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine that acts as a worker."""
    made = create_engine(location.admin_url, role=WORKER_ROLE)
    yield made
    await made.dispose()


@pytest.fixture
async def admin(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine as a superuser."""
    async with open_admin(location) as engine:
        yield engine


async def _delete(premises: Premises, email: str = ADA, code: str | None = None) -> Any:
    found = await login.find(premises.desk, email)
    assert found is not None
    user = await accounts.find_person(premises.desk, found.id)
    password = SecretStr(premises.password)
    return await leaving.delete_account(premises.desk, user, password, code, Client())


async def _token(premises: Premises, user: UUID) -> SecretStr:
    newest, *_ = await list_outbox(premises.desk.engine, premises.desk.vault, user, 1)
    assert newest.subject == "Your account was deleted"
    assert newest.body is not None
    lines = newest.body.get_secret_value().splitlines()
    (token,) = [each for each in lines if len(each) == 43]
    return SecretStr(token)


async def _age(admin: AsyncEngine, user: UUID, days: int) -> None:
    """Let a user have left so many days ago."""
    ago = DAYS_AGO.format(days)
    async with admin.begin() as connection:
        await connection.execute(text("ALTER TABLE users DISABLE TRIGGER USER"))
        change = f"UPDATE users SET deleted_at = {ago}, updated_at = {ago} WHERE id = :id"
        await connection.execute(text(change), {"id": user})
        await connection.execute(text("ALTER TABLE users ENABLE TRIGGER USER"))


async def _counts(admin: AsyncEngine, user: UUID) -> Mapping[str, int]:
    """Count a user's rows in every table that has a user's column, as the catalogue knows them."""
    async with admin.connect() as connection:
        tables = await connection.scalars(
            text(
                "SELECT relname::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
                " WHERE attname = 'user_id' AND relkind IN ('r', 'p') AND NOT relispartition"
                " AND relnamespace = 'public'::regnamespace"
            )
        )
        found = {}
        for table, column in [*((each, "user_id") for each in tables), ("users", "id")]:
            query = text(f"SELECT count(*) FROM {table} WHERE {column} = :id")
            found[table] = int(await connection.scalar(query, {"id": user}) or 0)
    return found


async def test_who_leaves_is_out_at_once_and_told_how_to_come_back(premises: Premises) -> None:
    user = await premises.user(ADA)
    opened = await premises.log_in(ADA)
    async with transaction(premises.desk.engine, user.id) as session:
        made = await api_keys.create(session, "bot", frozenset(Scope), None, premises.desk.clock())
    left = await _delete(premises)
    assert left.purged_after - left.deleted_at == leaving.KEPT_FOR
    assert await sessions.find(premises.desk, opened.session.token) is None
    assert await api_keys.find(premises.desk, made.key) is None
    assert opened.session.refresh_token is not None
    with pytest.raises(NotAuthenticatedError):
        await sessions.refresh(premises.desk, opened.session.refresh_token, Client())
    with pytest.raises(NotAuthenticatedError) as caught:
        await premises.log_in(ADA)
    assert "The address or the password is wrong" in str(caught.value), "as of nobody"
    token = await _token(premises, user.id)
    with pytest.raises(NotAuthenticatedError):
        await leaving.restore_account(premises.desk, token, SecretStr("a wrong password"))
    for purpose in (accounts.reset_password, accounts.verify_email):
        with pytest.raises(NotFoundError):
            await purpose(premises.desk, token, SecretStr(premises.password))
    password = SecretStr(premises.password)
    done = await asyncio.gather(
        *(leaving.restore_account(premises.desk, token, password) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["NoneType", "NotFoundError"]
    await premises.log_in(ADA)
    assert await api_keys.find(premises.desk, made.key) is None, "keys are made anew"
    assert (await premises.mails(ADA))[0].subject == "Your account was restored"


async def test_the_second_factor_is_asked_for_too(premises: Premises) -> None:
    user = await premises.user(ADA)
    async with transaction(premises.desk.engine, user.id) as session:
        begun = await two_factor.begin(premises.desk, session, user.id)
    totp = pyotp.TOTP(begun.secret.get_secret_value())
    async with transaction(premises.desk.engine, user.id) as session:
        code = totp.at(premises.moment)
        recovery = await two_factor.confirm(premises.desk, session, user.id, code)
    with pytest.raises(SecondFactorNeededError):
        await _delete(premises)
    with pytest.raises(NotAuthenticatedError):
        await _delete(premises, code=code)
    assert await login.find(premises.desk, ADA) is not None
    await _delete(premises, code=recovery[0].get_secret_value())
    assert await login.find(premises.desk, ADA) is None


async def test_who_runs_the_installation_cannot_leave_by_accident(
    premises: Premises, worker: AsyncEngine
) -> None:
    owner = NewUser(ADA, password=SecretStr(premises.password), is_owner=True)
    await operators.create_user(premises.desk, owner)
    with pytest.raises(ForbiddenError):
        await _delete(premises)
    with pytest.raises(ForbiddenError):
        await operators.delete_user(premises.desk, ADA)
    other = await premises.user(BOB)
    async with transaction(worker, other.id) as session:
        await session.execute(update(User).values(is_superuser=True))
    with pytest.raises(ForbiddenError):
        await _delete(premises, BOB)
    await operators.delete_user(premises.desk, BOB)


async def test_an_address_that_is_another_s_by_now_is_not_taken_from_them(
    premises: Premises, worker: AsyncEngine
) -> None:
    user = await premises.user(ADA)
    await _delete(premises)
    token = await _token(premises, user.id)
    other = await premises.user(ADA)
    with pytest.raises(ConflictError, match="Another account has this address"):
        await leaving.restore_account(premises.desk, token, SecretStr(premises.password))
    await operators.delete_user(premises.desk, ADA)
    assert [each.id for each in await leaving.list_left(worker)] == [user.id, other.id]
    assert (await operators.restore_user(premises.desk, worker, user.username)).id == user.id
    with pytest.raises(NotFoundError):
        await operators.restore_user(premises.desk, worker, user.username)
    assert (await premises.log_in(ADA)).session.user_id == user.id


async def test_nothing_is_left_of_who_is_purged_and_all_of_others(
    premises: Premises,
    admin: AsyncEngine,
    worker: AsyncEngine,
    fill_tenant: FillTenant,
    location: Location,
    tmp_path: Path,
) -> None:
    ada, bob = uuid4(), uuid4()
    await fill_tenant(premises.desk.engine, ada, "ada-1", is_public=True)
    await fill_tenant(premises.desk.engine, bob, "bob-1")
    before, others = await _counts(admin, ada), await _counts(admin, bob)
    assert all(before.values()), "a table of users that has no row of hers"
    anchors = tmp_path / "anchors.jsonl"
    async with open_admin(location, OWNER_ROLE) as owner:
        assert (await verify.verify(owner, anchors, "seawall")).is_intact
        public = text("SELECT count(*) FROM list_public_portfolios(10)")
        async with unbound_transaction(premises.desk.engine) as session:
            assert await session.scalar(public) == 1
        async with transaction(premises.desk.engine, ada) as session:
            await users.delete_user(session)
        async with unbound_transaction(premises.desk.engine) as session:
            assert await session.scalar(public) == 0, "who has left shows nothing"
        await _age(admin, ada, 29)
        assert await leaving.purge_due(worker) == 0
        await _age(admin, ada, 31)
        assert await leaving.purge_due(worker) == 1
        assert await leaving.purge_due(worker) == 0
        assert not any((await _counts(admin, ada)).values())
        assert await _counts(admin, bob) == others
        found = await verify.verify(owner, anchors, "seawall")
        assert found.findings == []
        # What says that the chain went is in the system's chain, and says nothing of her.
        async with owner.connect() as connection:
            query = "SELECT record_id, new_data FROM audit_logs WHERE user_id IS NULL"
            rows = (await connection.execute(text(f"{query} AND operation = 'EXPIRE'"))).all()
            said = await connection.scalar(
                text("SELECT count(*) FROM audit_logs WHERE audit_logs::text LIKE '%ada-1%'")
            )
        ((record, data),) = rows
        assert (UUID(record), data["entries"], data["sequence"]) == (
            ada,
            before["audit_logs"] + 1,
            before["audit_logs"] + 1,
        )
        assert said == 0
    # A chain that is gone without that word is missed.
    async with admin.begin() as connection:
        await connection.execute(text("ALTER TABLE audit_logs DISABLE TRIGGER USER"))
        gone = text("DELETE FROM audit_logs WHERE user_id = :id")
        await connection.execute(gone, {"id": bob})
        await connection.execute(text("ALTER TABLE audit_logs ENABLE TRIGGER USER"))
    async with open_admin(location, OWNER_ROLE) as owner:
        assert not (await verify.verify(owner, anchors, "seawall")).is_intact


async def test_a_purge_that_is_interrupted_has_done_nothing(
    premises: Premises, admin: AsyncEngine, worker: AsyncEngine, fill_tenant: FillTenant
) -> None:
    ada = uuid4()
    await fill_tenant(premises.desk.engine, ada, "ada-1")
    async with transaction(premises.desk.engine, ada) as session:
        await users.delete_user(session)
    await _age(admin, ada, 31)
    before = await _counts(admin, ada)
    # Somebody holds the chain, so the purge waits in the middle of its transaction.
    async with transaction(premises.desk.engine, ada) as session:
        await session.execute(text("SELECT id FROM portfolios FOR UPDATE"))
        purge = asyncio.create_task(leaving.purge_due(worker))
        killed = 0
        async with admin.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            while not killed:
                await asyncio.sleep(0.02)
                killed = await connection.scalar(
                    text(
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                        " WHERE wait_event_type = 'Lock' AND query LIKE '%purge_user%'"
                        " AND pid <> pg_backend_pid()"
                    )
                )
        with pytest.raises(UnavailableError):
            await purge
    assert await _counts(admin, ada) == before
    assert await leaving.purge_due(worker) == 1
    assert not any((await _counts(admin, ada)).values())


async def test_dating_a_deletion_back_purges_nobody(
    premises: Premises, worker: AsyncEngine
) -> None:
    user = await premises.user(ADA)
    async with transaction(premises.desk.engine, user.id) as session:
        await session.execute(update(User).values(deleted_at=text(DAYS_AGO.format(99))))
    assert await leaving.purge_due(worker) == 0
    async with unbound_transaction(worker) as session:
        assert not await users.purge_user(session, user.id)
    assert len(await leaving.list_left(worker)) == 1


@pytest.mark.parametrize("change", ["tier = 'power-trader'", "is_superuser = true"])
async def test_the_application_says_neither_what_a_user_pays_for_nor_who_runs_it(
    premises: Premises, worker: AsyncEngine, change: str
) -> None:
    user = await premises.user(ADA)
    with pytest.raises(ForbiddenError, match="neither tier nor is_superuser"):
        async with transaction(premises.desk.engine, user.id) as session:
            await session.execute(text(f"UPDATE users SET {change}"))
    made = uuid4()
    name, value = change.split(" = ")
    add = f"INSERT INTO users (id, username, {name}) VALUES ('{made}', 'x', {value})"
    with pytest.raises(ForbiddenError, match="neither tier nor is_superuser"):
        async with transaction(premises.desk.engine, made) as session:
            await session.execute(text(add))
    async with transaction(worker, user.id) as session:
        await session.execute(text(f"UPDATE users SET {change}"))
    with pytest.raises(DBAPIError, match="ck_users_tier"):
        await operators.set_tier(worker, user.id, "gold")
    # What is so already is no change.
    async with transaction(premises.desk.engine, user.id) as session:
        await session.execute(text(f"UPDATE users SET {change}, language = 'pt'"))


async def test_the_owner_is_never_purged(
    premises: Premises, admin: AsyncEngine, worker: AsyncEngine
) -> None:
    owner = NewUser(ADA, password=SecretStr(premises.password), is_owner=True)
    await operators.create_user(premises.desk, owner)
    await _age(admin, OWNER_ID, 99)
    assert await leaving.purge_due(worker) == 0
