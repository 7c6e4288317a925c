"""Portfolios: what is in them, what happened, what is left of it, and how they did."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Body, Query, Request, Response
from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api import bodies
from seawall.api.bodies import Figure, Money, Time, Told, Utc, tagged
from seawall.api.deps import IdempotencyKey, IfNoneMatch, Manager, QuickManager, QuickReader, Reader
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, cut, read_id, read_time, write_cursor, wrong_cursor
from seawall.api.sorting import Listed, Sorts, read_text
from seawall.core.errors import InvalidError, NotFoundError
from seawall.core.time import to_micros
from seawall.portfolios import portfolios, store
from seawall.portfolios.browse import store as browse
from seawall.portfolios.browse.schemas import TransactionFilter
from seawall.portfolios.importers.csv import parse_transactions
from seawall.portfolios.schemas import LotMethod, PortfolioRecord, TransactionType
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.valuation import begin, measure_performance, value_portfolio

router = routes("/portfolios", "portfolios")
_CSV = "date,type,asset,quantity,price_usd,fee_usd,notes\n2026-01-05,buy,BTC,1,90000,0,\n"
_Sort = Literal["created_at", "-created_at", "name", "-name"]
_SORTS: Sorts = {
    "created_at": {"created_at": read_time, "id": read_id},
    "name": {"name": read_text, "id": read_id},
}
_Instant = Annotated[Utc | None, Query(examples=["2026-01-31T00:00:00Z"])]


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
) -> Page[Portfolio]:
    """List the portfolios, the first made first."""
    listed = Listed(asked, sort, _SORTS)
    rows = await browse.page_portfolios(bound.session, listed.span())
    return await listed.page(Portfolio, rows, lambda: browse.count_portfolios(bound.session))


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
async def get(quick: QuickReader, portfolio_id: UUID, known: IfNoneMatch = None) -> Response:
    """Tell of a portfolio."""
    found = await browse.read_portfolio(quick.connection, portfolio_id)
    if found is None:
        raise absent()
    return tagged(Portfolio.model_validate(found), known)


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


class Transaction(Told):
    """One thing that happened to one asset; `price_usd` is for one unit."""

    id: UUID
    time: Time
    type: TransactionType
    asset: str = Field(examples=["BTC"])
    quantity: Money
    price_usd: Money | None
    fee_usd: Money
    total_usd: Money | None
    notes: str
    recorded_at: Time


@router.get("/{portfolio_id}/transactions", operation_id="listTransactions")
async def list_transactions(
    bound: Reader,
    portfolio_id: UUID,
    asked: Paged,
    *,
    type_: Annotated[TransactionType | None, Query(alias="type")] = None,
    asset: Annotated[str | None, Query(max_length=32, examples=["BTC"])] = None,
    since: _Instant = None,
    until: _Instant = None,
) -> Page[Transaction]:
    """List what happened from `since` to before `until`, the newest first."""
    found = await find(bound.session, portfolio_id)
    if asset is not None and "\x00" in asset:
        raise InvalidError("This is not an asset's symbol.")
    wanted = TransactionFilter(type_, asset, since, until)
    after = None
    if asked.after is not None:
        time, entry = asked.place(2)
        if not isinstance(entry, int) or abs(entry) >= 1 << 63:
            raise wrong_cursor()
        after = (read_time(time), entry)
    rows = await browse.page_transactions(bound.session, found.id, wanted, asked.limit + 1, after)
    shown, more = cut(rows, asked.limit)
    total = None
    if asked.total:
        total = await browse.count_transactions(bound.session, found.id, wanted)
    return Page(
        items=[Transaction.model_validate(each) for each in shown],
        next_cursor=write_cursor(to_micros(shown[-1].time), shown[-1].entry) if more else None,
        total=total,
    )


class Import(Told):
    """What importing did, or would do."""

    rows_read: int
    inserted: int
    unchanged: int
    dry_run: bool


@router.post(
    "/{portfolio_id}/transactions",
    status_code=201,
    operation_id="importTransactions",
    response_model=Import,
)
async def import_csv(
    bound: Manager,
    request: Request,
    portfolio_id: UUID,
    body: Annotated[
        bytes,
        Body(
            media_type="text/csv",
            examples=[_CSV],
        ),
    ],
    *,
    dry_run: Annotated[bool, Query(description="Check it all, and keep nothing.")] = False,
    key: IdempotencyKey = None,
) -> Response:
    """Import a file of transactions, whole or not at all; the same again changes nothing."""
    found = await find(bound.session, portfolio_id)
    parsed = parse_transactions(body, bound.desk.clock())

    async def work() -> Told:
        async with bound.session.begin_nested() as step:
            done = await import_transactions(bound.session, found, parsed)
            if dry_run:
                await step.rollback()
        if done.rejected:
            errors = [{"where": f"line {row.line}", "what": row.reason} for row in done.rejected]
            raise InvalidError(
                f"{len(errors)} of {done.rows_read} rows are wrong, and nothing was imported.",
                details={"errors": errors},
            )
        return Import(
            rows_read=done.rows_read,
            inserted=done.inserted,
            unchanged=done.unchanged,
            dry_run=dry_run,
        )

    return await once(bound, Asked(request, key), work)


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


class Snapshot(Told):
    """What a portfolio was worth at an instant, as it was known at another."""

    time: Time
    known_at: Time
    total_value_usd: Money
    total_invested_usd: Money
    cash_usd: Money
    holdings_count: int


@router.get("/{portfolio_id}/snapshots", operation_id="listSnapshots")
async def list_snapshots(bound: Reader, portfolio_id: UUID, asked: Paged) -> Page[Snapshot]:
    """List what the portfolio was worth, the newest first."""
    found = await find(bound.session, portfolio_id)
    before = None if asked.after is None else read_time(*asked.place(1))
    rows = await browse.page_snapshots(bound.session, found.id, asked.limit + 1, before)
    shown, more = cut(rows, asked.limit)
    return Page(
        items=[Snapshot.model_validate(each) for each in shown],
        next_cursor=write_cursor(to_micros(shown[-1].time)) if more else None,
    )


class Performance(Told):
    """How a portfolio did, in USD; a sum is null while something held has no price."""

    as_of: Time
    lot_method: LotMethod
    total_value_usd: Money | None
    cost_basis_usd: Money
    unrealised_profit_usd: Money | None
    realised_profit_usd: Money
    expenses_usd: Money
    rewards_usd: Money
    time_weighted_return: Money | None = Field(description="A fraction: 0.1 is 10 %.")
    time_weighted_return_reason: str | None = Field(description="Why it is null.")
    notes: list[str]


@router.get("/{portfolio_id}/performance", operation_id="getPerformance")
async def get_performance(
    bound: Reader, portfolio_id: UUID, as_of: _Instant = None, lots: LotMethod | None = None
) -> Performance:
    """Tell how the portfolio did until an instant, at the prices known now."""
    found = await find(bound.session, portfolio_id)
    moment = await begin(bound.session, found, as_of)
    valued = await value_portfolio(
        bound.session, found, moment, lots or found.lot_method, at_flows=True
    )
    did = measure_performance(valued)
    return Performance(
        as_of=moment.as_of,
        lot_method=valued.state.method,
        total_value_usd=valued.total_value,
        cost_basis_usd=valued.state.totals.cost_basis,
        unrealised_profit_usd=valued.unrealised_profit,
        realised_profit_usd=valued.state.totals.realised_profit,
        expenses_usd=valued.state.totals.expenses,
        rewards_usd=valued.state.totals.reward_usd,
        time_weighted_return=did.value,
        time_weighted_return_reason=did.reason or None,
        notes=list(valued.notes),
    )
