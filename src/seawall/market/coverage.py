"""What is held of each series and what is missing, kept up to date by every import.

From its first row to its last, each instant of a series is held or lies in a gap that says why not.
What expired is a gap as well, which may lie before the first row that is still held.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from asyncpg import Connection
from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from seawall.db import bulk
from seawall.db.bulk import Column, instant
from seawall.db.session import raw_connection
from seawall.market import store
from seawall.market.gaps import (
    ABSENT,
    EXPIRED,
    GAP_COLUMNS,
    Explained,
    Gaps,
    SeriesKey,
    Times,
    edges,
    gaps_of,
)
from seawall.market.schemas import Gap, Timeframe
from seawall.market.tables import Asset, DataCoverage, DataGap, Exchange, Symbol

TOLD = or_(DataGap.reason == EXPIRED, DataGap.start_time > DataCoverage.first_time)
"""Which gaps are told: of what was there before the first row, only what expired."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """One series: what is held, and the longest of what is missing."""

    kind: str
    exchange: str
    symbol: str
    timeframe: str | None
    rows: int
    first_time: datetime
    last_time: datetime
    missing: int
    gap_count: int
    gaps: tuple[tuple[Gap, str], ...]
    is_simulated: bool


async def record(
    session: AsyncSession, key: SeriesKey, times: Times, inserted: int, stamp: datetime
) -> Gaps:
    """Bring a series' coverage up to date after `times` were written; return the gaps in between.

    `times` are all that is now held from the first to the last that was written. Only that range
    and its two neighbours are looked at, so the cost does not grow with the series.
    """
    first, last = _instants(times)
    coverage_id = await _record_extent(session, key, first, last, inserted, stamp)
    table = store.KEYED[key.kind]
    before, after = await store.neighbours(session, table, key.subject, first, last)
    inside = gaps_of(key, times)
    if inside is None:
        return np.empty(0, bulk.record_dtype(GAP_COLUMNS))
    removed = await remove_gaps(session, coverage_id, before, after)
    connection = await raw_connection(session)
    await _write_gaps(connection, coverage_id, ABSENT, inside)
    await add_gaps(session, coverage_id, edges(key, times, (before, after), removed))
    await count_missing(session, [coverage_id])
    return inside


async def remove_gaps(
    session: AsyncSession, coverage_id: int, after: datetime | None, before: datetime | None
) -> list[Explained]:
    """Forget a series' gaps between two instants, None being no bound; return them in order."""
    query = delete(DataGap).where(DataGap.coverage_id == coverage_id)
    if after is not None:
        query = query.where(DataGap.end_time > after)
    if before is not None:
        query = query.where(DataGap.start_time < before)
    columns = DataGap.start_time, DataGap.end_time, DataGap.missing, DataGap.reason
    rows = await session.execute(query.returning(*columns))
    found = [(Gap(*row[:3]), row.reason) for row in rows]
    return sorted(found, key=lambda each: each[0].start)


async def add_gaps(session: AsyncSession, coverage_id: int, gaps: Iterable[Explained]) -> None:
    """Write down gaps with their reasons; one in which nothing was due is none."""
    values = [
        {
            "coverage_id": coverage_id,
            "start_time": gap.start,
            "end_time": gap.end,
            "missing": gap.missing,
            "reason": reason,
        }
        for gap, reason in gaps
        if gap.missing > 0
    ]
    if values:
        await session.execute(insert(DataGap), values)


def _instants(times: Times) -> tuple[datetime, datetime]:
    return instant(times[0]), instant(times[-1])


