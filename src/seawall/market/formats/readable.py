"""Rows whose times and numbers can be read, apart from those that cannot."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from seawall.market.formats.base import Ints, Table
from seawall.market.formats.cells import to_floats, why_no_number
from seawall.market.formats.times import UNREADABLE, to_micros
from seawall.market.schemas import Rejected

_NO_FLOATS = ("time", "side", "trade_id")


def readable(
    columns: Mapping[str, pl.Series],
    lines: Ints,
    day: int | None = None,
    rejected: Sequence[Rejected] = (),
) -> Table:
    """Read times, and numbers that are still text; reject the rows in which one is neither.

    `rejected` are rows that were turned away before. `day` is as in `Layout`.
    """
    times = to_micros(columns["time"], day)
    reasons = {
        int(row): _why_no_time(columns["time"][int(row)])
        for row in np.flatnonzero(times == UNREADABLE)
    }
    values = {field: column for field, column in columns.items() if field != "time"}
    for field, column in columns.items():
        if field in _NO_FLOATS or column.dtype != pl.String:
            continue
        values[field], is_wrong = to_floats(column)
        for row in np.flatnonzero(is_wrong):
            reasons.setdefault(int(row), why_no_number(field, column[int(row)]))
    table = Table(times, values, lines, tuple(rejected))
    return _without(table, reasons) if reasons else table


def _without(table: Table, reasons: Mapping[int, str]) -> Table:
    kept = np.ones(len(table.lines), np.bool_)
    kept[list(reasons)] = False
    mask = pl.Series(kept)
    fresh = (Rejected(int(table.lines[row]), reason) for row, reason in reasons.items())
    return Table(
        table.times[kept],
        {field: column.filter(mask) for field, column in table.columns.items()},
        table.lines[kept],
        (*table.rejected, *fresh),
    )


def _why_no_time(text: object) -> str:
    if text is None or not str(text).strip():
        return "time is missing"
    return f"time {str(text)[:40]!r} is not a time"


def join(tables: Sequence[Table]) -> Table:
    """Put tables of the same fields one below the other."""
    if len(tables) == 1:
        return tables[0]
    fields = tables[0].columns
    return Table(
        np.concatenate([table.times for table in tables]),
        {field: pl.concat([table.columns[field] for table in tables]) for field in fields},
        np.concatenate([table.lines for table in tables]),
        tuple(rejected for table in tables for rejected in table.rejected),
    )
