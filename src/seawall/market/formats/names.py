"""What a file's name says: BTCUSD-coinbase-1d.csv, 20180405_btcusd_minute_trade.csv."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from seawall.core.errors import InvalidError
from seawall.market.formats.base import Layout, ParseHints
from seawall.market.formats.spacing import Stated
from seawall.market.pairs import (
    QUOTES,
    plain_name,
    split_pair,
)
from seawall.market.schemas import SeriesKind, Timeframe

_T = TypeVar("_T")
_EXCHANGES = (
    "binance binanceus bitfinex bitflyer bitget bitmart bitmex bitstamp bittrex bybit coinbase "
    "cryptocom deribit gateio gemini hitbtc htx huobi kraken kucoin mexc okx poloniex upbit "
    "yahoo"
)
EXCHANGES = frozenset(_EXCHANGES.split())
_ALIASES = {"gdax": "coinbase", "coinbasepro": "coinbase", "okex": "okx"}
_SUFFIXES = "csv tsv txt gz zip feather arrow ipc parquet pq"
_WORDS = (
    "ohlc ohlcv kline klines candle candles trade trades quote quotes price prices close closes "
    "data history historical index spot futures export"
)
_UNITS = {
    "s": "s",
    "sec": "s",
    "second": "s",
    "m": "m",
    "min": "m",
    "minute": "m",
    "h": "h",
    "hour": "h",
    "hourly": "h",
    "d": "d",
    "day": "d",
    "daily": "d",
    "w": "w",
    "week": "w",
    "weekly": "w",
}
_EXCHANGE = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}", re.ASCII)
_TOKEN = re.compile(r"[^\W_]+")
_LENGTH = re.compile(r"(\d{0,3})([a-z]+)", re.ASCII)
_EXTENSION = re.compile(r"\.([a-z]+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file is about, None for what nothing says."""

    symbol: str | None
    exchange: str | None
    stated: Stated | None


def identify(names: Sequence[str], layout: Layout, hints: ParseHints) -> Identity:
    """Return what the hints say, else the content, else the names, innermost first.

    Raises:
        InvalidError: a pair in a hint or name may be split in several ways.
    """
    tokens = [_tokens(name) for name in names]
    return Identity(
        symbol=_stated_symbol(hints, layout.kind)
        or _first(_symbol(part, layout.kind, hints) for part in tokens),
        exchange=_stated_exchange(hints)
        or layout.exchange
        or _first(_exchange(part) for part in tokens),
        stated=_stated_timeframe(tokens, layout, hints),
    )


def _stated_timeframe(
    tokens: Sequence[Sequence[str]], layout: Layout, hints: ParseHints
) -> Stated | None:
    if hints.timeframe is not None:
        return Stated(hints.timeframe, "--timeframe")
    named = layout.timeframe or _first(_timeframe(part) for part in tokens)
    return Stated(named, "its name") if named else None


def _first(found: Iterator[_T | None]) -> _T | None:
    return next((value for value in found if value is not None), None)


def _tokens(name: str) -> list[str]:
    while (found := _EXTENSION.search(name)) and found[1].lower() in _SUFFIXES.split():
        name = name[: found.start()]
    return _TOKEN.findall(name)


def _stated_symbol(hints: ParseHints, kind: SeriesKind) -> str | None:
    if hints.symbol is None:
        return None
    if kind is SeriesKind.PRICES:
        return plain_name(hints.symbol)
    return "/".join(split_pair(hints.symbol, hints.known_bases))


def _stated_exchange(hints: ParseHints) -> str | None:
    if hints.exchange is None:
        return None
    name = hints.exchange.strip().lower()
    if not _EXCHANGE.fullmatch(name):
        raise InvalidError(
            f"exchange {hints.exchange!r} is not a name.",
            hint="Use letters, digits, dots and dashes, like binance.",
        )
    return _ALIASES.get(name, name)


def _exchange(tokens: Sequence[str]) -> str | None:
    named = (_ALIASES.get(token.lower(), token.lower()) for token in tokens)
    return next((name for name in named if name in EXCHANGES), None)


def _timeframe(tokens: Sequence[str]) -> Timeframe | None:
    before = ""
    for token in tokens:
        # Binance writes 1M for a month, which is no fixed length.
        found = None if token.endswith("M") else _LENGTH.fullmatch(token.lower())
        # A letter alone is no timeframe, a word is: d is not a day, daily is.
        if found and found[2] in _UNITS and (found[1] or len(found[2]) > 1):
            count = found[1] or (before if before.isdecimal() and len(before) <= 2 else "1")  # noqa: PLR2004
            return Timeframe.parse(f"{int(count)}{_UNITS[found[2]]}") if int(count) else None
        before = token
    return None


def _symbol(tokens: Sequence[str], kind: SeriesKind, hints: ParseHints) -> str | None:
    told = [token for token in tokens if not _is_other(token)]
    if kind is SeriesKind.PRICES:
        _refuse_pair(tokens, hints)
        return plain_name(told[0]) if told and told[0].isascii() else None
    for token, after in pairwise([*told, ""]):
        if after.upper() in QUOTES and token.upper() != after.upper():
            return f"{token.upper()}/{after.upper()}"
        pair = _pair(token, hints)
        if pair is not None:
            return pair
    return None


def _refuse_pair(tokens: Sequence[str], hints: ParseHints) -> None:
    """Refuse closing prices whose name is a pair's: an index has no quote."""
    pair = _symbol(tokens, SeriesKind.CANDLES, hints)
    if pair is not None:
        raise InvalidError(
            f"closing prices alone are taken for an index, and the name says {pair}.",
            hint="Bring candles with open, high, low and close; or name an index: --symbol NAME.",
        )


def _is_other(token: str) -> bool:
    lower = token.lower()
    found = _LENGTH.fullmatch(lower)
    is_length = bool(found and found[2] in _UNITS and (found[1] or len(found[2]) > 1))
    known = lower in _WORDS.split() or lower in EXCHANGES or lower in _ALIASES
    return token.isdecimal() or is_length or known or not token.isascii()


def _pair(token: str, hints: ParseHints) -> str | None:
    try:
        return "/".join(split_pair(token, hints.known_bases))
    except InvalidError as error:
        if "candidates" in error.details:
            raise
        return None
