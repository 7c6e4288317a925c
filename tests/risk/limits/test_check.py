"""A broken limit is one event: worse when it worsens, over when it is cured, open in doubt."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.portfolios.schemas import PortfolioRecord
from seawall.portfolios.tables import Portfolio
from seawall.risk.limits import store
from seawall.risk.limits.block import is_blocked
from seawall.risk.limits.change import change_limits, parse_setting
from seawall.risk.limits.check import check_limits
from seawall.risk.limits.events import resolve
from seawall.risk.limits.schemas import (
    ALL_OF_USER,
    Checked,
    LimitName,
    Limits,
    Severity,
    Subject,
    Use,
    Used,
    severity_of,
)
from seawall.risk.limits.tables import RiskEvent
from seawall.risk.measure import measure_valued, value_for
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion

from .conftest import START, Desk

CASH = "2024-01-01,deposit,USD,1000,,,"
BUY = "2024-01-02,buy,BTC,10,100,0,"


async def _falling(desk: Desk) -> PortfolioRecord:
    await desk.prices("BTC/USD", 100, 100, 89, 80, 75, 99, 100)
    return await desk.portfolio(CASH, BUY)


async def _check(desk: Desk, portfolio: PortfolioRecord, days: float) -> Checked:
    return await check_limits(desk.session, await desk.value(portfolio, days))


async def test_a_breach_is_one_event_that_worsens_and_ends(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.limit(mine, max_drawdown=0.1)
    assert not (await _check(desk, mine, 2)).breaches
    first = (await _check(desk, mine, 3)).breaches[0]
    assert (first.severity, first.limit_name) == (Severity.INFO, "max_drawdown")
    assert first.details["percent_of_limit"] == 109
    assert "Drawdown is 11.00%; allowed is 10.00%." in first.description
    again = (await _check(desk, mine, 3)).breaches[0]
    assert again == first
    worse = [(await _check(desk, mine, days)).breaches[0] for days in (4, 5)]
    assert [each.id for each in worse] == [first.id, first.id]
    assert [each.severity for each in worse] == [Severity.CRITICAL, Severity.CRITICAL]
    assert worse[1].details["percent_of_limit"] == 250
    over = await _check(desk, mine, 6)
    assert not over.breaches
    assert (over.resolved[0].id, over.resolved[0].resolved_by) == (first.id, None)
    assert over.resolved[0].resolved_at == START + timedelta(days=6)
    assert await desk.session.scalar(select(func.count()).select_from(RiskEvent)) == 1


async def test_an_event_keeps_the_worst_that_it_was(desk: Desk) -> None:
    mine = await desk.portfolio(CASH, BUY)
    await desk.prices("BTC/USD", 100, 100, 50, 85)
    await desk.limit(mine, max_drawdown=0.1)
    worst = (await _check(desk, mine, 3)).breaches[0]
    milder = (await _check(desk, mine, 4)).breaches[0]
    assert milder == worst
    assert milder.severity is Severity.CRITICAL


async def test_a_limit_that_is_raised_or_taken_away_resolves(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.limit(mine, max_drawdown=0.1, max_daily_loss=Decimal(5))
    assert len((await _check(desk, mine, 4)).breaches) == 2
    await desk.limit(mine, max_drawdown=0.9, max_daily_loss=None)
    resolved = (await _check(desk, mine, 4)).resolved
    assert {each.limit_name for each in resolved} == {"max_drawdown", "max_daily_loss"}
    assert not (await _check(desk, mine, 4)).resolved


async def test_a_limit_whose_portfolio_is_gone_resolves(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.limit(mine, max_drawdown=0.1)
    assert (await _check(desk, mine, 4)).breaches
    await desk.session.execute(
        update(Portfolio).where(Portfolio.id == mine.id).values(deleted_at=START)
    )
    other = await desk.portfolio(name="Other")
    assert len((await _check(desk, other, 4)).resolved) == 1


async def test_what_cannot_be_told_neither_breaks_nor_cures(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.limit(mine, max_drawdown=0.1)
    broken = (await _check(desk, mine, 4)).breaches
    unknown = await _check(desk, mine, 40)
    assert unknown.breaches == broken
    assert not unknown.resolved
    assert "the newest price of BTC" in unknown.unknown[0].used.reason
    whole = await desk.portfolio("2024-01-02,deposit,NOPRICE,1,5,,", CASH, BUY, name="Part")
    await desk.limit(whole, max_position_value=Decimal(700), max_weight=0.5)
    found = await _check(desk, whole, 5)
    states = {each.name: (each.is_broken, each.is_kept) for each in found.uses}
    # 750 USD of BTC are too much whatever the other is worth; what share they are is not known.
    assert states == {"max_position_value": (True, False), "max_weight": (False, False)}


async def test_an_old_look_does_not_end_a_newer_event(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.limit(mine, max_drawdown=0.1)
    assert (await _check(desk, mine, 4)).breaches
    assert not (await _check(desk, mine, 2)).resolved


async def test_a_users_limits_are_of_all_portfolios_together(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.portfolio(CASH, BUY, name="Other")
    await desk.limit(max_position_value=Decimal(1500), max_daily_loss=Decimal(150))
    await desk.limit(mine, max_position_value=Decimal(1500))
    found = await _check(desk, mine, 4)
    used = {(each.limits.subject.scope, each.name): each.used.value for each in found.uses}
    assert used == {
        ("portfolio", "max_position_value"): 800,
        ("user", "max_position_value"): 1600,
        ("user", "max_daily_loss"): 180,
    }
    assert {each.limit_name for each in found.breaches} == {"max_position_value", "max_daily_loss"}
    alone = await check_limits(desk.session, await desk.value(mine, 4), of_user=False)
    assert not alone.breaches


async def test_figures_of_a_report_are_limited(desk: Desk) -> None:
    closes = [100 + (at * 37 % 11) for at in range(40)]
    await desk.prices("BTC/USD", *closes)
    mine = await desk.portfolio(CASH, BUY)
    await desk.limit(mine, max_var_95=0.01, max_volatility=50.0, max_expected_shortfall=0.9)
    moment = (await desk.value(mine, 40)).moment
    valued = await value_for(desk.session, mine, moment, RiskQuestion())
    made = await measure_valued(desk.session, valued, RiskQuestion())
    found = await check_limits(desk.session, valued, made)
    assert [each.limit_name for each in found.breaches] == ["max_var_95"]
    assert {each.name: each.used.value for each in found.uses} == {
        "max_var_95": made.figures["var_95"],
        "max_expected_shortfall": made.figures["expected_shortfall"],
        "max_volatility": made.figures["volatility"],
    }
    short = replace(made, question=RiskQuestion(window=30))
    other = await check_limits(desk.session, valued, short)
    assert {each.used.reason for each in other.unknown} == {
        "measured over 30 days, and the limit is over 365"
    }
    assert [each.id for each in other.breaches] == [each.id for each in found.breaches]


async def test_a_report_of_now_checks_and_one_of_the_past_does_not(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.limit(mine, max_position_value=Decimal(10))
    await report(desk.session, mine, START + timedelta(days=4), RiskQuestion())
    assert not await store.list_events(desk.session)
    await report(desk.session, mine, None, RiskQuestion())
    assert [each.limit_name for each in await store.list_events(desk.session)] == [
        "max_position_value"
    ]


async def test_an_event_is_resolved_by_its_user_once(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.limit(mine, max_drawdown=0.1)
    event = (await _check(desk, mine, 4)).breaches[0]
    done = await resolve(desk.session, event.id, desk.user)
    assert done.resolved_by == desk.user
    with pytest.raises(ConflictError, match="was resolved at"):
        await resolve(desk.session, event.id, desk.user)
    with pytest.raises(NotFoundError):
        await resolve(desk.session, uuid4(), desk.user)
    assert (await _check(desk, mine, 4)).breaches[0].id != event.id


async def test_only_limits_that_block_stop_trading(desk: Desk) -> None:
    mine = await _falling(desk)
    await desk.limit(mine, max_drawdown=0.1)
    await desk.limit(max_position_value=Decimal(10))
    await _check(desk, mine, 4)
    assert await is_blocked(desk.session, portfolio_id=mine.id) is None
    await desk.limit(mine, blocking=(LimitName.MAX_DRAWDOWN,))
    block = await is_blocked(desk.session, portfolio_id=mine.id)
    assert block is not None
    assert block.names == ("max_drawdown",)
    assert "allowed is 10.00%" in block.reasons[0]
    assert await is_blocked(desk.session) is None
    await _check(desk, mine, 6)
    assert await is_blocked(desk.session, portfolio_id=mine.id) is None


ACCOUNT = """
    INSERT INTO trading_accounts (name, currency_asset_id, initial_balance)
    SELECT 'Paper', id, 0 FROM assets WHERE symbol = 'USD' RETURNING id
