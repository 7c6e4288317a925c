"""Portfolios: written by `make docs`."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from seawall.client.connection import OMITTED, Connection, Omitted, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is held of an asset, at the last price; what is not known is null."""

    asset: str
    asset_name: str
    exchange_source: str
    wallet_address: str | None
    quantity: Decimal
    staked: Decimal
    average_buy_price: Decimal | None
    total_invested_usd: Decimal | None
    current_price: Decimal | None
    current_value_usd: Decimal | None
    price_change_24h: float | None
    price_change_7d: float | None
    profit_loss_usd: Decimal | None
    profit_loss_percentage: float | None
    last_updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What importing did, or would do."""

    rows_read: int
    inserted: int
    unchanged: int
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """What is left of a quantity that came in; the lowest position of an asset leaves next."""

    id: UUID
    asset: str
    position: int
    acquired_at: datetime
    quantity: Decimal
    original_quantity: Decimal
    cost_basis_usd: Decimal


LotMethod = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a portfolio was worth at an instant, as it was known at another."""

    time: datetime
    known_at: datetime
    total_value_usd: Decimal
    total_invested_usd: Decimal
    cash_usd: Decimal
    holdings_count: int


TransactionType = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Everything that is held, the most valuable first."""

    items: list[Holding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lots:
    """The lots of everything that is held."""

    items: list[Lot]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSnapshot:
    """A page of a list."""

    items: list[Snapshot]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How a portfolio did, in USD; a sum is null while something held has no price."""

    as_of: datetime
    lot_method: LotMethod
    total_value_usd: Decimal | None
    cost_basis_usd: Decimal
    unrealised_profit_usd: Decimal | None
    realised_profit_usd: Decimal
    expenses_usd: Decimal
    rewards_usd: Decimal
    time_weighted_return: Decimal | None
    time_weighted_return_reason: str | None
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """A portfolio, with what was last known of what is in it, as of `valued_at`."""

    id: UUID
    name: str
    description: str
    created_at: datetime
    is_primary: bool
    is_public: bool
    shows_quantities: bool
    color: str
    lot_method: LotMethod
    total_value_usd: Decimal | None
    total_invested_usd: Decimal | None
    total_profit_loss_usd: Decimal | None
    total_profit_loss_percentage: float | None
    risk_score: float | None
    volatility: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    valued_at: datetime | None


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
class PagePortfolio:
    """A page of a list."""

    items: list[Portfolio]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTransaction:
    """A page of a list."""

    items: list[Transaction]
    next_cursor: str | None = None
    total: int | None = None


class PortfoliosOperations(Connection):
    """What the API does about portfolios."""

    def create_portfolio(
        self,
        *,
        name: str,
        idempotency_key: str | None = None,
        description: str | Omitted = OMITTED,
        lot_method: Literal["fifo", "lifo", "hifo", "average"] | Omitted = OMITTED,
    ) -> Portfolio:
        """Make an empty portfolio."""
        request = Request(
            "POST",
            "/api/v1/portfolios",
            json={"name": name, "description": description, "lot_method": lot_method},
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(Portfolio))

    def get_performance(
        self,
        portfolio_id: UUID,
        *,
        as_of: datetime | Omitted | None = OMITTED,
        lots: Literal["fifo", "lifo", "hifo", "average"] | Omitted | None = OMITTED,
    ) -> Performance:
        """Tell how the portfolio did until an instant, at the prices known now."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/performance",
            query={"as_of": as_of, "lots": lots},
        )
        return self.send(request, TypeAdapter(Performance))

    def get_portfolio(self, portfolio_id: UUID) -> Portfolio:
        """Tell of a portfolio."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}")
        return self.send(request, TypeAdapter(Portfolio))

    def import_transactions(
        self,
        portfolio_id: UUID,
        content: bytes | str,
        *,
        dry_run: bool | Omitted = OMITTED,
        idempotency_key: str | None = None,
    ) -> Import:
        """Import a file of transactions, whole or not at all; the same again changes nothing."""
        request = Request(
            "POST",
            f"/api/v1/portfolios/{portfolio_id}/transactions",
            query={"dry_run": dry_run},
            content=content,
            headers={"Idempotency-Key": idempotency_key},
            is_named=True,
        )
        return self.send(request, TypeAdapter(Import))

    def list_holdings(self, portfolio_id: UUID) -> Holdings:
        """List what is held."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}/holdings")
        return self.send(request, TypeAdapter(Holdings))

    def list_lots(self, portfolio_id: UUID) -> Lots:
        """List the lots, in the order in which they will leave."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}/lots")
        return self.send(request, TypeAdapter(Lots))

    def list_portfolios(
        self,
        *,
        sort: Literal["created_at", "-created_at", "name", "-name"] | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> PagePortfolio:
        """List the portfolios, the first made first."""
        request = Request(
            "GET",
            "/api/v1/portfolios",
            query={"sort": sort, "limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(PagePortfolio))

    def list_snapshots(
        self,
        portfolio_id: UUID,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> PageSnapshot:
        """List what the portfolio was worth, the newest first."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/snapshots",
            query={"limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(PageSnapshot))

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
