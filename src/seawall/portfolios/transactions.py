"""Taking transactions into a portfolio: a whole file or nothing of it."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.locks import clock
from seawall.market import catalog
from seawall.portfolios import store
from seawall.portfolios.importers.csv import check_history
from seawall.portfolios.schemas import (
    ParsedRow,
    ParsedTransactions,
    PortfolioRecord,
    TransactionsImport,
)


async def import_transactions(
    session: AsyncSession, portfolio: PortfolioRecord, parsed: ParsedTransactions
) -> TransactionsImport:
    """Record the rows of a file that are not recorded yet.

    Nothing is recorded when any row is rejected, by itself or because the portfolio's whole
    history with it does not add up.
    """
    await store.lock_portfolio(session, portfolio.id)
    held = await store.list_external_ids(session, portfolio.id)
    new = [row for row in parsed.rows if row.fingerprint not in held]
    unchanged = len(parsed.rows) - len(new)
    rejected = parsed.rejected
    if not rejected:
        rejected = check_history(await store.list_transactions(session, portfolio.id), new)
    if not rejected:
        await _record(session, portfolio, new)
    return TransactionsImport(
        portfolio=portfolio.name,
        rows_read=parsed.rows_read,
        inserted=0 if rejected else len(new),
        unchanged=unchanged,
        rejected=rejected,
    )


async def _record(
    session: AsyncSession, portfolio: PortfolioRecord, rows: Sequence[ParsedRow]
) -> None:
    asset_ids = {
        symbol: (await catalog.ensure_asset(session, symbol)).id
        for symbol in sorted({row.transaction.asset for row in rows})
    }
    await store.add_transactions(session, portfolio, rows, asset_ids, await clock(session))
