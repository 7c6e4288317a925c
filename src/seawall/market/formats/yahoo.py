"""Yahoo Finance: Date,Open,High,Low,Close,Volume,Dividends,Stock Splits or with Adj Close."""

from dataclasses import replace

from seawall.market.formats import columns
from seawall.market.formats.base import Format, Layout, Sample

_MARKS = ({"adj_close"}, {"dividends", "stock_splits"})


def recognise(sample: Sample) -> Layout | None:
    """Return the layout by a column that only Yahoo has, beside those of candles."""
    names = sample.columns
    if "date" not in names or not any(marks <= set(names) for marks in _MARKS):
        return None
    found = columns.candles(names)
    if found is None:
        return None
    # Yahoo counts the volume of a coin in the currency that it is quoted in, not in coins.
    fields = dict(found.fields)
    if "volume" in fields:
        fields["quote_volume"] = fields.pop("volume")
    return replace(found, fields=fields, exchange="yahoo")


YAHOO = Format(
    "yahoo", "CSV: Date,Open,High,Low,Close[,Adj Close],Volume[,Dividends,Stock Splits]", recognise
)
