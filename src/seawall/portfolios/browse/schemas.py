"""The values that pages of portfolios travel in."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from seawall.portfolios.schemas import TransactionType, VoidKind


class Voided(StrEnum):
    """Whether transactions that were voided are wanted as well, or alone."""

    WITHOUT = "without"
    WITH = "with"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """Which transactions are wanted; from `since` to before `until`."""

    type: TransactionType | None = None
    asset: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    voided: Voided = Voided.WITHOUT


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A transaction as it is stored; `entry` orders those of one instant.

    One that was voided counts no more since then; one that was corrected is `replaced_by` another.
    """

    id: UUID
    time: datetime
    entry: int
    type: TransactionType
    asset: str
    quantity: Decimal
    price_usd: Decimal | None
    fee_usd: Decimal
    total_usd: Decimal | None
    notes: str
    recorded_at: datetime
    imported_at: datetime | None
    voided_at: datetime | None
    void_reason: str
    replaces_id: UUID | None
    void_kind: VoidKind | None
    replaced_by: UUID | None


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """What came in with one import: how many transactions, how many count no more, and of when.

    What replaced one of them counts as one of them.
    """

    imported_at: datetime
    transactions: int
    voided: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class LotRecord:
    """What is left of a quantity that came in; the lowest position of an asset leaves next."""

    id: UUID
    asset: str
    position: int
    acquired_at: datetime
    quantity: Decimal
    original_quantity: Decimal
    cost_basis_usd: Decimal


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """What a portfolio was worth at an instant, as it was known at another."""

    time: datetime
    known_at: datetime
    total_value_usd: Decimal
    total_invested_usd: Decimal
    cash_usd: Decimal
    holdings_count: int
