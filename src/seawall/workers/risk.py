"""The tasks of risk: measuring again what new prices and transactions changed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError
from seawall.core.time import iso, parse_time
from seawall.db.session import transaction, unbound_transaction
from seawall.jobs.crew import Given, Task
from seawall.jobs.defer import defer
from seawall.jobs.store import join
from seawall.market.store import find_assets, list_priced
from seawall.portfolios.store import get_portfolio
from seawall.quant.metrics.figures import lay_out
from seawall.risk import continuous, midnights, store
from seawall.risk.assets.measure import measure_due
from seawall.risk.batch import DEFAULT_CONFIDENCE
from seawall.risk.limits.store import list_limited
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion
from seawall.risk.scores.score import score_assets

REMEASURE, REPORT = "risk.remeasure", "risk.report_portfolio"
MEASURE_ASSETS, MIDNIGHT, CATCH_UP = "risk.measure_assets", "risk.midnight", "risk.catch_up"
REVISE = "risk.revise"


def load_kernel() -> None:
    """Compile the kernel, or read it from the disk, before a price comes in."""
    lay_out(np.zeros((5, 1)), (None, None, None), DEFAULT_CONFIDENCE).measure_one(np.ones(1))


async def remeasure(given: Given, *, assets: Sequence[str]) -> None:
    """Measure the portfolios that hold any of these assets, and of all that wait by now."""
    joined = await join(given.engine, given.job_id, REMEASURE, "assets")
    async with unbound_transaction(given.engine) as session:
        ids = {asset.id for asset in (await find_assets(session, joined or assets)).values()}
    if not ids:
        return
    done = await continuous.remeasure(given.engine, None, ids)
    await _check_limits(given, [portfolio for portfolio, _ in done.portfolios])
    _tell_refused(done)


def _tell_refused(done: continuous.Remeasured) -> None:
    """Fail for what could not be measured, when all else is done."""
    if done.refused:
        portfolio, reason = next(iter(done.refused.items()))
        raise InvalidError(
            f"{len(done.refused)} of {len(done.portfolios)} portfolios could not be measured, such"
            f" as {portfolio}: {reason}",
            hint="The others are measured.",
        )


async def _check_limits(given: Given, portfolios: Sequence[UUID]) -> None:
    """Report the measured portfolios that have limits, which checks these."""
    async with unbound_transaction(given.engine) as session:
        limited = await list_limited(session, portfolios)
    for portfolio, user in limited:
        async with transaction(given.engine, user) as session:
            await report(session, await get_portfolio(session, portfolio), None, RiskQuestion())


async def report_portfolio(given: Given, *, user: str, portfolio: str) -> None:
    """Measure one portfolio of one user."""
    async with transaction(given.engine, UUID(user)) as session:
        found = await get_portfolio(session, UUID(portfolio))
        await report(session, found, None, RiskQuestion())


async def measure_assets(given: Given, *, assets: Sequence[str]) -> None:
    """Measure these assets, and those that wait by now, at every midnight that is due."""
    joined = await join(given.engine, given.job_id, MEASURE_ASSETS, "assets")
    for symbol in joined or assets:
        left = 1
        while left:
            async with unbound_transaction(given.engine) as session:
                left = await measure_due(session, symbol)


async def measure_midnight(given: Given, *, midnight: str) -> None:
    """Measure every portfolio and score every coin as of a midnight that is over."""
    as_of = parse_time(midnight)
    done = await continuous.remeasure(given.engine, as_of)
    async with unbound_transaction(given.engine) as session:
        await score_assets(session, as_of)
        await store.add_midnight(session, as_of)
    _tell_refused(done)


async def revise(given: Given, *, since: Sequence[str]) -> None:
    """Queue the midnights that were measured before prices of before them came or were revised."""
    joined = await join(given.engine, given.job_id, REVISE, "since")
    first = min(map(parse_time, joined or since))
    async with unbound_transaction(given.engine) as session:
        for midnight in await midnights.find_revised(session, first):
            await _queue_midnight(session, midnight)


async def _queue_midnight(session: AsyncSession, midnight: datetime) -> None:
    when = iso(midnight)
    await defer(session, MIDNIGHT, key=when, midnight=when)


async def catch_up(given: Given) -> None:
    """Queue what was missed: midnights without measurement, assets, portfolios at new prices."""
    async with unbound_transaction(given.engine) as session:
        missed = await midnights.find_missed(session)
        priced = await list_priced(session)
        for midnight in missed:
            await _queue_midnight(session, midnight)
        if priced:
            await defer(session, MEASURE_ASSETS, key="", assets=priced)
        if priced and missed:
            await defer(session, REMEASURE, key="", assets=priced)


TASKS = (
    Task(REMEASURE, remeasure),
    Task(REPORT, report_portfolio),
    Task(MEASURE_ASSETS, measure_assets),
    Task(MIDNIGHT, measure_midnight),
    Task(REVISE, revise),
    Task(CATCH_UP, catch_up),
)
