"""The SQL of assets' figures."""

from collections.abc import Collection
from datetime import datetime

import numpy as np
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from seawall.core.time import to_micros
from seawall.db import bulk
from seawall.db.bulk import Column, Records, instant
from seawall.db.series import RISK_METRICS, ensure_chunks
from seawall.db.session import raw_connection
from seawall.market.tables import Asset
from seawall.risk.schemas import ASSET_FIGURES, AssetFigures
from seawall.risk.tables import RiskMetrics

_MEASURED = (
    Column("time", "<M8[us]"),
    Column("window_days", "<i4"),
    Column("ingested_at", "<M8[us]"),
)
_LIST_MEASURED = f"""
SELECT {bulk.select_list(_MEASURED)} FROM risk_metrics
WHERE asset_id = $1 AND time BETWEEN $2 AND $3
"""  # noqa: S608 - the only text put in is the names of columns


ROWS = (
    Column("time", "<M8[us]"),
    Column("window_days", "<i4"),
    Column("observations", "<i4"),
    *(Column(name, "<f8", float("nan")) for name in ASSET_FIGURES),
)
"""What is kept of an asset at a midnight over a window, besides whose it is and since when."""
ROWS_DTYPE = bulk.record_dtype(ROWS)
_SUBJECT = (
    Column("asset_id", "<i4"),
    Column("benchmark_asset_id", "<i4"),
    Column("ingested_at", "<M8[us]"),
)
_STAGED = "measured_figures"
_NAMES = tuple(each.name for each in (*_SUBJECT, *ROWS))
_KEY = ("asset_id", "time", "window_days")
_STAGE = f"""
CREATE TEMP TABLE {_STAGED} ON COMMIT DROP AS
SELECT {", ".join(_NAMES)} FROM risk_metrics WITH NO DATA
"""  # noqa: S608 - names are declared in code
_PUT = f"""
INSERT INTO risk_metrics ({", ".join(_NAMES)}) SELECT {", ".join(_NAMES)} FROM {_STAGED}
ON CONFLICT ({", ".join(_KEY)}) DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in _NAMES if name not in _KEY)}
"""  # noqa: S608 - as above


async def list_measured(
    session: AsyncSession, asset_id: int, midnights: tuple[datetime, datetime]
) -> Records:
    """Return which midnights of an asset were measured, over which window, and when.

    Shapes: (n,) records of `time`, `window_days` and `ingested_at`.
    """
    connection = await raw_connection(session)
    return await bulk.read(connection, _LIST_MEASURED, _MEASURED, asset_id, *midnights)


async def put_asset_figures(
    session: AsyncSession, rows: Records, assets: tuple[int, int], known_at: datetime
) -> None:
    """Keep figures of an asset, in the place of earlier ones of the same midnight and window.

    `assets` are the ids of the asset and of what it is compared with. Shapes: (n,) records of
    `ROWS`, NaN for what is not known.
    """
    times = rows["time"]
    await ensure_chunks(session, RISK_METRICS, instant(times.min()), instant(times.max()))
    connection = await raw_connection(session)
    await connection.execute(_STAGE)
    values = (*assets, np.datetime64(to_micros(known_at), "us"))
    await bulk.write(connection, _STAGED, rows, ROWS, dict(zip(_SUBJECT, values, strict=True)))
    await connection.execute(_PUT)
    await connection.execute(f"DROP TABLE {_STAGED}")


async def list_asset_figures(
    session: AsyncSession, symbols: Collection[str], window: int, as_of: datetime | None
) -> list[AssetFigures]:
    """Return the newest figures of each asset by an instant, by symbol; no symbols are all."""
    benchmark = aliased(Asset)
    query = (
        select(Asset.symbol, benchmark.symbol, RiskMetrics)
        .ext(distinct_on(Asset.symbol))
        .join(Asset, Asset.id == RiskMetrics.asset_id)
        .join(benchmark, benchmark.id == RiskMetrics.benchmark_asset_id)
        .where(RiskMetrics.window_days == window)
        .order_by(Asset.symbol, RiskMetrics.time.desc())
    )
    if symbols:
        query = query.where(Asset.symbol.in_(sorted(set(symbols))))
    if as_of is not None:
        query = query.where(RiskMetrics.time <= as_of)
    return [
        AssetFigures(
            asset=asset,
            time=kept.time,
            window=kept.window_days,
            benchmark=compared,
            observations=kept.observations,
            figures={name: getattr(kept, name) for name in ASSET_FIGURES},
            known_at=kept.ingested_at,
        )
        for asset, compared, kept in await session.execute(query)
    ]
