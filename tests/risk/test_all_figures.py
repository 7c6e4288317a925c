"""Reports of every figure, and what the report path makes of bad input."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError
from seawall.db.database import Location
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, PRICE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.transactions import import_transactions
from seawall.quant.covariance.estimate import Estimator
from seawall.quant.histories import HistoryMethod
from seawall.quant.metrics.metric import Input
from seawall.quant.metrics.registry import REGISTRY
from seawall.quant.tails import TailMethod
from seawall.quant.types import FloatArray
from seawall.risk import store
from seawall.risk.report import recompute, report
from seawall.risk.schemas import ASKED, CovarianceChoice, RiskQuestion, RiskReport

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]

START = np.datetime64("2024-01-01", "us")
DAYS = 130
AS_OF = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=DAYS)
ALL = RiskQuestion(window=120, everything=True)
SCALARS = {slug for slug, metric in REGISTRY.items() if metric.takes is not Input.ASSETS}
BOUGHT = "2024-01-02,deposit,USD,10000,,,\n2024-01-03,buy,{},1,100,,\n"


def walk(seed: int) -> FloatArray:
    steps = np.random.default_rng(seed).normal(0, 0.03, DAYS)
    return np.asarray(100 * np.exp(np.cumsum(steps)))


def candles(pair: str, close: FloatArray, first: int = 0) -> ParsedFile:
    records = np.zeros(close.size, CANDLE_DTYPE)
    records["time"] = START + (first + np.arange(close.size)) * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = close
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, close.size, (), pair, "kraken", Timeframe(86_400)
    )


def index(first: int, days: int) -> ParsedFile:
    records = np.zeros(days, PRICE_DTYPE)
    records["time"] = START + (first + np.arange(days)) * np.timedelta64(1, "D")
    records["price_usd"] = 4_000 + np.random.default_rng(9).normal(0, 20, days)
    return ParsedFile(
        "test", SeriesKind.PRICES, records, days, (), "SP500", None, Timeframe(86_400)
    )


async def hold(session: AsyncSession, rows: str) -> None:
    portfolio = await create_portfolio(session, OWNER_ID, "Mine")
    parsed = parse_transactions(f"{HEADER}\n{rows}".encode(), AS_OF)
    assert not (await import_transactions(session, portfolio, parsed)).rejected


async def measured(
    session: AsyncSession, question: RiskQuestion = ALL, as_of: datetime = AS_OF
) -> RiskReport:
    return await report(session, await get_portfolio(session, "Mine"), as_of, question)


def is_honest(made: RiskReport) -> None:
    """Each figure is a number, or null with the reason."""
    assert set(made.all_figures) == SCALARS | set(ASKED)
    for slug, figure in made.all_figures.items():
        assert (figure.value is None) == bool(figure.reason), slug
        assert (figure.low is None) == (figure.high is None), slug
        assert figure.value is not None or figure.low is None, slug
    for slug, value in made.figures.items():
        assert (value is None) == (slug in made.reasons), slug


async def _fill(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", walk(1)), "btc")
    await ingest(session, candles("ETH/USD", walk(2)), "eth")
    await ingest(session, index(0, DAYS), "sp500")
    await hold(session, BOUGHT.format("BTC") + "2024-01-03,buy,ETH,2,100,,\n")


@pytest.fixture(scope="module")
def filled_once(fill_module: FillModule) -> Location:
    """The module's database with what each test begins with."""
    return fill_module(_fill)


@pytest.fixture
async def filled(filled_once: Location, undone_session: AsyncSession) -> AsyncSession:
    """BTC, ETH and an index, and a portfolio of cash and both coins."""
    assert filled_once.name
    return undone_session


async def test_every_figure_is_kept_and_comes_back_as_it_was(filled: AsyncSession) -> None:
    made = await measured(filled)
    is_honest(made)
    assert made.id is not None
    assert await store.find_report(filled, made.id) == made
    assert (await measured(filled)).id == made.id
    for slug in set(made.figures) & SCALARS:
        assert made.all_figures[slug].value == made.figures[slug], slug
    drawdown = made.all_figures["max_drawdown"]
    assert drawdown.low is not None
    assert drawdown.high is not None
    assert 0 < drawdown.low < drawdown.high < 1
    assert drawdown.observations == 120
    assert made.all_figures["correlation_sp500"].observations < 120
    assert (await recompute(filled, made.id)).differs == ()


async def test_a_report_without_every_figure_is_another_and_has_none(
    filled: AsyncSession,
) -> None:
    everything = await measured(filled)
    plain = await measured(filled, replace(ALL, everything=False))
    assert plain.id != everything.id
    assert plain.all_figures == {}
    assert plain.figures == everything.figures


