"""The SQL of portfolios and their transactions."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.market.tables import Asset
from seawall.portfolios.schemas import ParsedRow, PortfolioRecord, Transaction, TransactionType
from seawall.portfolios.tables import Portfolio, TransactionRow

_INSERT_ROWS = 1_000


def _record(row: Portfolio) -> PortfolioRecord:
    return PortfolioRecord(row.id, row.user_id, row.name, row.description, row.created_at)


async def create_portfolio(
    session: AsyncSession, user_id: UUID, name: str, description: str
) -> PortfolioRecord:
    """Add a portfolio."""
    portfolio = Portfolio(user_id=user_id, name=name, description=description)
    session.add(portfolio)
    await session.flush()
    await session.refresh(portfolio)
    return _record(portfolio)


async def find_portfolio(session: AsyncSession, name: str) -> PortfolioRecord | None:
    """Return the living portfolio of this name, whatever its case."""
    row = await session.scalar(
        select(Portfolio).where(
            # By the database's own rule of cases, which the unique index goes by as well.
            func.lower(Portfolio.name) == func.lower(name),
            Portfolio.deleted_at.is_(None),
        )
    )
    return None if row is None else _record(row)


async def get_portfolio(session: AsyncSession, portfolio_id: UUID) -> PortfolioRecord:
    """Return a portfolio that is known to be there, deleted or not."""
    return _record((await session.scalars(select(Portfolio).filter_by(id=portfolio_id))).one())


async def list_portfolios(session: AsyncSession) -> list[PortfolioRecord]:
    """Return the living portfolios, by name."""
    rows = await session.scalars(
        select(Portfolio).where(Portfolio.deleted_at.is_(None)).order_by(func.lower(Portfolio.name))
    )
    return [_record(row) for row in rows]


async def lock_portfolio(
    session: AsyncSession, portfolio_id: UUID, *, shared: bool = False
) -> None:
    """Keep writers of a portfolio's transactions out, and with `shared` let readers in."""
    await session.execute(
        select(Portfolio.id).where(Portfolio.id == portfolio_id).with_for_update(read=shared)
    )


async def list_assets(session: AsyncSession, portfolio_id: UUID) -> list[str]:
    """Return the symbols of everything that a portfolio ever had."""
    rows = await session.scalars(
        select(Asset.symbol)
        .join(TransactionRow, TransactionRow.asset_id == Asset.id)
        .where(TransactionRow.portfolio_id == portfolio_id)
        .distinct()
    )
    return list(rows)


async def list_transactions(
    session: AsyncSession, portfolio_id: UUID, known_at: datetime | None = None
) -> list[Transaction]:
    """Return what happened in a portfolio, in order, as far as it was recorded by `known_at`."""
    query = (
        select(TransactionRow, Asset.symbol)
        .join(Asset, Asset.id == TransactionRow.asset_id)
        .where(TransactionRow.portfolio_id == portfolio_id)
        .order_by(TransactionRow.transaction_date, TransactionRow.entry)
    )
    if known_at is not None:
        query = query.where(TransactionRow.recorded_at <= known_at)
    rows = await session.execute(query)
    return [
        Transaction(
            time=row.transaction_date,
            type=TransactionType(row.transaction_type),
            asset=symbol,
            quantity=row.quantity,
            price_usd=row.price_usd,
            fee_usd=row.fee_usd,
            notes=row.notes,
            position=row.entry,
            id=row.id,
        )
        for row, symbol in rows
    ]


async def list_external_ids(session: AsyncSession, portfolio_id: UUID) -> set[str]:
    """Return the fingerprints of everything that was imported into a portfolio."""
    rows = await session.scalars(
        select(TransactionRow.external_id).where(
            TransactionRow.portfolio_id == portfolio_id, TransactionRow.external_id.is_not(None)
        )
    )
    return {each for each in rows if each is not None}


async def add_transactions(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    rows: Sequence[ParsedRow],
    asset_ids: dict[str, int],
    stamp: datetime,
) -> None:
    """Record transactions in the given order, as known from `stamp` on."""
    values = [
        {
            "user_id": portfolio.user_id,
            "portfolio_id": portfolio.id,
            "transaction_date": row.transaction.time,
            "transaction_type": row.transaction.type.value,
            "asset_id": asset_ids[row.transaction.asset],
            "quantity": row.transaction.quantity,
            "price_usd": row.transaction.price_usd,
            "fee_usd": row.transaction.fee_usd,
            "notes": row.transaction.notes,
            "external_id": row.fingerprint,
            "recorded_at": stamp,
        }
        for row in rows
    ]
    for start in range(0, len(values), _INSERT_ROWS):
        await session.execute(insert(TransactionRow), values[start : start + _INSERT_ROWS])
