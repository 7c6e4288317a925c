"""Risk reports: measured, kept once, and computed again exactly as they were known."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import NotFoundError
from seawall.market.pairs import SP500
from seawall.portfolios.projecting.project import snapshot_portfolio
from seawall.portfolios.schemas import HeadlineRisk, PortfolioRecord
from seawall.portfolios.store import get_portfolio, lock_portfolio
from seawall.portfolios.valuation import Moment, begin
from seawall.risk import store
from seawall.risk.benchmarks import BTC
from seawall.risk.limits.check import check_limits
from seawall.risk.measure import measure_portfolio, measure_valued, value_for
from seawall.risk.schemas import RiskQuestion, RiskReport


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A kept report beside the same one computed again, and the figures in which they differ."""

    kept: RiskReport
    again: RiskReport
    differs: tuple[str, ...]


async def report(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    as_of: datetime | None,
    question: RiskQuestion,
) -> RiskReport:
    """Measure a portfolio, and keep the report with a snapshot, unless it is kept already.

    One of the present also checks the limits.
    """
    # One report of a portfolio at a time, or two equal ones would both be kept.
    await lock_portfolio(session, portfolio.id)
    moment = await begin(session, portfolio, as_of, {BTC, SP500, question.benchmark})
    valuation = await value_for(session, portfolio, moment, question)
    measured = await measure_valued(session, valuation, question)
    kept = await store.find_latest(session, portfolio.id, moment.as_of, question)
    # A brief one is equal to none: the whole report is kept beside it.
    if kept is not None and replace(measured, known_at=kept.known_at) == kept:
        return kept
    report_id = await store.add_report(session, portfolio.user_id, measured)
    await snapshot_portfolio(session, valuation, _headline(measured))
    if as_of is None:
        await check_limits(session, valuation, measured)
    return replace(measured, id=report_id)


def _headline(measured: RiskReport) -> HeadlineRisk:
    figures = measured.figures
    return HeadlineRisk(figures["volatility"], figures["sharpe_ratio"], figures["max_drawdown"])


async def recompute(session: AsyncSession, report_id: UUID) -> Recomputed:
    """Compute a kept report again from what was known when it was made.

    Raises:
        NotFoundError: no such report is kept.
    """
    kept = await store.find_report(session, report_id)
    if kept is None:
        raise NotFoundError(
            f"No risk report {report_id} is kept.", hint="The portfolio's history lists them."
        )
    portfolio = await get_portfolio(session, kept.portfolio_id)
    again = await measure_portfolio(session, portfolio, moment_of(kept), kept.question)
    return Recomputed(kept, again, _differences(kept, again))


def moment_of(kept: RiskReport) -> Moment:
    """Return of when a report is and what it knew: all that it takes to look at the same again."""
    return Moment(kept.as_of, kept.known_at)


def _differences(kept: RiskReport, again: RiskReport) -> tuple[str, ...]:
    """Name in what a report differs; of a brief one that is less, for it tells less.

    A figure that is null without a reason is one that was not measured when the report was kept.
    """
    figures = [
        name
        for name, value in kept.figures.items()
        if again.figures[name] != value and (value is not None or name in kept.reasons)
    ]
    figures += [
        name
        for name, figure in kept.all_figures.items()
        if again.all_figures.get(name) != figure and name not in figures
    ]
    if kept.is_brief:
        named = {name: why for name, why in again.reasons.items() if name in again.figures}
        again = replace(
            again,
            correlation_matrix=kept.correlation_matrix,
            holdings=kept.holdings,
            notes=kept.notes,
            reasons=named,
            is_brief=True,
        )
    apart = {"figures", "all_figures", "id"}
    rest = [each.name for each in fields(kept) if each.name not in apart]
    return (*figures, *(name for name in rest if getattr(kept, name) != getattr(again, name)))
