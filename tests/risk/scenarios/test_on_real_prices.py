"""Scenarios on real prices, computed a second time from the raw files with pandas alone."""

import json
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.portfolios.portfolios import get_portfolio
from seawall.risk.scenarios.catalogue import EVENTS, get_event
from seawall.risk.scenarios.run import recompute_stress, run_scenarios, standing
from seawall.risk.scenarios.schemas import (
    Basis,
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
from seawall.risk.store import list_stress_tests

QUANTITIES = {"BTC": 0.75, "ETH": 5.0, "SOL": 100.0, "LINK": 200.0}
CASH = 50_000 - 17_017 - 7_757 - 2_002 - 1_501.5 + 10_490
LAST_DAY = pd.Timestamp("2024-12-30")
AS_OF = datetime(2024, 12, 31, tzinfo=UTC)


@pytest.fixture
async def session(real_prices: Location) -> AsyncIterator[AsyncSession]:
    engine = create_engine(real_prices.url)
    async with transaction(engine, OWNER_ID) as opened:
        yield opened
    await engine.dispose()


def _column(path: Path, date: str, *names: str) -> "pd.Series[float]":
    frame = pd.read_csv(path)
    days = pd.to_datetime(frame[date], utc=True).dt.tz_localize(None).dt.normalize()
    name = next(each for each in names if each in frame)
    return pd.Series(frame[name].to_numpy(), index=days)


@pytest.fixture(scope="module")
def closes(real_data: Path) -> pd.DataFrame:
    daily = real_data / "daily"
    return pd.DataFrame(
        {
            "BTC": _column(daily / "BTCUSD-coinbase-1d.csv", "timestamp", "close"),
            "ETH": _column(daily / "ETH-USD.yahoo.csv", "Date", "Close"),
            "SOL": _column(daily / "SOL-USD.yahoo.csv", "Date", "Close"),
            "LINK": _column(daily / "LINKUSDT-1d.csv", "open_time", "close"),
        }
    )


@pytest.fixture(scope="module")
def values(closes: pd.DataFrame) -> "pd.Series[float]":
    held = pd.Series({asset: closes.loc[LAST_DAY, asset] * n for asset, n in QUANTITIES.items()})
    held["USD"] = CASH
    return held


@pytest.fixture(scope="module")
def returns(closes: pd.DataFrame) -> pd.DataFrame:
    return closes.loc[:LAST_DAY].tail(366).pct_change().iloc[1:]


async def _run(session: AsyncSession, *asked: Scenario) -> list[StressResult]:
    portfolio = await get_portfolio(session, "Real")
    return await run_scenarios(session, portfolio, AS_OF, asked, Basis())


@pytest.mark.parametrize("event", [each.slug for each in EVENTS])
async def test_an_event_is_what_pandas_replays(
    session: AsyncSession,
    closes: pd.DataFrame,
    values: "pd.Series[float]",
    returns: pd.DataFrame,
    event: str,
) -> None:
    found = (await _run(session, Historical(event)))[0]
    taken = get_event(event)
    first = pd.Timestamp(taken.first)
    within = closes.loc[first : pd.Timestamp(taken.last)]
    paths = within / within.iloc[0]
    moves = within["BTC"].pct_change().fillna(0)
    listed = [asset for asset in QUANTITIES if not math.isnan(within[asset].iloc[0])]
    for asset in set(QUANTITIES) - set(listed):
        beta = returns[asset].cov(returns["BTC"]) / returns["BTC"].var()
        paths[asset] = (1 + beta * moves).clip(lower=0).cumprod()
    weights = values / values.sum()
    losses = (1 - paths) @ weights[list(QUANTITIES)]
    assert found.loss == pytest.approx(losses.max(), rel=1e-9)
    assert found.figures["end_loss"] == pytest.approx(losses.iloc[-1], rel=1e-9)
    assert found.figures["worst_day"] == f"{losses.idxmax():%Y-%m-%d}"
    path = [float(each) for each in str(found.figures["path"]).split()]
    assert path == pytest.approx(losses.tolist(), abs=1e-6)
    share = weights[listed].sum() / weights[list(QUANTITIES)].sum()
    assert found.figures["replayed_share"] == pytest.approx(share, rel=1e-9)
    assert sum(each.loss_usd or 0 for each in found.assets) == found.loss_usd
    sources = {each.asset: each.source for each in found.assets}
    assert sources.pop("USD") is Source.STILL
    assert {asset for asset, how in sources.items() if how is Source.REPLAYED} == set(listed)
    if len(listed) < len(QUANTITIES):
        assert found.recovery_days is None
        assert "no prices of then" in found.reasons["recovery"]
        return
    onwards = closes.loc[first:LAST_DAY]
    later = (1 - onwards / onwards.iloc[0]) @ weights[list(QUANTITIES)]
    since = later.loc[losses.idxmax() :]
    assert found.recovery_days == (since[since <= 0].index[0] - losses.idxmax()).days


async def test_a_beta_says_how_rough_it_is(session: AsyncSession, returns: pd.DataFrame) -> None:
    found = (await _run(session, Historical("2018-01")))[0]
    line = stats.linregress(returns["BTC"], returns["SOL"])
    facts = next(each.facts for each in found.assets if each.asset == "SOL")
    expected = {
        "beta": line.slope,
        "r_squared": line.rvalue**2,
        "standard_error": line.stderr,
        "observations": 365,
    }
    assert facts == pytest.approx(expected, rel=1e-9)
    assert any("SOL, LINK: moved by a beta to BTC (least squares)" in each for each in found.notes)


async def test_an_event_that_was_not_over_is_not_known(session: AsyncSession) -> None:
    portfolio = await get_portfolio(session, "Real")
    as_of = datetime(2024, 8, 7, 23, tzinfo=UTC)
    for asked, known in (("2024-08-05", False), ("ftx-2022-11", True)):
        found = await run_scenarios(session, portfolio, as_of, [Historical(asked)], Basis())
        assert (found[0].loss is not None) is known
        assert (found[0].id is not None) is known
    again = await run_scenarios(session, portfolio, as_of, [Historical("2024-08-05")], Basis())
    assert again[0].reasons["loss"] == "the event was not over then"


async def test_all_together_is_the_weighed_sum_of_deviations(
    session: AsyncSession, values: "pd.Series[float]", returns: pd.DataFrame
) -> None:
    full, half = await _run(session, Together(), Together(0.8, 0.5, 0.99))
    weights = (values / values.sum())[list(QUANTITIES)]
    deviation = float(weights @ returns.std(ddof=1))
    shortfall = stats.norm.pdf(stats.norm.ppf(0.95)) / 0.05
    assert full.figures["volatility"] == pytest.approx(deviation * np.sqrt(365), rel=1e-9)
    assert full.loss == pytest.approx(deviation * shortfall, rel=1e-9)
    assert full.figures["value_at_risk"] == pytest.approx(
        stats.norm.ppf(0.95) * deviation, rel=1e-9
    )
    before = np.sqrt(weights @ returns.cov() @ weights)
    assert full.figures["volatility_before"] == pytest.approx(before * np.sqrt(365), rel=1e-9)
    correlations = (returns.corr() + 0.8) / 2
    scaled = (correlations + np.eye(4) * 0.1) * np.outer(returns.std(), returns.std())
    expected = np.sqrt(weights @ scaled @ weights)
    assert half.figures["volatility"] == pytest.approx(expected * np.sqrt(365), rel=1e-9)
    assert half.figures["confidence"] == 0.99


async def test_the_reversed_shock_is_the_closed_form(
    session: AsyncSession, values: "pd.Series[float]", returns: pd.DataFrame
) -> None:
    found = (await _run(session, Reverse(0.2, 5)))[0]
    weights = (values / values.sum())[list(QUANTITIES)]
    covariance = returns.cov() * 5
    variance = float(weights @ covariance @ weights)
    shocks = -0.2 * (covariance @ weights) / variance
    measured = {each.asset: each.shock for each in found.assets if each.asset != "USD"}
    assert measured == pytest.approx(shocks.to_dict(), rel=1e-9)
    assert found.loss == pytest.approx(0.2, rel=1e-12)
    distance = 0.2 / math.sqrt(variance)
    assert found.figures["distance"] == pytest.approx(distance, rel=1e-9)
    assert found.figures["beyond_probability"] == pytest.approx(
        stats.chi2.sf(distance**2, 4), rel=1e-9
    )
    assert found.figures["loss_probability"] == pytest.approx(stats.norm.sf(distance), rel=1e-9)
    betas = returns.apply(lambda each: each.cov(returns["BTC"])) / returns["BTC"].var()
    move = -0.2 / float(weights @ betas)
    assert found.figures["btc_move"] == pytest.approx(move, rel=1e-9)
    assert found.figures["btc_deviations"] == pytest.approx(
        -move / (returns["BTC"].std() * math.sqrt(5)), rel=1e-9
    )


async def test_selling_is_days_of_volume_and_a_root(
    session: AsyncSession, real_data: Path, values: "pd.Series[float]", returns: pd.DataFrame
) -> None:
    found = (await _run(session, Selling(0.00001, 2)))[0]
    daily = real_data / "daily"
    coins = _column(daily / "BTCUSD-coinbase-1d.csv", "timestamp", "volume")
    price = _column(daily / "BTCUSD-coinbase-1d.csv", "timestamp", "close")
    traded = {
        "BTC": (coins * price).loc[:LAST_DAY].tail(30).mean(),
        "ETH": _column(daily / "ETH-USD.yahoo.csv", "Date", "Volume")
        .loc[:LAST_DAY]
        .tail(30)
        .mean(),
        "SOL": _column(daily / "SOL-USD.yahoo.csv", "Date", "Volume")
        .loc[:LAST_DAY]
        .tail(30)
        .mean(),
        "LINK": _column(
            daily / "LINKUSDT-1d.csv", "open_time", "quote_asset_volume", "quote_volume"
        )
        .loc[:LAST_DAY]
        .tail(30)
        .mean(),
    }
    total = unsold = 0.0
    days = {}
    for asset, volume in traded.items():
        sold = min(values[asset], volume * 0.00001 * 2)
        unsold += values[asset] - sold
        days[asset] = values[asset] / (0.00001 * volume)
        total += sold * returns[asset].std() * math.sqrt(sold / volume)
    assert float(found.loss_usd or 0) == pytest.approx(total, rel=1e-9)
    assert found.figures["unsold_usd"] == pytest.approx(unsold, rel=1e-9)
    assert unsold > 0
    assert found.figures["days_to_exit"] == pytest.approx(max(days.values()), rel=1e-9)
    assert found.figures["slowest"] == max(days, key=lambda asset: days[asset])
    measured = {each.asset: each.facts["days_to_exit"] for each in found.assets}
    assert measured == pytest.approx(days | {"USD": 0.0}, rel=1e-9)
    assert found.assets[0].facts["volume_days"] in {0, 30}


async def test_shocks_go_by_the_most_particular_selector_and_the_rest_by_beta(
    session: AsyncSession, values: "pd.Series[float]", returns: pd.DataFrame
) -> None:
    given = (("BTC", -0.4), ("LINK", -0.9))
    named, rest, everything = await _run(
        session,
        Shocks("named", given),
        Shocks("rest", given, Rest.BETA),
        Shocks("everything", (("all", -0.3), ("ETH", 0.1), ("kind:fiat", -0.02))),
    )
    alone = 0.4 * values["BTC"] + 0.9 * values["LINK"]
    assert float(named.loss_usd or 0) == pytest.approx(alone, rel=1e-12)
    betas = returns.apply(lambda each: each.cov(returns["BTC"])) / returns["BTC"].var()
    followed = alone + 0.4 * (betas * values)[["ETH", "SOL"]].sum()
    assert float(rest.loss_usd or 0) == pytest.approx(followed, rel=1e-9)
    mixed = 0.3 * values[["BTC", "SOL", "LINK"]].sum() - 0.1 * values["ETH"] + 0.02 * CASH
    assert float(everything.loss_usd or 0) == pytest.approx(mixed, rel=1e-12)


async def test_without_stablecoins_a_broken_peg_costs_nothing_and_says_so(
    session: AsyncSession,
) -> None:
    found = (await _run(session, Depeg("USDT", 0.9)))[0]
    assert found.loss_usd == 0
    assert any("USDT is not held" in note for note in found.notes)
    assert any(note.startswith("LINK: priced by pairs quoted in a stable") for note in found.notes)


async def test_a_question_is_kept_once_and_computes_to_the_same(session: AsyncSession) -> None:
    first = await _run(session)
    assert [each.scenario for each in first] == [each.slug for each in standing()]
    assert all(each.id is not None for each in first)
    count = len(await list_stress_tests(session, first[0].portfolio_id, 1_000))
    second = await _run(session)
    assert [each.id for each in second] == [each.id for each in first]
    kept = await list_stress_tests(session, first[0].portfolio_id, 1_000)
    assert len(kept) == count
    for each in first:
        assert each.id is not None
        done = await recompute_stress(session, each.id)
        assert done.differs == ()
        assert json.loads(json.dumps(done.kept.details))["title"] == each.title


async def test_another_window_is_another_question(session: AsyncSession) -> None:
    portfolio = await get_portfolio(session, "Real")
    year = await run_scenarios(session, portfolio, AS_OF, [Together()], Basis())
    season = await run_scenarios(session, portfolio, AS_OF, [Together()], Basis(90))
    tails = await run_scenarios(session, portfolio, AS_OF, [Together()], Basis(t_tailed=True))
    assert len({year[0].id, season[0].id, tails[0].id}) == 3
    assert year[0].loss != season[0].loss
    assert year[0].loss == tails[0].loss
