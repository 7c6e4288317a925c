"""Risk reports as asked for: measured now, computed again, and as a page to read."""

from typing import Annotated
from uuid import UUID

from fastapi import Response
from fastapi.responses import HTMLResponse
from pydantic import Field, StringConstraints

from seawall.api import bodies
from seawall.api.aside import ManagerAside, ReaderAside
from seawall.api.bodies import Time, Told
from seawall.api.deps import Bound, IdempotencyKey, Reader
from seawall.api.depth import require_history
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, cut, read_id, write_cursor
from seawall.api.v1.portfolios import find
from seawall.api.v1.risk import Measured, Report, find_report
from seawall.market.pairs import plain_name
from seawall.quant.covariance.estimate import Estimator
from seawall.quant.histories import HistoryMethod
from seawall.quant.tails import TailMethod
from seawall.risk import store
from seawall.risk.report import recompute, report
from seawall.risk.schemas import (
    DEFAULT_BENCHMARK,
    DEFAULT_CONFIDENCE,
    DEFAULT_MAX_AGE,
    DEFAULT_WINDOW,
    MAX_HORIZON,
    MAX_TRIALS,
    MAX_WINDOW,
    CovarianceChoice,
    RiskQuestion,
)
from seawall.risk.tearsheet.page import tear_sheet

router = routes("", "risk")
_Symbol = Annotated[str, StringConstraints(min_length=1, max_length=32)]


class CovarianceWish(bodies.Body):
    """Which covariance is measured besides, of histories of any length."""

    estimator: Estimator = Estimator.SAMPLE
    histories: HistoryMethod = HistoryMethod.COMMON


class RiskWish(bodies.Body):
    """What a report is asked; what is left out is as `measureRisk` asks it."""

    as_of: Time | None = Field(default=None, description="Null: now.")
    window: int = Field(default=DEFAULT_WINDOW, ge=1, le=MAX_WINDOW, description="Daily returns.")
    confidence: float = Field(default=DEFAULT_CONFIDENCE, gt=0, lt=1)
    benchmark: _Symbol = DEFAULT_BENCHMARK
    risk_free: float = Field(default=0.0, gt=-1, le=1, description="By year, compounded.")
    trials: int = Field(default=1, ge=1, le=MAX_TRIALS)
    max_age: float = Field(
        default=DEFAULT_MAX_AGE, gt=0, le=MAX_WINDOW, description="Days until a price is stale."
    )
    everything: bool = Field(default=False, description="Every metric of the registry.")
    method: TailMethod = TailMethod.HISTORICAL
    horizon: int = Field(default=1, ge=1, le=MAX_HORIZON, description="Days that the tail is over.")
    covariance: CovarianceWish | None = None


@router.post(
    "/portfolios/{portfolio_id}/risk/reports/now",
    status_code=201,
    operation_id="reportRisk",
    response_model=Report,
)
async def measure_now(
    apart: ManagerAside, portfolio_id: UUID, body: RiskWish, key: IdempotencyKey = None
) -> Response:
    """Measure a portfolio's risk as it is asked, and keep the report."""
    question = _question(body)
    require_history(apart.request, body.as_of)

    async def within(bound: Bound) -> Response:
        found = await find(bound.session, portfolio_id)

        async def work() -> Told:
            return Report.model_validate(await report(bound.session, found, body.as_of, question))

        return await once(bound, Asked(apart.request, key), work)

    return await apart.run(within)


def _question(body: RiskWish) -> RiskQuestion:
    wish = body.covariance
    return RiskQuestion(
        body.window,
        body.confidence,
        plain_name(body.benchmark),
        risk_free=body.risk_free,
        trials=body.trials,
        max_age=body.max_age,
        everything=body.everything,
        method=body.method,
        horizon=body.horizon,
        covariance=None
        if wish is None
        else CovarianceChoice(wish.estimator, wish.histories, body.window),
    )


class RecomputedReport(Told):
    """A kept report, computed again from what was known when it was made."""

    identical: bool
    differs: list[str] = Field(description="In what it differs from the one that was kept.")
    kept: Measured
    again: Measured


@router.get("/risk/reports/{report_id}/recomputation", operation_id="recomputeRiskReport")
async def compute_again(apart: ReaderAside, report_id: UUID) -> RecomputedReport:
    """Compute a kept report again as it was known, and compare."""

    async def within(bound: Bound) -> RecomputedReport:
        await find_report(bound.session, report_id)
        done = await recompute(bound.session, report_id)
        again = {**_fields(done.again), "id": report_id}
        return RecomputedReport(
            identical=not done.differs,
            differs=list(done.differs),
            kept=Measured.model_validate(done.kept),
            again=Measured.model_validate(again),
        )

    return await apart.run(within)


def _fields(made: object) -> dict[str, object]:
    return {name: getattr(made, name) for name in Measured.model_fields}


@router.get(
    "/risk/reports/{report_id}/tear-sheet",
    operation_id="getTearSheet",
    response_class=HTMLResponse,
)
async def get_tear_sheet(apart: ReaderAside, report_id: UUID) -> HTMLResponse:
    """Give a report as one page to keep: it loads nothing, and has its charts in it."""

    async def within(bound: Bound) -> str:
        found = await find_report(bound.session, report_id)
        return await tear_sheet(bound.session, found)

    # Kept as a file: shown from here, a page that the edge lets load nothing has no styles.
    name = f'attachment; filename="risk-{report_id}.html"'
    return HTMLResponse(await apart.run(within), headers={"Content-Disposition": name})


@router.get("/risk/latest", operation_id="listLatestRisk")
async def list_latest(bound: Reader, asked: Paged) -> Page[Measured]:
    """Tell what was last measured of each portfolio that was; by the ids of the portfolios."""
    after = None if asked.after is None else read_id(*asked.place(1))
    rows = await store.latest_reports(bound.session, asked.limit + 1, after)
    shown, more = cut(rows, asked.limit)
    return Page(
        items=[Measured.model_validate(each) for each in shown],
        next_cursor=write_cursor(str(shown[-1].portfolio_id)) if more else None,
    )
