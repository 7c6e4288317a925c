"""What a valuation leaves behind: prices, totals, risk, and a point of the history."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.database import Location
from seawall.identity.owner import OWNER_ID
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios import store
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.projecting.project import snapshot_portfolio
from seawall.portfolios.schemas import HeadlineRisk, HoldingRecord, LotMethod, PortfolioRecord
from seawall.portfolios.tables import HoldingRow, LotRow, PortfolioSnapshot
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.valuation import Moment, Valuation, value_portfolio

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]

START = datetime(2024, 1, 1, tzinfo=UTC)
KNOWN_AT = datetime(2200, 1, 1, tzinfo=UTC)
RISK = HeadlineRisk(volatility=0.6, sharpe_ratio=-0.1, max_drawdown=0.35)
FILE = f"""{HEADER}
2024-01-02,deposit,USD,1000,,,
2024-01-02,buy,BTC,1,100,,
2024-01-03,buy,BTC,1,300,,
2024-01-04,sell,BTC,1,200,,
"""


def _said(*values: object) -> tuple[object, ...]:
    return values


async def _prices(session: AsyncSession, pair: str, closes: list[float]) -> None:
    """Store daily candles; the first closes at the end of the first of January."""
    records = np.zeros(len(closes), CANDLE_DTYPE)
    records["time"] = np.datetime64("2024-01-01", "us") + np.arange(len(closes)) * np.timedelta64(
        1, "D"
    )
    for name in ("open", "high", "low", "close"):
        records[name] = closes
    records["quote_volume"], records["trade_count"] = np.nan, -1
    parsed = ParsedFile(
        "test", SeriesKind.CANDLES, records, len(closes), (), pair, "kraken", Timeframe(86_400)
    )
    assert not (await ingest(session, parsed, "test")).rejected


async def _add(session: AsyncSession, rows: str) -> None:
    portfolio = await get_portfolio(session, "Mine")
    parsed = parse_transactions(rows.encode(), datetime(2024, 6, 1, tzinfo=UTC))
    assert not (await import_transactions(session, portfolio, parsed)).rejected


async def _fill(session: AsyncSession) -> None:
    await _prices(session, "BTC/USD", [100.0 + 10 * day for day in range(10)])
    await create_portfolio(session, OWNER_ID, "Mine", "", LotMethod.LIFO)
    await _add(session, FILE)


@pytest.fixture(scope="module")
def filled_once(fill_module: FillModule) -> Location:
    """The module's database with what each test begins with."""
    return fill_module(_fill)


@pytest.fixture
async def filled(filled_once: Location, undone_session: AsyncSession) -> AsyncSession:
    """A portfolio by the LIFO method, and ten daily prices of what it holds: 100, 110, … 190."""
    assert filled_once.name
    return undone_session


async def _value(session: AsyncSession, day: float) -> Valuation:
    portfolio = await get_portfolio(session, "Mine")
    moment = Moment(START + timedelta(days=day), KNOWN_AT)
    return await value_portfolio(session, portfolio, moment, portfolio.lot_method)


async def _snapshot(session: AsyncSession, day: float) -> tuple[PortfolioRecord, HoldingRecord]:
    await snapshot_portfolio(session, await _value(session, day), RISK)
    portfolio = await get_portfolio(session, "Mine")
    holdings = await store.list_holdings(session, portfolio.id)
    return portfolio, next(each for each in holdings if each.asset == "BTC")


async def _history(session: AsyncSession) -> list[PortfolioSnapshot]:
    query = select(PortfolioSnapshot).order_by(PortfolioSnapshot.time)
    return list(await session.scalars(query.execution_options(populate_existing=True)))


async def test_a_snapshot_is_what_was_valued(filled: AsyncSession) -> None:
    portfolio, btc = await _snapshot(filled, 10)
    # LIFO sold the lot of 300, so the one of 100 is left; 1000 - 100 - 300 + 200 is the cash.
    (kept,) = await _history(filled)
    assert _said(kept.time, kept.known_at) == (START + timedelta(days=10), KNOWN_AT)
    assert _said(kept.total_value_usd, kept.total_invested_usd, kept.cash_usd) == (990, 900, 800)
    assert _said(kept.total_profit_loss_usd, kept.total_profit_loss_percentage) == (90, 10)
    assert kept.holdings_count == 2

    assert _said(btc.current_price, btc.current_value_usd, btc.profit_loss_usd) == (190, 190, 90)
    assert btc.profit_loss_percentage == 90
    assert btc.price_change_24h == pytest.approx((190 / 180 - 1) * 100)
    assert btc.price_change_7d == pytest.approx((190 / 120 - 1) * 100)
    assert btc.last_updated_at == KNOWN_AT

    totals = (portfolio.total_value_usd, portfolio.total_invested_usd)
    assert totals == (kept.total_value_usd, kept.total_invested_usd)
    assert portfolio.valued_at == kept.time
    risk = HeadlineRisk(portfolio.volatility, portfolio.sharpe_ratio, portfolio.max_drawdown)
    assert risk == RISK
    assert portfolio.risk_score is None


