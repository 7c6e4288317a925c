"""Before anybody is bound, one exact key opens one row, and nothing else opens at all."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ForbiddenError
from seawall.db.database import Location
from seawall.db.engine import APP_ROLE, OWNER_ROLE, WORKER_ROLE, create_engine
from seawall.db.faults import translated
from seawall.db.session import transaction
from seawall.identity.schemas import LoginRecord, UserStatus
from seawall.identity.store import users as store
from seawall.identity.tables import ApiKey, OneTimeToken, Profile, User, UserSession

ALICE, BOB, CAROL = uuid4(), uuid4(), uuid4()
EMAIL = "Alice@Example.com"
PASSWORD_HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"  # noqa: S105 - of no password
HASH = bytes(range(32))
TOMORROW = text("now() + interval '1 day'")
YESTERDAY = text("now() - interval '1 day'")
BEFORE_THAT = text("now() - interval '2 days'")
GONE = {"created_at": BEFORE_THAT, "expires_at": YESTERDAY}
PERMISSIONS = {"read": True, "trade": True, "manage": False}
SESSION, KEY, TOKEN = uuid4(), uuid4(), uuid4()
DOORS: dict[str, tuple[str, Any]] = {
    "email": ("SELECT id AS user_id FROM find_user_by_email(:key)", EMAIL),
    "session": ("SELECT user_id, id, expires_at FROM find_session(:key)", HASH),
    "key": ("SELECT user_id, id, permissions FROM find_api_key(:key)", HASH),
    "token": ("SELECT user_id, id FROM find_one_time_token('password_reset', :key)", HASH),
}


async def _fill(location: Location) -> None:
    """Store Alice with a session, a key and a token, Bob, who has nothing, and Carol, who left."""
    engine = create_engine(location.url)
    async with transaction(engine, ALICE) as session:
        values = {"username": "alice", "email": EMAIL, "password_hash": PASSWORD_HASH}
        await session.execute(insert(User).values(id=ALICE, **values))
        expiring = {"expires_at": TOMORROW}
        await session.execute(insert(UserSession).values(id=SESSION, token_hash=HASH, **expiring))
        named = {"name": "bot", "prefix": "sw_abcd", "permissions": PERMISSIONS}
        await session.execute(insert(ApiKey).values(id=KEY, key_hash=HASH, **named))
        sent = {"purpose": "password_reset", "email": EMAIL, "token_hash": HASH}
        await session.execute(insert(OneTimeToken).values(id=TOKEN, **sent, **expiring))
    async with transaction(engine, BOB) as session:
        await session.execute(insert(User).values(id=BOB, username="bob"))
    async with transaction(engine, CAROL) as session:
        gone = {"username": "carol", "email": "carol@example.com", "deleted_at": YESTERDAY}
        await session.execute(insert(User).values(id=CAROL, **gone))
    await engine.dispose()


@pytest.fixture(scope="module")
def filled(module_location: Location) -> Location:
    """A database with all of them, which no test of this module changes."""
    asyncio.run(_fill(module_location))
    return module_location


async def _as_role(url: str, role: str) -> AsyncIterator[AsyncSession]:
    """A transaction of a role that no user is bound to, undone at the end."""
    engine = create_engine(url, role=role, pooled=False)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


@pytest.fixture
async def unbound(filled: Location) -> AsyncIterator[AsyncSession]:
    """A transaction of the application, bound to nobody and undone at the end."""
    async for session in _as_role(filled.url, APP_ROLE):
        yield session


@pytest.fixture
async def worker(filled: Location) -> AsyncIterator[AsyncSession]:
    """The same of a worker."""
    async for session in _as_role(filled.admin_url, WORKER_ROLE):
        yield session


@pytest.fixture
async def owner(filled: Location) -> AsyncIterator[AsyncSession]:
    """The same of the role that owns the tables."""
    async for session in _as_role(filled.admin_url, OWNER_ROLE):
        yield session


async def _bind(session: AsyncSession, user: UUID) -> None:
    bind = text("SELECT set_config('app.user_id', :id, true)")
    await session.execute(bind, {"id": str(user)})


async def _open(session: AsyncSession, door: str, key: Any) -> list[Any]:
    return list((await session.execute(text(DOORS[door][0]), {"key": key})).all())


@pytest.mark.parametrize(
    ("door", "id_"), [("email", None), ("session", SESSION), ("key", KEY), ("token", TOKEN)]
)
async def test_the_exact_key_opens_one_row(
    unbound: AsyncSession, door: str, id_: UUID | None
) -> None:
    (found,) = await _open(unbound, door, DOORS[door][1])
    assert found.user_id == ALICE
    assert getattr(found, "id", None) == id_


@pytest.mark.parametrize(
    ("door", "key"),
    [
        ("email", None),
        ("email", ""),
        ("email", "%"),
        ("email", "alice@example.co_"),
        ("email", "lice@example.com"),
        ("email", "alice@example.com "),
        ("email", "carol@example.com"),
        *(
            (door, key)
            for door in ("session", "key", "token")
            for key in (None, b"", HASH[:-1], HASH + b"\x00", HASH[::-1], b"%")
        ),
    ],
    ids=repr,
)
async def test_no_other_key_opens_it(unbound: AsyncSession, door: str, key: Any) -> None:
    assert await _open(unbound, door, key) == []


@pytest.mark.parametrize("purpose", ["email_verification", "email_change", "", None])
async def test_a_token_opens_for_its_purpose_alone(
    unbound: AsyncSession, purpose: str | None
) -> None:
    query = text("SELECT id FROM find_one_time_token(:purpose, :hash)")
    assert (await unbound.execute(query, {"purpose": purpose, "hash": HASH})).all() == []


@pytest.mark.parametrize(
    ("mapped", "change", "closed"),
    [
        (User, {"deleted_at": YESTERDAY}, set(DOORS)),
        (User, {"status": "suspended"}, {"session", "key", "token"}),
        (User, {"status": "inactive"}, {"session", "key", "token"}),
        (User, {"email": None}, {"email"}),
        (UserSession, {"revoked_at": YESTERDAY}, {"session"}),
        (UserSession, {"rotated_at": YESTERDAY}, {"session"}),
        (UserSession, GONE, {"session"}),
        (ApiKey, {"is_active": False}, {"key"}),
        (ApiKey, GONE, {"key"}),
        (ApiKey, {"expires_at": TOMORROW}, set()),
        (OneTimeToken, {"used_at": YESTERDAY}, {"token"}),
        (OneTimeToken, GONE, {"token"}),
    ],
)
async def test_what_is_over_opens_no_more(
    unbound: AsyncSession, mapped: type[Any], change: dict[str, Any], closed: set[str]
) -> None:
    await _bind(unbound, ALICE)
    await unbound.execute(update(mapped).values(change))
    found = {door for door, (_, key) in DOORS.items() if not await _open(unbound, door, key)}
    assert found == closed


async def test_unbound_nothing_else_opens(unbound: AsyncSession) -> None:
    for door, (_, key) in DOORS.items():
        assert await _open(unbound, door, key)
    for statement in (
        "SELECT id FROM users",
        "SELECT id FROM user_sessions",
        "SELECT id FROM api_keys",
        "SELECT id FROM one_time_tokens",
        "UPDATE users SET is_superuser = true",
        "UPDATE user_sessions SET expires_at = 'infinity'",
        "INSERT INTO users (username) VALUES ('mallory')",
        "INSERT INTO profiles (display_name) VALUES ('Mallory')",
    ):
        with pytest.raises(DBAPIError, match=r"app\.user_id|invalid input syntax for type uuid"):
            async with unbound.begin_nested():
                await unbound.execute(text(statement))


async def test_bound_to_another_a_door_opens_no_wider(unbound: AsyncSession) -> None:
    await _bind(unbound, BOB)
    (found,) = await _open(unbound, "session", HASH)
    assert found.user_id == ALICE
    for table in ("user_sessions", "api_keys", "one_time_tokens"):
        assert (await unbound.execute(text(f"SELECT id FROM {table}"))).all() == []  # noqa: S608
    assert list(await unbound.scalars(text("SELECT id FROM users"))) == [BOB]


async def test_a_table_of_the_application_s_own_misleads_no_door(unbound: AsyncSession) -> None:
    await unbound.execute(text("CREATE TEMP TABLE users AS SELECT 1 AS id"))
    await unbound.execute(text("CREATE TEMP TABLE user_sessions AS SELECT 1 AS id"))
    for door in ("email", "session"):
        (found,) = await _open(unbound, door, DOORS[door][1])
        assert found.user_id == ALICE


@pytest.mark.parametrize(
    ("function", "callers"),
    [
        ("find_user_by_email(text)", {"seawall_app", "seawall_worker", "seawall_owner"}),
        ("find_session(bytea)", {"seawall_app", "seawall_worker", "seawall_owner"}),
        ("find_api_key(bytea)", {"seawall_app", "seawall_worker", "seawall_owner"}),
        ("find_one_time_token(text, bytea)", {"seawall_app", "seawall_worker", "seawall_owner"}),
        ("find_refresh_token(bytea)", {"seawall_app", "seawall_worker", "seawall_owner"}),
        ("old_hash_cost()", {"seawall_app", "seawall_worker", "seawall_owner"}),
        ("count_guess(bytea, timestamptz)", {"seawall_app", "seawall_worker", "seawall_owner"}),
        ("list_users()", {"seawall_worker", "seawall_owner"}),
        ("assets_held()", {"seawall_worker", "seawall_owner"}),
        ("portfolios_to_measure(integer[])", {"seawall_worker", "seawall_owner"}),
        (
            "portfolio_weights(uuid[], timestamptz, timestamptz, integer, integer[], numeric[])",
            {"seawall_worker", "seawall_owner"},
        ),
        ("portfolios_limited(uuid[])", {"seawall_worker", "seawall_owner"}),
        ("find_subscriber(text, text)", {"seawall_worker", "seawall_owner"}),
        ("list_subscribers()", {"seawall_worker", "seawall_owner"}),
        ("list_users_to_purge()", {"seawall_worker", "seawall_owner"}),
        ("purge_user(uuid)", {"seawall_worker", "seawall_owner"}),
    ],
)
async def test_who_may_call_a_door(unbound: AsyncSession, function: str, callers: set[str]) -> None:
    # pg_monitor stands for any role that nobody let in.
    roles = ("seawall_app", "seawall_worker", "seawall_owner", "public", "pg_monitor")
    query = text("SELECT has_function_privilege(:role, :function, 'EXECUTE')")
    allowed = {
        role for role in roles if await unbound.scalar(query, {"role": role, "function": function})
    }
    assert allowed == callers


async def test_the_owner_s_role_looks_through_the_doors_and_changes_nothing(
    owner: AsyncSession,
) -> None:
    for table in ("users", "user_sessions", "api_keys", "one_time_tokens"):
        found = text(f"SELECT count(*) FROM {table}")  # noqa: S608 - of these four
        assert await owner.scalar(found) in {1, 3}
        changed = text(f"UPDATE {table} SET created_at = now() RETURNING id")  # noqa: S608
        assert (await owner.execute(changed)).all() == []
    with pytest.raises(DBAPIError, match="row-level security"):
        await owner.execute(insert(Profile).values(user_id=ALICE))


@pytest.mark.parametrize("email", [EMAIL, EMAIL.lower(), EMAIL.upper()])
async def test_a_user_is_found_by_email_in_whatever_case(unbound: AsyncSession, email: str) -> None:
    found = await store.find_user_by_email(unbound, email)
    assert found == LoginRecord(
        id=ALICE,
        password_hash=PASSWORD_HASH,
        status=UserStatus.ACTIVE,
        email_verified=False,
        two_factor_enabled=False,
    )
    assert PASSWORD_HASH not in repr(found)


@pytest.mark.parametrize("email", ["carol@example.com", "dave@example.com"])
async def test_who_left_or_never_was_is_not_found(unbound: AsyncSession, email: str) -> None:
    assert await store.find_user_by_email(unbound, email) is None


async def test_who_is_suspended_is_found_as_suspended(unbound: AsyncSession) -> None:
    await _bind(unbound, ALICE)
    await unbound.execute(update(User).values(status="suspended"))
    found = await store.find_user_by_email(unbound, EMAIL)
    assert found is not None
    assert found.status is UserStatus.SUSPENDED


async def test_a_worker_lists_the_living(worker: AsyncSession) -> None:
    assert set(await store.list_users(worker)) == {ALICE, BOB}


async def test_only_a_worker_lists_users(unbound: AsyncSession) -> None:
    with pytest.raises(ForbiddenError, match="permission denied for function"), translated():
        await store.list_users(unbound)


async def test_a_worker_sees_rows_of_the_user_that_it_names(worker: AsyncSession) -> None:
    with pytest.raises(DBAPIError, match=r"app\.user_id"):
        async with worker.begin_nested():
            await worker.execute(text("SELECT id FROM users"))
    await _bind(worker, BOB)
    assert list(await worker.scalars(text("SELECT id FROM users"))) == [BOB]
