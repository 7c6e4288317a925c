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
class PortfolioSnapshot:
    """What a portfolio was worth at an instant, as it was known at another."""

    time: datetime
    known_at: datetime
    total_value_usd: Decimal
    total_invested_usd: Decimal
    cash_usd: Decimal
    holdings_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Everything that is held, the most valuable first."""

    items: list[Holding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lots:
    """The lots of everything that is held."""

    items: list[Lot]


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
class PortfolioPerformance:
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
class PortfolioSnapshotPage:
    """A page of a list."""

    items: list[PortfolioSnapshot]
    next_cursor: str | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioPage:
    """A page of a list."""

    items: list[Portfolio]
    next_cursor: str | None = None
    total: int | None = None


class PortfoliosOperations(Connection):
    """What the API does about portfolios."""

    def change_portfolio(
        self,
        portfolio_id: UUID,
        *,
        if_match: str | None = None,
        name: str | Omitted = OMITTED,
        description: str | Omitted | None = OMITTED,
        color: str | Omitted = OMITTED,
        is_primary: bool | Omitted = OMITTED,
        is_public: bool | Omitted = OMITTED,
        shows_quantities: bool | Omitted = OMITTED,
        lot_method: Literal["fifo", "lifo", "hifo", "average"] | Omitted = OMITTED,
    ) -> Portfolio:
        """Change what is given of a portfolio; with another lot method its lots are written anew.

        If-Match looks at what can be changed here; that the portfolio has another value meanwhile does
        not matter.
        """
        request = Request(
            "PATCH",
            f"/api/v1/portfolios/{portfolio_id}",
            json={
                "name": name,
                "description": description,
                "color": color,
                "is_primary": is_primary,
                "is_public": is_public,
                "shows_quantities": shows_quantities,
                "lot_method": lot_method,
            },
            headers={"If-Match": if_match},
        )
        return self.send(request, TypeAdapter(Portfolio))

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

    def delete_portfolio(self, portfolio_id: UUID, *, if_match: str | None = None) -> None:
        """Delete a portfolio, with all that is shown of it; its history stays in the audit log."""
        request = Request(
            "DELETE", f"/api/v1/portfolios/{portfolio_id}", headers={"If-Match": if_match}
        )
        self.raw(request)

    def get_performance(
        self,
        portfolio_id: UUID,
        *,
        lots: Literal["fifo", "lifo", "hifo", "average"] | Omitted | None = OMITTED,
        as_of: datetime | Omitted | None = OMITTED,
    ) -> PortfolioPerformance:
        """Tell how the portfolio did until an instant, at the prices known now."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/performance",
            query={"lots": lots, "as_of": as_of},
        )
        return self.send(request, TypeAdapter(PortfolioPerformance))

    def get_portfolio(self, portfolio_id: UUID) -> Portfolio:
        """Tell of a portfolio."""
        request = Request("GET", f"/api/v1/portfolios/{portfolio_id}")
        return self.send(request, TypeAdapter(Portfolio))

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
        ids: list[UUID] | Omitted | None = OMITTED,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
    ) -> PortfolioPage:
        """List the portfolios, the first made first; those that are not there are left out."""
        request = Request(
            "GET",
            "/api/v1/portfolios",
            query={"sort": sort, "ids": ids, "limit": limit, "cursor": cursor, "total": total},
        )
        return self.send(request, TypeAdapter(PortfolioPage))

    def list_snapshots(
        self,
        portfolio_id: UUID,
        *,
        limit: int | Omitted = OMITTED,
        cursor: str | Omitted | None = OMITTED,
        total: bool | Omitted = OMITTED,
        since: datetime | Omitted | None = OMITTED,
        until: datetime | Omitted | None = OMITTED,
    ) -> PortfolioSnapshotPage:
        """List what the portfolio was worth from `since` to before `until`, the newest first."""
        request = Request(
            "GET",
            f"/api/v1/portfolios/{portfolio_id}/snapshots",
            query={
                "limit": limit,
                "cursor": cursor,
                "total": total,
                "since": since,
                "until": until,
            },
        )
        return self.send(request, TypeAdapter(PortfolioSnapshotPage))
