"""Sessions, API keys, the profile and the settings of whoever asks."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api.bodies import (
    UNCHANGED,
    Body,
    Patch,
    Shown,
    Time,
    Told,
    require_match,
    tagged,
)
from seawall.api.callers import client_of
from seawall.api.deps import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Manager,
    Person,
    Reader,
)
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.v1.proofs import MaybeCode
from seawall.core.errors import InvalidError, NotFoundError
from seawall.identity import api_keys, sessions
from seawall.identity.accounts import prove_by_code, require_name
from seawall.identity.schemas import AVATAR_URL, AVATAR_URL_LENGTH, Scope, UserStatus
from seawall.identity.store import preferences, users
from seawall.identity.store import sessions as store
from seawall.identity.tables import Profile, UserSettings

router = routes()
AvatarUrl = Annotated[
    str,
    StringConstraints(max_length=AVATAR_URL_LENGTH, pattern=AVATAR_URL),
    Field(examples=["https://example.com/ada.png"]),
]
_Line = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]


class Session(Told):
    """One login on one device."""

    id: UUID
    device_name: str | None = Field(examples=["laptop"])
    user_agent: str | None
    ip: str | None = Field(examples=["192.0.2.7"])
    created_at: Time
    last_accessed_at: Time
    expires_at: Time
    is_this: bool = Field(default=False, description="Whether it is the one that asks.")


class Sessions(Told):
    """The sessions that have not ended."""

    items: list[Session]


@router.get("/sessions", operation_id="listSessions", tags=["sessions"])
async def list_sessions(bound: Person) -> Sessions:
    """List the sessions that have not ended."""
    assert bound.caller.session_id is not None  # noqa: S101 - a person has one
    here = await store.find_family(bound.session, bound.caller.session_id)
    found = [Session.model_validate(each) for each in await sessions.list_sessions(bound.session)]
    marked = [each.model_copy(update={"is_this": each.id == here}) for each in found]
    return Sessions(items=marked)


@router.delete(
    "/sessions/{session_id}", status_code=204, operation_id="endSession", tags=["sessions"]
)
async def end_session(bound: Person, request: Request, session_id: UUID) -> None:
    """End a session."""
    await sessions.log_out(bound.session, session_id, client_of(request))


class ApiKey(Told):
    """An API key, without the key."""

    id: UUID
    name: str = Field(examples=["bot"])
    prefix: str = Field(examples=["sw_abcdef"])
    scopes: list[Scope]
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class ApiKeys(Told):
    """The keys that are not revoked."""

    items: list[ApiKey]


class NewApiKey(Body):
    """A key to be made."""

    name: _Line = Field(examples=["bot"])
    scopes: list[Scope] = Field(min_length=1, max_length=3, examples=[["read"]])
    expires_at: Time | None = Field(default=None, description="Null: until it is revoked.")
    code: MaybeCode = None


class MadeApiKey(ApiKey):
    """A key that was made; the key itself is told this once."""

    key: Shown


@router.get("/api-keys", operation_id="listApiKeys", tags=["api-keys"])
async def list_api_keys(bound: Person) -> ApiKeys:
    """List the keys that are not revoked."""
    found = await api_keys.list_keys(bound.session)
    return ApiKeys(items=[ApiKey.model_validate(each) for each in found])


@router.post(
    "/api-keys",
    status_code=201,
    operation_id="createApiKey",
    tags=["api-keys"],
    response_model=MadeApiKey,
)
async def create_api_key(
    bound: Person, request: Request, body: NewApiKey, key: IdempotencyKey = None
) -> Response:
    """Make a key; for more than reading a code is needed where the second factor is on."""

    async def work() -> Told:
        if set(body.scopes) != {Scope.READ}:
            await prove_by_code(bound.desk, bound.session, body.code)
        made = await api_keys.create(
            bound.session, body.name, frozenset(body.scopes), body.expires_at, bound.desk.clock()
        )
        told = ApiKey.model_validate(made.record)
        return MadeApiKey(**dict(told), key=made.key)

    return await once(bound, Asked(request, key, secret=True), work)


@router.delete(
    "/api-keys/{key_id}", status_code=204, operation_id="revokeApiKey", tags=["api-keys"]
)
async def revoke_api_key(bound: Person, key_id: UUID) -> None:
    """Revoke a key."""
    await api_keys.revoke(bound.session, key_id)


class UserProfile(Told):
    """Who a user is, and what they show of themselves."""

    id: UUID
    username: str = Field(examples=["ada"])
    email: str | None = Field(examples=["ada@example.com"])
    email_verified: bool
    tier: str = Field(examples=["free"])
    status: UserStatus
    two_factor_enabled: bool
    recovery_codes_left: int
    created_at: Time
    last_login_at: Time | None
    display_name: str | None
    avatar_url: str | None
    bio: str | None


class ProfileChange(Patch):
    """What is to be another; what is left out stays."""

    username: _Line = Field(default=UNCHANGED, examples=["ada"])
    display_name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = UNCHANGED
    avatar_url: AvatarUrl | None = UNCHANGED
    bio: Annotated[str, StringConstraints(max_length=2000)] | None = UNCHANGED


_SHOWN = ("display_name", "avatar_url", "bio")


async def _profile(session: AsyncSession, row: Profile | None) -> UserProfile:
    user = await users.find_user(session)
    if user is None:
        raise NotFoundError("There is no such user.")
    shown = {name: getattr(row, name, None) for name in _SHOWN}
    fields = {name: getattr(user, name) for name in UserProfile.model_fields if name not in shown}
    return UserProfile.model_validate(fields | shown)


@router.get("/profile", operation_id="getProfile", tags=["profile"], response_model=UserProfile)
async def get_profile(bound: Reader, known: IfNoneMatch = None) -> Response:
    """Tell who asks."""
    row = await preferences.find_row(bound.session, Profile)
    return tagged(await _profile(bound.session, row), known)


@router.patch(
    "/profile", operation_id="changeProfile", tags=["profile"], response_model=UserProfile
)
async def change_profile(bound: Manager, body: ProfileChange, match: IfMatch = None) -> Response:
    """Change what a user shows of themselves."""
    row = await preferences.lock_row(bound.session, Profile)
    require_match(match, await _profile(bound.session, row))
    changes = body.changes
    if "username" in changes:
        await users.change_user(bound.session, username=require_name(changes.pop("username")))
    row = await preferences.change_row(bound.session, row, changes)
    return tagged(await _profile(bound.session, row))


class Settings(Told):
    """How a user wants to be told and shown things."""

    email_notifications: bool
    push_notifications: bool
    sms_notifications: bool
    price_alerts: bool
    risk_alerts: bool
    portfolio_alerts: bool
    risk_tolerance: Literal["low", "medium", "high"]
    max_portfolio_risk: Literal["low", "medium", "high", "extreme"]
    default_currency: str = Field(examples=["USD"])
    timezone: str | None = Field(examples=["Europe/London"])
    theme: Literal["light", "dark", "system"]


_AT_FIRST = Settings(
    email_notifications=True,
    push_notifications=True,
    sms_notifications=False,
    price_alerts=True,
    risk_alerts=True,
    portfolio_alerts=True,
    risk_tolerance="medium",
    max_portfolio_risk="medium",
    default_currency="USD",
    timezone=None,
    theme="light",
)
"""As the database has them for a new row."""


class SettingsChange(Patch):
    """What is to be another; what is left out stays."""

    email_notifications: bool = UNCHANGED
    push_notifications: bool = UNCHANGED
    sms_notifications: bool = UNCHANGED
    price_alerts: bool = UNCHANGED
    risk_alerts: bool = UNCHANGED
    portfolio_alerts: bool = UNCHANGED
    risk_tolerance: Literal["low", "medium", "high"] = UNCHANGED
    max_portfolio_risk: Literal["low", "medium", "high", "extreme"] = UNCHANGED
    default_currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = Field(
        default=UNCHANGED, examples=["USD"]
    )
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = Field(
        default=UNCHANGED, examples=["Europe/London"]
    )
    theme: Literal["light", "dark", "system"] = UNCHANGED


@router.get("/settings", operation_id="getSettings", tags=["settings"], response_model=Settings)
async def get_settings(bound: Reader, known: IfNoneMatch = None) -> Response:
    """Tell the settings."""
    row = await preferences.find_row(bound.session, UserSettings)
    return tagged(_AT_FIRST if row is None else Settings.model_validate(row), known)


@router.patch(
    "/settings", operation_id="changeSettings", tags=["settings"], response_model=Settings
)
async def change_settings(bound: Manager, body: SettingsChange, match: IfMatch = None) -> Response:
    """Change settings."""
    row = await preferences.lock_row(bound.session, UserSettings)
    require_match(match, Settings.model_validate(row))
    changes = body.changes
    if changes.get("timezone") is not None:
        _require_zone(changes["timezone"])
    row = await preferences.change_row(bound.session, row, changes)
    return tagged(Settings.model_validate(row))


def _require_zone(name: str) -> None:
    from zoneinfo import available_timezones  # noqa: PLC0415 - it reads a folder

    if name not in available_timezones():
        raise InvalidError(
            f"{name!r} is not a time zone.", hint="Write it like Europe/London, or UTC."
        )
