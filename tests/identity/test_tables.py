"""The tables of users hold what makes sense, and refuse what does not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.base import Base
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.session import transaction
from seawall.identity.tables import (
    ApiKey,
    IdempotencyKey,
    OneTimeToken,
    Profile,
    Subscription,
    SystemSetting,
    User,
    UserSession,
    UserSettings,
)

ALICE, BOB = uuid4(), uuid4()
PAST = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
SOON = datetime.now(UTC) + timedelta(days=1)
LATER = SOON + timedelta(days=30)
HASH, OTHER_HASH, THIRD_HASH, HERS = (bytes([byte]) * 32 for byte in (1, 2, 3, 4))
PERMISSIONS = {"read": True, "trade": False, "manage": False}
TABLES = Base.metadata.tables
SOUND: dict[str, dict[str, Any]] = {
    "users": {"is_superuser": False},
    "profiles": {},
    "user_settings": {},
    "user_sessions": {"token_hash": HASH, "expires_at": SOON},
    "one_time_tokens": {
        "purpose": "password_reset",
        "email": "alice@example.com",
        "token_hash": HASH,
        "expires_at": SOON,
    },
    "api_keys": {"name": "bot", "prefix": "sw_abcd", "key_hash": HASH, "permissions": PERMISSIONS},
    "subscriptions": {"tier": "pro"},
    "idempotency_keys": {"key": "order-1", "request_hash": HASH},
    "system_settings": {"setting_key": "registration.open", "setting_value": True},
}
TENANTS = [name for name in SOUND if name not in ("users", "system_settings")]
SEALED = b"SWS" + bytes(97)


async def _bind(session: AsyncSession, user: UUID) -> None:
    """Make the rest of the transaction this user's."""
    bind = text("SELECT set_config('app.user_id', :id, true)")
    await session.execute(bind, {"id": str(user)})


async def _put(session: AsyncSession, table: str, **changes: Any) -> None:
    """Store a sound row of the bound user with these changes; refused, it leaves no trace."""
    if table == "users":
        statement: Any = update(User).values(SOUND[table] | changes)
    else:
        statement = insert(TABLES[table]).values(SOUND[table] | changes)
    async with session.begin_nested():
        await session.execute(statement)


async def _fill(location: Location) -> None:
    """Store Alice with a row in every table of users, and Bob, who has nothing."""
    engine = create_engine(location.admin_url, role=WORKER_ROLE)
    async with transaction(engine, ALICE) as session:
        values = {"id": ALICE, "username": "alice", "email": "Alice@Example.com"}
        await session.execute(insert(User).values(values))
        for table in TENANTS:
            hashes = {name: HERS for name in SOUND[table] if name.endswith("_hash")}
            await _put(session, table, **hashes)
    async with transaction(engine, BOB) as session:
        await session.execute(insert(User).values(id=BOB, username="bob"))
    await engine.dispose()


@pytest.fixture(scope="module")
def filled(module_location: Location) -> Location:
    """A database with Alice and Bob, which no test of this module changes."""
    asyncio.run(_fill(module_location))
    return module_location


@pytest.fixture
async def bob(filled: Location) -> AsyncIterator[AsyncSession]:
    """A transaction of a worker as Bob, undone at the end.

    They may do what the application may, and say what is paid for.
    """
    engine = create_engine(filled.admin_url, role=WORKER_ROLE)
    async with AsyncSession(engine) as session:
        await _bind(session, BOB)
        yield session
    await engine.dispose()


@pytest.fixture
async def admin(filled: Location) -> AsyncIterator[AsyncSession]:
    """A transaction of who may do everything, undone at the end."""
    engine = create_engine(filled.admin_url, role=None, pooled=False)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


