"""The SQL of scores: the facts that they are made of, and the scores that are kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db import bulk
from seawall.db.bulk import Column, Records
from seawall.db.session import raw_connection
from seawall.market.schemas import Timeframe
from seawall.market.store import AssetRecord
from seawall.market.tables import Asset
from seawall.risk.tables import RiskScore

VOLUMES = (Column("known", "<M8[us]"), Column("volume", "<f8"))
SCORED_KINDS = ("crypto", "stablecoin")

# What a venue did not count in the quote asset is taken at the candle's close.
_VOLUMES = """
SELECT date_trunc('day', time, 'UTC') + interval '1 day' AS known,
    sum(coalesce(quote_volume, volume * close)) AS volume
FROM (
    SELECT time, close, volume, quote_volume FROM candles
    WHERE symbol_id = $1 AND timeframe = $2 AND time >= $3 AND time < $4 AND ingested_at <= $5
    UNION ALL
    SELECT time, close, volume, quote_volume FROM candle_revisions
    WHERE symbol_id = $1 AND timeframe = $2 AND time >= $3 AND time < $4
        AND ingested_at <= $5 AND superseded_at > $5
) versions
GROUP BY 1 HAVING sum(coalesce(quote_volume, volume * close)) IS NOT NULL ORDER BY 1
"""
_CAPITALISATION = text("""
    SELECT market_cap_usd, time FROM price_history
    WHERE asset_id = :asset AND time <= :as_of
        AND time > CAST(:as_of AS timestamptz) - interval '30 days'
        AND ingested_at <= :known_at AND market_cap_usd IS NOT NULL
    ORDER BY time DESC LIMIT 1
""")
_TALK = text("""
    SELECT avg(50 + (sentiment_negative - sentiment_positive) / 2), max(time)
    FROM social_sentiment_history
    WHERE asset_id = :asset AND time <= :as_of
        AND time > CAST(:as_of AS timestamptz) - interval '7 days'
        AND ingested_at <= :known_at
        AND sentiment_negative IS NOT NULL AND sentiment_positive IS NOT NULL
""")
_ACTIVITY = text("""
    SELECT avg(value) FILTER (WHERE time > CAST(:as_of AS timestamptz) - interval '30 days'),
        avg(value) FILTER (WHERE time <= CAST(:as_of AS timestamptz) - interval '30 days'),
        max(time)
    FROM onchain_history
    WHERE asset_id = :asset AND metric = 'active_addresses'
        AND time <= :as_of AND time > CAST(:as_of AS timestamptz) - interval '60 days'
        AND ingested_at <= :known_at
""")
_VENUES = text("SELECT count(DISTINCT exchange_id) FROM symbols WHERE base_asset_id = :asset")


@dataclass(frozen=True, slots=True)
class Catalogued:
    """What the catalogue says of an asset now; None where nobody said."""

    audit_status: str | None
    team_status: str | None
    listings: int | None
    updated_at: datetime


async def list_scorable(
    session: AsyncSession, symbols: Collection[str] | None = None
) -> list[AssetRecord]:
    """Return the active coins and stablecoins, or those of these symbols, by symbol."""
    query = select(Asset.id, Asset.symbol, Asset.kind, Asset.is_simulated).order_by(Asset.symbol)
    query = query.where(Asset.kind.in_(SCORED_KINDS))
    if symbols is None:
        query = query.where(Asset.is_active)
    else:
        query = query.where(Asset.symbol.in_(sorted(set(symbols))))
    return [AssetRecord(*row) for row in await session.execute(query)]


async def daily_volumes(
    session: AsyncSession,
    symbol_id: int,
    timeframe: Timeframe,
    midnights: tuple[datetime, datetime],
    known_at: datetime,
) -> Records:
    """Return what was traded of a pair on the days between two midnights, in its quote.

    Shapes: (n,) records of `known`, the midnight at which the day ended, and `volume`.
    """
    connection = await raw_connection(session)
    arguments = (symbol_id, timeframe.seconds, *midnights, known_at)
    return await bulk.read(connection, _VOLUMES, VOLUMES, *arguments)


async def catalogued(session: AsyncSession, asset_id: int) -> Catalogued:
    """Return what the catalogue says of an asset; venues are counted where nobody said."""
    row = (
        await session.execute(
            select(
                Asset.audit_status,
                Asset.team_status,
                Asset.exchange_listings_count,
                Asset.updated_at,
            ).where(Asset.id == asset_id)
        )
    ).one()
    found = Catalogued(*row)
    if found.listings is not None:
        return found
    count = await session.scalar(_VENUES, {"asset": asset_id})
    return Catalogued(found.audit_status, found.team_status, count or None, found.updated_at)


async def capitalisation(
    session: AsyncSession, asset_id: int, as_of: datetime, known_at: datetime
) -> tuple[float, datetime] | None:
    """Return an asset's newest market capitalisation of the last 30 days in USD, and its time."""
    row = (await session.execute(_CAPITALISATION, _at(asset_id, as_of, known_at))).one_or_none()
    return None if row is None else (row[0], row[1])


