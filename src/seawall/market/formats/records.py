"""A table's columns as records, with the rows that make no sense rejected."""

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seawall.core.time import to_micros
from seawall.market.formats.base import Ints, Layout, Table
from seawall.market.formats.cells import number
from seawall.market.formats.times import show
from seawall.market.formats.verdicts import Verdicts
from seawall.market.schemas import DTYPES, Records, SeriesKind

EARLIEST = to_micros(datetime(2009, 1, 1))  # noqa: DTZ001 - a naive one is UTC
"""Before Bitcoin's first block there was no coin to price."""
EARLIEST_INDEX = to_micros(datetime(1900, 1, 1))  # noqa: DTZ001 - as above
NOISE = 1e-9
"""By how much, relatively, an open or close may lie outside of low to high: float32 noise."""

_SIDES = {"buy": 1, "b": 1, "1": 1, "sell": -1, "s": -1, "-1": -1, "": 0, "0": 0, "none": 0}
_PRICES = {
    SeriesKind.CANDLES: ("open", "high", "low", "close"),
    SeriesKind.QUOTES: ("bid_price", "ask_price"),
    SeriesKind.TRADES: ("price", "quantity"),
    SeriesKind.PRICES: ("price_usd",),
}
_AMOUNTS = {
    SeriesKind.CANDLES: ("volume", "quote_volume"),
    SeriesKind.QUOTES: ("bid_size", "ask_size"),
    SeriesKind.TRADES: (),
    SeriesKind.PRICES: (),
}


def to_records(
    table: Table, layout: Layout, now: datetime, verdicts: Verdicts
) -> tuple[Records, int]:
    """Build a record for each row and reject those at fault.

    Returns the records, those of rejected rows included, and how many candles' high or low was
    widened by float noise to hold their open and close.
    """
    records = np.empty(len(table.lines), DTYPES[layout.kind])
    records["time"] = table.times.view("<M8[us]")
    earliest = EARLIEST_INDEX if layout.kind is SeriesKind.PRICES else EARLIEST
    _check_times(table.times, earliest, to_micros(now), verdicts)
    for field in _PRICES[layout.kind]:
        records[field] = _floats(table, field)
        _check_price(records[field], field, verdicts, may_miss=field in layout.optional)
    for field in _AMOUNTS[layout.kind]:
        records[field] = _floats(table, field)
        _check_amount(records[field], field, verdicts, may_miss=_may_miss(field, layout))
    widened = 0
    match layout.kind:
        case SeriesKind.CANDLES:
            widened = _check_candles(records, verdicts)
            counts = _floats(table, "trade_count")
            _check_count(counts, verdicts, may_miss=_may_miss("trade_count", layout))
            records["trade_count"] = _whole(np.where(np.isnan(counts), -1, counts))
        case SeriesKind.QUOTES:
            _check_quotes(records, verdicts)
        case SeriesKind.TRADES:
            records["trade_id"] = _trade_ids(table, verdicts)
            records["side"] = _sides(table, verdicts)
        case SeriesKind.PRICES:
            pass
    return records, widened


def _may_miss(field: str, layout: Layout) -> bool:
    return field not in layout.fields or field in layout.optional


def _floats(table: Table, field: str) -> NDArray[np.float64]:
    if field not in table.columns:
        return np.full(len(table.lines), np.nan)
    return table.columns[field].fill_null(np.nan).to_numpy()


def _whole(values: NDArray[np.float64]) -> Ints:
    fits = np.abs(values) < 2.0**53
    return np.where(fits, values, 0).astype(np.int64)


def _check_times(micros: Ints, earliest: int, now: int, verdicts: Verdicts) -> None:
    year = show(earliest)[:4]
    verdicts.reject(micros < earliest, lambda row: f"time {show(micros[row])} is before {year}")
    verdicts.reject(micros > now, lambda row: f"time {show(micros[row])} is in the future")


