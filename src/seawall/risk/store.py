"""The SQL of risk: reports kept as rows."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.money import plain
from seawall.core.time import iso, parse_time
from seawall.db.paging import Span, page
from seawall.db.series import PORTFOLIO_RISK_METRICS, ensure_chunks
from seawall.portfolios.tables import Portfolio
from seawall.quant.covariance.estimate import Estimator
from seawall.quant.histories import HistoryMethod
from seawall.quant.tails import TailMethod
from seawall.risk.scenarios.record import recovery_minutes, write_details
from seawall.risk.scenarios.schemas import KeptStressTest, StressResult
from seawall.risk.schemas import (
    FIGURES,
    CorrelationMatrix,
    CovarianceChoice,
    Figure,
    HeldCovariance,
    Kept,
    PricedHolding,
    RiskQuestion,
    RiskReport,
)
from seawall.risk.tables import MeasuredMidnight, PortfolioRiskMetrics, StressTest


async def add_report(session: AsyncSession, user_id: UUID, report: RiskReport) -> UUID:
    """Keep a report; return its id."""
    await ensure_chunks(session, PORTFOLIO_RISK_METRICS, report.as_of, report.as_of)
    statement = insert(PortfolioRiskMetrics).values(
        time=report.as_of,
        user_id=user_id,
        portfolio_id=report.portfolio_id,
        known_at=report.known_at,
        window_days=report.question.window,
        confidence=report.question.confidence,
        benchmark=report.question.benchmark,
        observations=report.observations,
        total_value_usd=report.total_value_usd,
        correlation_matrix={
            "assets": report.correlation_matrix.assets,
            "values": report.correlation_matrix.values,
        },
        details=_details(report),
        value_at_risk=report.figures["value_at_risk"],
        parameters=_parameters(report.question),
        figures={slug: asdict(each) for slug, each in report.all_figures.items()} or None,
        **{name: report.figures[name] for name in FIGURES},
    )
    return (await session.scalars(statement.returning(PortfolioRiskMetrics.id))).one()


def _details(report: RiskReport) -> dict[str, Any]:
    details = {
        "value_at_risk": report.figures["value_at_risk"],
        "reasons": dict(report.reasons),
        "missing": report.missing,
        "benchmark_observations": dict(report.benchmark_observations),
        "holdings": [_pack(holding) for holding in report.holdings],
        "notes": list(report.notes),
        "stale": {asset: iso(since) for asset, since in report.stale.items()},
    }
    if report.covariance is not None:
        details["covariance"] = asdict(report.covariance)
    return details


_COLUMNS = {"window", "confidence", "benchmark"}


def _parameters(question: RiskQuestion) -> dict[str, Any]:
    """Return what a question asks beyond its columns, where it is not the default."""
    asked = [each for each in fields(question) if each.name not in _COLUMNS]
    found = {
        each.name: getattr(question, each.name)
        for each in asked
        if each.default is MISSING or getattr(question, each.name) != each.default
    }
    if question.covariance is not None:
        choice = question.covariance
        found["covariance"] = {"estimator": choice.estimator, "histories": choice.histories}
    return found


def _covariance(kept: Mapping[str, Any], choice: CovarianceChoice) -> HeldCovariance:
    return HeldCovariance(
        **{
            **kept,
            "choice": choice,
            "correlations": _matrix(kept["correlations"]),
            "notes": tuple(kept["notes"]),
        }
    )


def _matrix(kept: Mapping[str, Any]) -> CorrelationMatrix:
    return CorrelationMatrix(tuple(kept["assets"]), tuple(tuple(row) for row in kept["values"]))


def _pack(holding: PricedHolding) -> dict[str, Any]:
    packed: dict[str, Any] = {}
    for each in fields(holding):
        value = getattr(holding, each.name)
        match value:
            case Decimal():
                packed[each.name] = plain(value)
            case datetime():
                packed[each.name] = iso(value)
            case _:
                packed[each.name] = value
    return packed


def _unpack(packed: dict[str, Any]) -> PricedHolding:
    value, time = packed["value_usd"], packed["price_time"]
    known = packed | {
        "quantity": Decimal(packed["quantity"]),
        "value_usd": None if value is None else Decimal(value),
        "price_time": None if time is None else parse_time(time),
    }
    return PricedHolding(**known)


_REPORTS = select(PortfolioRiskMetrics, Portfolio.name).join(
    Portfolio, Portfolio.id == PortfolioRiskMetrics.portfolio_id
)


async def find_report(session: AsyncSession, report_id: UUID) -> RiskReport | None:
    """Return a kept report."""
    row = (
        await session.execute(_REPORTS.where(PortfolioRiskMetrics.id == report_id))
    ).one_or_none()
    return None if row is None else _report(row)


async def find_latest(
    session: AsyncSession, portfolio_id: UUID, as_of: datetime, question: RiskQuestion
) -> RiskReport | None:
    """Return the newest kept report of an instant that answers the same question."""
    row = (
        await session.execute(
            _REPORTS.where(
                PortfolioRiskMetrics.portfolio_id == portfolio_id,
                PortfolioRiskMetrics.time == as_of,
                PortfolioRiskMetrics.window_days == question.window,
                PortfolioRiskMetrics.confidence == question.confidence,
                PortfolioRiskMetrics.benchmark == question.benchmark,
                PortfolioRiskMetrics.parameters == _parameters(question),
            )
            .order_by(PortfolioRiskMetrics.known_at.desc(), PortfolioRiskMetrics.id.desc())
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else _report(row)


REPORTS_BY: dict[str, tuple[Any, ...]] = {
    "as_of": (PortfolioRiskMetrics.time, PortfolioRiskMetrics.known_at, PortfolioRiskMetrics.id),
    "known_at": (PortfolioRiskMetrics.known_at, PortfolioRiskMetrics.time, PortfolioRiskMetrics.id),
}
"""What kept reports are sorted by."""


async def list_reports(session: AsyncSession, portfolio_id: UUID, limit: int) -> list[RiskReport]:
    """Return a portfolio's kept reports, the newest instant first."""
    newest_first = (each.desc() for each in REPORTS_BY["as_of"])
    query = _REPORTS.where(PortfolioRiskMetrics.portfolio_id == portfolio_id)
    return [
        _report(row) for row in await session.execute(query.order_by(*newest_first).limit(limit))
    ]


