"""The SQL of what follows from transactions: lots, holdings, totals and snapshots."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.money import LIMIT
from seawall.db.series import PORTFOLIO_SNAPSHOTS, ensure_chunks
from seawall.db.session import raw_connection
from seawall.portfolios.schemas import CASH, HeadlineRisk, Holding, HoldingPrice, Snapshot
from seawall.portfolios.tables import Portfolio, PortfolioSnapshot, TransactionRow

_DROP_LOTS = """
DELETE FROM lots WHERE portfolio_id = $1 AND opening_transaction_id <> ALL ($2::uuid[])
"""

# A lot that is as it was is not touched, not even locked.
_WRITE_LOTS = """
INSERT INTO lots (
    portfolio_id, asset_id, opening_transaction_id, position, acquired_at, quantity,
    original_quantity, cost_basis_usd
)
SELECT $1, now.*
FROM unnest(
    $2::integer[], $3::uuid[], $4::integer[], $5::timestamptz[], $6::numeric[], $7::numeric[],
    $8::numeric[]
) AS now (
    asset_id, opening_transaction_id, position, acquired_at, quantity, original_quantity, basis
)
LEFT JOIN lots held ON held.opening_transaction_id = now.opening_transaction_id
WHERE (held.position, held.quantity, held.original_quantity, held.cost_basis_usd)
    IS DISTINCT FROM (now.position, now.quantity, now.original_quantity, now.basis)
ON CONFLICT (opening_transaction_id) DO UPDATE SET
    position = excluded.position, quantity = excluded.quantity,
    original_quantity = excluded.original_quantity, cost_basis_usd = excluded.cost_basis_usd
"""

_DROP_HOLDINGS = """
DELETE FROM holdings
WHERE portfolio_id = $1 AND exchange_source = 'manual' AND wallet_address IS NULL
    AND asset_id <> ALL ($2::integer[])
