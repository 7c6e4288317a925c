"""The SQL of portfolios, their transactions, and what follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.money import LIMIT
from seawall.db.engine import TenantConnection
from seawall.db.series import PORTFOLIO_SNAPSHOTS, ensure_chunks
from seawall.db.session import raw_connection
from seawall.market.tables import Asset
from seawall.portfolios.schemas import (
    CASH,
    HeadlineRisk,
    Holding,
    HoldingPrice,
    HoldingRecord,
    LotMethod,
    ParsedRow,
    PortfolioRecord,
    Snapshot,
    Transaction,
    TransactionType,
)
from seawall.portfolios.tables import HoldingRow, Portfolio, PortfolioSnapshot, TransactionRow

# In one statement whatever their number: parameters by the row take three times as long.
_ADD_TRANSACTIONS = """
INSERT INTO transactions (
    portfolio_id, recorded_at, imported_at, id, transaction_date, transaction_type, asset_id,
    quantity, price_usd, fee_usd, notes, external_id
)
SELECT $1, $2, $2, id, time, type, asset_id, quantity, price_usd, fee_usd, notes, external_id
FROM unnest(
    $3::uuid[], $4::timestamptz[], $5::text[], $6::integer[], $7::numeric[], $8::numeric[],
    $9::numeric[], $10::text[], $11::text[]
) WITH ORDINALITY AS given (
    id, time, type, asset_id, quantity, price_usd, fee_usd, notes, external_id, place
)
ORDER BY place
"""

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


PORTFOLIO_COLUMNS = [getattr(Portfolio, each.name) for each in fields(PortfolioRecord)]
_HELD = [getattr(HoldingRow, each.name) for each in fields(HoldingRecord)[2:]]


def record_of(row: Portfolio) -> PortfolioRecord:
    """Return the value of a row."""
    return record_of_row({each.key: getattr(row, each.key) for each in PORTFOLIO_COLUMNS})


def record_of_row(row: Mapping[str, Any] | Record) -> PortfolioRecord:
    """Return the value of a row as the driver reads it."""
    return PortfolioRecord(**{**dict(row), "lot_method": LotMethod(row["lot_method"])})


_ADD = f"""
INSERT INTO portfolios (user_id, name, description, lot_method, is_primary)
SELECT $1, $2, $3, $4,
    NOT EXISTS (SELECT FROM portfolios WHERE user_id = $1 AND deleted_at IS NULL)
ON CONFLICT (user_id, lower(name)) WHERE deleted_at IS NULL DO NOTHING
RETURNING {", ".join(each.key for each in PORTFOLIO_COLUMNS)}
"""  # noqa: S608 - of columns that are named here


async def add_portfolio(
    connection: TenantConnection, user_id: UUID, name: str, description: str, lot_method: LotMethod
) -> PortfolioRecord | None:
    """Add a portfolio, the first living one as the primary one; None when the name is taken."""
    row = await connection.fetchrow(_ADD, user_id, name, description, lot_method.value)
    return None if row is None else record_of_row(row)


_TAKEN = """
SELECT name FROM portfolios WHERE user_id = $1 AND lower(name) = lower($2) AND deleted_at IS NULL
"""


async def find_taken_name(connection: TenantConnection, user_id: UUID, name: str) -> str:
    """Return a portfolio's name as it is written; the one asked for when it is no longer there."""
    found = await connection.fetchval(_TAKEN, user_id, name)
    return name if found is None else str(found)


async def find_portfolio(session: AsyncSession, name: str) -> PortfolioRecord | None:
    """Return the living portfolio of this name, whatever its case."""
    row = await session.scalar(
        select(Portfolio).where(
            # By the database's own rule of cases, which the unique index goes by as well.
            func.lower(Portfolio.name) == func.lower(name),
            Portfolio.deleted_at.is_(None),
        )
    )
    return None if row is None else record_of(row)


async def get_portfolio(session: AsyncSession, portfolio_id: UUID) -> PortfolioRecord:
    """Return a portfolio that is known to be there, deleted or not."""
    return record_of((await session.scalars(select(Portfolio).filter_by(id=portfolio_id))).one())


async def list_portfolios(session: AsyncSession) -> list[PortfolioRecord]:
    """Return the living portfolios, by name."""
    rows = await session.scalars(
        select(Portfolio).where(Portfolio.deleted_at.is_(None)).order_by(func.lower(Portfolio.name))
    )
    return [record_of(row) for row in rows]


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
    """Return what happened in a portfolio, in order, as it was recorded and not voided by then."""
    query = (
        select(TransactionRow, Asset.symbol)
        .join(Asset, Asset.id == TransactionRow.asset_id)
        .where(TransactionRow.portfolio_id == portfolio_id)
        .order_by(TransactionRow.transaction_date, TransactionRow.entry)
    )
    voided_at = TransactionRow.voided_at
    if known_at is None:
        query = query.where(voided_at.is_(None))
    else:
        counted = voided_at.is_(None) | (voided_at > known_at)
        query = query.where(TransactionRow.recorded_at <= known_at, counted)
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


async def add_transactions(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    rows: Sequence[ParsedRow],
    asset_ids: Mapping[str, int],
    stamp: datetime,
) -> None:
    """Record transactions in the given order, as known and imported from `stamp` on."""
    connection = await raw_connection(session)
    given = [row.transaction for row in rows]
    await connection.execute(
        _ADD_TRANSACTIONS,
        portfolio.id,
        stamp,
        [each.id for each in given],
        [each.time for each in given],
        [each.type.value for each in given],
        [asset_ids[each.asset] for each in given],
        [each.quantity for each in given],
        [each.price_usd for each in given],
        [each.fee_usd for each in given],
        [each.notes for each in given],
        [row.fingerprint for row in rows],
    )


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


async def list_holdings(session: AsyncSession, portfolio_id: UUID) -> list[HoldingRecord]:
    """Return what is stored of a portfolio's holdings, the most valuable first."""
    rows = await session.execute(
        select(Asset.symbol, Asset.name, *_HELD)
        .join(Asset, Asset.id == HoldingRow.asset_id)
        .where(HoldingRow.portfolio_id == portfolio_id)
        .order_by(HoldingRow.current_value_usd.desc().nulls_last(), Asset.symbol)
    )
    return [HoldingRecord(*row) for row in rows]
