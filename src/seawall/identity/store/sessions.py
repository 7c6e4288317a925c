"""The SQL of sessions and their families."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.schemas import Client, FoundSession, SessionRecord, UserStatus
from seawall.identity.tables import User, UserSession

_FIND_SESSION = text(
    "SELECT id, user_id, expires_at, last_accessed_at FROM find_session(:token_hash)"
)
_FIND_REFRESH_TOKEN = text("SELECT id, user_id, family_id FROM find_refresh_token(:token_hash)")


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to be added; without a family it begins one."""

    token_hash: bytes = field(repr=False)
    lifetime: timedelta
    client: Client
    refresh_token_hash: bytes | None = field(default=None, repr=False)
    refresh_lifetime: timedelta | None = None
    family_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AddedSession:
    """What the database made of it."""

    id: UUID
    family_id: UUID
    expires_at: datetime
    refresh_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that a token leads to now."""

    id: UUID
    user_id: UUID
    expires_at: datetime
    last_accessed_at: datetime


async def find_session(session: AsyncSession, token_hash: bytes) -> LiveSession | None:
    """Return the session of a token, of a user who may be here; the session may be unbound."""
    row = (await session.execute(_FIND_SESSION, {"token_hash": token_hash})).one_or_none()
    return None if row is None else LiveSession(*row)


async def find_refresh_token(session: AsyncSession, token_hash: bytes) -> FoundSession | None:
    """Return the session of a refresh token, also when it was used or revoked."""
    row = (await session.execute(_FIND_REFRESH_TOKEN, {"token_hash": token_hash})).one_or_none()
    return None if row is None else FoundSession(*row)


async def add_session(session: AsyncSession, new: NewSession) -> AddedSession:
    """Add a session of the bound user."""
    values: dict[str, Any] = {
        "token_hash": new.token_hash,
        "ip": new.client.ip,
        "user_agent": new.client.user_agent,
        "device_name": new.client.device_name,
        "expires_at": func.now() + new.lifetime,
    }
    if new.refresh_lifetime is not None:
        values["refresh_token_hash"] = new.refresh_token_hash
        values["refresh_expires_at"] = func.now() + new.refresh_lifetime
    if new.family_id is not None:
        values["family_id"] = new.family_id
    statement = insert(UserSession).values(**values)
    row = await session.execute(
        statement.returning(
            UserSession.id,
            UserSession.family_id,
            UserSession.expires_at,
            UserSession.refresh_expires_at,
        )
    )
    return AddedSession(*row.one())


async def rotate(session: AsyncSession, id_: UUID) -> Client | None:
    """Use up a session's refresh token; None when somebody did before, or it was revoked."""
    statement = (
        update(UserSession)
        .where(
            UserSession.id == id_,
            UserSession.rotated_at.is_(None),
            UserSession.revoked_at.is_(None),
        )
        .values(rotated_at=func.now())
        .returning(UserSession.ip, UserSession.user_agent, UserSession.device_name)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else Client(_text(row.ip), row.user_agent, row.device_name)


async def replace(session: AsyncSession, old: UUID, new: UUID) -> None:
    """Say which session came after a rotated one."""
    await session.execute(update(UserSession).where(UserSession.id == old).values(replaced_by=new))


async def revoke(session: AsyncSession, *families: UUID, but: UUID | None = None) -> int:
    """Revoke families of the bound user, or all but one; return how many sessions ended."""
    statement = update(UserSession).where(UserSession.revoked_at.is_(None))
    if families:
        statement = statement.where(UserSession.family_id.in_(families))
    if but is not None:
        statement = statement.where(UserSession.family_id != but)
    ended = await session.execute(
        statement.values(revoked_at=func.now()).returning(UserSession.rotated_at)
    )
    return sum(rotated_at is None for (rotated_at,) in ended)


async def is_revoked(session: AsyncSession, token_hash: bytes) -> bool:
    """Tell whether the bound user's session of a token was revoked."""
    found = select(UserSession.revoked_at).where(UserSession.token_hash == token_hash)
    return await session.scalar(found) is not None


async def touch(session: AsyncSession, id_: UUID) -> None:
    """Note that a session of the bound user is used."""
    await session.execute(
        update(UserSession).where(UserSession.id == id_).values(last_accessed_at=func.now())
    )


def _is_live() -> ColumnElement[bool]:
    last = func.coalesce(UserSession.refresh_expires_at, UserSession.expires_at)
    return UserSession.rotated_at.is_(None) & UserSession.revoked_at.is_(None) & (last > func.now())


async def lasts_until(session: AsyncSession, id_: UUID) -> datetime | None:
    """Return when a session of the bound user, or what it was refreshed by, ends by itself.

    None when it has ended.
    """
    family = select(UserSession.family_id).where(UserSession.id == id_).scalar_subquery()
    last = func.max(func.coalesce(UserSession.refresh_expires_at, UserSession.expires_at))
    query = (
        select(last)
        .join(User, User.id == UserSession.user_id)
        .where(UserSession.family_id == family, _is_live())
        .where(User.status == UserStatus.ACTIVE, User.deleted_at.is_(None))
    )
    found: datetime | None = await session.scalar(query)
    return found


async def find_family(session: AsyncSession, id_: UUID) -> UUID | None:
    """Return the family of one of the bound user's sessions."""
    found: UUID | None = await session.scalar(
        select(UserSession.family_id).where(UserSession.id == id_)
    )
    return found


async def list_sessions(session: AsyncSession) -> Sequence[SessionRecord]:
    """Return the bound user's living sessions, the one used last first."""
    older = select(UserSession.family_id, func.min(UserSession.created_at).label("begun"))
    families = older.group_by(UserSession.family_id).subquery()
    last = func.coalesce(UserSession.refresh_expires_at, UserSession.expires_at)
    query = (
        select(
            UserSession.family_id,
            UserSession.device_name,
            UserSession.user_agent,
            UserSession.ip,
            families.c.begun,
            UserSession.last_accessed_at,
            last,
        )
        .join(families, families.c.family_id == UserSession.family_id)
        .where(_is_live())
        .order_by(UserSession.last_accessed_at.desc(), UserSession.family_id)
    )
    return [
        SessionRecord(family, device, agent, _text(ip), *times)
        for family, device, agent, ip, *times in await session.execute(query)
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
