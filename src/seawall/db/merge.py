"""Merging an array into a keyed series: only what is new or changed is written.

The rows held in the array's range are read and compared in arrays, which is faster than an upsert
of every row and counts exactly what changed. The caller holds a lock on the series' subject, so
that nothing else writes between the reading and the writing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from asyncpg import Connection
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import to_micros
from seawall.db import bulk
from seawall.db.bulk import Column, Records, instant
from seawall.db.series import Series, announce_change, ensure_chunks, refresh_rollups
from seawall.db.session import raw_connection

_INGESTED_AT = Column("ingested_at", "<M8[us]")


@dataclass(frozen=True, slots=True)
class KeyedSeries:
    """How a series' rows lie in an array: what subject they have, their key, their values.

    `subject` columns have one value for the whole array; the first of `key` is the time. Rows
    that are changed are kept in `revisions` as they were, when it is given.
    """

    series: Series
    subject: tuple[Column, ...]
    key: tuple[Column, ...]
    values: tuple[Column, ...]
    revisions: Series | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of an array of its rows."""
        return self.key + self.values


@dataclass(frozen=True, slots=True)
class Merged:
    """How many rows were new, changed or the same, and every time now held in their range.

    `first` is the earliest time of what was new or changed.
    """

    inserted: int
    updated: int
    unchanged: int
    times: NDArray[np.datetime64]
    first: datetime | None


async def merge(
    session: AsyncSession,
    table: KeyedSeries,
    subject: Mapping[str, int],
    records: Records,
    stamp: datetime,
) -> Merged:
    """Write what is new or changed in `records`, stamped as ingested at `stamp`.

    `records` are sorted by the key without duplicates, and not empty.
    """
    connection = await raw_connection(session)
    keys = [subject[column.name] for column in table.subject]
    held = await _read_held(connection, table, subject, records)
    position, known = _find(held, records, table.key)
    changed = np.zeros(len(records), bool)
    changed[known] = _differs(held[position[known]], records[known], table.values)
    new = records[~known]
    touched = records["time"][~known | changed]
    if len(touched):
        first, last = instant(touched[0]), instant(touched[-1])
        await announce_change(session, table.series, keys, first, last)
    if len(new):
        times = new["time"]
        await ensure_chunks(session, table.series, instant(times[0]), instant(times[-1]))
        constants = _constants(table, subject, stamp)
        await bulk.write(connection, table.series.table, new, table.columns, constants)
    if changed.any():
        await _revise(session, table, subject, records[changed], stamp)
    if len(touched):
        await refresh_rollups(session, table.series, keys)
    both = np.union1d(held["time"], new["time"]) if len(held) else new["time"]
    updated = int(changed.sum())
    return Merged(
        inserted=len(new),
        updated=updated,
        unchanged=len(records) - len(new) - updated,
        times=both,
        first=instant(touched[0]) if len(touched) else None,
    )


def _constants(
    table: KeyedSeries, subject: Mapping[str, int], stamp: datetime
) -> dict[Column, object]:
    constants: dict[Column, object] = {column: subject[column.name] for column in table.subject}
    constants[_INGESTED_AT] = np.datetime64(to_micros(stamp), "us")
    return constants


async def _read_held(
    connection: Connection, table: KeyedSeries, subject: Mapping[str, int], records: Records
) -> Records:
    conditions = [f"{column.name} = ${n}" for n, column in enumerate(table.subject, 1)]
    n = len(conditions)
    order = ", ".join(column.name for column in table.key)
    query = (
        f"SELECT {bulk.select_list(table.columns)} FROM {table.series.table}"  # noqa: S608
        f" WHERE {' AND '.join(conditions)} AND time BETWEEN ${n + 1} AND ${n + 2}"
        f" ORDER BY {order}"
    )
    values = [subject[column.name] for column in table.subject]
    times = records["time"]
    return await bulk.read(
        connection, query, table.columns, *values, instant(times[0]), instant(times[-1])
    )


def _find(
    held: Records, records: Records, key: Sequence[Column]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return where each record's key would stand among the held ones, and whether it is there."""
    if not len(held):
        return np.zeros(len(records), np.intp), np.zeros(len(records), bool)
    if len(key) == 1:
        left, right = held[key[0].name], records[key[0].name]
    else:
        names = [column.name for column in key]
        dtype = bulk.record_dtype(key)
        left, right = held[names].astype(dtype), records[names].astype(dtype)
    position = np.searchsorted(left, right)
    inside = np.minimum(position, len(held) - 1)
    return inside, left[inside] == right


def _differs(old: Records, new: Records, values: Sequence[Column]) -> NDArray[np.bool_]:
    differs = np.zeros(len(new), bool)
    for column in values:
        before, after = old[column.name], new[column.name]
        if column.dtype == "<f8":
            differs |= (before != after) & ~(np.isnan(before) & np.isnan(after))
        else:
            differs |= before != after
    return differs


async def _revise(
    session: AsyncSession,
    table: KeyedSeries,
    subject: Mapping[str, int],
    records: Records,
    stamp: datetime,
) -> None:
    """Replace rows by their changed selves, keeping the old ones as revisions."""
    connection = await raw_connection(session)
    name, staged = table.series.table, f"changed_{table.series.table}"
    columns = [column.name for column in (*table.subject, *table.columns)] + ["ingested_at"]
    keys = [column.name for column in (*table.subject, *table.key)]
    same = " AND ".join(f"held.{key} = changed.{key}" for key in keys)
    # An UPDATE straight from the wire does not exist, so the new values are staged first.
    await connection.execute(
        f"CREATE TEMP TABLE {staged} ON COMMIT DROP AS"  # noqa: S608 - names are declared in code
        f" SELECT {', '.join(columns)} FROM {name} WITH NO DATA"
    )
    await bulk.write(connection, staged, records, table.columns, _constants(table, subject, stamp))
    if table.revisions is not None:
        times = records["time"]
        await ensure_chunks(session, table.revisions, instant(times[0]), instant(times[-1]))
        await connection.execute(
            f"INSERT INTO {table.revisions.table} ({', '.join(columns)}, superseded_at)"  # noqa: S608
            f" SELECT {', '.join(f'held.{column}' for column in columns)}, changed.ingested_at"
            f" FROM {name} held JOIN {staged} changed ON {same}"
        )
    assignments = ", ".join(f"{c} = changed.{c}" for c in columns if c not in keys)
    await connection.execute(
        f"UPDATE {name} held SET {assignments} FROM {staged} changed WHERE {same}"  # noqa: S608
    )
    await connection.execute(f"DROP TABLE {staged}")
