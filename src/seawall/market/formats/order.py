"""Records in order of time, each instant or trade once."""

import numpy as np

from seawall.market.formats.base import Ints, Mask
from seawall.market.formats.verdicts import Verdicts
from seawall.market.schemas import Records, SeriesKind


def drop_duplicates(records: Records, kind: SeriesKind, verdicts: Verdicts) -> int:
    """Keep the first of rows that are the same; reject those that contradict an earlier one.

    Trades are the same by their id, everything else by its time. Returns how many were dropped.
    """
    rows = np.flatnonzero(verdicts.kept)
    key = _key(records, kind)[rows]
    if not len(rows) or bool(np.all(key[1:] > key[:-1])):
        return 0
    order = rows[np.argsort(key, kind="stable")]
    ordered = _key(records, kind)[order]
    starts = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    firsts = order[np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))]
    later = order[~starts]
    earlier = firsts[~starts]
    same = _equal(records[later], records[earlier])
    contradicted = dict(zip(later[~same].tolist(), earlier[~same].tolist(), strict=True))
    conflicts = np.zeros(len(records), np.bool_)
    conflicts[later[~same]] = True
    verdicts.reject(
        conflicts,
        lambda row: (
            f"conflicts with line {verdicts.lines[contradicted[row]]}, which has the same"
            f" {'trade_id' if kind is SeriesKind.TRADES else 'time'} and other values"
        ),
    )
    verdicts.kept[later[same]] = False
    return int(np.count_nonzero(same))


def _key(records: Records, kind: SeriesKind) -> Ints:
    if kind is SeriesKind.TRADES:
        return records["trade_id"]
    return records["time"].view(np.int64)


def _equal(left: Records, right: Records) -> Mask:
    assert left.dtype.names is not None  # noqa: S101 - records have fields
    equal = np.ones(len(left), np.bool_)
    for field in left.dtype.names:
        both, other = left[field], right[field]
        equal &= both == other if both.dtype.kind != "f" else _equal_floats(both, other)
    return equal


def _equal_floats(left: Records, right: Records) -> Mask:
    return np.asarray((left == right) | (np.isnan(left) & np.isnan(right)))


def sort_by_time(records: Records, rows: Ints, kind: SeriesKind) -> tuple[Ints, bool]:
    """Return the rows in order of time, trades of one instant by id, and whether they were so."""
    times = records["time"][rows]
    if kind is SeriesKind.TRADES:
        order = np.lexsort((records["trade_id"][rows], times))
    elif bool(np.all(times[1:] > times[:-1])):
        return rows, True
    else:
        order = np.argsort(times, kind="stable")
    return rows[order], bool(np.all(order == np.arange(len(order))))
