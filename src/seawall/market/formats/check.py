"""A table's rows made into records that may be stored: checked, in order, each once, closed."""

from dataclasses import dataclass

import numpy as np

from seawall.core.errors import InvalidError
from seawall.core.time import to_micros
from seawall.market.formats.base import Content, Format, Ints, Layout, ParseHints, Table
from seawall.market.formats.names import Identity, identify
from seawall.market.formats.order import drop_duplicates, sort_by_time
from seawall.market.formats.records import to_records
from seawall.market.formats.spacing import Stated, settle
from seawall.market.formats.times import DAY, show
from seawall.market.formats.verdicts import Verdicts
from seawall.market.schemas import ParsedFile, Records, SeriesKind, Timeframe

_DAILY = Timeframe(86_400)
_KNOWN_AT_END = (SeriesKind.PRICES, SeriesKind.QUOTES)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table comes from: the content, and how it was recognised."""

    content: Content
    form: Format
    layout: Layout


def check(source: Source, table: Table, hints: ParseHints) -> ParsedFile:
    """Check a table row by row and as a whole.

    Raises:
        InvalidError: its times contradict its timeframe, or its name is ambiguous.
    """
    layout, verdicts = source.layout, Verdicts(table.lines)
    identity = identify(source.content.names, layout, hints)
    records, widened = to_records(table, layout, hints.now, verdicts)
    dropped = drop_duplicates(records, layout.kind, verdicts)
    rows, in_order = sort_by_time(records, np.flatnonzero(verdicts.kept), layout.kind)
    timeframe = _settle(source, identity, records, rows, verdicts)
    if timeframe is not None:
        _reject_open(records, timeframe, to_micros(hints.now), verdicts)
    # Copying a million records to leave none out would be a tenth of all the work.
    kept = records if in_order and verdicts.kept.all() else records[rows[verdicts.kept[rows]]]
    if timeframe is not None and layout.kind in _KNOWN_AT_END:
        kept["time"] += np.timedelta64(timeframe.micros, "us")
    return ParsedFile(
        format=source.form.name,
        kind=layout.kind,
        records=kept,
        rows_read=len(table.lines) + len(table.rejected),
        rejected=tuple(sorted((*table.rejected, *verdicts.rejected), key=lambda one: one.line)),
        symbol=identity.symbol,
        exchange=identity.exchange,
        timeframe=timeframe,
        notes=_notes(source, dropped, widened, in_order=in_order),
    )


def _settle(
    source: Source, identity: Identity, records: Records, rows: Ints, verdicts: Verdicts
) -> Timeframe | None:
    times, label = records["time"].view(np.int64), source.content.label
    match source.layout.kind:
        case SeriesKind.TRADES:
            return None
        case SeriesKind.PRICES:
            return _settle_closes(times, identity.stated, verdicts, label)
    timeframe, off = settle(times[rows], identity.stated, label)
    if timeframe is None and source.layout.kind is SeriesKind.QUOTES:
        raise InvalidError(
            f"{label} does not say how long its bars are.", hint="State --timeframe."
        )
    strays = np.zeros(len(records), np.bool_)
    strays[rows[off]] = True
    verdicts.reject(strays, lambda row: f"time {show(times[row])} is no multiple of {timeframe}")
    return timeframe


def _settle_closes(times: Ints, stated: Stated | None, verdicts: Verdicts, label: str) -> Timeframe:
    if stated is not None and stated.timeframe != _DAILY:
        raise InvalidError(
            f"{label} holds daily closes, but {stated.by} says timeframe {stated.timeframe}.",
            hint="Closing prices are taken by the day; bring others as candles.",
        )
    verdicts.reject(times % DAY != 0, lambda row: f"time {show(times[row])} is no date")
    return _DAILY


def _reject_open(records: Records, timeframe: Timeframe, now: int, verdicts: Verdicts) -> None:
    times = records["time"].view(np.int64)
    verdicts.reject(
        times > now - timeframe.micros,
        lambda row: f"{timeframe} from {show(times[row])} is not closed yet",
    )


def _notes(source: Source, dropped: int, widened: int, *, in_order: bool) -> tuple[str, ...]:
    names = source.content.names
    notes = (
        f"from {names[0]}" if len(names) > 1 else "",
        f"{dropped} identical duplicates dropped" if dropped else "",
        "" if in_order else "rows were not in order of time; sorted",
        f"{widened} candles widened by float noise to hold their open and close" if widened else "",
    )
    return tuple(note for note in notes if note)
