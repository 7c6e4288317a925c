"""Taking expired rows out: counted, archived where the policy says so, then deleted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from seawall.db import upkeep
from seawall.db.faults import translated
from seawall.db.migrate import LOCK
from seawall.db.series import CANDLES_BY_DAY, PRICES_BY_DAY, SERIES
from seawall.ops import archive, chunks, leaving
from seawall.ops.leaving import Span, midnight
from seawall.ops.retention import POLICY, Profile, Rule

# ruff: noqa: S608 - tables and conditions are the policy's

ROWS_PER_FILE = 100_000
"""About how many rows one file holds, which go through memory at once."""
_BEHIND = {CANDLES_BY_DAY.name: "candles 1h to below 1d", PRICES_BY_DAY.name: "price_history"}
"""By which rule the rows behind each rollup leave."""
_SERIES = {series.table for series in SERIES}


@dataclass(frozen=True, slots=True)
class Expired:
    """Rows of one rule that are past their time, by month."""

    rule: Rule
    cutoff: datetime
    month: date
    rows: int

    @property
    def span(self) -> Span:
        """When they are of."""
        next_month = midnight((self.month + timedelta(days=31)).replace(day=1))
        return Span(self.rule, self.cutoff, midnight(self.month), min(next_month, self.cutoff))


async def find_expired(owner: AsyncEngine, profile: Profile, now: datetime) -> list[Expired]:
    """Count what is past its time, and change nothing."""
    found = []
    with translated():
        async with owner.connect() as connection:
            for rule in POLICY:
                if (cutoff := rule.cutoff(profile, now)) is not None:
                    found += await _count(connection, rule, cutoff)
    return found


async def _count(connection: AsyncConnection, rule: Rule, cutoff: datetime) -> list[Expired]:
    rows = await connection.execute(
        text(
            f"SELECT date_trunc('month', {rule.time}, 'UTC') AS month, count(*) FROM {rule.table}"
            f" WHERE ({rule.condition}) AND {rule.time} < :cutoff GROUP BY 1 ORDER BY 1"
        ),
        {"cutoff": cutoff},
    )
    return [Expired(rule, cutoff, month.date(), count) for month, count in rows]


async def expire(
    owner: AsyncEngine, profile: Profile, now: datetime, folder: Path
) -> AsyncIterator[Expired]:
    """Take out what is past its time, a file or a month in one transaction; report each month.

    Whatever interrupts it, a row is in the database or in the archive, and the next run goes on.

    Raises:
        ConflictError: the folder is the archive of another database.
        UnavailableError: an archive cannot be written; its rows are all still there.
    """
    with translated():
        async with _alone(owner):
            await archive.settle(owner, folder)
            await _freeze_rollups(owner, profile, now)
            for rule in POLICY:
                cutoff = rule.cutoff(profile, now)
                if cutoff is not None:
                    async for each in _expire(owner, rule, cutoff, folder):
                        yield each
                    if rule.archived:
                        await archive.write_manifests(owner, folder, rule.table)


@asynccontextmanager
async def _alone(owner: AsyncEngine) -> AsyncIterator[None]:
    """Let another run end first, or a migration, or a conversion of series."""
    async with owner.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        try:
            yield
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})


async def _freeze_rollups(owner: AsyncEngine, profile: Profile, now: datetime) -> None:
    """Sum up the days whose rows are about to go, which then stay as they are."""
    for series in SERIES:
        if series.rollups:
            await upkeep.maintain(owner, series)
    async with owner.begin() as connection:
        for rollup, name in _BEHIND.items():
            cutoff = next(rule for rule in POLICY if rule.name == name).cutoff(profile, now)
            await connection.execute(
                # Rows that have left do not come back when others are kept longer.
                text("UPDATE rollups SET keep = greatest(keep, :cutoff) WHERE name = :rollup"),
                {"cutoff": cutoff, "rollup": rollup},
            )


async def _expire(
    owner: AsyncEngine, rule: Rule, cutoff: datetime, folder: Path
) -> AsyncIterator[Expired]:
    async with owner.connect() as connection:
        months = await _count(connection, rule, cutoff)
        await connection.rollback()
    if months and rule.table in _SERIES and not rule.archived:
        async with AsyncSession(owner) as session, session.begin():
            await chunks.drop_expired(session, rule, cutoff)
    for each in months:
        if rule.archived:
            for span in await _cut(owner, each):
                await _archive(owner, span, folder)
        else:
            async with AsyncSession(owner) as session, session.begin():
                await leaving.delete(session, each.span)
        yield each


async def _archive(owner: AsyncEngine, span: Span, folder: Path) -> None:
    async with AsyncSession(owner) as session, session.begin():
        path = await leaving.take_out(session, span, folder)
    if path is not None:
        archive.publish(path)


async def _cut(owner: AsyncEngine, expired: Expired) -> list[Span]:
    """Cut a month into spans that a file can hold; rows of one instant stay together."""
    span, rule = expired.span, expired.rule
    if expired.rows <= ROWS_PER_FILE:
        return [span]
    async with owner.connect() as connection:
        starts = await connection.scalars(
            text(
                f"SELECT DISTINCT min({rule.time}) FROM ("
                f"     SELECT {rule.time}, (row_number() OVER (ORDER BY {rule.time}) - 1) / :most"
                f" AS part FROM {rule.table} WHERE {span.where}"
                " ) AS numbered GROUP BY part ORDER BY 1"
            ),
            {**span.values, "most": ROWS_PER_FILE},
        )
    bounds = [span.first, *starts.all()[1:], span.last]
    return [Span(rule, expired.cutoff, *each) for each in pairwise(bounds)]
