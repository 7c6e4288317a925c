"""The report's figures, computed a second time from the raw files by independent libraries."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import empyrical
import numpy as np
import pandas as pd
import pytest
import quantstats.stats as qs
from pandas.tseries.holiday import (
    AbstractHolidayCalendar,
    GoodFriday,
    Holiday,
    USLaborDay,
    USMartinLutherKingJr,
    USMemorialDay,
    USPresidentsDay,
    USThanksgivingDay,
    nearest_workday,
)
from scipy import stats
from skfolio import measures as sk
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError, NotFoundError
from seawall.db.database import Location
from seawall.db.engine import create_engine
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.portfolios.portfolios import get_portfolio
from seawall.risk.report import report
from seawall.risk.schemas import RiskQuestion, RiskReport

QUANTITIES = {"BTC": 0.75, "ETH": 5.0, "SOL": 100.0, "LINK": 200.0}
CASH = 50_000 - 17_017 - 7_757 - 2_002 - 1_501.5 + 10_490


class NewYork(AbstractHolidayCalendar):  # type: ignore[misc]  # pandas has no types
    """The exchange's regular holidays of the years tested."""

    rules = [  # noqa: RUF012 - as pandas declares it
        Holiday("New Year", month=1, day=1, observance=nearest_workday),
        USMartinLutherKingJr,
        USPresidentsDay,
        GoodFriday,
        USMemorialDay,
        Holiday("Juneteenth", month=6, day=19, observance=nearest_workday),
        Holiday("Independence", month=7, day=4, observance=nearest_workday),
        USLaborDay,
        USThanksgivingDay,
        Holiday("Christmas", month=12, day=25, observance=nearest_workday),
    ]


@pytest.fixture
async def session(real_prices: Location) -> AsyncIterator[AsyncSession]:
    engine = create_engine(real_prices.url)
    async with transaction(engine, OWNER_ID) as opened:
        yield opened
    await engine.dispose()


def _closes(path: Path, date: str) -> "pd.Series[float]":
    """Read closes by the day on which the candle opened."""
    frame = pd.read_csv(path)
    days = pd.to_datetime(frame[date], utc=True).dt.tz_localize(None).dt.normalize()
    return pd.Series(frame["close" if "close" in frame else "Close"].to_numpy(), index=days)


def _raw(real_data: Path) -> pd.DataFrame:
    daily = real_data / "daily"
    return pd.DataFrame(
        {
            "BTC": _closes(daily / "BTCUSD-coinbase-1d.csv", "timestamp"),
            "ETH": _closes(daily / "ETH-USD.yahoo.csv", "Date"),
            "SOL": _closes(daily / "SOL-USD.yahoo.csv", "Date"),
            "LINK": _closes(daily / "LINKUSDT-1d.csv", "open_time"),
        }
    )


def _sp500(real_data: Path) -> "pd.Series[float]":
    closes = _closes(real_data / "reference" / "SP500-close.csv", "Date")
    holidays = NewYork().holidays(closes.index[0], closes.index[-1])
    weekdays = closes[closes.index.day_of_week < 5]
    return weekdays[~weekdays.index.isin(holidays)]


def _held(
    real_data: Path, last_day: str, window: int
) -> "tuple[float, pd.Series[float], pd.DataFrame, pd.Series[float]]":
    """Return value and weights at the end of a day, the returns of what was held, and their sum."""
    closes = _raw(real_data)
    day = pd.Timestamp(last_day)
    values = closes.loc[day] * pd.Series(QUANTITIES)
    total = values.sum() + CASH
    returns = closes.loc[:day].tail(window + 1).pct_change().iloc[1:]
    weights = values / total
    return total, weights, returns, (returns * weights).sum(axis=1, skipna=False)


def _beside_sp500(
    real_data: Path, r: "pd.Series[float]"
) -> "tuple[pd.Series[float], pd.Series[float]]":
    """Compound returns between the closes of the index; return them beside the index's own."""
    before = r.index[0] - pd.Timedelta(days=1)
    index = _sp500(real_data).loc[before : r.index[-1]]
    growth = (1 + r).cumprod()
    growth.loc[before] = 1.0
    matched = growth.sort_index().loc[index.index].pct_change().iloc[1:]
    return matched, index.pct_change().iloc[1:]


