"""The SQL of measuring for everybody: the doors that a worker alone may open."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.db.series import PORTFOLIO_RISK_METRICS, PORTFOLIO_SNAPSHOTS, ensure_chunks
from seawall.db.session import raw_connection
from seawall.market.store import AssetRecord, find_assets
from seawall.market.tables import Asset
from seawall.quant.metrics.figures import COLUMNS
from seawall.quant.types import BoolArray, FloatArray, IntArray
from seawall.risk.schemas import RiskQuestion

ObjectArray = NDArray[np.object_]
PACKED = np.dtype([("asset_id", ">i4"), ("quantity", ">f8")])
_HELD = """
SELECT place - 1, elsewhere, held, packed, total_value_usd::text, total_invested_usd::text,
    cash_usd::text
FROM portfolio_weights($1, $2, $3, $4, $5, $6)
"""
_ARRAYS = {
    "explained": "jsonb",
    "wanted": "uuid",
    "owners": "uuid",
    "seen": "integer",
    "why": "integer",
    "held": "integer",
    "total": "numeric",
    "invested": "numeric",
    "cash": "numeric",
} | {f"new_{'value_at_risk' if name == 'var' else name}": "double precision" for name in COLUMNS}
_KEEP = f"""
SELECT keep_portfolio_risk($1, $2, $3, $4, $5, {
    ", ".join(
        f"{name} => ${at}::text::{kind}[]" for at, (name, kind) in enumerate(_ARRAYS.items(), 6)
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
class Ledgers:
    """How much P portfolios hold, in (P,) columns: of how many assets, and in money.

    Amounts are in USD, written out: they go back as they came. A `total` is None where a price is
    missing.
    """

    held: IntArray
    total: ObjectArray
    invested: ObjectArray
    cash: ObjectArray

    def take(self, places: IntArray) -> "Ledgers":
        """Return some of them, in this order."""
        return Ledgers(
            self.held[places], self.total[places], self.invested[places], self.cash[places]
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a chunk of P portfolios holds, exactly in money and as floats.

    `places` (n,) count the portfolios from 0, `asset_ids` and `quantities` (n,) go with them, in no
    order. What is neither `there` (P,) was deleted; what is `elsewhere` (P,) is not as it is
    stored, by what was known, and nothing of it is listed.
    """

    places: IntArray
    asset_ids: IntArray
    quantities: FloatArray
    there: BoolArray
    elsewhere: BoolArray
    ledgers: Ledgers


@dataclass(frozen=True, slots=True)
class BriefRows:
    """What a batch keeps of each portfolio: (P, 17) figures, and what they rest on.

    `why` (P,) tells which of the `explained` is a portfolio's, from 1 on.
    """

    portfolios: Sequence[tuple[UUID, UUID]]
    ledgers: Ledgers
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


async def lock_holdings(
    session: AsyncSession,
    portfolios: Sequence[UUID],
    moment: tuple[datetime, datetime],
    priced: Priced,
) -> Holdings:
    """Lock portfolios, and return what each holds as of one instant, known at another."""
    connection = await raw_connection(session)
    rows = await connection.fetch(
        _HELD, portfolios, *moment, priced.cash, priced.asset_ids, priced.prices
    )
    columns = list(zip(*rows, strict=True)) or [()] * 7
    at, held = np.array(columns[0], dtype=np.int64), np.array(columns[2], dtype=np.int64)
    there, elsewhere = np.zeros((2, len(portfolios)), dtype=np.bool_)
    there[at], elsewhere[at] = True, columns[1]
    packed = np.frombuffer(b"".join(filter(None, columns[3])), PACKED)
    amounts = np.full((3, len(portfolios)), None, dtype=np.object_)
    for amount, column in zip(amounts, columns[4:], strict=True):
        amount[at] = column
    counts = np.zeros(len(portfolios), dtype=np.int64)
    counts[at] = held
    return Holdings(
        np.repeat(at, held),
        packed["asset_id"].astype(np.int64),
        packed["quantity"].astype(np.float64),
        there,
        elsewhere,
        Ledgers(counts, *amounts),
    )


async def keep(
    session: AsyncSession,
    moment: tuple[datetime, datetime],
    question: RiskQuestion,
    rows: BriefRows,
) -> int:
    """Keep what was measured as of one instant, known at another, with a snapshot of each.

    What is kept with the same figures already is left as it is; returns how many are new.
    """
    for series in (PORTFOLIO_RISK_METRICS, PORTFOLIO_SNAPSHOTS):
        await ensure_chunks(session, series, moment[0], moment[0])
    connection = await raw_connection(session)
    explained = [orjson.dumps(each).decode() for each in rows.explained]
    kept = await connection.fetchval(
        _KEEP,
        *moment,
        question.window,
        question.confidence,
        question.benchmark,
        _array(explained),
        _array([portfolio for portfolio, _ in rows.portfolios]),
        _array([owner for _, owner in rows.portfolios]),
        _array(rows.observations),
        _array(rows.why),
        _array(rows.ledgers.held),
        _array(rows.ledgers.total.tolist()),
        _array(rows.ledgers.invested.tolist()),
        _array(rows.ledgers.cash.tolist()),
        *(_array(column) for column in rows.values.T),
    )
    return int(kept)


def _array(values: object) -> str:
    """Write an array as PostgreSQL reads one; NaN is NULL, and a float comes back to the bit.

    The driver looks at every element on its own, which for 4,000 portfolios takes longer than
    measuring them; what it writes JSON with takes numpy's arrays as they are.
    """
    if isinstance(values, np.ndarray):
        values = np.ascontiguousarray(values)
    written = orjson.dumps(values, default=str, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return f"{{{written[1:-1]}}}"
