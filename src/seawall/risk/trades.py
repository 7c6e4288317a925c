"""Trades before they are made: how they are read, and which ones lead to given weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

from seawall.core.errors import InvalidError
from seawall.core.money import CONTEXT, QUANTUM, ZERO, exact, multiply, parse_amount, plain
from seawall.portfolios.schemas import CASH, TransactionType
from seawall.portfolios.valuation import Valuation, as_decimal

_HINT = 'Write it like "buy 0.5 BTC" or "sell 10 ETH at 3000".'
_SIDES = {"buy": TransactionType.BUY, "sell": TransactionType.SELL}
_PLAIN_WORDS, _PRICED_WORDS = 3, 5
_WHOLE = Decimal(1)
_ROUNDS = 200
_ROUNDINGS = 4 * QUANTUM
"""By how much the rounding of its amounts can make a trade dearer, in USD."""


@dataclass(frozen=True, slots=True)
class Trade:
    """So much of an asset to buy or to sell; at the market's price where none is given."""

    side: TransactionType
    asset: str
    quantity: Decimal
    price_usd: Decimal | None = None


def parse_trade(text: str) -> Trade:
    """Read a trade such as "buy 0.5 BTC" or "sell 10 ETH at 3000".

    Raises:
        InvalidError: it is not one, or its quantity or price is not above zero.
    """
    words = text.split()
    side = _SIDES.get(words[0].lower()) if words else None
    priced = len(words) == _PRICED_WORDS and words[3].lower() == "at"
    if side is None or not (len(words) == _PLAIN_WORDS or priced):
        raise InvalidError(f"{text!r} is not a trade.", hint=_HINT)
    return plan_trade(side, words[2], words[1], words[4] if priced else None)


def plan_trade(side: TransactionType, asset: str, quantity: str, price: str | None) -> Trade:
    """Read the parts of a trade; at the market's price where none is given.

    Raises:
        InvalidError: the asset is cash, or the quantity or price is not above zero.
    """
    name = asset.strip().upper()
    if name == CASH:
        raise InvalidError(
            f"{CASH} is what trades are paid with, and is not traded itself.", hint=_HINT
        )
    paid = None if price is None else _above_zero(price, "the price")
    return Trade(side, name, _above_zero(quantity, "the quantity"), paid)


def parse_prices(texts: Sequence[str], trades: Sequence[Trade]) -> dict[str, Decimal]:
    """Read prices such as BTC=60000; a number alone is the price of the one asset traded.

    Raises:
        InvalidError: one is not a price above zero, or is of nothing that is traded.
    """
    traded = sorted({trade.asset for trade in trades})
    prices = {}
    for text in texts:
        name, separator, amount = text.rpartition("=")
        asset = name.strip().upper()
        if not separator and len(traded) == 1:
            asset = traded[0]
        if asset not in traded:
            raise InvalidError(
                f"The price {text!r} is of none of the assets traded: {', '.join(traded)}.",
                hint="Write it as ASSET=PRICE.",
            )
        prices[asset] = _above_zero(amount, f"the price of {asset}")
    return prices


def parse_fraction(text: str, what: str) -> Decimal:
    """Read a fraction from 0 to 1, as 0.1 or as 10 %.

    Raises:
        InvalidError: it is not one.
    """
    stripped = text.strip()
    percent = stripped.endswith("%")
    value = parse_amount(stripped.removesuffix("%"), what)
    value = value.scaleb(-2) if percent else value
    if not 0 <= value <= 1:
        raise InvalidError(f"{what} {text!r} is not between 0 and 100 %.")
    return value


def parse_weights(text: str) -> dict[str, Decimal]:
    """Read target weights such as BTC=50%,ETH=30%,USD=20%, which add up to 100 %.

    Raises:
        InvalidError: they are not weights, name an asset twice, or add up to something else.
    """
    weights: dict[str, Decimal] = {}
    for each in text.split(","):
        name, separator, share = each.partition("=")
        asset = name.strip().upper()
        if not separator or not asset:
            raise InvalidError(
                f"{each!r} is not a weight.", hint="Write them like BTC=50%,ETH=30%,USD=20%."
            )
        if asset in weights:
            raise InvalidError(f"{asset} has two weights.")
        weights[asset] = parse_fraction(share, f"the weight of {asset}")
    return check_weights(weights)


def check_weights(weights: dict[str, Decimal]) -> dict[str, Decimal]:
    """Return weights that add up to everything.

    Raises:
        InvalidError: they add up to something else.
    """
    total = sum(weights.values(), ZERO)
    if total != 1:
        raise InvalidError(f"The weights add up to {plain(100 * total)} %, not to 100 %.")
    return weights


