"""Scenarios: which there are, what a portfolio would lose in them, and what was kept of that."""

from datetime import date
from typing import Any
from uuid import UUID

from fastapi import Response
from pydantic import Field

from seawall.api import bodies
from seawall.api.aside import ManagerAside, ReaderAside
from seawall.api.bodies import Figure, Money, Time, Told
from seawall.api.deps import Bound, IdempotencyKey, Reader
from seawall.api.depth import require_history
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, cut, read_id, read_time, write_cursor
from seawall.api.v1.asked import AskedScenario, read_scenarios
from seawall.api.v1.portfolios import find
from seawall.core.errors import NotFoundError
from seawall.core.time import to_micros
from seawall.risk import store
from seawall.risk.scenarios.catalogue import EVENTS
from seawall.risk.scenarios.run import recompute_stress, run_scenarios, standing
from seawall.risk.scenarios.schemas import (
    Basis,
    Historical,
    KeptStressTest,
    Source,
    StressResult,
)
from seawall.risk.schemas import DEFAULT_WINDOW, MAX_WINDOW

router = routes("", "scenarios")


class HistoricalEvent(Told):
    """A stretch of days in which the market fell; portfolios are taken through it again."""

    slug: str = Field(examples=["ftx-2022-11"])
    name: str
    first: date
    last: date
    btc_loss: Figure = Field(description="What Bitcoin lost in it, as a fraction.")
    description: str


class Scenarios(Told):
    """What there is to run."""

    events: list[HistoricalEvent]
    models: list[str] = Field(description="The standing scenarios that are no event.")


@router.get("/risk/scenarios", operation_id="listScenarios")
async def list_scenarios(bound: Reader) -> Scenarios:  # noqa: ARG001 - for whoever may read
    """List the scenarios that run when none is chosen."""
    return Scenarios(
        events=[HistoricalEvent.model_validate(each) for each in EVENTS],
        models=[each.slug for each in standing() if not isinstance(each, Historical)],
    )


class StressRun(bodies.Body):
    """Which scenarios to run; without any, all standing ones and the default of each exchange."""

    scenarios: list[AskedScenario] = Field(default_factory=list, max_length=50)
    as_of: Time | None = Field(default=None, description="Null: now.")
    window: int = Field(
        default=DEFAULT_WINDOW, ge=1, le=MAX_WINDOW, description="Of betas and covariances."
    )
    t_tailed: bool = Field(default=False, description="Betas with Student-t errors.")


class StressedAsset(Told):
    """What a scenario does to one holding; null where that is not known."""

    asset: str = Field(examples=["BTC"])
    value_usd: Money
    weight: Figure
    shock: Figure
    loss_usd: Money | None
    source: Source
    facts: dict[str, Any]


class StressTest(Told):
    """What a scenario costs: the loss at the worst point, negative for a gain."""

    id: UUID | None = Field(description="Null where the loss is not known: it is not kept then.")
    portfolio_id: UUID
    scenario: str
    title: str
    question: dict[str, Any]
    as_of: Time
    known_at: Time
    portfolio_value_usd: Money | None
    loss_usd: Money | None
    loss: Figure = Field(description="A fraction of the value.")
    recovery_days: Figure
    figures: dict[str, Any]
    reasons: dict[str, str]
    assets: list[StressedAsset]
    notes: list[str]


class StressTests(Told):
    """What the scenarios cost, in the order in which they were asked."""

    items: list[StressTest]


@router.post(
    "/portfolios/{portfolio_id}/risk/stress-tests",
    status_code=201,
    operation_id="runScenarios",
    response_model=StressTests,
)
async def run(
    apart: ManagerAside, portfolio_id: UUID, body: StressRun, key: IdempotencyKey = None
) -> Response:
    """Say what a portfolio would lose in scenarios, and keep it."""
    asked = read_scenarios(body.scenarios)
    basis = Basis(body.window, body.t_tailed)
    require_history(apart.request, body.as_of)

    async def within(bound: Bound) -> Response:
        found = await find(bound.session, portfolio_id)

        async def work() -> Told:
            done = await run_scenarios(bound.session, found, body.as_of, asked, basis)
            return StressTests(items=[_of_result(each) for each in done])

        return await once(bound, Asked(apart.request, key), work)

    return await apart.run(within)


