"""The values that limits travel in, and what each limit is of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

Amount = Decimal | float | int
"""USD as a decimal, a fraction or a multiple as a float, a number as an integer."""


class Scope(StrEnum):
    """What a set of limits is for: one portfolio, one trading account, or all that a user has."""

    PORTFOLIO = "portfolio"
    ACCOUNT = "account"
    USER = "user"


class LimitUnit(StrEnum):
    """What a limit counts."""

    USD = "USD"
    FRACTION = "fraction"
    MULTIPLE = "multiple"
    COUNT = "count"


class LimitName(StrEnum):
    """A limit, by the column that it stands in."""

    MAX_POSITION_VALUE = "max_position_value"
    MAX_WEIGHT = "max_weight"
    MAX_DAILY_LOSS = "max_daily_loss"
    MAX_DRAWDOWN = "max_drawdown"
    MAX_VAR_95 = "max_var_95"
    MAX_EXPECTED_SHORTFALL = "max_expected_shortfall"
    MAX_VOLATILITY = "max_volatility"
    MAX_LEVERAGE = "max_leverage"
    MAX_ORDERS_PER_HOUR = "max_orders_per_hour"


class Severity(StrEnum):
    """How bad an event is; see `severity_of`."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a limit is called, what it counts, and for what it can be set."""

    title: str
    unit: LimitUnit
    scopes: frozenset[Scope]


_ALL = frozenset(Scope)
_VALUED = frozenset({Scope.PORTFOLIO, Scope.USER})

RULES: Mapping[LimitName, Rule] = {
    LimitName.MAX_POSITION_VALUE: Rule("Largest position", LimitUnit.USD, _ALL),
    LimitName.MAX_WEIGHT: Rule("Largest weight", LimitUnit.FRACTION, _VALUED),
    LimitName.MAX_DAILY_LOSS: Rule("Loss of the day", LimitUnit.USD, _ALL),
    LimitName.MAX_DRAWDOWN: Rule("Drawdown", LimitUnit.FRACTION, _ALL),
    LimitName.MAX_VAR_95: Rule("Value at risk 95 %", LimitUnit.FRACTION, _ALL),
    LimitName.MAX_EXPECTED_SHORTFALL: Rule("Expected shortfall 95 %", LimitUnit.FRACTION, _ALL),
    LimitName.MAX_VOLATILITY: Rule("Volatility, annualised", LimitUnit.FRACTION, _VALUED),
    LimitName.MAX_LEVERAGE: Rule("Leverage", LimitUnit.MULTIPLE, frozenset({Scope.ACCOUNT})),
    LimitName.MAX_ORDERS_PER_HOUR: Rule(
        "Orders within an hour", LimitUnit.COUNT, frozenset({Scope.ACCOUNT, Scope.USER})
    ),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What limits are for; with neither id, all that the user has."""

    portfolio_id: UUID | None = None
    account_id: UUID | None = None

    @property
    def scope(self) -> Scope:
        """Which kind of subject it is."""
        if self.portfolio_id is not None:
            return Scope.PORTFOLIO
        return Scope.USER if self.account_id is None else Scope.ACCOUNT


ALL_OF_USER = Subject()


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed for one subject, and which of it stops trading while it is broken."""

    id: UUID
    subject: Subject
    allowed: Mapping[LimitName, Amount]
    blocking: frozenset[LimitName]


@dataclass(frozen=True, slots=True)
class Used:
    """How much of a limit is used.

    A None says in `reason` why it cannot be told. A value with a reason is the least that it is:
    enough to break a limit, not to keep it. `about` is what it is of, such as an asset.
    """

    value: Amount | None
    reason: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that went beyond what is allowed; `limit_name` is None for what is no limit's."""

    id: UUID
    limit_id: UUID | None
    limit_name: LimitName | None
    event_type: str
    severity: Severity
    description: str
    details: Mapping[str, object]
    triggered_at: datetime
    resolved_at: datetime | None
    resolved_by: UUID | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted: unresolved ones, of a severity, of a portfolio's limits."""

    unresolved: bool = False
    severity: Severity | None = None
    portfolio_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One limit beside what is used of it."""

    limits: Limits
    name: LimitName
    allowed: Amount
    used: Used

    @property
    def ratio(self) -> float | None:
        """What is used as a share of what is allowed; None where it cannot be told.

        Of a limit of 0 it is infinite as soon as anything is used.
        """
        if self.used.value is None:
            return None
        used, allowed = float(self.used.value), float(self.allowed)
        if allowed == 0:
            return float("inf") if used > 0 else 0.0
        return used / allowed

    @property
    def is_broken(self) -> bool:
        """Whether more is used than is allowed."""
        return self.used.value is not None and self.used.value > self.allowed

    @property
    def is_kept(self) -> bool:
        """Whether it is known that no more is used than is allowed."""
        return self.used.value is not None and not self.used.reason and not self.is_broken


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of limits found.

    `uses` are all limits that were looked at. `breaches` are the unresolved events of those that
    are broken, new or not; `resolved` those that were over and resolved by this check.
    """

    uses: tuple[Use, ...] = ()
    breaches: tuple[Event, ...] = ()
    resolved: tuple[Event, ...] = ()

    @property
    def unknown(self) -> tuple[Use, ...]:
        """The limits of which it cannot be told whether they are kept."""
        return tuple(each for each in self.uses if not (each.is_broken or each.is_kept))


@dataclass(frozen=True, slots=True)
class Block:
    """Why nothing may be traded: the limits that are broken, and the events that say so."""

    reasons: tuple[str, ...]
    names: tuple[LimitName, ...]
    event_ids: tuple[UUID, ...] = field(default=())


WARNING_FROM = 1.1
CRITICAL_FROM = 1.5


def severity_of(ratio: float) -> Severity:
    """Tell how bad it is that this many times the allowed is used.

    Up to a tenth beyond it is information, up to a half a warning, and more is critical.
    """
    if ratio <= WARNING_FROM:
        return Severity.INFO
    return Severity.WARNING if ratio <= CRITICAL_FROM else Severity.CRITICAL
