"""Single cells, out of the text that they are written in."""

import re

import numpy as np
import polars as pl

from seawall.market.formats.base import Mask

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?|[+-]?\d{1,3}(\.\d{3})+,\d+", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)


def is_number(text: str) -> bool:
    """Tell whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def to_floats(column: pl.Series) -> tuple[pl.Series, Mask]:
    """Read texts as Float64, empty ones as null; tell which are neither number nor empty."""
    text = column.str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    is_wrong = numbers.is_null() & (text.fill_null("") != "")
    return numbers, is_wrong.to_numpy()


def why_no_number(field: str, text: str) -> str:
    """Say why a text is not taken as a number."""
    shown = f"{field} {text[:40]!r}"
    if _THOUSANDS.fullmatch(text.strip()):
        return f"{shown} has thousands separators"
    if _DECIMAL_COMMA.fullmatch(text.strip()):
        return f"{shown} has a decimal comma"
    return f"{shown} is not a number"


def number(value: float | np.floating) -> str:
    """Write a number for a message, without needless digits."""
    return f"{float(value):.15g}"
