"""Risk: what was measured of a portfolio, and what the figures mean."""

import math
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import BeforeValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api.bodies import Figure, Money, Time, Told
from seawall.api.deps import IdempotencyKey, Manager, Reader
from seawall.api.depth import Stretched
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, read_id, read_time
from seawall.api.sorting import Listed, Sorts
from seawall.api.v1.portfolios import find
from seawall.core.errors import NotFoundError
from seawall.jobs.defer import defer
from seawall.quant.metrics.metric import Direction, Unit
from seawall.quant.metrics.registry import REGISTRY
from seawall.risk import store
from seawall.risk.schemas import Kept, RiskReport

router = routes("", "risk")
_Sort = Literal["as_of", "-as_of", "known_at", "-known_at"]
_SORTS: Sorts = {
    "as_of": {"as_of": read_time, "known_at": read_time, "id": read_id},
    "known_at": {"known_at": read_time, "as_of": read_time, "id": read_id},
}
REPORT = "risk.report_portfolio"
"""The worker's job, named as jobs are."""


class Metric(Told):
    """What a figure is called, what it means, and where it comes from."""

    slug: str = Field(examples=["sharpe_ratio"])
    name: str
    unit: Unit
    direction: Direction
    formula: str
    source: str
    min_observations: int


class Metrics(Told):
    """Every figure that Seawall knows."""

    items: list[Metric]


@router.get("/risk/metrics", operation_id="listMetrics")
async def list_metrics(bound: Reader) -> Metrics:  # noqa: ARG001 - for whoever may read
    """List every figure of the registry."""
    return Metrics(items=[Metric.model_validate(each) for each in REGISTRY.values()])


def _finite(price: float | None) -> float | None:
    return price if price is not None and math.isfinite(price) else None


class MeasuredHolding(Told):
    """A holding with the price that it was measured at."""

    asset: str = Field(examples=["BTC"])
    quantity: Money
    price_usd: Annotated[Money | None, BeforeValidator(_finite)]
    price_time: Time | None
    price_source: str
    value_usd: Money | None
    weight: Figure


class Question(Told):
    """What was asked: of how many daily returns, at which confidence, against what."""

    window: int
    confidence: float
    benchmark: str
    risk_free: float
    horizon: int


class Correlations(Told):
    """The correlations of what is held; null where one is undefined."""

    assets: list[str]
    values: list[list[Figure]]


class Measured(Told):
    """The figures of a portfolio as of an instant, by their slugs; a null has its reason."""

    id: UUID
    portfolio_id: UUID
    as_of: Time
    known_at: Time
    question: Question
    total_value_usd: Money | None
    observations: int
    missing: int
    figures: dict[str, Figure]
    reasons: dict[str, str]
    is_brief: bool = Field(description="Measured in a batch: without holdings and correlations.")


class MeasuredFigure(Told):
    """A figure of the registry, between what it lies at 95 %, and what that rests on."""

    value: Figure
    low: Figure
    high: Figure
    standard_error: Figure
    observations: int
    reason: str


class MeasuredCovariance(Told):
    """The volatility by year and the correlations, by the covariance that was asked for."""

    volatility: Figure
    correlations: Correlations
    reason: str
    observations: int
    rank: int
    condition: Figure
    repaired: bool
    filled: dict[str, int]
    missing: dict[str, int]
    notes: list[str]


class Report(Measured):
    """A report in full; `all_figures` and `covariance` are there where they were asked for."""

    all_figures: dict[str, MeasuredFigure]
    covariance: MeasuredCovariance | None

    correlation_matrix: Correlations
    holdings: list[MeasuredHolding]
    notes: list[str]


@router.get("/portfolios/{portfolio_id}/risk", operation_id="getRisk")
async def get_risk(bound: Reader, portfolio_id: UUID) -> Report:
    """Tell what was last measured of a portfolio."""
    found = await find(bound.session, portfolio_id)
    reports = await store.list_reports(bound.session, found.id, 1)
    if not reports:
        raise NotFoundError(
            "This portfolio was not measured yet.",
            hint=f"POST /api/v1/portfolios/{portfolio_id}/risk/reports queues it.",
        )
    return Report.model_validate(reports[0])


@router.get("/portfolios/{portfolio_id}/risk/history", operation_id="listRiskHistory")
async def list_history(
    bound: Reader,
    portfolio_id: UUID,
    asked: Paged,
    stretch: Stretched,
    sort: Annotated[_Sort, Query(description="Without the - the oldest come first.")] = "-as_of",
) -> Page[Measured]:
    """List what was measured of instants from `since` to before `until`, the newest first."""
    found = await find(bound.session, portfolio_id)
    listed = Listed(asked, sort, _SORTS)
    wanted = Kept(found.id, stretch.since, stretch.until)
    rows = await store.page_reports(bound.session, wanted, listed.span())
    return await listed.page(Measured, rows, lambda: store.count_reports(bound.session, wanted))


@router.get("/risk/reports/{report_id}", operation_id="getRiskReport")
async def get_report(bound: Reader, report_id: UUID) -> Report:
    """Tell of a report that was kept."""
    return Report.model_validate(await find_report(bound.session, report_id))


async def find_report(session: AsyncSession, report_id: UUID) -> RiskReport:
    """Return a report of a portfolio that is there.

    Raises:
        NotFoundError: there is none, or it is another's: nobody can tell which.
    """
    found = await store.find_report(session, report_id)
    if found is None:
        raise NotFoundError("There is no such report.")
    await find(session, found.portfolio_id)
    return found


class Queued(Told):
    """What a worker will do."""

    job: str = Field(examples=[REPORT])
    portfolio_id: UUID


@router.post(
    "/portfolios/{portfolio_id}/risk/reports",
    status_code=202,
    operation_id="measureRisk",
    response_model=Queued,
)
async def measure(
    bound: Manager, request: Request, portfolio_id: UUID, key: IdempotencyKey = None
) -> Any:
    """Have a worker measure a portfolio's risk as it is now."""
    found = await find(bound.session, portfolio_id)

    async def work() -> Told:
        user = bound.caller.user_id
        await defer(bound.session, REPORT, key=str(found.id), user=user, portfolio=found.id)
        return Queued(job=REPORT, portfolio_id=found.id)

    done: Response = await once(bound, Asked(request, key), work, 202)
    return done
