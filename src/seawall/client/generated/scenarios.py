"""Scenarios: written by `make docs`."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCorrelations:
    """Every correlation moved to a target, all the way or a part of it."""

    kind: str
    target: float | None = None
    strength: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedDefault:
    """An exchange that pays back only a part of what it holds."""

    kind: str
    place: str
    recovery: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedDepeg:
    """A stablecoin at a price in USD; null is every one that is held."""

    kind: str
    asset: str | None = None
    price: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedEvent:
    """An event of the catalogue, over again."""

    kind: str
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedReverse:
    """The smallest shock that loses a fraction, and how plausible it is within days."""

    kind: str
    loss: float | None = None
    days: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedSelling:
    """All that is held sold at a share of the daily volume, within a horizon of days."""

    kind: str
    participation: float | None = None
    horizon: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalEvent:
    """A stretch of days in which the market fell; portfolios are taken through it again."""

    slug: str
    name: str
    first: date
    last: date
    btc_loss: float | None
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStress:
    """A stress test that was kept."""

    id: UUID
    portfolio_id: UUID
    scenario: str
    as_of: datetime
    created_at: datetime
    portfolio_value_usd: Decimal
    loss_usd: Decimal
    loss: float | None
    recovery_minutes: int | None
    details: dict[str, Any]


ScenarioRest = str

ScenarioSource = str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedShocks:
    """Shocks by selector: an asset, kind:…, chain:… or all; -0.4 is a fall of 40 %."""

    kind: str
    name: str | None = None
    shocks: dict[str, Any]
    rest: ScenarioRest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStressPage:
    """A page of a list."""

    items: list[KeptStress]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenarios:
    """What there is to run."""

    events: list[HistoricalEvent]
    models: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StressedAsset:
    """What a scenario does to one holding; null where that is not known."""

    asset: str
    value_usd: Decimal
    weight: float | None
    shock: float | None
    loss_usd: Decimal | None
    source: ScenarioSource
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StressTest:
    """What a scenario costs: the loss at the worst point, negative for a gain."""

    id: UUID | None
    portfolio_id: UUID
    scenario: str
    title: str
    question: dict[str, Any]
    as_of: datetime
    known_at: datetime
    portfolio_value_usd: Decimal | None
    loss_usd: Decimal | None
    loss: float | None
    recovery_days: float | None
    figures: dict[str, Any]
    reasons: dict[str, str]
    assets: list[StressedAsset]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputedStress:
    """A kept stress test, computed again from what was known when it was made."""

    identical: bool
    differs: list[str]
    kept: KeptStress
    again: StressTest


@dataclass(frozen=True, slots=True, kw_only=True)
class StressTests:
    """What the scenarios cost, in the order in which they were asked."""

    items: list[StressTest]


class ScenariosOperations(Connection):
    """What the API does about scenarios."""

    def get_stress_test(self, stress_id: UUID) -> KeptStress:
        """Tell of a stress test that was kept."""
        request = Request("GET", f"/api/v1/risk/stress-tests/{stress_id}")
        return self.send(request, TypeAdapter(KeptStress))

    def list_scenarios(self) -> Scenarios:
        """List the scenarios that run when none is chosen."""
        request = Request("GET", "/api/v1/risk/scenarios")
        return self.send(request, TypeAdapter(Scenarios))

    def list_stress_tests(
        self,
        portfolio_id: UUID,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> KeptStressPage:
        """List the stress tests of a portfolio that were kept, the newest instant first."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/risk/stress-tests",
            query={"limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(KeptStressPage))

    def recompute_stress_test(self, stress_id: UUID) -> RecomputedStress:
        """Run a kept stress test again as it was known, and compare."""
        request = Request("GET", f"/api/v1/risk/stress-tests/{stress_id}/recomputation")
        return self.send(request, TypeAdapter(RecomputedStress))

    def run_scenarios(
        self,
        portfolio_id: UUID,
        *,
        idempotency_key: str | None = None,
        scenarios: list[
            AskedEvent
            | AskedShocks
            | AskedDepeg
            | AskedDefault
            | AskedCorrelations
            | AskedSelling
            | AskedReverse
        ]
        | Omitted = OMITTED,
        as_of: datetime | Omitted | None = OMITTED,
        window: int | Omitted = OMITTED,
        t_tailed: bool | Omitted = OMITTED,
    ) -> StressTests:
        """Say what a portfolio would lose in scenarios, and keep it."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/risk/stress-tests",
            json={"scenarios": scenarios, "as_of": as_of, "window": window, "t_tailed": t_tailed},
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(StressTests))
