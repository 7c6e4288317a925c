"""What is held of each series and what is missing, kept up to date by every import."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from asyncpg import Connection
from numpy.typing import NDArray
from sqlalchemy import Row, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from seawall.db import bulk
from seawall.db.bulk import Column, instant
from seawall.db.session import raw_connection
from seawall.market import store
from seawall.market.calendar import next_trading_day, trading_day_number
from seawall.market.schemas import Gap, SeriesKind, Timeframe
from seawall.market.tables import Asset, DataCoverage, DataGap, Exchange, Symbol

ABSENT, NOT_IMPORTED = "absent_in_source", "not_imported"
_DAY, _DAY_MICROS = np.timedelta64(1, "D"), 86_400_000_000
_GAP_COLUMNS = (
    Column("start_time", "<M8[us]"),
    Column("end_time", "<M8[us]"),
    Column("missing", "<i8"),
)
Times = NDArray[np.datetime64]
Gaps = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Which series: a pair's candles of a timeframe, its quotes or trades, or an asset's prices."""

    kind: SeriesKind
    timeframe: Timeframe | None = None
    symbol_id: int | None = None
    asset_id: int | None = None

    @property
    def subject(self) -> dict[str, int]:
        """The values of the columns that name the series in its table."""
        if self.asset_id is not None:
            return {"asset_id": self.asset_id}
        assert self.symbol_id is not None  # noqa: S101 - one of the two is set
        found = {"symbol_id": self.symbol_id}
        if self.kind is SeriesKind.CANDLES and self.timeframe is not None:
            found["timeframe"] = self.timeframe.seconds
        return found


@dataclass(frozen=True, slots=True)
class Coverage:
    """One series: what is held, and the longest of what is missing."""

    kind: str
    exchange: str
    symbol: str
    timeframe: str | None
    rows: int
    first_time: datetime
    last_time: datetime
    missing: int
    gap_count: int
    gaps: tuple[tuple[Gap, str], ...]
    is_simulated: bool


def find_gaps(times: Times, timeframe: Timeframe) -> Gaps:
    """Find the stretches between sorted times that are longer than one candle.

    Shapes: (n,) times in, (g,) records of start_time, end_time and missing out.
    """
    micros = times.astype("<M8[us]").astype(np.int64)
    steps = np.diff(micros) // timeframe.micros
    return _gaps(micros, steps, timeframe.micros)


def find_index_gaps(times: Times) -> Gaps:
    """Find the trading days that an index' daily closes leave out.

    A close is held at the midnight after its day, so the day is the one before.
    """
    days = (times - _DAY).astype("<M8[D]")
    steps = np.diff(trading_day_number(days))
    found = _gaps(times.astype("<M8[us]").astype(np.int64), steps, _DAY_MICROS)
    found["start_time"] = next_trading_day(days[:-1][steps > 1]) + _DAY
    return found


def _gaps(micros: NDArray[np.int64], steps: NDArray[np.int64], length: int) -> Gaps:
    after = np.flatnonzero(steps > 1)
    found = np.empty(len(after), bulk.record_dtype(_GAP_COLUMNS))
    found["start_time"] = (micros[after] + length).view("<M8[us]")
    found["end_time"] = micros[after + 1].view("<M8[us]")
    found["missing"] = steps[after] - 1
    return found


async def record(
    session: AsyncSession, key: SeriesKey, times: Times, inserted: int, stamp: datetime
) -> Gaps:
    """Bring a series' coverage up to date after `times` were written; return the gaps in between.

    `times` are all that is now held from the first to the last that was written. Only that range
    and its two neighbours are looked at, so the cost does not grow with the series.
    """
    first, last = _instants(times)
    coverage_id = await _record_extent(session, key, first, last, inserted, stamp)
    table = store.KEYED[key.kind]
    before, after = await store.neighbours(session, table, key.subject, first, last)
    inside = _gaps_of(key, times)
    if inside is None:
        return np.empty(0, bulk.record_dtype(_GAP_COLUMNS))
    removed = await session.execute(
        delete(DataGap)
        .where(
            DataGap.coverage_id == coverage_id,
            DataGap.end_time > (before or first),
            DataGap.start_time < (after or last),
        )
        .returning(DataGap.start_time, DataGap.end_time, DataGap.reason)
    )
    connection = await raw_connection(session)
    await _write_gaps(connection, coverage_id, ABSENT, inside)
    for reason, start, end in _edges(times, before, after, removed.all()):
        edge = _gaps_of(key, np.array([start, end], "<M8[us]"))
        if edge is not None:
            await _write_gaps(connection, coverage_id, reason, edge)
    await _count_missing(session, coverage_id)
    return inside