def _above_zero(text: str, what: str) -> Decimal:
    value = parse_amount(text, what)
    if value <= 0:
        raise InvalidError(f"{what} {text} is not above zero.", hint=_HINT)
    return value


def trades_to(
    weights: Mapping[str, Decimal],
    valuation: Valuation,
    prices: Mapping[str, float],
    fee: Decimal,
) -> tuple[Trade, ...]:
    """Find the trades, sales first, after which a portfolio has these weights; the rest is sold.

    `prices` has each asset's market price in USD. Cash pays the fees where it is kept, so that the
    weights are of what is left after them.

    Raises:
        InvalidError: the portfolio has no value, or keeps no cash and is to have some.
    """
    keeps_cash = valuation.state.cash is not None
    total = _weighable(valuation, weights, keeps_cash=keeps_cash)
    held = {
        each.asset: (each.holding.quantity, each.value or ZERO)
        for each in valuation.holdings
        if each.asset != CASH
    }
    with exact():
        values = {
            asset: held.get(asset, (ZERO, ZERO))[1] for asset in sorted({*held, *weights} - {CASH})
        }
        left = _after_fees(total, values, weights, fee) if keeps_cash else total
        found = [
            _move(asset, weights[asset] * left - value, recordable(prices[asset]))
            if weights.get(asset)
            else Trade(TransactionType.SELL, asset, held.get(asset, (ZERO, ZERO))[0])
            for asset, value in values.items()
        ]
        sales = [each for each in found if each.side is TransactionType.SELL]
        purchases = [each for each in found if each.side is TransactionType.BUY]
        if keeps_cash:
            cash = valuation.state.cash or ZERO
            cash += sum((_paid(each, prices, -fee) for each in sales), ZERO)
            purchases = _within(cash, purchases, prices, fee)
    return tuple(each for each in (*sales, *purchases) if each.quantity)


def _weighable(
    valuation: Valuation, weights: Mapping[str, Decimal], *, keeps_cash: bool
) -> Decimal:
    """Return the value that is to be weighed."""
    if not valuation.total_value:
        raise InvalidError(
            "A portfolio without a known value above zero cannot be given weights.",
            hint="Name the trades instead.",
        )
    if weights.get(CASH) and not keeps_cash:
        raise InvalidError(
            f"The portfolio keeps no cash, so {CASH} can have no weight in it.",
            hint=f"Leave {CASH} out, or record a deposit of {CASH} first.",
        )
    return valuation.total_value


def recordable(price: float) -> Decimal:
    """Return a market price as finely as a trade at it can be recorded."""
    return multiply(as_decimal(price), _WHOLE, "the price")


def _paid(trade: Trade, prices: Mapping[str, float], fee: Decimal) -> Decimal:
    return trade.quantity * recordable(prices[trade.asset]) * (1 + fee)


def _within(
    cash: Decimal, purchases: Sequence[Trade], prices: Mapping[str, float], fee: Decimal
) -> list[Trade]:
    """Buy a little less where rounding made it cost more than there is."""
    needed = sum((_paid(each, prices, fee) for each in purchases), ZERO)
    room = cash - _ROUNDINGS * (len(prices) + 1)
    if needed <= room or not needed:
        return list(purchases)
    part = CONTEXT.divide(max(room, ZERO), needed)
    return [
        replace(each, quantity=(each.quantity * part).quantize(QUANTUM, ROUND_DOWN, CONTEXT))
        for each in purchases
    ]


def _move(asset: str, worth: Decimal, price: Decimal) -> Trade:
    """Buy or sell so much worth of an asset, never more than that."""
    if not price:
        raise InvalidError(f"{asset} is priced at 0, so no quantity of it has a weight.")
    quantity = CONTEXT.divide(worth.copy_abs(), price).quantize(QUANTUM, ROUND_DOWN, CONTEXT)
    side = TransactionType.BUY if worth > 0 else TransactionType.SELL
    return Trade(side, asset, quantity)


def _after_fees(
    total: Decimal, values: Mapping[str, Decimal], weights: Mapping[str, Decimal], fee: Decimal
) -> Decimal:
    """Solve for the value that is left when the fees for coming to the weights are paid of it."""
    left = total
    for _ in range(_ROUNDS):
        moved = sum(
            (
                (weights.get(asset, ZERO) * left - value).copy_abs()
                for asset, value in values.items()
            ),
            ZERO,
        )
        before, left = left, max(ZERO, CONTEXT.subtract(total, CONTEXT.multiply(fee, moved)))
        if (left - before).copy_abs() < QUANTUM:
            break
    return left
