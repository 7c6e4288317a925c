"""Scenarios on made-up prices: what is undefined has a reason, what is kept is one's own."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError, NotFoundError
from seawall.db.database import Location
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID, ensure_owner
from seawall.market import catalog
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.market.tables import Asset
from seawall.portfolios.importers.csv import HEADER, parse_transactions
from seawall.portfolios.portfolios import create_portfolio, get_portfolio
from seawall.portfolios.tables import HoldingRow
from seawall.portfolios.transactions import import_transactions
from seawall.quant.types import FloatArray
from seawall.risk.scenarios.run import recompute_stress, run_scenarios, standing
from seawall.risk.scenarios.schemas import (
    Basis,
    Default,
    Depeg,
    Historical,
    Rest,
    Reverse,
    Scenario,
    Selling,
    Shocks,
    Source,
    StressResult,
    Together,
)
from seawall.risk.store import list_stress_tests, page_stress_tests
from seawall.risk.tables import StressTest
from seawall.risk.tearsheet.store import latest_stress_tests

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 130
AS_OF = START + timedelta(days=DAYS)
BOUGHT = f"""{HEADER}
2024-01-02,deposit,USD,10000,,,
2024-01-03,buy,BTC,2,1000,4,
2024-01-03,buy,ETH,3,1000,2,
2024-01-03,buy,USDT,1000,1,0,
"""


def _walk(seed: int, days: int = DAYS) -> FloatArray:
    random = np.random.default_rng(seed)
    made: FloatArray = 1_000 * np.exp(np.cumsum(random.normal(0, 0.03, days)))
    return made


def _candles(pair: str, closes: FloatArray, *, volume: float = np.nan) -> ParsedFile:
    """Lay closes down as daily candles that end at AS_OF."""
    records = np.zeros(len(closes), CANDLE_DTYPE)
    first = np.datetime64("2024-01-01", "us") + (DAYS - len(closes)) * np.timedelta64(1, "D")
    records["time"] = first + np.arange(len(closes)) * np.timedelta64(1, "D")
    for name in ("open", "high", "low", "close"):
        records[name] = closes
    records["volume"], records["quote_volume"], records["trade_count"] = np.nan, volume, -1
    return ParsedFile(
        *("test", SeriesKind.CANDLES, records, len(closes), (), pair, "kraken"), Timeframe(86_400)
    )


async def _make(session: AsyncSession, transactions: str, name: str = "Mine") -> None:
    await create_portfolio(session, OWNER_ID, name)
    parsed = parse_transactions(transactions.encode(), AS_OF)
    portfolio = await get_portfolio(session, name)
    assert not (await import_transactions(session, portfolio, parsed)).rejected


async def _run(
    session: AsyncSession,
    *asked: Scenario,
    name: str = "Mine",
    as_of: datetime | None = AS_OF,
    basis: Basis = Basis(120),  # noqa: B008 - frozen
) -> list[StressResult]:
    portfolio = await get_portfolio(session, name)
    return await run_scenarios(session, portfolio, as_of, asked, basis)


def _by_asset(found: StressResult) -> Mapping[str, float | None]:
    return {each.asset: each.shock for each in found.assets}


async def _fill(session: AsyncSession) -> None:
    await ingest(session, _candles("BTC/USD", _walk(1), volume=1e6), "btc")
    await ingest(session, _candles("ETH/USD", _walk(2), volume=1e3), "eth")
    await ingest(session, _candles("NEW/USD", _walk(3, 20)), "new")
    await _make(session, BOUGHT)


@pytest.fixture(scope="module")
def filled_once(fill_module: FillModule) -> Location:
    """The module's database with what each test begins with."""
    return fill_module(_fill)


@pytest.fixture
async def filled(filled_once: Location, undone_session: AsyncSession) -> AsyncSession:
    """Hold three coins' prices, two of them with volumes, and a portfolio of them."""
    assert filled_once.name
    return undone_session