@pytest.mark.parametrize(
    ("table", "changes"),
    [
        *((table, {}) for table in SOUND),
        ("users", {"email": "A.b+c%d_e-f@sub-domain.Example.CO", "email_verified": True}),
        ("users", {"email": f"{'a' * 243}@example.com"}),
        ("users", {"password_hash": "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"}),
        ("users", {"password_hash": f"$2b$12${'a' * 53}"}),
        ("users", {"two_factor_secret": SEALED, "two_factor_enabled": True}),
        ("users", {"first_name": SEALED, "last_name": SEALED, "full_name": SEALED}),
        ("users", {"country_code": "PT", "language": "pt-BR", "timezone": "Europe/Lisbon"}),
        ("profiles", {"preferences": {"chart": "candles"}}),
        ("profiles", {"avatar_url": "https://example.com/a.png", "display_name": "A"}),
        ("user_settings", {"timezone": "Asia/Tokyo", "theme": "dark", "default_currency": "EUR"}),
        ("user_sessions", {"refresh_token_hash": OTHER_HASH, "refresh_expires_at": LATER}),
        ("api_keys", {"permissions": {"read": True, "trade": True, "manage": True}}),
        ("subscriptions", {"status": "trialing", "trial_start": PAST, "trial_end": SOON}),
        ("subscriptions", {"cancel_at_period_end": True, "canceled_at": PAST}),
        ("idempotency_keys", {"status_code": 204}),
        ("idempotency_keys", {"status_code": 409, "response": {"error": "conflict"}}),
    ],
)
async def test_what_makes_sense_is_stored(
    bob: AsyncSession, table: str, changes: dict[str, Any]
) -> None:
    await _put(bob, table, **changes)


USERS_REFUSED: list[tuple[dict[str, Any], str]] = [
    *(
        ({"email": email}, "email_format")
        for email in (
            "",
            "alice",
            "alice@",
            "@example.com",
            "alice@example",
            "alice@example.c",
            "al ice@example.com",
            "alice@example.com\n",
            "alice@exämple.com",
            "alice@example.com, bob@example.com",
        )
    ),
    ({"email": f"{'a' * 244}@example.com"}, "email_length"),
    ({"email_verified": True}, "email_verified"),
    ({"password_hash": "correct horse battery staple"}, "password_hash"),
    ({"password_hash": "$1$md5"}, "password_hash"),
    ({"password_hash": ""}, "password_hash"),
    ({"status": "ACTIVE"}, "status"),
    ({"two_factor_enabled": True}, "two_factor"),
    *(
        ({column: b"JBSWY3DPEHPK3PXP"}, "sealed")
        for column in ("first_name", "last_name", "full_name", "two_factor_secret")
    ),
    ({"country_code": "pt"}, "country_code"),
    ({"country_code": "PRT"}, "country_code"),
    ({"timezone": ""}, "timezone"),
    ({"timezone": "x" * 51}, "timezone"),
    ({"language": "english"}, "language"),
    ({"language": "en_US"}, "language"),
    ({"username": ""}, "username_length"),
]
SESSIONS_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"token_hash": b"plain token"}, "hashes"),
    ({"refresh_token_hash": b"", "refresh_expires_at": LATER}, "hashes"),
    ({"refresh_token_hash": HASH, "refresh_expires_at": LATER}, "hashes"),
    ({"expires_at": PAST}, "lifetime"),
    ({"refresh_token_hash": OTHER_HASH}, "refresh"),
    ({"refresh_expires_at": LATER}, "refresh"),
    ({"refresh_token_hash": OTHER_HASH, "refresh_expires_at": PAST}, "refresh"),
    ({"replaced_by": ALICE}, "replaced"),
    ({"id": ALICE, "replaced_by": ALICE, "rotated_at": PAST}, "replaced"),
]
KEYS_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"prefix": "abc"}, "prefix"),
    ({"prefix": "sw-abcd"}, "prefix"),
    ({"key_hash": b"sw_abcd_the_key_itself"}, "hash"),
    ({"expires_at": PAST}, "lifetime"),
    *(
        ({"permissions": permissions}, "permissions")
        for permissions in (
            {},
            [],
            "read",
            True,
            ["read", "trade", "manage"],
            {"read": True},
            {"read": True, "trade": False},
            PERMISSIONS | {"manage": "no"},
            PERMISSIONS | {"manage": None},
            PERMISSIONS | {"withdraw": True},
        )
    ),
]
SUBSCRIPTIONS_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"tier": "gold"}, "tier"),
    ({"status": "incomplete"}, "status"),
    ({"status": "canceled"}, "canceled"),
    ({"status": "trialing"}, "trial"),
    ({"trial_start": SOON, "trial_end": PAST}, "trial"),
    ({"current_period_start": SOON, "current_period_end": SOON}, "period"),
    ({"billing_interval": "weekly"}, "billing_interval"),
    ({"stripe_customer_id": ""}, "stripe_ids"),
    ({"stripe_subscription_id": "s" * 101}, "stripe_ids"),
    ({"stripe_price_id": ""}, "stripe_ids"),
]
OTHERS_REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("profiles", {"display_name": ""}, "display_name"),
    ("profiles", {"display_name": "x" * 256}, "display_name"),
    ("profiles", {"avatar_url": "javascript:alert(1)"}, "avatar_url"),
    ("profiles", {"avatar_url": "//evil.example/a.png"}, "avatar_url"),
    ("profiles", {"avatar_url": "http://example.com/a.png"}, "avatar_url"),
    ("profiles", {"avatar_url": "/media/a.png"}, "avatar_url"),
    ("profiles", {"avatar_url": f"https://example.com/{'a' * 500}"}, "avatar_url"),
    ("profiles", {"preferences": ["dark"]}, "preferences"),
    ("user_settings", {"risk_tolerance": "MEDIUM"}, "risk_tolerance"),
    ("user_settings", {"max_portfolio_risk": "none"}, "max_portfolio_risk"),
    ("user_settings", {"default_currency": "usd"}, "default_currency"),
    ("user_settings", {"timezone": ""}, "timezone"),
    ("user_settings", {"theme": "neon"}, "theme"),
    ("user_settings", {"custom_settings": []}, "custom_settings"),
    ("one_time_tokens", {"purpose": "login"}, "purpose"),
    ("one_time_tokens", {"email": "nobody"}, "email"),
    ("one_time_tokens", {"email": f"{'a' * 244}@example.com"}, "email"),
    ("one_time_tokens", {"token_hash": b"plain token"}, "hash"),
    ("one_time_tokens", {"expires_at": PAST}, "lifetime"),
    ("idempotency_keys", {"key": ""}, "key"),
    ("idempotency_keys", {"key": "k" * 256}, "key"),
    ("idempotency_keys", {"request_hash": b"{}"}, "request_hash"),
    ("idempotency_keys", {"status_code": 99}, "status_code"),
    ("idempotency_keys", {"status_code": 600}, "status_code"),
    ("idempotency_keys", {"response": {"id": 1}}, "answered"),
    ("idempotency_keys", {"expires_at": PAST}, "lifetime"),
    ("system_settings", {"setting_key": ""}, "setting_key"),
    ("system_settings", {"setting_key": "k" * 101}, "setting_key"),
]
REFUSED = [
    *(("users", *case) for case in USERS_REFUSED),
    *(("user_sessions", *case) for case in SESSIONS_REFUSED),
    *(("api_keys", *case) for case in KEYS_REFUSED),
    *(("subscriptions", *case) for case in SUBSCRIPTIONS_REFUSED),
    *OTHERS_REFUSED,
]


