"""Portfolios: what is in them, what happened, what is left of it, and how they did."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api import bodies
from seawall.api.bodies import Figure, Money, Time, Told, require_match, tagged
from seawall.api.deps import (
    IdempotencyKey,
    IfMatch,
    IfNoneMatch,
    Manager,
    QuickManager,
    Reader,
    TheDesk,
    TheReader,
)
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import MOST, Page, Paged, read_id, read_time
from seawall.api.sorting import Listed, Sorts, read_text
from seawall.core.errors import NotFoundError
from seawall.portfolios import portfolios, store
from seawall.portfolios.browse import store as browse
from seawall.portfolios.changing.change import (
    PortfolioChange,
    change_portfolio,
    delete_portfolio,
    lock_to_change,
)
from seawall.portfolios.schemas import LotMethod, PortfolioRecord

router = routes("/portfolios", "portfolios")
_Sort = Literal["created_at", "-created_at", "name", "-name"]
_SORTS: Sorts = {
    "created_at": {"created_at": read_time, "id": read_id},
    "name": {"name": read_text, "id": read_id},
}


class Portfolio(Told):
    """A portfolio, with what was last known of what is in it, as of `valued_at`."""

    id: UUID
    name: str = Field(examples=["Main"])
    description: str
    created_at: Time
    is_primary: bool
    is_public: bool
    shows_quantities: bool
    color: str
    lot_method: LotMethod
    total_value_usd: Money | None
    total_invested_usd: Money | None
    total_profit_loss_usd: Money | None
    total_profit_loss_percentage: Figure = Field(description="In per cent.")
    risk_score: Figure
    volatility: Figure
    sharpe_ratio: Figure
    max_drawdown: Figure
    valued_at: Time | None


class NewPortfolio(bodies.Body):
    """A portfolio to be made."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(examples=["Main"])
    description: Annotated[str, StringConstraints(max_length=1000)] = ""
    lot_method: LotMethod = Field(default=LotMethod.FIFO, description="Which lots leave first.")


class Choices(Told):
    """What of a portfolio its user chooses."""

    name: str
    description: str
    color: str
    is_primary: bool
    is_public: bool
    shows_quantities: bool
    lot_method: LotMethod


class PortfolioChanges(bodies.Patch):
    """What is to be changed of a portfolio; what is left out stays as it is."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(
        default=bodies.UNCHANGED, examples=["Savings"]
    )
    description: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        default=bodies.UNCHANGED, description="Null empties it."
    )
    color: Annotated[str, StringConstraints(pattern="^#[0-9A-Fa-f]{6}$")] = Field(
        default=bodies.UNCHANGED, examples=["#3B82F6"]
    )
    is_primary: bool = Field(default=bodies.UNCHANGED, description="True, in the place of another.")
    is_public: bool = Field(
        default=bodies.UNCHANGED, description="Whether every user may see its weights and profit."
    )
    shows_quantities: bool = Field(
        default=bodies.UNCHANGED, description="Whether they see quantities and values too."
    )
    lot_method: LotMethod = bodies.UNCHANGED


async def find(session: AsyncSession, portfolio_id: UUID) -> PortfolioRecord:
    """Return a portfolio of the bound user.

    Raises:
        NotFoundError: there is none, or it is another's: nobody can tell which.
    """
    found = await browse.find_portfolio(session, portfolio_id)
    if found is None:
        raise absent()
    return found


def absent() -> NotFoundError:
    """Return the error of a portfolio that is not there, or is another's: nobody can tell which."""
    return NotFoundError("There is no such portfolio.")


@router.get("", operation_id="listPortfolios")
async def list_portfolios(
    bound: Reader,
    asked: Paged,
    sort: Annotated[_Sort, Query(description="-name turns round.")] = "created_at",
    ids: Annotated[
        list[UUID] | None, Query(max_length=MOST, description="Only those that are named.")
    ] = None,
) -> Page[Portfolio]:
    """List the portfolios, the first made first; those that are not there are left out."""
    listed = Listed(asked, sort, _SORTS)
    rows = await browse.page_portfolios(bound.session, listed.span(), ids)
    return await listed.page(Portfolio, rows, lambda: browse.count_portfolios(bound.session, ids))


