"""The SQL of API keys."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.schemas import ApiKeyRecord, FoundKey, Scope, UserStatus
from seawall.identity.tables import ApiKey, User

_FIND = text("SELECT id, user_id, permissions, last_used_at FROM find_api_key(:key_hash)")
_RECORD = (
    ApiKey.id,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.permissions,
    ApiKey.created_at,
    ApiKey.expires_at,
    ApiKey.last_used_at,
)


def _scopes(permissions: dict[str, Any]) -> tuple[Scope, ...]:
    return tuple(scope for scope in Scope if permissions[scope])


def _record(row: Row[Any]) -> ApiKeyRecord:
    return ApiKeyRecord(
        row.id,
        row.name,
        row.prefix,
        _scopes(row.permissions),
        row.created_at,
        row.expires_at,
        row.last_used_at,
    )


async def find_key(session: AsyncSession, key_hash: bytes) -> FoundKey | None:
    """Return whose a key is that is good now; the session may be unbound."""
    row = (await session.execute(_FIND, {"key_hash": key_hash})).one_or_none()
    if row is None:
        return None
    return FoundKey(row.id, row.user_id, frozenset(_scopes(row.permissions)), row.last_used_at)


async def add_key(
    session: AsyncSession,
    name: str,
    prefix: str,
    key_hash: bytes,
    scopes: frozenset[Scope],
    expires_at: datetime | None,
) -> ApiKeyRecord:
    """Add a key of the bound user."""
    statement = insert(ApiKey).values(
        name=name,
        prefix=prefix,
        key_hash=key_hash,
        permissions={scope.value: scope in scopes for scope in Scope},
        expires_at=expires_at,
    )
    return _record((await session.execute(statement.returning(*_RECORD))).one())


async def list_keys(session: AsyncSession) -> Sequence[ApiKeyRecord]:
    """Return the bound user's keys that were not revoked, the newest first."""
    query = select(*_RECORD).where(ApiKey.is_active).order_by(ApiKey.created_at.desc(), ApiKey.id)
    return [_record(row) for row in await session.execute(query)]


async def lasts_until(session: AsyncSession, id_: UUID) -> datetime | None:
    """Return when a key of the bound user is over, `datetime.max` for never; None when it is."""
    query = (
        select(ApiKey.expires_at)
        .join(User, User.id == ApiKey.user_id)
        .where(ApiKey.id == id_, ApiKey.is_active, ApiKey.permissions["read"].as_boolean())
        .where(or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()))
        .where(User.status == UserStatus.ACTIVE, User.deleted_at.is_(None))
    )
    row = (await session.execute(query)).one_or_none()
    return None if row is None else row.expires_at or datetime.max.replace(tzinfo=UTC)


async def revoke_key(session: AsyncSession, id_: UUID) -> bool:
    """Revoke a key of the bound user; False when there is none."""
    statement = update(ApiKey).where(ApiKey.id == id_, ApiKey.is_active).values(is_active=False)
    return await session.scalar(statement.returning(ApiKey.id)) is not None


async def revoke_all(session: AsyncSession) -> None:
    """Revoke every key of the bound user."""
    await session.execute(update(ApiKey).where(ApiKey.is_active).values(is_active=False))


async def note_use(session: AsyncSession, id_: UUID) -> None:
    """Note that a key of the bound user is used."""
    await session.execute(update(ApiKey).where(ApiKey.id == id_).values(last_used_at=func.now()))