async def _record_extent(
    session: AsyncSession,
    key: SeriesKey,
    first: datetime,
    last: datetime,
    inserted: int,
    stamp: datetime,
) -> int:
    fresh = insert(DataCoverage).values(
        kind=key.kind,
        asset_id=key.asset_id,
        symbol_id=key.symbol_id,
        timeframe=key.timeframe.seconds if key.timeframe else None,
        rows=inserted,
        first_time=first,
        last_time=last,
        missing=0,
        updated_at=stamp,
    )
    given = fresh.excluded
    statement = fresh.on_conflict_do_update(
        constraint="uq_data_coverage_series",
        set_={
            "rows": DataCoverage.rows + given.rows,
            # Where all has expired, nothing is held from the one to the other.
            "first_time": case(
                (DataCoverage.rows == 0, given.first_time),
                else_=func.least(DataCoverage.first_time, given.first_time),
            ),
            "last_time": case(
                (DataCoverage.rows == 0, given.last_time),
                else_=func.greatest(DataCoverage.last_time, given.last_time),
            ),
            "updated_at": given.updated_at,
        },
    ).returning(DataCoverage.id)
    return (await session.scalars(statement)).one()


async def _write_gaps(connection: Connection, coverage_id: int, reason: str, gaps: Gaps) -> None:
    width = f"S{len(reason)}"
    await bulk.write(
        connection,
        "data_gaps",
        gaps,
        GAP_COLUMNS,
        {Column("coverage_id", "<i4"): coverage_id, Column("reason", width): reason.encode()},
    )


async def count_missing(session: AsyncSession, coverage_ids: Sequence[int]) -> None:
    """Add up what is missing of series, and might be had; not what has expired.

    Nothing is missing of a series that has no rows: there is nothing between which it could be.
    """
    missing = (
        select(func.coalesce(func.sum(DataGap.missing), 0))
        .where(
            DataGap.coverage_id == DataCoverage.id,
            DataCoverage.rows > 0,
            TOLD,
            DataGap.reason != EXPIRED,
        )
        .scalar_subquery()
    )
    await session.execute(
        update(DataCoverage)
        .where(DataCoverage.id.in_(coverage_ids))
        .values(missing=missing)
        .execution_options(synchronize_session=False)
    )


async def list_coverage(session: AsyncSession, *, longest: int = 5) -> list[Coverage]:
    """Return every series with its extent and its `longest` gaps."""
    gaps = await _longest_gaps(session, longest)
    counts = dict(
        (
            await session.execute(
                select(DataGap.coverage_id, func.count())
                .join(DataCoverage)
                .where(TOLD)
                .group_by(DataGap.coverage_id)
            )
        ).all()
    )
    subject, base = aliased(Asset), aliased(Asset)
    rows = await session.execute(
        select(
            DataCoverage,
            Symbol.symbol,
            Exchange.code,
            subject.symbol,
            func.coalesce(base.is_simulated, subject.is_simulated),
        )
        .outerjoin(Symbol, Symbol.id == DataCoverage.symbol_id)
        .outerjoin(Exchange, Exchange.id == Symbol.exchange_id)
        .outerjoin(base, base.id == Symbol.base_asset_id)
        .outerjoin(subject, subject.id == DataCoverage.asset_id)
        .order_by(
            func.coalesce(Symbol.symbol, subject.symbol),
            Exchange.code,
            DataCoverage.kind,
            DataCoverage.timeframe,
        )
    )
    return [
        Coverage(
            kind=row.kind,
            exchange=exchange or "",
            symbol=pair or asset or "",
            timeframe=str(Timeframe(row.timeframe)) if row.timeframe else None,
            rows=row.rows,
            first_time=row.first_time,
            last_time=row.last_time,
            missing=row.missing,
            gap_count=counts.get(row.id, 0),
            gaps=tuple(gaps.get(row.id, ())),
            is_simulated=bool(simulated),
        )
        for row, pair, exchange, asset, simulated in rows
    ]


async def _longest_gaps(session: AsyncSession, longest: int) -> dict[int, list[tuple[Gap, str]]]:
    rank = func.row_number().over(
        partition_by=DataGap.coverage_id, order_by=(DataGap.missing.desc(), DataGap.start_time)
    )
    ranked = select(DataGap, rank.label("rank")).join(DataCoverage).where(TOLD).subquery()
    rows = await session.execute(
        select(ranked).where(ranked.c.rank <= longest).order_by(ranked.c.start_time)
    )
    found: dict[int, list[tuple[Gap, str]]] = {}
    for row in rows:
        gap = Gap(row.start_time, row.end_time, row.missing)
        found.setdefault(row.coverage_id, []).append((gap, row.reason))
    return found
