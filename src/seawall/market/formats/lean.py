"""QuantConnect LEAN bars: trades and quotes by second, minute, hour or day.

Source: https://github.com/QuantConnect/Lean/tree/master/Data/crypto. Prices of crypto are not
scaled. Bars of a day or hour begin with YYYYMMDD HH:MM; those of a second or minute with the
milliseconds since the midnight of the day that the file's name states.
"""

import re
from datetime import date

from seawall.core.errors import InvalidError
from seawall.core.time import midnight, to_micros
from seawall.market.formats.base import Format, Layout, Sample
from seawall.market.formats.cells import is_number
from seawall.market.schemas import SeriesKind, Timeframe

_TRADE = {"time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
# Of a bar of quotes only its close says how things stood at one instant, the bar's end.
_QUOTE = {"time": 0, "bid_price": 4, "bid_size": 5, "ask_price": 9, "ask_size": 10}
_TRADE_WIDTH, _QUOTE_WIDTH = 6, 11
_DATED = re.compile(r"\d{8} \d\d:\d\d", re.ASCII)
_MILLIS = re.compile(r"\d{1,8}", re.ASCII)
_DAY_MILLIS = 86_400_000
_DAY = re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)(?!\d)", re.ASCII)
_RESOLUTION = re.compile(r"(?<![a-z])(second|minute)(?![a-z])")
_TIMEFRAMES = {"second": Timeframe(1), "minute": Timeframe(60)}


def recognise(sample: Sample) -> Layout | None:
    """Return the layout by what stands in the first rows.

    Raises:
        InvalidError: the times need a day, which no name states.
    """
    row = next((row for row in (sample.first, sample.second) if _is_bar(row)), None)
    if row is None or not any(map(is_number, sample.first)):
        return None
    intraday = not _DATED.fullmatch(row[0])
    is_trade = len(row) == _TRADE_WIDTH
    return Layout(
        kind=SeriesKind.CANDLES if is_trade else SeriesKind.QUOTES,
        fields=_TRADE if is_trade else _QUOTE,
        width=len(row),
        has_header=False,
        optional=frozenset(() if is_trade else _QUOTE),
        day=_day(sample.names) if intraday else None,
        timeframe=_timeframe(sample.names) if intraday else None,
    )


def _is_bar(row: tuple[str, ...]) -> bool:
    if len(row) not in (_TRADE_WIDTH, _QUOTE_WIDTH):
        return False
    is_millis = _MILLIS.fullmatch(row[0]) and int(row[0]) < _DAY_MILLIS
    if not is_millis and not _DATED.fullmatch(row[0]):
        return False
    is_quote = len(row) == _QUOTE_WIDTH
    return all(is_number(cell) or (is_quote and not cell.strip()) for cell in row[1:])


def _day(names: tuple[str, ...]) -> int:
    for name in names:
        for found in _DAY.finditer(name):
            try:
                return to_micros(midnight(date(*map(int, found.groups()))))
            except ValueError:
                continue
    raise InvalidError(
        f"{names[0]} counts milliseconds since midnight, and its name does not say of which day.",
        hint="Name it as LEAN does, like 20180405_btcusd_minute_trade.csv.",
    )


def _timeframe(names: tuple[str, ...]) -> Timeframe | None:
    found = (_RESOLUTION.search(name.lower()) for name in names)
    return next((_TIMEFRAMES[match[1]] for match in found if match), None)


LEAN = Format("lean", "LEAN bars of trades or quotes, by second, minute, hour or day", recognise)
