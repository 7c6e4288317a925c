"""Billing: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedPage:
    """The address of a page of Stripe's, which is good for a while."""

    url: str


Tier = str


@dataclass(frozen=True, slots=True, kw_only=True)
class TierAllowance:
    """How much may be used; null is without limit."""

    portfolios: int | None
    alerts: int | None
    history_days: int | None
    requests_a_minute: int
    backtest_minutes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierUsage:
    """What is used of it."""

    portfolios: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlements:
    """What the user may use, and what they use."""

    tier: Tier
    billing: bool
    limits: TierAllowance
    used: TierUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLimits:
    """A tier, and what it allows; `intervals` are those it can be paid for in."""

    tier: Tier
    limits: TierAllowance
    intervals: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSubscription:
    """What is paid for."""

    tier: Tier
    status: str
    billing_interval: str | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    trial_end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaybeSubscription:
    """What is paid for, or null."""

    subscription: TierSubscription | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """All tiers, the least first."""

    items: list[TierLimits]


class BillingOperations(Connection):
    """What the API does about billing."""

    def begin_checkout(
        self,
        *,
        tier: Literal["plus", "pro", "power-trader"],
        interval: Literal["monthly", "yearly"],
        idempotency_key: str | None = None,
        return_to: str | Omitted = OMITTED,
    ) -> HostedPage:
        """Give the page on which to pay for a tier."""
        request = Request(
            "POST",
            "/api/v1/billing/checkout",
            json={"return_to": return_to, "tier": tier, "interval": interval},
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(HostedPage))

    def get_entitlements(self) -> Entitlements:
        """Tell what the user may use, and what they use."""
        request = Request("GET", "/api/v1/account/entitlements")
        return self.send(request, TypeAdapter(Entitlements))

    def get_subscription(self) -> MaybeSubscription:
        """Tell what is paid for."""
        request = Request("GET", "/api/v1/billing/subscription")
        return self.send(request, TypeAdapter(MaybeSubscription))

    def list_tiers(self) -> Tiers:
        """List the tiers, and what each allows where billing is on."""
        request = Request("GET", "/api/v1/tiers")
        return self.send(request, TypeAdapter(Tiers))

    def open_billing_portal(
        self, *, idempotency_key: str | None = None, return_to: str | Omitted = OMITTED
    ) -> HostedPage:
        """Give the page on which to change, cancel or see what is paid for."""
        request = Request(
            "POST",
            "/api/v1/billing/portal",
            json={"return_to": return_to},
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(HostedPage))
