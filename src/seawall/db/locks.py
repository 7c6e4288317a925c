"""Locks that order writers and readers of one subject, held until the transaction ends.

A writer of an asset's prices holds its lock alone and stamps its rows after it got it; a
measurement holds it shared and takes its knowledge time after it got it. So every row stamped
before that time is committed and visible, and every later one is stamped after it: what was known
then can be read again at any time.
"""

import zlib
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_ASSET_PRICES = 0x5EA1
# As `lock_audit_chain` has it, which the tables' triggers call.
_CHAIN = text("""
    SELECT pg_advisory_xact_lock(hashtextextended('audit_logs ' || bound::uuid, 0))
    FROM nullif(current_setting('app.user_id', true), '') AS bound WHERE bound IS NOT NULL
""")


async def lock_prices(
    session: AsyncSession, symbols: Iterable[str], *, shared: bool = False
) -> None:
    """Lock the prices of assets, in one order so that no two transactions wait for each other.

    By symbol, so that an asset can be locked before it is in the catalogue.
    """
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    for key in sorted({zlib.crc32(symbol.encode()) for symbol in symbols}):
        # PostgreSQL's integers have a sign.
        signed = key - 2**32 if key >= 2**31 else key
        await session.execute(
            text(f"SELECT {function}(:family, :asset)"),
            {"family": _ASSET_PRICES, "asset": signed},
        )


async def clock(session: AsyncSession) -> datetime:
    """Return the database's present instant, which moves on within a transaction."""
    found = await session.scalar(text("SELECT clock_timestamp()"))
    assert isinstance(found, datetime)  # noqa: S101 - the function never returns NULL
    return found


async def lock_chain(session: AsyncSession) -> None:
    """Lock the audit log's chain of the bound user, as every audited statement does first of all.

    Who locks rows for themselves takes it before them, or two transactions of one user could each
    wait for what the other has. A portfolio alone is locked before it, by everybody.
    """
    await session.execute(_CHAIN)
