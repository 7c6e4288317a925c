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
class Import:
    """What importing did, or would do."""

    rows_read: int
    inserted: int
    unchanged: int
    dry_run: bool


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
class Transaction:
    """One thing that happened to one asset; `price_usd` is for one unit."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTransaction:
    """A page of a list."""

    items: list[Transaction]
    next_cursor: str | None = None
    total: int | None = None


class TransactionsOperations(Connection):
    """What the API does about transactions."""

    def import_transactions(
        self,
        portfolio_id: UUID,
        content: bytes | str | None = None,
        *,
        dry_run: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
        transactions: list[NewTransaction] | Omitted = OMITTED,
    ) -> Import:
        """Record a file or a list of transactions, whole or not at all; the same changes nothing.

        A row counts as recorded when time, type, asset and amounts are the same, however it came.
        """
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/transactions",
            query={"dry_run": dry_run},
            json={"transactions": transactions},
            content=content,
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(Import))

    def list_transactions(
        self,
        portfolio_id: UUID,
        *,
        type: Literal[
            "buy", "sell", "transfer", "stake", "unstake", "reward", "fee", "deposit", "withdrawal"
        ]
        | Omitted
        | None = OMITTED,
        asset: str | Omitted | None = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> PageTransaction:
        """List what happened from `since` to before `until`, the newest first."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/transactions",
            query={
                "type": type,
                "asset": asset,
                "since": since,
                "until": until,
                "limit": limit,
                "cursor": cursor,
                "total": total,
            },
        )
        return self.send(request, TypeAdapter(PageTransaction))