@pytest.mark.parametrize(
    "change", [{"risk_free": 0.05}, {"trials": 20}, {"max_age": 0.5}, {"confidence": 0.9}]
)
async def test_what_is_asked_is_kept_and_computed_again(
    filled: AsyncSession, change: dict[str, float]
) -> None:
    question = replace(ALL, **change)  # type: ignore[arg-type]
    plain, made = await measured(filled), await measured(filled, question)
    assert made.id not in {None, plain.id}
    assert made.id is not None
    kept = await store.find_report(filled, made.id)
    assert kept is not None
    assert kept.question == question
    assert (await recompute(filled, made.id)).differs == ()
    changed = {
        slug for slug in SCALARS if made.all_figures[slug].value != plain.all_figures[slug].value
    }
    expected = {
        "risk_free": {
            *("sharpe_ratio", "sortino_ratio", "omega_ratio", "alpha"),
            *("probabilistic_sharpe_ratio", "deflated_sharpe_ratio"),
        },
        "trials": {"deflated_sharpe_ratio"},
    }
    assert changed == expected.get(next(iter(change)), set())


@pytest.mark.parametrize("method", TailMethod)
async def test_the_tail_is_by_the_method_and_over_the_horizon_asked_for(
    filled: AsyncSession, method: TailMethod
) -> None:
    plain = await measured(filled, replace(ALL, everything=False))
    question = replace(ALL, everything=False, method=method, horizon=5, confidence=0.9)
    made = await measured(filled, question)
    assert made.id is not None
    assert set(made.all_figures) == set(ASKED)
    var, shortfall = (made.all_figures[slug] for slug in ASKED)
    if method is TailMethod.CORNISH_FISHER:
        # These returns are too skewed for it.
        assert var.value is shortfall.value is None
        assert made.reasons["value_at_risk"] == var.reason != ""
    else:
        assert var.value is not None
        assert shortfall.value is not None
        assert 0 < var.value <= shortfall.value
    assert var.value == made.figures["value_at_risk"]
    assert made.figures["var_95"] == plain.figures["var_95"]
    kept = await store.find_report(filled, made.id)
    assert kept == made
    assert kept.question.method is method
    assert (await recompute(filled, made.id)).differs == ()


async def test_the_plain_tail_is_the_report_s_own(filled: AsyncSession) -> None:
    made = await measured(filled)
    assert made.figures["value_at_risk"] == made.figures["var_95"]
    assert made.all_figures[ASKED[0]].value == made.figures["value_at_risk"]
    assert made.all_figures[ASKED[1]].value == pytest.approx(
        made.figures["expected_shortfall"], rel=1e-9
    )


async def test_corrected_prices_change_no_kept_figure(engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, candles("BTC/USD", walk(1)), "btc")
        await hold(session, BOUGHT.format("BTC"))
    choice = CovarianceChoice(Estimator.EWMA, HistoryMethod.PAIRWISE, ALL.window)
    question = replace(ALL, covariance=choice)
    async with transaction(engine, OWNER_ID) as session:
        made = await measured(session, question)
    assert made.id is not None
    async with transaction(engine, OWNER_ID) as session:
        await ingest(session, candles("BTC/USD", walk(5)), "btc")
    async with transaction(engine, OWNER_ID) as session:
        done = await recompute(session, made.id)
        assert done.differs == ()
        assert done.again.all_figures == made.all_figures
        assert done.again.covariance == made.covariance
        revised = await measured(session, question)
        assert revised.all_figures != made.all_figures
        assert revised.covariance != made.covariance


async def test_recompute_names_a_forged_figure(filled: AsyncSession) -> None:
    made = await measured(filled)
    forged = made.all_figures["ulcer_index"]
    figures = {**made.all_figures, "ulcer_index": replace(forged, low=0.0)}
    forged_id = await store.add_report(filled, OWNER_ID, replace(made, all_figures=figures))
    assert (await recompute(filled, forged_id)).differs == ("ulcer_index",)


async def test_an_empty_portfolio(session: AsyncSession) -> None:
    await create_portfolio(session, OWNER_ID, "Mine")
    made = await measured(session)
    is_honest(made)
    assert {each.reason for each in made.all_figures.values()} == {"the portfolio holds nothing"}


