"""The trades that bring a portfolio to target weights: with costs, and the gains that they realise.

Nothing here is executed or stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from seawall.core.errors import InvalidError
from seawall.core.money import CONTEXT, ZERO, divide, exact, multiply, plain
from seawall.market.store import OrderRules
from seawall.portfolios.lots import leaving
from seawall.portfolios.schemas import CASH, Holding, Lot, TransactionType
from seawall.portfolios.valuation import Valuation, ValuedHolding, as_decimal

PLACES = 8
"""Decimal places of a quantity where the pair's are not known."""
ONE = Decimal(1)
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class TradingCosts:
    """What trading costs, as fractions of what is traded, and how far a weight may be off.

    Sells are expected below and buys above the price by the slippage. A weight within `band` of
    its target is left alone.

    Raises:
        InvalidError: one of them is not in [0, 1).
    """

    fee: Decimal = ZERO
    slippage: Decimal = ZERO
    band: Decimal = ZERO

    def __post_init__(self) -> None:
        for name, value in (("fee", self.fee), ("slippage", self.slippage), ("band", self.band)):
            if not (value.is_finite() and 0 <= value < 1):
                raise InvalidError(
                    f"A {name} of {value} is not a fraction below 1.",
                    hint="Write 0.1 % as 0.001.",
                )