async def test_an_older_valuation_is_kept_but_changes_nothing_else(filled: AsyncSession) -> None:
    newest = await _snapshot(filled, 10)
    assert await _snapshot(filled, 8) == newest
    assert [each.total_value_usd for each in await _history(filled)] == [970, 990]


async def test_a_valuation_from_before_the_last_transaction_says_nothing_of_now(
    filled: AsyncSession,
) -> None:
    portfolio, btc = await _snapshot(filled, 2.5)
    assert _said(portfolio.valued_at, portfolio.total_value_usd) == (None, None)
    assert _said(btc.quantity, btc.current_price) == (1, None)
    (kept,) = await _history(filled)
    assert _said(kept.total_value_usd, kept.total_invested_usd) == (820, 1000)


async def test_the_same_instant_is_kept_as_it_was_known_last(filled: AsyncSession) -> None:
    await _snapshot(filled, 10)
    await _prices(filled, "BTC/USD", [100.0] * 9 + [250.0])
    portfolio, _ = await _snapshot(filled, 10)
    (kept,) = await _history(filled)
    assert kept.total_value_usd == portfolio.total_value_usd == 1050


async def test_what_has_no_price_makes_the_totals_unknown(filled: AsyncSession) -> None:
    await _snapshot(filled, 9)
    await _add(filled, f"{HEADER}\n2024-01-05,reward,RARE,3,,,\n")
    assert (await get_portfolio(filled, "Mine")).total_value_usd is None
    portfolio, btc = await _snapshot(filled, 10)
    assert _said(portfolio.total_value_usd, portfolio.total_invested_usd) == (None, 900)
    assert portfolio.valued_at == START + timedelta(days=10)
    assert btc.current_price == 190
    assert len(await _history(filled)) == 1


async def test_a_change_is_known_only_between_fresh_prices(filled: AsyncSession) -> None:
    _, btc = await _snapshot(filled, 12.5)
    # The last price is 2.5 days old.
    assert _said(btc.current_price, btc.price_change_24h, btc.price_change_7d) == (190, None, None)


async def test_a_change_needs_a_price_from_then(filled: AsyncSession) -> None:
    await _prices(filled, "NEW/USD", [1.0])
    await _add(filled, f"{HEADER}\n2024-01-05,reward,NEW,3,,,\n")
    portfolio = await get_portfolio(filled, "Mine")
    await snapshot_portfolio(filled, await _value(filled, 5), RISK)
    new = next(
        each for each in await store.list_holdings(filled, portfolio.id) if each.asset == "NEW"
    )
    assert _said(new.current_price, new.price_change_24h, new.price_change_7d) == (1, None, None)


async def test_trades_after_a_valuation_move_the_totals_with_the_holdings(
    filled: AsyncSession,
) -> None:
    before, _ = await _snapshot(filled, 10)
    await _add(filled, f"{HEADER}\n2024-02-01,sell,BTC,0.5,200,,\n")
    after = await get_portfolio(filled, "Mine")
    assert _said(before.total_value_usd, after.total_value_usd) == (990, 900 + 95)
    assert after.valued_at == before.valued_at


async def test_what_was_recorded_before_there_were_holdings_gets_them(
    filled: AsyncSession,
) -> None:
    expected = await _snapshot(filled, 10)
    await filled.execute(delete(HoldingRow))
    await filled.execute(delete(LotRow))
    portfolio, btc = await _snapshot(filled, 10)
    assert portfolio == expected[0]
    assert replace(btc, created_at=expected[1].created_at) == expected[1]
    assert await filled.scalar(select(LotRow.cost_basis_usd)) == 100


async def test_a_portfolio_that_holds_nothing_is_worth_nothing(session: AsyncSession) -> None:
    await create_portfolio(session, OWNER_ID, "Mine")
    await snapshot_portfolio(session, await _value(session, 3), HeadlineRisk(None, None, None))
    portfolio = await get_portfolio(session, "Mine")
    assert _said(portfolio.total_value_usd, portfolio.total_profit_loss_percentage) == (0, None)
    (kept,) = await _history(session)
    assert _said(kept.total_value_usd, kept.holdings_count) == (0, 0)
