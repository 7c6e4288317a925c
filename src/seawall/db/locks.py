"""Locks that order writers and readers of one subject, held until the transaction ends.

A writer of an asset's prices holds its lock alone and stamps its rows after it got it; a
measurement holds it shared and takes its knowledge time after it got it. So every row stamped
before that time is committed and visible, and every later one is stamped after it: what was known
then can be read again at any time.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_ASSET_PRICES = 0x5EA1


async def lock_prices(
    session: AsyncSession, asset_ids: Iterable[int], *, shared: bool = False
) -> None:
    """Lock the prices of assets, in one order so that no two transactions wait for each other."""
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    for asset_id in sorted(set(asset_ids)):
        await session.execute(
            text(f"SELECT {function}(:family, :asset)"),
            {"family": _ASSET_PRICES, "asset": asset_id},
        )


async def clock(session: AsyncSession) -> datetime:
    """Return the database's present instant, which moves on within a transaction."""
    found = await session.scalar(text("SELECT clock_timestamp()"))
    assert isinstance(found, datetime)  # noqa: S101 - the function never returns NULL
    return found
