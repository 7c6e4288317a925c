"""Rows on their way out of the database, and what has to know of it in the same transaction."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.audit.ageing import Ageing, log_ageing
from seawall.db import migrate
from seawall.db.series import SERIES
from seawall.db.session import raw_connection
from seawall.market import expiry
from seawall.ops import parquet
from seawall.ops.archive import part
from seawall.ops.retention import Rule
from seawall.ops.tables import Archive

# ruff: noqa: S608 - tables and conditions are the policy's, columns the catalogue's

_SUMMED_UP = {series.table for series in SERIES if series.rollups}
_BEGIN = text("""
    SELECT set_config('seawall.ageing', pg_current_xact_id()::text, true),
        -- TimescaleDB refuses what unpacks many rows, to save who asks for it by accident.
        set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true)
""")
_ANNOUNCE = text("SELECT set_config(:name, pg_current_xact_id()::text, true)")
_IS_AUDITED = text("""
    SELECT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = CAST(:table AS regclass) AND tgname = 'audit_' || :table
    )
""")


@dataclass(frozen=True, slots=True)
class Span:
    """What has expired of a rule from one instant to another, both in one month."""

    rule: Rule
    cutoff: datetime
    first: datetime
    last: datetime

    @property
    def where(self) -> str:
        """Which rows these are, in SQL."""
        time = self.rule.time
        return f"({self.rule.condition}) AND {time} >= :first AND {time} < :last"

    @property
    def values(self) -> dict[str, datetime]:
        """What the parameters of `where` are."""
        return {"first": self.first, "last": self.last, "cutoff": self.cutoff}

    @property
    def month(self) -> date:
        """The month that it lies in."""
        return self.first.astimezone(UTC).date().replace(day=1)


def midnight(day: date) -> datetime:
    """Return the instant at which a day begins."""
    return datetime.combine(day, time(), UTC)


async def begin(session: AsyncSession, table: str) -> None:
    """Say that rows of a table are moved by retention, until the transaction ends.

    The audit log does not repeat them one by one, and no rollup follows: days outlive the rows
    behind them.
    """
    await session.execute(_BEGIN)
    if table in _SUMMED_UP:
        await session.execute(_ANNOUNCE, {"name": f"seawall.announced_{table}"})


async def is_audited(session: AsyncSession, table: str) -> bool:
    """Tell whether changes of a table are logged."""
    return bool(await session.scalar(_IS_AUDITED, {"table": table}))


async def delete(session: AsyncSession, span: Span) -> None:
    """Delete what has expired."""
    table = span.rule.table
    await begin(session, table)
    gone = await expiry.find_leaving(session, table, span.rule.condition, span.last)
    query = f"DELETE FROM {table} WHERE {span.where}"
    if await is_audited(session, table):
        counted = await session.execute(
            text(
                f"WITH gone AS ({query} RETURNING user_id)"
                " SELECT user_id, count(*) AS number FROM gone GROUP BY user_id"
            ),
            span.values,
        )
        rows: dict[UUID, int] = {row.user_id: row.number for row in counted}
        expired = Ageing("EXPIRE", table, span.month)
        await log_ageing(await session.connection(), expired, rows)
    else:
        await session.execute(text(query), span.values)
    await expiry.mark_expired(session, table, gone)


async def take_out(session: AsyncSession, span: Span, folder: Path) -> Path | None:
    """Move what has expired into a file; return its path, which is to be published after commit.

    Raises:
        UnavailableError: the file cannot be written; the transaction has to be undone.
    """
    rule = span.rule
    await begin(session, rule.table)
    columns = await parquet.read_columns(await raw_connection(session), rule.table)
    gone = await expiry.find_leaving(session, rule.table, rule.condition, span.last)
    selected = ", ".join(column.select for column in columns)
    found = await session.execute(
        text(f"DELETE FROM {rule.table} WHERE {span.where} RETURNING {selected}"), span.values
    )
    rows = found.all()
    if not rows:
        return None
    identity = uuid4()
    path = Path(rule.table) / f"{span.month:%Y-%m}" / f"{identity}.parquet"
    written = parquet.write(part(folder / path), columns, rows)
    if await is_audited(session, rule.table):
        counted = Counter(UUID(row.user_id) for row in rows)
        expired = Ageing("EXPIRE", rule.table, span.month, identity)
        await log_ageing(await session.connection(), expired, counted)
    await expiry.mark_expired(session, rule.table, gone)
    times = [getattr(row, rule.time) for row in rows]
    await session.execute(
        insert(Archive).values(
            id=identity,
            table_name=rule.table,
            rule=rule.name,
            month=span.month,
            path=str(path),
            rows=len(rows),
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            first_time=min(times),
            last_time=max(times),
            columns={column.name: column.type for column in columns},
            revision=migrate.head(),
        )
    )
    return folder / path
