"""What the seed to look at holds of the market, of models, and of how risky coins are."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.time import DAY
from seawall.db.base import Base
from seawall.db.bulk import instant
from seawall.db.series import (
    MARKET_REGIMES,
    MODEL_PERFORMANCE,
    ONCHAIN_HISTORY,
    ORDER_BOOKS,
    PRICE_HISTORY,
    SOCIAL_SENTIMENT_HISTORY,
    SYSTEM_LOGS,
    announce_change,
    ensure_chunks,
    refresh_rollups,
)
from seawall.learning.tables import Adaptation, MarketRegime, ModelPerformance, ModelVersion
from seawall.market.store import SymbolRecord
from seawall.market.tables import OnchainFigure, OrderBook, SocialSentiment
from seawall.ops.seeds import market
from seawall.ops.seeds.claim import EXCHANGE
from seawall.ops.seeds.market import Advance
from seawall.ops.seeds.paths import DAY_STEPS, Coin, Paths, walk
from seawall.ops.seeds.predictions import add_predictions
from seawall.ops.tables import SystemLog
from seawall.risk.tables import RiskScore

SEED = 20_260_623
"""Of those tried, one that makes a believable year: nobody is ruined, and nobody gets rich."""
DAYS, HALF_HOURLY_DAYS = 400, 30
"""Days of daily candles, and those of them that are held by half hours too."""
COINS = (
    Coin("BTC", "Bitcoin", 43_000, 0.50, 19_600_000, 28e9),
    Coin("ETH", "Ethereum", 2_300, 0.62, 120_200_000, 12e9),
    Coin("SOL", "Solana", 98, 0.85, 430_000_000, 2.5e9),
    Coin("SHIB", "Shiba Inu", 0.0000095, 1.1, 589e12, 3e8),
)
SCORES = {
    # The score and its level; then of volatility, liquidity, sentiment and chain.
    "BTC": (35, "medium", 40, 10, 35, 30),
    "ETH": (42, "medium", 45, 15, 40, 36),
    "SOL": (58, "high", 65, 35, 50, 55),
    "SHIB": (92, "extreme", 95, 70, 88, 90),
}


@dataclass(frozen=True, slots=True)
class DevMarket:
    """The market that everything else in the seed refers to."""

    paths: Paths
    pairs: dict[str, SymbolRecord]

    @property
    def until(self) -> datetime:
        """The instant of the newest prices."""
        return self.paths.until

    def price(self, symbol: str, days_ago: float = 0) -> Decimal:
        """Return a coin's price so many days before the newest one."""
        coin = [each.symbol for each in self.paths.coins].index(symbol)
        return Decimal(repr(float(self.paths.prices[-1 - round(days_ago * DAY_STEPS), coin])))


async def add_market(session: AsyncSession, until: datetime, advance: Advance) -> DevMarket:
    """Store the coins, their series, what a model predicts of them, and how risky they are."""
    paths = walk(COINS, DAYS, until, SEED)
    pairs = await market.add_coins(session, paths)
    asset_ids = [pair.base.id for pair in pairs]
    for number, coin in enumerate(paths.coins):
        candles = (
            (market.DAILY, paths.day_candles(number)),
            (market.HALF_HOURLY, paths.step_candles(number, HALF_HOURLY_DAYS * DAY_STEPS)),
        )
        for timeframe, each in candles:
            await market.add_candles(session, coin.symbol, timeframe, each)
    await _add_prices(session, paths, asset_ids, advance)
    await market.add_quotes(session, paths, [pair.id for pair in pairs], advance)
    await add_predictions(session, paths, asset_ids)
    made = DevMarket(paths, dict(zip(SCORES, pairs, strict=True)))
    await _add_rows(session, made)
    return made


async def _add_prices(
    session: AsyncSession, paths: Paths, asset_ids: list[int], advance: Advance
) -> None:
    first = len(paths.prices) - HALF_HOURLY_DAYS * DAY_STEPS
    since = instant(paths.times[first])
    for asset_id in asset_ids:
        await announce_change(session, PRICE_HISTORY, [asset_id], since, paths.until)
    await market.add_prices(session, paths, asset_ids, first, advance)
    for asset_id in asset_ids:
        await refresh_rollups(session, PRICE_HISTORY, [asset_id])


