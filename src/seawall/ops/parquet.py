"""Rows of a table as a Parquet file, and back, whatever types its columns have."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from asyncpg import Connection, Record
from polars.datatypes import DataTypeClass

from seawall.core.errors import UnavailableError
from seawall.core.money import PRECISION, SCALE

_NATIVE: dict[str, pl.DataType | DataTypeClass] = {
    "boolean": pl.Boolean,
    "smallint": pl.Int16,
    "integer": pl.Int32,
    "bigint": pl.Int64,
    "double precision": pl.Float64,
    f"numeric({PRECISION},{SCALE})": pl.Decimal(PRECISION, SCALE),
    "timestamp with time zone": pl.Datetime("us", "UTC"),
    "date": pl.Date,
    "bytea": pl.Binary,
    "text": pl.String,
}
"""PostgreSQL's types that Parquet has as well; every other travels as its text."""
_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum
"""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table."""

    name: str
    type: str

    @property
    def quoted(self) -> str:
        """Its name as it stands in SQL."""
        return f'"{self.name}"'

    @property
    def select(self) -> str:
        """How it is read from the database."""
        return self.quoted if self.type in _NATIVE else f"{self.quoted}::text AS {self.quoted}"

    @property
    def staged(self) -> str:
        """The type with which it comes back, before it is cast to its own."""
        return self.type if self.type in _NATIVE else "text"

    @property
    def dtype(self) -> pl.DataType | DataTypeClass:
        """Its type in Parquet."""
        return _NATIVE.get(self.type, pl.String)


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was read back and found to hold what was written."""

    size_bytes: int
    sha256: bytes


async def read_columns(connection: Connection, table: str) -> list[TableColumn]:
    """Return a table's columns that hold data of their own."""
    return [TableColumn(*row) for row in await connection.fetch(_COLUMNS, table)]


def write(path: Path, columns: Sequence[TableColumn], rows: Sequence[Record]) -> WrittenFile:
    """Write rows to a file, and read it back.

    Raises:
        UnavailableError: the file cannot be written, or does not hold what was written.
    """
    frame = pl.DataFrame(
        {
            column.name: pl.Series([row[at] for row in rows], dtype=column.dtype)
            for at, column in enumerate(columns)
        }
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Rows of users are in it: for the owner of the installation alone.
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            frame.write_parquet(file, compression="zstd", statistics=True)
            file.flush()
            os.fsync(file.fileno())
        held = pl.read_parquet(path)
        written = WrittenFile(path.stat().st_size, digest(path))
    except (OSError, pl.exceptions.PolarsError) as error:
        path.unlink(missing_ok=True)
        raise UnavailableError(
            f"The archive {path} cannot be written: {error}.",
            hint="No row was deleted. Make space, or set SEAWALL_ARCHIVE__FOLDER to another disk.",
        ) from error
    if not held.equals(frame):
        path.unlink(missing_ok=True)
        raise UnavailableError(
            f"The archive {path} does not hold what was written to it.",
            hint="No row was deleted. Look after that disk.",
        )
    return written


def read(path: Path, columns: Sequence[TableColumn]) -> list[tuple[Any, ...]]:
    """Return the rows of a file, in the order of `columns`."""
    return pl.read_parquet(path).select([column.name for column in columns]).rows()


def digest(path: Path) -> bytes:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
