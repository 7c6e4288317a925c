"""The SQL of limits, their events, and what is used of those of trading accounts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.risk.limits.schemas import Event, EventFilter, LimitName, Limits, Severity, Subject
from seawall.risk.limits.tables import RiskEvent, RiskLimit
from seawall.risk.tables import AccountRiskMetrics

# Trading's tables lie above this package, so they are named and not imported.
_LIVING = text("""
    (risk_limits.portfolio_id IS NULL OR EXISTS (
        SELECT FROM portfolios WHERE id = risk_limits.portfolio_id AND deleted_at IS NULL
    )) AND (risk_limits.account_id IS NULL OR EXISTS (
        SELECT FROM trading_accounts WHERE id = risk_limits.account_id AND deleted_at IS NULL
    ))
""")
_ORPHANS = text("""
    risk_events.resolved_at IS NULL AND limit_name IS NOT NULL AND NOT EXISTS (
        SELECT FROM risk_limits
        LEFT JOIN portfolios ON portfolios.id = risk_limits.portfolio_id
        LEFT JOIN trading_accounts ON trading_accounts.id = risk_limits.account_id
        WHERE risk_limits.id = risk_events.limit_id
            AND portfolios.deleted_at IS NULL AND trading_accounts.deleted_at IS NULL
    )
""")
_ACCOUNT = text("""
    SELECT trading_accounts.id, trading_accounts.name, assets.symbol
    FROM trading_accounts JOIN assets ON assets.id = currency_asset_id
    WHERE deleted_at IS NULL
        AND (trading_accounts.id = :id OR lower(trading_accounts.name) = lower(:name))
""")
_ACCOUNTS = text("""
    SELECT trading_accounts.id, trading_accounts.name, assets.symbol
    FROM trading_accounts JOIN assets ON assets.id = currency_asset_id
    WHERE deleted_at IS NULL ORDER BY lower(trading_accounts.name)
""")
_ORDERS = text("""
    SELECT count(*) FROM orders
    WHERE created_at > :since AND (CAST(:account AS uuid) IS NULL OR account_id = :account)
""")
_POSITIONS = text("""
    SELECT symbols.symbol, assets.symbol, quantity * current_price
    FROM positions
    JOIN symbols ON symbols.id = symbol_id JOIN assets ON assets.id = quote_asset_id
    WHERE account_id = :account AND positions.status <> 'closed'
""")
# What an owner puts in is a credit of their equity, so a negative entry.
_PUT_IN = text("""
    SELECT coalesce(-sum(amount), 0) FROM ledger_entries
    JOIN trading_accounts ON trading_accounts.id = account_id AND asset_id = currency_asset_id
    WHERE account_id = :account AND ledger = 'equity'
        AND effective_at > :start AND effective_at <= :end
""")


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A trading account, and the asset that its amounts are in."""

    id: UUID
    name: str
    currency: str


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """What was measured of a trading account at a time, amounts in its currency."""

    time: datetime
    value: Decimal
    leverage: float | None
    max_drawdown: float | None
    var_95: float | None
    expected_shortfall: float | None


async def find_limits(
    session: AsyncSession, subjects: Collection[Subject], *, lock: bool = False
) -> list[Limits]:
    """Return the limits of these subjects, those that still live, in the order of their ids.

    With `lock`, nobody else changes or checks them until the transaction ends.
    """
    wanted = [
        (RiskLimit.portfolio_id.is_not_distinct_from(each.portfolio_id))
        & (RiskLimit.account_id.is_not_distinct_from(each.account_id))
        for each in subjects
    ]
    query = select(RiskLimit).where(or_(*wanted), _LIVING).order_by(RiskLimit.id)
    if lock:
        query = query.with_for_update(key_share=True)
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [_limits(row) for row in rows]


async def share_limits(session: AsyncSession, limits: Collection[UUID]) -> None:
    """Wait for checks of these limits that are under way, and let none begin meanwhile."""
    query = select(RiskLimit.id).where(RiskLimit.id.in_(limits)).order_by(RiskLimit.id)
    await session.execute(query.with_for_update(read=True))