async def test_without_prices_of_then_the_recorded_loss_of_bitcoin_is_taken(
    filled: AsyncSession,
) -> None:
    found = (await _run(filled, Historical("2017-12-top")))[0]
    moves = _by_asset(found)
    eth = np.diff(_walk(2)[-121:]) / _walk(2)[-121:-1]
    btc = np.diff(_walk(1)[-121:]) / _walk(1)[-121:-1]
    beta = np.cov(eth, btc)[0, 1] / np.var(btc, ddof=1)
    assert moves["BTC"] == pytest.approx(-0.648591, rel=1e-12)
    assert moves["ETH"] == pytest.approx(beta * -0.648591, rel=1e-9)
    assert moves["USDT"] == moves["USD"] == 0
    assert found.figures["replayed_share"] == 0
    assert any("its recorded loss stands" in note for note in found.notes)
    assert found.recovery_days is None


async def test_an_asset_of_which_too_little_is_known_leaves_the_loss_open(
    filled: AsyncSession,
) -> None:
    await _make(filled, BOUGHT + "2024-05-01,buy,NEW,1,1000,,\n", "Newer")
    shocks = Shocks("crash", (("BTC", -0.4),), Rest.BETA)
    asked = (Historical("ftx-2022-11"), shocks, Together(), Reverse(), Selling())
    for found in await _run(filled, *asked, name="Newer"):
        assert found.loss is None
        assert found.loss_usd is None
        assert found.id is None
        assert "NEW" in found.reasons["loss"] or "has 19" in found.reasons["loss"]
    named = await _run(filled, Shocks("crash", (("BTC", -0.4), ("NEW", -0.9))), name="Newer")
    assert named[0].loss is not None
    assert all(
        each.scenario not in {"ftx-2022-11", "correlations", "liquidity"}
        for each in await list_stress_tests(filled, named[0].portfolio_id, 100)
    )


async def test_selling_what_has_hardly_any_volume_takes_longer_than_there_is(
    filled: AsyncSession,
) -> None:
    found = (await _run(filled, Selling(0.1, 5)))[0]
    facts = {each.asset: each.facts for each in found.assets}
    value = 3 * _walk(2)[-1]
    assert facts["ETH"]["days_to_exit"] == pytest.approx(value / 100, rel=1e-9)
    assert facts["ETH"]["unsold_usd"] == pytest.approx(value - 500, rel=1e-9)
    assert facts["USDT"]["days_to_exit"] == 0
    assert found.figures["slowest"] == "ETH"
    assert any(note.startswith("USDT: counted as money") for note in found.notes)


async def test_an_empty_or_unpriced_portfolio_has_reasons(filled: AsyncSession) -> None:
    await create_portfolio(filled, OWNER_ID, "Empty")
    await _make(filled, f"{HEADER}\n2024-01-02,deposit,XYZ,5,1,,\n", "Unpriced")
    for name, why in (("Empty", "nothing is held"), ("Unpriced", "no price of XYZ is known")):
        found = await _run(filled, name=name)
        assert [each.scenario for each in found] == [each.slug for each in standing()]
        assert {each.reasons["loss"] for each in found} == {why}
        assert {each.loss for each in found} == {None}
        assert not await list_stress_tests(filled, found[0].portfolio_id, 10)


async def test_money_alone_loses_nothing_and_cannot_be_made_to(filled: AsyncSession) -> None:
    await _make(filled, f"{HEADER}\n2024-01-02,deposit,USD,100,,,\n", "Cash")
    found = {each.scenario: each for each in await _run(filled, name="Cash")}
    reversed_ = found.pop("reverse")
    # The event was still to come.
    assert found.pop("2024-08-05").loss is None
    assert {each.loss_usd for each in found.values()} == {Decimal(0)}
    assert found["2018-01"].recovery_days == 0
    assert found["2018-01"].figures["replayed_share"] is None
    assert reversed_.reasons["loss"].endswith("nothing that is held varies")
    assert reversed_.reasons["btc_move"] == "no fall of BTC loses as much"
    shocked = await _run(filled, Shocks("all", (("all", -0.5),)), name="Cash")
    assert shocked[0].loss_usd == 0
    assert shocked[0].notes[0] == "Nothing that is held is all."


async def test_prices_that_stand_still_have_no_tail(session: AsyncSession) -> None:
    await ingest(session, _candles("BTC/USD", np.full(DAYS, 100.0)), "btc")
    await ingest(session, _candles("DULL/USD", np.full(DAYS, 5.0)), "dull")
    await _make(session, f"{HEADER}\n2024-01-03,deposit,DULL,10,5,,\n")
    together, backwards, event = await _run(session, Together(), Reverse(), Historical("2018-01"))
    assert together.loss_usd == 0
    assert backwards.reasons["loss"].endswith("nothing that is held varies")
    # A factor that stood still has no beta: nobody knows, which is not the same as nothing.
    assert event.loss is None
    assert event.assets[0].source is Source.UNKNOWN


