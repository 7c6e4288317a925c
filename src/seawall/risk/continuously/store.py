"""The SQL of measuring for everybody: the doors that a worker alone may open."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db import bulk
from seawall.db.bulk import Column, Records
from seawall.db.series import PORTFOLIO_RISK_METRICS, PORTFOLIO_SNAPSHOTS, ensure_chunks
from seawall.db.session import raw_connection
from seawall.market.store import AssetRecord, find_assets
from seawall.market.tables import Asset
from seawall.quant.metrics.figures import COLUMNS
from seawall.quant.types import FloatArray, IntArray
from seawall.risk.schemas import RiskQuestion

HELD = (Column("place", "<i4"), Column("asset_id", "<i4"), Column("quantity", "<f8"))
_HELD = "SELECT place, asset_id, quantity FROM portfolio_weights($1::uuid[], $2, $3)"
_KEEP = f"""
SELECT keep_portfolio_risk($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
    {
    ", ".join(
        f"new_{'value_at_risk' if name == 'var' else name} => ${at}"
        for at, name in enumerate(COLUMNS, 13)
    )
})
"""


@dataclass(frozen=True, slots=True)
class Priced:
    """The assets that have a price, by their ids, and which of them is cash."""

    asset_ids: Sequence[int]
    prices: Sequence[Decimal]
    cash: int


@dataclass(frozen=True, slots=True)
class BriefRows:
    """What a batch keeps of each portfolio: (P, 17) figures, and what they rest on.

    `why` (P,) tells which of the `explained` is a portfolio's, from 1 on.
    """

    portfolios: Sequence[UUID]
    values: FloatArray
    observations: IntArray
    why: IntArray
    explained: Sequence[object]


async def list_held(session: AsyncSession) -> list[AssetRecord]:
    """Return every asset that anybody's ledger holds, by symbol; a worker alone may ask."""
    ids = (await session.scalars(select(func.assets_held()))).all()
    symbols = (await session.scalars(select(Asset.symbol).where(Asset.id.in_(ids)))).all()
    found = await find_assets(session, symbols)
    return [found[symbol] for symbol in sorted(found)]


async def list_portfolios(
    session: AsyncSession, assets: Collection[int] | None
) -> list[tuple[UUID, UUID]]:
    """Return the living portfolios that hold one of the assets, each with its user, by id.

    Without assets, those in which anything ever happened. A worker alone may ask.
    """
    connection = await raw_connection(session)
    wanted = None if assets is None else sorted(assets)
    rows = await connection.fetch(
        "SELECT portfolio_id, user_id FROM portfolios_to_measure($1::integer[])", wanted
    )
    return [(row[0], row[1]) for row in rows]


async def lock_weights(
    session: AsyncSession, portfolios: Sequence[UUID], as_of: datetime, known_at: datetime
) -> Records:
    """Lock portfolios, and return what each holds: (n,) records of `HELD`, in no order.

    `place` counts the portfolios from 1. Asset 0 stands for a portfolio whose stored holdings are
    not what it held at `as_of` by what was known at `known_at`.
    """
    connection = await raw_connection(session)
    return await bulk.read(connection, _HELD, HELD, list(portfolios), as_of, known_at)


async def keep(
    session: AsyncSession,
    moment: tuple[datetime, datetime],
    question: RiskQuestion,
    priced: Priced,
    rows: BriefRows,
) -> int:
    """Keep what was measured as of one instant, known at another, with a snapshot of each.

    What is kept with the same figures already is left as it is; returns how many are new.
    """
    for series in (PORTFOLIO_RISK_METRICS, PORTFOLIO_SNAPSHOTS):
        await ensure_chunks(session, series, moment[0], moment[0])
    connection = await raw_connection(session)
    kept = await connection.fetchval(
        _KEEP,
        *moment,
        question.window,
        question.confidence,
        question.benchmark,
        priced.cash,
        list(priced.asset_ids),
        list(priced.prices),
        [orjson.dumps(each).decode() for each in rows.explained],
        list(rows.portfolios),
        rows.observations.tolist(),
        rows.why.tolist(),
        *(column.tolist() for column in rows.values.T),
    )
    return int(kept)