@pytest.mark.parametrize("table", dict.fromkeys(table for table, *_ in REFUSED))
async def test_what_makes_no_sense_is_refused(bob: AsyncSession, table: str) -> None:
    for changes, check in [case[1:] for case in REFUSED if case[0] == table]:
        with pytest.raises(DBAPIError, match=f'check constraint "ck_{table}_{check}"'):
            await _put(bob, table, **changes)


async def test_settings_are_as_the_design_has_them_until_they_are_changed(
    bob: AsyncSession,
) -> None:
    await _put(bob, "user_settings")
    found = (await bob.scalars(select(UserSettings))).one()
    on = {"email_notifications", "push_notifications", "price_alerts", "risk_alerts"}
    switches = {
        name: getattr(found, name)
        for name, column in TABLES["user_settings"].columns.items()
        if column.type.python_type is bool
    }
    assert {name for name, value in switches.items() if value} == on | {"portfolio_alerts"}
    assert len(switches) == 9
    assert (found.risk_tolerance, found.max_portfolio_risk) == ("medium", "medium")
    assert (found.default_currency, found.theme) == ("USD", "light")
    assert (found.timezone, found.custom_settings) == (None, {})


async def test_a_new_user_has_no_power_and_no_way_in(bob: AsyncSession) -> None:
    found = (await bob.scalars(select(User))).one()
    assert (found.tier, found.status, found.is_superuser) == ("free", "active", False)
    assert (found.email, found.password_hash, found.email_verified) == (None, None, False)
    assert (found.timezone, found.language, found.deleted_at) == ("UTC", "en", None)


@pytest.mark.parametrize("table", TENANTS)
async def test_what_is_hers_bob_neither_sees_nor_changes(bob: AsyncSession, table: str) -> None:
    mapped = TABLES[table]
    assert (await bob.execute(select(mapped))).all() == []
    stolen = update(mapped).values(user_id=BOB).returning(mapped.c.user_id)
    assert (await bob.execute(stolen)).all() == []
    with pytest.raises(DBAPIError, match="row-level security policy"):
        await _put(bob, table, user_id=ALICE)
    await _bind(bob, ALICE)
    assert await bob.scalar(select(mapped.c.user_id)) == ALICE


