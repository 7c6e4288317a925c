"""The SQL of voiding transactions and replacing them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.session import raw_connection
from seawall.portfolios.schemas import ParsedRow, VoidKind
from seawall.portfolios.tables import TransactionRow

_VOID = """
UPDATE transactions SET voided_at = $3, void_kind = $4, void_reason = $5
WHERE portfolio_id = $1 AND id = ANY ($2::uuid[]) AND voided_at IS NULL
"""

# It stands where the replaced one stood among those of its time, belongs to the same import and
# came from the same exchange. That one's own id stays with what the exchange has told, which
# `replaces_id` names. What was paid in another asset stays while its worth in USD does.
_REPLACE = """
INSERT INTO transactions (
    portfolio_id, recorded_at, imported_at, entry, replaces_id, id, transaction_date,
    transaction_type, asset_id, quantity, price_usd, fee_usd, notes, external_id,
    exchange_connection_id, price, price_currency_id, fee_quantity, fee_asset_id
)
OVERRIDING SYSTEM VALUE
SELECT portfolio_id, $2, imported_at, entry, id, $3, $4, $5, $6, $7, $8, $9, $10, $11,
    exchange_connection_id,
    CASE WHEN costs_the_same THEN price END, CASE WHEN costs_the_same THEN price_currency_id END,
    CASE WHEN fee_usd = $9 THEN fee_quantity END, CASE WHEN fee_usd = $9 THEN fee_asset_id END
FROM transactions
CROSS JOIN LATERAL (
    SELECT asset_id = $6 AND price_usd IS NOT DISTINCT FROM $8 AS costs_the_same
) AS compared
WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The fingerprints of what a portfolio has, and of what was voided there by hand."""

    held: frozenset[str]
    voided: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Mark:
    """What of a row tells whether its fingerprint is still known."""

    id: UUID
    external_id: str | None
    imported_at: datetime | None
    kind: VoidKind | None
    replaces_id: UUID | None


async def list_recorded(session: AsyncSession, portfolio_id: UUID) -> Recorded:
    """Return what importing has to know of a portfolio.

    What was corrected is there as long as what replaced it is. What was voided with its whole
    import is as if it had never been recorded, and so is what of that import was voided before.
    """
    row = TransactionRow
    here = row.portfolio_id == portfolio_id
    living = await session.scalars(
        select(row.external_id).where(here, row.voided_at.is_(None), row.external_id.is_not(None))
    )
    held = {each for each in living if each is not None}
    changed = await session.execute(
        select(row.id, row.external_id, row.imported_at, row.void_kind, row.replaces_id).where(
            here, or_(row.voided_at.is_not(None), row.replaces_id.is_not(None))
        )
    )
    marks = [
        _Mark(id_, external_id, imported_at, None if kind is None else VoidKind(kind), replaces_id)
        for id_, external_id, imported_at, kind, replaces_id in changed
    ]
    replaced_by = {each.replaces_id: each for each in marks if each.replaces_id is not None}
    undone = {each.imported_at for each in marks if each.kind is VoidKind.IMPORT}
    voided: set[str] = set()
    for mark in marks:
        if mark.external_id is None or mark.kind is None:
            continue
        last = mark
        while last.kind is VoidKind.CORRECTION:
            last = replaced_by[last.id]
        if last.kind is None:
            held.add(mark.external_id)
        elif last.imported_at not in undone:
            voided.add(mark.external_id)
    return Recorded(frozenset(held), frozenset(voided - held))


async def list_living_ids(session: AsyncSession, portfolio_id: UUID) -> set[str]:
    """Return the fingerprints that no other transaction of a portfolio may have."""
    rows = await session.scalars(
        select(TransactionRow.external_id).where(
            TransactionRow.portfolio_id == portfolio_id,
            TransactionRow.voided_at.is_(None),
            TransactionRow.external_id.is_not(None),
        )
    )
    return {each for each in rows if each is not None}


async def find_external_id(session: AsyncSession, transaction_id: UUID) -> str | None:
    """Return the fingerprint of a transaction."""
    query = select(TransactionRow.external_id).where(TransactionRow.id == transaction_id)
    found: str | None = await session.scalar(query)
    return found


async def list_of_import(
    session: AsyncSession, portfolio_id: UUID, imported_at: datetime
) -> dict[UUID, bool]:
    """Return the ids of what came with an import, and whether each still counts."""
    rows = await session.execute(
        select(TransactionRow.id, TransactionRow.voided_at).where(
            TransactionRow.portfolio_id == portfolio_id, TransactionRow.imported_at == imported_at
        )
    )
    return {id_: voided_at is None for id_, voided_at in rows}


@dataclass(frozen=True, slots=True)
class Void:
    """When, how and why transactions are voided."""

    at: datetime
    kind: VoidKind
    reason: str


async def void(session: AsyncSession, portfolio_id: UUID, ids: Collection[UUID], how: Void) -> None:
    """Say that transactions count no more from then on."""
    connection = await raw_connection(session)
    await connection.execute(_VOID, portfolio_id, list(ids), how.at, how.kind.value, how.reason)


async def replace(
    session: AsyncSession, replaced: UUID, row: ParsedRow, asset_id: int, stamp: datetime
) -> None:
    """Record a transaction in the place of one that was voided."""
    connection = await raw_connection(session)
    given = row.transaction
    await connection.execute(
        _REPLACE,
        replaced,
        stamp,
        given.id,
        given.time,
        given.type.value,
        asset_id,
        given.quantity,
        given.price_usd,
        given.fee_usd,
        given.notes,
        row.fingerprint,
    )
