"""Which seed a database holds; nothing made up gets into one that holds anything else."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, InvalidError
from seawall.core.time import iso, parse_time
from seawall.db.rotation import list_tenants
from seawall.identity.owner import OWNER_ID
from seawall.identity.tables import SystemSetting

SETTING = "seed"
EXCHANGE = "seed"
"""The venue of everything that a seed quotes."""
_ELSEWHERE = (
    "Give the seed a database of its own: SEAWALL_DATABASE__NAME=seawall_seed seawall db seed …"
)
# Whatever anybody keeps begins with one of these. It is asked as the installation's owner, the one
# user whom an empty database may have.
_HELD = text("""
    SELECT name FROM (VALUES
        ('assets', EXISTS (SELECT FROM assets)),
        ('exchanges', EXISTS (SELECT FROM exchanges)),
        ('portfolios', EXISTS (SELECT FROM portfolios)),
        ('strategies', EXISTS (SELECT FROM strategies))
    ) AS held (name, found) WHERE found
""")


class SeedProfile(StrEnum):
    """What a seed is for: to look at every page, or to measure with many users."""

    DEV = "dev"
    PERF = "perf"


@dataclass(frozen=True, slots=True)
class Seed:
    """What a database is seeded with: so many users, and prices of some days until an instant."""

    profile: SeedProfile
    until: datetime
    users: int = 0
    days: int = 0


async def claim(session: AsyncSession, wanted: Seed) -> tuple[Seed, bool]:
    """Take an empty database for a seed, or find the seed that it holds; true when it was empty.

    The seed is nobody else's to change until the transaction ends, which is the owner's.

    Raises:
        ConflictError: the database holds another profile's seed, or what is no seed's.
    """
    taken = await session.scalar(
        insert(SystemSetting)
        .values(
            setting_key=SETTING,
            setting_value=_packed(wanted),
            description="Everything in this database is made up.",
        )
        .on_conflict_do_nothing(index_elements=["setting_key"])
        .returning(SystemSetting.id)
    )
    if taken is not None:
        await _require_empty(session)
        return wanted, True
    found = await _read(session)
    if found.profile is not wanted.profile:
        raise ConflictError(
            f"This database holds the seed {found.profile}, so {wanted.profile} has no place here.",
            hint=_ELSEWHERE,
        )
    return found, False


async def grow(session: AsyncSession, seed: Seed, users: int) -> Seed:
    """Say that the seed has so many users from this transaction on."""
    grown = replace(seed, users=users)
    await session.execute(
        update(SystemSetting)
        .where(SystemSetting.setting_key == SETTING)
        .values(setting_value=_packed(grown))
    )
    return grown


async def _read(session: AsyncSession) -> Seed:
    value: dict[str, Any] = (
        await session.scalars(
            select(SystemSetting.setting_value)
            .where(SystemSetting.setting_key == SETTING)
            .with_for_update()
        )
    ).one()
    try:
        return Seed(
            SeedProfile(value["profile"]), parse_time(value["until"]), value["users"], value["days"]
        )
    except (InvalidError, KeyError, TypeError, ValueError):
        raise ConflictError(
            f"The setting {SETTING!r} of this database is not what a seed writes there.",
            hint=_ELSEWHERE,
        ) from None


def _packed(seed: Seed) -> dict[str, object]:
    return {
        "profile": seed.profile.value,
        "until": iso(seed.until),
        "users": seed.users,
        "days": seed.days,
    }


async def _require_empty(session: AsyncSession) -> None:
    others = set(await list_tenants(session)) - {OWNER_ID}
    held = [f"{len(others)} users"] if others else []
    held += await session.scalars(_HELD)
    if held:
        raise ConflictError(
            f"This database has {', '.join(held)} that no seed put there; made-up data is never"
            " mixed with them.",
            hint=_ELSEWHERE,
        )
