"""True time-weighted return: how the money did, whenever it came and went.

Between two external flows nothing crosses the portfolio's edge, so the growth of such a stretch
is its own. The return is the product of all growths, less one. Source: Global Investment
Performance Standards, "Calculation Methodology", true time-weighted rate of return.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from seawall.core.errors import NotFoundError
from seawall.core.money import CONTEXT, QUANTUM, ZERO, exact
from seawall.core.time import iso
from seawall.portfolios.schemas import CASH, Flow, Movement

PriceAt = Callable[[str, datetime], Decimal | None]
"""The price in USD at which one unit of an asset is valued at a time; None when none is known."""


@dataclass(frozen=True, slots=True)
class FlowPoint:
    """An external flow in USD, positive when it came in, and the value on either side of it.

    Before plus flow need not be after: fees, and a deal off the market's price, make the rest.
    """

    time: datetime
    before: Decimal
    flow: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class TimeWeightedReturn:
    """The return as a fraction (0.1 is 10 %), not annualised; or None with the reason."""

    value: Decimal | None
    reason: str = ""


def time_weighted_return(points: Sequence[FlowPoint], end_value: Decimal) -> TimeWeightedReturn:
    """Chain the growth between flows, from the first flow to the end.

    What comes in counts from the start of the stretch that it opens, what goes out until the end
    of the one that it closes; so the cost of a deal falls on the money that made it, and selling
    everything is not the loss of everything. Stretches in which the portfolio is empty are left
    out. The result is rounded half-even to 18 digits.
    """
    if not points:
        return TimeWeightedReturn(None, "no money has come in yet")
    end = FlowPoint(points[-1].time, end_value, ZERO, end_value)
    try:
        growth = chain((*points, end))[-1]
    except NotFoundError as error:
        return TimeWeightedReturn(None, str(error))
    return TimeWeightedReturn(CONTEXT.subtract(growth, 1).quantize(QUANTUM, context=CONTEXT))


def chain(points: Sequence[FlowPoint], start: Decimal = ZERO) -> list[Decimal]:
    """Multiply the growth of the stretches that end at each point, from a value at the start.

    Raises:
        NotFoundError: a stretch began with nothing and ended with something.
    """
    growth, found = Decimal(1), []
    for point in points:
        came = max(point.flow, ZERO)
        went = min(point.flow, ZERO)
        closing = CONTEXT.subtract(point.after, went) if went else point.before
        factor = _factor(start, closing)
        if factor is None:
            raise NotFoundError(
                f"value appeared in an empty portfolio around {iso(point.time)}, so growth has"
                " no base"
            )
        growth = CONTEXT.multiply(growth, factor)
        found.append(growth)
        start = CONTEXT.add(point.before, came) if came else point.after
    return found


def flow_points(movements: Iterable[Movement], price_at: PriceAt) -> tuple[FlowPoint, ...]:
    """Value a portfolio on either side of each of its external flows, at one set of prices.

    Coins that came in or went out count at the market's price, not at their recorded one.

    Raises:
        NotFoundError: something held at a flow has no price then.
    """
    held: dict[str, Decimal] = {}
    points = []
    with exact():
        for moved in movements:
            flow = moved.flow
            before = value_of(held, moved.time, price_at) if flow else ZERO
            for asset, change in moved.changes:
                held[asset] = held.get(asset, ZERO) + change
                if not held[asset]:
                    del held[asset]
            if flow and (amount := _amount(flow, price_at)):
                changed = value_of(dict(moved.changes), moved.time, price_at)
                points.append(FlowPoint(moved.time, before, amount, before + changed))
    return tuple(points)


def value_of(quantities: Mapping[str, Decimal], time: datetime, price_at: PriceAt) -> Decimal:
    """Sum quantities times prices in USD, without rounding.

    Raises:
        NotFoundError: one of the assets has no price at that time.
    """
    total = ZERO
    for asset, quantity in quantities.items():
        worth = CONTEXT.multiply(quantity, _price(asset, time, price_at))
        total = CONTEXT.add(total, worth)
    return total


def _amount(flow: Flow, price_at: PriceAt) -> Decimal:
    if not flow.quantity:
        return flow.usd
    return flow.usd + flow.quantity * _price(flow.asset, flow.time, price_at)


def _price(asset: str, time: datetime, price_at: PriceAt) -> Decimal:
    if asset == CASH:
        return Decimal(1)
    price = price_at(asset, time)
    if price is None:
        raise NotFoundError(
            f"No price of {asset} is known at {iso(time)}.",
            hint=f"Import prices of {asset} that reach back to then.",
            details={"asset": asset, "time": iso(time)},
        )
    return price


def _factor(start: Decimal, end: Decimal) -> Decimal | None:
    """Return the growth of one stretch, 1 for an empty one, None where nothing became something."""
    if start > 0:
        return CONTEXT.divide(end, start)
    return None if end else Decimal(1)
