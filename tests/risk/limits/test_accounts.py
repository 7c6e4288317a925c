"""Limits of trading accounts, paper and live: positions, losses, figures, orders, and their end."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.db.locks import clock
from seawall.db.series import ACCOUNT_RISK_METRICS, ensure_chunks
from seawall.db.session import transaction
from seawall.identity.tables import User
from seawall.portfolios.valuation import Moment
from seawall.risk.limits import store
from seawall.risk.limits.block import is_blocked
from seawall.risk.limits.change import change_limits
from seawall.risk.limits.check import check_account
from seawall.risk.limits.overview import find_subject
from seawall.risk.limits.schemas import Amount, Checked, LimitName, Severity, Subject, Use
from seawall.risk.limits.tables import RiskEvent
from seawall.risk.tables import AccountRiskMetrics
from seawall.trading.tables import TradingAccount

from .conftest import START, Desk

MIDNIGHT = START + timedelta(days=10)
NOON = MIDNIGHT + timedelta(hours=12)

Account = Callable[..., Awaitable["Trader"]]


class Trader:
    """A trading account with limits, and what happens in it."""

    def __init__(self, desk: Desk, account: store.AccountRecord) -> None:
        self.desk = desk
        self.account = account

    async def limit(self, *blocking: LimitName, **allowed: Amount | None) -> None:
        """Set limits of the account."""
        values = {LimitName(name): value for name, value in allowed.items()}
        blocks = dict.fromkeys(blocking, True)
        subject = Subject(account_id=self.account.id)
        await change_limits(self.desk.session, self.desk.user, subject, values, blocks)

    async def check(self, hours: float = 0) -> Checked:
        """Check the limits so many hours after noon."""
        moment = Moment(NOON + timedelta(hours=hours), await clock(self.desk.session))
        return await check_account(self.desk.session, self.account, moment)

    async def use(self, name: str, hours: float = 0) -> Use:
        """Return what is used of one limit."""
        (found,) = (each for each in (await self.check(hours)).uses if each.name == name)
        return found

    async def measured(self, hours: float, value: float, **figures: float | None) -> None:
        """Let the account be measured so many hours after midnight."""
        time = MIDNIGHT + timedelta(hours=hours)
        await ensure_chunks(self.desk.session, ACCOUNT_RISK_METRICS, time, time)
        amounts = dict.fromkeys(("total_exposure", "margin_used", "available_margin"), Decimal(0))
        await self.desk.session.execute(
            insert(AccountRiskMetrics).values(
                account_id=self.account.id,
                time=time,
                portfolio_value=Decimal(str(value)),
                **amounts,
                **figures,
            )
        )

    async def position(self, pair: str, quantity: int, price: int, side: str = "long") -> None:
        """Open a position of a pair that is priced so."""
        await self.desk.session.execute(
            text(
                "INSERT INTO positions (account_id, symbol_id, side, quantity, entry_price,"
                " current_price, unrealized_pnl, opened_at) SELECT :account, symbols.id, :side,"
                " :quantity, :price, :price, 0, :at FROM symbols WHERE symbol = :pair"
            ),
            {
                "account": self.account.id,
                "side": side,
                "quantity": quantity,
                "price": price,
                "pair": pair,
                "at": MIDNIGHT,
            },
        )

    async def close(self, pair: str) -> None:
        """Close the positions of a pair."""
        await self.desk.session.execute(
            text(
                "UPDATE positions SET status = 'closed', closed_at = :at, exit_price = 1, pnl = 0"
                " FROM symbols WHERE symbols.id = symbol_id AND symbol = :pair"
                " AND account_id = :account"
            ),
            {"account": self.account.id, "pair": pair, "at": NOON},
        )

    async def put_in(self, amount: int, hours: float) -> None:
        """Put money in, so many hours after midnight; a negative amount takes it out."""
        await self.desk.session.execute(
            text(
                "INSERT INTO ledger_entries"
                " (account_id, journal_id, ledger, asset_id, amount, effective_at)"
                " SELECT :account, :journal, ledger, currency_asset_id, :amount * side, :at"
                " FROM trading_accounts CROSS JOIN (VALUES ('assets', 1), ('equity', -1))"
                " AS entries (ledger, side) WHERE trading_accounts.id = :account"
            ),
            {
                "account": self.account.id,
                "journal": uuid4(),
                "amount": amount,
                "at": MIDNIGHT + timedelta(hours=hours),
            },
        )


@pytest.fixture
def account(desk: Desk) -> Account:
    """Make an account, with pairs of BTC and ETH to trade."""

    async def make(name: str = "Paper", mode: str = "paper", currency: str = "USD") -> Trader:
        for pair in ("BTC/USD", "ETH/USDT", "ETH/BTC"):
            await desk.prices(pair, 100, 100)
        asset = "SELECT id FROM assets WHERE symbol = :symbol"
        found = await desk.session.scalar(text(asset), {"symbol": currency})
        await desk.session.execute(
            insert(TradingAccount).values(
                name=name, mode=mode, currency_asset_id=found, initial_balance=0
            )
        )
        record = await store.find_account(desk.session, name=name)
        assert record is not None
        return Trader(desk, record)

    return make


@pytest.mark.parametrize("mode", ["paper", "live"])
async def test_a_position_breaks_once_blocks_and_is_cured(
    desk: Desk, account: Account, mode: str
) -> None:
    trader = await account(mode=mode)
    await trader.limit(LimitName.MAX_POSITION_VALUE, max_position_value=Decimal(1000))
    assert (await trader.use("max_position_value")).used.value == 0
    await trader.position("BTC/USD", 10, 100)
    await trader.position("ETH/USDT", 3, 200, side="short")
    exactly = await trader.use("max_position_value")
    assert (exactly.used.value, exactly.used.about, exactly.is_broken) == (1000, "BTC/USD", False)
    assert await is_blocked(desk.session, account_id=trader.account.id) is None

    await desk.session.execute(text("UPDATE positions SET current_price = 120"))
    (broken,) = (await trader.check()).breaches
    assert (broken.severity, broken.details["percent_of_limit"]) == (Severity.WARNING, 120)
    assert [each.id for each in (await trader.check(1)).breaches] == [broken.id]
    block = await is_blocked(desk.session, account_id=trader.account.id)
    assert block is not None
    assert (block.names, block.event_ids) == ((LimitName.MAX_POSITION_VALUE,), (broken.id,))
    # Nobody else is stopped by it.
    other = await account("Other", mode)
    assert await is_blocked(desk.session, account_id=other.account.id) is None
    assert await is_blocked(desk.session) is None

    await trader.close("BTC/USD")
    over = await trader.check(2)
    assert not over.breaches
    assert [each.id for each in over.resolved] == [broken.id]
    assert await is_blocked(desk.session, account_id=trader.account.id) is None
    assert await desk.session.scalar(select(func.count()).select_from(RiskEvent)) == 1


async def test_a_position_that_is_not_in_usd_breaks_nothing_and_cures_nothing(
    account: Account,
) -> None:
    trader = await account()
    await trader.limit(max_position_value=Decimal(1000))
    await trader.position("ETH/BTC", 10**6, 100)
    doubt = await trader.use("max_position_value")
    assert (doubt.is_broken, doubt.is_kept) == (False, False)
    assert doubt.used.reason == "ETH/BTC: not quoted in USD"
    # What is known is too much already.
    await trader.position("BTC/USD", 20, 100)
    (broken,) = (await trader.check()).breaches
    await trader.close("BTC/USD")
    assert [each.id for each in (await trader.check()).breaches] == [broken.id]
    await trader.close("ETH/BTC")
    assert [each.id for each in (await trader.check()).resolved] == [broken.id]


FIGURES = {
    "max_drawdown": "max_drawdown",
    "max_var_95": "var_95",
    "max_expected_shortfall": "expected_shortfall",
    "max_leverage": "leverage_ratio",
}


@pytest.mark.parametrize("limit", FIGURES)
async def test_figures_of_the_newest_measurement_are_limited(account: Account, limit: str) -> None:
    trader = await account()
    await trader.limit(**{limit: 0.25})
    assert (await trader.use(limit)).used.reason == "the account was not measured yet"
    await trader.measured(1, 1000, **{FIGURES[limit]: 0.9})
    await trader.measured(6, 1000, **{FIGURES[limit]: 0.5})
    # What is measured after the moment is not known at it.
    await trader.measured(20, 1000, **{FIGURES[limit]: 0.1})
    (broken,) = (await trader.check()).breaches
    assert broken.details["percent_of_limit"] == 200
    assert [each.id for each in (await trader.check(9)).resolved] == [broken.id]
    later = await trader.use(limit, 24 * 3)
    assert later.used.value is None
    assert later.used.reason.startswith("the account was last measured at 2024-01-11T20:00:00Z")


async def test_a_figure_of_too_short_a_history_is_not_told(account: Account) -> None:
    trader = await account()
    await trader.limit(max_var_95=0.1, max_drawdown=0.1)
    await trader.measured(1, 1000, var_95=None, max_drawdown=0.05)
    assert (await trader.use("max_var_95")).used.reason == "the account's history is too short"
    assert (await trader.use("max_drawdown")).is_kept


async def test_the_loss_of_a_day_leaves_out_what_the_owner_put_in_and_took_out(
    account: Account,
) -> None:
    trader = await account()
    await trader.limit(max_daily_loss=Decimal(150))
    await trader.measured(9, 900)
    assert (await trader.use("max_daily_loss")).used.reason == (
        "the account was not measured before today"
    )
    await trader.measured(-1, 1000)
    assert (await trader.use("max_daily_loss")).used.value == 100
    await trader.put_in(80, 3)
    assert (await trader.use("max_daily_loss")).used.value == 180
    (broken,) = (await trader.check()).breaches
    assert broken.limit_name == "max_daily_loss"
    # What came after the measurement is not in it, and what was before yesterday's end is.
    await trader.put_in(500, 9.5)
    await trader.put_in(500, -2)
    assert (await trader.use("max_daily_loss")).used.value == 180
    await trader.put_in(-80, 4)
    assert [each.id for each in (await trader.check()).resolved] == [broken.id]
    # A gain is a loss of 0.
    await trader.measured(11, 2000)
    assert (await trader.use("max_daily_loss")).used.value == 0


async def test_the_loss_of_an_account_in_another_currency_is_not_compared(
    account: Account,
) -> None:
    trader = await account(currency="BTC")
    await trader.limit(max_daily_loss=Decimal(1))
    await trader.measured(-1, 1000)
    await trader.measured(9, 10)
    found = await trader.use("max_daily_loss")
    assert found.used.reason == "the account is in BTC, and the limit in USD"
    assert not found.is_broken


async def test_an_account_that_was_not_measured_for_days_has_no_loss_of_the_day(
    account: Account,
) -> None:
    trader = await account()
    await trader.limit(max_daily_loss=Decimal(1))
    await trader.measured(-60, 1000)
    await trader.measured(9, 10)
    found = await trader.use("max_daily_loss")
    assert "was last measured before today at 2024-01-08T12:00:00Z" in found.used.reason


async def test_an_account_that_is_gone_ends_its_event(desk: Desk, account: Account) -> None:
    trader = await account()
    await trader.limit(max_position_value=Decimal(10))
    await trader.position("BTC/USD", 1, 100)
    (broken,) = (await trader.check()).breaches
    await desk.session.execute(text("UPDATE trading_accounts SET deleted_at = now()"))
    assert [each.id for each in (await trader.check()).resolved] == [broken.id]


async def test_an_account_is_found_by_its_name_and_looking_changes_nothing(
    desk: Desk, account: Account
) -> None:
    trader = await account("Futures")
    await trader.limit(max_position_value=Decimal(10))
    await trader.position("BTC/USD", 1, 100)
    named = await find_subject(desk.session, None, "fUTURES")
    assert (named.name, named.subject) == ("Futures", Subject(account_id=trader.account.id))
    looked = await named.check(desk.session, False)  # noqa: FBT003 - as `Check`
    assert [each.is_broken for each in looked.uses] == [True]
    assert not await store.list_events(desk.session)
    checked = await named.check(desk.session, True)  # noqa: FBT003 - as above
    assert len(checked.breaches) == 1


async def test_another_user_s_account_is_neither_seen_nor_counted(
    account: Account, engine: AsyncEngine
) -> None:
    trader = await account()
    await trader.limit(max_position_value=Decimal(10), max_orders_per_hour=1)
    await trader.position("BTC/USD", 1, 100)
    other: UUID = uuid4()
    async with transaction(engine, other) as session:
        await session.execute(insert(User).values(id=other, username=str(other)))
        assert await store.find_account(session, name="Paper") is None
        assert not await store.list_positions(session, trader.account.id)
        assert await store.count_orders(session, None, START) == 0
        looked: dict[str, Any] = {"account_id": trader.account.id}
        assert await is_blocked(session, **looked) is None
        await session.rollback()
