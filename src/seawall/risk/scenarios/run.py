"""Running scenarios on a portfolio: measured, kept once, and computed again as they were known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import NotFoundError
from seawall.core.time import parse_time
from seawall.market.prices import AssetPrices
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.store import get_portfolio, lock_portfolio
from seawall.portfolios.valuation import Moment, begin
from seawall.risk import store
from seawall.risk.benchmarks import BTC
from seawall.risk.scenarios.catalogue import EVENTS, get_event
from seawall.risk.scenarios.hypothetical import (
    break_peg,
    check_depeg,
    check_shocks,
    default_of,
    list_places,
    shock_portfolio,
)
from seawall.risk.scenarios.models import move_together, reverse_stress
from seawall.risk.scenarios.outcome import Outcome, unknown
from seawall.risk.scenarios.record import (
    read_question,
    recovery_minutes,
    write_details,
    write_question,
)
from seawall.risk.scenarios.replay import read_past, replay_event
from seawall.risk.scenarios.schemas import (
    Basis,
    Default,
    Depeg,
    Historical,
    KeptStressTest,
    Reverse,
    Scenario,
    Selling,
    Shocks,
    StressResult,
    Together,
)
from seawall.risk.scenarios.selling import read_volumes, sell
from seawall.risk.scenarios.subject import Subject, read_subject


@dataclass(frozen=True, slots=True)
class RepeatedStress:
    """A kept stress test beside the same one computed again, and in what they differ."""

    kept: KeptStressTest
    again: StressResult
    differs: tuple[str, ...]


def standing() -> tuple[Scenario, ...]:
    """Return what is run when nothing is chosen, but for the defaults of places."""
    events = tuple(Historical(event.slug) for event in EVENTS)
    return (*events, Depeg(), Together(), Selling(), Reverse())


async def run_scenarios(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    as_of: datetime | None,
    scenarios: Sequence[Scenario],
    basis: Basis,
) -> list[StressResult]:
    """Run scenarios, every standing one when none is given, and keep what each costs.

    A result is kept once: when the newest kept one of the same question says the same it is that
    one. One whose loss is not known is not kept.

    Raises:
        NotFoundError: an event, an asset or a place is not known.
        InvalidError: a scenario makes no sense.
    """
    # One run at a time of a portfolio, or two equal results would both be kept.
    await lock_portfolio(session, portfolio.id)
    moment = await begin(session, portfolio, as_of, {BTC})
    subject = await read_subject(session, portfolio, moment, basis)
    chosen = list(scenarios)
    if not chosen:
        places = {each.exchange_source for each in await list_places(session, subject)}
        chosen = [*standing(), *(Default(place) for place in sorted(places))]
    found = await _measure(session, subject, chosen)
    return [await _keep(session, portfolio, result, is_now=as_of is None) for result in found]


async def recompute_stress(session: AsyncSession, stress_id: UUID) -> RepeatedStress:
    """Run a kept stress test again with what was known when it was made.

    What exchanges hold has no history, so a default cannot be repeated once that has changed.

    Raises:
        NotFoundError: no such test is kept.
        InvalidError: it was not made by `run_scenarios`.
    """
    kept = await store.find_stress_test(session, stress_id)
    if kept is None:
        raise NotFoundError(
            f"No stress test {stress_id} is kept.",
            hint="The portfolio's kept stress tests list them.",
        )
    details = dict(kept.details)
    question = details.get("question")
    scenario, basis = read_question(question if isinstance(question, dict) else {})
    portfolio = await get_portfolio(session, kept.portfolio_id)
    moment = Moment(kept.as_of, parse_time(str(details["known_at"])))
    subject = await read_subject(session, portfolio, moment, basis)
    again = (await _measure(session, subject, [scenario]))[0]
    return RepeatedStress(kept, again, _differences(kept, again))


async def _measure(
    session: AsyncSession, subject: Subject, scenarios: Sequence[Scenario]
) -> list[StressResult]:
    events = [get_event(each.event) for each in scenarios if isinstance(each, Historical)]
    past = await read_past(session, subject, events)
    found = []
    for scenario in scenarios:
        outcome = await _outcome(session, subject, scenario, past)
        found.append(_result(subject, scenario, outcome))
    return found


async def _outcome(
    session: AsyncSession,
    subject: Subject,
    scenario: Scenario,
    past: Mapping[str, AssetPrices],
) -> Outcome:
    if isinstance(scenario, Shocks):
        await check_shocks(session, scenario)
    if isinstance(scenario, Depeg):
        await check_depeg(session, scenario)
    if subject.reason:
        is_event = isinstance(scenario, Historical)
        return unknown(get_event(scenario.slug).name if is_event else scenario.slug, subject.reason)
    if isinstance(scenario, Default):
        return await default_of(session, subject, scenario)
    if isinstance(scenario, Selling):
        return sell(subject, scenario, await read_volumes(session, subject))
    return _computed(subject, scenario, past)


def _computed(
    subject: Subject,
    scenario: Historical | Shocks | Depeg | Together | Reverse,
    past: Mapping[str, AssetPrices],
) -> Outcome:
    """Run what needs nothing more from the database."""
    match scenario:
        case Historical():
            return replay_event(subject, get_event(scenario.event), past)
        case Shocks():
            return shock_portfolio(subject, scenario)
        case Depeg():
            return break_peg(subject, scenario)
        case Together():
            return move_together(subject, scenario)
        case Reverse():
            return reverse_stress(subject, scenario)


def _result(subject: Subject, scenario: Scenario, outcome: Outcome) -> StressResult:
    value = outcome.value if outcome.value is not None else subject.valuation.total_value
    loss = outcome.loss_usd
    return StressResult(
        scenario=scenario.slug,
        title=outcome.title,
        question=write_question(scenario, subject.basis),
        portfolio=subject.valuation.portfolio.name,
        portfolio_id=subject.valuation.portfolio.id,
        as_of=subject.as_of,
        known_at=subject.moment.known_at,
        portfolio_value=value,
        loss_usd=loss,
        loss=float(loss) / float(value) if loss is not None and value else None,
        recovery_days=outcome.recovery_days,
        figures=outcome.figures,
        reasons=outcome.reasons,
        assets=outcome.assets,
        notes=(*outcome.notes, *subject.valuation.notes),
    )


async def _keep(
    session: AsyncSession, portfolio: PortfolioRecord, result: StressResult, *, is_now: bool
) -> StressResult:
    if result.loss is None:
        return result
    as_of = None if is_now else result.as_of
    kept = await store.find_newest_stress_test(session, portfolio.id, result, as_of)
    if kept is not None and not _differences(kept, result):
        return replace(result, id=kept.id)
    return replace(result, id=await store.add_stress_test(session, portfolio.user_id, result))


def _differences(kept: KeptStressTest, again: StressResult) -> tuple[str, ...]:
    """Name what differs, but for when it was known."""
    details = write_details(again)
    columns: dict[str, tuple[object, object]] = {
        "portfolio_value": (kept.portfolio_value, again.portfolio_value or Decimal(0)),
        "loss_usd": (kept.loss_usd, again.loss_usd),
        "recovery": (kept.recovery_minutes, recovery_minutes(again)),
    }
    differs = [name for name, (old, new) in columns.items() if old != new]
    return (*differs, *(name for name in details if details[name] != kept.details.get(name)))
