"""Putting an archive's rows back into their table, as they were."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Connection, Record
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.audit.ageing import Ageing, log_ageing
from seawall.core.errors import ConflictError, NotFoundError
from seawall.db.faults import translated
from seawall.db.series import SERIES, ensure_chunks
from seawall.db.session import raw_connection
from seawall.market import expiry
from seawall.ops import leaving, parquet
from seawall.ops.archive import ArchiveRecord, list_archives, require_intact
from seawall.ops.parquet import TableColumn
from seawall.ops.tables import Archive

# ruff: noqa: S608 - columns are the catalogue's

_SERIES = {series.table: series for series in SERIES}


async def restore(owner: AsyncEngine, folder: Path, identity: UUID, now: datetime) -> int:
    """Put an archive's rows back into their table; return how many were not there.

    Raises:
        NotFoundError: there is no such archive, or its file is gone.
        ConflictError: the file is not what was archived, the table has lost a column of it, or
            what rows hang on is not there.
    """
    found = [each for each in await list_archives(owner, folder) if each.id == identity]
    if not found:
        raise NotFoundError(
            f"There is no archive {identity}.", hint="See `seawall db archive list`."
        )
    record = found[0]
    path = require_intact(record, folder)
    with translated():
        async with AsyncSession(owner) as session, session.begin():
            rows = await _put_back(session, record, path)
            await _tell(session, record, rows)
            archives = Archive.__table__.c
            await session.execute(
                update(Archive).where(archives.id == identity).values(restored_at=now)
            )
    return len(rows)


async def _put_back(session: AsyncSession, record: ArchiveRecord, path: Path) -> list[Record]:
    """Insert what is not there; return what names each row's series, or its user."""
    connection = await raw_connection(session)
    held = {each.name: each for each in await parquet.read_columns(connection, record.table)}
    lost = [name for name in record.columns if name not in held]
    if lost:
        raise ConflictError(
            f"{record.table} has no {', '.join(lost)} any more, which {record.path} holds.",
            hint="Read it with `seawall db archive query`.",
        )
    columns = [TableColumn(name, kind) for name, kind in record.columns.items()]
    if (series := _SERIES.get(record.table)) is not None:
        await ensure_chunks(session, series, record.first_time, record.last_time)
    await leaving.begin(session, record.table)
    await _stage(connection, columns, path)
    targets = ", ".join(column.quoted for column in columns)
    values = ", ".join(f"{column.quoted}::{held[column.name].type}" for column in columns)
    told = ", ".join(_told(record))
    try:
        rows: list[Record] = await connection.fetch(
            f"INSERT INTO {record.table} ({targets}) OVERRIDING SYSTEM VALUE"
            f" SELECT {values} FROM restored ON CONFLICT DO NOTHING RETURNING {told or 'NULL'}"
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        raise ConflictError(
            f"The rows of {record.path} do not fit into {record.table} as it is now:"
            f" {error.detail or error}",
            hint="Restore first what they hang on, such as the orders of fills. What was deleted"
            " for good can be read with `seawall db archive query`.",
        ) from error
    return rows


async def _stage(connection: Connection, columns: Sequence[TableColumn], path: Path) -> None:
    staging = ", ".join(f"{column.quoted} {column.staged}" for column in columns)
    await connection.execute(f"CREATE TEMP TABLE restored ({staging}) ON COMMIT DROP")
    names = [column.name for column in columns]
    rows = parquet.read(path, columns)
    await connection.copy_records_to_table("restored", records=rows, columns=names)


def _told(record: ArchiveRecord) -> list[str]:
    """Return the columns by which coverage and the audit log are told of a row."""
    if expiry.is_covered(record.table):
        return [*expiry.series_keys(record.table), "time"]
    return ["user_id"] if "user_id" in record.columns else []


async def _tell(session: AsyncSession, record: ArchiveRecord, rows: Sequence[Record]) -> None:
    if expiry.is_covered(record.table):
        series: dict[tuple[Any, ...], list[datetime]] = defaultdict(list)
        for row in rows:
            values = tuple(row.values())
            series[values[:-1]].append(values[-1])
        names = expiry.series_keys(record.table)
        for subject, times in series.items():
            named = dict(zip(names, subject, strict=True))
            await expiry.mark_restored(session, record.table, named, sorted(times))
    elif await leaving.is_audited(session, record.table):
        counted = Counter(row["user_id"] for row in rows)
        restored = Ageing("RESTORE", record.table, record.month, record.id)
        await log_ageing(await session.connection(), restored, counted)
