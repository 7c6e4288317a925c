"""Time series: how each table is cut into chunks, on native partitions or TimescaleDB.

A series is declared once, here. Its migration calls `create`, which makes a hypertable where the
extension is installed and a natively partitioned table elsewhere; writers call `ensure_chunks`
before they write. A tenant's series is always native, because TimescaleDB's chunks do not carry
row security.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

Chunk = Literal["day", "month", "year"]


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its table, the length of its chunks, and whether its rows belong to users."""

    table: str
    chunk: Chunk
    tenant: bool = False


CANDLES = Series("candles", "year")
CANDLE_REVISIONS = Series("candle_revisions", "year")
PRICE_HISTORY = Series("price_history", "year")
PRICE_REVISIONS = Series("price_revisions", "year")
QUOTES = Series("quotes", "month")
MARKET_TRADES = Series("market_trades", "month")
PORTFOLIO_RISK_METRICS = Series("portfolio_risk_metrics", "year", tenant=True)

SERIES = (
    CANDLES,
    CANDLE_REVISIONS,
    PRICE_HISTORY,
    PRICE_REVISIONS,
    QUOTES,
    MARKET_TRADES,
    PORTFOLIO_RISK_METRICS,
)


async def ensure_chunks(
    session: AsyncSession, series: Series, first: datetime, last: datetime
) -> None:
    """Make the partitions that rows from `first` to `last` need; TimescaleDB makes its own."""
    await session.execute(
        text("SELECT ensure_chunks(:series, :first, :last)"),
        {"series": series.table, "first": first, "last": last},
    )
