"""The day's loss and the drawdown: of the market alone, whatever came in and went out."""

from decimal import Decimal

import pytest

from seawall.portfolios.valuation import Valuation
from seawall.risk.limits.growth import Growth, measure_growth

from .conftest import Desk

CASH = "2024-01-01,deposit,USD,1000,,,"
BUY = "2024-01-02,buy,BTC,10,100,0,"


async def _grow(desk: Desk, *valued: Valuation) -> Growth:
    movements = [moved for each in valued for moved in each.state.movements]
    return await measure_growth(desk.session, movements, valued[0].moment)


async def test_a_day_loses_what_the_prices_lost(desk: Desk) -> None:
    await desk.prices("BTC/USD", 100, 120, 90, 99)
    mine = await desk.portfolio(CASH, BUY)
    at = await desk.value(mine, 3)
    assert (await _grow(desk, at)).daily_loss.value == 10 * (120 - 90)
    # At midnight it is the day that has ended; just after it, the new one has lost nothing yet.
    later = await desk.value(mine, 3.5)
    assert (await _grow(desk, later)).daily_loss.value == 0
    rose = await desk.value(mine, 4)
    assert (await _grow(desk, rose)).daily_loss.value == 0


async def test_money_that_comes_and_goes_is_no_gain_and_no_loss(desk: Desk) -> None:
    await desk.prices("BTC/USD", 100, 120, 90, 60)
    still = await desk.portfolio(CASH, BUY)
    busy = await desk.portfolio(
        CASH,
        BUY,
        "2024-01-03T12:00:00Z,deposit,USD,5000,,,",
        "2024-01-03T18:00:00Z,withdrawal,USD,4000,,,",
        name="Busy",
    )
    for days, lost in ((3, 300), (4, 300)):
        valued = await desk.value(busy, days)
        assert (await _grow(desk, valued)).daily_loss.value == lost
    drawdown = (await _grow(desk, await desk.value(still, 4))).drawdown.value
    assert drawdown == pytest.approx(0.5)
    # With 1,000 of cash beside it from the third day on, less is lost: 900 + 1,000 to 600 + 1,000.
    drawdown = (await _grow(desk, await desk.value(busy, 4))).drawdown.value
    assert isinstance(drawdown, float)
    during = 1 - (1 - 300 / 6200) * (1 - 300 / 1900)
    assert during < drawdown < 0.5


async def test_a_drawdown_is_from_the_highest_and_ends_with_a_new_one(desk: Desk) -> None:
    await desk.prices("BTC/USD", 100, 150, 75, 120, 160)
    mine = await desk.portfolio(CASH, BUY)
    found = [
        (await _grow(desk, await desk.value(mine, days))).drawdown.value for days in (2, 3, 4, 5)
    ]
    assert found == pytest.approx([0, 0.5, 0.2, 0])


async def test_portfolios_are_measured_together(desk: Desk) -> None:
    await desk.prices("BTC/USD", 100, 100, 50)
    await desk.prices("ETH/USD", 100, 100, 150)
    one = await desk.portfolio(CASH, BUY)
    other = await desk.portfolio(
        "2024-01-01,deposit,USD,1000,,,", "2024-01-02,buy,ETH,10,100,0,", name="Other"
    )
    valued = await desk.value(one, 3), await desk.value(other, 3)
    alone, together = await _grow(desk, valued[0]), await _grow(desk, *valued)
    assert alone.daily_loss.value == Decimal(500)
    assert (together.daily_loss.value, together.drawdown.value) == (0, 0)


async def test_what_has_no_fresh_price_has_a_reason(desk: Desk) -> None:
    await desk.prices("BTC/USD", 100, 120)
    mine = await desk.portfolio(CASH, BUY)
    stale = await _grow(desk, await desk.value(mine, 30))
    assert stale.daily_loss.value is None
    assert "the newest price of BTC" in stale.daily_loss.reason
    assert stale.drawdown.value is None
    never = await desk.portfolio("2024-01-02,deposit,NOPRICE,1,5,,", name="Unknown")
    unknown = await _grow(desk, await desk.value(never, 3))
    assert "No price of NOPRICE" in unknown.daily_loss.reason
    assert "No price of NOPRICE" in unknown.drawdown.reason


async def test_an_empty_portfolio_loses_nothing(desk: Desk) -> None:
    empty = await desk.portfolio()
    found = await _grow(desk, await desk.value(empty, 3))
    assert (found.daily_loss.value, found.drawdown.value) == (0, 0)