def _independent(real_data: Path, last_day: str, window: int) -> dict[str, float]:
    """Compute the figures of the portfolio as of the end of a day."""
    total, weights, returns, r = _held(real_data, last_day, window)
    losses = -r
    var_95 = np.quantile(losses, 0.95)
    path = pd.concat([pd.Series([1.0]), (1 + r).cumprod()])
    matched, index = _beside_sp500(real_data, r)
    both = np.append(weights.to_numpy(), CASH / total)
    return {
        "volatility": r.std(ddof=1) * np.sqrt(365),
        "var_95": var_95,
        "var_99": np.quantile(losses, 0.99),
        "expected_shortfall": losses[losses >= var_95].mean(),
        "sharpe_ratio": r.mean() / r.std(ddof=1) * np.sqrt(365),
        "sortino_ratio": r.mean() / np.sqrt((r.clip(upper=0) ** 2).mean()) * np.sqrt(365),
        "max_drawdown": (1 - path / path.cummax()).max(),
        "beta": np.cov(r, returns["BTC"], ddof=1)[0, 1] / returns["BTC"].var(ddof=1),
        "correlation_btc": stats.pearsonr(r, returns["BTC"]).statistic,
        "correlation_sp500": stats.pearsonr(matched, index).statistic,
        "skewness": stats.skew(r, bias=False),
        "kurtosis": stats.kurtosis(r, bias=False),
        "herfindahl_index": (both**2).sum(),
        "effective_n": 1 / (both**2).sum(),
        "total": total,
    }


async def _report(session: AsyncSession, as_of: str, question: RiskQuestion) -> RiskReport:
    moment = datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    return await report(session, await get_portfolio(session, "Real"), moment, question)


@pytest.mark.parametrize("window", [365, 120])
@pytest.mark.parametrize("last_day", ["2024-12-30", "2024-07-03"])
async def test_every_figure_is_what_pandas_and_scipy_find(
    session: AsyncSession, real_data: Path, last_day: str, window: int
) -> None:
    expected = _independent(real_data, last_day, window)
    # The candle that opened on the last day is known at the midnight that ends it.
    as_of = str(pd.Timestamp(last_day) + pd.Timedelta(days=1))
    made = await _report(session, as_of, RiskQuestion(window=window))
    assert made.observations == window
    assert made.missing == 0
    assert float(made.total_value_usd or 0) == pytest.approx(expected.pop("total"), rel=1e-12)
    figures = {name: value for name, value in made.figures.items() if name in expected}
    assert figures == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert not made.reasons.keys() & expected.keys()


async def test_all_figures_are_those_of_independent_libraries(
    session: AsyncSession, real_data: Path
) -> None:
    _, weights, returns, r = _held(real_data, "2024-12-30", 365)
    made = await _report(session, "2024-12-31", RiskQuestion(window=365, everything=True))
    btc = returns["BTC"]
    line = stats.linregress(btc, r)
    matched, index = _beside_sp500(real_data, r)
    falls = sk.get_drawdowns(r.to_numpy(), compounded=True)
    normal = stats.norm(r.mean(), r.std(ddof=1))
    expected = {
        "total_return": qs.comp(r),
        "annualised_return": empyrical.annual_return(r, annualization=365),
        "volatility": qs.volatility(r, periods=365, prepare_returns=False),
        "downside_deviation": empyrical.downside_risk(r, annualization=365),
        "max_drawdown": -qs.max_drawdown(r),
        "average_drawdown": sk.average_drawdown(falls),
        "ulcer_index": sk.ulcer_index(falls),
        "cdar_95": sk.cdar(falls, beta=0.95),
        "var_95": -empyrical.value_at_risk(r, 0.05),
        "var_99_gaussian": -normal.ppf(0.01),
        "sharpe_ratio": qs.sharpe(r, periods=365),
        "sortino_ratio": qs.sortino(r, periods=365),
        "calmar_ratio": empyrical.calmar_ratio(r, annualization=365),
        "omega_ratio": empyrical.omega_ratio(r),
        "tail_ratio": qs.tail_ratio(r, prepare_returns=False),
        "probabilistic_sharpe_ratio": sk.probabilistic_sharpe_ratio(r.to_numpy()),
        "skewness": stats.skew(r, bias=False),
        "kurtosis": qs.kurtosis(r, prepare_returns=False),
        "alpha": line.intercept * 365,
        "beta": empyrical.beta(r, btc),
        "tracking_error": (r - btc).std() * 365**0.5,
        "information_ratio": qs.information_ratio(r, btc) * 365**0.5,
        "up_capture": empyrical.up_capture(r, btc, period="yearly"),
        "down_capture": empyrical.down_capture(r, btc, period="yearly"),
        "rank_correlation_btc": stats.spearmanr(r, btc).statistic,
        "rank_correlation_sp500": stats.spearmanr(matched, index).statistic,
        "ewma_correlation_sp500": matched.ewm(alpha=0.03).corr(index).iloc[-1],
        "diversification_ratio": (weights * returns.std()).sum() / r.std(),
    }
    figures = {slug: made.all_figures[slug] for slug in expected}
    values = {slug: figure.value for slug, figure in figures.items()}
    assert values == pytest.approx(expected, rel=1e-9)
    # Fisher's interval, and the error of the slope, are scipy's too.
    interval = stats.pearsonr(matched, index).confidence_interval(0.95)
    correlation = made.all_figures["correlation_sp500"]
    assert (correlation.low, correlation.high) == pytest.approx(tuple(interval), rel=1e-9)
    assert figures["beta"].standard_error == pytest.approx(line.stderr, rel=1e-9)
    assert correlation.observations == len(index)
    # Every other one has a value as well, or says why not; intervals are around the values.
    for slug, figure in made.all_figures.items():
        assert figure.value is not None, (slug, figure.reason)
        if figure.standard_error is not None:
            assert figure.low is not None
            assert figure.high is not None
            assert figure.low <= figure.value <= figure.high, slug


