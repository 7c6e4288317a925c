"""Time series: how each table is cut into chunks, ages and is summed up, on either engine.

A series is declared once, here. Its migration makes a TimescaleDB hypertable where the extension
is installed and a natively partitioned table elsewhere; writers call `ensure_chunks` before they
write. A tenant's series is always native, because TimescaleDB's chunks do not carry row security.
How long rows are kept is said in one place for all tables: `seawall.ops.retention`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

Chunk = Literal["day", "month", "year"]
Summary = Literal["first", "last", "max", "min", "mean", "sum", "count"]


@dataclass(frozen=True, slots=True)
class Value:
    """One column of a rollup: which summary of which column of the series it holds."""

    name: str
    summary: Summary
    column: str


@dataclass(frozen=True, slots=True)
class Rollup:
    """A series by UTC day: a continuous aggregate, or a table that is kept up to date.

    `keys` begin with the series' subject; `condition` chooses the rows that are summed up.
    """

    name: str
    keys: tuple[str, ...]
    values: tuple[Value, ...]
    condition: str = "true"


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its table, the length of its chunks, and how it ages.

    Partitions are as long as `chunk`, chunks of a hypertable as `hyperchunk`: a partition costs
    planning time, while a hypertable compresses and drops whole chunks only. Compression orders
    rows by time within each of `segment_by`.
    """

    table: str
    chunk: Chunk
    tenant: bool = False
    hyperchunk: Chunk = "month"
    segment_by: tuple[str, ...] = ()
    compress_after: timedelta | None = None
    rollups: tuple[Rollup, ...] = field(default=())


DAYS_7, DAYS_30 = timedelta(days=7), timedelta(days=30)

CANDLES_BY_DAY = Rollup(
    "candles_by_day",
    ("symbol_id", "timeframe"),
    (
        Value("open", "first", "open"),
        Value("high", "max", "high"),
        Value("low", "min", "low"),
        Value("close", "last", "close"),
        Value("volume", "sum", "volume"),
        Value("quote_volume", "sum", "quote_volume"),
        Value("candles", "count", "time"),
    ),
    # From an hour to half a day: shorter ones are kept less long, longer ones are days already.
    "timeframe BETWEEN 3600 AND 43200",
)
PRICES_BY_DAY = Rollup(
    "price_history_by_day",
    ("asset_id",),
    (
        Value("open", "first", "price_usd"),
        Value("high", "max", "price_usd"),
        Value("low", "min", "price_usd"),
        Value("close", "last", "price_usd"),
        Value("avg_price", "mean", "price_usd"),
        # Each row tells the volume of the 24 hours before it: the day's is the last one, no sum.
        Value("total_volume", "last", "volume_24h_usd"),
        Value("prices", "count", "time"),
    ),
)

CANDLES = Series(
    "candles",
    "year",
    segment_by=("symbol_id", "timeframe"),
    compress_after=DAYS_30,
    rollups=(CANDLES_BY_DAY,),
)
CANDLE_REVISIONS = Series(
    "candle_revisions", "year", segment_by=("symbol_id", "timeframe"), compress_after=DAYS_30
)
PRICE_HISTORY = Series(
    "price_history",
    "year",
    segment_by=("asset_id",),
    compress_after=DAYS_7,
    rollups=(PRICES_BY_DAY,),
)
PRICE_REVISIONS = Series(
    "price_revisions", "year", segment_by=("asset_id",), compress_after=DAYS_30
)
QUOTES = Series(
    "quotes", "month", hyperchunk="day", segment_by=("symbol_id",), compress_after=DAYS_7
)
MARKET_TRADES = Series(
    "market_trades", "month", hyperchunk="day", segment_by=("symbol_id",), compress_after=DAYS_7
)
ORDER_BOOKS = Series(
    "order_books", "day", hyperchunk="day", segment_by=("symbol_id",), compress_after=DAYS_7
)
SOCIAL_SENTIMENT_HISTORY = Series(
    "social_sentiment_history", "year", segment_by=("asset_id",), compress_after=DAYS_30
)
ONCHAIN_HISTORY = Series(
    "onchain_history", "year", segment_by=("asset_id", "metric"), compress_after=DAYS_30
)
RISK_METRICS = Series("risk_metrics", "year", segment_by=("asset_id",), compress_after=DAYS_30)
MODEL_PERFORMANCE = Series(
    "model_performance", "month", segment_by=("model_version_id",), compress_after=DAYS_30
)
MARKET_REGIMES = Series("market_regimes", "year", segment_by=("symbol_id",), compress_after=DAYS_30)
SYSTEM_LOGS = Series(
    "system_logs", "month", segment_by=("component", "level"), compress_after=DAYS_30
)
PORTFOLIO_RISK_METRICS = Series("portfolio_risk_metrics", "year", tenant=True)
PORTFOLIO_SNAPSHOTS = Series("portfolio_snapshots", "year", tenant=True)
ACCOUNT_RISK_METRICS = Series("account_risk_metrics", "year", tenant=True)
PERFORMANCE_METRICS = Series("performance_metrics", "year", tenant=True)
PERFORMANCE_ANALYTICS = Series("performance_analytics", "year", tenant=True)

SERIES = (
    CANDLES,
    CANDLE_REVISIONS,
    PRICE_HISTORY,
    PRICE_REVISIONS,
    QUOTES,
    MARKET_TRADES,
    ORDER_BOOKS,
    SOCIAL_SENTIMENT_HISTORY,
    ONCHAIN_HISTORY,
    RISK_METRICS,
    MODEL_PERFORMANCE,
    MARKET_REGIMES,
    SYSTEM_LOGS,
    PORTFOLIO_RISK_METRICS,
    PORTFOLIO_SNAPSHOTS,
    ACCOUNT_RISK_METRICS,
    PERFORMANCE_METRICS,
    PERFORMANCE_ANALYTICS,
)


async def ensure_chunks(
    session: AsyncSession, series: Series, first: datetime, last: datetime
) -> None:
    """Make the partitions that rows from `first` to `last` need; TimescaleDB makes its own."""
    await session.execute(
        text("SELECT ensure_chunks(:series, :first, :last)"),
        {"series": series.table, "first": first, "last": last},
    )


async def announce_change(
    session: AsyncSession, series: Series, subject: Sequence[int], first: datetime, last: datetime
) -> None:
    """Say before writing which rows will change, so that only their days are summed up anew.

    `subject` are the values of the rollups' keys. A native series that is written without this is
    summed up anew as a whole at the next upkeep; TimescaleDB notes changes by itself.
    """
    if series.rollups:
        await session.execute(
            text("SELECT announce_change(:series, CAST(:subject AS integer[]), :first, :last)"),
            {"series": series.table, "subject": list(subject), "first": first, "last": last},
        )


async def refresh_rollups(session: AsyncSession, series: Series, subject: Sequence[int]) -> None:
    """Sum up what was announced of a subject; TimescaleDB does so at its next upkeep."""
    if series.rollups:
        await session.execute(
            text("SELECT refresh_rollups(:series, CAST(:subject AS integer[]))"),
            {"series": series.table, "subject": list(subject)},
        )
