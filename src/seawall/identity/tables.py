"""The tables of users, of what lets them in, and of the installation's settings."""

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from seawall.db.base import (
    TENANT,
    Base,
    CreatedAt,
    UpdatedAt,
    UserId,
    UuidKey,
    audited,
    sealed,
    unaudited,
)
from seawall.identity.schemas import AVATAR_URL, AVATAR_URL_LENGTH

_EMAIL = r"email ~ '^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$'"
_TIER = "tier IN ('free', 'plus', 'pro', 'power-trader')"
_SEALED = ("first_name", "last_name", "full_name", "two_factor_secret")


class User(Base):
    """One person, or the one owner of an installation.

    Without an email nobody can log in, and without a `password_hash` not by a password. Names and
    the secret of the second factor are sealed. Who is deleted frees the email, and is purged after
    30 days. The application changes neither `tier` nor `is_superuser`.
    `two_factor_step` is the last 30 seconds whose code was used; `recovery_codes` are the SHA-256
    hashes of those that are left.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("length(username) BETWEEN 1 AND 100", name="username_length"),
        CheckConstraint(_EMAIL, name="email_format"),
        CheckConstraint("length(email) <= 255", name="email_length"),
        CheckConstraint("email IS NOT NULL OR NOT email_verified", name="email_verified"),
        CheckConstraint(r"password_hash ~ '^\$(argon2id|2[aby])\$'", name="password_hash"),
        CheckConstraint(_TIER, name="tier"),
        CheckConstraint("status IN ('active', 'inactive', 'suspended')", name="status"),
        CheckConstraint("two_factor_secret IS NOT NULL OR NOT two_factor_enabled", "two_factor"),
        CheckConstraint(
            " AND ".join(f"substr({column}, 1, 3) = 'SWS'" for column in _SEALED), name="sealed"
        ),
        CheckConstraint("country_code ~ '^[A-Z]{2}$'", name="country_code"),
        CheckConstraint("length(timezone) BETWEEN 1 AND 50", name="timezone"),
        CheckConstraint("cardinality(recovery_codes) <= 20", name="recovery_codes"),
        CheckConstraint("language ~ '^[a-z]{2,3}(-[A-Z]{2})?$'", name="language"),
        Index("uq_users_username", func.lower(text("username")), unique=True),
        Index(
            "idx_users_email",
            func.lower(text("email")),
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "idx_users_deleted_at",
            "deleted_at",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("idx_users_left", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        Index(
            "idx_users_old_hash",
            func.substr(text("password_hash"), text("5"), text("2")),
            postgresql_where=text("password_hash LIKE '$2%'"),
        ),
        {
            "info": TENANT
            | audited(
                redacted=("password_hash", *_SEALED, "recovery_codes"),
                derived=("last_login_at", "two_factor_step"),
            )
        },
    )

    id: Mapped[UuidKey]
    username: Mapped[str]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)
    email: Mapped[str | None]
    password_hash: Mapped[str | None]
    tier: Mapped[str] = mapped_column(server_default="free", index=True)
    status: Mapped[str] = mapped_column(server_default="active")
    is_superuser: Mapped[bool] = mapped_column(server_default="false")
    email_verified: Mapped[bool] = mapped_column(server_default="false")
    first_name: Mapped[bytes | None] = mapped_column(info=sealed())
    last_name: Mapped[bytes | None] = mapped_column(info=sealed())
    full_name: Mapped[bytes | None] = mapped_column(info=sealed())
    two_factor_enabled: Mapped[bool] = mapped_column(server_default="false")
    two_factor_secret: Mapped[bytes | None] = mapped_column(info=sealed())
    country_code: Mapped[str | None]
    timezone: Mapped[str] = mapped_column(server_default="UTC")
    language: Mapped[str] = mapped_column(server_default="en")
    last_login_at: Mapped[datetime | None]
    updated_at: Mapped[UpdatedAt]
    deleted_at: Mapped[datetime | None]
    two_factor_step: Mapped[int | None] = mapped_column(BigInteger())
    recovery_codes: Mapped[list[bytes]] = mapped_column(
        ARRAY(LargeBinary()), server_default=text("'{}'")
    )


class Profile(Base):
    """What a user shows of themselves."""

    __tablename__ = "profiles"
    __table_args__ = (
        CheckConstraint("length(display_name) BETWEEN 1 AND 255", name="display_name"),
        CheckConstraint(
            f"length(avatar_url) <= {AVATAR_URL_LENGTH} AND avatar_url ~ '{AVATAR_URL}'",
            name="avatar_url",
        ),
        CheckConstraint("jsonb_typeof(preferences) = 'object'", name="preferences"),
        {"info": TENANT | audited()},
    )

    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    display_name: Mapped[str | None]
    avatar_url: Mapped[str | None]
    bio: Mapped[str | None]
    preferences: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class UserSettings(Base):
    """How a user wants to be told, and how their portfolios are to be kept.

    Where `timezone` is NULL, the user's own holds.
    """

    __tablename__ = "user_settings"
    __table_args__ = (
        CheckConstraint("risk_tolerance IN ('low', 'medium', 'high')", name="risk_tolerance"),
        CheckConstraint(
            "max_portfolio_risk IN ('low', 'medium', 'high', 'extreme')",
            name="max_portfolio_risk",
        ),
        CheckConstraint("default_currency ~ '^[A-Z]{3}$'", name="default_currency"),
        CheckConstraint("length(timezone) BETWEEN 1 AND 50", name="timezone"),
        CheckConstraint("theme IN ('light', 'dark', 'system')", name="theme"),
        CheckConstraint("jsonb_typeof(custom_settings) = 'object'", name="custom_settings"),
        {"info": TENANT | audited()},
    )

    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    email_notifications: Mapped[bool] = mapped_column(server_default="true")
    push_notifications: Mapped[bool] = mapped_column(server_default="true")
    sms_notifications: Mapped[bool] = mapped_column(server_default="false")
    price_alerts: Mapped[bool] = mapped_column(server_default="true")
    risk_alerts: Mapped[bool] = mapped_column(server_default="true")
    portfolio_alerts: Mapped[bool] = mapped_column(server_default="true")
    risk_tolerance: Mapped[str] = mapped_column(server_default="medium")
    max_portfolio_risk: Mapped[str] = mapped_column(server_default="medium")
    default_currency: Mapped[str] = mapped_column(server_default="USD")
    timezone: Mapped[str | None]
    theme: Mapped[str] = mapped_column(server_default="light")
    auto_rebalancing: Mapped[bool] = mapped_column(server_default="false")
    stop_loss_enabled: Mapped[bool] = mapped_column(server_default="false")
    take_profit_enabled: Mapped[bool] = mapped_column(server_default="false")
    custom_settings: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]


class UserSession(Base):
    """One login on one device, until it is refreshed, revoked or expired.

    Only SHA-256 hashes of its tokens are held. A refresh rotates: the old row gets `rotated_at`
    and is `replaced_by` a new one of the same family, so that a refresh token that comes a second
    time is known as stolen, and its family can be revoked.
    """

    __tablename__ = "user_sessions"
    __table_args__ = (
        UniqueConstraint("user_id", "id", name="uq_user_sessions_tenant"),
        ForeignKeyConstraint(
            ["user_id", "replaced_by"],
            ["user_sessions.user_id", "user_sessions.id"],
            name="fk_user_sessions_user_sessions",
            ondelete="SET NULL (replaced_by)",
        ),
        CheckConstraint(
            "octet_length(token_hash) = 32 AND octet_length(refresh_token_hash) = 32"
            " AND token_hash <> refresh_token_hash",
            name="hashes",
        ),
        CheckConstraint("expires_at > created_at", name="lifetime"),
        CheckConstraint(
            "(refresh_token_hash IS NULL) = (refresh_expires_at IS NULL)"
            " AND (refresh_expires_at IS NULL OR refresh_expires_at >= expires_at)",
            name="refresh",
        ),
        CheckConstraint(
            "replaced_by IS NULL OR (rotated_at IS NOT NULL AND replaced_by <> id)",
            name="replaced",
        ),
        Index("idx_user_sessions_family_id", "user_id", "family_id"),
        Index("idx_user_sessions_replaced_by", "user_id", "replaced_by"),
        {
            "info": TENANT
            | audited(redacted=("token_hash", "refresh_token_hash"), derived=("last_accessed_at",))
        },
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    refresh_token_hash: Mapped[bytes | None] = mapped_column(unique=True)
    family_id: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    ip: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    user_agent: Mapped[str | None]
    device_name: Mapped[str | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    refresh_expires_at: Mapped[datetime | None]
    last_accessed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    rotated_at: Mapped[datetime | None]
    replaced_by: Mapped[UUID | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class OneTimeToken(Base):
    """What a link in an email holds: it proves that who used it reads `email`.

    Only its SHA-256 hash is held. A user has one unused token for a purpose: a new one replaces it.
    """

    __tablename__ = "one_time_tokens"
    __table_args__ = (
        CheckConstraint(
            "purpose IN ('email_verification', 'password_reset', 'email_change',"
            " 'account_restore')",
            name="purpose",
        ),
        CheckConstraint(f"{_EMAIL} AND length(email) <= 255", name="email"),
        CheckConstraint("octet_length(token_hash) = 32", name="hash"),
        CheckConstraint("expires_at > created_at", name="lifetime"),
        Index(
            "uq_one_time_tokens_open",
            "user_id",
            "purpose",
            unique=True,
            postgresql_where=text("used_at IS NULL"),
        ),
        {"info": TENANT | audited(redacted=("token_hash",))},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str]
    email: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class ApiKey(Base):
    """A key that a program acts with in its user's name, by three permissions.

    Only its SHA-256 hash is held, and the `prefix` by which people tell keys apart.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name"),
        CheckConstraint("prefix ~ '^[A-Za-z0-9_]{4,16}$'", name="prefix"),
        CheckConstraint("octet_length(key_hash) = 32", name="hash"),
        CheckConstraint(
            "jsonb_typeof(permissions -> 'read') IS NOT DISTINCT FROM 'boolean'"
            " AND jsonb_typeof(permissions -> 'trade') IS NOT DISTINCT FROM 'boolean'"
            " AND jsonb_typeof(permissions -> 'manage') IS NOT DISTINCT FROM 'boolean'"
            " AND permissions - ARRAY['read', 'trade', 'manage'] = '{}'",
            name="permissions",
        ),
        CheckConstraint("expires_at > created_at", name="lifetime"),
        Index(
            "uq_api_keys_active_name",
            "user_id",
            func.lower(text("name")),
            unique=True,
            postgresql_where=text("is_active"),
        ),
        {"info": TENANT | audited(redacted=("key_hash",), derived=("last_used_at",))},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    permissions: Mapped[dict[str, Any]]
    is_active: Mapped[bool] = mapped_column(server_default="true")
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Subscription(Base):
    """What a user pays for; of those that run a user has one.

    `stripe_state` is the newest that Stripe told of it. One that is inactive was never paid, is
    paused or given up, or runs beside another. Workers alone write it.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint(_TIER, name="tier"),
        CheckConstraint(
            "status IN ('active', 'canceled', 'past_due', 'trialing', 'inactive')", name="status"
        ),
        CheckConstraint(
            "length(stripe_customer_id) BETWEEN 1 AND 100"
            " AND length(stripe_subscription_id) BETWEEN 1 AND 100"
            " AND length(stripe_price_id) BETWEEN 1 AND 100",
            name="stripe_ids",
        ),
        CheckConstraint("billing_interval IN ('monthly', 'yearly')", name="billing_interval"),
        CheckConstraint("current_period_start < current_period_end", name="period"),
        CheckConstraint(
            "trial_start < trial_end AND (trial_end IS NOT NULL OR status <> 'trialing')",
            name="trial",
        ),
        CheckConstraint("canceled_at IS NOT NULL OR status <> 'canceled'", name="canceled"),
        Index(
            "uq_subscriptions_active",
            "user_id",
            unique=True,
            postgresql_where=text("status NOT IN ('canceled', 'inactive')"),
        ),
        Index(
            "uq_subscriptions_active_customer",
            "stripe_customer_id",
            unique=True,
            postgresql_where=text("status NOT IN ('canceled', 'inactive')"),
        ),
        {"info": TENANT | audited()},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    tier: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="active", index=True)
    stripe_customer_id: Mapped[str | None] = mapped_column(index=True)
    stripe_subscription_id: Mapped[str | None] = mapped_column(unique=True)
    stripe_price_id: Mapped[str | None]
    billing_interval: Mapped[str | None]
    current_period_start: Mapped[datetime | None]
    current_period_end: Mapped[datetime | None] = mapped_column(index=True)
    cancel_at_period_end: Mapped[bool] = mapped_column(server_default="false")
    trial_start: Mapped[datetime | None]
    trial_end: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[UpdatedAt]
    canceled_at: Mapped[datetime | None]
    stripe_state: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class BillingEvent(Base):
    """What Stripe told of a subscription, once, and what came of it.

    `facts` is what it says of the subscription, and nothing else of the event. The application may
    add an event; a worker applies it, if `proof` shows that it was kept by whoever has the secret
    of the webhook.
    """

    __tablename__ = "billing_events"
    __table_args__ = (
        CheckConstraint("length(id) BETWEEN 1 AND 255", name="id"),
        CheckConstraint("length(type) BETWEEN 1 AND 100", name="type"),
        CheckConstraint("(applied_at IS NULL) = (outcome IS NULL)", name="applied"),
        Index(
            "idx_billing_events_customer_deleted",
            text("(facts ->> 'customer')"),
            postgresql_where=text("type = 'customer.deleted'"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    facts: Mapped[dict[str, Any]]
    proof: Mapped[bytes]
    created_at: Mapped[CreatedAt] = mapped_column(index=True)
    applied_at: Mapped[datetime | None]
    outcome: Mapped[str | None]


class IdempotencyKey(Base):
    """A request that is to happen once, and its answer for whoever asks again.

    While it is being answered `status_code` is NULL. `request_hash` (SHA-256) tells a repeated
    request from another one under the same key.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        CheckConstraint("length(key) BETWEEN 1 AND 255", name="key"),
        CheckConstraint("octet_length(request_hash) = 32", name="request_hash"),
        CheckConstraint("status_code BETWEEN 100 AND 599", name="status_code"),
        CheckConstraint("status_code IS NOT NULL OR response IS NULL", name="answered"),
        CheckConstraint("expires_at > created_at", name="lifetime"),
        {"info": TENANT | unaudited("an answer kept for a day; what the request did is logged")},
    )

    user_id: Mapped[UserId] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes]
    status_code: Mapped[int | None] = mapped_column(SmallInteger())
    response: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime] = mapped_column(
        server_default=text("now() + interval '24 hours'"), index=True
    )


