"""What a portfolio is worth at an instant, at the prices known then."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError, NotFoundError
from seawall.core.money import ZERO, divide, exact, multiply
from seawall.core.time import DAY, EPOCH, iso
from seawall.db.locks import clock, lock_prices
from seawall.market import store as market_store
from seawall.market.prices import FRESH_FOR, AssetPrices, Price, read_prices
from seawall.portfolios import store
from seawall.portfolios.ledger import replay
from seawall.portfolios.performance import (
    TimeWeightedReturn,
    flow_points,
    time_weighted_return,
)
from seawall.portfolios.schemas import (
    CASH,
    Holding,
    LotMethod,
    PortfolioRecord,
    PortfolioState,
    Transaction,
)

LAST_DAY, LAST_WEEK = DAY, 7 * DAY
"""The periods over which changes of the prices are known besides."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Of when a figure is, what was known to it, and how old a price may be before it is stale."""

    as_of: datetime
    known_at: datetime
    fresh_for: timedelta = FRESH_FOR


@dataclass(frozen=True, slots=True)
class ValuedHolding:
    """A holding at its price; None where no price is known."""

    holding: Holding
    price: Price | None
    value: Decimal | None
    unrealised_profit: Decimal | None
    weight: Decimal | None

    @property
    def asset(self) -> str:
        """The asset's symbol."""
        return self.holding.asset


@dataclass(frozen=True, slots=True)
class Valuation:
    """A portfolio at an instant; sums are None while something held has no price.

    `holdings` are what is held, the most valuable first; cash is the holding of USD.
    `prices` are what each asset was valued with.
    """

    portfolio: PortfolioRecord
    moment: Moment
    state: PortfolioState
    holdings: tuple[ValuedHolding, ...]
    total_value: Decimal | None
    unrealised_profit: Decimal | None
    unpriced: tuple[str, ...]
    prices: dict[str, AssetPrices]
    notes: tuple[str, ...]


async def begin(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    as_of: datetime | None,
    also: Iterable[str] = (),
) -> Moment:
    """Fix of when and with what knowledge a portfolio is looked at, until the transaction ends.

    The portfolio and the prices of its assets, and of those named in `also`, keep still meanwhile.

    Raises:
        InvalidError: `as_of` is in the future, or before anything can have happened.
    """
    await store.lock_portfolio(session, portfolio.id, shared=True)
    held = await store.list_assets(session, portfolio.id)
    await lock_prices(session, {*held, *also}, shared=True)
    known_at = await clock(session)
    if as_of is not None and as_of > known_at:
        raise InvalidError(
            f"{iso(as_of)} is in the future; nothing is known of it.",
            hint="Leave the instant out for now.",
        )
    if as_of is not None and as_of < EPOCH:
        raise InvalidError(f"{iso(as_of)} is before {iso(EPOCH)}, and so before any transaction.")
    return Moment(as_of or known_at, known_at)


async def value_portfolio(
    session: AsyncSession,
    portfolio: PortfolioRecord,
    moment: Moment,
    method: LotMethod,
    *,
    midnights: tuple[datetime, datetime] | None = None,
    at_flows: bool = False,
    also: Sequence[Transaction] = (),
) -> Valuation:
    """Value what a portfolio holds at an instant.

    Its prices are also those of a day and a week before. They cover the daily closes between two
    `midnights`, and with `at_flows` the external flows, which `measure_performance` needs. What is
    in `also` counts as recorded, though it is not. A note names what has a price that is older than
    the moment allows.
    """
    transactions = await store.list_transactions(session, portfolio.id, moment.known_at)
    state = replay([*transactions, *also], method, moment.as_of)
    as_of = moment.as_of
    moments = {as_of, as_of - LAST_DAY, as_of - LAST_WEEK}
    moments |= {flow.time for flow in state.flows if at_flows}
    assets = await market_store.find_assets(session, [each.asset for each in state.holdings])
    prices = await read_prices(session, list(assets.values()), moments, midnights, moment.known_at)
    return _value(portfolio, moment, state, prices)


def _value(
    portfolio: PortfolioRecord,
    moment: Moment,
    state: PortfolioState,
    prices: dict[str, AssetPrices],
) -> Valuation:
    if state.cash:
        prices = prices | {CASH: AssetPrices(CASH, ())}
    priced = [(holding, prices[holding.asset].at(moment.as_of)) for holding in state.held]
    unpriced = tuple(holding.asset for holding, price in priced if price is None)
    with exact():
        values = {
            holding.asset: multiply(
                holding.quantity, as_decimal(price.usd), f"the value of {holding.asset}"
            )
            for holding, price in priced
            if price is not None
        }
        total = None if unpriced else sum(values.values(), ZERO)
        cost = state.totals.cost_basis + (state.cash or ZERO)
        holdings = [
            _value_holding(holding, price, values.get(holding.asset), total)
            for holding, price in priced
        ]
        unrealised = None if total is None else total - cost
    holdings.sort(key=lambda each: (-(each.value or ZERO), each.asset))
    return Valuation(
        portfolio=portfolio,
        moment=moment,
        state=state,
        holdings=tuple(holdings),
        total_value=total,
        unrealised_profit=unrealised,
        unpriced=unpriced,
        prices=prices,
        notes=_notes(state, priced, moment, unpriced),
    )


def _value_holding(
    holding: Holding, price: Price | None, value: Decimal | None, total: Decimal | None
) -> ValuedHolding:
    return ValuedHolding(
        holding=holding,
        price=price,
        value=value,
        unrealised_profit=None if value is None else value - holding.cost_basis,
        weight=divide(value, total) if value is not None and total else None,
    )


def as_decimal(price: float) -> Decimal:
    """Return a measured price as the shortest decimal that stands for it."""
    return Decimal(repr(price))


def _notes(
    state: PortfolioState,
    priced: Sequence[tuple[Holding, Price | None]],
    moment: Moment,
    unpriced: tuple[str, ...],
) -> tuple[str, ...]:
    notes = [*state.notes]
    assumptions: dict[str, list[str]] = {}
    for holding, price in priced:
        if price is not None and price.note:
            assumptions.setdefault(price.note, []).append(holding.asset)
    notes += [f"{', '.join(assets)}: {note}." for note, assets in assumptions.items()]
    stale: dict[datetime, list[str]] = {}
    for holding, price in priced:
        if price is not None and moment.as_of - price.time > moment.fresh_for:
            stale.setdefault(price.time, []).append(holding.asset)
    since = [f"{', '.join(assets)} since {iso(time)}" for time, assets in sorted(stale.items())]
    if since:
        notes.append(f"Prices are stale: {'; '.join(since)}.")
    if unpriced:
        missing = ", ".join(unpriced)
        notes.append(f"No price of {missing} is known, so the totals are not either.")
    return tuple(notes)


def measure_performance(valuation: Valuation) -> TimeWeightedReturn:
    """Return a valued portfolio's true time-weighted return since its first flow."""
    at = valuation.prices

    def price_at(asset: str, time: datetime) -> Decimal | None:
        price = at[asset].at(time)
        if price is not None and time - price.time > FRESH_FOR:
            raise NotFoundError(
                f"The newest price of {asset} at {iso(time)} is of {iso(price.time)}.",
                hint=f"Import prices of {asset} for then.",
            )
        return None if price is None else as_decimal(price.usd)

    if valuation.total_value is None:
        return TimeWeightedReturn(None, f"no price of {', '.join(valuation.unpriced)} is known")
    try:
        points = flow_points(valuation.state.movements, price_at)
    except NotFoundError as error:
        return TimeWeightedReturn(None, str(error))
    return time_weighted_return(points, valuation.total_value)