async def list_limits(session: AsyncSession) -> list[Limits]:
    """Return all limits of the user, those of everything first."""
    rows = await session.scalars(
        select(RiskLimit)
        .where(_LIVING)
        .order_by(
            RiskLimit.portfolio_id.is_not(None),
            RiskLimit.account_id.is_not(None),
            RiskLimit.created_at,
        )
    )
    return [_limits(row) for row in rows]


def _limits(row: RiskLimit) -> Limits:
    values = {name: getattr(row, name.value) for name in LimitName}
    return Limits(
        id=row.id,
        subject=Subject(row.portfolio_id, row.account_id),
        allowed={name: value for name, value in values.items() if value is not None},
        blocking=frozenset(map(LimitName, row.blocking)),
    )


async def write_limits(
    session: AsyncSession, user_id: UUID, subject: Subject, values: Mapping[str, Any]
) -> None:
    """Make columns of a subject's limits these values; the others stay as they are."""
    await session.execute(
        insert(RiskLimit)
        .values(
            user_id=user_id,
            portfolio_id=subject.portfolio_id,
            account_id=subject.account_id,
            **values,
        )
        .on_conflict_do_update(constraint="uq_risk_limits_scope", set_=dict(values))
    )


async def list_events(
    session: AsyncSession,
    *,
    limit_ids: Collection[UUID] | None = None,
    unresolved: bool = False,
    count: int | None = None,
) -> list[Event]:
    """Return events, of these limits or all, the newest first."""
    query = select(RiskEvent).order_by(RiskEvent.triggered_at.desc(), RiskEvent.id).limit(count)
    if limit_ids is not None:
        query = query.where(RiskEvent.limit_id.in_(limit_ids))
    if unresolved:
        query = query.where(RiskEvent.resolved_at.is_(None))
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [_event(row) for row in rows]


async def list_orphans(session: AsyncSession) -> list[Event]:
    """Return unresolved events whose limit, or what it was for, is no longer there."""
    return [_event(row) for row in await session.scalars(select(RiskEvent).where(_ORPHANS))]


async def add_event(session: AsyncSession, values: Mapping[str, Any]) -> Event:
    """Add an event."""
    statement = insert(RiskEvent).values(values).returning(RiskEvent)
    return _event((await session.scalars(statement)).one())


async def worsen_event(session: AsyncSession, event_id: UUID, values: Mapping[str, Any]) -> Event:
    """Say anew how bad an event is."""
    statement = update(RiskEvent).where(RiskEvent.id == event_id).values(values)
    return await _change(session, statement)


async def resolve_event(
    session: AsyncSession, event_id: UUID, at: datetime, by: UUID | None
) -> Event:
    """Say when an event was over, and who said so; nobody when it was over by itself."""
    statement = (
        update(RiskEvent)
        .where(RiskEvent.id == event_id)
        .values(resolved_at=func.greatest(at, RiskEvent.triggered_at), resolved_by=by)
    )
    return await _change(session, statement)


async def _change(session: AsyncSession, statement: Any) -> Event:
    changed = statement.returning(RiskEvent).execution_options(populate_existing=True)
    return _event((await session.scalars(changed)).one())


async def find_event(session: AsyncSession, event_id: UUID) -> Event | None:
    """Return an event, which nobody else changes until the transaction ends."""
    query = select(RiskEvent).where(RiskEvent.id == event_id).with_for_update()
    row = await session.scalar(query.execution_options(populate_existing=True))
    return None if row is None else _event(row)


async def read_event(session: AsyncSession, event_id: UUID) -> Event | None:
    """Return an event."""
    row = await session.scalar(select(RiskEvent).where(RiskEvent.id == event_id))
    return None if row is None else _event(row)


