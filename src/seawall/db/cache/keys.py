"""Every key of the cache: how it is named, what it holds, how long it lives, what outdates it.

An entry is `Live` when whoever makes its values writes them, and `OfRows` when it repeats rows of
the database: those are dropped when the rows change, see `events`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from string import Formatter
from typing import Generic, TypeVar
from urllib.parse import quote
from uuid import UUID

import orjson
from pydantic import TypeAdapter, ValidationError

from seawall.db.cache.values import (
    CachedMetric,
    CachedOrderBook,
    CachedPrice,
    CachedRefreshToken,
    CachedRiskLimits,
    CachedSession,
    CachedStrategy,
    StrategyName,
    Usage,
)

V = TypeVar("V")
Part = str | int | UUID | bytes
HASH_BYTES = 32


class Key:
    """A pattern of names; each `{part}` of it is given when it is used."""

    def __init__(self, template: str) -> None:
        self.template = template
        self._parts = {name for _, name, _, _ in Formatter().parse(template) if name}

    def fill(self, parts: dict[str, Part]) -> str:
        """Write a name; different parts make different names, none of which is a pattern."""
        if set(parts) != self._parts:
            raise TypeError(f"{self.template} is not named by {sorted(parts)}.")
        return self.template.format_map({name: _write(name, part) for name, part in parts.items()})


def _write(name: str, part: Part) -> str:
    if not name.endswith("_hash"):
        return quote(str(part), safe="/", errors="surrogatepass")
    if not isinstance(part, bytes) or len(part) != HASH_BYTES:
        raise TypeError(f"{name} is the SHA-256 hash of a token, never the token itself.")
    # Hashed once more, so that no name holds what the database finds a session by.
    return hashlib.sha256(part).hexdigest()


class Entry(Key, Generic[V]):
    """One kind of value, where it is kept and for how long.

    `ends` says when a value is over, however long the lifetime.
    """

    def __init__(
        self,
        template: str,
        holds: type[V],
        lifetime: timedelta,
        *,
        ends: Callable[[V], datetime] | None = None,
    ) -> None:
        super().__init__(template)
        self.holds = holds
        self.lifetime = lifetime
        self._ends = ends
        self._reader: TypeAdapter[V] = TypeAdapter(holds)

    def encode(self, value: V) -> bytes:
        """Write a value as JSON: decimals as text, so that they stay exact; times in UTC."""
        options = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
        return orjson.dumps(value, default=_write_decimal, option=options)

    def decode(self, found: object) -> V | None:
        """Read a value; None when it is not one of this entry's, whoever wrote it."""
        if not isinstance(found, bytes):
            return None
        try:
            return self._reader.validate_json(found)
        except ValidationError:
            return None

    def remaining(self, value: V, moment: datetime) -> timedelta:
        """Say how long a value is good for from a moment on; not above zero when it is over."""
        if self._ends is None:
            return self.lifetime
        return min(self.lifetime, self._ends(value) - moment)


def _write_decimal(value: object) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"A {type(value).__name__} cannot be cached.")
    return str(value)


@dataclass(frozen=True, slots=True)
class Slot(Generic[V]):
    """One place of the cache: an entry, and the name with its parts filled in."""

    entry: Entry[V]
    name: str


@dataclass(frozen=True, slots=True)
class LiveSlot(Slot[V]):
    """A place that is written without reading the database."""


class Live(Entry[V]):
    """An entry that is written by whoever makes its values."""

    def __call__(self, **parts: Part) -> LiveSlot[V]:
        """Name one place."""
        return LiveSlot(self, self.fill(parts))


class OfRows(Entry[V]):
    """An entry that repeats rows, until their change is announced."""

    def __call__(self, **parts: Part) -> Slot[V]:
        """Name one place."""
        return Slot(self, self.fill(parts))


class Counter(Key):
    """A count of one window of time, which is over when the next begins."""

    holds = Usage

    def __call__(self, **parts: Part) -> str:
        """Name one count."""
        return self.fill(parts)


_WEEK = timedelta(days=7)
# Events drop these at once; the lifetime bounds what no event can reach.
_OF_ROWS = timedelta(minutes=5)

SESSION = OfRows("session:{token_hash}", CachedSession, _WEEK, ends=lambda it: it.expires_at)
REFRESH_TOKEN = OfRows(
    "refresh_token:{token_hash}", CachedRefreshToken, _WEEK, ends=lambda it: it.expires_at
)
PRICE = Live("price:{exchange}:{symbol}", CachedPrice, timedelta(seconds=30))
ORDER_BOOK = Live("orderbook:{exchange}:{symbol}", CachedOrderBook, timedelta(seconds=5))
ACTIVE_STRATEGIES = OfRows("strategies:active", tuple[StrategyName, ...], _OF_ROWS)
STRATEGY = OfRows("strategy:{user_id}:{strategy_id}", CachedStrategy, _OF_ROWS)
RISK_LIMITS = OfRows("risk_limits:{user_id}", tuple[CachedRiskLimits, ...], _OF_ROWS)
METRIC = Live("metrics:{component}:{metric}", CachedMetric, timedelta(minutes=5))
RATE_LIMIT = Counter("rate_limit:{user_id}:{endpoint}:{resets_at}")

KEYS: tuple[Key, ...] = (
    SESSION,
    REFRESH_TOKEN,
    PRICE,
    ORDER_BOOK,
    ACTIVE_STRATEGIES,
    STRATEGY,
    RISK_LIMITS,
    METRIC,
    RATE_LIMIT,
)
