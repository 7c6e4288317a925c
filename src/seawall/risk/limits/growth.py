"""What a day lost, and how far the value is below its highest, whatever came in and went out.

Both go by time-weighted growth: money that is paid in is no gain, and money taken out no loss.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import NotFoundError
from seawall.core.money import CONTEXT, ZERO, exact
from seawall.core.time import DAY, from_micros, iso
from seawall.market import store as market_store
from seawall.market.pairs import USD_STABLECOINS
from seawall.market.prices import FRESH_FOR, AssetPrices, read_prices
from seawall.portfolios.performance import FlowPoint, PriceAt, chain, flow_points, value_of
from seawall.portfolios.schemas import Movement
from seawall.portfolios.valuation import Moment, as_decimal
from seawall.risk.limits.schemas import Used

LOOK_BACK = 365
"""Midnights over which the highest value is looked for."""
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Growth:
    """The loss of the day in USD, and the drawdown as a fraction."""

    daily_loss: Used
    drawdown: Used


async def measure_growth(
    session: AsyncSession, movements: Iterable[Movement], moment: Moment
) -> Growth:
    """Measure what the day lost so far and how far the value has fallen.

    `movements` are those of one or several portfolios up to the moment. The day begins at the last
    midnight UTC before the moment. The drawdown is from the highest time-weighted value at any of
    the last 365 midnights, or now.
    """
    moved = sorted(movements, key=lambda each: each.time)
    start = _midnight_before(moment.as_of)
    first = start - LOOK_BACK * DAY
    known = {asset for each in moved for asset, _ in each.changes}
    assets = await market_store.find_assets(session, known)
    moments = {moment.as_of, start} | {each.time for each in moved if each.time >= first}
    prices = await read_prices(
        session, list(assets.values()), moments, (first, start), moment.known_at
    )
    price_at = _Prices(prices, moment.as_of).at
    try:
        loss = Used(_day_loss(moved, start, moment.as_of, price_at))
    except NotFoundError as error:
        loss = Used(None, _plain(error))
    try:
        drawdown = _drawdown(moved, _midnights(first, start), moment.as_of, prices)
    except NotFoundError as error:
        drawdown = Used(None, _plain(error))
    return Growth(loss, drawdown)


def _midnight_before(moment: datetime) -> datetime:
    """Return the midnight before a moment: at midnight itself, the day that has ended counts."""
    return (moment - _INSTANT).replace(hour=0, minute=0, second=0, microsecond=0)


def _midnights(first: datetime, last: datetime) -> list[datetime]:
    return [first + step * DAY for step in range((last - first) // DAY + 1)]


def _plain(error: NotFoundError) -> str:
    return error.message.rstrip(".")


@dataclass(frozen=True, slots=True)
class _Prices:
    """Prices at moments that were read, as far as they are fresh."""

    by_asset: dict[str, AssetPrices]
    as_of: datetime

    def at(self, asset: str, time: datetime) -> Decimal | None:
        found = self.by_asset.get(asset)
        price = None if found is None else found.at(time)
        if price is not None and time - price.time > FRESH_FOR:
            raise NotFoundError(f"the newest price of {asset} at {iso(time)} is {iso(price.time)}")
        return None if price is None else as_decimal(price.usd)

    def closes(self, asset: str) -> dict[datetime, Decimal]:
        """Return the daily closes of the pair that prices an asset now."""
        pair = self.by_asset[asset].best(self.as_of) if asset in self.by_asset else None
        if pair is None:
            return {}
        times = (from_micros(int(each)) for each in pair.closes["known"].astype("i8"))
        values = (as_decimal(float(each)) for each in pair.closes["close"])
        return dict(zip(times, values, strict=True))


def _opening(moved: Sequence[Movement], start: datetime) -> Movement:
    """Return what was held at an instant, as one movement into nothing."""
    held: dict[str, Decimal] = {}
    for each in moved:
        if each.time <= start:
            for asset, change in each.changes:
                held[asset] = CONTEXT.add(held.get(asset, ZERO), change)
    return Movement(start, tuple((asset, left) for asset, left in held.items() if left))


def _day_loss(
    moved: Sequence[Movement], start: datetime, end: datetime, price_at: PriceAt
) -> Decimal:
    opening = _opening(moved, start)
    since = [each for each in moved if start < each.time <= end]
    closing = _opening(moved, end)
    points = flow_points([opening, *since], price_at)
    before = value_of(dict(opening.changes), start, price_at)
    after = value_of(dict(closing.changes), end, price_at)
    with exact():
        lost = before + sum((point.flow for point in points), ZERO) - after
    return max(lost, ZERO)


def _drawdown(
    moved: Sequence[Movement],
    midnights: Sequence[datetime],
    end: datetime,
    prices: dict[str, AssetPrices],
) -> Used:
    known = _Prices(prices, end)
    first = midnights[0]
    opening = _opening(moved, first - _INSTANT)
    since = [each for each in moved if first <= each.time <= end]
    points = [
        *flow_points([opening, *since], known.at),
        *_daily_points(moved, midnights, known),
        _still(end, value_of(dict(_opening(moved, end).changes), end, known.at)),
    ]
    # At one instant a day's close is before what came in with it.
    points.sort(key=lambda point: (point.time, bool(point.flow)))
    growth = chain(points, points[0].before)
    return Used(float(1 - CONTEXT.divide(growth[-1], max(growth)))) if max(growth) else Used(0.0)


def _daily_points(
    moved: Sequence[Movement], midnights: Sequence[datetime], prices: _Prices
) -> Iterator[FlowPoint]:
    """Value what was held at each midnight at which everything held has a close."""
    closes: dict[str, dict[datetime, Decimal]] = {}
    held: dict[str, Decimal] = {}
    waiting = iter([*moved, None])
    upcoming = next(waiting)
    for midnight in midnights:
        while upcoming is not None and upcoming.time < midnight:
            for asset, change in upcoming.changes:
                held[asset] = CONTEXT.add(held.get(asset, ZERO), change)
            upcoming = next(waiting)
        kept = {asset: left for asset, left in held.items() if left}
        for asset in kept:
            if asset not in closes:
                closes[asset] = prices.closes(asset)
        try:
            yield _still(midnight, value_of(kept, midnight, lambda a, t: _close(closes[a], a, t)))
        except NotFoundError:
            # A day without a close is a day on which the value was not looked at.
            continue


def _close(closes: dict[datetime, Decimal], asset: str, time: datetime) -> Decimal | None:
    if not closes and asset in USD_STABLECOINS:
        return Decimal(1)
    return closes.get(time)


def _still(time: datetime, value: Decimal) -> FlowPoint:
    return FlowPoint(time, value, ZERO, value)
