"""Any table with a header that names a time, open, high, low, close and perhaps a volume."""

from seawall.market.formats import columns
from seawall.market.formats.base import Format, Layout, Sample


def recognise(sample: Sample) -> Layout | None:
    """Return the layout by the columns' names, in any order; others are left alone."""
    return columns.candles(sample.columns)


OHLCV = Format("ohlcv", "CSV: date|time|timestamp,open,high,low,close[,volume]", recognise)