@dataclass(frozen=True, slots=True)
class LotSale:
    """A part of a lot that a sale would take: its share of proceeds after the fee, and profit."""

    acquired: datetime
    held_days: int
    quantity: Decimal
    cost_basis: Decimal
    proceeds_usd: Decimal
    profit_usd: Decimal


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade that is proposed; `price_usd` is expected after slippage.

    `value_usd` is quantity times that price, `slippage_usd` what it differs from at the market's.
    `cash_usd` is what it brings, negative for a buy. A sell's `lots` are what it takes, and
    `realised_usd` their profit; of a buy it is None.
    """

    asset: str
    side: TransactionType
    quantity: Decimal
    price_usd: Decimal
    value_usd: Decimal
    fee_usd: Decimal
    slippage_usd: Decimal
    cash_usd: Decimal
    realised_usd: Decimal | None = None
    lots: tuple[LotSale, ...] = ()


@dataclass(frozen=True, slots=True)
class RebalancePlan:
    """Trades, sells first, with what they cost and leave.

    `cash_before` is None for a portfolio that records no cash: sells then pay for buys, and
    `cash_after` is what is paid out to outside. `weights` are those after the trades at the
    market's prices, of what the portfolio is worth then.
    """

    trades: tuple[Trade, ...]
    cash_before: Decimal | None
    cash_after: Decimal
    turnover_usd: Decimal
    fees_usd: Decimal
    slippage_usd: Decimal
    realised_usd: Decimal
    weights: Mapping[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Position:
    """A holding beside its target."""

    holding: Holding
    price: Decimal
    value: Decimal
    target: Decimal
    rules: OrderRules

    @property
    def asset(self) -> str:
        return self.holding.asset


def plan_rebalance(
    valuation: Valuation,
    targets: Mapping[str, float],
    costs: TradingCosts,
    rules: Mapping[str, OrderRules],
) -> RebalancePlan:
    """Plan the trades from what a valued portfolio holds to target weights of its value.

    What has no target is left as it is; what is not targeted or sold stays, and costs come off
    everything that is targeted alike. The target of cash is what the others leave. Quantities are
    rounded down to the pair's decimal places, 8 where these are not known. A sell takes no more
    than is held and not staked; buys shrink together to what there is to pay for them.

    Raises:
        InvalidError: the portfolio's value is not known, or a target is of nothing that is held.
    """
    if not valuation.total_value:
        raise InvalidError("A portfolio of no known value cannot be rebalanced.")
    held = {each.asset: each for each in valuation.holdings if each.asset != CASH}
    unknown = sorted(set(targets) - set(held) - {CASH})
    if unknown:
        raise InvalidError(f"{', '.join(unknown)} is not held, so it has no price to trade at.")
    positions = [
        _position(held[asset], target, rules.get(asset, OrderRules()))
        for asset, target in sorted(targets.items())
        if asset != CASH
    ]
    with exact():
        return _plan(valuation, positions, as_decimal(targets.get(CASH, 0.0)), costs)


def _position(each: ValuedHolding, target: float, rules: OrderRules) -> _Position:
    if each.price is None or each.value is None:
        raise InvalidError(f"No price of {each.asset} is known.")
    # A rounding error below 0 would be the sale of more than everything.
    wanted = max(as_decimal(float(target)), ZERO)
    return _Position(each.holding, as_decimal(each.price.usd), each.value, wanted, rules)


def _plan(
    valuation: Valuation, positions: list[_Position], cash_target: Decimal, costs: TradingCosts
) -> RebalancePlan:
    total, cash = valuation.total_value or ZERO, valuation.state.cash
    changes, worth = _changes(positions, total, costs)
    notes: list[str] = []
    as_of = valuation.moment.as_of
    sells = [
        trade
        for each in positions
        if changes[each.asset] < 0
        and (trade := _sell(each, -changes[each.asset], costs, as_of, notes)) is not None
    ]
    proceeds = sum((trade.cash_usd for trade in sells), ZERO)
    budget = max((cash or ZERO) + proceeds - multiply(cash_target, worth), ZERO)
    buys = _buys([each for each in positions if changes[each.asset] > 0], changes, budget, costs)
    kept = [trade for trade in (_checked(*each, notes) for each in buys) if trade is not None]
    trades = (*sells, *kept)
    after = (cash or ZERO) + sum((trade.cash_usd for trade in trades), ZERO)
    still = [each.asset for each in positions if not changes[each.asset] and costs.band]
    if still:
        notes.append(f"Within the band of {plain(costs.band * 100)} %: {', '.join(still)}.")
    if cash is None and trades:
        notes.append(f"No cash is recorded: {plain(_cents(after))} USD would be paid out.")
    return RebalancePlan(
        trades=trades,
        cash_before=cash,
        cash_after=after,
        turnover_usd=sum((trade.value_usd for trade in trades), ZERO),
        fees_usd=sum((trade.fee_usd for trade in trades), ZERO),
        slippage_usd=sum((trade.slippage_usd for trade in trades), ZERO),
        realised_usd=sum((trade.realised_usd or ZERO for trade in sells), ZERO),
        weights=_weights(valuation, trades, after),
        notes=tuple(notes),
    )


def _changes(
    positions: list[_Position], total: Decimal, costs: TradingCosts
) -> tuple[dict[str, Decimal], Decimal]:
    """Return by how much the value of each position has to change, and what is left after costs.

    0 is no change, for what is within the band. Costs come off the value of which the targets are
    shares, and depend on the changes; each round brings the two closer by the rate of the costs.
    """
    rate, worth = costs.fee + costs.slippage, total
    changes: dict[str, Decimal] = {}
    for _ in range(_ROUNDS):
        changes = {each.asset: _change(each, worth, total, costs.band) for each in positions}
        spent = sum((change.copy_abs() for change in changes.values()), ZERO)
        left = total - multiply(spent, rate)
        if (left - worth).copy_abs() < Decimal("1e-9"):
            break
        worth = left
    return changes, worth


def _change(each: _Position, worth: Decimal, total: Decimal, band: Decimal) -> Decimal:
    change = multiply(each.target, worth) - each.value
    off = (each.target - divide(each.value, total)).copy_abs()
    # What is to go entirely goes, however little it is.
    return ZERO if off <= band and (each.target or not each.value) else change


def _sell(
    each: _Position, amount: Decimal, costs: TradingCosts, as_of: datetime, notes: list[str]
) -> Trade | None:
    wanted = each.holding.quantity if not each.target else divide(amount, each.price)
    free = each.holding.free
    if wanted > free:
        notes.append(
            f"{each.asset}: {plain(each.holding.staked)} is staked and cannot be sold;"
            f" {plain(_rounded(wanted, each.rules))} should be."
        )
    quantity = _rounded(min(wanted, free), each.rules)
    trade = _checked(each, _trade(each, TransactionType.SELL, quantity, costs), notes)
    if trade is None:
        return None
    lots = _lot_sales(leaving(each.holding.queue, trade.quantity), trade, as_of)
    return replace(trade, lots=lots, realised_usd=sum((lot.profit_usd for lot in lots), ZERO))


def _lot_sales(parts: tuple[Lot, ...], trade: Trade, as_of: datetime) -> tuple[LotSale, ...]:
    """Share a sale's proceeds among the lots by quantity; the last takes what rounding leaves."""
    sales, left = [], trade.cash_usd
    for at, part in enumerate(parts):
        share = divide(CONTEXT.multiply(trade.cash_usd, part.quantity), trade.quantity)
        proceeds = left if at == len(parts) - 1 else share
        left -= proceeds
        sales.append(
            LotSale(
                acquired=part.acquired,
                held_days=(as_of - part.acquired).days,
                quantity=part.quantity,
                cost_basis=part.cost_basis,
                proceeds_usd=proceeds,
                profit_usd=proceeds - part.cost_basis,
            )
        )
    return tuple(sales)


