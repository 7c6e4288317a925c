"""How much of each limit is used: by a portfolio, by all of a user's, and by a trading account."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.money import ZERO, divide, exact
from seawall.core.time import iso
from seawall.market.pairs import USD_STABLECOINS
from seawall.market.prices import FRESH_FOR, USD
from seawall.portfolios import store as portfolios_store
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.valuation import Moment, Valuation, value_portfolio
from seawall.risk.limits import store
from seawall.risk.limits.growth import measure_growth
from seawall.risk.limits.schemas import Amount, LimitName, Used
from seawall.risk.limits.whole import measure_together
from seawall.risk.measure import value_for
from seawall.risk.schemas import DEFAULT_WINDOW, RiskQuestion, RiskReport

HOUR = timedelta(hours=1)
_GROWTH = frozenset({LimitName.MAX_DAILY_LOSS, LimitName.MAX_DRAWDOWN})
_FIGURES: Mapping[LimitName, str] = {
    LimitName.MAX_VAR_95: "var_95",
    LimitName.MAX_EXPECTED_SHORTFALL: "expected_shortfall",
    LimitName.MAX_VOLATILITY: "volatility",
}
FIGURE_LIMITS = frozenset(_FIGURES)
"""The limits that only a risk report tells the use of."""

Uses = Mapping[LimitName, Used]


async def use_of_portfolio(
    session: AsyncSession,
    names: Collection[LimitName],
    valuation: Valuation,
    report: RiskReport | None,
) -> Uses:
    """Tell how much of these limits a valued portfolio uses; figures are its report's."""
    used = await _use_of_values(session, names, (valuation,), valuation.moment)
    for name in FIGURE_LIMITS.intersection(names):
        used[name] = _figure(report, _FIGURES[name])
    return used


def _figure(report: RiskReport | None, slug: str) -> Used:
    if report is None:
        return Used(None, "no risk report was made")
    if report.question.window != DEFAULT_WINDOW:
        window = report.question.window
        return Used(None, f"measured over {window} days, and the limit is over {DEFAULT_WINDOW}")
    value = report.figures[slug]
    if value is None:
        return Used(None, report.reasons.get(slug, "undefined"))
    return Used(max(value, 0.0))


async def use_of_user(
    session: AsyncSession, names: Collection[LimitName], moment: Moment, known: Iterable[Valuation]
) -> Uses:
    """Tell how much of these limits all portfolios and accounts of the bound user use together.

    Portfolios that were valued already, for the same moment, are given and not valued again, but
    for figures, which need their past closes.
    """
    used: dict[LimitName, Used] = {}
    figures = FIGURE_LIMITS.intersection(names)
    if set(names) - {LimitName.MAX_ORDERS_PER_HOUR}:
        done = {} if figures else {each.portfolio.id: each for each in known}
        question = RiskQuestion()
        valued = [
            done.get(each.id)
            or await (
                value_for(session, each, moment, question)
                if figures
                else _value(session, each, moment)
            )
            for each in await portfolios_store.list_portfolios(session)
        ]
        used |= await _use_of_values(session, names, valued, moment)
        if figures:
            report = await measure_together(session, valued, question)
            nothing = Used(None, "nothing is held")
            for name in figures:
                used[name] = nothing if report is None else _figure(report, _FIGURES[name])
    if LimitName.MAX_ORDERS_PER_HOUR in names:
        used[LimitName.MAX_ORDERS_PER_HOUR] = await _orders(session, None, moment)
    return used


async def _value(session: AsyncSession, portfolio: PortfolioRecord, moment: Moment) -> Valuation:
    return await value_portfolio(session, portfolio, moment, portfolio.lot_method)


async def _use_of_values(
    session: AsyncSession,
    names: Collection[LimitName],
    valued: Collection[Valuation],
    moment: Moment,
) -> dict[LimitName, Used]:
    used: dict[LimitName, Used] = {}
    held = _Held.of(valued)
    if LimitName.MAX_POSITION_VALUE in names:
        used[LimitName.MAX_POSITION_VALUE] = held.largest()
    if LimitName.MAX_WEIGHT in names:
        used[LimitName.MAX_WEIGHT] = held.largest_weight()
    if _GROWTH.intersection(names):
        movements = [moved for each in valued for moved in each.state.movements]
        grown = await measure_growth(session, movements, moment)
        growth = {
            LimitName.MAX_DAILY_LOSS: grown.daily_loss,
            LimitName.MAX_DRAWDOWN: grown.drawdown,
        }
        used |= {name: use for name, use in growth.items() if name in names}
    return used


