"""Risk: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlations:
    """The correlations of what is held; null where one is undefined."""

    assets: list[str]
    values: list[list[float | None]]


Direction = str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredHolding:
    """A holding with the price that it was measured at."""

    asset: str
    quantity: Decimal
    price_usd: float | None
    price_time: datetime | None
    price_source: str
    value_usd: Decimal | None
    weight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked: of how many daily returns, at which confidence, against what."""

    window: int
    confidence: float
    benchmark: str
    risk_free: float
    horizon: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """What a worker will do."""

    job: str
    portfolio_id: UUID


Unit = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of a portfolio as of an instant, by their slugs; a null has its reason."""

    id: UUID
    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    question: Question
    total_value_usd: Decimal | None
    observations: int
    missing: int
    figures: dict[str, float | None]
    reasons: dict[str, str]
    is_brief: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a figure is called, what it means, and where it comes from."""

    slug: str
    name: str
    unit: Unit
    direction: Direction
    formula: str
    source: str
    min_observations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report in full."""

    id: UUID
    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    question: Question
    total_value_usd: Decimal | None
    observations: int
    missing: int
    figures: dict[str, float | None]
    reasons: dict[str, str]
    is_brief: bool
    correlation_matrix: Correlations
    holdings: list[MeasuredHolding]
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Every figure that Seawall knows."""

    items: list[Metric]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMeasured:
    """A page of a list."""

    items: list[Measured]
    next_cursor: str | None = None
    total: int | None = None


class RiskOperations(Connection):
    """What the API does about risk."""

    def get_risk(self, portfolio_id: UUID) -> Report:
        """Tell what was last measured of a portfolio."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}/risk")
        return self.send(request, TypeAdapter(Report))

    def get_risk_report(self, report_id: UUID) -> Report:
        """Tell of a report that was kept."""
        request = Request("GET", f"/api/v1/risk/reports/{report_id}")
        return self.send(request, TypeAdapter(Report))

    def list_metrics(self) -> Metrics:
        """List every figure of the registry."""
        request = Request("GET", "/api/v1/risk/metrics")
        return self.send(request, TypeAdapter(Metrics))

    def list_risk_history(
        self,
        portfolio_id: UUID,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> PageMeasured:
        """List what was measured of a portfolio, the newest instant first."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/risk/history",
            query={"limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(PageMeasured))

    def measure_risk(self, portfolio_id: UUID, *, idempotency_key: str | None = None) -> Queued:
        """Have a worker measure a portfolio's risk as it is now."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/risk/reports",
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(Queued))
