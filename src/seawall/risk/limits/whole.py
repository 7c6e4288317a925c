"""The figures of everything that a user has, put together as if it were one portfolio."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.money import ZERO, exact
from seawall.market.prices import AssetPrices
from seawall.portfolios.valuation import Valuation, ValuedHolding
from seawall.risk.measure import measure_valued
from seawall.risk.schemas import RiskQuestion, RiskReport


async def measure_together(
    session: AsyncSession, valued: Sequence[Valuation], question: RiskQuestion
) -> RiskReport | None:
    """Measure portfolios that were valued for the same question as one; None where none is held.

    The report is of no portfolio, and is not to be kept.
    """
    if not any(each.holdings for each in valued):
        return None
    return await measure_valued(session, put_together(valued), question)


def put_together(valued: Sequence[Valuation]) -> Valuation:
    """Add up what portfolios hold of each asset, at the prices that all of them have.

    Of what each has besides, such as lots and flows, there is only that of the first.
    """
    held: dict[str, ValuedHolding] = {}
    prices: dict[str, AssetPrices] = {}
    with exact():
        for each in valued:
            prices |= each.prices
            for holding in each.holdings:
                before = held.get(holding.asset)
                held[holding.asset] = holding if before is None else _add(before, holding)
        totals = [each.total_value for each in valued]
        known = [total for total in totals if total is not None]
        total = sum(known, ZERO) if len(known) == len(totals) else None
    return replace(
        valued[0],
        holdings=tuple(held.values()),
        total_value=total,
        unrealised_profit=None,
        unpriced=tuple(sorted({asset for each in valued for asset in each.unpriced})),
        prices=prices,
        notes=(),
    )


def _add(one: ValuedHolding, other: ValuedHolding) -> ValuedHolding:
    together = replace(one.holding, quantity=one.holding.quantity + other.holding.quantity)
    value = None if one.value is None or other.value is None else one.value + other.value
    return replace(one, holding=together, value=value, unrealised_profit=None, weight=None)
