"""What follows from transactions and prices, stored: lots, holdings, totals and snapshots.

The ledger decides; this only writes down where it stands, in the transaction that moved it.
"""

import math
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.money import LIMIT, ZERO, exact
from seawall.market import store as market_store
from seawall.market.prices import FRESH_FOR, AssetPrices
from seawall.portfolios import store
from seawall.portfolios.ledger import replay
from seawall.portfolios.projecting import store as projected
from seawall.portfolios.schemas import HeadlineRisk, HoldingPrice, PortfolioState, Snapshot
from seawall.portfolios.valuation import LAST_DAY, LAST_WEEK, Valuation, ValuedHolding, as_decimal


async def project_holdings(
    session: AsyncSession, portfolio_id: UUID, stamp: datetime, state: PortfolioState | None = None
) -> None:
    """Make the stored lots and holdings of a portfolio what its transactions amount to.

    Only what changed is written, stamped with `stamp`. The caller holds the portfolio's lock, and
    gives the ledger's `state` after all transactions, by the portfolio's method, when it has it.
    """
    if state is None:
        portfolio = await store.get_portfolio(session, portfolio_id)
        transactions = await store.list_transactions(session, portfolio_id)
        state = replay(transactions, portfolio.lot_method)
    await _write(session, portfolio_id, state, stamp)
    await projected.sum_holdings(session, portfolio_id)


async def snapshot_portfolio(
    session: AsyncSession, valuation: Valuation, risk: HeadlineRisk
) -> None:
    """Keep what a portfolio was worth, by its own lot method, and how risky that was.

    There is no snapshot while something held has no price. The holdings' prices, the portfolio's
    totals and its risk become those of the valuation, unless it is older than they are or than the
    last transaction. The caller holds the portfolio's lock.
    """
    portfolio_id, moment = valuation.portfolio.id, valuation.moment
    if valuation.total_value is not None:
        snapshot = _snapshot(valuation, valuation.total_value)
        await projected.add_snapshot(session, portfolio_id, snapshot)
    if not await projected.is_newest(session, portfolio_id, moment.as_of):
        return
    if not await store.list_holdings(session, portfolio_id):
        # Its transactions may be older than the table of holdings is.
        await _write(session, portfolio_id, valuation.state, moment.known_at)
    prices = {each.asset: _price(valuation, each) for each in valuation.holdings}
    assets = await market_store.find_assets(session, prices)
    by_id = {assets[symbol].id: price for symbol, price in prices.items()}
    await projected.price_holdings(session, portfolio_id, by_id, moment.known_at)
    await projected.sum_holdings(session, portfolio_id)
    await projected.set_headline(session, portfolio_id, moment.as_of, risk)


async def _write(
    session: AsyncSession, portfolio_id: UUID, state: PortfolioState, stamp: datetime
) -> None:
    assets = await market_store.find_assets(session, (holding.asset for holding in state.held))
    by_id = {assets[holding.asset].id: holding for holding in state.held}
    await projected.write_lots(session, portfolio_id, by_id)
    await projected.write_holdings(session, portfolio_id, by_id, stamp)


def _snapshot(valuation: Valuation, total_value: Decimal) -> Snapshot:
    state = valuation.state
    cash = state.cash or ZERO
    with exact():
        invested = state.totals.cost_basis + cash
    return Snapshot(
        time=valuation.moment.as_of,
        known_at=valuation.moment.known_at,
        total_value_usd=total_value,
        total_invested_usd=invested,
        cash_usd=cash,
        holdings_count=len(valuation.holdings),
    )


def _price(valuation: Valuation, valued: ValuedHolding) -> HoldingPrice:
    prices, as_of = valuation.prices[valued.asset], valuation.moment.as_of
    price = None if valued.price is None else as_decimal(valued.price.usd)
    return HoldingPrice(
        price if price is not None and price < LIMIT else None,
        change_24h=_change(prices, as_of, LAST_DAY),
        change_7d=_change(prices, as_of, LAST_WEEK),
    )


def _change(prices: AssetPrices, as_of: datetime, period: timedelta) -> float | None:
    """Return by how many percent a price changed; None when it was or is not known freshly."""
    pair = prices.best(as_of)
    if pair is None:
        return None
    # Of the same pair, or a difference between two exchanges would count as a change.
    now, before = pair.at[as_of], pair.at.get(as_of - period)
    if before is None or as_of - now.time > FRESH_FOR:
        return None
    if as_of - period - before.time > FRESH_FOR:
        return None
    change = (now.usd / before.usd - 1) * 100
    return change if math.isfinite(change) else None
