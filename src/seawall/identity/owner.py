"""The one user of an installation that nobody logs in to: whoever runs it."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.tables import User

OWNER_ID = UUID("00000000-0000-4000-8000-000000000001")
OWNER_NAME = "owner"


async def ensure_owner(session: AsyncSession) -> None:
    """Put the owner into the table of users, when it is not there."""
    await session.execute(
        insert(User).values(id=OWNER_ID, username=OWNER_NAME).on_conflict_do_nothing()
    )