async def talk(
    session: AsyncSession, asset_id: int, as_of: datetime, known_at: datetime
) -> tuple[float, datetime] | None:
    """Return how ill an asset was spoken of in the last 7 days, from 0 to 100, and until when."""
    row = (await session.execute(_TALK, _at(asset_id, as_of, known_at))).one()
    return None if row[0] is None else (row[0], row[1])


async def activity(
    session: AsyncSession, asset_id: int, as_of: datetime, known_at: datetime
) -> tuple[float | None, float | None, datetime | None]:
    """Return the mean of active addresses over 30 days, over the 30 before, and the newest time."""
    row = (await session.execute(_ACTIVITY, _at(asset_id, as_of, known_at))).one()
    return row[0], row[1], row[2]


def _at(asset_id: int, as_of: datetime, known_at: datetime) -> dict[str, object]:
    return {"asset": asset_id, "as_of": as_of, "known_at": known_at}


async def put_score(session: AsyncSession, values: Mapping[str, Any]) -> bool:
    """Keep a score as the one of its asset and UTC day; tell whether it was.

    It does not take the place of one that is of later, or was made with later knowledge.
    """
    statement = insert(RiskScore).values(values)
    new, old = statement.excluded, RiskScore
    known_at = func.coalesce(old.factors["known_at"].as_string(), text("'-infinity'")).cast(
        RiskScore.calculated_at.type
    )
    replaced = {name: new[name] for name in values if name != "asset_id"}
    kept = await session.scalar(
        statement.on_conflict_do_update(
            index_elements=[
                RiskScore.asset_id,
                text("((calculated_at AT TIME ZONE 'UTC')::date)"),
            ],
            set_=replaced,
            where=(new.calculated_at >= old.calculated_at)
            & (known_at < new.factors["known_at"].as_string().cast(old.calculated_at.type)),
        ).returning(RiskScore.id)
    )
    return kept is not None


async def list_scores(
    session: AsyncSession, symbols: Collection[str] | None, as_of: datetime
) -> list[tuple[str, RiskScore]]:
    """Return the newest kept score of each asset by an instant, by symbol; None for all assets."""
    newest = (
        select(RiskScore.asset_id, func.max(RiskScore.calculated_at).label("time"))
        .where(RiskScore.calculated_at <= as_of)
        .group_by(RiskScore.asset_id)
        .subquery()
    )
    query = (
        select(Asset.symbol, RiskScore)
        .join(Asset, Asset.id == RiskScore.asset_id)
        .join(
            newest,
            (newest.c.asset_id == RiskScore.asset_id) & (newest.c.time == RiskScore.calculated_at),
        )
        .order_by(Asset.symbol)
    )
    if symbols is not None:
        query = query.where(Asset.symbol.in_(sorted(set(symbols))))
    return [(symbol, row) for symbol, row in await session.execute(query)]