@dataclass(frozen=True, slots=True)
class _Held:
    """What is held of each asset in all places together, in USD."""

    values: Mapping[str, Decimal]
    unpriced: tuple[str, ...]

    @classmethod
    def of(cls, valued: Iterable[Valuation]) -> "_Held":
        values: dict[str, Decimal] = {}
        unpriced: set[str] = set()
        with exact():
            for valuation in valued:
                unpriced.update(valuation.unpriced)
                for each in valuation.holdings:
                    values[each.asset] = values.get(each.asset, ZERO) + (each.value or ZERO)
        return cls(values, tuple(sorted(unpriced)))

    def largest(self) -> Used:
        """Return the largest position; cash is none."""
        positions = {asset: value for asset, value in self.values.items() if asset != USD}
        about = max(positions, key=lambda asset: (positions[asset], asset), default="")
        return Used(positions.get(about, ZERO), self._reason(), about)

    def largest_weight(self) -> Used:
        """Return the largest position as a share of everything, cash included."""
        largest = self.largest()
        with exact():
            total = sum(self.values.values(), ZERO)
        if self.unpriced:
            return Used(None, self._reason())
        if not total or not isinstance(largest.value, Decimal):
            return Used(0.0)
        return Used(float(divide(largest.value, total)), "", largest.about)

    def _reason(self) -> str:
        return f"no price of {', '.join(self.unpriced)} is known" if self.unpriced else ""


async def use_of_account(
    session: AsyncSession,
    names: Collection[LimitName],
    account: store.AccountRecord,
    moment: Moment,
) -> Uses:
    """Tell how much of these limits a trading account uses, by its newest figures and orders."""
    midnight = moment.as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    newest, before = await store.list_account_figures(session, account.id, (moment.as_of, midnight))
    used = {name: _account_figure(newest, name, moment) for name in names}
    if LimitName.MAX_POSITION_VALUE in names:
        used[LimitName.MAX_POSITION_VALUE] = await _position(session, account.id)
    if LimitName.MAX_DAILY_LOSS in names and used[LimitName.MAX_DAILY_LOSS].value is not None:
        used[LimitName.MAX_DAILY_LOSS] = await _account_loss(session, account, newest, before)
    if LimitName.MAX_ORDERS_PER_HOUR in names:
        used[LimitName.MAX_ORDERS_PER_HOUR] = await _orders(session, account.id, moment)
    return used


def _account_figure(newest: store.AccountFigures | None, name: LimitName, moment: Moment) -> Used:
    if newest is None:
        return Used(None, "the account was not measured yet")
    if moment.as_of - newest.time > FRESH_FOR:
        return Used(None, f"the account was last measured at {iso(newest.time)}")
    figures: dict[LimitName, Amount | None] = {
        LimitName.MAX_DAILY_LOSS: newest.value,
        LimitName.MAX_DRAWDOWN: newest.max_drawdown,
        LimitName.MAX_VAR_95: newest.var_95,
        LimitName.MAX_EXPECTED_SHORTFALL: newest.expected_shortfall,
        LimitName.MAX_LEVERAGE: newest.leverage,
    }
    value = figures.get(name)
    if value is None or not math.isfinite(value):
        return Used(None, "the account's history is too short")
    return Used(value)


def _is_usd(asset: str) -> bool:
    return asset == USD or asset in USD_STABLECOINS


async def _position(session: AsyncSession, account_id: UUID) -> Used:
    positions = await store.list_positions(session, account_id)
    others = sorted(pair for pair, quote, _ in positions if not _is_usd(quote))
    reason = f"{', '.join(others)}: not quoted in USD" if others else ""
    priced = [(value, pair) for pair, quote, value in positions if _is_usd(quote)]
    value, about = max(priced, default=(ZERO, ""))
    return Used(value, reason, about)


async def _account_loss(
    session: AsyncSession,
    account: store.AccountRecord,
    newest: store.AccountFigures | None,
    before: store.AccountFigures | None,
) -> Used:
    if not _is_usd(account.currency):
        return Used(None, f"the account is in {account.currency}, and the limit in USD")
    if newest is None or before is None:
        return Used(None, "the account was not measured before today")
    if newest.time - before.time > FRESH_FOR:
        return Used(None, f"the account was last measured before today at {iso(before.time)}")
    came = await store.put_in(session, account.id, before.time, newest.time)
    with exact():
        return Used(max(before.value + came - newest.value, ZERO))


async def _orders(session: AsyncSession, account_id: UUID | None, moment: Moment) -> Used:
    return Used(await store.count_orders(session, account_id, moment.as_of - HOUR))
