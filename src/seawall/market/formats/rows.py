"""The rows of a delimited text as columns: a fast way, and an exact one when anything is off."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import polars as pl

from seawall.market.formats.base import Layout, Table
from seawall.market.formats.cells import to_floats, why_no_number
from seawall.market.formats.text import Row, Text
from seawall.market.formats.times import is_epoch
from seawall.market.schemas import Rejected

_CHUNK = 50_000


def read_rows(text: Text, layout: Layout) -> Table:
    """Read every row below the header; rows of the wrong width or with bad numbers are rejected.

    Raises:
        InvalidError: there are no rows, or a quotation mark is not closed.
    """
    first = text.first_data_line(has_header=layout.has_header)
    return _read_fast(text, layout, first) or _read_exactly(text, layout, first)


def _read_fast(text: Text, layout: Layout, first: int) -> Table | None:
    """Read a text in which each line is a row, every row is full and every number is one."""
    data, separator = text.data, text.separator.encode()
    rows = data.count(b"\n") + (not data.endswith(b"\n")) - (first - 1)
    above = len(text.sample.first) - 1 if layout.has_header else 0
    # No row has more columns than the schema, or polars would say so; as the total is right, none
    # has fewer.
    if b'"' in data or data.count(separator) - above != rows * (layout.width - 1):
        return None
    try:
        frame = pl.read_csv(
            data,
            has_header=False,
            skip_lines=first - 1,
            schema=_schema(text, layout),
            separator=text.separator,
            quote_char=None,
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height != rows:
        return None
    columns = {field: frame[str(position)] for field, position in layout.fields.items()}
    return Table(columns, np.arange(first, first + rows))


def _schema(text: Text, layout: Layout) -> dict[str, type[pl.DataType]]:
    sample = text.sample.second if layout.has_header else text.sample.first
    schema: dict[str, type[pl.DataType]] = {str(i): pl.String for i in range(layout.width)}
    for field, position in layout.fields.items():
        if field != "time":
            schema[str(position)] = pl.Float64
        elif layout.day is not None or is_epoch(_cell(sample, position)):
            schema[str(position)] = pl.Int64
    return schema


def _cell(fields: tuple[str, ...], position: int) -> str:
    return fields[position] if position < len(fields) else ""


def _read_exactly(text: Text, layout: Layout, first: int) -> Table:
    rows = (row for row in text.rows() if row[0] >= first)
    parts: dict[str, list[pl.Series]] = {field: [] for field in layout.fields}
    lines: list[int] = []
    rejected: list[Rejected] = []
    while chunk := list(islice(rows, _CHUNK)):
        whole = list(_of_width(chunk, layout.width, rejected))
        lines.extend(line for line, _ in whole)
        for field, position in layout.fields.items():
            cells = [fields[position] for _, fields in whole]
            parts[field].append(pl.Series(field, cells, pl.String))
    columns = {field: pl.concat(series) for field, series in parts.items()}
    return with_numbers(Table(columns, np.array(lines, np.int64), tuple(rejected)))


def _of_width(rows: list[Row], width: int, rejected: list[Rejected]) -> Iterator[Row]:
    for line, fields in rows:
        if len(fields) == width:
            yield line, fields
        else:
            rejected.append(Rejected(line, f"has {len(fields)} columns instead of {width}"))


def with_numbers(table: Table) -> Table:
    """Turn the columns that hold numbers as text into Float64; reject rows in which they do not."""
    columns = dict(table.columns)
    reasons: dict[int, str] = {}
    for field, column in table.columns.items():
        if field in ("time", "side", "trade_id") or column.dtype != pl.String:
            continue
        columns[field], is_wrong = to_floats(column)
        for row in np.flatnonzero(is_wrong):
            reasons.setdefault(int(row), why_no_number(field, column[int(row)]))
    if not reasons:
        return Table(columns, table.lines, table.rejected)
    kept = np.ones(len(table.lines), np.bool_)
    kept[list(reasons)] = False
    fresh = (Rejected(int(table.lines[row]), reason) for row, reason in reasons.items())
    return Table(
        {field: column.filter(pl.Series(kept)) for field, column in columns.items()},
        table.lines[kept],
        (*table.rejected, *fresh),
    )
