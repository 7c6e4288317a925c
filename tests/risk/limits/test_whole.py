"""Value at risk, shortfall and volatility of all that a user has: of one portfolio with it."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from seawall.db.locks import clock
from seawall.portfolios.valuation import Moment
from seawall.risk.limits.block import is_blocked
from seawall.risk.limits.check import check_limits, check_user
from seawall.risk.limits.schemas import LimitName
from seawall.risk.limits.whole import put_together
from seawall.risk.measure import measure_portfolio, value_for
from seawall.risk.schemas import RiskQuestion

from .conftest import START, Desk

DAYS = 120
NAMES = {
    "max_var_95": "var_95",
    "max_expected_shortfall": "expected_shortfall",
    "max_volatility": "volatility",
}
ROWS = (
    ("2024-01-01,deposit,USD,5000,,,", "2024-01-02,buy,BTC,1.25,100,0,"),
    ("2024-01-02,deposit,BTC,0.5,100,0,", "2024-01-02,deposit,ETH,3,100,0,"),
    ("2024-01-02,deposit,SOL,7,100,0,",),
)


async def _prices(desk: Desk) -> None:
    random = np.random.default_rng(4)
    market = random.normal(0, 0.02, DAYS)
    for pair, sign in (("BTC/USD", 1.0), ("ETH/USD", 1.5), ("SOL/USD", -0.5)):
        moves = sign * market + random.normal(0, 0.01, DAYS)
        await desk.prices(pair, *(100 * np.exp(np.cumsum(moves))).tolist())


async def _moment(desk: Desk, days: float = DAYS) -> Moment:
    return Moment(START + timedelta(days=days), await clock(desk.session))


async def test_the_whole_is_one_portfolio_with_all_that_each_holds(desk: Desk) -> None:
    await _prices(desk)
    parts = [await desk.portfolio(*rows, name=f"No. {n}") for n, rows in enumerate(ROWS)]
    await desk.portfolio(name="Empty")
    await desk.limit(max_var_95=0.5, max_expected_shortfall=0.5, max_volatility=0.5, max_weight=0.9)
    found = await check_user(desk.session, await _moment(desk))
    one = await desk.portfolio(*(row for rows in ROWS for row in rows), name="One")
    moment = await _moment(desk)
    expected = await measure_portfolio(desk.session, one, moment, RiskQuestion())
    used = {each.name.value: each.used.value for each in found.uses}
    assert {name: used[name] for name in NAMES} == {
        name: expected.figures[slug] for name, slug in NAMES.items()
    }
    assert used["max_weight"] is not None
    # It is less than the sum of its parts: one falls when the other rises.
    alone = [
        (await measure_portfolio(desk.session, each, moment, RiskQuestion())).figures["var_95"]
        for each in parts
    ]
    assert 0 < float(str(used["max_var_95"])) < max(each for each in alone if each is not None)


async def test_it_breaks_once_blocks_everything_and_is_cured(desk: Desk) -> None:
    await _prices(desk)
    await desk.portfolio(*ROWS[1], name="Volatile")
    calm = await desk.portfolio("2024-01-01,deposit,USD,100,,,", name="Calm")
    await desk.limit(max_volatility=0.2, blocking=(LimitName.MAX_VOLATILITY,))
    first = (await check_user(desk.session, await _moment(desk))).breaches
    assert [each.limit_name for each in first] == [LimitName.MAX_VOLATILITY]
    # A portfolio's own check looks at everything too, and finds the same.
    valued = await desk.value(calm, DAYS)
    again = await check_limits(desk.session, valued)
    assert [each.id for each in again.breaches] == [each.id for each in first]
    block = await is_blocked(desk.session, portfolio_id=calm.id)
    assert block is not None
    assert block.names == (LimitName.MAX_VOLATILITY,)
    # With so much cash, nothing else counts.
    await desk.portfolio("2024-01-02,deposit,USD,1000000,,,", name="Cash")
    cured = await check_user(desk.session, await _moment(desk))
    assert [each.id for each in cured.resolved] == [each.id for each in first]
    assert await is_blocked(desk.session, portfolio_id=calm.id) is None


async def test_what_cannot_be_told_is_said(desk: Desk) -> None:
    await _prices(desk)
    await desk.limit(max_var_95=0.1)
    (nothing,) = (await check_user(desk.session, await _moment(desk))).uses
    assert (nothing.used.value, nothing.used.reason) == (None, "nothing is held")
    await desk.portfolio(*ROWS[0], name="Known")
    await desk.portfolio("2024-01-02,deposit,NOPRICE,1,5,,", name="Unknown")
    (unknown,) = (await check_user(desk.session, await _moment(desk))).uses
    assert unknown.used.reason == "no price of NOPRICE is known"
    assert not unknown.is_broken
    assert not unknown.is_kept


async def test_a_coin_in_two_portfolios_is_one_holding(desk: Desk) -> None:
    await _prices(desk)
    parts = [await desk.portfolio(*rows, name=f"No. {n}") for n, rows in enumerate(ROWS)]
    moment = await _moment(desk)
    valued = [await value_for(desk.session, each, moment, RiskQuestion()) for each in parts]
    whole = put_together(valued)
    assert {each.asset: each.holding.quantity for each in whole.holdings} == {
        "BTC": Decimal("1.75"),
        "ETH": Decimal(3),
        "SOL": Decimal(7),
        "USD": Decimal(4875),
    }
    assert whole.total_value == sum(each.total_value or 0 for each in valued)
    assert whole.total_value == pytest.approx(
        sum(each.value or Decimal(0) for each in whole.holdings)
    )
