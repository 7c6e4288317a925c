"""What trades would change: every figure before and after, and nothing is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError, NotFoundError
from seawall.core.money import CONTEXT, ZERO, multiply
from seawall.core.time import iso
from seawall.market import store as market_store
from seawall.market.pairs import SP500
from seawall.market.prices import read_prices
from seawall.portfolios.schemas import CASH, PortfolioRecord, Transaction, TransactionType
from seawall.portfolios.valuation import Moment, Valuation, begin
from seawall.risk.attribution import RiskAttribution, attribute_valued
from seawall.risk.benchmarks import BTC
from seawall.risk.measure import measure_valued, value_for
from seawall.risk.schemas import RiskQuestion, RiskReport
from seawall.risk.trades import Trade, recordable, trades_to

_LAST = 2**62
"""Planned trades come after all that is recorded of the same time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: some trades, or those that lead to weights; and what trading costs.

    `prices` are those that trades are made at where it is not the market's; `fee` is a fraction of
    what is traded.
    """

    trades: tuple[Trade, ...] = ()
    weights: Mapping[str, Decimal] | None = None
    prices: Mapping[str, Decimal] | None = None
    fee: Decimal = ZERO

    @property
    def assets(self) -> set[str]:
        """Everything that it names."""
        return {trade.asset for trade in self.trades} | set(self.weights or ())


@dataclass(frozen=True, slots=True)
class PlannedTrade:
    """A trade with its price and what it costs, in USD."""

    side: TransactionType
    asset: str
    quantity: Decimal
    price_usd: Decimal
    worth_usd: Decimal
    fee_usd: Decimal


@dataclass(frozen=True, slots=True)
class Side:
    """A portfolio's risk on one side of the trades, and whose it is."""

    report: RiskReport
    attribution: RiskAttribution


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A portfolio before and after trades that were not made.

    `paid_from` is `cash` where the portfolio keeps some, else `outside`.
    """

    trades: tuple[PlannedTrade, ...]
    paid_from: str
    before: Side
    after: Side
    notes: tuple[str, ...]

    @property
    def sides(self) -> tuple[Side, Side]:
        """Before and after."""
        return self.before, self.after

    @property
    def value_change(self) -> Decimal | None:
        """By how much the portfolio's value grows, in USD; None where one of the two is unknown."""
        before, after = self.before.report.total_value_usd, self.after.report.total_value_usd
        return None if before is None or after is None else CONTEXT.subtract(after, before)

    @property
    def changes(self) -> dict[str, float | None]:
        """By how much each figure grows; None where one of the two is undefined."""
        before, after = self.before.report.figures, self.after.report.figures
        return {name: _difference(value, after[name]) for name, value in before.items()}


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


async def what_if(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    as_of: datetime | None,
    question: RiskQuestion,
    plan: Plan,
) -> WhatIf:
    """Measure a portfolio as it is and as it would be after trades, which are not recorded.

    The trades go through the ledger like recorded ones, so that the figures are those of the report
    that there would be.

    Raises:
        NotFoundError: an asset is unknown, or has no price at that instant.
        InvalidError: more is sold than is held and free, or bought than there is cash for.
    """
    moment = await begin(session, portfolio, as_of, {BTC, SP500, question.benchmark, *plan.assets})
    valuation = await value_for(session, portfolio, moment, question)
    prices = await _market_prices(session, plan, valuation, moment)
    trades = plan.trades
    if plan.weights is not None:
        trades = trades_to(plan.weights, valuation, prices, plan.fee)
    planned = tuple(_price(trade, plan, prices) for trade in trades)
    changed = await _value_with(session, valuation, question, planned)
    keeps_cash = valuation.state.cash is not None
    return WhatIf(
        trades=planned,
        paid_from="cash" if keeps_cash else "outside",
        before=await _side(session, valuation, question),
        after=await _side(session, changed, question),
        notes=(_funding(keeps_cash=keeps_cash),),
    )


def _funding(*, keeps_cash: bool) -> str:
    if keeps_cash:
        return f"Purchases, sales and fees are paid from and to the portfolio's {CASH} cash."
    return (
        "The portfolio keeps no cash: purchases, sales and fees are paid from and to outside, so"
        " its value changes by what is traded."
    )


async def _market_prices(
    session: AsyncSession, plan: Plan, valuation: Valuation, moment: Moment
) -> dict[str, float]:
    """Return the price of each asset that may be traded.

    Raises:
        NotFoundError: an asset is unknown, or has no price at that instant.
    """
    wanted = plan.assets | {each.asset for each in valuation.holdings}
    known = await market_store.find_assets(session, wanted)
    unknown = sorted(plan.assets - known.keys() - {CASH})
    if unknown:
        raise NotFoundError(
            f"No asset {', '.join(unknown)} is known here.",
            hint="Import prices of it.",
        )
    read = await read_prices(session, list(known.values()), [moment.as_of], None, moment.known_at)
    priced = {asset: each.at(moment.as_of) for asset, each in read.items()}
    prices = {asset: price.usd for asset, price in priced.items() if price is not None}
    for asset in sorted(plan.assets - {CASH}):
        if asset not in prices:
            raise NotFoundError(
                f"No price of {asset} is known at {iso(moment.as_of)}, so what a trade in it would"
                " change is not known either.",
                hint=f"Import prices of {asset} that reach back to then.",
            )
    return prices


def _price(trade: Trade, plan: Plan, market: Mapping[str, float]) -> PlannedTrade:
    chosen = trade.price_usd or (plan.prices or {}).get(trade.asset)
    if chosen is None:
        chosen = recordable(market[trade.asset])
    worth = multiply(trade.quantity, chosen, f"the worth of {trade.asset}")
    fee = multiply(worth, plan.fee, "the fee")
    return PlannedTrade(trade.side, trade.asset, trade.quantity, chosen, worth, fee)


async def _value_with(
    session: AsyncSession,
    valuation: Valuation,
    question: RiskQuestion,
    planned: Sequence[PlannedTrade],
) -> Valuation:
    moment = valuation.moment
    also = [
        Transaction(
            time=moment.as_of,
            type=trade.side,
            asset=trade.asset,
            quantity=trade.quantity,
            price_usd=trade.price_usd,
            fee_usd=trade.fee_usd,
            position=_LAST + at,
        )
        for at, trade in enumerate(planned)
    ]
    try:
        return await value_for(session, valuation.portfolio, moment, question, also)
    except InvalidError as error:
        if "short" not in error.details:
            raise
        raise InvalidError(
            error.message,
            hint="Plan no more than is held, not staked, and paid for.",
            details=error.details,
        ) from None


async def _side(session: AsyncSession, valuation: Valuation, question: RiskQuestion) -> Side:
    return Side(
        await measure_valued(session, valuation, question),
        await attribute_valued(session, valuation, question),
    )
