"""What every file format is made of: how it is recognised, and where it keeps its fields."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seawall.core import time
from seawall.market.schemas import Rejected, SeriesKind, Timeframe

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ParseHints:
    """What the user says about a file; `known_bases` are the assets already in the catalogue."""

    symbol: str | None = None
    exchange: str | None = None
    timeframe: Timeframe | None = None
    format: str | None = None
    known_bases: Collection[str] = ()
    now: datetime = field(default_factory=time.now)


@dataclass(frozen=True, slots=True)
class Content:
    """One unpacked file: its names, innermost first, and its bytes."""

    names: tuple[str, ...]
    data: bytes

    @property
    def label(self) -> str:
        """How messages call it."""
        return ": ".join(reversed(self.names))


class Container(StrEnum):
    """How the bytes hold a table."""

    TEXT = "text"
    ARROW = "arrow"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a format is recognised by: the first row and, of a text, the row after it.

    `first` is as it is written; `columns` is the same as column names are compared.
    """

    names: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The first row in lower case with underscores: Adj Close is adj_close."""
        return tuple(name.strip().lower().replace(" ", "_") for name in self.first)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a file keeps its fields.

    Attributes:
        fields: the column, from 0, of each field of the records.
        width: how many columns a row has.
        optional: fields that may be empty in a row.
        day: microseconds at which the day begins whose milliseconds the times count (LEAN).
        timeframe: the timeframe that the format itself states.
    """

    kind: SeriesKind
    fields: Mapping[str, int]
    width: int
    has_header: bool = True
    optional: frozenset[str] = frozenset()
    exchange: str | None = None
    day: int | None = None
    timeframe: Timeframe | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: `recognise` returns its layout, or None for another format's file."""

    name: str
    title: str
    recognise: Callable[[Sample], Layout | None]
    container: Container = Container.TEXT


@dataclass(frozen=True, slots=True)
class Table:
    """The rows that could be read, and those that could not.

    `times` are microseconds since 1970 UTC, `lines` each row's line in the file (in Arrow and
    Parquet its number), from 1. Of `columns`, sides and trade ids are as the file has them, the
    others Float64 with null where a cell is empty.
    """

    times: Ints
    columns: Mapping[str, pl.Series]
    lines: Ints
    rejected: tuple[Rejected, ...] = ()