async def _add_rows(session: AsyncSession, made: DevMarket) -> None:
    """Store one or a few rows of everything else that is known of coins and models."""
    until = made.until
    for series in (SOCIAL_SENTIMENT_HISTORY, ONCHAIN_HISTORY, ORDER_BOOKS):
        await ensure_chunks(session, series, until - 2 * DAY, until)
    for series in (MODEL_PERFORMANCE, MARKET_REGIMES, SYSTEM_LOGS):
        await ensure_chunks(session, series, until - 2 * DAY, until)
    model = (await session.scalars(select(ModelVersion.id))).one()
    rows: list[Base] = [
        Adaptation(
            time=until - 20 * DAY,
            model_version_id=model,
            trigger_event="manual",
            adaptation_type="parameter_update",
            performance_before={"mean_absolute_error": 0.061},
            performance_after={"mean_absolute_error": 0.058},
            success=True,
        ),
        SystemLog(
            time=until,
            level="warning",
            component=EXCHANGE,
            message="Everything in this database is made up.",
        ),
    ]
    for symbol, pair in made.pairs.items():
        rows += [_score(symbol, pair, until), _book(made, symbol, pair), _regime(pair, until)]
        rows += _talk(pair, until)
        rows += _performance(made, symbol, pair, model)
    session.add_all(rows)
    await session.flush()


def _score(symbol: str, pair: SymbolRecord, until: datetime) -> RiskScore:
    score, level, volatility, liquidity, sentiment, chain = SCORES[symbol]
    return RiskScore(
        asset_id=pair.base.id,
        risk_score=score,
        risk_level=level,
        volatility_score=volatility,
        liquidity_score=liquidity,
        social_sentiment_score=sentiment,
        on_chain_score=chain,
        factors={"made_up": True},
        calculated_at=until,
    )


def _book(made: DevMarket, symbol: str, pair: SymbolRecord) -> OrderBook:
    middle = float(made.price(symbol))
    steps = [(1 + level) * 1e-4 for level in range(10)]
    amounts = [round(1_000 * (1 + level) / middle, 6) for level in range(10)]
    sides = {
        "bids": [
            [middle * (1 - step), amount] for step, amount in zip(steps, amounts, strict=True)
        ],
        "asks": [
            [middle * (1 + step), amount] for step, amount in zip(steps, amounts, strict=True)
        ],
    }
    return OrderBook(symbol_id=pair.id, time=made.until, ingested_at=made.until, **sides)


def _regime(pair: SymbolRecord, until: datetime) -> MarketRegime:
    return MarketRegime(
        symbol_id=pair.id,
        time=until - DAY,
        regime_type="ranging",
        confidence=0.7,
        features={"made_up": True},
        ingested_at=until,
    )


def _talk(pair: SymbolRecord, until: datetime) -> list[Base]:
    found: list[Base] = [
        OnchainFigure(
            asset_id=pair.base.id,
            metric="active_addresses",
            time=until,
            value=100_000 * pair.base.id,
            data_source=EXCHANGE,
            ingested_at=until,
        )
    ]
    for hours in range(0, 48, 6):
        positive = 40.0 + hours % 24
        found.append(
            SocialSentiment(
                asset_id=pair.base.id,
                time=until - timedelta(hours=hours),
                data_source=EXCHANGE,
                social_score=50,
                sentiment_positive=positive,
                sentiment_negative=20,
                sentiment_neutral=80 - positive,
                mentions_count=1_000 + 10 * hours,
                influencer_mentions_count=5,
                ingested_at=until,
            )
        )
    return found


def _performance(
    made: DevMarket, symbol: str, pair: SymbolRecord, model: int
) -> list[ModelPerformance]:
    """Tell of the last day, half hour by half hour, how wrong it was that nothing changes."""
    return [
        ModelPerformance(
            model_version_id=model,
            symbol_id=pair.id,
            time=made.until - timedelta(minutes=30 * step),
            prediction=float(made.price(symbol, (step + 1) / DAY_STEPS)),
            actual=float(made.price(symbol, step / DAY_STEPS)),
            confidence=0.5,
            latency_ms=0.1,
            ingested_at=made.until,
        )
        for step in range(DAY_STEPS)
    ]
