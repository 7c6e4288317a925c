"""How far somebody has followed the database: a snapshot, by which it is known what came since.

A row tells by `changed_in` which transaction wrote it, and a snapshot which transactions were over.
So what is told after one snapshot and before another is exactly what was committed in between,
whichever order it was written in, however long it took, and whichever process asks.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import from_micros, to_micros

WINDOW = timedelta(days=1)
"""How far back a position may lie to be gone on from."""
CHANGED_SINCE = """
    {table}.changed_in >= pg_snapshot_xmin(CAST(CAST(:since AS text) AS pg_snapshot))::text::bigint
    AND NOT pg_visible_in_snapshot({table}.changed_in::text::xid8,
        CAST(CAST(:since AS text) AS pg_snapshot))
"""
"""The condition of SQL on a table's rows; an index on `changed_in` serves the first line."""
# The time is told after the snapshot was taken, so that no row in it was stamped later. A copy of
# the database that went its own way counts its transactions from the same number on: the timeline
# tells them apart.
_HERE = text("""
    SELECT pg_current_snapshot()::text, clock_timestamp(), concat_ws(
        ' ', system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8),
        (SELECT oid FROM pg_database WHERE datname = current_database())
    ) FROM pg_control_system()
""")
_STEADY = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_WRITTEN = re.compile(
    r"(?P<database>[0-9a-f]{8})\.(?P<at>[0-9]{1,18})\.(?P<xmin>[0-9]{1,19})-(?P<xmax>[0-9]{1,19})"
    r"-(?P<open>(?:[0-9]{1,19}(?:_[0-9]{1,19})*)?)",
    re.ASCII,
)
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class Position:
    """A snapshot of a database, and when it was taken."""

    database: str
    at: datetime
    snapshot: str

    def write(self) -> str:
        """Write it in one word."""
        packed = self.snapshot.replace(":", "-").replace(",", "_")
        return f"{self.database}.{to_micros(self.at)}.{packed}"

    def leads_to(self, here: "Position") -> bool:
        """Say whether what came since can be told."""
        return (
            self.database == here.database
            and here.at - self.at <= WINDOW
            and _ends(self.snapshot) <= _ends(here.snapshot)
        )


def _ends(snapshot: str) -> int:
    return int(snapshot.split(":")[1])


def read_position(written: str) -> Position | None:
    """Read what was written; None when it is not a position."""
    found = _WRITTEN.fullmatch(written) if len(written) <= _LONGEST else None
    if found is None:
        return None
    first, last = int(found["xmin"]), int(found["xmax"])
    still = [int(each) for each in found["open"].split("_")] if found["open"] else []
    in_order = all(one < other for one, other in pairwise(still))
    inside = not still or first <= still[0] <= still[-1] < last
    if not (0 < first <= last < 1 << 63 and in_order and inside):
        return None
    snapshot = f"{first}:{last}:{','.join(map(str, still))}"
    try:
        return Position(found["database"], from_micros(int(found["at"])), snapshot)
    except OverflowError:
        return None


async def hold_still(session: AsyncSession) -> Position:
    """Let a transaction, before all else in it, see one state of the database; return which."""
    await session.execute(_STEADY)
    snapshot, at, name = (await session.execute(_HERE)).one()
    return Position(hashlib.sha256(name.encode()).hexdigest()[:8], at, snapshot)
