"""The values that market data travels in."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seawall.core.errors import InvalidError

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_TIMEFRAME = re.compile(r"([1-9]\d{0,4})([smhdw])")


@dataclass(frozen=True, slots=True, order=True)
class Timeframe:
    """The length of a candle, in seconds; shown as 1m, 4h or 1d."""

    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 1s, 5m, 4h, 1d or 1w.

        Raises:
            InvalidError: it is none of those.
        """
        found = _TIMEFRAME.fullmatch(text.strip())
        if not found:
            raise InvalidError(
                f"timeframe {text!r} is not known.",
                hint="Write it like 1s, 1m, 5m, 1h, 4h, 1d, 1w.",
            )
        return cls(int(found[1]) * _UNITS[found[2]])

    @property
    def micros(self) -> int:
        """Its length in microseconds."""
        return self.seconds * 1_000_000

    def __str__(self) -> str:
        for unit, length in reversed(_UNITS.items()):
            if self.seconds % length == 0:
                # Seven days are written 7d only when they are not a week.
                return f"{self.seconds // length}{unit}"
        return f"{self.seconds}s"


class SeriesKind(StrEnum):
    """What a file or series holds."""

    CANDLES = "candles"
    QUOTES = "quotes"
    TRADES = "trades"
    PRICES = "prices"


TIME = "<M8[us]"

CANDLE_DTYPE = np.dtype(
    [
        ("time", TIME),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<f8"),
        ("quote_volume", "<f8"),
        ("trade_count", "<i8"),
    ]
)
"""One candle. `time` is the open time; `quote_volume` NaN and `trade_count` -1 mean not given."""

QUOTE_DTYPE = np.dtype(
    [
        ("time", TIME),
        ("bid_price", "<f8"),
        ("bid_size", "<f8"),
        ("ask_price", "<f8"),
        ("ask_size", "<f8"),
    ]
)
"""Level 1 at an instant; NaN means that side was empty."""

TRADE_DTYPE = np.dtype(
    [("time", TIME), ("trade_id", "<i8"), ("side", "<i2"), ("price", "<f8"), ("quantity", "<f8")]
)
"""One public trade. `side` is the taker's: 1 buy, -1 sell, 0 not given."""

PRICE_DTYPE = np.dtype([("time", TIME), ("price_usd", "<f8")])
"""One price of an index or asset in USD, at the instant from which it is known."""

Records = NDArray[np.void]
"""A structured array with one of the dtypes above."""

DTYPES: dict[SeriesKind, np.dtype[Any]] = {
    SeriesKind.CANDLES: CANDLE_DTYPE,
    SeriesKind.QUOTES: QUOTE_DTYPE,
    SeriesKind.TRADES: TRADE_DTYPE,
    SeriesKind.PRICES: PRICE_DTYPE,
}


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not taken, by its line in the file (the first line is 1), with the reason."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What one file holds, before anything is stored.

    `records` are sorted by time without duplicates. `symbol`, `exchange` and `timeframe` are what
    the file itself or its name says, None when it does not.
    """

    format: str
    kind: SeriesKind
    records: Records
    rows_read: int
    rejected: tuple[Rejected, ...] = ()
    symbol: str | None = None
    exchange: str | None = None
    timeframe: Timeframe | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of missing candles: `start` is the first missing open time, `end` the next held."""

    start: datetime
    end: datetime
    missing: int


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What importing one file did; `gaps` are the longest inside its own range."""

    path: str
    format: str
    kind: SeriesKind
    symbol: str
    exchange: str
    timeframe: str | None
    rows_read: int
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: tuple[Rejected, ...] = ()
    first_time: datetime | None = None
    last_time: datetime | None = None
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    missing: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LatestQuote:
    """The newest level 1 of a pair; None is an empty side, or no trade that came with it."""

    symbol_id: int
    time: datetime
    bid_price: float | None
    bid_size: float | None
    ask_price: float | None
    ask_size: float | None
    last_price: float | None
    last_size: float | None


@dataclass(frozen=True, slots=True)
class LatestPrice:
    """The newest price of an asset in USD, and what its source said of the market then.

    Changes are in percent; None is what the source left out.
    """

    asset_id: int
    time: datetime
    price_usd: float
    market_cap_usd: float | None
    volume_24h_usd: float | None
    percent_change_1h: float | None
    percent_change_24h: float | None
    percent_change_7d: float | None
    rank: int | None
    data_source: str | None
