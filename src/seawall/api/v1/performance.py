"""Performance: what a portfolio was worth, and how it did."""

from datetime import datetime
from uuid import UUID

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.api.aside import ReaderAside
from seawall.api.bodies import Money, Time, Told
from seawall.api.deps import Bound, Reader
from seawall.api.depth import AsOf, Stretched
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, cut, read_time, write_cursor
from seawall.api.v1.portfolios import find
from seawall.core.time import to_micros
from seawall.portfolios.browse import store as browse
from seawall.portfolios.schemas import LotMethod, PortfolioRecord
from seawall.portfolios.valuation import begin, measure_performance, value_portfolio

router = routes("/portfolios", "portfolios")


class Snapshot(Told):
    """What a portfolio was worth at an instant, as it was known at another."""

    time: Time
    known_at: Time
    total_value_usd: Money
    total_invested_usd: Money
    cash_usd: Money
    holdings_count: int


@router.get("/{portfolio_id}/snapshots", operation_id="listSnapshots")
async def list_snapshots(
    bound: Reader, portfolio_id: UUID, asked: Paged, stretch: Stretched
) -> Page[Snapshot]:
    """List what the portfolio was worth from `since` to before `until`, the newest first."""
    found = await find(bound.session, portfolio_id)
    before = None if asked.after is None else read_time(*asked.place(1))
    until = min(filter(None, (before, stretch.until)), default=None)
    wanted = (stretch.since, until)
    rows = await browse.page_snapshots(bound.session, found.id, asked.limit + 1, wanted)
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
    apart: ReaderAside, portfolio_id: UUID, as_of: AsOf, lots: LotMethod | None = None
) -> Performance:
    """Tell how the portfolio did until an instant, at the prices known now."""

    async def within(bound: Bound) -> Performance:
        found = await find(bound.session, portfolio_id)
        return await _perform(bound.session, found, as_of, lots or found.lot_method)

    return await apart.run(within)


async def _perform(
    session: AsyncSession, found: PortfolioRecord, as_of: datetime | None, lots: LotMethod
) -> Performance:
    moment = await begin(session, found, as_of)
    valued = await value_portfolio(session, found, moment, lots, at_flows=True)
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
