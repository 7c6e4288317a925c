"""The archive: rows that left the database, as Parquet files by table and month.

A file's row in `archives` is written in the transaction that deletes the rows it holds. Until that
is committed the file is a `.part`: what interrupts it leaves one whose rows are in the database, or
one that is finished but for its name, and `archives` tells which. A finished file is never removed.
"""

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.audit import store as audit
from seawall.core.errors import ConflictError, NotFoundError, UnavailableError
from seawall.core.time import iso
from seawall.db.faults import translated
from seawall.ops import parquet
from seawall.ops.parquet import writing
from seawall.ops.tables import Archive

MANIFEST = "manifest.json"
IDENTITY = "database"
_ROWS = Archive.__table__.c


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


async def list_archives(
    owner: AsyncEngine, folder: Path, table: str | None = None
) -> list[ArchiveRecord]:
    """Return what was archived, by table and month."""
    query = select(Archive.__table__).order_by(
        _ROWS.table_name, _ROWS.month, _ROWS.first_time, _ROWS.created_at, _ROWS.id
    )
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
        is_there=_place(folder, row.path).is_file(),
    )


def part(path: Path) -> Path:
    """Return where a file lies while it is being written."""
    return path.with_suffix(".part")


def _place(folder: Path, path: str) -> Path:
    """Return where a file lies: it may only lack its name."""
    finished = folder / path
    unnamed = part(finished)
    return unnamed if unnamed.is_file() and not finished.is_file() else finished


def require_intact(record: ArchiveRecord, folder: Path) -> Path:
    """Return where an archive's file lies, once it is known to be as it was written.

    Raises:
        NotFoundError: it is not there.
        ConflictError: it is not what was written.
        UnavailableError: it cannot be read.
    """
    path = _place(folder, record.path)
    try:
        found = parquet.digest(path).hex()
    except FileNotFoundError:
        raise NotFoundError(
            f"The archive {record.id} is not at {path}.",
            hint="Bring the file back, or set SEAWALL_ARCHIVE__FOLDER to where the archive lies.",
        ) from None
    except OSError as error:
        raise UnavailableError(
            f"The archive {path} cannot be read: {error.strerror}.",
            hint="See that whoever runs Seawall may read it, and that its disk is whole.",
        ) from error
    if found != record.sha256:
        raise ConflictError(
            f"The file {path} is not what was archived: its checksum differs.",
            hint="Bring it back from a backup.",
        )
    return path


def publish(path: Path) -> None:
    """Give a file its name, once its rows have left the database."""
    with writing(path):
        part(path).rename(path)


async def settle(owner: AsyncEngine, folder: Path) -> None:
    """Make the folder this database's own, and finish or undo what was interrupted there.

    Raises:
        ConflictError: it is the archive of another database.
        UnavailableError: it cannot be written.
    """
    await _claim(owner, folder)
    _finish(folder, {folder / each.path for each in await list_archives(owner, folder)})
    await write_manifests(owner, folder)


def _finish(folder: Path, archived: set[Path]) -> None:
    for unfinished in folder.glob("*/*/*.part"):
        path = unfinished.with_suffix(".parquet")
        if path in archived:
            publish(path)
        else:
            with writing(unfinished):
                unfinished.unlink()


async def _claim(owner: AsyncEngine, folder: Path) -> None:
    with translated():
        async with owner.connect() as connection:
            identity = (await audit.read_identity(connection) or b"").hex()
    marker = folder / IDENTITY
    with writing(marker):
        parquet.make_folder(folder)
        if not marker.exists():
            _write_text(marker, identity + "\n")
        held = marker.read_text().strip()
    if held != identity:
        raise ConflictError(
            f"{folder} is the archive of another database.",
            hint="Move it away and keep it, or let SEAWALL_ARCHIVE__FOLDER name another folder.",
        )


async def write_manifests(owner: AsyncEngine, folder: Path, table: str | None = None) -> None:
    """Say beside the files of each table what they hold, so that they can be read without us.

    Raises:
        UnavailableError: one cannot be written.
    """
    tables: dict[str, list[ArchiveRecord]] = {}
    for each in await list_archives(owner, folder, table):
        tables.setdefault(each.table, []).append(each)
    for name, records in tables.items():
        path = folder / name / MANIFEST
        with writing(path):
            parquet.make_folder(path.parent)
            _write_text(path, json.dumps([_written(each) for each in records], indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    """Replace a file as a whole."""
    written = path.with_suffix(".new")
    written.unlink(missing_ok=True)
    written.touch(mode=0o600)
    written.write_text(text)
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
