"""Which midnights portfolios are still to be measured as of, after a time without a worker."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import DAY
from seawall.db.locks import clock
from seawall.risk import store
from seawall.risk.exposure import Window

CAUGHT_UP = 30
"""How many missed midnights are made up for at most: the newest."""


async def find_missed(session: AsyncSession) -> list[datetime]:
    """Return the midnights that are over and not done, the earliest first.

    The first time that is asked, only the last one is.
    """
    last = Window(await clock(session), 0).last
    newest = await store.newest_midnight(session)
    missed = 1 if newest is None else (last - newest) // DAY
    return [last - back * DAY for back in reversed(range(min(missed, CAUGHT_UP)))]
