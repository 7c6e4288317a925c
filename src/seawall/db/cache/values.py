"""What the cache holds: frozen values, which travel as JSON."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator

from seawall.core.time import as_utc

UtcTime = Annotated[datetime, AfterValidator(as_utc)]
"""Comes back in UTC, whatever offset it was written with."""
Level = tuple[Decimal, Decimal]
"""A price, and the amount that is offered at it."""


@dataclass(frozen=True, slots=True)
class CachedSession:
    """A session that is neither revoked nor rotated, of a user who may log in.

    `last_accessed_at` is as of the reading of the row; `tier` is read where billing is on.
    """

    id: UUID
    user_id: UUID
    expires_at: UtcTime
    last_accessed_at: UtcTime
    tier: str = "free"


@dataclass(frozen=True, slots=True)
class CachedRefreshToken:
    """A refresh token that was not used yet. Only the database can tell for sure."""

    session_id: UUID
    user_id: UUID
    expires_at: UtcTime


@dataclass(frozen=True, slots=True)
class CachedPrice:
    """The latest price of a pair, with the volume that came with it."""

    price: Decimal
    time: UtcTime
    volume: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CachedOrderBook:
    """The levels of an order book, the best first on each side."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    time: UtcTime


@dataclass(frozen=True, slots=True)
class StrategyName:
    """Which strategy, and whose."""

    user_id: UUID
    strategy_id: UUID


@dataclass(frozen=True, slots=True)
class CachedStrategy:
    """What a strategy does now; `timeframe` is in seconds, `assets` are their ids."""

    type: str
    timeframe: int
    parameters: dict[str, Any]
    config: dict[str, Any]
    assets: tuple[int, ...]
    is_active: bool


@dataclass(frozen=True, slots=True)
class CachedRiskLimits:
    """What a user's trading may not exceed, in all or in one portfolio or account; None: no limit.

    Shares are fractions, 0.2 for 20 %. While a limit named in `blocking` is broken, nothing is to
    be traded.
    """

    portfolio_id: UUID | None = None
    account_id: UUID | None = None
    max_position_value: Decimal | None = None
    max_daily_loss: Decimal | None = None
    max_drawdown: float | None = None
    max_orders_per_hour: int | None = None
    max_weight: float | None = None
    max_var_95: float | None = None
    max_expected_shortfall: float | None = None
    max_volatility: float | None = None
    max_leverage: float | None = None
    blocking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CachedMetric:
    """The latest value of a metric of a running component; NaN is not kept."""

    value: float
    time: UtcTime


@dataclass(frozen=True, slots=True)
class Usage:
    """How often something was asked for in the present window, and when the next one begins."""

    count: int
    resets_at: datetime
