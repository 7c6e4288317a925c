"""Arrow (feather) and Parquet: candles, trades or daily closes by the names of their columns."""

import subprocess
import sys

import numpy as np
import polars as pl

from seawall.core.errors import InvalidError, name_some
from seawall.market.formats import columns, isolated
from seawall.market.formats.base import Container, Content, Format, Layout, Sample, Table
from seawall.market.formats.readable import readable

MAX_ROWS = 30_000_000
_MARKS = {Container.ARROW: b"ARROW1", Container.PARQUET: b"PAR1"}
"""What such a file both begins and ends with."""
_LONGEST_SECONDS = 300


def recognise(sample: Sample) -> Layout | None:
    """Return the layout by the columns' names."""
    names = sample.columns
    return columns.candles(names) or columns.trades(names) or columns.prices(names)


ARROW = Format("arrow", "Arrow or feather of candles or trades", recognise, Container.ARROW)
PARQUET = Format("parquet", "Parquet of candles or trades", recognise, Container.PARQUET)


def container_of(data: bytes) -> Container:
    """Tell by its first bytes how a content holds its table."""
    found = (container for container, mark in _MARKS.items() if data.startswith(mark))
    return next(found, Container.TEXT)


def read_frame(content: Content, container: Container) -> pl.DataFrame:
    """Read a table, whole or not at all.

    Raises:
        InvalidError: it is damaged, empty, or too large.
    """
    if not content.data.endswith(_MARKS[container]):
        raise InvalidError(f"{content.label} is truncated {container}.", hint="Fetch it again.")
    frame = pl.read_ipc(_decoded(content, container))
    if frame.height > MAX_ROWS:
        raise InvalidError(f"{content.label} has more than {MAX_ROWS:,} rows.", hint="Split it.")
    if not frame.height:
        raise InvalidError(f"{content.label} has no rows.")
    return frame


def _decoded(content: Content, container: Container) -> bytes:
    """Decode in a process of its own, which a damaged file may take down."""
    command = [sys.executable, "-P", "-m", isolated.__name__, container, str(MAX_ROWS + 1)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, and no shell
            command, input=content.data, capture_output=True, check=False, timeout=_LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise InvalidError(
            f"{content.label} is not decoded after {_LONGEST_SECONDS} seconds.", hint="Split it."
        ) from None
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.decode(errors="replace").rpartition("\n")[2]
    reason = said if done.returncode == isolated.REFUSED else "decoding it crashes"
    raise InvalidError(f"{content.label} is damaged {container}: {reason}.", hint="Fetch it again.")


def read_table(frame: pl.DataFrame, layout: Layout, label: str) -> Table:
    """Take the columns that the layout names.

    Raises:
        InvalidError: one of them holds something that is no number, time or text.
    """
    found = {field: frame.to_series(position) for field, position in layout.fields.items()}
    wrong = [
        f"{field} ({column.dtype})" for field, column in found.items() if _is_odd(field, column)
    ]
    if wrong:
        raise InvalidError(f"{label}: columns of a type that is not taken: {name_some(wrong)}.")
    taken = {field: _taken(field, column) for field, column in found.items()}
    return readable(taken, np.arange(1, frame.height + 1))


def _is_odd(field: str, column: pl.Series) -> bool:
    kind = column.dtype
    if field == "time" and kind.base_type() in (pl.Date, pl.Datetime):
        return False
    is_text = kind == pl.String or kind.base_type() in (pl.Categorical, pl.Enum)
    return not (kind.is_numeric() or is_text or kind == pl.Null)


def _taken(field: str, column: pl.Series) -> pl.Series:
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        is_whole = field in ("time", "side", "trade_id")
        return column if is_whole else column.cast(pl.Float64, strict=False)
    return column if column.dtype.is_temporal() else column.cast(pl.String)
