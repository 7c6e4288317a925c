"""The SQL of pages: rows after a place, in an order in which no row changes its place."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import aliased

from seawall.db.engine import TenantConnection
from seawall.db.paging import Span, page
from seawall.db.quick import Statement
from seawall.market.tables import Asset
from seawall.portfolios.browse.schemas import (
    ImportRecord,
    LotRecord,
    SnapshotRecord,
    TransactionFilter,
    TransactionRecord,
    Voided,
)
from seawall.portfolios.schemas import PortfolioRecord, TransactionType, VoidKind
from seawall.portfolios.store import PORTFOLIO_COLUMNS, record_of, record_of_row
from seawall.portfolios.tables import LotRow, Portfolio, PortfolioSnapshot, TransactionRow

_LATER = aliased(TransactionRow)
_TRANSACTION = (
    TransactionRow.id,
    TransactionRow.transaction_date,
    TransactionRow.entry,
    TransactionRow.transaction_type,
    Asset.symbol,
    TransactionRow.quantity,
    TransactionRow.price_usd,
    TransactionRow.fee_usd,
    TransactionRow.total_usd,
    TransactionRow.notes,
    TransactionRow.recorded_at,
    TransactionRow.imported_at,
    TransactionRow.voided_at,
    TransactionRow.void_reason,
    TransactionRow.replaces_id,
    TransactionRow.void_kind,
    select(_LATER.id)
    .where(_LATER.user_id == TransactionRow.user_id, _LATER.replaces_id == TransactionRow.id)
    .scalar_subquery(),
)
TRANSACTIONS_BY: dict[str, tuple[Any, ...]] = {
    "time": (TransactionRow.transaction_date, TransactionRow.entry, TransactionRow.id),
    "recorded_at": (TransactionRow.recorded_at, TransactionRow.entry, TransactionRow.id),
    "asset": (
        Asset.symbol,
        TransactionRow.transaction_date,
        TransactionRow.entry,
        TransactionRow.id,
    ),
}
"""What transactions are sorted by; what replaced another has its entry."""


async def find_portfolio(session: AsyncSession, portfolio_id: UUID) -> PortfolioRecord | None:
    """Return a portfolio of the bound user that was not deleted."""
    query = select(Portfolio).where(Portfolio.id == portfolio_id, Portfolio.deleted_at.is_(None))
    row = await session.scalar(query)
    return None if row is None else record_of(row)


_LIVING_PORTFOLIO = Statement(
    select(*PORTFOLIO_COLUMNS).where(
        Portfolio.id == bindparam("portfolio_id"), Portfolio.deleted_at.is_(None)
    )
)


async def read_portfolio(
    engine: AsyncEngine, user_id: UUID, portfolio_id: UUID
) -> PortfolioRecord | None:
    """Return a user's portfolio as `find_portfolio` does, in a transaction of its own."""
    rows = await _LIVING_PORTFOLIO.alone(engine, user_id, portfolio_id=portfolio_id)
    return record_of_row(rows[0]) if rows else None


PORTFOLIOS_BY: dict[str, tuple[Any, ...]] = {
    "created_at": (Portfolio.created_at, Portfolio.id),
    "name": (Portfolio.name, Portfolio.id),
}
"""What portfolios are sorted by."""


async def page_portfolios(
    session: AsyncSession, span: Span, ids: Collection[UUID] | None = None
) -> Sequence[PortfolioRecord]:
    """Return the next living portfolios, or of these, in an order of `PORTFOLIOS_BY`."""
    query = select(Portfolio).where(Portfolio.deleted_at.is_(None))
    if ids is not None:
        query = query.where(Portfolio.id.in_(ids))
    rows = await session.scalars(page(query, PORTFOLIOS_BY[span.order.by], span))
    return [record_of(row) for row in rows]


async def count_living(connection: TenantConnection) -> int:
    """Count the bound user's portfolios, in a short transaction."""
    return int(
        await connection.fetchval("SELECT count(*) FROM portfolios WHERE deleted_at IS NULL")
    )


async def count_portfolios(session: AsyncSession, ids: Collection[UUID] | None = None) -> int:
    """Count the living portfolios, or of these."""
    query = select(func.count()).select_from(Portfolio).where(Portfolio.deleted_at.is_(None))
    if ids is not None:
        query = query.where(Portfolio.id.in_(ids))
    return int(await session.scalar(query) or 0)


def _chosen(
    query: Select[*tuple[Any, ...]], portfolio_id: UUID, wanted: TransactionFilter
) -> Select[*tuple[Any, ...]]:
    query = query.join(Asset, Asset.id == TransactionRow.asset_id)
    conditions = [TransactionRow.portfolio_id == portfolio_id]
    if wanted.type is not None:
        conditions.append(TransactionRow.transaction_type == wanted.type)
    if wanted.asset is not None:
        conditions.append(Asset.symbol == wanted.asset)
    if wanted.since is not None:
        conditions.append(TransactionRow.transaction_date >= wanted.since)
    if wanted.until is not None:
        conditions.append(TransactionRow.transaction_date < wanted.until)
    if wanted.voided is Voided.WITHOUT:
        conditions.append(TransactionRow.voided_at.is_(None))
    elif wanted.voided is Voided.ONLY:
        conditions.append(TransactionRow.voided_at.is_not(None))
    return query.where(and_(*conditions))


