"""The values that users travel in."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class UserStatus(StrEnum):
    """Whether a user may log in: only an active one may; an operator suspends, a user leaves."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """What it takes to let a user in; without a hash, not by a password."""

    id: UUID
    password_hash: str | None = field(repr=False)
    status: UserStatus
    email_verified: bool
    two_factor_enabled: bool