async def test_one_asset(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", walk(1)), "btc")
    await hold(session, "2024-01-03,buy,BTC,1,100,,\n")
    made = await measured(session)
    is_honest(made)
    for slug in ("effective_bets", "effective_torsion_bets", "diversification_ratio", "beta"):
        assert made.all_figures[slug].value == pytest.approx(1.0)
    assert made.all_figures["tracking_error"].value == 0
    assert made.all_figures["information_ratio"].reason == "no deviation from the benchmark"


async def test_a_holding_so_small_that_it_weighs_nothing(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", walk(1) * 1e6), "btc")
    await ingest(session, candles("ETH/USD", walk(2) * 1e-9), "eth")
    await hold(session, "2024-01-03,buy,BTC,9000,1,,\n2024-01-03,buy,ETH,0.000000001,1,,\n")
    made = await measured(session)
    is_honest(made)
    assert [each.weight for each in made.holdings] == pytest.approx([1.0, 0.0])
    assert made.all_figures["effective_n"].value == pytest.approx(1.0)
    assert made.all_figures["diversification_ratio"].value == pytest.approx(1.0)


async def test_a_stablecoin_without_variance(session: AsyncSession) -> None:
    await ingest(session, candles("USDC/USD", np.ones(DAYS)), "usdc")
    await hold(session, "2024-01-03,buy,USDC,100,1,,\n")
    made = await measured(session)
    is_honest(made)
    assert made.figures["volatility"] == 0
    assert made.all_figures["calmar_ratio"].value is None
    assert made.all_figures["diversification_ratio"].reason == "no variance"


async def test_three_observations(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", walk(1)[:4], DAYS - 4), "btc")
    await hold(session, "2024-01-03,buy,BTC,1,100,,\n")
    made = await measured(session)
    is_honest(made)
    assert made.observations == 3
    assert made.all_figures["kurtosis"].reason == "needs at least 4 observations, has 3"
    assert made.all_figures["max_drawdown"].value is not None
    assert made.all_figures["max_drawdown"].low is None


async def test_no_day_that_all_holdings_have(session: AsyncSession) -> None:
    # Every second close: no two days in a row have one, so there is no return at all.
    eth = candles("ETH/USD", walk(2))
    await ingest(session, candles("BTC/USD", walk(1)), "btc")
    await ingest(session, replace(eth, records=eth.records[1::2]), "eth")
    await hold(session, BOUGHT.format("BTC") + "2024-01-03,buy,ETH,1,100,,\n")
    made = await measured(session)
    is_honest(made)
    assert made.observations == 0
    assert made.all_figures["volatility"].reason == "needs at least 2 observations, has 0"


async def test_an_asset_held_twice_under_two_names_makes_the_covariance_singular(
    session: AsyncSession,
) -> None:
    await ingest(session, candles("BTC/USD", walk(1)), "btc")
    await ingest(session, candles("WBTC/USD", walk(1)), "wbtc")
    await hold(session, "2024-01-03,buy,BTC,1,100,,\n2024-01-03,buy,WBTC,1,100,,\n")
    made = await measured(session)
    is_honest(made)
    assert made.all_figures["effective_bets"].value == pytest.approx(1.0, abs=1e-6)
    torsion = made.all_figures["effective_torsion_bets"]
    assert (torsion.value, torsion.reason) == (None, "no variance, or a singular covariance")


async def test_stale_prices_are_named_with_since_when(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", walk(1)), "btc")
    await ingest(session, candles("ETH/USD", walk(2)[: DAYS - 3]), "eth")
    await hold(session, BOUGHT.format("BTC") + "2024-01-03,buy,ETH,1,100,,\n")
    made = await measured(session)
    since = AS_OF - timedelta(days=3)
    assert made.stale == {"ETH": since}
    assert "Prices are stale: ETH since 2024-05-07T00:00:00Z." in made.notes
    lenient = await measured(session, replace(ALL, max_age=3.0))
    assert lenient.stale == {}
    assert not any("stale" in note for note in lenient.notes)
    assert lenient.id is not None
    assert (await recompute(session, lenient.id)).differs == ()


async def test_a_benchmark_without_overlap(session: AsyncSession) -> None:
    await ingest(session, candles("BTC/USD", walk(1)), "btc")
    await ingest(session, index(-200, 100), "sp500")
    await hold(session, BOUGHT.format("BTC"))
    made = await measured(session, replace(ALL, benchmark="SP500"))
    is_honest(made)
    for slug in ("beta", "alpha", "rank_correlation", "ewma_correlation_sp500"):
        figure = made.all_figures[slug]
        assert (figure.value, figure.observations) == (None, 0)
        assert figure.reason == "needs at least 3 observations, has 0"


async def test_a_benchmark_that_is_not_held(session: AsyncSession) -> None:
    await ingest(session, candles("ETH/USD", walk(1)), "eth")
    await hold(session, BOUGHT.format("ETH"))
    made = await measured(session)
    is_honest(made)
    assert made.all_figures["alpha"].reason == "no prices of BTC are held"
    assert made.all_figures["rank_correlation_sp500"].reason == "no prices of SP500 are held"


@pytest.mark.parametrize(
    "change",
    [
        {"confidence": 0.0},
        {"confidence": 1.0},
        {"confidence": float("nan")},
        {"risk_free": -1.0},
        {"risk_free": 4.0},
        {"risk_free": float("nan")},
        {"trials": 0},
        {"max_age": 0.0},
        {"max_age": float("nan")},
        {"horizon": 0},
        {"horizon": 366},
    ],
)
def test_a_question_out_of_range_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(InvalidError):
        replace(ALL, **change)  # type: ignore[arg-type]
