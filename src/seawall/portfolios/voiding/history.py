"""What everybody does who changes what happened in a portfolio: lock it, and have it measured."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import NotFoundError
from seawall.jobs.defer import defer
from seawall.portfolios.changing.store import lock_living
from seawall.portfolios.schemas import PortfolioRecord


async def lock_history(session: AsyncSession, portfolio_id: UUID) -> PortfolioRecord:
    """Return a portfolio as it is now, whose history nobody else changes meanwhile.

    Raises:
        NotFoundError: there is none.
    """
    found = await lock_living(session, portfolio_id)
    if found is None:
        raise NotFoundError("There is no such portfolio.")
    return found


async def measure_again(session: AsyncSession, portfolio: PortfolioRecord) -> None:
    """Have a worker measure a portfolio whose history has changed."""
    await defer(
        session,
        "risk.report_portfolio",
        key=str(portfolio.id),
        user=portfolio.user_id,
        portfolio=portfolio.id,
    )
