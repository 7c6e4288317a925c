"""The SQL of links that are good once."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, insert, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.schemas import Purpose
from seawall.identity.tables import OneTimeToken

_FIND = text("SELECT id, user_id, email FROM find_one_time_token(:purpose, :token_hash)")


@dataclass(frozen=True, slots=True)
class FoundToken:
    """Whose link it is, and the address that it was sent to."""

    id: UUID
    user_id: UUID
    email: str


async def find_token(
    session: AsyncSession, purpose: Purpose, token_hash: bytes
) -> FoundToken | None:
    """Return the token behind a link that is good now; the session may be unbound."""
    row = (
        await session.execute(_FIND, {"purpose": purpose, "token_hash": token_hash})
    ).one_or_none()
    return None if row is None else FoundToken(*row)


async def add_token(
    session: AsyncSession, purpose: Purpose, email: str, token_hash: bytes, lifetime: timedelta
) -> None:
    """Add a token of the bound user, which takes the place of one that was not used."""
    await void_tokens(session, purpose)
    await session.execute(
        insert(OneTimeToken).values(
            purpose=purpose,
            email=email,
            token_hash=token_hash,
            expires_at=func.now() + lifetime,
        )
    )


async def void_tokens(session: AsyncSession, *purposes: Purpose) -> None:
    """Let the bound user's links of these purposes be good no more."""
    await session.execute(
        update(OneTimeToken)
        .where(OneTimeToken.purpose.in_(purposes), OneTimeToken.used_at.is_(None))
        .values(used_at=func.now())
    )


async def use_token(session: AsyncSession, id_: UUID) -> bool:
    """Use up a token of the bound user; False when somebody did before, or its time is over."""
    statement = (
        update(OneTimeToken)
        .where(
            OneTimeToken.id == id_,
            OneTimeToken.used_at.is_(None),
            OneTimeToken.expires_at > func.now(),
        )
        .values(used_at=func.now())
        .returning(OneTimeToken.id)
    )
    return await session.scalar(statement) is not None