def _check_price(
    values: NDArray[np.float64], field: str, verdicts: Verdicts, *, may_miss: bool
) -> None:
    _check_number(values, field, verdicts, may_miss=may_miss)
    verdicts.reject(values <= 0, lambda row: f"{field} {number(values[row])} is not above 0")


def _check_amount(
    values: NDArray[np.float64], field: str, verdicts: Verdicts, *, may_miss: bool
) -> None:
    _check_number(values, field, verdicts, may_miss=may_miss)
    verdicts.reject(values < 0, lambda row: f"{field} {number(values[row])} is negative")


def _check_count(values: NDArray[np.float64], verdicts: Verdicts, *, may_miss: bool) -> None:
    _check_amount(values, "trade_count", verdicts, may_miss=may_miss)
    broken = ~np.isnan(values) & ((values != np.rint(values)) | (np.abs(values) >= 2.0**53))
    verdicts.reject(broken, lambda row: f"trade_count {number(values[row])} is not a whole number")


def _check_number(
    values: NDArray[np.float64], field: str, verdicts: Verdicts, *, may_miss: bool
) -> None:
    if not may_miss:
        verdicts.reject(np.isnan(values), lambda _: f"{field} is missing")
    verdicts.reject(np.isinf(values), lambda row: f"{field} {number(values[row])} is not finite")


def _check_candles(records: Records, verdicts: Verdicts) -> int:
    high, low = records["high"], records["low"]
    verdicts.reject(
        high < low, lambda row: f"high {number(high[row])} is below low {number(low[row])}"
    )
    with np.errstate(over="ignore"):
        top, bottom = high * (1 + NOISE), low * (1 - NOISE)
    for field in ("open", "close"):
        values = records[field]

        def outside(row: int, field: str = field, values: NDArray[np.float64] = values) -> str:
            span = f"{number(low[row])} to {number(high[row])}"
            return f"{field} {number(values[row])} is outside low to high ({span})"

        verdicts.reject((values > top) | (values < bottom), outside)
    highest = np.maximum(records["open"], records["close"])
    lowest = np.minimum(records["open"], records["close"])
    widened = ((highest > high) | (lowest < low)) & verdicts.kept
    records["high"] = np.maximum(high, highest)
    records["low"] = np.minimum(low, lowest)
    return int(np.count_nonzero(widened))


def _check_quotes(records: Records, verdicts: Verdicts) -> None:
    bid, ask = records["bid_price"], records["ask_price"]
    verdicts.reject(np.isnan(bid) & np.isnan(ask), lambda _: "bid_price and ask_price are missing")
    for side in ("bid", "ask"):
        price, size = records[f"{side}_price"], records[f"{side}_size"]
        verdicts.reject(
            np.isnan(price) != np.isnan(size),
            lambda _, side=side: f"{side} has a price or a size but not both",  # type: ignore[misc]
        )
    verdicts.reject(
        bid > ask, lambda row: f"bid_price {number(bid[row])} is above ask_price {number(ask[row])}"
    )


def _trade_ids(table: Table, verdicts: Verdicts) -> Ints:
    raw = table.columns["trade_id"]
    ids = raw.cast(pl.Int64, strict=False)
    verdicts.reject(
        ids.is_null().to_numpy(), lambda row: f"trade_id {raw[row]!r} is not a whole number"
    )
    return ids.fill_null(0).to_numpy()


def _sides(table: Table, verdicts: Verdicts) -> Ints:
    if "side" not in table.columns:
        return np.zeros(len(table.lines), np.int64)
    raw = table.columns["side"].cast(pl.String).fill_null("")
    unknown = 2
    sides = raw.str.strip_chars().str.to_lowercase()
    found = sides.replace_strict(_SIDES, default=unknown, return_dtype=pl.Int64).to_numpy()
    verdicts.reject(found == unknown, lambda row: f"side {raw[row]!r} is neither buy nor sell")
    return found
