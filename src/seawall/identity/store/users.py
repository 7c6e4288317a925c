"""The SQL of users: before a transaction is bound to one of them, and after."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnExpressionArgument,
    LargeBinary,
    RowMapping,
    any_,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.engine import TenantConnection
from seawall.identity.schemas import LeftRecord, LoginRecord, UserRecord, UserStatus
from seawall.identity.tables import User

_FIND_USER = text(
    "SELECT id, password_hash, status, email_verified, two_factor_enabled"
    " FROM find_user_by_email(:email)"
)
_RECORD = (
    User.id,
    User.username,
    User.email,
    User.email_verified,
    User.tier,
    User.status,
    User.is_superuser,
    User.password_hash.is_not(None).label("has_password"),
    User.two_factor_enabled,
    func.cardinality(User.recovery_codes).label("recovery_codes_left"),
    User.created_at,
    User.last_login_at,
)


async def find_user_by_email(session: AsyncSession, email: str) -> LoginRecord | None:
    """Return the living user of an email, whatever its case; the session may be unbound."""
    row = (await session.execute(_FIND_USER, {"email": email})).one_or_none()
    if row is None:
        return None
    return LoginRecord(
        row.id,
        row.password_hash,
        UserStatus(row.status),
        row.email_verified,
        row.two_factor_enabled,
    )


async def old_hash_cost(session: AsyncSession) -> int | None:
    """Return the highest cost of the bcrypt hashes that are left; None when none is."""
    found: int | None = await session.scalar(select(func.old_hash_cost()))
    return found


async def list_users(session: AsyncSession) -> Sequence[UUID]:
    """Return every living user, in no order; a worker's session alone may ask."""
    return (await session.scalars(select(func.list_users()))).all()


async def add_user(session: AsyncSession, **values: Any) -> None:
    """Add a user, whom the session is bound to."""
    await session.execute(insert(User).values(**values))


async def find_user(session: AsyncSession) -> UserRecord | None:
    """Return the user that the session is bound to, unless they are deleted."""
    query = select(*_RECORD).where(User.deleted_at.is_(None))
    row = (await session.execute(query)).mappings().one_or_none()
    return None if row is None else _record(row)


def _record(row: RowMapping) -> UserRecord:
    return UserRecord(**{**row, "status": UserStatus(row["status"])})


async def change_user(
    session: AsyncSession, *conditions: ColumnExpressionArgument[bool], **values: Any
) -> bool:
    """Change the user that the session is bound to, where they are as expected; tell whether."""
    statement = update(User).where(User.deleted_at.is_(None), *conditions).values(**values)
    return (await session.scalar(statement.returning(User.id))) is not None


async def delete_user(session: AsyncSession) -> datetime | None:
    """Mark the bound user as deleted; None when they are already."""
    statement = update(User).where(User.deleted_at.is_(None)).values(deleted_at=func.now())
    found: datetime | None = await session.scalar(statement.returning(User.deleted_at))
    return found


async def restore_user(session: AsyncSession, *conditions: ColumnExpressionArgument[bool]) -> bool:
    """Mark the bound user as living again, where they are as expected; tell whether."""
    statement = update(User).where(User.deleted_at.is_not(None), *conditions)
    return await session.scalar(statement.values(deleted_at=None).returning(User.id)) is not None


async def find_deleted(session: AsyncSession) -> LeftRecord | None:
    """Return the bound user, if they are deleted."""
    query = select(User.id, User.username, User.email, User.deleted_at)
    row = (await session.execute(query.where(User.deleted_at.is_not(None)))).one_or_none()
    if row is None or row.deleted_at is None:
        return None
    return LeftRecord(row.id, row.username, row.email, row.deleted_at)


async def list_tenants(session: AsyncSession) -> Sequence[UUID]:
    """Return every user, deleted ones too; a worker's session alone may ask."""
    return (await session.scalars(select(func.list_tenants()))).all()


async def list_users_to_purge(session: AsyncSession) -> Sequence[UUID]:
    """Return who was deleted 30 days ago; a worker's session alone may ask."""
    return (await session.scalars(select(func.list_users_to_purge()))).all()


async def purge_user(session: AsyncSession, id_: UUID) -> bool:
    """Remove who was deleted 30 days ago, with every row; False when there is no such user."""
    return bool(await session.scalar(select(func.purge_user(id_))))


async def lock_user(session: AsyncSession) -> bool:
    """Let one transaction of the bound user at a time go on; False when there is no such user."""
    return await session.scalar(select(User.id).with_for_update()) is not None


async def find_tier(session: AsyncSession) -> str:
    """Return the bound user's tier."""
    found: str | None = await session.scalar(select(User.tier))
    return found or "free"


async def lock_tier(connection: TenantConnection) -> str:
    """Return the bound user's tier; one transaction of theirs at a time goes on from here."""
    found: str | None = await connection.fetchval("SELECT tier FROM users FOR UPDATE")
    return found or "free"


async def password_hash(session: AsyncSession) -> str | None:
    """Return the hash of the bound user's password."""
    found: str | None = await session.scalar(select(User.password_hash))
    return found


async def two_factor_secret(session: AsyncSession) -> bytes | None:
    """Return the bound user's sealed secret of the second factor, in use or to be confirmed."""
    found: bytes | None = await session.scalar(select(User.two_factor_secret))
    return found


async def use_step(session: AsyncSession, step: int) -> bool:
    """Use up a step of the second factor; False when it, or a later one, was used before."""
    later = or_(User.two_factor_step.is_(None), User.two_factor_step < step)
    return await change_user(session, later, two_factor_step=step)


async def use_recovery_code(session: AsyncSession, code_hash: bytes) -> bool:
    """Use up a recovery code of the bound user; False when it is none that is left."""
    return await change_user(
        session,
        User.two_factor_enabled,
        literal(code_hash, LargeBinary()) == any_(User.recovery_codes),
        recovery_codes=func.array_remove(User.recovery_codes, code_hash),
    )
