"""The SQL of how often somebody guessed."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def count_guess(session: AsyncSession, what_hash: bytes, resets_at: datetime) -> int:
    """Count one guess more in the window that ends then; return how many there are by now."""
    given = {"what": what_hash, "resets_at": resets_at}
    counted = await session.scalar(text("SELECT count_guess(:what, :resets_at)"), given)
    return int(counted)
