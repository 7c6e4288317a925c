"""Asking the archive in SQL, without restoring it."""

import re
from pathlib import Path

import polars as pl
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import InvalidError
from seawall.ops.archive import ArchiveRecord, list_archives, require_intact
from seawall.ops.parquet import TableColumn

_QUERY = re.compile(r"[\s(]*(select|with)\b", re.IGNORECASE)


async def query(owner: AsyncEngine, folder: Path, sql: str) -> list[dict[str, object]]:
    """Ask the archive in SQL, where each archived table has its own name; return the rows.

    What was restored is in the database again, so it is not counted here a second time.

    Raises:
        InvalidError: the query cannot be understood, or asks for a table without archives.
        NotFoundError: a file of a table that is asked for is gone.
        ConflictError: a file of a table that is asked for is not what was archived.
    """
    if not _QUERY.match(sql):
        raise InvalidError("The archive answers one SELECT, and changes nothing.")
    tables: dict[str, list[ArchiveRecord]] = {}
    for each in await list_archives(owner, folder):
        tables.setdefault(each.table, []).append(each)
    words = {word.lower() for word in re.findall(r"\w+", sql)}
    context = pl.SQLContext(
        {
            table: pl.concat([_scan(each, folder) for each in records], how="diagonal_relaxed")
            for table, records in tables.items()
            if table in words
        }
    )
    try:
        return context.execute(sql, eager=True).to_dicts()
    except (pl.exceptions.PolarsError, OSError) as error:
        # Below the first line stand the plans of the engine.
        said = str(error).partition("\n")[0].rstrip(":.")
        archived = ", ".join(sorted(tables)) or "nothing yet"
        raise InvalidError(
            f"The archive cannot answer: {said}.", hint=f"Archived: {archived}."
        ) from error


def _scan(record: ArchiveRecord, folder: Path) -> pl.LazyFrame:
    if record.restored_at is not None:
        columns = record.columns.items()
        return pl.LazyFrame(schema={name: TableColumn(name, kind).dtype for name, kind in columns})
    return pl.scan_parquet(require_intact(record, folder))
