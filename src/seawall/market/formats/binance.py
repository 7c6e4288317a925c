"""Binance klines: 12 columns, or the first 9 of them, with or without a header.

Source of the columns: https://github.com/binance/binance-public-data
"""

from seawall.market.formats.base import Format, Layout, Sample
from seawall.market.formats.cells import is_number
from seawall.market.formats.columns import place
from seawall.market.formats.times import is_time
from seawall.market.schemas import SeriesKind

_WIDTHS = (9, 12)
_BARE = {
    "time": 0,
    "open": 1,
    "high": 2,
    "low": 3,
    "close": 4,
    "volume": 5,
    "quote_volume": 7,
    "trade_count": 8,
}
_CLOSE_TIME = 6
_NAMED = {
    "time": ("open_time",),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "quote_volume": ("quote_asset_volume", "quote_volume"),
    "trade_count": ("number_of_trades", "count", "trades"),
}


def recognise(sample: Sample) -> Layout | None:
    """Return the layout by the header's names, or by what stands where in a row."""
    names = sample.columns
    if "open_time" in names and "close_time" in names:
        fields = place(names, _NAMED)
        return _layout(fields, len(names)) if len(fields) == len(_NAMED) else None
    row = next((row for row in (sample.first, sample.second) if _is_kline(row)), None)
    if row is None:
        return None
    has_header = not any(is_number(cell) or is_time(cell) for cell in sample.first)
    return _layout(_BARE, len(row), has_header=has_header)


def _layout(fields: dict[str, int], width: int, *, has_header: bool = True) -> Layout:
    return Layout(SeriesKind.CANDLES, fields, width, has_header=has_header, exchange="binance")


def _is_kline(row: tuple[str, ...]) -> bool:
    if len(row) not in _WIDTHS or not is_time(row[0]) or not is_time(row[_CLOSE_TIME]):
        return False
    return all(is_number(cell) for at, cell in enumerate(row) if at not in (0, _CLOSE_TIME))


BINANCE = Format("binance", "Binance kline CSV, 12 or 9 columns, with or without header", recognise)