def _of_result(made: StressResult) -> StressTest:
    return StressTest(
        id=made.id,
        portfolio_id=made.portfolio_id,
        scenario=made.scenario,
        title=made.title,
        question=dict(made.question),
        as_of=made.as_of,
        known_at=made.known_at,
        portfolio_value_usd=made.portfolio_value,
        loss_usd=made.loss_usd,
        loss=made.loss,
        recovery_days=made.recovery_days,
        figures=dict(made.figures),
        reasons=dict(made.reasons),
        assets=[StressedAsset.model_validate(each) for each in made.assets],
        notes=list(made.notes),
    )


class KeptStress(Told):
    """A stress test that was kept."""

    id: UUID
    portfolio_id: UUID
    scenario: str
    as_of: Time
    created_at: Time
    portfolio_value_usd: Money
    loss_usd: Money
    loss: Figure = Field(description="A fraction of the value.")
    recovery_minutes: int | None
    details: dict[str, Any] = Field(
        description="Its title, question, figures, reasons, assets and notes, as they were kept."
    )


def _of_kept(kept: KeptStressTest) -> KeptStress:
    return KeptStress(
        id=kept.id,
        portfolio_id=kept.portfolio_id,
        scenario=kept.scenario,
        as_of=kept.as_of,
        created_at=kept.created_at,
        portfolio_value_usd=kept.portfolio_value,
        loss_usd=kept.loss_usd,
        loss=kept.loss_percentage / 100,
        recovery_minutes=kept.recovery_minutes,
        details=dict(kept.details),
    )


@router.get("/portfolios/{portfolio_id}/risk/stress-tests", operation_id="listStressTests")
async def list_kept(bound: Reader, portfolio_id: UUID, asked: Paged) -> Page[KeptStress]:
    """List the stress tests of a portfolio that were kept, the newest instant first."""
    found = await find(bound.session, portfolio_id)
    before = None
    if asked.after is not None:
        time, created, id_ = asked.place(3)
        before = (read_time(time), read_time(created), read_id(id_))
    rows = await store.page_stress_tests(bound.session, found.id, asked.limit + 1, before)
    shown, more = cut(rows, asked.limit)
    return Page(
        items=[_of_kept(each) for each in shown],
        next_cursor=_place(shown[-1]) if more else None,
    )


def _place(kept: KeptStressTest) -> str:
    return write_cursor(to_micros(kept.as_of), to_micros(kept.created_at), str(kept.id))


async def _find(bound: Bound, stress_id: UUID) -> KeptStressTest:
    found = await store.find_stress_test(bound.session, stress_id)
    if found is None:
        raise NotFoundError("There is no such stress test.")
    await find(bound.session, found.portfolio_id)
    return found


@router.get("/risk/stress-tests/{stress_id}", operation_id="getStressTest")
async def get_kept(bound: Reader, stress_id: UUID) -> KeptStress:
    """Tell of a stress test that was kept."""
    return _of_kept(await _find(bound, stress_id))


class RecomputedStress(Told):
    """A kept stress test, computed again from what was known when it was made."""

    identical: bool
    differs: list[str] = Field(description="In what it differs from the one that was kept.")
    kept: KeptStress
    again: StressTest


@router.get("/risk/stress-tests/{stress_id}/recomputation", operation_id="recomputeStressTest")
async def recompute(apart: ReaderAside, stress_id: UUID) -> RecomputedStress:
    """Run a kept stress test again as it was known, and compare."""

    async def within(bound: Bound) -> RecomputedStress:
        await _find(bound, stress_id)
        done = await recompute_stress(bound.session, stress_id)
        return RecomputedStress(
            identical=not done.differs,
            differs=list(done.differs),
            kept=_of_kept(done.kept),
            again=_of_result(done.again),
        )

    return await apart.run(within)
