"""Taking a parsed file into the database: one transaction, exact counts, nothing twice."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import InvalidError
from seawall.core.time import DAY, EPOCH, iso
from seawall.db.bulk import Records, instant
from seawall.db.locks import clock, lock_prices
from seawall.db.merge import merge
from seawall.jobs.defer import defer
from seawall.market import catalog, coverage, store
from seawall.market.gaps import Gaps, SeriesKey
from seawall.market.schemas import Gap, ImportResult, ParsedFile, SeriesKind

UNKNOWN_EXCHANGE = "unknown"
LONGEST_GAPS = 10
_PRICING = frozenset({SeriesKind.CANDLES, SeriesKind.PRICES})
"""What portfolios and their benchmarks are priced by."""


async def ingest(
    session: AsyncSession, parsed: ParsedFile, path: str, *, is_simulated: bool = False
) -> ImportResult:
    """Write what a file holds, and bring its series' coverage up to date.

    Raises:
        InvalidError: the file does not say what it prices.
    """
    if parsed.symbol is None:
        raise InvalidError(
            f"{path} does not say what it prices.", hint="Name it: --symbol BTC/USDT."
        )
    exchange = parsed.exchange or UNKNOWN_EXCHANGE
    result = ImportResult(
        path=path,
        format=parsed.format,
        kind=parsed.kind,
        symbol=parsed.symbol,
        exchange="" if parsed.kind is SeriesKind.PRICES else exchange,
        timeframe=str(parsed.timeframe) if parsed.timeframe else None,
        rows_read=parsed.rows_read,
        rejected=parsed.rejected,
        notes=_notes(parsed),
    )
    if not len(parsed.records):
        return result
    key = await _series_key(session, parsed, exchange, is_simulated=is_simulated)
    return await _write(session, parsed.records, key, result)


def _notes(parsed: ParsedFile) -> tuple[str, ...]:
    if parsed.exchange is None and parsed.kind is not SeriesKind.PRICES:
        unnamed = f"no exchange is named; recorded as {UNKNOWN_EXCHANGE!r} (--exchange names one)"
        return (*parsed.notes, unnamed)
    return parsed.notes


async def _series_key(
    session: AsyncSession, parsed: ParsedFile, exchange: str, *, is_simulated: bool
) -> SeriesKey:
    """Return which series a file belongs to."""
    assert parsed.symbol is not None  # noqa: S101 - the caller has looked
    if parsed.kind is SeriesKind.PRICES:
        asset = await catalog.ensure_index(session, parsed.symbol)
        return SeriesKey(parsed.kind, parsed.timeframe, asset_id=asset.id)
    pair = await catalog.ensure_pair(session, exchange, parsed.symbol, is_simulated=is_simulated)
    # Quotes and trades happen at instants, whatever the spacing of a file of them.
    timeframe = parsed.timeframe if parsed.kind is SeriesKind.CANDLES else None
    return SeriesKey(parsed.kind, timeframe, symbol_id=pair.id)


async def _write(
    session: AsyncSession, records: Records, key: SeriesKey, result: ImportResult
) -> ImportResult:
    asset = result.symbol.partition("/")[0]
    await lock_prices(session, [asset])
    stamp = await clock(session)
    merged = await merge(session, store.KEYED[key.kind], key.subject, records, stamp)
    gaps = await coverage.record(session, key, merged.times, merged.inserted, stamp)
    if key.kind is SeriesKind.CANDLES and merged.first is not None:
        await _announce(session, records, key, asset)
    if key.kind in _PRICING and merged.first is not None:
        spacing = key.timeframe if key.kind is SeriesKind.CANDLES else None
        known = merged.first + timedelta(seconds=spacing.seconds if spacing else 0)
        await _announce_late(session, asset, known, stamp)
    return replace(
        result,
        inserted=merged.inserted,
        updated=merged.updated,
        unchanged=merged.unchanged,
        first_time=instant(records["time"][0]),
        last_time=instant(records["time"][-1]),
        gaps=_longest(gaps),
        gap_count=len(gaps),
        missing=int(gaps["missing"].sum()),
    )


async def _announce(session: AsyncSession, records: Records, key: SeriesKey, asset: str) -> None:
    """Queue what new prices of an asset are news to, by the names that others answer to."""
    assert key.timeframe is not None  # noqa: S101 - candles have one
    await defer(session, "risk.remeasure", key=asset, urgency=1, assets=[asset])
    closes = records["time"] + np.timedelta64(key.timeframe.seconds, "s")
    if (closes.astype("<M8[D]") == closes).any():
        await defer(session, "risk.measure_assets", key=asset, assets=[asset])


async def _announce_late(
    session: AsyncSession, asset: str, known: datetime, stamp: datetime
) -> None:
    """Queue what is to be looked at again when prices are of before a midnight that is over."""
    since = known + (EPOCH - known) % DAY
    if since <= stamp:
        await defer(session, "risk.revise", key=f"{asset} {iso(since)}", since=[iso(since)])


def _longest(gaps: Gaps) -> tuple[Gap, ...]:
    """Return the longest gaps, in time order."""
    chosen = np.sort(np.argsort(-gaps["missing"], kind="stable")[:LONGEST_GAPS])
    return tuple(
        Gap(instant(gap["start_time"]), instant(gap["end_time"]), int(gap["missing"]))
        for gap in gaps[chosen]
    )
