"""What trades would change: the figures of the report that there would be, and nothing stored."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError, NotFoundError
from seawall.core.money import plain
from seawall.db.database import Location
from seawall.identity.owner import OWNER_ID
from seawall.market.catalog import ensure_asset
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.tables import HoldingRow, PortfolioSnapshot, TransactionRow
from seawall.portfolios.transactions import import_transactions
from seawall.risk.attribution import attribute_portfolio
from seawall.risk.report import moment_of, report
from seawall.risk.schemas import RiskQuestion
from seawall.risk.tables import PortfolioRiskMetrics
from seawall.risk.trades import parse_trade, parse_weights
from seawall.risk.whatif import Plan, WhatIf, what_if

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]

DAYS = 130
AS_OF = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=DAYS)
QUESTION = RiskQuestion(window=120)
WITH_CASH = f"""{HEADER}
2024-01-02,deposit,USD,10000,,,
2024-01-03,buy,BTC,2,1000,4,
2024-01-03,buy,ETH,2,900,2,
2024-01-04,stake,ETH,1,,,
"""
WITHOUT_CASH = f"{HEADER}\n2024-01-03,buy,BTC,2,1000,4,\n2024-01-03,buy,ETH,2,900,2,\n"


def _candles(pair: str, seed: int, scale: float = 1_000, skip: int = 0) -> ParsedFile:
    records = np.zeros(DAYS - skip, CANDLE_DTYPE)
    random = np.random.default_rng(seed)
    close = scale * np.exp(np.cumsum(random.normal(0, 0.03, DAYS)))[skip:]
    days = np.arange(skip, DAYS) * np.timedelta64(1, "D")
    records["time"] = np.datetime64("2024-01-01", "us") + days
    for name in ("open", "high", "low", "close"):
        records[name] = close
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, records.size, (), pair, "kraken", Timeframe(86_400)
    )


async def _make(session: AsyncSession, name: str, transactions: str) -> None:
    portfolio = await create_portfolio(session, OWNER_ID, name)
    await _record(session, portfolio.name, transactions)


async def _record(session: AsyncSession, name: str, transactions: str) -> None:
    parsed = parse_transactions(transactions.encode(), AS_OF)
    done = await import_transactions(session, await get_portfolio(session, name), parsed)
    assert not done.rejected


async def _fill(session: AsyncSession) -> None:
    await ingest(session, _candles("BTC/USD", 1), "btc")
    await ingest(session, _candles("ETH/USD", 2), "eth")
    await ingest(session, _candles("SHIB/USD", 3, scale=1.23456789e-5, skip=60), "shib")
    await _make(session, "Cash", WITH_CASH)
    await _make(session, "Plain", WITHOUT_CASH)


@pytest.fixture(scope="module")
def filled_once(fill_module: FillModule) -> Location:
    """The module's database with what each test begins with."""
    return fill_module(_fill)


@pytest.fixture
async def filled(filled_once: Location, undone_session: AsyncSession) -> AsyncSession:
    """A session on a database with three coins, one of them listed late and cheap."""
    assert filled_once.name
    return undone_session


async def _what_if(session: AsyncSession, plan: Plan, name: str = "Cash") -> WhatIf:
    return await what_if(session, await get_portfolio(session, name), AS_OF, QUESTION, plan)


def _plan(*trades: str, fee: str = "0") -> Plan:
    return Plan(trades=tuple(map(parse_trade, trades)), fee=Decimal(fee))


@pytest.mark.parametrize("name", ["Cash", "Plain"])
async def test_the_figures_are_those_of_a_portfolio_that_traded(
    filled: AsyncSession, name: str
) -> None:
    plan = _plan("sell 1.5 BTC", "buy 50000000 SHIB", "buy 0.25 ETH at 950", fee="0.001")
    found = await _what_if(filled, plan, name)
    rows = [HEADER] + [
        f"{AS_OF:%Y-%m-%d},{each.side},{each.asset},{plain(each.quantity)},"
        f"{plain(each.price_usd)},{plain(each.fee_usd)},"
        for each in found.trades
    ]
    await _make(filled, "Traded", WITH_CASH if name == "Cash" else WITHOUT_CASH)
    await _record(filled, "Traded", "\n".join(rows) + "\n")
    portfolio = await get_portfolio(filled, "Traded")
    made = await report(filled, portfolio, AS_OF, QUESTION)
    after = found.after.report
    assert after.figures.keys() == made.figures.keys()
    for slug, value in made.figures.items():
        assert after.figures[slug] == (value and pytest.approx(value, rel=1e-12)), slug
    assert after.total_value_usd == made.total_value_usd
    assert after.holdings == made.holdings
    assert after.observations == made.observations == 69
    parts = await attribute_portfolio(filled, portfolio, moment_of(made), QUESTION)
    assert found.after.attribution == parts
    for slug, change in found.changes.items():
        if change is not None:
            before = found.before.report.figures[slug]
            assert before is not None
            assert change == pytest.approx(made.figures[slug] - before)  # type: ignore[operator]


async def test_before_is_the_report_as_it_is(filled: AsyncSession) -> None:
    found = await _what_if(filled, _plan("sell 1 BTC"))
    made = await report(filled, await get_portfolio(filled, "Cash"), AS_OF, QUESTION)
    assert replace(found.before.report, known_at=made.known_at) == made


