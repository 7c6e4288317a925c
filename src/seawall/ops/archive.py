"""The archive: rows that left the database, as Parquet files by table and month.

A file's row in `archives` is written in the transaction that deletes the rows it holds. So a file
without such a row holds what is still in the database, whatever interrupted it, and may go.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.core.time import iso
from seawall.db import migrate
from seawall.db.faults import translated
from seawall.db.series import SERIES, ensure_chunks
from seawall.db.session import raw_connection
from seawall.ops import parquet
from seawall.ops.parquet import TableColumn
from seawall.ops.retention import Rule
from seawall.ops.tables import Archive

# ruff: noqa: S608 - tables and conditions are the policy's, columns the catalogue's

MANIFEST = "manifest.json"
_ROWS = Archive.__table__.c
_SERIES = {series.table: series for series in SERIES}


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """One file of the archive; `is_there` says whether it lies where it should."""

    id: UUID
    table: str
    rule: str
    month: date
    path: str
    rows: int
    size_bytes: int
    sha256: str
    first_time: datetime
    last_time: datetime
    columns: dict[str, str]
    revision: str
    created_at: datetime
    restored_at: datetime | None
    is_there: bool


def midnight(day: date) -> datetime:
    """Return the instant at which a day begins."""
    return datetime.combine(day, time(), UTC)


async def take_out(
    session: AsyncSession, rule: Rule, month: date, cutoff: datetime, folder: Path
) -> None:
    """Move a month's expired rows of a rule into a file, and delete them.

    Raises:
        UnavailableError: the file cannot be written; the transaction has to be undone.
    """
    connection = await raw_connection(session)
    columns = await parquet.read_columns(connection, rule.table)
    selected = ", ".join(column.select for column in columns)
    rows = await connection.fetch(
        f"DELETE FROM {rule.table} WHERE ({rule.condition}) AND {rule.time} < $1"
        f" AND {rule.time} >= $2 AND {rule.time} < $2 + interval '1 month' RETURNING {selected}",
        cutoff,
        midnight(month),
    )
    if not rows:
        return
    identity = uuid4()
    path = Path(rule.table) / f"{month:%Y-%m}" / f"{identity}.parquet"
    written = parquet.write(folder / path, columns, rows)
    _sync(folder / path.parent)
    times = [row[rule.time] for row in rows]
    await session.execute(
        insert(Archive).values(
            id=identity,
            table_name=rule.table,
            rule=rule.name,
            month=month,
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


def _sync(folder: Path) -> None:
    """Let the file's name survive a loss of power, as its content does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def list_archives(
    owner: AsyncEngine, folder: Path, table: str | None = None
) -> list[ArchiveRecord]:
    """Return what was archived, by table and month."""
    query = select(Archive.__table__).order_by(_ROWS.table_name, _ROWS.month, _ROWS.created_at)
    if table is not None:
        query = query.where(_ROWS.table_name == table)
    with translated():
        async with owner.connect() as connection:
            return [_record(row, folder) for row in await connection.execute(query)]


def _record(row: Row[Any], folder: Path) -> ArchiveRecord:
    return ArchiveRecord(
        id=row.id,
        table=row.table_name,
        rule=row.rule,
        month=row.month,
        path=row.path,
        rows=row.rows,
        size_bytes=row.size_bytes,
        sha256=row.sha256.hex(),
        first_time=row.first_time,
        last_time=row.last_time,
        columns=row.columns,
        revision=row.revision,
        created_at=row.created_at,
        restored_at=row.restored_at,
        is_there=(folder / row.path).is_file(),
    )


