"""The SQL of changing and deleting portfolios."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.store import record_of
from seawall.portfolios.tables import Portfolio


async def lock_with_primary(session: AsyncSession, portfolio_id: UUID) -> PortfolioRecord | None:
    """Keep others from changing a portfolio, and which one is primary; None when it is not there.

    Whoever imports locks the portfolio before the audit log's chain, which a statement that writes
    takes first of all: so rows are locked here before any is written, in the order of their ids.
    """
    wanted = select(Portfolio).where(
        Portfolio.deleted_at.is_(None), or_(Portfolio.id == portfolio_id, Portfolio.is_primary)
    )
    rows = await session.scalars(
        wanted.order_by(Portfolio.id).with_for_update().execution_options(populate_existing=True)
    )
    return next((record_of(row) for row in rows if row.id == portfolio_id), None)


async def lock_living(session: AsyncSession, portfolio_id: UUID) -> PortfolioRecord | None:
    """Keep others from changing a portfolio and what happened in it; None when it is not there."""
    wanted = select(Portfolio).where(Portfolio.id == portfolio_id, Portfolio.deleted_at.is_(None))
    row = await session.scalar(wanted.with_for_update().execution_options(populate_existing=True))
    return None if row is None else record_of(row)


async def write(session: AsyncSession, portfolio_id: UUID, values: Mapping[str, Any]) -> None:
    """Make columns of a portfolio these values."""
    await session.execute(update(Portfolio).where(Portfolio.id == portfolio_id).values(**values))


async def dethrone(session: AsyncSession) -> None:
    """Make no living portfolio the primary one."""
    await session.execute(
        update(Portfolio)
        .where(Portfolio.is_primary, Portfolio.deleted_at.is_(None))
        .values(is_primary=False)
    )


async def bury(session: AsyncSession, portfolio_id: UUID, at: datetime) -> None:
    """Say that a portfolio is deleted: no longer public, and no longer the primary one."""
    await write(session, portfolio_id, {"deleted_at": at, "is_public": False, "is_primary": False})


async def crown_oldest(session: AsyncSession) -> None:
    """Make the first made of the living portfolios the primary one."""
    oldest = (
        select(Portfolio.id)
        .where(Portfolio.deleted_at.is_(None))
        .order_by(Portfolio.created_at, Portfolio.id)
        .limit(1)
        .scalar_subquery()
    )
    await session.execute(update(Portfolio).where(Portfolio.id == oldest).values(is_primary=True))


async def find_named(session: AsyncSession, name: str, apart_from: UUID) -> PortfolioRecord | None:
    """Return another living portfolio of this name, whatever its case."""
    row = await session.scalar(
        select(Portfolio).where(
            func.lower(Portfolio.name) == func.lower(name),
            Portfolio.deleted_at.is_(None),
            Portfolio.id != apart_from,
        )
    )
    return None if row is None else record_of(row)
