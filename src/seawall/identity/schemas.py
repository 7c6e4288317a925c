"""The values that users travel in."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import SecretStr

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
EMAIL_LENGTH = 255
# Of a host with a name, which browsers do not read otherwise: no user, port, `\` or blank.
AVATAR_URL = (
    r"^https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])"
    r"([/?#][A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]*)?$"
)
AVATAR_URL_LENGTH = 500


def is_email(text: str) -> bool:
    """Tell whether the database would take an address."""
    return len(text) <= EMAIL_LENGTH and _EMAIL.fullmatch(text) is not None


class UserStatus(StrEnum):
    """Whether a user may log in: only an active one may; an operator suspends, a user leaves."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"


class Purpose(StrEnum):
    """What a link in a mail is good for."""

    EMAIL_VERIFICATION = "email_verification"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a purpose
    EMAIL_CHANGE = "email_change"
    ACCOUNT_RESTORE = "account_restore"


class Scope(StrEnum):
    """What an API key may do."""

    READ = "read"
    TRADE = "trade"
    MANAGE = "manage"


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """What it takes to let a user in; without a hash, not by a password."""

    id: UUID
    password_hash: str | None = field(repr=False)
    status: UserStatus
    email_verified: bool
    two_factor_enabled: bool


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user, as the user and an operator see them."""

    id: UUID
    username: str
    email: str | None
    email_verified: bool
    tier: str
    status: UserStatus
    is_superuser: bool
    has_password: bool
    two_factor_enabled: bool
    recovery_codes_left: int
    created_at: datetime
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class LeftRecord:
    """A user who is deleted, and can be restored until they are purged."""

    id: UUID
    username: str
    email: str | None
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class Client:
    """From where somebody asks: what they say of their device is taken as it is, and shortened."""

    ip: str | None = None
    user_agent: str | None = None
    device_name: str | None = None


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session that a token led to; `id` changes with each refresh, the family's does not."""

    id: UUID
    user_id: UUID
    family_id: UUID


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session with its tokens, which are told once and never again."""

    user_id: UUID
    family_id: UUID
    token: SecretStr
    expires_at: datetime
    refresh_token: SecretStr | None = None
    refresh_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One login on one device, however often it was refreshed; `id` is its family's."""

    id: UUID
    device_name: str | None
    user_agent: str | None
    ip: str | None
    created_at: datetime
    last_accessed_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """An API key, without the key."""

    id: UUID
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class FoundKey:
    """Whose an API key is, and what it may do."""

    id: UUID
    user_id: UUID
    scopes: frozenset[Scope]
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail, before it is sent."""

    recipient: str
    subject: str
    body: SecretStr


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """A mail of the outbox; without a body once it was sent."""

    id: UUID
    user_id: UUID
    recipient: str
    subject: str
    body: SecretStr | None
    created_at: datetime
    sent_at: datetime | None
