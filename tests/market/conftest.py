"""What the tests of market data share: files as they look once parsed."""

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
import pytest

from seawall.market.schemas import (
    CANDLE_DTYPE,
    PRICE_DTYPE,
    ParsedFile,
    Records,
    SeriesKind,
    Timeframe,
)

Times = Sequence[datetime | str]


def _micros(times: Times) -> list[np.datetime64]:
    naive = [time if isinstance(time, str) else time.replace(tzinfo=None) for time in times]
    return [np.datetime64(time, "us") for time in naive]


def _candles(
    times: Times,
    close: float | Sequence[float] = 100.0,
    *,
    timeframe: str = "1d",
    symbol: str | None = "BTC/USDT",
    exchange: str | None = "binance",
) -> ParsedFile:
    records: Records = np.empty(len(times), CANDLE_DTYPE)
    records["time"] = _micros(times)
    records["close"] = records["open"] = records["high"] = records["low"] = close
    records["volume"], records["quote_volume"], records["trade_count"] = 1.0, np.nan, -1
    return ParsedFile(
        format="generic",
        kind=SeriesKind.CANDLES,
        records=records,
        rows_read=len(records),
        symbol=symbol,
        exchange=exchange,
        timeframe=Timeframe.parse(timeframe),
    )


def _closes(times: Times, price: float | Sequence[float] = 100.0) -> ParsedFile:
    records: Records = np.empty(len(times), PRICE_DTYPE)
    records["time"], records["price_usd"] = _micros(times), price
    return ParsedFile(
        format="index",
        kind=SeriesKind.PRICES,
        records=records,
        rows_read=len(records),
        symbol="SP500",
        timeframe=Timeframe(86_400),
    )


# Of the session, so that hypothesis may use them.
@pytest.fixture(scope="session")
def candles() -> Callable[..., ParsedFile]:
    """Make a parsed file of candles from their open times and closes."""
    return _candles


@pytest.fixture(scope="session")
def closes() -> Callable[..., ParsedFile]:
    """Make a parsed file of the S&P 500's closes, each at the midnight after its day."""
    return _closes
