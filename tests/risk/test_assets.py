"""Assets are measured at every midnight once, again after revisions, and alike ever after."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.core.errors import InvalidError, NotFoundError
from seawall.db.session import unbound_transaction
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, PRICE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.risk.assets import measure as assets
from seawall.risk.assets.measure import list_figures, measure_due, recompute
from seawall.risk.schemas import ASSET_WINDOWS, AssetFigures

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 100

Bring = Callable[..., Awaitable[None]]
Measure = Callable[[], Awaitable[int]]
Figures = Callable[..., Awaitable[AssetFigures]]


def _path(seed: int, days: int = DAYS) -> list[float]:
    steps = np.random.default_rng(seed).normal(0.001, 0.04, days)
    closes: list[float] = (100 * np.cumprod(1 + steps)).tolist()
    return closes


@pytest.fixture
def bring(engine: AsyncEngine) -> Bring:
    """Import daily closes from a day on."""

    async def go(symbol: str, closes: list[float], start: datetime = START) -> None:
        is_index = "/" not in symbol
        records = np.empty(len(closes), PRICE_DTYPE if is_index else CANDLE_DTYPE)
        first = np.datetime64(start.replace(tzinfo=None), "us")
        records["time"] = first + np.arange(len(closes)) * np.timedelta64(1, "D")
        for name in ("price_usd",) if is_index else ("open", "high", "low", "close"):
            records[name] = closes
        if not is_index:
            records["volume"], records["quote_volume"], records["trade_count"] = 1.0, np.nan, -1
        parsed = ParsedFile(
            format="generic",
            kind=SeriesKind.PRICES if is_index else SeriesKind.CANDLES,
            records=records,
            rows_read=len(records),
            symbol=symbol,
            exchange=None if is_index else "binance",
            timeframe=Timeframe(86_400),
        )
        async with unbound_transaction(engine) as session:
            await ingest(session, parsed, symbol)

    return go


@pytest.fixture
def measure(engine: AsyncEngine) -> Measure:
    """Measure AAA until nothing is due; return in how many transactions."""

    async def go() -> int:
        left, rounds = 1, 0
        while left:
            async with unbound_transaction(engine) as session:
                left = await measure_due(session, "AAA")
            rounds += 1
        return rounds

    return go


@pytest.fixture
def figures(engine: AsyncEngine) -> Figures:
    """Return what is kept of AAA."""

    async def go(window: int = 90, as_of: datetime | None = None) -> AssetFigures:
        async with unbound_transaction(engine) as session:
            (found,) = await list_figures(session, ["AAA"], window, as_of)
        return found

    return go


async def _measured_at(engine: AsyncEngine) -> dict[tuple[datetime, int], datetime]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT time, window_days, ingested_at FROM risk_metrics")
        )
        return {(time, window): ingested_at for time, window, ingested_at in rows}


async def test_every_midnight_is_measured_over_every_window(
    engine: AsyncEngine, bring: Bring, measure: Measure, figures: Figures
) -> None:
    own, bitcoin = _path(1), _path(2)
    await bring("AAA/USD", own)
    await bring("BTC/USD", bitcoin)
    await measure()

    measured = await _measured_at(engine)
    midnights = [START + number * DAY for number in range(1, DAYS + 1)]
    assert set(measured) == {(time, window) for time in midnights for window in ASSET_WINDOWS}
    found = await figures()
    returns, compared = (np.diff(path) / path[:-1] for path in (np.array(own), np.array(bitcoin)))
    returns, compared = returns[-90:], compared[-90:]
    assert found.observations == 90
    assert found.time == midnights[-1]
    expected = {
        "volatility": returns.std(ddof=1) * np.sqrt(365),
        "sharpe_ratio": returns.mean() / returns.std(ddof=1) * np.sqrt(365),
        "beta": np.cov(returns, compared)[0, 1] / compared.var(ddof=1),
        "correlation_btc": np.corrcoef(returns, compared)[0, 1],
        "max_drawdown": max(
            1 - value / peak
            for value, peak in zip(
                np.cumprod(np.r_[1, 1 + returns]),
                np.maximum.accumulate(np.cumprod(np.r_[1, 1 + returns])),
                strict=True,
            )
        ),
    }
    for name, value in expected.items():
        assert found.figures[name] == pytest.approx(value, rel=1e-9), name
    assert found.figures["correlation_sp500"] is None
    assert (await figures(365)).observations == DAYS - 1
    # The first midnight has one close and no return: there is a row that says so.
    first = await figures(30, midnights[0])
    assert (first.observations, set(first.figures.values())) == (0, {None})


async def test_what_is_measured_is_not_measured_again(
    engine: AsyncEngine, bring: Bring, measure: Measure
) -> None:
    await bring("AAA/USD", _path(1))
    await measure()
    before = await _measured_at(engine)
    await measure()
    assert await _measured_at(engine) == before
    await bring("AAA/USD", [120.0], START + DAYS * DAY)
    await measure()
    after = await _measured_at(engine)
    assert {key: after[key] for key in before} == before
    new = {time for time, _ in after.keys() - before.keys()}
    assert new == {START + (DAYS + 1) * DAY}


async def test_a_revised_price_is_measured_anew_where_it_counts(
    engine: AsyncEngine, bring: Bring, measure: Measure, figures: Figures
) -> None:
    await bring("AAA/USD", _path(1))
    await measure()
    before, kept = await _measured_at(engine), await figures(30)
    revised = START + 50 * DAY
    await bring("AAA/USD", [999.0], revised)
    await measure()
    after = await _measured_at(engine)
    anew = {time for time, _ in before if after[time, 30] != before[time, 30]}
    # A row is written for all windows or for none: the longest holds the revised close for ever.
    assert min(anew) == revised + DAY
    assert max(anew) == START + DAYS * DAY
    assert len(after) == len(before)

    async with unbound_transaction(engine) as session:
        # What was kept before is computed as it was known then, and what is kept now as now.
        again = await recompute(session, kept)
        assert again.differs == ()
        assert again.again == kept
        for as_of in (None, START + 20 * DAY, revised + 2 * DAY):
            for window in ASSET_WINDOWS:
                (now,) = await list_figures(session, ["AAA"], window, as_of)
                assert (await recompute(session, now)).differs == ()


async def test_what_it_is_compared_with_may_come_later(
    engine: AsyncEngine, bring: Bring, measure: Measure, figures: Figures
) -> None:
    await bring("AAA/USD", _path(1))
    await measure()
    without = await figures()
    assert without.figures["beta"] is None
    assert without.figures["volatility"] is not None
    await bring("BTC/USD", _path(2))
    await bring("SP500", _path(3))
    await measure()
    with_it = await figures()
    undefined = {name for name, value in with_it.figures.items() if value is None}
    # 90 returns are too few for one in a hundred.
    assert undefined == {"var_99"}
    assert with_it.figures["volatility"] == without.figures["volatility"]
    async with unbound_transaction(engine) as session:
        assert (await recompute(session, without)).differs == ()
        assert (await recompute(session, with_it)).differs == ()
        # Whoever looks at a figure that is not what was kept, is told which.
        bent = {**with_it.figures, "beta": 7.0}
        wrong = AssetFigures(
            with_it.asset, with_it.time, 90, "BTC", with_it.observations, bent, with_it.known_at
        )
        assert (await recompute(session, wrong)).differs == ("beta",)


async def test_what_was_interrupted_goes_on_from_there(
    engine: AsyncEngine, bring: Bring, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "AT_ONCE", 40)
    await bring("AAA/USD", _path(1))
    async with unbound_transaction(engine) as session:
        assert await measure_due(session, "AAA") == DAYS - 40
    first = await _measured_at(engine)
    assert min(time for time, _ in first) == START + (DAYS - 39) * DAY

    async def broken() -> None:
        async with unbound_transaction(engine) as session:
            await measure_due(session, "AAA")
            raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        await broken()
    assert await measure() == 2
    assert len(await _measured_at(engine)) == DAYS * len(ASSET_WINDOWS)
    assert {key: (await _measured_at(engine))[key] for key in first} == first


async def test_two_at_once_come_to_the_same(
    engine: AsyncEngine, bring: Bring, measure: Measure
) -> None:
    await bring("AAA/USD", _path(1, 40))
    await asyncio.gather(measure(), measure())
    assert len(await _measured_at(engine)) == 40 * len(ASSET_WINDOWS)


async def test_there_is_nothing_to_measure_of_what_has_no_prices(
    engine: AsyncEngine, bring: Bring
) -> None:
    await bring("AAA/ETH", _path(1, 5))
    async with unbound_transaction(engine) as session:
        for symbol in ("AAA", "ETH", "NOWHERE"):
            assert await measure_due(session, symbol) == 0
        with pytest.raises(NotFoundError, match="Nothing was measured of AAA yet"):
            await list_figures(session, ["AAA"], 90, None)
        with pytest.raises(NotFoundError, match="No asset was measured yet"):
            await list_figures(session, [], 90, None)
        with pytest.raises(InvalidError, match="not measured over 7 days"):
            await list_figures(session, [], 7, None)