class Guesses(Base):
    """How often somebody has guessed at what lets into an account, in the newest window.

    `what_hash` (HMAC-SHA-256) is of the account and of the kind of guess, whether or not there is
    such an account. Only `count_guess` writes here, so that nobody can count down.
    """

    __tablename__ = "guesses"
    __table_args__ = (
        CheckConstraint("octet_length(what_hash) = 32", name="what_hash"),
        CheckConstraint("guessed > 0", name="guessed"),
    )

    what_hash: Mapped[bytes] = mapped_column(primary_key=True)
    guessed: Mapped[int]
    resets_at: Mapped[datetime] = mapped_column(index=True)


class OutboxMail(Base):
    """A mail to a user, until it is sent, and that it was.

    Its body holds links that let people in: it is sealed, and gone once it is sent.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint(
            f"{_EMAIL.replace('email', 'recipient')} AND length(recipient) <= 255", name="recipient"
        ),
        CheckConstraint("length(subject) BETWEEN 1 AND 200", name="subject"),
        CheckConstraint("substr(body, 1, 3) = 'SWS'", name="sealed"),
        CheckConstraint("(body IS NULL) = (sent_at IS NOT NULL)", name="kept"),
        Index("idx_outbox_user_id", "user_id", "created_at"),
        {"info": TENANT | unaudited("what a mail tells of is logged where it happens")},
    )

    id: Mapped[UuidKey]
    user_id: Mapped[UserId] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    recipient: Mapped[str]
    subject: Mapped[str]
    body: Mapped[bytes | None] = mapped_column(info=sealed())
    created_at: Mapped[CreatedAt] = mapped_column(index=True)
    sent_at: Mapped[datetime | None]


class SystemSetting(Base):
    """A setting of the whole installation that is changed while it runs; never a secret."""

    __tablename__ = "system_settings"
    __table_args__ = (
        CheckConstraint("length(setting_key) BETWEEN 1 AND 100", name="setting_key"),
        {"info": audited()},
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    setting_key: Mapped[str] = mapped_column(unique=True)
    setting_value: Mapped[Any] = mapped_column(JSONB())
    description: Mapped[str] = mapped_column(server_default="")
    updated_at: Mapped[UpdatedAt]
