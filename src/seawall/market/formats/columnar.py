"""Arrow (feather) and Parquet: candles, trades or daily closes by the names of their columns."""

import io
from collections.abc import Callable

import numpy as np
import polars as pl

from seawall.core.errors import InvalidError, name_some
from seawall.market.formats import columns
from seawall.market.formats.base import Container, Content, Format, Layout, Sample, Table
from seawall.market.formats.readable import readable

MAX_ROWS = 30_000_000
_MARKS = {Container.ARROW: b"ARROW1", Container.PARQUET: b"PAR1"}
"""What such a file both begins and ends with."""
_READERS: dict[Container, Callable[..., pl.DataFrame]] = {
    Container.ARROW: pl.read_ipc,
    Container.PARQUET: pl.read_parquet,
}


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
    try:
        frame = _READERS[container](io.BytesIO(content.data), n_rows=MAX_ROWS + 1)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidError(
            f"{content.label} is damaged {container}: {reason}.",
            hint="Fetch it again.",
        ) from error
    if frame.height > MAX_ROWS:
        raise InvalidError(f"{content.label} has more than {MAX_ROWS:,} rows.", hint="Split it.")
    if not frame.height:
        raise InvalidError(f"{content.label} has no rows.")
    return frame


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
