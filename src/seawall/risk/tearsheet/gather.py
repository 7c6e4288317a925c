"""Everything that a tear sheet shows, gathered for the moment of one kept report."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.market.pairs import SP500
from seawall.portfolios.store import get_portfolio
from seawall.quant.returns import weighted_returns
from seawall.quant.types import FloatArray, IntArray
from seawall.risk.all_figures import all_figures, with_tail
from seawall.risk.attribution import Grouping, RiskAttribution, attribute_valued
from seawall.risk.benchmarks import BTC, read_benchmarks
from seawall.risk.exposure import Exposure, Window, expose
from seawall.risk.measure import value_for
from seawall.risk.report import moment_of
from seawall.risk.schemas import Figure, PricedHolding, RiskReport
from seawall.risk.tearsheet import store
from seawall.risk.tearsheet.store import OpenBreach, StressLine


@dataclass(frozen=True, slots=True)
class History:
    """The portfolio's returns (K,) and the window's days that they end on, counted from `start`.

    `benchmark` holds its closes on the window's midnights, NaN where none is held; None without it.
    """

    start: datetime
    rows: IntArray
    returns: FloatArray
    benchmark: FloatArray | None


@dataclass(frozen=True, slots=True)
class TearSheet:
    """A report with what it takes to draw it; all of it follows from the report's moment.

    `sure` is every figure with how sure it is, as a report of every figure has it. Stress tests and
    breaches are those that were stored by then.
    """

    report: RiskReport
    sure: Mapping[str, Figure]
    history: History
    by_asset: RiskAttribution
    by_class: RiskAttribution
    stress: tuple[StressLine, ...]
    breaches: tuple[OpenBreach, ...]

    @property
    def stale(self) -> tuple[PricedHolding, ...]:
        """The holdings whose prices are older than the question allows, the oldest first."""
        since = self.report.stale
        found = [each for each in self.report.holdings if each.asset in since]
        return tuple(sorted(found, key=lambda each: (-(each.price_age_seconds or 0), each.asset)))


async def gather(session: AsyncSession, report: RiskReport) -> TearSheet:
    """Gather what a report's page shows, with no more knowledge than the report had."""
    portfolio = await get_portfolio(session, report.portfolio_id)
    moment, question = moment_of(report), report.question
    valuation = await value_for(session, portfolio, moment, question)
    window = Window(moment.as_of, question.window)
    benchmarks = {BTC, SP500, question.benchmark}
    closes = await read_benchmarks(session, benchmarks, window, moment.known_at)
    exposure = expose(valuation, window)
    return TearSheet(
        report=report,
        sure=_sure(report, exposure, closes),
        history=_history(window, exposure, closes.get(question.benchmark)),
        by_asset=await attribute_valued(session, valuation, question, Grouping.ASSET),
        by_class=await attribute_valued(session, valuation, question, Grouping.CLASS),
        stress=tuple(await store.latest_stress_tests(session, portfolio.id, moment.as_of)),
        breaches=tuple(await store.open_breaches(session, portfolio.id, moment.as_of)),
    )


def _sure(
    report: RiskReport, exposure: Exposure | None, closes: Mapping[str, FloatArray]
) -> Mapping[str, Figure]:
    if report.question.everything or exposure is None:
        return report.all_figures
    measured = replace(report, all_figures=all_figures(report, exposure, closes))
    return with_tail(measured, exposure).all_figures


def _history(window: Window, exposure: Exposure | None, benchmark: FloatArray | None) -> History:
    if exposure is None:
        return History(window.first, np.empty(0, np.int64), np.empty(0), benchmark)
    returns = weighted_returns(exposure.history.returns, exposure.weights)
    return History(window.first, exposure.history.rows, returns, benchmark)