async def page_transactions(
    session: AsyncSession, portfolio_id: UUID, wanted: TransactionFilter, span: Span
) -> Sequence[TransactionRecord]:
    """Return the next transactions, in an order of `TRANSACTIONS_BY`."""
    query = _chosen(select(*_TRANSACTION), portfolio_id, wanted)
    rows = await session.execute(page(query, TRANSACTIONS_BY[span.order.by], span))
    return [_transaction(row) for row in rows]


async def find_transaction(
    session: AsyncSession, portfolio_id: UUID, transaction_id: UUID
) -> TransactionRecord | None:
    """Return a transaction of a portfolio, voided or not."""
    query = select(*_TRANSACTION).join(Asset, Asset.id == TransactionRow.asset_id)
    row = await session.execute(
        query.where(
            TransactionRow.portfolio_id == portfolio_id, TransactionRow.id == transaction_id
        )
    )
    found = row.one_or_none()
    return None if found is None else _transaction(found)


def _transaction(row: Row[*tuple[Any, ...]]) -> TransactionRecord:
    id_, time, entry, kind, *rest, void_kind, replaced_by = row
    how = None if void_kind is None else VoidKind(void_kind)
    values = [id_, time, entry, TransactionType(kind), *rest, how, replaced_by]
    return TransactionRecord(*values)


async def page_imports(
    session: AsyncSession, portfolio_id: UUID, limit: int, before: datetime | None
) -> Sequence[ImportRecord]:
    """Return what came into a portfolio with each import, the newest first."""
    row = TransactionRow
    # What was corrected is counted as what it was replaced by.
    counts = row.void_kind.is_distinct_from(VoidKind.CORRECTION)
    ends = func.count().filter(counts)
    gone = func.count().filter(row.void_kind.in_([VoidKind.ROW, VoidKind.IMPORT]))
    first = func.min(row.transaction_date).filter(counts)
    last = func.max(row.transaction_date).filter(counts)
    query: Select[*tuple[Any, ...]] = select(row.imported_at, ends, gone, first, last).where(
        row.portfolio_id == portfolio_id, row.imported_at.is_not(None)
    )
    if before is not None:
        query = query.where(row.imported_at < before)
    grouped = query.group_by(row.imported_at).order_by(row.imported_at.desc()).limit(limit)
    return [ImportRecord(*each) for each in await session.execute(grouped)]


async def count_transactions(
    session: AsyncSession, portfolio_id: UUID, wanted: TransactionFilter
) -> int:
    """Count the transactions that are wanted."""
    query = _chosen(select(func.count()).select_from(TransactionRow), portfolio_id, wanted)
    return int(await session.scalar(query) or 0)


async def count_imports(session: AsyncSession, portfolio_id: UUID) -> int:
    """Count the imports into a portfolio."""
    query = select(func.count(TransactionRow.imported_at.distinct()))
    found = await session.scalar(query.where(TransactionRow.portfolio_id == portfolio_id))
    return int(found or 0)


async def list_lots(session: AsyncSession, portfolio_id: UUID) -> Sequence[LotRecord]:
    """Return what is left of each acquisition, by asset, in the order in which it will leave."""
    query = (
        select(
            LotRow.id,
            Asset.symbol,
            LotRow.position,
            LotRow.acquired_at,
            LotRow.quantity,
            LotRow.original_quantity,
            LotRow.cost_basis_usd,
        )
        .join(Asset, Asset.id == LotRow.asset_id)
        .where(LotRow.portfolio_id == portfolio_id)
        .order_by(Asset.symbol, LotRow.position)
    )
    return [LotRecord(*row) for row in await session.execute(query)]


async def page_snapshots(
    session: AsyncSession,
    portfolio_id: UUID,
    limit: int,
    wanted: tuple[datetime | None, datetime | None],
) -> Sequence[SnapshotRecord]:
    """Return what a portfolio was worth from one instant to before another, the newest first."""
    since, before = wanted
    snapshot = PortfolioSnapshot
    query = select(
        snapshot.time,
        snapshot.known_at,
        snapshot.total_value_usd,
        snapshot.total_invested_usd,
        snapshot.cash_usd,
        snapshot.holdings_count,
    ).where(snapshot.portfolio_id == portfolio_id)
    if before is not None:
        query = query.where(snapshot.time < before)
    if since is not None:
        query = query.where(snapshot.time >= since)
    rows = await session.execute(query.order_by(snapshot.time.desc()).limit(limit))
    return [SnapshotRecord(*row) for row in rows]
