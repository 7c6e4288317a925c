"""Optimising on a real database: what is chosen and kept, and the plan carried out on a copy."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError
from seawall.core.money import plain
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.ledger import replay
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.schemas import LotMethod, TransactionType
from seawall.portfolios.store import list_transactions
from seawall.portfolios.transactions import import_transactions
from seawall.portfolios.valuation import Moment, value_portfolio
from seawall.quant.covariance.estimate import Estimator
from seawall.quant.histories import HistoryMethod
from seawall.risk import store
from seawall.risk.attribution import Grouping
from seawall.risk.covariance import read_choice
from seawall.risk.optimise import Optimised, optimise
from seawall.risk.rebalance import TradingCosts
from seawall.risk.report import recompute, report
from seawall.risk.schemas import CovarianceChoice, RiskQuestion
from seawall.risk.targets import (
    Bounds,
    Cap,
    Method,
    OptimiseQuestion,
    parse_cap,
    parse_method,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 130
AS_OF = START + timedelta(days=DAYS)
HISTORY = f"""{HEADER}
2024-01-02,deposit,USD,20000,,,
2024-01-03,buy,BTC,4,900,4,
2024-01-04,buy,BTC,2.5,1100.5,3,
2024-01-05,buy,ETH,3.123456,1000,2,
2024-01-06,stake,ETH,3,,,
2024-01-07,buy,SOL,2,1000,,
2024-01-08,buy,NEW,1,1000,,
2024-01-09,buy,USDT,500,1,,
"""
QUESTION = OptimiseQuestion(
    Method.MIN_VARIANCE,
    CovarianceChoice(window=120),
    bounds=Bounds(most=0.6),
    costs=TradingCosts(Decimal("0.001"), Decimal("0.0005")),
)


def _candles(pair: str, seed: int, scale: float, days: int = DAYS) -> ParsedFile:
    common = np.random.default_rng(99).normal(0, 0.02, DAYS)[-days:]
    own = np.random.default_rng(seed).normal(0, scale, days)
    records = np.zeros(days, CANDLE_DTYPE)
    first = np.datetime64("2024-01-01", "us") + np.timedelta64(DAYS - days, "D")
    records["time"] = first + np.arange(days) * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = 1_000 * np.exp(np.cumsum(common + own))
    records["quote_volume"], records["trade_count"] = np.nan, -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, days, (), pair, "kraken", Timeframe(86_400)
    )


async def _record(session: AsyncSession, name: str, transactions: str) -> None:
    parsed = parse_transactions(transactions.encode(), AS_OF)
    done = await import_transactions(session, await get_portfolio(session, name), parsed)
    assert not done.rejected, done.rejected


async def _fill(location: Location) -> None:
    engine = create_engine(location.url)
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        for seed, (asset, scale) in enumerate((("BTC", 0.01), ("ETH", 0.02), ("SOL", 0.04))):
            await ingest(session, _candles(f"{asset}/USD", seed, scale), asset)
        await ingest(session, _candles("NEW/USD", 7, 0.03, days=60), "new")
        for method in LotMethod:
            await create_portfolio(session, OWNER_ID, method.value, "", method)
            await _record(session, method.value, HISTORY)
        await create_portfolio(session, OWNER_ID, "One")
        await _record(session, "One", f"{HEADER}\n2024-01-03,buy,BTC,4,900,4,\n")
        await create_portfolio(session, OWNER_ID, "Empty")
        await create_portfolio(session, OWNER_ID, "Unpriced")
        await _record(
            session, "Unpriced", f"{HEADER}\n2024-01-03,buy,BTC,1,9,,\n2024-01-03,buy,ODD,1,9,,\n"
        )
    await engine.dispose()


@pytest.fixture(scope="module")
def filled(module_location: Location) -> Location:
    """A database with four coins, one of them listed late, and a portfolio for each lot method."""
    asyncio.run(_fill(module_location))
    return module_location


@pytest.fixture
async def held(filled: Location) -> AsyncIterator[AsyncSession]:
    """A transaction on it, of which nothing is kept."""
    engine = create_engine(filled.url)
    async with transaction(engine, OWNER_ID) as session:
        yield session
        await session.rollback()
    await engine.dispose()


async def _optimise(
    session: AsyncSession, question: OptimiseQuestion = QUESTION, name: str = "fifo"
) -> Optimised:
    return await optimise(session, await get_portfolio(session, name), AS_OF, question)


async def test_money_is_kept_and_the_rest_is_weighed_within_bounds(held: AsyncSession) -> None:
    made = await _optimise(held)
    found = {each.asset: each for each in made.weights}
    assert sum(each.target for each in made.weights) == pytest.approx(1, abs=1e-9)
    assert {asset for asset, each in found.items() if each.kept} == {"USD", "USDT"}
    assert found["USDT"].target == found["USDT"].weight
    portfolio = await get_portfolio(held, "fifo")
    valued = await value_portfolio(
        held, portfolio, Moment(made.as_of, made.known_at), LotMethod.FIFO
    )
    for each in valued.holdings:
        assert found[each.asset].weight == pytest.approx(float(each.weight or 0), rel=1e-9)
    assert all(each.target <= 0.6 + 1e-9 for each in made.weights if not each.kept)
    assert made.target.volatility < made.before.volatility
    assert made.before.volatility > made.traded.volatility >= made.target.volatility - 1e-3
    shares = [each.target_risk_share or 0 for each in made.weights]
    assert sum(shares) == pytest.approx(1)
    assert made.observations == 59
    assert made.missing == {"NEW": 61}


@pytest.mark.parametrize("method", LotMethod)
async def test_a_plan_that_is_carried_out_realises_what_was_previewed(
    held: AsyncSession, method: LotMethod
) -> None:
    made = await _optimise(held, name=method.value)
    plan = made.plan
    portfolio = await get_portfolio(held, method.value)
    before = replay(await list_transactions(held, portfolio.id), method)
    assert any(trade.side is TransactionType.SELL for trade in plan.trades)
    rows = [
        f"2024-05-10T00:00:0{at}Z,{trade.side},{trade.asset},{plain(trade.quantity)},"
        f"{plain(trade.price_usd)},{plain(trade.fee_usd)},"
        for at, trade in enumerate(plan.trades)
    ]
    parsed = parse_transactions("\n".join([HEADER, *rows]).encode(), AS_OF + timedelta(days=1))
    done = await import_transactions(held, portfolio, parsed)
    assert not done.rejected, done.rejected
    after = replay(await list_transactions(held, portfolio.id), method)
    assert after.cash == plan.cash_after
    realised = after.totals.realised_profit - before.totals.realised_profit
    assert realised == plan.realised_usd
    quantities = {each.asset: each.quantity for each in before.held}
    for trade in plan.trades:
        way = 1 if trade.side is TransactionType.BUY else -1
        quantities[trade.asset] += way * trade.quantity
    left = {each.asset: each.quantity for each in after.held if each.asset != "USD"}
    assert left == {k: v for k, v in quantities.items() if k != "USD" and v}


async def test_order_rules_of_the_pairs_are_kept(held: AsyncSession) -> None:
    rules = text("UPDATE symbols SET quantity_precision = 1, min_order_size = 0.2")
    await held.execute(rules)
    made = await _optimise(held, replace(QUESTION, bounds=Bounds(cash=0.1)))
    assert made.plan.trades
    for trade in made.plan.trades:
        assert trade.quantity % Decimal("0.1") == 0
        assert trade.quantity >= Decimal("0.2")


async def test_cash_gets_the_share_that_it_is_to_have(held: AsyncSession) -> None:
    made = await _optimise(held, replace(QUESTION, bounds=Bounds(cash=0.4)))
    assert made.plan.weights["USD"] == pytest.approx(0.4, abs=0.001)


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("histories", [HistoryMethod.COMMON, HistoryMethod.PROXY])
async def test_every_method_has_weights(
    held: AsyncSession, method: Method, histories: HistoryMethod
) -> None:
    made = await _optimise(
        held, OptimiseQuestion(method, CovarianceChoice(histories=histories, window=120))
    )
    assert sum(each.target for each in made.weights) == pytest.approx(1, abs=1e-9)
    assert all(each.target >= 0 for each in made.weights)
    assert made.observations == (120 if histories is HistoryMethod.PROXY else 59)
    assert made.filled == ({"NEW": 61} if histories is HistoryMethod.PROXY else {})
    if method is Method.RISK_PARITY:
        parts = [e.target_risk_share for e in made.weights if not e.kept]
        assert parts == pytest.approx([0.25] * 4, abs=1e-9)


async def test_pairwise_histories_are_repaired_or_fit(held: AsyncSession) -> None:
    choice = CovarianceChoice(Estimator.SAMPLE, HistoryMethod.PAIRWISE, 120)
    made = await _optimise(held, replace(QUESTION, covariance=choice))
    assert made.observations == 59
    assert any("each pair was measured" in note for note in made.notes)
    shrunk = replace(choice, estimator=Estimator.LEDOIT_WOLF)
    with pytest.raises(InvalidError, match="complete returns"):
        await _optimise(held, replace(QUESTION, covariance=shrunk))


async def test_caps_count_what_is_kept(held: AsyncSession) -> None:
    caps = (Cap(("BTC", "ETH"), 0.3), Cap(("crypto",), 0.5, Grouping.CLASS))
    made = await _optimise(held, replace(QUESTION, bounds=Bounds(caps=caps[:1])))
    found = {each.asset: each.target for each in made.weights}
    assert found["BTC"] + found["ETH"] <= 0.3 + 1e-9
    # The coins have to have what the cash does not.
    with pytest.raises(InvalidError, match="caps of class:crypto"):
        await _optimise(held, replace(QUESTION, bounds=Bounds(caps=caps[1:])))
    with pytest.raises(InvalidError, match="nothing that is held"):
        await _optimise(held, replace(QUESTION, bounds=Bounds(caps=(Cap(("XRP",), 0.3),))))
    kept = Bounds(caps=(Cap(("BTC",), 0.01),), keep=("BTC",))
    with pytest.raises(InvalidError, match="What is kept of BTC"):
        await _optimise(held, replace(QUESTION, bounds=kept))


async def test_turnover_is_kept(held: AsyncSession) -> None:
    question = replace(QUESTION, method=Method.MEAN_CVAR, bounds=Bounds(turnover=0.1))
    made = await _optimise(held, question)
    moved = sum(abs(each.target - each.weight) for each in made.weights) / 2
    assert 0 < moved <= 0.1 + 1e-9
    with pytest.raises(InvalidError, match="turnover"):
        await _optimise(held, replace(question, method=Method.MIN_VARIANCE))
    with pytest.raises(InvalidError, match="takes no bounds"):
        await _optimise(held, replace(question, method=Method.RISK_PARITY))


@pytest.mark.parametrize(
    ("name", "bounds", "said"),
    [
        ("One", Bounds(), "BTC can be weighed anew; two assets"),
        ("Empty", Bounds(), "holds nothing"),
        ("Unpriced", Bounds(), "no price of ODD"),
        ("fifo", Bounds(most=0.1), "hold"),
        ("fifo", Bounds(keep=("XRP",)), "XRP cannot be kept"),
        ("fifo", Bounds(cash=1.0), "nothing is left to weigh"),
        ("fifo", Bounds(least_return=1e6), "can be had at most"),
    ],
)
async def test_what_cannot_be_optimised_is_said(
    held: AsyncSession, name: str, bounds: Bounds, said: str
) -> None:
    with pytest.raises(InvalidError, match=said):
        await _optimise(held, replace(QUESTION, bounds=bounds), name)


async def test_too_short_a_window_has_no_covariance(held: AsyncSession) -> None:
    with pytest.raises(InvalidError, match="at least 3 observations, has 2"):
        await _optimise(held, replace(QUESTION, covariance=CovarianceChoice(window=2)))


async def test_looking_leaves_nothing_behind(held: AsyncSession) -> None:
    counts = text(
        "SELECT (SELECT count(*) FROM transactions), (SELECT count(*) FROM portfolio_risk_metrics),"
        " (SELECT count(*) FROM portfolio_snapshots)"
    )
    before = (await held.execute(counts)).one()
    await _optimise(held)
    assert (await held.execute(counts)).one() == before


@pytest.mark.parametrize("histories", HistoryMethod)
async def test_a_report_s_covariance_says_which_histories_it_is_of(
    held: AsyncSession, histories: HistoryMethod
) -> None:
    choice = CovarianceChoice(Estimator.SAMPLE, histories, 120)
    portfolio = await get_portfolio(held, "fifo")
    question = RiskQuestion(120, covariance=choice)
    made = await report(held, portfolio, AS_OF, question)
    found = made.covariance
    assert found is not None
    assert (found.choice, found.reason) == (choice, "")
    assert found.missing == {"NEW": 61}
    assert found.filled == ({"NEW": 61} if histories is HistoryMethod.PROXY else {})
    days = {HistoryMethod.COMMON: 59, HistoryMethod.PAIRWISE: 59, HistoryMethod.PROXY: 120}
    assert found.observations == days[histories]
    assert found.volatility is not None
    assert found.volatility > 0
    if histories is HistoryMethod.COMMON:
        assert found.volatility == pytest.approx(made.figures["volatility"], rel=1e-9)
        at = [found.correlations.assets.index(asset) for asset in ("BTC", "ETH")]
        theirs = [made.correlation_matrix.assets.index(asset) for asset in ("BTC", "ETH")]
        assert found.correlations.values[at[0]][at[1]] == pytest.approx(
            made.correlation_matrix.values[theirs[0]][theirs[1]], rel=1e-9
        )
    for name, said in (("Empty", "holds nothing"), ("Unpriced", "no price of ODD")):
        nothing = await report(held, await get_portfolio(held, name), AS_OF, question)
        assert nothing.covariance is not None
        assert nothing.covariance.volatility is None
        assert said in nothing.covariance.reason


@pytest.mark.parametrize("estimator", [Estimator.EWMA, Estimator.DENOISED])
async def test_a_covariance_is_kept_with_its_choice_and_computed_again(
    held: AsyncSession, estimator: Estimator
) -> None:
    portfolio = await get_portfolio(held, "fifo")
    plain = await report(held, portfolio, AS_OF, RiskQuestion(120))
    choice = CovarianceChoice(estimator, HistoryMethod.PROXY, 120)
    question = RiskQuestion(120, covariance=choice)
    made = await report(held, portfolio, AS_OF, question)
    assert made.id not in {None, plain.id}
    assert made.id is not None
    assert (made.figures, plain.covariance) == (plain.figures, None)
    kept = await store.find_report(held, made.id)
    assert kept == made
    assert kept.question.covariance == choice
    assert (await report(held, portfolio, AS_OF, question)).id == made.id
    assert (await recompute(held, made.id)).differs == ()
    found = made.covariance
    assert found is not None
    assert found.volatility is not None
    forged = replace(found, volatility=found.volatility * (1 + 1e-15))
    forged_id = await store.add_report(held, OWNER_ID, replace(made, covariance=forged))
    assert (await recompute(held, forged_id)).differs == ("covariance",)


def test_a_covariance_of_another_window_is_refused() -> None:
    with pytest.raises(InvalidError, match="90 days is not one of the report's 120"):
        RiskQuestion(120, covariance=CovarianceChoice(window=90))


def test_names_are_read() -> None:
    assert parse_method("hrp") is Method.HRP
    assert read_choice("ewma", "proxy", 90) == CovarianceChoice(
        Estimator.EWMA, HistoryMethod.PROXY, 90
    )
    assert parse_cap("BTC, ETH=0.6") == Cap(("BTC", "ETH"), 0.6)
    assert parse_cap("class:crypto=0.8") == Cap(("crypto",), 0.8, Grouping.CLASS)
    assert parse_cap("class:crypto=0.8").title == "class:crypto"
    for wrong in ("BTC", "=0.5", "BTC=2", "BTC=x", "colour:red=0.5"):
        with pytest.raises(InvalidError, match="is not a cap"):
            parse_cap(wrong)
    for words in (("magic", "proxy"), ("sample", "magic")):
        with pytest.raises(InvalidError, match="There is no"):
            read_choice(*words, 90)
    with pytest.raises(InvalidError, match="There is no method"):
        parse_method("magic")
    with pytest.raises(InvalidError, match="not between 0 and 1"):
        Bounds(most=1.5)