async def test_selectors_go_from_the_particular_to_the_general(filled: AsyncSession) -> None:
    await filled.execute(update(Asset).where(Asset.symbol == "ETH").values(blockchain="Ethereum"))
    given = (("all", -0.1), ("kind:crypto", -0.2), ("chain:ethereum", -0.3), ("USDT", -0.4))
    found = (await _run(filled, Shocks("mixed", given)))[0]
    assert _by_asset(found) == {"BTC": -0.2, "ETH": -0.3, "USDT": -0.4, "USD": 0.0}
    assert found.loss_usd == sum(each.loss_usd or 0 for each in found.assets)
    idle = (await _run(filled, Shocks("idle", (("chain:solana", -0.5), ("NEW", -0.5)))))[0]
    assert idle.loss_usd == 0
    assert idle.notes[0] == "Nothing that is held is chain:solana, NEW."


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (Shocks("x", (("NOPE", -0.1),)), NotFoundError, "There is no asset NOPE"),
        (Shocks("x", (("ETH", -0.1),), Rest.BETA), InvalidError, "BTC, which has no shock"),
        (Shocks("x", (("ETH", -0.1), ("ETH", -0.2))), InvalidError, "shocked twice"),
        (Depeg("BTC"), InvalidError, "BTC is not a stablecoin, but crypto"),
        (Depeg("USDQ"), NotFoundError, "There is no asset USDQ"),
        (Default("binance"), NotFoundError, "Nothing is held at 'binance'"),
        (Historical("nope"), NotFoundError, "There is no scenario 'nope'"),
        (Together(2.0), InvalidError, "cannot all have a correlation"),
        (Together(1.0, 1.0, 1.0), InvalidError, "A confidence of 1"),
        (Selling(0.0), InvalidError, "share of the volume"),
        (Selling(0.1, 0.0), InvalidError, "horizon"),
    ],
    ids=lambda value: getattr(value, "slug", None),
)
async def test_a_question_that_makes_no_sense_is_refused(
    filled: AsyncSession, asked: Scenario, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await _run(filled, asked)


async def test_an_exchange_that_fails_takes_what_it_holds(filled: AsyncSession) -> None:
    btc = (await catalog.ensure_pair(filled, "kraken", "BTC/USD")).base
    portfolio = await get_portfolio(filled, "Mine")
    place = {"portfolio_id": portfolio.id, "asset_id": btc.id, "exchange_source": "binance"}
    await filled.execute(insert(HoldingRow).values(place | {"quantity": 5}))
    now = (await _run(filled, Default("binance", 0.1), as_of=None))[0]
    price = Decimal(repr(float(_walk(1)[-1])))
    assert now.loss_usd == pytest.approx(Decimal("4.5") * price, rel=Decimal("1e-15"))
    ledger = (await _run(filled, Together(), as_of=None))[0].portfolio_value
    assert now.portfolio_value == pytest.approx((ledger or 0) + 5 * price, rel=Decimal("1e-15"))
    assert now.loss == pytest.approx(float(4.5 * float(price)) / float(now.portfolio_value or 1))
    then = (await _run(filled, Default("binance")))[0]
    assert then.reasons["loss"] == "what exchanges hold is known of now, not of then"
    everything = await _run(filled, as_of=None)
    assert everything[-1].scenario == "default-binance"
    manual = (await _run(filled, Default("manual")))[0]
    assert {each.asset for each in manual.assets} == {"BTC", "ETH", "USD", "USDT"}
    with pytest.raises(NotFoundError) as caught:
        await _run(filled, Default("kraken"))
    assert caught.value.hint == "Holdings are at: binance, manual."


async def test_a_stablecoin_with_prices_starts_from_its_own(filled: AsyncSession) -> None:
    await ingest(filled, _candles("USDT/USD", np.full(DAYS, 0.98)), "usdt")
    found = await _run(filled, Depeg("USDT", 0.9), Depeg("", 0.5))
    assert _by_asset(found[0])["USDT"] == pytest.approx(0.9 / 0.98 - 1, rel=1e-12)
    assert float(found[1].loss_usd or 0) == pytest.approx(1_000 * (0.98 - 0.5), rel=1e-12)
    assert found[1].title == "Every stablecoin at 0.5 USD"


async def test_the_same_answer_is_kept_once_and_a_revised_price_makes_another(
    filled: AsyncSession,
) -> None:
    asked = (Historical("2018-01"), Together(), Selling())
    first = await _run(filled, *asked)
    again = await _run(filled, *asked)
    assert [each.id for each in again] == [each.id for each in first]
    now = [each.id for each in await _run(filled, *asked, as_of=None)]
    later = [each.id for each in await _run(filled, *asked, as_of=None)]
    assert now == later
    revised = _walk(2)
    revised[-60] *= 1.3
    await ingest(filled, _candles("ETH/USD", revised, volume=2e3), "eth")
    new = await _run(filled, *asked)
    assert not {each.id for each in new} & {each.id for each in first}
    for each in (*first, *new):
        assert each.id is not None
        repeated = await recompute_stress(filled, each.id)
        assert repeated.differs == ()
        assert repeated.again.loss_usd == each.loss_usd
    assert len(await list_stress_tests(filled, first[0].portfolio_id, 2)) == 2


async def test_of_two_that_were_kept_in_one_instant_all_take_the_same_for_the_newest(
    filled: AsyncSession,
) -> None:
    for each in await _run(filled, Historical("2018-01"), Together()):
        assert each.id is not None
        row = (await filled.scalars(select(StressTest).filter_by(id=each.id))).one()
        copied = {
            column.name: getattr(row, column.name)
            for column in StressTest.__table__.columns
            if column.name not in {"id", "loss_percentage"}
        }
        made = [copied | {"id": uuid4(), "loss_percentage": loss} for loss in range(8)]
        await filled.execute(insert(StressTest).values(made))
    portfolio = each.portfolio_id
    listed = await list_stress_tests(filled, portfolio, 100)
    ids = [each.id for each in listed]
    assert ids == sorted(ids, reverse=True)
    assert ids == [each.id for each in await page_stress_tests(filled, portfolio, 100, None)]
    newest = {each.scenario: each.loss_percentage for each in reversed(listed)}
    shown = await latest_stress_tests(filled, portfolio, AS_OF)
    assert {each.scenario: each.loss_percentage for each in shown} == newest


async def test_a_changed_row_is_noticed_and_a_foreign_one_cannot_be_repeated(
    filled: AsyncSession,
) -> None:
    made = (await _run(filled, Together()))[0]
    assert made.id is not None
    row = (await filled.scalars(select(StressTest).filter_by(id=made.id))).one()
    copied = {
        "portfolio_id": row.portfolio_id,
        "scenario_name": row.scenario_name,
        "test_date": row.test_date,
        "portfolio_value": row.portfolio_value,
        "loss_amount": row.loss_amount + 1,
        "loss_percentage": row.loss_percentage,
    }
    wrong = await filled.scalar(
        insert(StressTest)
        .values(copied | {"risk_metrics": row.risk_metrics})
        .returning(StressTest.id)
    )
    bare = await filled.scalar(insert(StressTest).values(copied).returning(StressTest.id))
    assert wrong is not None
    assert bare is not None
    assert (await recompute_stress(filled, wrong)).differs == ("loss_usd",)
    with pytest.raises(InvalidError, match="cannot be repeated"):
        await recompute_stress(filled, bare)
    with pytest.raises(NotFoundError, match="No stress test"):
        await recompute_stress(filled, uuid4())


async def test_nobody_else_sees_what_is_kept(engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ensure_owner(session)
        await ingest(session, _candles("BTC/USD", _walk(1)), "btc")
        await _make(session, f"{HEADER}\n2024-01-03,deposit,BTC,1,1000,,\n")
        made = (await _run(session, Together()))[0]
        assert made.id is not None
        assert len(await list_stress_tests(session, made.portfolio_id, 10)) == 1
    async with transaction(engine, uuid4()) as session:
        assert not await list_stress_tests(session, made.portfolio_id, 10)
        with pytest.raises(NotFoundError, match="No stress test"):
            await recompute_stress(session, made.id)
