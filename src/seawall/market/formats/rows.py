"""The rows of a delimited text as columns: a fast way, and an exact one where anything is off."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from seawall.market.formats.base import Layout, Table
from seawall.market.formats.readable import join, readable
from seawall.market.formats.text import Row, Text, split_rows
from seawall.market.formats.times import is_epoch
from seawall.market.schemas import Rejected

BLOCK = 16 << 20
"""Bytes that are read in one go; only a block in which something is off is read the slow way."""


def read_rows(text: Text, layout: Layout) -> Table:
    """Read every row below the header; those of the wrong width or unreadable are rejected.

    Raises:
        InvalidError: there are no rows, or a quotation mark is not closed.
    """
    line = text.first_data_line(has_header=layout.has_header)
    tables = []
    for block in _blocks(text.data, line):
        lines = block.count(b"\n") + (not block.endswith(b"\n"))
        table = _read_fast(block, line, lines, text, layout)
        tables.append(table or _read_exactly(block, line, text, layout))
        line += lines
    return join(tables)


def _blocks(data: bytes, first: int) -> Iterator[bytes]:
    """Cut the text from a line on into blocks of whole rows."""
    start = 0
    for _ in range(first - 1):
        start = data.index(b"\n", start) + 1
    cuts = list(_cuts(data, start))
    if b'"' in data and any(data.count(b'"', begin, end) % 2 for begin, end in cuts):
        # A quoted cell may go on in the next block.
        cuts = [(start, len(data))]
    for begin, end in cuts:
        yield data[begin:end]


def _cuts(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    while start < len(data):
        end = data.find(b"\n", start + BLOCK) + 1 or len(data)
        yield start, end
        start = end


def _read_fast(block: bytes, line: int, lines: int, text: Text, layout: Layout) -> Table | None:
    """Read a block in which each line is a row, every row is full and every number is one."""
    # No row has more columns than the schema, or polars would say so; as the total is right, none
    # has fewer.
    separators = lines * (layout.width - 1)
    if b'"' in block or block.count(text.separator.encode()) != separators:
        return None
    try:
        frame = pl.read_csv(
            block,
            has_header=False,
            schema=_schema(text, layout),
            separator=text.separator,
            quote_char=None,
        )
    except pl.exceptions.PolarsError:
        return None
    if frame.height != lines:
        return None
    columns = {field: frame[str(position)] for field, position in layout.fields.items()}
    return readable(columns, np.arange(line, line + lines), layout.day)


def _schema(text: Text, layout: Layout) -> dict[str, type[pl.DataType]]:
    sample = text.sample.second if layout.has_header else text.sample.first
    schema: dict[str, type[pl.DataType]] = {str(at): pl.String for at in range(layout.width)}
    for field, position in layout.fields.items():
        if field != "time":
            schema[str(position)] = pl.Float64
        elif layout.day is not None or (position < len(sample) and is_epoch(sample[position])):
            schema[str(position)] = pl.Int64
    return schema


def _read_exactly(block: bytes, line: int, text: Text, layout: Layout) -> Table:
    rejected: list[Rejected] = []
    rows = list(_whole_rows(split_rows(block, text.separator, text.label, line), layout, rejected))
    columns = {
        field: pl.Series([fields[position] for _, fields in rows], dtype=pl.String)
        for field, position in layout.fields.items()
    }
    lines = np.array([at for at, _ in rows], np.int64)
    return readable(columns, lines, layout.day, tuple(rejected))


def _whole_rows(rows: Iterator[Row], layout: Layout, rejected: list[Rejected]) -> Iterator[Row]:
    for line, fields in rows:
        if len(fields) == layout.width:
            yield line, fields
        else:
            reason = f"has {len(fields)} columns instead of {layout.width}"
            rejected.append(Rejected(line, reason))
