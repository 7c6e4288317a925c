"""The SQL of requests that are to happen once: noted in the transaction of their effect."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.tables import IdempotencyKey

_LIFETIME = text("now() + interval '24 hours'")


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that happened before: what it asked, as a hash, and how it was answered."""

    request_hash: bytes
    status_code: int
    response: Any


async def claim(session: AsyncSession, key: str, request_hash: bytes) -> Answered | None:
    """Claim a key for the bound user; return how it was answered when it happened before.

    Of two who claim it at once the second waits for the first one's transaction to end.
    """
    fresh = {
        "request_hash": request_hash,
        "status_code": None,
        "response": None,
        "created_at": func.now(),
        "expires_at": _LIFETIME,
    }
    statement = insert(IdempotencyKey).values(key=key, **fresh)
    claimed = await session.scalar(
        statement.on_conflict_do_update(
            index_elements=["user_id", "key"],
            set_=fresh,
            where=IdempotencyKey.expires_at < func.now(),
        ).returning(IdempotencyKey.key)
    )
    if claimed is not None:
        return None
    query = select(IdempotencyKey.request_hash, IdempotencyKey.status_code, IdempotencyKey.response)
    row = (await session.execute(query.where(IdempotencyKey.key == key))).one()
    return Answered(*row)


async def answer(session: AsyncSession, key: str, status_code: int, response: Any) -> None:
    """Keep the answer to a claimed request."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.key == key)
        .values(status_code=status_code, response=response)
    )