async def test_with_a_user_goes_all_that_was_theirs(admin: AsyncSession) -> None:
    await admin.execute(delete(User).where(User.id == ALICE))
    for table in TENANTS:
        assert await admin.scalar(select(func.count()).select_from(TABLES[table])) == 0


async def test_an_email_is_one_living_user_s_whatever_its_case(bob: AsyncSession) -> None:
    with pytest.raises(DBAPIError, match="idx_users_email"):
        await _put(bob, "users", email="aLICE@example.COM")
    await _bind(bob, ALICE)
    await _put(bob, "users", deleted_at=PAST)
    await _bind(bob, BOB)
    await _put(bob, "users", email="alice@example.com")
    await _bind(bob, ALICE)
    with pytest.raises(DBAPIError, match="idx_users_email"):
        await _put(bob, "users", deleted_at=None)


@pytest.mark.parametrize("status", ["active", "past_due", "trialing"])
async def test_a_user_has_one_subscription_that_is_not_cancelled(
    bob: AsyncSession, status: str
) -> None:
    await _put(bob, "subscriptions", status=status, trial_end=SOON, stripe_customer_id="cus_1")
    for other in ("active", "past_due", "trialing"):
        with pytest.raises(DBAPIError, match="uq_subscriptions_active"):
            await _put(bob, "subscriptions", status=other, trial_end=SOON)
    await bob.execute(update(Subscription).values(status="canceled", canceled_at=PAST))
    await _put(bob, "subscriptions", stripe_customer_id="cus_1")


async def test_a_customer_is_one_user_s(bob: AsyncSession) -> None:
    await _bind(bob, ALICE)
    ids = {"stripe_customer_id": "cus_1", "stripe_subscription_id": "sub_1"}
    await bob.execute(update(Subscription).values(ids))
    await _bind(bob, BOB)
    with pytest.raises(DBAPIError, match="uq_subscriptions_active_customer"):
        await _put(bob, "subscriptions", stripe_customer_id="cus_1")
    with pytest.raises(DBAPIError, match="uq_subscriptions_stripe_subscription_id"):
        await _put(bob, "subscriptions", stripe_subscription_id="sub_1")


async def test_one_token_is_open_for_a_purpose(bob: AsyncSession) -> None:
    await _put(bob, "one_time_tokens")
    await _put(bob, "one_time_tokens", purpose="email_change", token_hash=OTHER_HASH)
    with pytest.raises(DBAPIError, match="uq_one_time_tokens_open"):
        await _put(bob, "one_time_tokens", token_hash=THIRD_HASH)
    await bob.execute(update(OneTimeToken).values(used_at=PAST))
    await _put(bob, "one_time_tokens", token_hash=THIRD_HASH)


async def test_a_name_is_of_one_active_key(bob: AsyncSession) -> None:
    await _put(bob, "api_keys")
    with pytest.raises(DBAPIError, match="uq_api_keys_active_name"):
        await _put(bob, "api_keys", name="BOT", key_hash=OTHER_HASH)
    await bob.execute(update(ApiKey).values(is_active=False))
    await _put(bob, "api_keys", name="BOT", key_hash=OTHER_HASH)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("user_sessions", "token_hash"),
        ("user_sessions", "refresh_token_hash"),
        ("one_time_tokens", "token_hash"),
        ("api_keys", "key_hash"),
    ],
)
async def test_a_hash_is_one_user_s_alone(bob: AsyncSession, table: str, column: str) -> None:
    refresh = {"refresh_token_hash": THIRD_HASH, "refresh_expires_at": LATER}
    others = refresh if column == "refresh_token_hash" else {}
    await _bind(bob, ALICE)
    await bob.execute(update(TABLES[table]).values({column: HASH} | others))
    await _bind(bob, BOB)
    with pytest.raises(DBAPIError, match=f"uq_{table}_{column}"):
        await _put(bob, table, **others)