async def test_cash_pays_where_it_is_kept_and_outside_where_not(filled: AsyncSession) -> None:
    plan = _plan("sell 1 BTC", fee="0.01")
    kept = await _what_if(filled, plan)
    (trade,) = kept.trades
    assert kept.paid_from == "cash"
    assert kept.value_change == -trade.fee_usd == -trade.worth_usd / 100
    outside = await _what_if(filled, plan, "Plain")
    assert outside.paid_from == "outside"
    assert outside.value_change == -trade.worth_usd
    assert "from and to outside" in outside.notes[0]


async def test_nothing_is_stored(filled: AsyncSession) -> None:
    tables = (TransactionRow, HoldingRow, PortfolioRiskMetrics, PortfolioSnapshot)
    counts = [await filled.scalar(select(func.count()).select_from(each)) for each in tables]
    await _what_if(filled, _plan("buy 1 BTC"))
    again = [await filled.scalar(select(func.count()).select_from(each)) for each in tables]
    assert again == counts
    assert counts[2:] == [0, 0]


@pytest.mark.parametrize(
    ("trade", "says"),
    [
        ("sell 3 BTC", "3 BTC is asked, 2 BTC is held"),
        ("sell 2 ETH", "1 ETH of it staked"),
        ("sell 1 SHIB", "0 SHIB is held"),
        ("buy 100 BTC", "USD cash is held"),
    ],
)
async def test_more_than_there_is_is_refused(filled: AsyncSession, trade: str, says: str) -> None:
    with pytest.raises(InvalidError, match=says) as caught:
        await _what_if(filled, _plan(trade))
    assert "Plan no more than" in caught.value.hint


async def test_unknown_and_unpriced_assets_are_refused(filled: AsyncSession) -> None:
    with pytest.raises(NotFoundError, match="No asset NOPE is known"):
        await _what_if(filled, _plan("buy 1 NOPE"))
    await ensure_asset(filled, "DUST")
    with pytest.raises(NotFoundError, match="No price of DUST is known"):
        await _what_if(filled, _plan("buy 1 DUST at 5"))
    weights = {"BTC": Decimal("0.5"), "DUST": Decimal("0.5")}
    with pytest.raises(NotFoundError, match="No price of DUST"):
        await _what_if(filled, Plan(weights=weights))


@pytest.mark.parametrize("fee", ["0", "0.002", "0.1"])
async def test_weights_are_reached_after_fees(filled: AsyncSession, fee: str) -> None:
    weights = parse_weights("BTC=50%,ETH=20%,SHIB=10%,USD=20%")
    found = await _what_if(filled, Plan(weights=weights, fee=Decimal(fee)))
    after = {each.asset: each.weight for each in found.after.report.holdings}
    assert after == pytest.approx({name: float(each) for name, each in weights.items()}, rel=1e-9)
    # Prices are recorded with 18 digits after the point, and cheap coins are many.
    fees = sum(each.fee_usd for each in found.trades)
    assert float(found.value_change or 0) == pytest.approx(-float(fees), abs=1e-9)
    sides = [each.side for each in found.trades]
    assert sides == sorted(sides, reverse=True)


@pytest.mark.parametrize("fee", ["0", "0.01"])
async def test_everything_can_be_put_into_one(filled: AsyncSession, fee: str) -> None:
    await _record(filled, "Cash", f"{HEADER}\n2024-01-05,unstake,ETH,1,,,\n")
    found = await _what_if(filled, Plan(weights={"SHIB": Decimal(1)}, fee=Decimal(fee)))
    after = {each.asset: each.weight for each in found.after.report.holdings}
    assert after["SHIB"] == pytest.approx(1)
    assert after.keys() <= {"SHIB", "USD"}
    assert after.get("USD", 0.0) == pytest.approx(0, abs=1e-12)


async def test_weights_without_cash_keep_the_value(filled: AsyncSession) -> None:
    weights = parse_weights("BTC=30%,ETH=70%")
    found = await _what_if(filled, Plan(weights=weights), "Plain")
    after = {each.asset: each.weight for each in found.after.report.holdings}
    assert after == pytest.approx({"BTC": 0.3, "ETH": 0.7}, rel=1e-9)
    assert float(found.value_change or 0) == pytest.approx(0, abs=1e-9)
    with pytest.raises(InvalidError, match="keeps no cash"):
        await _what_if(filled, Plan(weights=parse_weights("BTC=30%,USD=70%")), "Plain")
    await create_portfolio(filled, OWNER_ID, "Empty")
    with pytest.raises(InvalidError, match="without a known value"):
        await _what_if(filled, Plan(weights=weights), "Empty")


async def test_buying_into_an_empty_portfolio_has_a_before_without_figures(
    filled: AsyncSession,
) -> None:
    await create_portfolio(filled, OWNER_ID, "Empty")
    found = await _what_if(filled, _plan("buy 1 BTC"), "Empty")
    assert found.before.attribution.reason == "the portfolio holds nothing"
    assert found.before.report.figures["volatility"] is None
    assert found.after.report.figures["volatility"] is not None
    assert found.changes["volatility"] is None
    assert found.before.report.total_value_usd == 0
