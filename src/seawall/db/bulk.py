"""The bulk path: whole arrays into and out of PostgreSQL in its binary COPY format.

Rows have fixed widths, so a numpy structured array with big-endian fields is the wire format
itself. A value that may be NULL is NaN (floats) or a sentinel (integers) in the array; rows are
written in groups that share the same NULLs, and read with the sentinel in their place.
Source of the format: PostgreSQL documentation, COPY, "Binary Format".
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from asyncpg import Connection
from numpy.typing import NDArray

from seawall.core.errors import UnavailableError
from seawall.core.time import from_micros

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_BLOCK_ROWS = 16_384
_EPOCH_SHIFT = np.int64(946_684_800_000_000)
"""Microseconds from 1970-01-01 to 2000-01-01, from which PostgreSQL counts."""

Records = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a bulk transfer: its name, numpy type, and what stands for NULL, if any."""

    name: str
    dtype: str
    null: float | int | None = None

    @property
    def width(self) -> int:
        """Its bytes on the wire."""
        return np.dtype(self.dtype).itemsize

    @property
    def wire(self) -> str:
        """Its big-endian type on the wire; instants travel as 64-bit integers, text as S<n>."""
        return ">i8" if self.dtype.startswith("<M8") else self.dtype.replace("<", ">")


def instant(value: np.datetime64) -> datetime:
    """Return numpy's instant, which is UTC by convention, as an aware one."""
    return from_micros(int(value.astype("<M8[us]").astype(np.int64)))


def record_dtype(columns: Sequence[Column]) -> np.dtype[Any]:
    """Return the structured dtype of rows with these columns."""
    return np.dtype([(column.name, column.dtype) for column in columns])


def _wire_dtype(columns: Sequence[Column]) -> np.dtype[Any]:
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for column in columns:
        fields += [(f"{column.name}_length", ">i4"), (column.name, column.wire)]
    return np.dtype(fields)


def _encode(records: Mapping[str, Any] | Records, columns: Sequence[Column], rows: int) -> bytes:
    """Lay rows out as COPY tuples; a column may be an array or one value for all rows."""
    wire = np.empty(rows, _wire_dtype(columns))
    wire["fields"] = len(columns)
    for column in columns:
        values = records[column.name]
        wire[f"{column.name}_length"] = column.width
        if column.dtype.startswith("<M8"):
            values = np.asarray(values, column.dtype).view("<i8") - _EPOCH_SHIFT
        wire[column.name] = values
    return wire.tobytes()


def _null_groups(
    records: Records, columns: Sequence[Column]
) -> Iterator[tuple[Records, tuple[Column, ...]]]:
    """Split rows by which of their columns are NULL; all rows at once when none is."""
    nullable = [column for column in columns if column.null is not None]
    pattern = np.zeros(len(records), np.int64)
    for bit, column in enumerate(nullable):
        values = records[column.name]
        missing = np.isnan(values) if column.dtype == "<f8" else values == column.null
        pattern |= missing.astype(np.int64) << bit
    if len(records) and (pattern == pattern[0]).all():
        patterns = pattern[:1]
    else:
        patterns = np.unique(pattern)
    for found in patterns:
        absent = {column.name for bit, column in enumerate(nullable) if found >> bit & 1}
        present = tuple(column for column in columns if column.name not in absent)
        rows = records if len(patterns) == 1 else records[pattern == found]
        yield rows, present


async def write(
    connection: Connection,
    table: str,
    records: Records,
    columns: Sequence[Column],
    constants: Mapping[Column, Any] | None = None,
) -> None:
    """COPY all records into a table; `constants` are columns with one value for every row."""
    constants = constants or {}
    for rows, present in _null_groups(records, columns):
        every = (*constants, *present)
        await connection.copy_to_table(
            table,
            source=_blocks(rows, present, constants),
            columns=[column.name for column in every],
            format="binary",
        )


async def _blocks(
    records: Records, columns: Sequence[Column], constants: Mapping[Column, Any]
) -> AsyncIterator[bytes]:
    fixed = {column.name: value for column, value in constants.items()}
    every = (*constants, *columns)
    yield _HEADER
    for start in range(0, len(records), _BLOCK_ROWS):
        block = records[start : start + _BLOCK_ROWS]
        values = fixed | {column.name: block[column.name] for column in columns}
        yield _encode(values, every, len(block))
    yield _TRAILER


def select_list(columns: Sequence[Column]) -> str:
    """Write the select list that `read` expects: NULLs replaced by what stands for them."""
    return ", ".join(
        column.name
        if column.null is None
        else f"coalesce({column.name}, '{column.null}') AS {column.name}"
        for column in columns
    )


async def read(
    connection: Connection, query: str, columns: Sequence[Column], *args: object
) -> Records:
    """Run a query and return its rows as a structured array.

    The query's select list has to be `select_list(columns)`, so that every row has the same width.

    Raises:
        UnavailableError: the rows did not arrive in the expected layout.
    """
    received = bytearray()

    async def collect(data: bytes) -> None:  # noqa: RUF029 - asyncpg awaits its consumer
        received.extend(data)

    await connection.copy_from_query(query, *args, output=collect, format="binary")
    return _decode(received, columns)


def _decode(received: bytearray, columns: Sequence[Column]) -> Records:
    wire_dtype = _wire_dtype(columns)
    body = len(received) - len(_HEADER) - len(_TRAILER)
    rows, rest = divmod(body, wire_dtype.itemsize)
    if rest or body < 0 or not received.startswith(_HEADER[:11]):
        raise UnavailableError(
            f"The database sent {len(received)} bytes that are not whole rows of"
            f" {wire_dtype.itemsize} bytes."
        )
    wire = np.frombuffer(received, wire_dtype, rows, len(_HEADER))
    records = np.empty(rows, record_dtype(columns))
    for column in columns:
        if rows and not (wire[f"{column.name}_length"] == column.width).all():
            raise UnavailableError(f"The database sent {column.name} with an unexpected width.")
        if column.dtype.startswith("<M8"):
            records[column.name].view("<i8")[:] = wire[column.name] + _EPOCH_SHIFT
        else:
            records[column.name] = wire[column.name]
    return records
