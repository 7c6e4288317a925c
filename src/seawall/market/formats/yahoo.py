"""Yahoo Finance: Date,Open,High,Low,Close,Volume,Dividends,Stock Splits or with Adj Close."""

from dataclasses import replace

from seawall.market.formats import columns
from seawall.market.formats.base import Format, Layout, Sample

_MARKS = ({"adj_close"}, {"dividends", "stock_splits"})


def recognise(sample: Sample) -> Layout | None:
    """Return the layout of candles with a column that only Yahoo has."""
    names = sample.columns
    if "date" not in names or not any(marks <= set(names) for marks in _MARKS):
        return None
    found = columns.candles(names)
    if found is None:
        return None
    note = "Yahoo counts the volume of a coin in the currency it is quoted in, not in coins"
    return replace(found, exchange="yahoo", note=note)


YAHOO = Format(
    "yahoo", "CSV: Date,Open,High,Low,Close[,Adj Close],Volume[,Dividends,Stock Splits]", recognise
)
