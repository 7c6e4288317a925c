"""Reports on made-up prices: kept once, computed again as known, and null where undefined."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError, NotFoundError
from seawall.db.database import Location
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, PRICE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.schemas import LotMethod
from seawall.portfolios.store import list_holdings
from seawall.portfolios.tables import PortfolioSnapshot
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.valuation import begin, measure_performance, value_portfolio
from seawall.risk import store
from seawall.risk.news import store as news
from seawall.risk.report import recompute, report
from seawall.risk.schemas import FIGURES, RiskQuestion, RiskReport
from seawall.risk.tables import PortfolioRiskMetrics

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 130
AS_OF = START + timedelta(days=DAYS)
QUESTION = RiskQuestion(window=120)
BOUGHT = f"""{HEADER}
2024-01-02,deposit,USD,10000,,,
2024-01-03,buy,BTC,0.1,40000,4,
2024-01-03,buy,ETH,1,2000,2,
"""


def _candles(pair: str, seed: int, days: int = DAYS, exchange: str = "kraken") -> ParsedFile:
    random = np.random.default_rng(seed)
    records = np.zeros(days, CANDLE_DTYPE)
    close = 1_000 * np.exp(np.cumsum(random.normal(0, 0.03, days)))
    records["time"] = np.datetime64("2024-01-01", "us") + np.arange(days) * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = close
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, days, (), pair, exchange, Timeframe(86_400)
    )


def _index(symbol: str) -> ParsedFile:
    records = np.zeros(DAYS, PRICE_DTYPE)
    records["time"] = np.datetime64("2024-01-02", "us") + np.arange(DAYS) * np.timedelta64(1, "D")
    records["price_usd"] = 4_000 + np.random.default_rng(9).normal(0, 20, DAYS)
    return ParsedFile("test", SeriesKind.PRICES, records, DAYS, (), symbol, None, Timeframe(86_400))


async def _make(session: AsyncSession, transactions: str = BOUGHT, name: str = "Mine") -> None:
    portfolio = await create_portfolio(session, OWNER_ID, name)
    await _record(session, transactions, name)
    assert portfolio.name == name


async def _record(session: AsyncSession, transactions: str, name: str = "Mine") -> None:
    parsed = parse_transactions(transactions.encode(), AS_OF)
    done = await import_transactions(session, await get_portfolio(session, name), parsed)
    assert not done.rejected


async def _report(
    session: AsyncSession, question: RiskQuestion = QUESTION, name: str = "Mine"
) -> RiskReport:
    return await report(session, await get_portfolio(session, name), AS_OF, question)


async def _fill(session: AsyncSession) -> None:
    await ingest(session, _candles("BTC/USD", 1), "btc")
    await ingest(session, _candles("ETH/USD", 2), "eth")
    await _make(session)


@pytest.fixture(scope="module")
def filled_once(fill_module: FillModule) -> Location:
    """The module's database with what each test begins with."""
    return fill_module(_fill)


@pytest.fixture
async def filled(filled_once: Location, undone_session: AsyncSession) -> AsyncSession:
    """A session on a database with two assets and a portfolio that holds both."""
    assert filled_once.name
    return undone_session


async def test_a_report_comes_back_from_its_row_as_it_was(filled: AsyncSession) -> None:
    made = await _report(filled)
    assert made.id is not None
    assert await store.find_report(filled, made.id) == made
    assert set(made.figures) == {*FIGURES, "value_at_risk"}
    assert made.observations == 120
    assert made.figures["correlation_sp500"] is None
    assert made.reasons["correlation_sp500"] == "no prices of SP500 are held"


async def test_the_same_report_is_kept_once(filled: AsyncSession) -> None:
    first, second = await _report(filled), await _report(filled)
    assert first.id == second.id
    other = await _report(filled, replace(QUESTION, confidence=0.9))
    assert other.id != first.id
    assert await filled.scalar(select(func.count()).select_from(PortfolioRiskMetrics)) == 2


async def test_a_kept_report_leaves_a_snapshot_and_the_portfolio_s_figures(
    filled: AsyncSession,
) -> None:
    made = await _report(filled)
    (snapshot,) = await filled.scalars(select(PortfolioSnapshot))
    assert (snapshot.time, snapshot.known_at) == (made.as_of, made.known_at)
    assert snapshot.total_value_usd == made.total_value_usd
    portfolio = await get_portfolio(filled, "Mine")
    assert portfolio.valued_at == made.as_of
    assert portfolio.total_value_usd == pytest.approx(made.total_value_usd)
    for name in ("volatility", "sharpe_ratio", "max_drawdown"):
        assert getattr(portfolio, name) == made.figures[name]
    stored = await list_holdings(filled, portfolio.id)
    assert [(each.asset, each.quantity) for each in stored] == [
        (each.asset, each.quantity) for each in made.holdings
    ]
    # Of another question the same instant is kept once.
    await _report(filled, replace(QUESTION, window=60))
    assert await filled.scalar(select(func.count()).select_from(PortfolioSnapshot)) == 1


