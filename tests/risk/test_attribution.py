"""Whose risk a portfolio's is: parts that sum to the report, by everything that is stored."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError
from seawall.db.database import Location
from seawall.identity.owner import OWNER_ID
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.market.tables import Asset
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.tables import HoldingRow
from seawall.portfolios.transactions import import_transactions
from seawall.quant.attribution import RiskMeasure
from seawall.risk.attribution import (
    AttributedMeasure,
    Grouping,
    RiskAttribution,
    attribute_portfolio,
    parse_grouping,
)
from seawall.risk.report import moment_of, report
from seawall.risk.schemas import RiskQuestion

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]

DAYS = 130
AS_OF = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=DAYS)
QUESTION = RiskQuestion(window=120)
BOUGHT = f"""{HEADER}
2024-01-02,deposit,USD,10000,,,
2024-01-03,buy,BTC,1,1000,4,
2024-01-03,buy,ETH,2,900,2,
2024-01-03,buy,USDT,500,1,,
"""


def _candles(pair: str, seed: int) -> ParsedFile:
    records = np.zeros(DAYS, CANDLE_DTYPE)
    close = 1_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.03, DAYS)))
    records["time"] = np.datetime64("2024-01-01", "us") + np.arange(DAYS) * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = close
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, DAYS, (), pair, "kraken", Timeframe(86_400)
    )


async def _fill(session: AsyncSession) -> None:
    await ingest(session, _candles("BTC/USD", 1), "btc")
    await ingest(session, _candles("ETH/USD", 2), "eth")
    portfolio = await create_portfolio(session, OWNER_ID, "Mine")
    await import_transactions(session, portfolio, parse_transactions(BOUGHT.encode(), AS_OF))


@pytest.fixture(scope="module")
def filled_once(fill_module: FillModule) -> Location:
    """The module's database with what each test begins with."""
    return fill_module(_fill)


@pytest.fixture
async def filled(filled_once: Location, undone_session: AsyncSession) -> AsyncSession:
    """A session on a database with a portfolio of coins, a stablecoin and cash."""
    assert filled_once.name
    return undone_session


async def _attribution(
    session: AsyncSession, by: Grouping = Grouping.ASSET, name: str = "Mine"
) -> RiskAttribution:
    portfolio = await get_portfolio(session, name)
    made = await report(session, portfolio, AS_OF, QUESTION)
    return await attribute_portfolio(session, portfolio, moment_of(made), QUESTION, by)


def _of(found: RiskAttribution, measure: RiskMeasure) -> AttributedMeasure:
    return next(each for each in found.measures if each.measure is measure)


async def test_parts_sum_to_the_figures_of_the_report(filled: AsyncSession) -> None:
    portfolio = await get_portfolio(filled, "Mine")
    made = await report(filled, portfolio, AS_OF, QUESTION)
    for by in Grouping:
        found = await attribute_portfolio(filled, portfolio, moment_of(made), QUESTION, by)
        for slug in ("volatility", "value_at_risk", "expected_shortfall"):
            each = _of(found, RiskMeasure(slug))
            assert each.total == made.figures[slug]
            assert sum(part.component or 0 for part in each.parts) == pytest.approx(
                each.total, rel=1e-12
            )
            assert sum(part.weight for part in each.parts) == pytest.approx(1)


async def test_the_same_moment_gives_the_same_parts(filled: AsyncSession) -> None:
    portfolio = await get_portfolio(filled, "Mine")
    made = await report(filled, portfolio, AS_OF, QUESTION)
    moment = moment_of(made)
    before = await attribute_portfolio(filled, portfolio, moment, QUESTION, Grouping.CLASS)
    await ingest(filled, _candles("BTC/USD", 7), "other prices, known later")
    assert await attribute_portfolio(filled, portfolio, moment, QUESTION, Grouping.CLASS) == before


async def test_holdings_come_with_the_heaviest_first(filled: AsyncSession) -> None:
    found = await _attribution(filled)
    volatility = _of(found, RiskMeasure.VOLATILITY)
    weights = [part.weight for part in volatility.parts]
    assert weights == sorted(weights, reverse=True)
    parts = {part.name: part for part in volatility.parts}
    assert parts.keys() == {"BTC", "ETH", "USD", "USDT"}
    assert parts["USD"].component == parts["USDT"].component == 0
    assert found.notes == ()


async def test_classes_and_chains_are_the_catalogue_s(filled: AsyncSession) -> None:
    classes = _of(await _attribution(filled, Grouping.CLASS), RiskMeasure.VOLATILITY)
    assert {part.name for part in classes.parts} == {"crypto", "stablecoin", "fiat"}
    await filled.execute(
        update(Asset).where(Asset.symbol.in_(["ETH", "USDT"])).values(blockchain="ethereum")
    )
    found = await _attribution(filled, Grouping.CHAIN)
    chains = {part.name for part in _of(found, RiskMeasure.VOLATILITY).parts}
    assert chains == {"ethereum", "unknown", "off chain"}
    assert found.notes == ("The catalogue knows no chain of BTC.",)


async def test_what_exchanges_report_is_named_and_not_measured(filled: AsyncSession) -> None:
    found = await _attribution(filled, Grouping.EXCHANGE)
    assert [part.name for part in _of(found, RiskMeasure.VOLATILITY).parts] == ["manual"]
    assert len(found.notes) == 1
    btc = await filled.scalar(select(Asset.id).where(Asset.symbol == "BTC"))
    portfolio = await get_portfolio(filled, "Mine")
    filled.add(
        HoldingRow(portfolio_id=portfolio.id, asset_id=btc, exchange_source="kraken", quantity=3)
    )
    await filled.flush()
    found = await _attribution(filled, Grouping.EXCHANGE)
    assert "BTC at kraken" in found.notes[1]


async def test_nothing_is_assigned_to_a_strategy(filled: AsyncSession) -> None:
    found = await _attribution(filled, Grouping.STRATEGY)
    assert [part.name for part in _of(found, RiskMeasure.VOLATILITY).parts] == ["unassigned"]
    assert "trading accounts" in found.notes[0]


async def test_what_cannot_be_measured_says_why(filled: AsyncSession) -> None:
    await create_portfolio(filled, OWNER_ID, "Empty")
    found = await _attribution(filled, name="Empty")
    assert (found.measures, found.reason) == ((), "the portfolio holds nothing")
    unpriced = await create_portfolio(filled, OWNER_ID, "Odd")
    rows = f"{HEADER}\n2024-01-03,buy,NOPE,1,5,,\n"
    await import_transactions(filled, unpriced, parse_transactions(rows.encode(), AS_OF))
    found = await _attribution(filled, name="Odd")
    assert (found.measures, found.reason) == ((), "no price of NOPE is known")


async def test_cash_alone_has_a_total_and_no_parts(filled: AsyncSession) -> None:
    cash = await create_portfolio(filled, OWNER_ID, "Cash")
    rows = f"{HEADER}\n2024-01-03,deposit,USD,100,,,\n"
    await import_transactions(filled, cash, parse_transactions(rows.encode(), AS_OF))
    volatility = _of(await _attribution(filled, name="Cash"), RiskMeasure.VOLATILITY)
    assert volatility.total == 0
    assert volatility.reason.startswith("no variance")
    assert [part.component for part in volatility.parts] == [None]


def test_only_known_groupings_are_read() -> None:
    assert parse_grouping("chain") is Grouping.CHAIN
    with pytest.raises(InvalidError, match="'colour'"):
        parse_grouping("colour")
