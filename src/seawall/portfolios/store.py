"""The SQL of portfolios and their transactions; `projecting` has that of what follows from them."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.engine import TenantConnection
from seawall.db.session import raw_connection
from seawall.market.tables import Asset
from seawall.portfolios.schemas import (
    HoldingRecord,
    LotMethod,
    ParsedRow,
    PortfolioRecord,
    Transaction,
    TransactionType,
)
from seawall.portfolios.tables import HoldingRow, Portfolio, TransactionRow

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


async def list_holdings(session: AsyncSession, portfolio_id: UUID) -> list[HoldingRecord]:
    """Return what is stored of a portfolio's holdings, the most valuable first."""
    rows = await session.execute(
        select(Asset.symbol, Asset.name, *_HELD)
        .join(Asset, Asset.id == HoldingRow.asset_id)
        .where(HoldingRow.portfolio_id == portfolio_id)
        .order_by(HoldingRow.current_value_usd.desc().nulls_last(), Asset.symbol)
    )
    return [HoldingRecord(*row) for row in rows]
