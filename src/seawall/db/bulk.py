"""The bulk path: whole arrays into and out of PostgreSQL in its binary COPY format.

Rows have fixed widths, so a numpy structured array with big-endian fields is the wire format
itself. A value that may be NULL is NaN (floats) or a sentinel (integers) in the array; rows are
written in groups that share the same NULLs, and read with the sentinel in their place.
Source of the format: PostgreSQL documentation, COPY, "Binary Format".
"""

import asyncio
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
_BLOCK_BYTES = 1 << 21
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
    same = len(records) > 0 and bool((pattern == pattern[0]).all())
    patterns = pattern[:1] if same else np.unique(pattern)
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
        stopped = asyncio.Event()
        copying = asyncio.ensure_future(
            connection.copy_to_table(
                table,
                source=_blocks(rows, present, constants, stopped),
                columns=[column.name for column in every],
                format="binary",
            )
        )
        try:
            await asyncio.shield(copying)
        except asyncio.CancelledError:
            # Had the server refused the rows already, asyncpg would wait for ever for its answer
            # to being cancelled. So the rows end here; the transaction is not committed anyway.
            stopped.set()
            await asyncio.gather(copying, return_exceptions=True)
            raise


async def _blocks(
    records: Records,
    columns: Sequence[Column],
    constants: Mapping[Column, Any],
    stopped: asyncio.Event,
) -> AsyncIterator[bytes]:
    fixed = {column.name: value for column, value in constants.items()}
    every = (*constants, *columns)
    yield _HEADER
    for start in range(0, len(records), _BLOCK_ROWS):
        if stopped.is_set():
            break
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
    decoder = _Decoder(columns)
    await connection.copy_from_query(query, *args, output=decoder.feed, format="binary")
    return decoder.finish()


class _Decoder:
    """Decodes rows block by block while the server is still sending, in cache-sized pieces."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._wire = _wire_dtype(columns)
        self._received = bytearray()
        self._blocks: list[Records] = []
        self._started = False

    async def feed(self, data: bytes) -> None:
        self._received.extend(data)
        if len(self._received) >= _BLOCK_BYTES:
            self._decode()

    def finish(self) -> Records:
        """Return all rows; what is left after them has to be the trailer."""
        self._decode()
        if self._received != _TRAILER:
            raise UnavailableError(
                f"The database sent {len(self._received)} bytes more than whole rows of"
                f" {self._wire.itemsize} bytes."
            )
        return np.concatenate(self._blocks)

    def _decode(self) -> None:
        """Take whole rows off what was received; the trailer alone is shorter than any row."""
        start = 0 if self._started else len(_HEADER)
        if not self._started and not self._received.startswith(_HEADER[:11]):
            raise UnavailableError("The database sent something else than binary rows.")
        self._started = True
        rows = (len(self._received) - start) // self._wire.itemsize
        end = start + rows * self._wire.itemsize
        wire = np.frombuffer(bytes(self._received[start:end]), self._wire)
        self._blocks.append(_decode(wire, self._columns))
        del self._received[:end]


def _decode(wire: Records, columns: Sequence[Column]) -> Records:
    records = np.empty(len(wire), record_dtype(columns))
    for column in columns:
        if not (wire[f"{column.name}_length"] == column.width).all():
            raise UnavailableError(f"The database sent {column.name} with an unexpected width.")
        if column.dtype.startswith("<M8"):
            records[column.name].view("<i8")[:] = wire[column.name] + _EPOCH_SHIFT
        else:
            records[column.name] = wire[column.name]
    return records
