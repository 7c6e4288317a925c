"""The SQL of what changed of the bound user's risk since a position, and of how it is now."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.positions import CHANGED_SINCE, Position
from seawall.risk.schemas import FIGURES

# ruff: noqa: S608 - put together from constants

_SLUGS = (*FIGURES, "value_at_risk")
_NEWEST = """
    SELECT newest.* FROM unnest(CAST(:portfolios AS uuid[])) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT * FROM portfolio_risk_metrics
        WHERE portfolio_id = wanted.id ORDER BY time DESC, known_at DESC, id DESC LIMIT 1
    ) AS newest
"""
_CHANGED = f"""
    SELECT * FROM portfolio_risk_metrics
    WHERE portfolio_id = ANY(CAST(:portfolios AS uuid[]))
        AND user_id = current_user_id()
        AND {CHANGED_SINCE.format(table="portfolio_risk_metrics")}
    ORDER BY changed_in, known_at, time, id LIMIT :most
"""


def _reports(rows: str) -> TextClause:
    return text(f"""
        SELECT kept.id, kept.portfolio_id, kept.time, kept.known_at, kept.window_days,
            kept.confidence, kept.benchmark, kept.observations, kept.total_value_usd,
            worth.total_invested_usd, worth.cash_usd, worth.holdings_count,
            {", ".join(f"kept.{name}" for name in _SLUGS)}
        FROM ({rows}) AS kept
        LEFT JOIN portfolio_snapshots AS worth
            ON worth.portfolio_id = kept.portfolio_id AND worth.time = kept.time
        ORDER BY kept.known_at, kept.time, kept.id
    """)


_REPORTS_NOW, _REPORTS_SINCE = _reports(_NEWEST), _reports(_CHANGED)
_EVENT = """
    SELECT id, event_type, limit_name, severity, description, triggered_at, resolved_at
    FROM risk_events WHERE
"""
_EVENTS_NOW = text(f"{_EVENT} resolved_at IS NULL ORDER BY triggered_at DESC, id LIMIT :most")
# One that is put back from the archive was over long ago.
_EVENTS_SINCE = text(f"""
    {_EVENT} {CHANGED_SINCE.format(table="risk_events")}
        AND (resolved_at IS NULL OR resolved_at > CAST(:at AS timestamptz) - interval '1 day')
    ORDER BY changed_in, triggered_at, id LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class KeptReport:
    """What was measured of a portfolio, and what it was worth; amounts are in USD."""

    id: UUID
    portfolio_id: UUID
    as_of: datetime
    known_at: datetime
    window: int
    confidence: float
    benchmark: str
    observations: int
    total_value_usd: Decimal | None
    total_invested_usd: Decimal | None
    cash_usd: Decimal | None
    holdings_count: int | None
    figures: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class LimitNews:
    """A limit that is broken, or was until `resolved_at`."""

    id: UUID
    event_type: str
    limit_name: str | None
    severity: str
    description: str
    triggered_at: datetime
    resolved_at: datetime | None


_FACTS = tuple(each.name for each in fields(KeptReport) if each.name != "figures")


async def list_reports(
    session: AsyncSession, portfolios: Collection[UUID], since: Position | None, most: int
) -> list[KeptReport]:
    """Return what was kept of portfolios since a position, else the newest of each."""
    given: dict[str, Any] = {"portfolios": list(portfolios)}
    if since is None:
        rows = await session.execute(_REPORTS_NOW, given)
    else:
        rows = await session.execute(
            _REPORTS_SINCE, given | {"since": since.snapshot, "most": most}
        )
    return [_report(row) for row in rows]


def _report(row: Row[Any]) -> KeptReport:
    facts = dict(zip(_FACTS, row, strict=False))
    figures = dict(zip(_SLUGS, row[len(_FACTS) :], strict=True))
    return KeptReport(**facts, figures=figures)


async def list_events(session: AsyncSession, since: Position | None, most: int) -> list[LimitNews]:
    """Return what became of limits since a position, else those that are broken."""
    if since is None:
        rows = await session.execute(_EVENTS_NOW, {"most": most})
    else:
        given = {"since": since.snapshot, "at": since.at, "most": most}
        rows = await session.execute(_EVENTS_SINCE, given)
    return [LimitNews(*row) for row in rows]
