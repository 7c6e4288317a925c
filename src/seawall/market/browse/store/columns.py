"""Stretches of candles and prices as columns, through the database's bulk path.

COPY takes no parameters, and asyncpg would ask the database twice more to put them in. So ids and
instants, which are numbers here and nobody's text, are written into the query.
"""

from collections.abc import Sequence

from seawall.core.time import iso
from seawall.db import bulk
from seawall.db.bulk import Column, Records
from seawall.db.engine import TenantConnection
from seawall.db.paging import Span
from seawall.market.browse.schemas import Within
from seawall.market.schemas import Timeframe
from seawall.market.series import PRICES
from seawall.market.store import CANDLES, TIME

CANDLE_COLUMNS = (TIME, *CANDLES.values)
PRICE_COLUMNS = PRICES
_NULLS = {"market_cap_usd", "volume_24h_usd"}
"""What a price that was revised is not known with."""


async def read_candles(
    connection: TenantConnection,
    symbol_id: int,
    timeframe: Timeframe,
    within: Within,
    span: Span,
    columns: Sequence[Column] = CANDLE_COLUMNS,
) -> Records:
    """Return the candles of a pair that opened in a stretch, in order of their open times.

    Shapes: (n,) records of `columns`; what is not known is NaN, a count of trades -1.
    """
    names = ", ".join(column.name for column in columns)
    subject = f"symbol_id = {int(symbol_id)} AND timeframe = {int(timeframe.seconds)}"
    held = f"SELECT {names} FROM candles WHERE {subject}"  # noqa: S608 - see above
    revised = f"SELECT {names} FROM candle_revisions WHERE {subject}"  # noqa: S608 - see above
    return await _read(connection, held, revised, (within, span), columns)


async def read_price_history(
    connection: TenantConnection,
    asset_id: int,
    within: Within,
    span: Span,
    columns: Sequence[Column] = PRICE_COLUMNS,
) -> Records:
    """Return the prices of an asset in a stretch, in order of time, as `read_candles`."""
    names = ", ".join(column.name for column in columns)
    nulls = ", ".join(
        f"NULL::double precision AS {column.name}" if column.name in _NULLS else column.name
        for column in columns
    )
    subject = f"asset_id = {int(asset_id)}"
    held = f"SELECT {names} FROM price_history WHERE {subject}"  # noqa: S608 - see above
    revised = f"SELECT {nulls} FROM price_revisions WHERE {subject}"  # noqa: S608 - see above
    return await _read(connection, held, revised, (within, span), columns)


async def _read(
    connection: TenantConnection,
    held: str,
    revised: str,
    wanted: tuple[Within, Span],
    columns: Sequence[Column],
) -> Records:
    within, span = wanted
    bounds = ""
    if within.since is not None:
        bounds += f" AND time >= '{iso(within.since)}'"
    if within.until is not None:
        bounds += f" AND time < '{iso(within.until)}'"
    versions = held + bounds
    if within.known_at is not None:
        known = f"'{iso(within.known_at)}'"
        versions += (
            f" AND ingested_at <= {known} UNION ALL {revised}{bounds}"
            f" AND ingested_at <= {known} AND superseded_at > {known}"
        )
    way = "DESC" if span.order.descending else "ASC"
    query = (
        f"SELECT {bulk.select_list(columns)} FROM ({versions}) versions"  # noqa: S608 - see above
        f" ORDER BY time {way} LIMIT {int(span.limit)}"
    )
    return await bulk.read(connection, query, columns)
