"""Rows of a table as a Parquet file, and back, whatever types its columns have."""

import errno
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from asyncpg import Connection
from polars.datatypes import DataTypeClass
from sqlalchemy import Row

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
        escaped = self.name.replace('"', '""')
        return f'"{escaped}"'

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


def write(path: Path, columns: Sequence[TableColumn], rows: Sequence[Row[Any]]) -> WrittenFile:
    """Write rows to a file, onto the disk, and read it back.

    Raises:
        UnavailableError: the file cannot be written, or does not hold what was written.
    """
    frame = pl.DataFrame(
        {
            column.name: pl.Series([row[at] for row in rows], dtype=column.dtype)
            for at, column in enumerate(columns)
        }
    )
    with writing(path):
        make_folder(path.parent)
        # Rows of users are in it: for the owner of the installation alone.
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            _write(handle, path, frame)
        except (OSError, pl.exceptions.PolarsError):
            path.unlink(missing_ok=True)
            raise
        return WrittenFile(path.stat().st_size, digest(path))


def _write(handle: int, path: Path, frame: pl.DataFrame) -> None:
    encoded = io.BytesIO()
    frame.write_parquet(encoded, compression="zstd", statistics=True)
    with os.fdopen(handle, "wb") as file:
        file.write(encoded.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)
    if not pl.read_parquet(path).equals(frame):
        raise OSError(errno.EIO, "it does not hold what was written to it")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise what goes wrong with writing a file as Seawall's error.

    Raises:
        UnavailableError: the file cannot be written.
    """
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise UnavailableError(
            f"The archive {path} cannot be written: {said}.",
            hint="No row is lost. Make space there, or move the archive to another disk and let"
            " SEAWALL_ARCHIVE__FOLDER name it.",
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each for its owner alone, onto the disk."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync(folder.parent)


def sync(folder: Path) -> None:
    """Let the names in a folder survive a loss of power, as the files' content does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, columns: Sequence[TableColumn]) -> list[tuple[Any, ...]]:
    """Return the rows of a file, in the order of `columns`."""
    return pl.read_parquet(path).select([column.name for column in columns]).rows()


def digest(path: Path) -> bytes:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
