"""Deferring a job by its name, inside the transaction that causes it."""

import json
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_DEFER = text("SELECT defer_job(:name, :key, :urgency, CAST(:ids AS jsonb))")


async def defer(
    session: AsyncSession,
    name: str,
    *,
    key: str,
    urgency: int = 0,
    **ids: str | int | UUID | Sequence[str],
) -> None:
    """Queue a job with the session's transaction: it is there when that commits, and not before.

    One job of a name and key waits at most. Of one that waits already nothing is changed, but no
    worker takes it before the transaction ends, so that it sees what the transaction has written.
    Jobs of one name run one after the other, the more urgent first. `ids` tell the task what to
    work on, and have to be the same for the same key.
    """
    known = {each: str(value) if isinstance(value, UUID) else value for each, value in ids.items()}
    await session.execute(
        _DEFER, {"name": name, "key": key, "urgency": urgency, "ids": json.dumps(known)}
    )
