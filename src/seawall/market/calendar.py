"""The days on which an index trades: weekdays without the New York Stock Exchange's holidays."""

from functools import cache

import numpy as np
from holidays import financial_holidays
from numpy.typing import NDArray

Days = NDArray[np.datetime64]


@cache
def _closed(first_year: int, last_year: int) -> Days:
    closed = financial_holidays("NYSE", years=range(first_year, last_year + 1))
    return np.array(sorted(closed), "<M8[D]")


def _closed_around(days: Days) -> Days:
    years = days.astype("<M8[Y]").astype(int) + 1970
    return _closed(int(years.min()), int(years.max()))


def is_trading_day(days: Days) -> NDArray[np.bool_]:
    """Tell for each day whether the exchange was open.

    Shapes: (n,) days in, (n,) booleans out.
    """
    dates = days.astype("<M8[D]")
    if not len(dates):
        return np.zeros(0, bool)
    return np.is_busday(dates, holidays=_closed_around(dates))


def next_trading_day(days: Days) -> Days:
    """Return the first trading day after each day."""
    dates = days.astype("<M8[D]")
    if not len(dates):
        return dates
    # A year more, for the days after the last of December.
    closed = _closed_around(np.append(dates, dates.max() + np.timedelta64(366, "D")))
    following: Days = np.busday_offset(dates, 1, roll="backward", holidays=closed)
    return following


def trading_day_number(days: Days) -> NDArray[np.int64]:
    """Number days so that consecutive trading days differ by one; a closed day has the next's."""
    dates = days.astype("<M8[D]")
    if not len(dates):
        return np.zeros(0, np.int64)
    counted = np.busday_count(dates.min(), dates, holidays=_closed_around(dates))
    return counted.astype(np.int64)