@pytest.mark.parametrize(
    "later", ["a revised price", "a better source", "an older transaction", "a new benchmark"]
)
async def test_a_kept_report_is_computed_again_exactly(engine: AsyncEngine, later: str) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, _candles("BTC/USD", 1), "btc")
        await ingest(session, _candles("ETH/USDT", 2), "eth")
        await _make(session)
    async with transaction(engine, OWNER_ID) as session:
        made = await _report(session)
    assert made.id is not None
    async with transaction(engine, OWNER_ID) as session:
        if later == "a revised price":
            await ingest(session, _candles("BTC/USD", 3), "btc")
        elif later == "a better source":
            await ingest(session, _candles("ETH/USD", 4), "eth")
        elif later == "a new benchmark":
            await ingest(session, _index("SP500"), "sp500")
        else:
            await _record(session, f"{HEADER}\n2024-01-04,buy,ETH,0.5,2000,,\n")
    async with transaction(engine, OWNER_ID) as session:
        done = await recompute(session, made.id)
        assert done.differs == ()
        assert done.again.figures == made.figures
        now = await _report(session)
        assert (now.figures, now.reasons) != (made.figures, made.reasons)
        assert (await recompute(session, made.id)).differs == ()


async def test_recompute_names_what_differs(filled: AsyncSession) -> None:
    made = await _report(filled)
    forged = replace(made, figures={**made.figures, "volatility": 0.1}, total_value_usd=Decimal(1))
    forged_id = await store.add_report(filled, OWNER_ID, forged)
    assert set((await recompute(filled, forged_id)).differs) == {"volatility", "total_value_usd"}


async def test_no_such_report(session: AsyncSession) -> None:
    with pytest.raises(NotFoundError, match="00000000"):
        await recompute(session, OWNER_ID)


async def test_an_empty_portfolio_has_no_risk_but_reasons(session: AsyncSession) -> None:
    await create_portfolio(session, OWNER_ID, "Empty")
    made = await _report(session, name="Empty")
    assert set(made.figures.values()) == {None}
    assert set(made.reasons.values()) == {"the portfolio holds nothing"}
    assert made.total_value_usd == 0


async def test_a_holding_without_a_price_leaves_the_totals_unknown(filled: AsyncSession) -> None:
    await _record(filled, f"{HEADER}\n2024-01-05,buy,XMR,1,150,,\n")
    made = await _report(filled)
    assert made.total_value_usd is None
    assert set(made.figures.values()) == {None}
    assert made.reasons["volatility"] == "no price of XMR is known"
    assert [each.price_usd for each in made.holdings if each.asset == "XMR"] == [None]


async def test_cash_alone_does_not_vary(session: AsyncSession) -> None:
    await _make(session, f"{HEADER}\n2024-01-02,deposit,USD,10000,,,\n")
    made = await _report(session)
    assert made.total_value_usd == 10_000
    assert made.figures["volatility"] == 0
    assert made.figures["var_95"] == 0
    assert made.figures["sharpe_ratio"] is None
    assert made.reasons["sharpe_ratio"]
    assert made.figures["herfindahl_index"] == 1


async def test_common_dates_only(session: AsyncSession) -> None:
    await ingest(session, _candles("BTC/USD", 1), "btc")
    eth = _candles("ETH/USD", 2)
    holes = np.delete(eth.records, [60, 100])
    await ingest(session, replace(eth, records=holes), "eth")
    await _make(session)
    made = await _report(session)
    # Each missing close takes two returns with it, for none is made over the gap.
    assert made.observations == 116
    assert made.missing == 4
    assert {each.asset: each.missing for each in made.holdings}["ETH"] == 4
    assert any("ETH 4" in note for note in made.notes)


async def test_a_late_listing_shortens_the_window(session: AsyncSession) -> None:
    await ingest(session, _candles("BTC/USD", 1), "btc")
    eth = _candles("ETH/USD", 2)
    await ingest(session, replace(eth, records=eth.records[-11:]), "eth")
    await _make(session)
    made = await _report(session)
    assert made.observations == 10
    assert made.figures["var_95"] is None
    assert "needs at least 20 observations, has 10" in made.reasons["var_95"]
    assert made.figures["volatility"] is not None


