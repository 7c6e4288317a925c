"""Candles with their time twice: timestamp,open,close,volume,unix_timestamp,high,low."""

from dataclasses import replace

from seawall.market.formats import columns
from seawall.market.formats.base import Format, Layout, Sample


def recognise(sample: Sample) -> Layout | None:
    """Return the layout by a second, Unix time; it is read, because it cannot lack a time zone."""
    names = sample.columns
    found = columns.candles(names)
    if found is None or names.count("unix_timestamp") != 1 or "timestamp" not in names:
        return None
    return replace(found, fields={**found.fields, "time": names.index("unix_timestamp")})


UNIX_TIMESTAMP = Format(
    "unix-timestamp", "CSV: timestamp,open,close,volume,unix_timestamp,high,low", recognise
)
