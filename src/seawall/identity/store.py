"""The SQL of users, before a transaction is bound to one of them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.schemas import LoginRecord, UserStatus

_FIND_USER = text(
    "SELECT id, password_hash, status, email_verified, two_factor_enabled"
    " FROM find_user_by_email(:email)"
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


async def list_users(session: AsyncSession) -> Sequence[UUID]:
    """Return every living user, in no order; a worker's session alone may ask."""
    return (await session.scalars(select(func.list_users()))).all()
