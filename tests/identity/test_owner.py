"""An installation that nobody logs in to has one owner."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, OWNER_NAME, ensure_owner
from seawall.identity.tables import User


async def test_the_owner_is_there_once_however_often_it_is_ensured(engine: AsyncEngine) -> None:
    for _ in range(2):
        async with transaction(engine, OWNER_ID) as session:
            await ensure_owner(session)
            await ensure_owner(session)
    async with transaction(engine, OWNER_ID) as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 1
        owner = (await session.scalars(select(User))).one()
        assert (owner.id, owner.username) == (OWNER_ID, OWNER_NAME)
        assert owner.created_at.tzinfo is not None


async def test_a_name_that_the_owner_was_given_is_kept(engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        (await session.scalars(select(User))).one().username = "ada"
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        assert await session.scalar(select(User.username)) == "ada"