async def page_reports(session: AsyncSession, wanted: Kept, span: Span) -> list[RiskReport]:
    """Return the next kept reports, in an order of `REPORTS_BY`."""
    query = page(_REPORTS.where(*_of(wanted)), REPORTS_BY[span.order.by], span)
    return [_report(row) for row in await session.execute(query)]


async def count_reports(session: AsyncSession, wanted: Kept) -> int:
    """Count kept reports."""
    query = select(func.count()).select_from(PortfolioRiskMetrics).where(*_of(wanted))
    return int(await session.scalar(query) or 0)


def _of(wanted: Kept) -> list[ColumnElement[bool]]:
    kept = PortfolioRiskMetrics
    conditions = [kept.portfolio_id == wanted.portfolio_id]
    if wanted.since is not None:
        conditions.append(kept.time >= wanted.since)
    if wanted.until is not None:
        conditions.append(kept.time < wanted.until)
    return conditions


def _question(kept: PortfolioRiskMetrics) -> RiskQuestion:
    asked = dict(kept.parameters)
    if "method" in asked:
        asked["method"] = TailMethod(asked["method"])
    if "covariance" in asked:
        chosen = asked["covariance"]
        asked["covariance"] = CovarianceChoice(
            Estimator(chosen["estimator"]), HistoryMethod(chosen["histories"]), kept.window_days
        )
    return RiskQuestion(kept.window_days, kept.confidence, kept.benchmark, **asked)


def _report(row: Row[PortfolioRiskMetrics, str]) -> RiskReport:
    kept, name = row
    matrix, details = kept.correlation_matrix, kept.details
    # Before it had a column it stood among the details.
    asked = details.get("value_at_risk", kept.value_at_risk)
    question, together = _question(kept), details.get("covariance")
    return RiskReport(
        id=kept.id,
        portfolio=name,
        portfolio_id=kept.portfolio_id,
        as_of=kept.time,
        known_at=kept.known_at,
        question=question,
        all_figures={slug: Figure(**each) for slug, each in (kept.figures or {}).items()},
        total_value_usd=kept.total_value_usd,
        figures={each: getattr(kept, each) for each in FIGURES} | {"value_at_risk": asked},
        correlation_matrix=CorrelationMatrix((), ()) if matrix is None else _matrix(matrix),
        reasons=details["reasons"],
        observations=kept.observations,
        missing=details["missing"],
        benchmark_observations=details["benchmark_observations"],
        holdings=tuple(_unpack(each) for each in details.get("holdings", ())),
        notes=tuple(details["notes"]),
        is_brief=matrix is None,
        covariance=_covariance(together, question.covariance)
        if together is not None and question.covariance is not None
        else None,
    )


