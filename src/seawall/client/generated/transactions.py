"""Transactions: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request
from seawall.client.generated.shared import TransactionType


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransaction:
    """One thing that happened, as a row of a file says it."""

    time: datetime
    type: TransactionType
    asset: str
    quantity: str
    price_usd: str | None = None
    fee_usd: str | None = None
    notes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastImport:
    """What came together, as a file or a list, and how much of it was voided since."""

    imported_at: datetime
    transactions: int
    voided: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionImport:
    """What importing did, or would do."""

    rows_read: int
    inserted: int
    unchanged: int
    left_out: int
    imported_at: datetime | None
    dry_run: bool


VoidKind = str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidedTogether:
    """How many transactions were voided."""

    voided: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastImportPage:
    """A page of a list."""

    items: list[PastImport]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One thing that happened to one asset; `price_usd` is for one unit.

    What is voided counts no more since `voided_at`.
    """

    id: UUID
    time: datetime
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
    void_kind: VoidKind | None
    void_reason: str
    replaces_id: UUID | None
    replaced_by: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionPage:
    """A page of a list."""

    items: list[Transaction]
    next_cursor: str | None = None
    total: int | None = None


class TransactionsOperations(Connection):
    """What the API does about transactions."""

    def correct_transaction(
        self,
        portfolio_id: UUID,
        transaction_id: UUID,
        *,
        if_match: str | None = None,
        time: datetime | Omitted = OMITTED,
        type: Literal[
            "buy", "sell", "transfer", "stake", "unstake", "reward", "fee", "deposit", "withdrawal"
        ]
        | Omitted = OMITTED,
        asset: str | Omitted = OMITTED,
        quantity: str | Omitted = OMITTED,
        price_usd: str | Omitted | None = OMITTED,
        fee_usd: str | Omitted | None = OMITTED,
        notes: str | Omitted | None = OMITTED,
        reason: str | Omitted = OMITTED,
    ) -> Transaction:
        """Record a transaction as it should have been, in its place; the wrong one is voided.

        The answer is the new one, with an id of its own; as a JSON Merge Patch (RFC 7396) says, what
        is left out stays.
        """
        request = Request(
            "PATCH",
            f"/api/v1/portfolios/{portfolio_id}/transactions/{transaction_id}",
            json={
                "time": time,
                "type": type,
                "asset": asset,
                "quantity": quantity,
                "price_usd": price_usd,
                "fee_usd": fee_usd,
                "notes": notes,
                "reason": reason,
            },
            headers={"If-Match": if_match},
        )
        return self.send(request, TypeAdapter(Transaction))

    def get_transaction(self, portfolio_id: UUID, transaction_id: UUID) -> Transaction:
        """Tell of a transaction, voided or not."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}/transactions/{transaction_id}")
        return self.send(request, TypeAdapter(Transaction))

    def import_transactions(
        self,
        portfolio_id: UUID,
        content: bytes | str | None = None,
        *,
        dry_run: bool | Omitted = OMITTED,
        again: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
        transactions: list[NewTransaction] | Omitted = OMITTED,
    ) -> TransactionImport:
        """Record a file or a list of transactions, whole or not at all; the same changes nothing.

        A row counts as recorded when time, type, asset and amounts are the same, however it came. One
        that was voided is left out, unless its whole import was.
        """
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/transactions",
            query={"dry_run": dry_run, "again": again},
            json={"transactions": transactions},
            content=content,
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(TransactionImport))

    def list_imports(
        self,
        portfolio_id: UUID,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> PastImportPage:
        """List what was imported together, the newest first."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/imports",
            query={"limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(PastImportPage))

    def list_transactions(
        self,
        portfolio_id: UUID,
        *,
        sort: Literal["time", "-time", "recorded_at", "-recorded_at", "asset", "-asset"]
        | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
        type: Literal[
            "buy", "sell", "transfer", "stake", "unstake", "reward", "fee", "deposit", "withdrawal"
        ]
        | Omitted
        | None = OMITTED,
        asset: str | Omitted | None = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        voided: Literal["without", "with", "only"] | Omitted = OMITTED,
    ) -> TransactionPage:
        """List what happened from `since` to before `until`, the newest first."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/transactions",
            query={
                "sort": sort,
                "limit": limit,
                "cursor": cursor,
                "total": total,
                "type": type,
                "asset": asset,
                "since": since,
                "until": until,
                "voided": voided,
            },
        )
        return self.send(request, TypeAdapter(TransactionPage))

    def void_transaction(
        self,
        portfolio_id: UUID,
        transaction_id: UUID,
        *,
        reason: str | Omitted = OMITTED,
        if_match: str | None = None,
    ) -> None:
        """Void a transaction: it counts no more, and is still listed with `voided`."""
        request = Request(
            "DELETE",
            f"/api/v1/portfolios/{portfolio_id}/transactions/{transaction_id}",
            query={"reason": reason},
            headers={"If-Match": if_match},
        )
        self.raw(request)

    def void_transactions(
        self,
        portfolio_id: UUID,
        *,
        idempotency_key: str | None = None,
        imported_at: datetime | Omitted | None = OMITTED,
        ids: list[UUID] | Omitted | None = OMITTED,
        reason: str | Omitted = OMITTED,
    ) -> VoidedTogether:
        """Void all of an import, or several transactions at once, whole or not at all."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/transactions/voids",
            json={"imported_at": imported_at, "ids": ids, "reason": reason},
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(VoidedTogether))
