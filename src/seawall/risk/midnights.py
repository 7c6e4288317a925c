"""Which midnights are to be measured: missed without a worker, or before prices came late."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import DAY
from seawall.db.locks import clock
from seawall.risk import store
from seawall.risk.exposure import Window

CAUGHT_UP = 30
"""How many midnights are made up for at most, of those that were missed or revised: the newest."""


async def find_missed(session: AsyncSession) -> list[datetime]:
    """Return the midnights that are over and not done, the earliest first.

    The first time that is asked, only the last one is.
    """
    last = Window(await clock(session), 0).last
    newest = await store.newest_midnight(session)
    missed = 1 if newest is None else (last - newest) // DAY
    return [last - back * DAY for back in reversed(range(min(missed, CAUGHT_UP)))]


async def find_revised(session: AsyncSession, since: datetime) -> list[datetime]:
    """Return the midnights from `since` on that were measured, or are being, the earliest first.

    Those that are missed are among them: measured once more or once too early, they are the same.
    """
    last = Window(await clock(session), 0).last
    oldest = await store.oldest_midnight(session)
    # One that is being measured is not noted yet, and may have read the prices of before.
    begun = last if oldest is None else min(oldest, last)
    first = max(since, begun, last - (CAUGHT_UP - 1) * DAY)
    return [first + ahead * DAY for ahead in range((last - first) // DAY + 1)]