async def test_a_candle_counts_from_its_close_not_a_moment_earlier(
    session: AsyncSession, real_data: Path
) -> None:
    closes = _raw(real_data)["BTC"]
    at = await _report(session, "2024-12-31T00:00:00", RiskQuestion())
    before = await _report(session, "2024-12-30T23:59:59.999999", RiskQuestion())
    priced = {made.as_of: made.holdings[0].price_usd for made in (at, before)}
    assert priced == {at.as_of: closes["2024-12-30"], before.as_of: closes["2024-12-29"]}
    assert at.figures["var_95"] != before.figures["var_95"]


async def test_the_correlation_matrix_is_that_of_pandas(
    session: AsyncSession, real_data: Path
) -> None:
    made = await _report(session, "2024-12-31", RiskQuestion())
    returns = _raw(real_data).loc[:"2024-12-30"].tail(366).pct_change().iloc[1:]
    matrix = made.correlation_matrix
    shown = pd.DataFrame(matrix.values, matrix.assets, matrix.assets, dtype=float)
    assets = list(QUANTITIES)
    expected = returns.corr().loc[assets, assets]
    np.testing.assert_allclose(shown.loc[assets, assets], expected, rtol=1e-9)
    assert shown["USD"].isna().all()
    assert "no variance" in made.reasons["correlation_matrix"]


async def test_another_benchmark_and_confidence(session: AsyncSession, real_data: Path) -> None:
    question = RiskQuestion(window=200, confidence=0.9, benchmark="ETH")
    made = await _report(session, "2024-12-31", question)
    closes = _raw(real_data).loc[:"2024-12-30"].tail(201)
    returns = closes.pct_change().iloc[1:]
    values = closes.iloc[-1] * pd.Series(QUANTITIES)
    r = (returns * (values / (values.sum() + CASH))).sum(axis=1)
    assert made.figures["value_at_risk"] == pytest.approx(np.quantile(-r, 0.9), rel=1e-9)
    slope = stats.linregress(returns["ETH"], r).slope
    assert made.figures["beta"] == pytest.approx(slope, rel=1e-9)


async def test_the_index_itself_as_the_benchmark(session: AsyncSession) -> None:
    made = await _report(session, "2024-12-31", RiskQuestion(benchmark="SP500"))
    assert made.figures["beta"] is not None
    assert made.benchmark_observations["beta"] == made.benchmark_observations["correlation_sp500"]
    # 2024 had 252 trading days, and 31 December is not over yet.
    assert made.benchmark_observations["beta"] == 250


async def test_figures_that_cannot_be_had_are_null_with_a_reason(session: AsyncSession) -> None:
    made = await _report(session, "2024-12-31", RiskQuestion(window=2))
    for name in ("skewness", "kurtosis", "var_95", "var_99", "beta", "correlation_sp500"):
        assert made.figures[name] is None
        assert "needs at least" in made.reasons[name]
    assert made.figures["volatility"] is not None


async def test_sources_of_price_are_named_and_stablecoins_said(session: AsyncSession) -> None:
    made = await _report(session, "2024-12-31", RiskQuestion())
    sources = {each.asset: each.price_source for each in made.holdings}
    assert sources["BTC"] == "coinbase BTC/USD 1d"
    assert sources["LINK"] == "binance LINK/USDT 1d"
    assert any("LINK: priced in USDT, which is taken as USD" in note for note in made.notes)
    # In 2026 only the pair against the stablecoin is still fresh.
    later = await _report(session, "2026-03-10", RiskQuestion())
    assert {each.price_source for each in later.holdings if each.asset == "BTC"} == {
        "binance BTC/USDT 1d"
    }
    assert later.figures["correlation_sp500"] is None


async def test_an_unknown_benchmark_and_a_future_instant(session: AsyncSession) -> None:
    with pytest.raises(NotFoundError, match="NOPE"):
        await _report(session, "2024-12-31", RiskQuestion(benchmark="NOPE"))
    with pytest.raises(InvalidError, match="future"):
        await _report(session, "2126-01-01", RiskQuestion())
