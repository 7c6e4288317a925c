"""The tasks of market data: keeping its series."""

from seawall.db import upkeep
from seawall.db.database import locate, open_admin
from seawall.db.engine import OWNER_ROLE
from seawall.jobs.crew import Given, Task


async def maintain(given: Given) -> None:
    """Make partitions ahead, bring rollups up to date, compress: as `seawall db maintain` does."""
    async with open_admin(locate(given.settings), role=OWNER_ROLE) as owner:
        await upkeep.maintain(owner)


TASKS = (Task("market.maintain", maintain),)
