"""Times as files write them, into microseconds since 1970 UTC."""

import re

import numpy as np
import polars as pl

from seawall.market.formats.base import Ints

DAY = 86_400_000_000
UNREADABLE = int(np.iinfo(np.int64).min)
"""Stands for a time that is missing or is none."""

_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M%#z",
    "%Y-%m-%d",
    "%Y%m%d",
    "%Y%m%d %H:%M",
)
_ISO = re.compile(r"\d{4}-?\d\d-?\d\d([T ]\d\d:\d\d.*)?", re.ASCII)
_EPOCH = re.compile(r"\d{9,19}", re.ASCII)
# An epoch count says its unit by its size: 1e11 seconds are the year 5138, as milliseconds 1973.
_MILLIS, _MICROS, _NANOS = 10**11, 10**14, 10**17
# Eight digits are a date, which an epoch count since 2009 never is.
_DATE_DIGITS = 8


def is_epoch(text: str) -> bool:
    """Tell whether a text is a count of (milli-, micro-, nano-) seconds since 1970."""
    return bool(_EPOCH.fullmatch(text.strip()))


def is_time(text: str) -> bool:
    """Tell whether a text looks like a time: an epoch count or ISO 8601."""
    return is_epoch(text) or bool(_ISO.fullmatch(text.strip()))


def show(micros: int | np.int64) -> str:
    """Write an instant for a message, like 2024-01-31T12:00:00Z."""
    text = str(np.datetime64(int(micros), "us"))
    return text.removesuffix(".000000") + "Z"


def to_micros(column: pl.Series, day: int | None = None) -> Ints:
    """Read a column of times; a time without offset is UTC, UNREADABLE is none.

    With `day` the column counts milliseconds since that instant, which begins a day.
    """
    if day is not None:
        return _since(column, day)
    if column.dtype.is_temporal():
        return _physical(column.cast(pl.Datetime("us", "UTC"), strict=False))
    if column.dtype == pl.String:
        return _from_text(column)
    return _from_epoch(column)


def _physical(column: pl.Series) -> Ints:
    return column.to_physical().fill_null(UNREADABLE).to_numpy()


def _since(column: pl.Series, day: int) -> Ints:
    millis = column.cast(pl.Int64, strict=False).fill_null(-1).to_numpy()
    within = (millis >= 0) & (millis < DAY // 1000)
    return np.where(within, day + np.where(within, millis, 0) * 1000, UNREADABLE)


def _from_epoch(column: pl.Series) -> Ints:
    if column.dtype.is_float():
        return _from_float(column)
    counts = column.cast(pl.Int64, strict=False).fill_null(UNREADABLE).to_numpy()
    size = np.abs(counts)
    micros = np.where(size >= _NANOS, counts // 1000, counts)
    micros = np.where(size < _MICROS, counts * 1000, micros)
    micros = np.where(size < _MILLIS, counts * 1_000_000, micros)
    return np.where(counts == UNREADABLE, UNREADABLE, micros)


def _from_float(column: pl.Series) -> Ints:
    """Read epoch counts with decimals: pandas writes them so when a row is missing."""
    counts = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    known = np.abs(counts) < 2.0**62
    counts = np.where(known, counts, 0.0)
    size = np.abs(counts)
    scale = np.select([size < _MILLIS, size < _MICROS, size < _NANOS], [1e6, 1e3, 1.0], 1e-3)
    return np.where(known, np.rint(counts * scale).astype(np.int64), UNREADABLE)


def _from_text(column: pl.Series) -> Ints:
    """Try one way of writing times after the other, each on what is still unread."""
    micros = np.full(len(column), UNREADABLE)
    first = column.drop_nulls().head(1).to_list()
    ways = [_read_iso, _read_integers, _read_floats]
    if first and is_epoch(first[0]):
        ways = [_read_integers, _read_floats, _read_iso]
    for way in ways:
        unread = np.flatnonzero(micros == UNREADABLE)
        if not len(unread):
            break
        whole = len(unread) == len(column)
        micros[unread] = way(column if whole else column.gather(unread))
    return micros


def _read_integers(column: pl.Series) -> Ints:
    text = column.str.strip_chars()
    counts = text.set(text.str.len_bytes() <= _DATE_DIGITS, None).cast(pl.Int64, strict=False)
    return _from_epoch(counts)


def _read_floats(column: pl.Series) -> Ints:
    return _from_epoch(column.str.strip_chars().cast(pl.Float64, strict=False))


def _read_iso(column: pl.Series) -> Ints:
    text = column.str.strip_chars().str.strip_suffix("+00:00").str.strip_suffix("Z")
    if text.str.contains("T", literal=True).any():
        text = text.str.replace("T", " ", literal=True)
    micros = np.full(len(column), UNREADABLE)
    for form in _FORMATS:
        unread = np.flatnonzero(micros == UNREADABLE)
        if not len(unread):
            break
        part = text if len(unread) == len(text) else text.gather(unread)
        micros[unread] = _physical(part.str.to_datetime(form, time_unit="us", strict=False))
    return micros