async def test_reports_of_a_portfolio_the_newest_first(filled: AsyncSession) -> None:
    portfolio = await get_portfolio(filled, "Mine")
    early = await report(filled, portfolio, AS_OF - timedelta(days=5), QUESTION)
    late = await _report(filled)
    assert [each.id for each in await store.list_reports(filled, portfolio.id, 9)] == [
        late.id,
        early.id,
    ]
    assert [each.id for each in await store.list_reports(filled, portfolio.id, 1)] == [late.id]


_AGAIN = text("""
    INSERT INTO portfolio_risk_metrics (time, portfolio_id, known_at, window_days, confidence,
        benchmark, observations, total_value_usd, parameters, details, volatility)
    SELECT time, portfolio_id, known_at, window_days, confidence,
        benchmark, observations, total_value_usd, parameters, details, volatility
    FROM portfolio_risk_metrics, generate_series(1, 9)
""")


async def test_of_reports_of_one_instant_everybody_names_the_same_first(
    filled: AsyncSession,
) -> None:
    portfolio = await get_portfolio(filled, "Mine")
    await _report(filled)
    await filled.execute(_AGAIN)
    listed = await store.list_reports(filled, portfolio.id, 20)
    ids = [each.id for each in listed if each.id is not None]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 10
    (latest,) = await store.latest_reports(filled, 9, None)
    found = await store.find_latest(filled, portfolio.id, AS_OF, QUESTION)
    (told,) = await news.list_reports(filled, [portfolio.id], None, 9)
    assert found is not None
    assert {latest.id, found.id, told.id} == {ids[0]}


async def test_all_of_one_asset_has_a_beta_of_one_against_it(session: AsyncSession) -> None:
    # Two exchanges that disagree: the holding and the benchmark have to take the same one.
    await ingest(session, _candles("ETH/USD", 2, exchange="zeta"), "zeta")
    late = _candles("ETH/USD", 5, exchange="alpha")
    await ingest(session, replace(late, records=late.records[20:]), "alpha")
    await _make(session, f"{HEADER}\n2024-01-03,buy,ETH,1,2000,2,\n")
    made = await _report(session, RiskQuestion(window=60, benchmark="ETH"))
    assert made.figures["beta"] == pytest.approx(1.0, abs=1e-12)


async def test_a_flow_at_a_stale_price_has_no_return_and_says_so(session: AsyncSession) -> None:
    btc = _candles("BTC/USD", 1)
    holes = np.delete(btc.records, np.arange(30, 60))
    await ingest(session, replace(btc, records=holes), "btc")
    late = START + timedelta(days=45)
    await _make(
        session, f"{HEADER}\n2024-01-03,buy,BTC,1,1000,,\n{late:%Y-%m-%d},buy,BTC,1,900,,\n"
    )
    portfolio = await get_portfolio(session, "Mine")
    moment = await begin(session, portfolio, AS_OF)
    valuation = await value_portfolio(session, portfolio, moment, LotMethod.FIFO, at_flows=True)
    found = measure_performance(valuation)
    assert found.value is None
    assert "The newest price of BTC at 2024-02-15T00:00:00Z is of 2024-01-31" in found.reason


async def test_names_are_found_whatever_their_case(session: AsyncSession) -> None:
    made = await create_portfolio(session, OWNER_ID, "ÄRGER und Ruhe")
    assert (await get_portfolio(session, "ÄRGER UND RUHE")).id == made.id


async def test_before_anything_can_have_happened(session: AsyncSession) -> None:
    portfolio = await create_portfolio(session, OWNER_ID, "Mine")
    with pytest.raises(InvalidError, match="before 1970"):
        await begin(session, portfolio, datetime(1969, 12, 31, tzinfo=UTC))


async def test_a_report_waits_for_a_benchmark_that_is_just_being_imported(
    engine: AsyncEngine,
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, _candles("ETH/USD", 2), "eth")
        await _make(session, f"{HEADER}\n2024-01-03,buy,ETH,1,2000,2,\n")

    async def measure() -> RiskReport:
        async with transaction(engine, OWNER_ID) as session:
            return await _report(session)

    async with transaction(engine, OWNER_ID) as writer:
        await ingest(writer, _candles("BTC/USD", 1), "btc")
        measuring = asyncio.create_task(measure())
        done, _ = await asyncio.wait([measuring], timeout=0.3)
        assert not done
    made = await measuring
    assert made.figures["beta"] is not None
    assert made.id is not None
    async with transaction(engine, OWNER_ID) as session:
        assert (await recompute(session, made.id)).differs == ()