async def page_events(
    session: AsyncSession,
    limit: int,
    before: tuple[datetime, UUID] | None,
    wanted: EventFilter,
) -> list[Event]:
    """Return the next events, the newest first."""
    event = RiskEvent
    query = select(event).order_by(event.triggered_at.desc(), event.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(event.triggered_at, event.id) < before)
    if wanted.unresolved:
        query = query.where(event.resolved_at.is_(None))
    if wanted.severity is not None:
        query = query.where(event.severity == wanted.severity.value)
    if wanted.portfolio_id is not None:
        limits = select(RiskLimit.id).where(RiskLimit.portfolio_id == wanted.portfolio_id)
        query = query.where(event.limit_id.in_(limits))
    return [_event(row) for row in await session.scalars(query)]


def _event(row: RiskEvent) -> Event:
    return Event(
        id=row.id,
        limit_id=row.limit_id,
        limit_name=None if row.limit_name is None else LimitName(row.limit_name),
        event_type=row.event_type,
        severity=Severity(row.severity),
        description=row.description,
        details=row.details,
        triggered_at=row.triggered_at,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
    )


async def find_account(
    session: AsyncSession, *, account_id: UUID | None = None, name: str | None = None
) -> AccountRecord | None:
    """Return a living trading account by its id, or by its name whatever its case."""
    row = (await session.execute(_ACCOUNT, {"id": account_id, "name": name})).one_or_none()
    return None if row is None else AccountRecord(*row)


async def list_accounts(session: AsyncSession) -> list[AccountRecord]:
    """Return the living trading accounts, by name."""
    return [AccountRecord(*row) for row in await session.execute(_ACCOUNTS)]


async def list_account_figures(
    session: AsyncSession, account_id: UUID, until: Sequence[datetime]
) -> list[AccountFigures | None]:
    """Return the newest figures of an account at each of these instants."""
    return [await _figures(session, account_id, each) for each in until]


async def _figures(
    session: AsyncSession, account_id: UUID, until: datetime
) -> AccountFigures | None:
    row = (
        await session.execute(
            select(
                AccountRiskMetrics.time,
                AccountRiskMetrics.portfolio_value,
                AccountRiskMetrics.leverage_ratio,
                AccountRiskMetrics.max_drawdown,
                AccountRiskMetrics.var_95,
                AccountRiskMetrics.expected_shortfall,
            )
            .where(AccountRiskMetrics.account_id == account_id, AccountRiskMetrics.time <= until)
            .order_by(AccountRiskMetrics.time.desc())
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else AccountFigures(*row)


async def list_positions(session: AsyncSession, account_id: UUID) -> list[tuple[str, str, Decimal]]:
    """Return an account's open positions: each pair, its quote asset, and the value in it."""
    rows = await session.execute(_POSITIONS, {"account": account_id})
    return [(pair, quote, value) for pair, quote, value in rows]


async def put_in(
    session: AsyncSession, account_id: UUID, start: datetime, end: datetime
) -> Decimal:
    """Sum what an account's owner put into it after an instant, less what they took out."""
    found = await session.scalar(_PUT_IN, {"account": account_id, "start": start, "end": end})
    assert isinstance(found, Decimal)  # noqa: S101 - coalesced
    return found


async def count_orders(session: AsyncSession, account_id: UUID | None, since: datetime) -> int:
    """Count the orders of an account, or of all of them, that were made after an instant."""
    found = await session.scalar(_ORDERS, {"account": account_id, "since": since})
    assert isinstance(found, int)  # noqa: S101 - a count
    return found


async def list_limited(
    session: AsyncSession, portfolios: Collection[UUID]
) -> list[tuple[UUID, UUID]]:
    """Return those of these portfolios that a limit is set for, each with its user, by id.

    A limit of everything that a user has is one for each of theirs. A worker alone may ask.
    """
    rows = await session.execute(
        text("SELECT portfolio_id, user_id FROM portfolios_limited(CAST(:measured AS uuid[]))"),
        {"measured": list(portfolios)},
    )
    return [(row[0], row[1]) for row in rows]