async def add_stress_test(session: AsyncSession, user_id: UUID, result: StressResult) -> UUID:
    """Keep a stress test whose loss is known; return its id."""
    statement = insert(StressTest).values(
        user_id=user_id,
        portfolio_id=result.portfolio_id,
        scenario_name=result.scenario,
        test_date=result.as_of,
        portfolio_value=result.portfolio_value,
        loss_amount=result.loss_usd,
        loss_percentage=(result.loss or 0.0) * 100,
        recovery_time_minutes=recovery_minutes(result),
        risk_metrics=write_details(result) | {"known_at": iso(result.known_at)},
    )
    return (await session.scalars(statement.returning(StressTest.id))).one()


async def find_stress_test(session: AsyncSession, stress_id: UUID) -> KeptStressTest | None:
    """Return a kept stress test of a portfolio."""
    query = select(StressTest).where(
        StressTest.id == stress_id, StressTest.portfolio_id.is_not(None)
    )
    row = await session.scalar(query)
    return None if row is None else _kept_test(row)


STRESS_TESTS_BY = (StressTest.test_date, StressTest.created_at, StressTest.id)
"""What kept stress tests are sorted by: of two of one instant always the same is first."""
NEWEST_STRESS_TEST = tuple(each.desc() for each in STRESS_TESTS_BY)


async def find_newest_stress_test(
    session: AsyncSession, portfolio_id: UUID, result: StressResult, as_of: datetime | None
) -> KeptStressTest | None:
    """Return the newest kept test of the same question; with an instant, of that one."""
    query = (
        select(StressTest)
        .where(
            StressTest.portfolio_id == portfolio_id,
            StressTest.scenario_name == result.scenario,
            StressTest.risk_metrics["question"] == cast(dict(result.question), JSONB),
        )
        .order_by(*NEWEST_STRESS_TEST)
        .limit(1)
    )
    row = await session.scalar(
        query if as_of is None else query.where(StressTest.test_date == as_of)
    )
    return None if row is None else _kept_test(row)


async def list_stress_tests(
    session: AsyncSession, portfolio_id: UUID, limit: int
) -> list[KeptStressTest]:
    """Return a portfolio's kept stress tests, the newest instant first."""
    rows = await session.scalars(
        select(StressTest)
        .where(StressTest.portfolio_id == portfolio_id)
        .order_by(*NEWEST_STRESS_TEST)
        .limit(limit)
    )
    return [_kept_test(row) for row in rows]


async def page_stress_tests(
    session: AsyncSession,
    portfolio_id: UUID,
    limit: int,
    before: tuple[datetime, datetime, UUID] | None,
) -> list[KeptStressTest]:
    """Return kept stress tests, the newest first; those after one named by its times and id."""
    query = select(StressTest).where(StressTest.portfolio_id == portfolio_id)
    if before is not None:
        query = query.where(tuple_(*STRESS_TESTS_BY) < before)
    rows = await session.scalars(query.order_by(*NEWEST_STRESS_TEST).limit(limit))
    return [_kept_test(row) for row in rows]


async def latest_reports(session: AsyncSession, limit: int, after: UUID | None) -> list[RiskReport]:
    """Return the newest report of each living portfolio that has one, by the portfolio's id."""
    kept = PortfolioRiskMetrics
    query = _REPORTS.where(Portfolio.deleted_at.is_(None)).ext(distinct_on(kept.portfolio_id))
    if after is not None:
        query = query.where(kept.portfolio_id > after)
    # The id last: of two that were kept in one instant it is always the same.
    order = (kept.portfolio_id, kept.time.desc(), kept.known_at.desc(), kept.id.desc())
    return [_report(row) for row in await session.execute(query.order_by(*order).limit(limit))]


def _kept_test(row: StressTest) -> KeptStressTest:
    assert row.portfolio_id is not None  # noqa: S101 - it was asked for
    return KeptStressTest(
        id=row.id,
        portfolio_id=row.portfolio_id,
        scenario=row.scenario_name,
        as_of=row.test_date,
        portfolio_value=row.portfolio_value,
        loss_usd=row.loss_amount,
        loss_percentage=row.loss_percentage,
        recovery_minutes=row.recovery_time_minutes,
        details=row.risk_metrics,
        created_at=row.created_at,
    )


async def newest_midnight(session: AsyncSession) -> datetime | None:
    """Return the newest midnight as of which every portfolio was measured."""
    found: datetime | None = await session.scalar(select(func.max(MeasuredMidnight.midnight)))
    return found


async def oldest_midnight(session: AsyncSession) -> datetime | None:
    """Return the oldest midnight as of which every portfolio was measured."""
    found: datetime | None = await session.scalar(select(func.min(MeasuredMidnight.midnight)))
    return found


async def add_midnight(session: AsyncSession, midnight: datetime) -> None:
    """Note that every portfolio was measured as of a midnight."""
    statement = insert(MeasuredMidnight).values(midnight=midnight)
    await session.execute(statement.on_conflict_do_nothing())
