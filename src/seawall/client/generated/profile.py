"""Profile: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request

UserStatus = str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserProfile:
    """Who a user is, and what they show of themselves."""

    id: UUID
    username: str
    email: str | None
    email_verified: bool
    tier: str
    status: UserStatus
    two_factor_enabled: bool
    recovery_codes_left: int
    created_at: datetime
    last_login_at: datetime | None
    display_name: str | None
    avatar_url: str | None
    bio: str | None


class ProfileOperations(Connection):
    """What the API does about profile."""

    def change_profile(
        self,
        *,
        if_match: str | None = None,
        username: str | Omitted = OMITTED,
        display_name: str | Omitted | None = OMITTED,
        avatar_url: str | Omitted | None = OMITTED,
        bio: str | Omitted | None = OMITTED,
    ) -> UserProfile:
        """Change what a user shows of themselves."""
        request = Request(
            "PATCH",
            "/api/v1/profile",
            json={
                "username": username,
                "display_name": display_name,
                "avatar_url": avatar_url,
                "bio": bio,
            },
            headers={"If-Match": if_match},
        )
        return self.send(request, TypeAdapter(UserProfile))

    def get_profile(self) -> UserProfile:
        """Tell who asks."""
        request = Request("GET", "/api/v1/profile")
        return self.send(request, TypeAdapter(UserProfile))