"""
ORDER = """
    INSERT INTO orders (account_id, symbol_id, client_order_id, side, type, quantity)
    SELECT :account, symbols.id, :order, 'buy', 'market', 1 FROM symbols LIMIT 1
"""


async def test_an_order_too_many_is_blocked_before_it_is_made(desk: Desk) -> None:
    await _falling(desk)
    account = await desk.session.scalar(text(ACCOUNT))
    subject = Subject(account_id=account)
    rate = {LimitName.MAX_ORDERS_PER_HOUR: 2}
    await change_limits(desk.session, desk.user, subject, rate, dict.fromkeys(rate, True))
    for order in ("first", "second"):
        assert await is_blocked(desk.session, account_id=account) is None
        await desk.session.execute(text(ORDER), {"account": account, "order": order})
    block = await is_blocked(desk.session, account_id=account)
    assert block is not None
    assert block.reasons == ("2 orders were made within an hour; allowed are 2.",)


def test_severity_is_by_how_far_beyond() -> None:
    assert [severity_of(ratio) for ratio in (1.01, 1.1, 1.11, 1.5, 1.51, float("inf"))] == [
        *("info", "info", "warning", "warning", "critical", "critical")
    ]
    zero = Limits(uuid4(), ALL_OF_USER, {LimitName.MAX_DAILY_LOSS: Decimal(0)}, frozenset())
    use = Use(zero, LimitName.MAX_DAILY_LOSS, Decimal(0), Used(Decimal("0.01")))
    assert (use.ratio, use.is_broken) == (float("inf"), True)
    assert replace(use, used=Used(Decimal(0))).is_kept


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("max_drawdown=20%", 0.2),
        ("max-drawdown = 0.2", 0.2),
        ("max_daily_loss=1500.50", Decimal("1500.50")),
        ("max_orders_per_hour=12", 12),
        ("max_volatility=150%", 1.5),
        ("MAX_LEVERAGE=3", 3.0),
    ],
)
def test_limits_are_read_as_they_are_written(written: str, amount: object) -> None:
    assert parse_setting(written)[1] == amount


@pytest.mark.parametrize(
    "written",
    [
        *("max_drawdown", "max_risk=1", "max_drawdown=150%", "max_drawdown=20", "max_drawdown=-1%"),
        *("max_drawdown=nan", "max_daily_loss=10%", "max_daily_loss=-5", "max_daily_loss=inf"),
        *("max_orders_per_hour=1.5", "max_orders_per_hour=9999999999", "max_weight=", "=1"),
    ],
)
def test_limits_that_make_no_sense_are_refused(written: str) -> None:
    with pytest.raises(InvalidError):
        parse_setting(written)


async def test_limits_are_set_only_for_what_has_them(desk: Desk) -> None:
    mine = await desk.portfolio()
    with pytest.raises(InvalidError, match="account or everything of a user, not for one"):
        await desk.limit(mine, max_orders_per_hour=3)
    with pytest.raises(InvalidError, match="set for a trading account, not for everything"):
        await desk.limit(max_leverage=2.0)
    with pytest.raises(ConflictError, match="is not set, so it cannot block"):
        await desk.limit(mine, blocking=(LimitName.MAX_DRAWDOWN,))
    made = await desk.limit(mine, max_drawdown=0.1, blocking=(LimitName.MAX_DRAWDOWN,))
    assert made.blocking == {"max_drawdown"}
    changed = await desk.limit(mine, max_drawdown=None, max_weight=0.5)
    assert (dict(changed.allowed), changed.blocking) == ({"max_weight": 0.5}, frozenset())


async def test_checkers_at_once_make_one_event_and_who_trades_waits(engine: AsyncEngine) -> None:
    user = uuid4()
    async with transaction(engine, user) as session:
        await session.execute(insert(User).values(id=user, username=str(user)))
        desk = Desk(session, user)
        mine = await _falling(desk)
        drawdown = (LimitName.MAX_DRAWDOWN,)
        await desk.limit(mine, max_drawdown=0.1, blocking=drawdown)

    async def check(session: AsyncSession) -> None:
        desk = Desk(session, user)
        assert len((await check_limits(session, await desk.value(mine, 4))).breaches) == 1

    async def check_alone() -> None:
        async with transaction(engine, user) as session:
            await check(session)

    async def trade() -> bool:
        async with transaction(engine, user) as session:
            return await is_blocked(session, portfolio_id=mine.id) is not None

    async with transaction(engine, user) as session:
        await check(session)
        others = [asyncio.create_task(check_alone()) for _ in range(3)]
        trader = asyncio.create_task(trade())
        await asyncio.sleep(0.3)
        # The check is not committed yet: neither a second one nor a trade gets past it.
        assert not trader.done()
        assert not any(each.done() for each in others)
    assert await trader
    await asyncio.gather(*others)
    async with transaction(engine, user) as session:
        assert len(await store.list_events(session)) == 1


async def test_of_two_orders_at_once_only_the_allowed_one_is_made(engine: AsyncEngine) -> None:
    user = uuid4()
    async with transaction(engine, user) as session:
        await session.execute(insert(User).values(id=user, username=str(user)))
        await _falling(Desk(session, user))
        account = await session.scalar(text(ACCOUNT))
        rate = {LimitName.MAX_ORDERS_PER_HOUR: 1}
        subject = Subject(account_id=account)
        await change_limits(session, user, subject, rate, dict.fromkeys(rate, True))

    async def order(number: int) -> bool:
        async with transaction(engine, user) as session:
            if await is_blocked(session, account_id=account) is not None:
                return False
            await session.execute(text(ORDER), {"account": account, "order": f"order {number}"})
            return True

    assert sorted(await asyncio.gather(*map(order, range(4)))) == [False, False, False, True]