"""

# A price at which so much would be worth more than can be stored is forgotten.
_WRITE_HOLDINGS = f"""
INSERT INTO holdings (
    portfolio_id, last_updated_at, asset_id, quantity, staked, average_buy_price,
    total_invested_usd, current_price
)
SELECT $1, $2, now.*
FROM unnest(
    $3::integer[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[], $8::numeric[]
) AS now
ON CONFLICT ON CONSTRAINT uq_holdings_place DO UPDATE SET
    quantity = excluded.quantity, staked = excluded.staked,
    average_buy_price = excluded.average_buy_price,
    total_invested_usd = excluded.total_invested_usd,
    current_price = coalesce(excluded.current_price, CASE
        WHEN excluded.quantity * holdings.current_price < {LIMIT - 1} THEN holdings.current_price
    END),
    last_updated_at = excluded.last_updated_at
WHERE (
    holdings.quantity, holdings.staked, holdings.average_buy_price, holdings.total_invested_usd
) IS DISTINCT FROM (
    excluded.quantity, excluded.staked, excluded.average_buy_price, excluded.total_invested_usd
)
"""  # noqa: S608 - the only text put in is a number

_PRICE_HOLDINGS = """
UPDATE holdings SET current_price = now.price, price_change_24h = now.change_24h,
    price_change_7d = now.change_7d, last_updated_at = $2
FROM unnest($3::integer[], $4::numeric(38, 18)[], $5::float8[], $6::float8[])
    AS now (asset_id, price, change_24h, change_7d)
WHERE portfolio_id = $1 AND holdings.asset_id = now.asset_id
    AND (current_price, price_change_24h, price_change_7d)
        IS DISTINCT FROM (now.price, now.change_24h, now.change_7d)
"""

# A sum of which a part is not known, or that is too large to be stored, is not known either.
_SUM_HOLDINGS = f"""
UPDATE portfolios SET total_value_usd = now.value, total_invested_usd = now.invested
FROM (
    SELECT
        CASE WHEN count(*) = count(current_value_usd)
            AND coalesce(sum(current_value_usd), 0) < {LIMIT}
            THEN coalesce(sum(current_value_usd), 0) END AS value,
        CASE WHEN count(*) = count(total_invested_usd)
            AND coalesce(sum(total_invested_usd), 0) < {LIMIT}
            THEN coalesce(sum(total_invested_usd), 0) END AS invested
    FROM holdings WHERE portfolio_id = $1
) now
WHERE id = $1
    AND (total_value_usd, total_invested_usd) IS DISTINCT FROM (now.value, now.invested)
"""  # noqa: S608 - the only text put in is a number


async def write_lots(
    session: AsyncSession, portfolio_id: UUID, holdings: Mapping[int, Holding]
) -> None:
    """Make the lots of a portfolio those of its holdings, which are given by asset."""
    places = [
        (asset, position)
        for asset, holding in holdings.items()
        for position in range(1, len(holding.queue) + 1)
    ]
    lots = [lot for holding in holdings.values() for lot in holding.queue]
    openings = [lot.opening for lot in lots if lot.opening is not None]
    opened_by = [opening.transaction_id for opening in openings]
    connection = await raw_connection(session)
    await connection.execute(_DROP_LOTS, portfolio_id, opened_by)
    await connection.execute(
        _WRITE_LOTS,
        portfolio_id,
        [asset for asset, _ in places],
        opened_by,
        [position for _, position in places],
        [lot.acquired for lot in lots],
        [lot.quantity for lot in lots],
        [opening.quantity for opening in openings],
        [lot.cost_basis for lot in lots],
    )


async def write_holdings(
    session: AsyncSession, portfolio_id: UUID, holdings: Mapping[int, Holding], stamp: datetime
) -> None:
    """Make what a portfolio holds by its transactions these holdings, given by asset.

    What an exchange or a wallet says that it holds is left as it is.
    """
    connection = await raw_connection(session)
    held = holdings.values()
    await connection.execute(_DROP_HOLDINGS, portfolio_id, list(holdings))
    await connection.execute(
        _WRITE_HOLDINGS,
        portfolio_id,
        stamp,
        list(holdings),
        [each.quantity for each in held],
        [each.staked for each in held],
        [each.average_cost for each in held],
        [each.cost_basis for each in held],
        [1 if each.asset == CASH else None for each in held],
    )


async def price_holdings(
    session: AsyncSession, portfolio_id: UUID, prices: Mapping[int, HoldingPrice], stamp: datetime
) -> None:
    """Put prices, given by asset, to what a portfolio holds of them."""
    connection = await raw_connection(session)
    await connection.execute(
        _PRICE_HOLDINGS,
        portfolio_id,
        stamp,
        list(prices),
        [each.usd for each in prices.values()],
        [each.change_24h for each in prices.values()],
        [each.change_7d for each in prices.values()],
    )


async def sum_holdings(session: AsyncSession, portfolio_id: UUID) -> None:
    """Make a portfolio's totals the sums of its holdings."""
    connection = await raw_connection(session)
    await connection.execute(_SUM_HOLDINGS, portfolio_id)


async def is_newest(session: AsyncSession, portfolio_id: UUID, as_of: datetime) -> bool:
    """Tell whether nothing happened in a portfolio after an instant, nor was it valued later."""
    later = exists().where(
        TransactionRow.portfolio_id == portfolio_id,
        TransactionRow.transaction_date > as_of,
        TransactionRow.voided_at.is_(None),
    )
    valued_later = exists().where(Portfolio.id == portfolio_id, Portfolio.valued_at > as_of)
    return not await session.scalar(select(later | valued_later))


async def set_headline(
    session: AsyncSession, portfolio_id: UUID, valued_at: datetime, risk: HeadlineRisk
) -> None:
    """Say of when a portfolio's prices are, and how risky it was then."""
    await session.execute(
        update(Portfolio)
        .where(Portfolio.id == portfolio_id)
        .values(
            valued_at=valued_at,
            volatility=risk.volatility,
            sharpe_ratio=risk.sharpe_ratio,
            max_drawdown=risk.max_drawdown,
        )
    )


async def add_snapshot(session: AsyncSession, portfolio_id: UUID, snapshot: Snapshot) -> None:
    """Keep a snapshot in the place of the one of the same instant, if there is one."""
    await ensure_chunks(session, PORTFOLIO_SNAPSHOTS, snapshot.time, snapshot.time)
    values = {
        "known_at": snapshot.known_at,
        "total_value_usd": snapshot.total_value_usd,
        "total_invested_usd": snapshot.total_invested_usd,
        "cash_usd": snapshot.cash_usd,
        "holdings_count": snapshot.holdings_count,
    }
    await session.execute(
        insert(PortfolioSnapshot)
        .values(portfolio_id=portfolio_id, time=snapshot.time, **values)
        .on_conflict_do_update(constraint="pk_portfolio_snapshots", set_=values)
    )
