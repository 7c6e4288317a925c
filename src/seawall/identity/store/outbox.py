"""The SQL of mail that waits."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.tables import OutboxMail

_RECORD = (
    OutboxMail.id,
    OutboxMail.user_id,
    OutboxMail.recipient,
    OutboxMail.subject,
    OutboxMail.body,
    OutboxMail.created_at,
    OutboxMail.sent_at,
)


async def add_mail(session: AsyncSession, **values: Any) -> None:
    """Put a mail to the bound user into the outbox; its body is sealed."""
    await session.execute(insert(OutboxMail).values(**values))


async def take_mail(session: AsyncSession, id_: UUID) -> RowMapping | None:
    """Return a mail of the bound user that is not sent yet, locked until the transaction ends."""
    query = select(*_RECORD).where(OutboxMail.id == id_, OutboxMail.sent_at.is_(None))
    return (await session.execute(query.with_for_update())).mappings().one_or_none()


async def list_mail(session: AsyncSession, limit: int) -> Sequence[RowMapping]:
    """Return the bound user's newest mails, the newest first."""
    query = select(*_RECORD).order_by(OutboxMail.created_at.desc(), OutboxMail.id).limit(limit)
    return (await session.execute(query)).mappings().all()


async def mark_sent(session: AsyncSession, id_: UUID) -> None:
    """Note that a mail was sent, and forget what it said."""
    await session.execute(
        update(OutboxMail).where(OutboxMail.id == id_).values(sent_at=func.now(), body=None)
    )
