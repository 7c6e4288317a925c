"""The SQL of the tear sheet: what stress tests and limits had to say by an instant."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.risk.limits.tables import RiskEvent, RiskLimit
from seawall.risk.store import NEWEST_STRESS_TEST
from seawall.risk.tables import StressTest


@dataclass(frozen=True, slots=True)
class StressLine:
    """What a scenario would cost a portfolio: a gain is a negative loss.

    `loss_percentage` is in per cent; `recovery_minutes` is None where nothing is known of one.
    """

    scenario: str
    test_date: datetime
    portfolio_value: Decimal
    loss_amount: Decimal
    loss_percentage: float
    recovery_minutes: int | None


@dataclass(frozen=True, slots=True)
class OpenBreach:
    """A limit that is broken, since when, and how bad that is."""

    limit: str
    severity: str
    description: str
    triggered_at: datetime


async def latest_stress_tests(
    session: AsyncSession, portfolio_id: UUID, until: datetime
) -> list[StressLine]:
    """Return the newest result of each scenario by an instant, the largest loss first."""
    rows = await session.execute(
        select(
            StressTest.scenario_name,
            StressTest.test_date,
            StressTest.portfolio_value,
            StressTest.loss_amount,
            StressTest.loss_percentage,
            StressTest.recovery_time_minutes,
        )
        .ext(distinct_on(StressTest.scenario_name))
        .where(StressTest.portfolio_id == portfolio_id, StressTest.test_date <= until)
        .order_by(StressTest.scenario_name, *NEWEST_STRESS_TEST)
    )
    found = [StressLine(*row) for row in rows]
    return sorted(found, key=lambda each: (-each.loss_percentage, each.scenario))


async def open_breaches(
    session: AsyncSession, portfolio_id: UUID, at: datetime
) -> list[OpenBreach]:
    """Return the limits of a portfolio, and of everything, that were broken at an instant."""
    rows = await session.execute(
        select(
            RiskEvent.limit_name, RiskEvent.severity, RiskEvent.description, RiskEvent.triggered_at
        )
        .join(RiskLimit, RiskLimit.id == RiskEvent.limit_id)
        .where(
            or_(RiskLimit.portfolio_id == portfolio_id, RiskLimit.portfolio_id.is_(None)),
            RiskLimit.account_id.is_(None),
            RiskEvent.triggered_at <= at,
            or_(RiskEvent.resolved_at.is_(None), RiskEvent.resolved_at > at),
        )
        .order_by(RiskEvent.triggered_at, RiskEvent.limit_name)
    )
    return [OpenBreach(row[0] or "", *row[1:]) for row in rows]