def _edges(
    times: Times,
    before: datetime | None,
    after: datetime | None,
    removed: Sequence[Row[datetime, datetime, str]],
) -> Iterator[tuple[str, np.datetime64, np.datetime64]]:
    """Return the stretches to the held neighbours, each with why something may be missing there.

    A gap that was there keeps its reason on both sides of what now fills a part of it.
    """
    first, last = _instants(times)
    if before is not None:
        known = (gap.reason for gap in removed if gap.start_time < first)
        yield next(known, NOT_IMPORTED), _naive(before), times[0]
    if after is not None:
        known = (gap.reason for gap in removed if gap.end_time > last)
        yield next(known, NOT_IMPORTED), times[-1], _naive(after)


def _instants(times: Times) -> tuple[datetime, datetime]:
    return instant(times[0]), instant(times[-1])


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.replace(tzinfo=None), "us")


def _gaps_of(key: SeriesKey, times: Times) -> Gaps | None:
    """Return a series' gaps; None for a series in which nothing can be said to be missing."""
    match key.kind:
        case SeriesKind.CANDLES if key.timeframe is not None:
            return find_gaps(times, key.timeframe)
        case SeriesKind.PRICES:
            return find_index_gaps(times)
        case _:
            return None


async def _record_extent(
    session: AsyncSession,
    key: SeriesKey,
    first: datetime,
    last: datetime,
    inserted: int,
    stamp: datetime,
) -> int:
    fresh = insert(DataCoverage).values(
        kind=key.kind,
        asset_id=key.asset_id,
        symbol_id=key.symbol_id,
        timeframe=key.timeframe.seconds if key.timeframe else None,
        rows=inserted,
        first_time=first,
        last_time=last,
        missing=0,
        updated_at=stamp,
    )
    given = fresh.excluded
    statement = fresh.on_conflict_do_update(
        constraint="uq_data_coverage_series",
        set_={
            "rows": DataCoverage.rows + given.rows,
            "first_time": func.least(DataCoverage.first_time, given.first_time),
            "last_time": func.greatest(DataCoverage.last_time, given.last_time),
            "updated_at": given.updated_at,
        },
    ).returning(DataCoverage.id)
    return (await session.scalars(statement)).one()


async def _write_gaps(connection: Connection, coverage_id: int, reason: str, gaps: Gaps) -> None:
    width = f"S{len(reason)}"
    await bulk.write(
        connection,
        "data_gaps",
        gaps,
        _GAP_COLUMNS,
        {Column("coverage_id", "<i4"): coverage_id, Column("reason", width): reason.encode()},
    )


async def _count_missing(session: AsyncSession, coverage_id: int) -> None:
    await session.execute(
        text(
            "UPDATE data_coverage SET missing ="
            " (SELECT coalesce(sum(missing), 0) FROM data_gaps WHERE coverage_id = :id)"
            " WHERE id = :id"
        ),
        {"id": coverage_id},
    )


async def list_coverage(session: AsyncSession, *, longest: int = 5) -> list[Coverage]:
    """Return every series with its extent and its `longest` gaps."""
    gaps = await _longest_gaps(session, longest)
    counts = dict(
        (
            await session.execute(
                select(DataGap.coverage_id, func.count()).group_by(DataGap.coverage_id)
            )
        ).all()
    )
    subject, base = aliased(Asset), aliased(Asset)
    rows = await session.execute(
        select(
            DataCoverage,
            Symbol.symbol,
            Exchange.code,
            subject.symbol,
            func.coalesce(base.is_simulated, subject.is_simulated),
        )
        .outerjoin(Symbol, Symbol.id == DataCoverage.symbol_id)
        .outerjoin(Exchange, Exchange.id == Symbol.exchange_id)
        .outerjoin(base, base.id == Symbol.base_asset_id)
        .outerjoin(subject, subject.id == DataCoverage.asset_id)
        .order_by(
            func.coalesce(Symbol.symbol, subject.symbol),
            Exchange.code,
            DataCoverage.kind,
            DataCoverage.timeframe,
        )
    )
    return [
        Coverage(
            kind=row.kind,
            exchange=exchange or "",
            symbol=pair or asset or "",
            timeframe=str(Timeframe(row.timeframe)) if row.timeframe else None,
            rows=row.rows,
            first_time=row.first_time,
            last_time=row.last_time,
            missing=row.missing,
            gap_count=counts.get(row.id, 0),
            gaps=tuple(gaps.get(row.id, ())),
            is_simulated=bool(simulated),
        )
        for row, pair, exchange, asset, simulated in rows
    ]


async def _longest_gaps(session: AsyncSession, longest: int) -> dict[int, list[tuple[Gap, str]]]:
    rank = func.row_number().over(
        partition_by=DataGap.coverage_id, order_by=(DataGap.missing.desc(), DataGap.start_time)
    )
    ranked = select(DataGap, rank.label("rank")).subquery()
    rows = await session.execute(
        select(ranked).where(ranked.c.rank <= longest).order_by(ranked.c.start_time)
    )
    found: dict[int, list[tuple[Gap, str]]] = {}
    for row in rows:
        gap = Gap(row.start_time, row.end_time, row.missing)
        found.setdefault(row.coverage_id, []).append((gap, row.reason))
    return found
