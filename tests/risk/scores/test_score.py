"""Scores of coins: from what is known, kept one a day, explained, and the same again."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError, NotFoundError
from seawall.db.database import Location
from seawall.db.series import (
    ONCHAIN_HISTORY,
    PRICE_HISTORY,
    SOCIAL_SENTIMENT_HISTORY,
    ensure_chunks,
)
from seawall.db.session import transaction
from seawall.identity.owner import OWNER_ID
from seawall.market.ingest import ingest
from seawall.market.schemas import CANDLE_DTYPE, ParsedFile, SeriesKind, Timeframe
from seawall.market.tables import Asset, OnchainFigure, PriceHistory, SocialSentiment
from seawall.quant.scores import Component
from seawall.risk.scores.schemas import AssetScore
from seawall.risk.scores.score import latest_scores, recompute, score_assets
from seawall.risk.tables import RiskScore

FillModule = Callable[[Callable[[AsyncSession], Coroutine[None, None, None]]], Location]

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 120
AS_OF = START + timedelta(days=DAYS)


def candles(pair: str, closes: Sequence[float], volume: float = 1e6) -> ParsedFile:
    """Daily candles from 2024 on; a volume of NaN is not known."""
    records = np.zeros(len(closes), CANDLE_DTYPE)
    days = np.arange(len(closes)) * np.timedelta64(1, "D")
    records["time"] = np.datetime64("2024-01-01", "us") + days
    for name in ("open", "high", "low", "close"):
        records[name] = closes
    records["volume"] = records["quote_volume"] = volume
    records["trade_count"] = -1
    return ParsedFile(
        "test", SeriesKind.CANDLES, records, len(closes), (), pair, "kraken", Timeframe(86_400)
    )


def _walk(seed: int, scale: float, days: int = DAYS) -> list[float]:
    moves = np.random.default_rng(seed).normal(0, scale, days)
    return [float(each) for each in 100 * np.exp(np.cumsum(moves))]


async def _one(session: AsyncSession, symbol: str, as_of: datetime = AS_OF) -> AssetScore:
    (found,) = await score_assets(session, as_of, [symbol])
    return found


async def _fill(session: AsyncSession) -> None:
    await ingest(session, candles("CALM/USD", _walk(1, 0.02), 1e9), "calm")
    await ingest(session, candles("WILD/USD", _walk(2, 0.10), 1e4), "wild")


@pytest.fixture(scope="module")
def filled_once(fill_module: FillModule) -> Location:
    """The module's database with what each test begins with."""
    return fill_module(_fill)


@pytest.fixture
async def held(filled_once: Location, undone_session: AsyncSession) -> AsyncSession:
    """A calm coin with much volume and a wild one with little."""
    assert filled_once.name
    return undone_session


async def test_a_wild_coin_is_riskier_than_a_calm_one(held: AsyncSession) -> None:
    calm, wild = await score_assets(held, AS_OF)
    assert (calm.asset, wild.asset) == ("CALM", "WILD")
    assert calm.score is not None
    assert wild.score is not None
    assert calm.score < 50 < wild.score
    for each in (calm, wild):
        assert sum(part.contribution for part in each.components) == pytest.approx(each.score)
    parts = {each.component: each for each in wild.components}
    assert parts[Component.VOLATILITY].input == pytest.approx(0.09, rel=0.15)
    assert parts[Component.AGE].input == DAYS
    assert parts[Component.VOLATILITY].data_age_seconds == 0
    assert parts[Component.SIZE].reason.startswith("missing: no market capitalisation")
    assert parts[Component.SIZE].score is None
    assert wild.drivers[0].contribution == max(part.contribution for part in wild.components)


async def test_every_component_is_scored_when_it_is_known(held: AsyncSession) -> None:
    await held.execute(
        update(Asset)
        .where(Asset.symbol == "CALM")
        .values(audit_status="audited", team_status="doxxed", exchange_listings_count=200)
    )
    asset = await held.scalar(select(Asset.id).where(Asset.symbol == "CALM"))
    last = AS_OF - timedelta(hours=2)
    for series in (PRICE_HISTORY, SOCIAL_SENTIMENT_HISTORY, ONCHAIN_HISTORY):
        await ensure_chunks(held, series, last - timedelta(days=50), last)
    of_asset = {"asset_id": asset, "time": last, "ingested_at": last}
    await held.execute(insert(PriceHistory).values(**of_asset, price_usd=100, market_cap_usd=1e12))
    await held.execute(
        insert(SocialSentiment).values(
            **of_asset, data_source="made up", sentiment_positive=80, sentiment_negative=10
        )
    )
    for time, value in ((last, 200), (last - timedelta(days=40), 100)):
        await held.execute(
            insert(OnchainFigure).values(
                **of_asset | {"time": time},
                metric="active_addresses",
                value=value,
                data_source="made up",
            )
        )
    before = (await score_assets(held, AS_OF, ["CALM"], keep=False))[0]
    parts = {each.component: each for each in before.components}
    assert parts[Component.SOCIAL_SENTIMENT].score == 15
    assert parts[Component.ON_CHAIN].input == 2
    assert parts[Component.SIZE].data_age_seconds == 7_200
    # The catalogue keeps no history, so it is not asked about a day that is long over.
    assert "the catalogue was changed since" in parts[Component.AUDIT].reason
    now = (await score_assets(held, None, ["CALM"], keep=False))[0]
    said = {each.component: each.score for each in now.components}
    assert (said[Component.AUDIT], said[Component.TEAM]) == (10, 10)
    listings = said[Component.LISTINGS]
    assert listings is not None
    assert listings < 10


