"""The chunks of a series that have expired as a whole: dropped, not emptied row by row."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.market import expiry
from seawall.ops.retention import Rule

# ruff: noqa: S608 - tables and conditions are the policy's, partitions the catalogue's

_NATIVE = text("""
    SELECT inhrelid::regclass::text, bounds[1]::timestamptz, bounds[2]::timestamptz
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid, regexp_match(
        pg_get_expr(relpartbound, inhrelid), 'FROM \\(''(.+)''\\) TO \\(''(.+)''\\)') AS bounds
    WHERE inhparent = CAST(:table AS regclass) AND bounds[2]::timestamptz <= :before
""")
_TIMESCALEDB = text("""
    SELECT chunk_name, range_start, range_end FROM timescaledb_information.chunks
    WHERE hypertable_schema = 'public' AND hypertable_name = :table AND range_end <= :before
""")
_DROP_OF_TIMESCALEDB = text("""
    SELECT drop_chunks(CAST(:table AS regclass), older_than => CAST(:end AS timestamptz),
        newer_than => CAST(:start AS timestamptz))
""")


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: str
    start: datetime
    end: datetime


async def drop_expired(session: AsyncSession, rule: Rule, cutoff: datetime) -> None:
    """Drop the chunks that end by then and hold rows of this rule alone.

    Raises:
        UnavailableError: somebody reads the series for long.
    """
    engine = await session.scalar(
        text("SELECT engine FROM series WHERE table_name = :table"), {"table": rule.table}
    )
    listed = _TIMESCALEDB if engine == "timescaledb" else _NATIVE
    rows = await session.execute(listed, {"table": rule.table, "before": cutoff})
    ended = [_Chunk(*row) for row in rows]
    chunks = [chunk for chunk in ended if not await _holds_others(session, rule, chunk)]
    if not chunks:
        return
    before = max(chunk.end for chunk in chunks)
    gone = await expiry.find_leaving(session, rule.table, rule.condition, before)
    # A reader of the series is waited for, but nobody for long behind this.
    await session.execute(text("SET LOCAL lock_timeout = '10s'"))
    for chunk in chunks:
        if engine == "timescaledb":
            bounds = {"table": rule.table, "start": chunk.start, "end": chunk.end}
            await session.execute(_DROP_OF_TIMESCALEDB, bounds)
        else:
            await session.execute(text(f"DROP TABLE {chunk.name}"))
    await expiry.mark_expired(session, rule.table, gone)


async def _holds_others(session: AsyncSession, rule: Rule, chunk: _Chunk) -> bool:
    if rule.condition == "true":
        return False
    others = text(
        f"SELECT EXISTS (SELECT FROM {rule.table}"
        f" WHERE time >= :start AND time < :end AND NOT ({rule.condition}))"
    )
    return bool(await session.scalar(others, {"start": chunk.start, "end": chunk.end}))