def _buys(
    positions: list[_Position],
    changes: Mapping[str, Decimal],
    budget: Decimal,
    costs: TradingCosts,
) -> list[tuple[_Position, Trade]]:
    """Plan buys that cost the budget together at the most, each less in the same proportion."""
    dearer = (ONE + costs.slippage) * (ONE + costs.fee)
    needed = multiply(sum((changes[each.asset] for each in positions), ZERO), dearer)
    share = min(ONE, CONTEXT.divide(budget, needed)) if needed else ZERO
    planned = []
    for each in positions:
        amount = CONTEXT.multiply(changes[each.asset], share)
        quantity = _rounded(CONTEXT.divide(amount, each.price), each.rules)
        trade = _trade(each, TransactionType.BUY, quantity, costs)
        # The worth and the fee are rounded half-even, so the last digit may be too much.
        if -trade.cash_usd > budget:
            step = ONE.scaleb(-_places(each.rules))
            trade = _trade(each, TransactionType.BUY, max(quantity - step, ZERO), costs)
        budget += trade.cash_usd
        planned.append((each, trade))
    return planned


def _trade(each: _Position, side: TransactionType, quantity: Decimal, costs: TradingCosts) -> Trade:
    way = ONE if side is TransactionType.BUY else -ONE
    price = multiply(each.price, ONE + way * costs.slippage)
    value = multiply(quantity, price)
    fee = multiply(value, costs.fee)
    slippage = (value - multiply(quantity, each.price)) * way
    return Trade(each.asset, side, quantity, price, value, fee, slippage, -way * value - fee)


def _checked(each: _Position, trade: Trade, notes: list[str]) -> Trade | None:
    """Drop an order that is too small for its exchange, and say so; say when it is too large."""
    rules = each.rules
    if not trade.quantity:
        return None
    if rules.least is not None and trade.quantity < rules.least:
        notes.append(
            f"{each.asset}: a {trade.side} of {plain(trade.quantity)} is below the least order of"
            f" {plain(rules.least)} and left out."
        )
        return None
    if rules.most is not None and trade.quantity > rules.most:
        notes.append(f"{each.asset}: more than one order of at most {plain(rules.most)} is needed.")
    return trade


def _weights(valuation: Valuation, trades: tuple[Trade, ...], cash: Decimal) -> dict[str, float]:
    """Return what each holding weighs after the trades, at the market's prices."""
    moved = {
        trade.asset: trade.quantity if trade.side is TransactionType.BUY else -trade.quantity
        for trade in trades
    }
    values = {
        each.asset: multiply(
            each.holding.quantity + moved.get(each.asset, ZERO), as_decimal(each.price.usd)
        )
        for each in valuation.holdings
        if each.price is not None and each.asset != CASH
    }
    if cash and valuation.state.cash is not None:
        values[CASH] = cash
    total = sum(values.values(), ZERO)
    return {asset: float(divide(value, total)) if total else 0.0 for asset, value in values.items()}


def _places(rules: OrderRules) -> int:
    return PLACES if rules.places is None else rules.places


def _rounded(quantity: Decimal, rules: OrderRules) -> Decimal:
    step = ONE.scaleb(-_places(rules))
    rounded = CONTEXT.divide(quantity, step).to_integral_value(ROUND_DOWN)
    return rounded * step


def _cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))
