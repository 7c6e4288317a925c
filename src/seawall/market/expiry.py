"""What coverage says of rows that expired, and of those that came back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import ARRAY, BigInteger, DateTime, Integer, bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.market import coverage, store
from seawall.market.gaps import EXPIRED, SeriesKey, without
from seawall.market.schemas import SeriesKind, Timeframe
from seawall.market.tables import DataCoverage

_COVERED = {keyed.series.table: kind for kind, keyed in store.KEYED.items()}
# Held stretches are what lies between the gaps; the last one reaches to the next row that stays.
_LEAVING = """
    SELECT data_coverage.id, began, ended, next_time, (
        SELECT count(*) FROM {table} WHERE {same} AND time >= began AND time < ended
    ) AS rows
    FROM data_coverage
    CROSS JOIN LATERAL (
        SELECT min(time) AS next_time FROM {table} WHERE {same} AND time >= :before
    ) AS next
    CROSS JOIN LATERAL (
        SELECT first_time AS began UNION ALL
        SELECT end_time FROM data_gaps
        WHERE coverage_id = data_coverage.id AND end_time > first_time AND end_time < :before
    ) AS beginnings
    CROSS JOIN LATERAL (
        SELECT least(min(start_time), coalesce(next_time,
            last_time + make_interval(secs => coalesce(timeframe, 86400)))) AS ended
        FROM data_gaps WHERE coverage_id = data_coverage.id AND start_time >= began
    ) AS endings
    WHERE kind = :kind AND rows > 0 AND first_time < :before AND ({condition})
    ORDER BY id, began
"""
# What follows on a stretch that expired before makes that one longer.
_ADD_EXPIRED = text("""
    WITH left_now AS (
        SELECT * FROM unnest(:ids, :begins, :ends, :rows) AS it (id, began, ended, rows)
    ), longer AS (
        UPDATE data_gaps SET end_time = ended, missing = missing + rows
        FROM left_now
        WHERE coverage_id = id AND reason = 'expired' AND end_time = began
        RETURNING coverage_id, end_time
    )
    INSERT INTO data_gaps (coverage_id, start_time, end_time, missing, reason)
    SELECT id, began, ended, rows, 'expired' FROM left_now
    WHERE (id, ended) NOT IN (SELECT coverage_id, end_time FROM longer)
""").bindparams(
    bindparam("ids", type_=ARRAY(Integer())),
    bindparam("begins", type_=ARRAY(DateTime(timezone=True))),
    bindparam("ends", type_=ARRAY(DateTime(timezone=True))),
    bindparam("rows", type_=ARRAY(BigInteger())),
)
_SHRINK = text("""
    UPDATE data_coverage SET updated_at = now(), first_time = coalesce(:next, last_time),
        rows = CASE WHEN CAST(:next AS timestamptz) IS NULL THEN 0
            ELSE greatest(rows - :left_now, 1) END
    WHERE id = :id
""")


@dataclass(frozen=True, slots=True)
class Leaving:
    """A stretch of held rows that is about to go; `next_time` is the first row that stays."""

    coverage_id: int
    start: datetime
    end: datetime
    next_time: datetime | None
    rows: int


async def find_leaving(
    session: AsyncSession, table: str, condition: str, before: datetime
) -> list[Leaving]:
    """Find what leaves the series of a table when its rows before an instant go."""
    kind = _COVERED.get(table)
    if kind is None:
        return []
    same = " AND ".join(
        f"{table}.{column.name} = data_coverage.{column.name}"
        for column in store.KEYED[kind].subject
    )
    query = _LEAVING.format(table=table, same=same, condition=condition)
    rows = await session.execute(text(query), {"kind": kind, "before": before})
    return [Leaving(*row) for row in rows]


async def mark_expired(session: AsyncSession, table: str, gone: Sequence[Leaving]) -> None:
    """Bring coverage up to date after rows have left; each series begins where its rows begin."""
    if _COVERED.get(table) in {SeriesKind.CANDLES, SeriesKind.PRICES}:
        told = [each for each in gone if each.rows]
        await session.execute(
            _ADD_EXPIRED,
            {
                "ids": [each.coverage_id for each in told],
                "begins": [each.start for each in told],
                "ends": [each.end for each in told],
                "rows": [each.rows for each in told],
            },
        )
    left: dict[int, dict[str, Any]] = {}
    for each in gone:
        found = left.setdefault(each.coverage_id, {"next": each.next_time, "left_now": 0})
        found["left_now"] += each.rows
    if left:
        await session.execute(_SHRINK, [{"id": id_, **values} for id_, values in left.items()])
        await coverage.count_missing(session, list(left))


def is_covered(table: str) -> bool:
    """Tell whether the rows of a table are counted by coverage."""
    return table in _COVERED


def series_keys(table: str) -> list[str]:
    """Return the columns that name a row's series, in a table that is covered."""
    return [column.name for column in store.KEYED[_COVERED[table]].subject]


async def mark_restored(
    session: AsyncSession, table: str, subject: Mapping[str, int], times: Sequence[datetime]
) -> None:
    """Bring coverage up to date after expired rows of a series came back at `times`, in order."""
    kind = _COVERED[table]
    conditions = [getattr(DataCoverage, name) == value for name, value in subject.items()]
    held = await session.scalar(
        select(DataCoverage).where(DataCoverage.kind == kind, *conditions).with_for_update()
    )
    if held is None:
        return
    first, last = times[0], times[-1]
    if held.rows:
        first, last = min(first, held.first_time), max(last, held.last_time)
    await session.execute(
        update(DataCoverage)
        .where(DataCoverage.id == held.id)
        .values(rows=DataCoverage.rows + len(times), first_time=first, last_time=last)
    )
    if held.timeframe is not None:
        key = SeriesKey(kind, Timeframe(held.timeframe), held.symbol_id, held.asset_id)
        after_last = times[-1] + timedelta(microseconds=1)
        known = await coverage.remove_gaps(session, held.id, times[0], after_last)
        left = chain.from_iterable(
            ((part, reason) for part in (without(key, gap, times) if reason == EXPIRED else [gap]))
            for gap, reason in known
        )
        await coverage.add_gaps(session, held.id, left)
    await coverage.count_missing(session, [held.id])