def require_intact(record: ArchiveRecord, folder: Path) -> Path:
    """Return where an archive's file lies, once it is known to be as it was written.

    Raises:
        NotFoundError: it is not there.
        ConflictError: it is not what was written.
    """
    path = folder / record.path
    if not path.is_file():
        raise NotFoundError(
            f"The archive {record.id} is not at {path}.",
            hint="Bring the file back, or set SEAWALL_ARCHIVE__FOLDER to where the archive lies.",
        )
    if parquet.digest(path).hex() != record.sha256:
        raise ConflictError(
            f"The file {path} is not what was archived: its checksum differs.",
            hint="Bring it back from a backup.",
        )
    return path


async def restore(owner: AsyncEngine, folder: Path, identity: UUID, now: datetime) -> int:
    """Put an archive's rows back into their table; return how many were not there.

    Raises:
        NotFoundError: there is no such archive, or its file is gone.
        ConflictError: the file is not what was archived, or the table has lost a column of it.
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
            restored = await _put_back(session, record, path)
            await session.execute(
                update(Archive).where(_ROWS.id == identity).values(restored_at=now)
            )
    return restored


async def _put_back(session: AsyncSession, record: ArchiveRecord, path: Path) -> int:
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
    staging = ", ".join(f"{column.quoted} {column.staged}" for column in columns)
    await connection.execute(f"CREATE TEMP TABLE restored ({staging}) ON COMMIT DROP")
    names = [column.name for column in columns]
    rows = parquet.read(path, columns)
    await connection.copy_records_to_table("restored", records=rows, columns=names)
    targets = ", ".join(column.quoted for column in columns)
    values = ", ".join(f"{column.quoted}::{held[column.name].type}" for column in columns)
    status = await connection.execute(
        f"INSERT INTO {record.table} ({targets}) OVERRIDING SYSTEM VALUE"
        f" SELECT {values} FROM restored ON CONFLICT DO NOTHING"
    )
    return int(status.rpartition(" ")[2])


async def remove_orphans(owner: AsyncEngine, folder: Path) -> None:
    """Remove files that an interrupted run left: their rows are in the database."""
    _keep_only(folder, {folder / each.path for each in await list_archives(owner, folder)})


def _keep_only(folder: Path, known: set[Path]) -> None:
    for path in folder.glob("*/*/*.parquet"):
        if path not in known:
            path.unlink()


async def write_manifests(owner: AsyncEngine, folder: Path) -> None:
    """Say beside the files of each table what they hold, so that they can be read without us."""
    tables: dict[str, list[ArchiveRecord]] = {}
    for each in await list_archives(owner, folder):
        tables.setdefault(each.table, []).append(each)
    for table, records in tables.items():
        path = folder / table / MANIFEST
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        written = path.with_suffix(".new")
        written.write_text(json.dumps([_written(each) for each in records], indent=2) + "\n")
        written.chmod(0o600)
        written.replace(path)


def _written(record: ArchiveRecord) -> dict[str, Any]:
    document = asdict(record)
    del document["is_there"], document["restored_at"]
    return {
        name: iso(value)
        if isinstance(value, datetime)
        else value
        if isinstance(value, int | dict)
        else str(value)
        for name, value in document.items()
    }


async def query(owner: AsyncEngine, folder: Path, sql: str) -> list[dict[str, object]]:
    """Ask the archive in SQL, where each archived table has its own name; return the rows.

    Raises:
        InvalidError: the query cannot be understood, or asks for a table without archives.
    """
    import polars as pl  # noqa: PLC0415 - heavy, and most commands do without

    tables: dict[str, list[Path]] = {}
    for each in await list_archives(owner, folder):
        tables.setdefault(each.table, []).append(require_intact(each, folder))
    context = pl.SQLContext(
        {
            table: pl.concat([pl.scan_parquet(path) for path in paths], how="diagonal")
            for table, paths in tables.items()
        }
    )
    try:
        return context.execute(sql, eager=True).to_dicts()
    except pl.exceptions.PolarsError as error:
        archived = ", ".join(sorted(tables)) or "nothing yet"
        raise InvalidError(
            f"The archive cannot answer: {error}.", hint=f"Archived: {archived}."
        ) from error