@router.post("", status_code=201, operation_id="createPortfolio", response_model=Portfolio)
async def create(
    quick: QuickManager, request: Request, body: NewPortfolio, key: IdempotencyKey = None
) -> Response:
    """Make an empty portfolio."""

    async def work() -> Told:
        await portfolios.require_room(quick.connection, quick.desk.settings.billing)
        new = portfolios.NewPortfolio(body.name, body.description, body.lot_method)
        made = await portfolios.add_portfolio(quick.connection, quick.caller.user_id, new)
        return Portfolio.model_validate(made)

    return await once(quick, Asked(request, key), work)


@router.get("/{portfolio_id}", operation_id="getPortfolio", response_model=Portfolio)
async def get(
    desk: TheDesk, caller: TheReader, portfolio_id: UUID, known: IfNoneMatch = None
) -> Response:
    """Tell of a portfolio."""
    found = await browse.read_portfolio(desk.engine, caller.user_id, portfolio_id)
    if found is None:
        raise absent()
    return tagged(Portfolio.model_validate(found), known, Choices.model_validate(found))


@router.patch("/{portfolio_id}", operation_id="changePortfolio", response_model=Portfolio)
async def change(
    bound: Manager, portfolio_id: UUID, body: PortfolioChanges, match: IfMatch = None
) -> Response:
    """Change what is given of a portfolio; with another lot method its lots are written anew.

    If-Match looks at what can be changed here; that the portfolio has another value meanwhile does
    not matter.
    """
    found = await lock_to_change(bound.session, portfolio_id)
    require_match(match, Choices.model_validate(found), choices=True)
    given = body.changes
    if "description" in given:
        given["description"] = given["description"] or ""
    wanted = PortfolioChange(**given)
    changed = await change_portfolio(bound.session, found, wanted)
    return tagged(Portfolio.model_validate(changed), None, Choices.model_validate(changed))


@router.delete("/{portfolio_id}", status_code=204, operation_id="deletePortfolio")
async def delete(bound: Manager, portfolio_id: UUID, match: IfMatch = None) -> None:
    """Delete a portfolio, with all that is shown of it; its history stays in the audit log."""
    found = await lock_to_change(bound.session, portfolio_id)
    require_match(match, Choices.model_validate(found), choices=True)
    await delete_portfolio(bound.session, found)


class Holding(Told):
    """What is held of an asset, at the last price; what is not known is null."""

    asset: str = Field(examples=["BTC"])
    asset_name: str
    exchange_source: str
    wallet_address: str | None
    quantity: Money
    staked: Money
    average_buy_price: Money | None
    total_invested_usd: Money | None
    current_price: Money | None
    current_value_usd: Money | None
    price_change_24h: Figure = Field(description="In per cent.")
    price_change_7d: Figure = Field(description="In per cent.")
    profit_loss_usd: Money | None
    profit_loss_percentage: Figure = Field(description="In per cent.")
    last_updated_at: Time


class Holdings(Told):
    """Everything that is held, the most valuable first."""

    items: list[Holding]


@router.get("/{portfolio_id}/holdings", operation_id="listHoldings")
async def list_holdings(bound: Reader, portfolio_id: UUID) -> Holdings:
    """List what is held."""
    found = await find(bound.session, portfolio_id)
    held = await store.list_holdings(bound.session, found.id)
    return Holdings(items=[Holding.model_validate(each) for each in held])


class Lot(Told):
    """What is left of a quantity that came in; the lowest position of an asset leaves next."""

    id: UUID
    asset: str = Field(examples=["BTC"])
    position: int
    acquired_at: Time
    quantity: Money
    original_quantity: Money
    cost_basis_usd: Money


class Lots(Told):
    """The lots of everything that is held."""

    items: list[Lot]


@router.get("/{portfolio_id}/lots", operation_id="listLots")
async def list_lots(bound: Reader, portfolio_id: UUID) -> Lots:
    """List the lots, in the order in which they will leave."""
    found = await find(bound.session, portfolio_id)
    held = await browse.list_lots(bound.session, found.id)
    return Lots(items=[Lot.model_validate(each) for each in held])
