"""Taking transactions into a portfolio: a whole file or nothing of it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.locks import clock
from seawall.market import catalog
from seawall.portfolios import store
from seawall.portfolios.importers.csv import check_history
from seawall.portfolios.projecting.project import project_holdings
from seawall.portfolios.schemas import (
    CheckedHistory,
    ParsedTransactions,
    PortfolioRecord,
    TransactionsImport,
)
from seawall.portfolios.voiding.history import lock_history, measure_again
from seawall.portfolios.voiding.store import list_recorded


async def import_transactions(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    parsed: ParsedTransactions,
    *,
    again: bool = False,
) -> TransactionsImport:
    """Record the rows of a file that are not recorded yet, and what is held with them.

    Nothing is recorded when any row is rejected, by itself or because the portfolio's whole
    history with it does not add up. What was voided by hand is left out unless it is asked for
    `again`; what was voided with its whole import counts as never recorded.

    Raises:
        NotFoundError: the portfolio was deleted meanwhile.
    """
    portfolio = await lock_history(session, portfolio.id)
    recorded = await list_recorded(session, portfolio.id)
    voided = frozenset() if again else recorded.voided
    known = recorded.held | voided
    new = [row for row in parsed.rows if row.fingerprint not in known]
    rejected, stamp = parsed.rejected, None
    if not rejected:
        existing = await store.list_transactions(session, portfolio.id)
        checked = check_history(existing, new, portfolio.lot_method)
        rejected = checked.rejected
        if not rejected:
            stamp = await _record(session, portfolio, checked)
    left_out = sum(row.fingerprint in voided for row in parsed.rows)
    return TransactionsImport(
        portfolio=portfolio.name,
        rows_read=parsed.rows_read,
        inserted=0 if rejected else len(new),
        unchanged=len(parsed.rows) - len(new) - left_out,
        rejected=rejected,
        left_out=left_out,
        imported_at=stamp if new else None,
    )


async def _record(
    session: AsyncSession, portfolio: PortfolioRecord, checked: CheckedHistory
) -> datetime:
    asset_ids = {
        symbol: (await catalog.ensure_asset(session, symbol)).id
        for symbol in sorted({row.transaction.asset for row in checked.rows})
    }
    stamp = await clock(session)
    await store.add_transactions(session, portfolio, checked.rows, asset_ids, stamp)
    await project_holdings(session, portfolio.id, stamp, checked.state)
    if checked.rows:
        await measure_again(session, portfolio)
    return stamp