async def test_a_coin_without_enough_prices_has_no_score_and_the_reason(
    session: AsyncSession,
) -> None:
    await ingest(session, candles("NEW/USD", [100.0]), "new")
    made = await _one(session, "NEW")
    assert (made.score, made.level) == (None, None)
    assert made.reason == "no volatility: needs at least 30 daily returns, there are 0"
    assert await session.scalar(select(func.count()).select_from(RiskScore)) == 0
    early = await _one(session, "NEW", START - timedelta(days=3))
    assert early.reason == "no volatility: no price is known"
    with pytest.raises(NotFoundError, match="No coin named ABSENT"):
        await _one(session, "ABSENT")
    with pytest.raises(InvalidError, match="in the future"):
        await _one(session, "NEW", datetime(2999, 1, 1, tzinfo=UTC))


async def test_a_stablecoin_that_stands_still_moves_by_nothing(session: AsyncSession) -> None:
    await ingest(session, candles("USDC/USD", [1.0] * DAYS, 1e9), "usdc")
    made = await _one(session, "USDC")
    assert made.components[0].score == 0
    # It is young, which is a risk of its own.
    assert made.level == "medium"
    assert made.drivers[0].component is Component.AGE


async def test_a_volume_that_is_not_known_is_left_out(session: AsyncSession) -> None:
    await ingest(session, candles("MUTE/USD", _walk(3, 0.05), float("nan")), "mute")
    made = await _one(session, "MUTE")
    parts = {each.component: each for each in made.components}
    assert parts[Component.LIQUIDITY].reason == "missing: no volume is known"
    assert parts[Component.VOLATILITY].weight == pytest.approx(0.30 / 0.51, abs=0.05)
    assert made.score is not None


async def test_stale_prices_are_scored_with_their_age(held: AsyncSession) -> None:
    late = AS_OF + timedelta(days=20)
    made = await _one(held, "WILD", late)
    assert made.components[0].data_age_seconds == 20 * 86_400
    assert made.notes == ("The prices are stale since 2024-04-30T00:00:00Z.",)


async def test_a_day_has_one_score_of_the_newest_knowledge(held: AsyncSession) -> None:
    first = await _one(held, "WILD")
    again = await _one(held, "WILD")
    assert again.score == first.score
    (kept,) = await latest_scores(held, ["WILD"])
    assert kept == again
    later = await _one(held, "WILD", AS_OF + timedelta(hours=6))
    await _one(held, "WILD", AS_OF + timedelta(hours=3))
    assert await latest_scores(held, ["WILD"]) == [later]
    next_day = await _one(held, "WILD", AS_OF + timedelta(days=1))
    assert await latest_scores(held, ["WILD"]) == [next_day]
    assert await latest_scores(held, ["WILD"], AS_OF + timedelta(hours=12)) == [later]
    shown = text("SELECT asset_symbol, risk_score FROM latest_risk_scores")
    assert [tuple(row) for row in await held.execute(shown)] == [("WILD", next_day.score)]


async def test_a_kept_score_is_the_same_again_after_prices_were_corrected(
    engine: AsyncEngine,
) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ingest(session, candles("WILD/USD", _walk(2, 0.10), 1e4), "wild")
    async with transaction(engine, OWNER_ID) as session:
        kept = await _one(session, "WILD")
    async with transaction(engine, OWNER_ID) as session:
        await ingest(session, candles("WILD/USD", _walk(7, 0.01), 1e9), "corrected")
    async with transaction(engine, OWNER_ID) as session:
        (found,) = await latest_scores(session, ["WILD"])
        done = await recompute(session, found)
        assert done.is_identical
        assert done.again == kept
        now = await _one(session, "WILD")
        assert now.score is not None
        assert kept.score is not None
        assert now.score < kept.score
        assert await latest_scores(session, ["WILD"]) == [now]


async def test_one_day_scored_by_many_at_once_is_one_row(engine: AsyncEngine) -> None:
    async with transaction(engine, OWNER_ID) as session:
        await ingest(session, candles("WILD/USD", _walk(2, 0.10)), "wild")
        await ingest(session, candles("CALM/USD", _walk(1, 0.02)), "calm")

    async def score() -> None:
        async with transaction(engine, OWNER_ID) as session:
            await score_assets(session, AS_OF)

    await asyncio.gather(*(score() for _ in range(4)))
    async with transaction(engine, OWNER_ID) as session:
        assert await session.scalar(select(func.count()).select_from(RiskScore)) == 2
