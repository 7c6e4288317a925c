"""Taking transactions into a portfolio: a whole file or nothing of it."""

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.locks import clock
from seawall.jobs.defer import defer
from seawall.market import catalog
from seawall.portfolios import store
from seawall.portfolios.importers.csv import check_history
from seawall.portfolios.projection import project_holdings
from seawall.portfolios.schemas import (
    CheckedHistory,
    ParsedTransactions,
    PortfolioRecord,
    TransactionsImport,
)


async def import_transactions(
    session: AsyncSession, portfolio: PortfolioRecord, parsed: ParsedTransactions
) -> TransactionsImport:
    """Record the rows of a file that are not recorded yet, and what is held with them.

    Nothing is recorded when any row is rejected, by itself or because the portfolio's whole
    history with it does not add up.
    """
    await store.lock_portfolio(session, portfolio.id)
    held = await store.list_external_ids(session, portfolio.id)
    new = [row for row in parsed.rows if row.fingerprint not in held]
    rejected = parsed.rejected
    if not rejected:
        existing = await store.list_transactions(session, portfolio.id)
        checked = check_history(existing, new, portfolio.lot_method)
        rejected = checked.rejected
        if not rejected:
            await _record(session, portfolio, checked)
    return TransactionsImport(
        portfolio=portfolio.name,
        rows_read=parsed.rows_read,
        inserted=0 if rejected else len(new),
        unchanged=len(parsed.rows) - len(new),
        rejected=rejected,
    )


async def _record(
    session: AsyncSession, portfolio: PortfolioRecord, checked: CheckedHistory
) -> None:
    asset_ids = {
        symbol: (await catalog.ensure_asset(session, symbol)).id
        for symbol in sorted({row.transaction.asset for row in checked.rows})
    }
    stamp = await clock(session)
    await store.add_transactions(session, portfolio, checked.rows, asset_ids, stamp)
    await project_holdings(session, portfolio.id, stamp, checked.state)
    if checked.rows:
        await defer(
            session,
            "risk.report_portfolio",
            key=str(portfolio.id),
            user=portfolio.user_id,
            portfolio=portfolio.id,
        )
