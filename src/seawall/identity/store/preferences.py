"""The SQL of profiles and settings, which are there once they were changed."""

from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.tables import Profile, UserSettings

T = TypeVar("T", Profile, UserSettings)


async def find_row(session: AsyncSession, mapped: type[T]) -> T | None:
    """Return the bound user's row; None while its defaults hold."""
    found: T | None = await session.scalar(select(mapped))
    return found


async def lock_row(session: AsyncSession, mapped: type[T]) -> T:
    """Return the bound user's row, made where there is none, which nobody else changes then."""
    await session.execute(insert(mapped).values({}).on_conflict_do_nothing())
    return (await session.scalars(select(mapped).with_for_update())).one()


async def change_row(session: AsyncSession, row: T, changes: dict[str, Any]) -> T:
    """Change a row that was locked, and return it as it is then."""
    for name, value in changes.items():
        setattr(row, name, value)
    await session.flush()
    await session.refresh(row)
    return row
