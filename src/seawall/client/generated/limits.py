"""Limits: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request

EventSeverity = str

LimitName = str

LimitState = str

LimitUnit = str


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingAccount:
    """A trading account, and the asset that its amounts are in."""

    id: UUID
    name: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSet:
    """What is allowed; null is no limit. With both ids null it is of everything that a user has."""

    portfolio_id: UUID | None
    account_id: UUID | None
    max_position_value: Decimal | None
    max_weight: float | None
    max_daily_loss: Decimal | None
    max_drawdown: float | None
    max_var_95: float | None
    max_expected_shortfall: float | None
    max_volatility: float | None
    max_leverage: float | None
    max_orders_per_hour: int | None
    blocking: list[LimitName]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """A limit beside what is used of it: USD as text, all else as numbers."""

    name: LimitName
    title: str
    unit: LimitUnit
    portfolio_id: UUID | None
    account_id: UUID | None
    allowed: str | int | float
    used: str | int | float | None
    share: float | None
    about: str
    blocks: bool
    state: LimitState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskEvent:
    """Something that went beyond what is allowed; it has one event while it lasts."""

    id: UUID
    limit_id: UUID | None
    limit_name: LimitName | None
    event_type: str
    severity: EventSeverity
    description: str
    details: dict[str, Any]
    triggered_at: datetime
    resolved_at: datetime | None
    resolved_by: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingAccounts:
    """The trading accounts, by name."""

    items: list[TradingAccount]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitCheck:
    """What a check found, with the events of limits that are broken and that are kept again."""

    uses: list[LimitUse]
    events: list[RiskEvent]
    resolved: list[RiskEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSets:
    """All limits that are set, those of everything first."""

    items: list[LimitSet]


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskEventPage:
    """A page of a list."""

    items: list[RiskEvent]
    next_cursor: str | None = None
    total: int | None = None


class LimitsOperations(Connection):
    """What the API does about limits."""

    def change_account_limits(
        self,
        account_id: UUID,
        *,
        if_match: str | None = None,
        max_position_value: str | Omitted | None = OMITTED,
        max_weight: float | Omitted | None = OMITTED,
        max_daily_loss: str | Omitted | None = OMITTED,
        max_drawdown: float | Omitted | None = OMITTED,
        max_var_95: float | Omitted | None = OMITTED,
        max_expected_shortfall: float | Omitted | None = OMITTED,
        max_volatility: float | Omitted | None = OMITTED,
        max_leverage: float | Omitted | None = OMITTED,
        max_orders_per_hour: int | Omitted | None = OMITTED,
        blocking: list[
            Literal[
                "max_position_value",
                "max_weight",
                "max_daily_loss",
                "max_drawdown",
                "max_var_95",
                "max_expected_shortfall",
                "max_volatility",
                "max_leverage",
                "max_orders_per_hour",
            ]
        ]
        | Omitted
        | None = OMITTED,
    ) -> LimitSet:
        """Set limits of a trading account, or take them away; the next check looks at them."""
        request = Request(
            "PATCH",
            f"/api/v1/trading-accounts/{account_id}/risk/limits",
            json={
                "max_position_value": max_position_value,
                "max_weight": max_weight,
                "max_daily_loss": max_daily_loss,
                "max_drawdown": max_drawdown,
                "max_var_95": max_var_95,
                "max_expected_shortfall": max_expected_shortfall,
                "max_volatility": max_volatility,
                "max_leverage": max_leverage,
                "max_orders_per_hour": max_orders_per_hour,
                "blocking": blocking,
            },
            headers={"If-Match": if_match},
        )
        return self.send(request, TypeAdapter(LimitSet))

    def change_portfolio_limits(
        self,
        portfolio_id: UUID,
        *,
        if_match: str | None = None,
        max_position_value: str | Omitted | None = OMITTED,
        max_weight: float | Omitted | None = OMITTED,
        max_daily_loss: str | Omitted | None = OMITTED,
        max_drawdown: float | Omitted | None = OMITTED,
        max_var_95: float | Omitted | None = OMITTED,
        max_expected_shortfall: float | Omitted | None = OMITTED,
        max_volatility: float | Omitted | None = OMITTED,
        max_leverage: float | Omitted | None = OMITTED,
        max_orders_per_hour: int | Omitted | None = OMITTED,
        blocking: list[
            Literal[
                "max_position_value",
                "max_weight",
                "max_daily_loss",
                "max_drawdown",
                "max_var_95",
                "max_expected_shortfall",
                "max_volatility",
                "max_leverage",
                "max_orders_per_hour",
            ]
        ]
        | Omitted
        | None = OMITTED,
    ) -> LimitSet:
        """Set limits of a portfolio, or take them away; the next check looks at them."""
        request = Request(
            "PATCH",
            f"/api/v1/portfolios/{portfolio_id}/risk/limits",
            json={
                "max_position_value": max_position_value,
                "max_weight": max_weight,
                "max_daily_loss": max_daily_loss,
                "max_drawdown": max_drawdown,
                "max_var_95": max_var_95,
                "max_expected_shortfall": max_expected_shortfall,
                "max_volatility": max_volatility,
                "max_leverage": max_leverage,
                "max_orders_per_hour": max_orders_per_hour,
                "blocking": blocking,
            },
            headers={"If-Match": if_match},
        )
        return self.send(request, TypeAdapter(LimitSet))

    def change_user_limits(
        self,
        *,
        if_match: str | None = None,
        max_position_value: str | Omitted | None = OMITTED,
        max_weight: float | Omitted | None = OMITTED,
        max_daily_loss: str | Omitted | None = OMITTED,
        max_drawdown: float | Omitted | None = OMITTED,
        max_var_95: float | Omitted | None = OMITTED,
        max_expected_shortfall: float | Omitted | None = OMITTED,
        max_volatility: float | Omitted | None = OMITTED,
        max_leverage: float | Omitted | None = OMITTED,
        max_orders_per_hour: int | Omitted | None = OMITTED,
        blocking: list[
            Literal[
                "max_position_value",
                "max_weight",
                "max_daily_loss",
                "max_drawdown",
                "max_var_95",
                "max_expected_shortfall",
                "max_volatility",
                "max_leverage",
                "max_orders_per_hour",
            ]
        ]
        | Omitted
        | None = OMITTED,
    ) -> LimitSet:
        """Set limits of everything, or take them away; the next check looks at them."""
        request = Request(
            "PATCH",
            "/api/v1/risk/limits/everything",
            json={
                "max_position_value": max_position_value,
                "max_weight": max_weight,
                "max_daily_loss": max_daily_loss,
                "max_drawdown": max_drawdown,
                "max_var_95": max_var_95,
                "max_expected_shortfall": max_expected_shortfall,
                "max_volatility": max_volatility,
                "max_leverage": max_leverage,
                "max_orders_per_hour": max_orders_per_hour,
                "blocking": blocking,
            },
            headers={"If-Match": if_match},
        )
        return self.send(request, TypeAdapter(LimitSet))

    def check_account_limits(
        self, account_id: UUID, *, idempotency_key: str | None = None
    ) -> LimitCheck:
        """Check a trading account's limits now, and open and resolve their events."""
        request = Request(
            "POST",
            f"/api/v1/trading-accounts/{account_id}/risk/limits/check",
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(LimitCheck))

    def check_portfolio_limits(
        self, portfolio_id: UUID, *, idempotency_key: str | None = None
    ) -> LimitCheck:
        """Check a portfolio's and the user's limits now, and open and resolve their events."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/risk/limits/check",
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(LimitCheck))

    def check_user_limits(self, *, idempotency_key: str | None = None) -> LimitCheck:
        """Check the limits of everything now, and open and resolve their events."""
        request = Request(
            "POST",
            "/api/v1/risk/limits/everything/check",
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(LimitCheck))

    def get_account_limits(self, account_id: UUID) -> LimitSet:
        """Tell what is allowed of a trading account."""
        request = Request("GET", f"/api/v1/trading-accounts/{account_id}/risk/limits")
        return self.send(request, TypeAdapter(LimitSet))

    def get_portfolio_limits(self, portfolio_id: UUID) -> LimitSet:
        """Tell what is allowed of a portfolio."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}/risk/limits")
        return self.send(request, TypeAdapter(LimitSet))

    def get_risk_event(self, event_id: UUID) -> RiskEvent:
        """Tell of an event."""
        request = Request("GET", f"/api/v1/risk/events/{event_id}")
        return self.send(request, TypeAdapter(RiskEvent))

    def get_user_limits(self) -> LimitSet:
        """Tell what is allowed of everything that the user has."""
        request = Request("GET", "/api/v1/risk/limits/everything")
        return self.send(request, TypeAdapter(LimitSet))

    def list_limits(self) -> LimitSets:
        """List all limits that are set."""
        request = Request("GET", "/api/v1/risk/limits")
        return self.send(request, TypeAdapter(LimitSets))

    def list_risk_events(
        self,
        *,
        unresolved: bool | Omitted = OMITTED,
        severity: Literal["info", "warning", "critical"] | Omitted | None = OMITTED,
        portfolio_id: UUID | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> RiskEventPage:
        """List the events, the newest first."""
        request = Request(
            "GET",
            "/api/v1/risk/events",
            query={
                "unresolved": unresolved,
                "severity": severity,
                "portfolio_id": portfolio_id,
                "limit": limit,
                "cursor": cursor,
                "total": total,
            },
        )
        return self.send(request, TypeAdapter(RiskEventPage))

    def list_trading_accounts(self) -> TradingAccounts:
        """List the trading accounts that limits can be set for."""
        request = Request("GET", "/api/v1/trading-accounts")
        return self.send(request, TypeAdapter(TradingAccounts))

    def look_at_account_limits(self, account_id: UUID) -> LimitCheck:
        """Measure how much of a trading account's limits is used; no event is made."""
        request = Request("GET", f"/api/v1/trading-accounts/{account_id}/risk/limits/use")
        return self.send(request, TypeAdapter(LimitCheck))

    def look_at_portfolio_limits(self, portfolio_id: UUID) -> LimitCheck:
        """Measure how much of a portfolio's and the user's limits is used; no event is made."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}/risk/limits/use")
        return self.send(request, TypeAdapter(LimitCheck))

    def look_at_user_limits(self) -> LimitCheck:
        """Measure how much of the limits of everything is used; no event is made."""
        request = Request("GET", "/api/v1/risk/limits/everything/use")
        return self.send(request, TypeAdapter(LimitCheck))

    def resolve_risk_event(
        self, event_id: UUID, *, idempotency_key: str | None = None
    ) -> RiskEvent:
        """Resolve an event; while its limit is still broken, the next check opens another."""
        request = Request(
            "POST",
            f"/api/v1/risk/events/{event_id}/resolution",
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(RiskEvent))