async def test_a_session_is_replaced_by_one_of_the_same_user(bob: AsyncSession) -> None:
    await _bind(bob, ALICE)
    hers = await bob.scalar(select(UserSession.id))
    await _bind(bob, BOB)
    next_one = uuid4()
    await _put(bob, "user_sessions", id=next_one, token_hash=OTHER_HASH, ip=IPv6Address("::1"))
    with pytest.raises(DBAPIError, match="fk_user_sessions_user_sessions"):
        await _put(bob, "user_sessions", rotated_at=PAST, replaced_by=hers)
    await _put(bob, "user_sessions", rotated_at=PAST, replaced_by=next_one)
    stored = (await bob.execute(select(UserSession.ip, UserSession.replaced_by))).all()
    assert {tuple(row) for row in stored} == {(IPv6Address("::1"), None), (None, next_one)}


async def test_a_session_outlives_the_one_that_replaced_it(admin: AsyncSession) -> None:
    next_one = uuid4()
    await _put(admin, "user_sessions", user_id=BOB, id=next_one, token_hash=OTHER_HASH)
    replaced = {"rotated_at": PAST, "replaced_by": next_one}
    await _put(admin, "user_sessions", user_id=BOB, **replaced)
    await admin.execute(delete(UserSession).where(UserSession.id == next_one))
    left = (await admin.scalars(select(UserSession).where(UserSession.user_id == BOB))).one()
    assert (left.token_hash, left.rotated_at, left.replaced_by) == (HASH, PAST, None)


async def test_a_key_is_answered_once_for_each_user(bob: AsyncSession) -> None:
    await _put(bob, "idempotency_keys")
    with pytest.raises(DBAPIError, match="pk_idempotency_keys"):
        await _put(bob, "idempotency_keys", request_hash=OTHER_HASH)
    kept = (await bob.scalars(select(IdempotencyKey))).one()
    assert kept.expires_at - kept.created_at == timedelta(days=1)
    assert (kept.user_id, kept.status_code, kept.response) == (BOB, None, None)


@pytest.mark.parametrize(
    ("mapped", "change"),
    [
        (User, {"language": "pt"}),
        (Profile, {"bio": "Holds."}),
        (UserSettings, {"theme": "dark"}),
        (Subscription, {"tier": "plus"}),
        (SystemSetting, {"setting_value": False}),
    ],
)
async def test_a_change_is_dated(
    bob: AsyncSession, mapped: type[Any], change: dict[str, Any]
) -> None:
    if mapped is not User:
        await _put(bob, mapped.__tablename__, updated_at=PAST)
        assert await bob.scalar(select(mapped.updated_at)) == PAST
    await bob.execute(update(mapped).values(**change, updated_at=PAST))
    assert await bob.scalar(select(mapped.updated_at)) == await bob.scalar(select(func.now()))


async def test_a_setting_has_one_value(bob: AsyncSession) -> None:
    await _put(bob, "system_settings")
    with pytest.raises(DBAPIError, match="uq_system_settings_setting_key"):
        await _put(bob, "system_settings", setting_value={"nested": [1]})


async def test_who_let_whom_in_is_logged_without_what_opens(bob: AsyncSession) -> None:
    refresh = {"refresh_token_hash": OTHER_HASH, "refresh_expires_at": LATER}
    await _put(bob, "users", password_hash="$2b$12$canary", two_factor_secret=SEALED)  # noqa: S106 - no password
    await _put(bob, "user_sessions", **refresh)
    await _put(bob, "one_time_tokens")
    await _put(bob, "api_keys")
    used = ((User, "last_login_at"), (UserSession, "last_accessed_at"), (ApiKey, "last_used_at"))
    for mapped, column in used:
        await bob.execute(update(mapped).values({column: PAST}))
    await bob.execute(update(UserSession).values(revoked_at=PAST))
    entries = await bob.execute(
        text(
            "SELECT table_name, operation, old_data::text, new_data::text FROM audit_logs"
            " WHERE operation IN ('INSERT', 'UPDATE') ORDER BY sequence OFFSET 1"
        )
    )
    logged = entries.all()
    assert [(table, operation) for table, operation, _, _ in logged] == [
        ("users", "UPDATE"),
        ("user_sessions", "INSERT"),
        ("one_time_tokens", "INSERT"),
        ("api_keys", "INSERT"),
        ("user_sessions", "UPDATE"),
    ]
    # A row as text is cut short.
    written = " ".join(f"{old} {new}" for _, _, old, new in logged)
    assert not [each for each in (HASH, OTHER_HASH, SEALED) if each.hex() in written]
    assert "canary" not in written
    assert written.count("[redacted") == 12
