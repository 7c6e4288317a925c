"""An avatar's address that the API lets in no more goes, and stays in its user's log."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db import migrate
from seawall.db.session import transaction

WERE = ("/static/a.png", "http://pics.example/b.png", "https://pics.example/c.png", None)


async def test_an_address_that_goes_is_in_its_user_s_log(
    admin: AsyncEngine, engine: AsyncEngine
) -> None:
    await migrate.downgrade(admin, "0033")
    users = [UUID(int=each) for each in range(1, 1 + len(WERE))]
    for user, address in zip(users, WERE, strict=True):
        async with transaction(engine, user) as session:
            await session.execute(
                text("INSERT INTO users (id, username) VALUES (:user, :name)"),
                {"user": user, "name": str(user)},
            )
            await session.execute(
                text("INSERT INTO profiles (avatar_url) VALUES (:address)"), {"address": address}
            )
    await migrate.upgrade(admin)
    found = []
    for user in users:
        async with transaction(engine, user) as session:
            kept = await session.scalar(text("SELECT avatar_url FROM profiles"))
            logged = await session.scalars(
                text(
                    "SELECT old_data ->> 'avatar_url' FROM audit_logs"
                    " WHERE table_name = 'profiles' AND operation = 'UPDATE'"
                )
            )
            found.append((kept, logged.all()))
    assert found == [(None, [WERE[0]]), (None, [WERE[1]]), (WERE[2], []), (None, [])]
