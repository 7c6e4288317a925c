"""The SQL of assets' figures."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Table, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from seawall.db import bulk
from seawall.db.bulk import Column, Records
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


async def list_measured(
    session: AsyncSession, asset_id: int, midnights: tuple[datetime, datetime]
) -> Records:
    """Return which midnights of an asset were measured, over which window, and when.

    Shapes: (n,) records of `time`, `window_days` and `ingested_at`.
    """
    connection = await raw_connection(session)
    return await bulk.read(connection, _LIST_MEASURED, _MEASURED, asset_id, *midnights)


async def put_asset_figures(
    session: AsyncSession, figures: Sequence[AssetFigures], asset_ids: dict[str, int]
) -> None:
    """Keep figures of assets, in the place of earlier ones of the same midnight and window."""
    times = [each.time for each in figures]
    await ensure_chunks(session, RISK_METRICS, min(times), max(times))
    table = RiskMetrics.__table__
    assert isinstance(table, Table)  # noqa: S101 - every class is mapped to one
    statement = insert(table)
    kept = ("benchmark_asset_id", "observations", "ingested_at", *ASSET_FIGURES)
    # The ORM would make an object's worth of work of each of thousands of rows.
    connection = await session.connection()
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["asset_id", "time", "window_days"],
            set_={name: statement.excluded[name] for name in kept},
        ),
        [
            {
                "asset_id": asset_ids[each.asset],
                "time": each.time,
                "window_days": each.window,
                "benchmark_asset_id": asset_ids[each.benchmark],
                "observations": each.observations,
                "ingested_at": each.known_at,
                **each.figures,
            }
            for each in figures
        ],
    )


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
