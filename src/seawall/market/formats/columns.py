"""Tables whose columns say what they hold: candles, trades, closing prices."""

from collections.abc import Mapping, Sequence

from seawall.core.errors import InvalidError
from seawall.market.formats.base import Layout
from seawall.market.schemas import SeriesKind

_TIMES = ("open_time", "timestamp", "datetime", "date", "time")
_CANDLES: Mapping[str, Sequence[str]] = {
    "time": _TIMES,
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "quote_volume": ("quote_volume", "quote_asset_volume"),
    "trade_count": ("trade_count", "number_of_trades"),
}
_TRADES: Mapping[str, Sequence[str]] = {
    "time": _TIMES,
    "trade_id": ("trade_id", "id"),
    "side": ("side",),
    "price": ("price",),
    "quantity": ("quantity", "amount", "qty", "size"),
}
_PRICES: Mapping[str, Sequence[str]] = {"time": _TIMES, "price_usd": ("close",)}
_EXTRAS = frozenset({"volume", "quote_volume", "trade_count", "side"})


def place(columns: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Find the column of each field by the names that it goes by; a field not there is left out.

    Raises:
        InvalidError: a column that is wanted is there twice.
    """
    found = {}
    for field, names in wanted.items():
        name = next((name for name in names if name in columns), None)
        if name is None:
            continue
        if columns.count(name) > 1:
            raise InvalidError(f"the column {name!r} is there twice.", hint="Leave one of them.")
        found[field] = columns.index(name)
    return found


def candles(columns: Sequence[str]) -> Layout | None:
    """Return where candles are, None where a time or price has no column."""
    return _layout(SeriesKind.CANDLES, columns, _CANDLES)


def trades(columns: Sequence[str]) -> Layout | None:
    """Return where trades are, None where a time, id, price or quantity has no column."""
    return _layout(SeriesKind.TRADES, columns, _TRADES)


def prices(columns: Sequence[str]) -> Layout | None:
    """Return where daily closes are, None unless there is nothing but dates and closes."""
    if len(columns) != 2:  # noqa: PLR2004 - a date and a close
        return None
    return _layout(SeriesKind.PRICES, columns, _PRICES)


def _layout(
    kind: SeriesKind, columns: Sequence[str], wanted: Mapping[str, Sequence[str]]
) -> Layout | None:
    # A day and a time of day in two columns: to take one of them would be wrong.
    if {"date", "time"} <= set(columns):
        return None
    if any(
        field not in _EXTRAS and not set(names) & set(columns) for field, names in wanted.items()
    ):
        return None
    return Layout(kind, place(columns, wanted), len(columns), optional=_EXTRAS)
