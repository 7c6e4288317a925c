"""The timeframe of candles: what is stated, held against how the times are spaced."""

from dataclasses import dataclass

import numpy as np

from seawall.core.errors import InvalidError
from seawall.market.formats.base import Ints, Mask
from seawall.market.formats.times import DAY, show
from seawall.market.schemas import Timeframe

_USUAL = "1s 5s 10s 15s 30s 1m 3m 5m 10m 15m 30m 45m 1h 2h 3h 4h 6h 8h 12h 1d 2d 3d 1w"
USUAL = tuple(map(Timeframe.parse, _USUAL.split()))
"""What is believed without being stated."""
STRAY = 0.01
"""The share of candles off the grid that are rejected one by one; with more, the file is."""
_ENOUGH = 10
_HOUR = 3_600


@dataclass(frozen=True, slots=True)
class Stated:
    """A timeframe that was stated, and by what."""

    timeframe: Timeframe
    by: str


def settle(times: Ints, stated: Stated | None, label: str) -> tuple[Timeframe | None, Mask]:
    """Return the timeframe, and which candles are off its grid.

    Shapes: (n,) sorted distinct microseconds in, (n,) booleans out. None when nothing is stated
    and there are fewer than two candles.

    Raises:
        InvalidError: the times contradict what is stated, or fit no one timeframe.
    """
    spacings = np.diff(times)
    if stated is None:
        if not len(spacings):
            return None, np.zeros(len(times), np.bool_)
        timeframe = _believed(_commonest(spacings), label)
    else:
        timeframe = stated.timeframe
    off = _off_grid(times, timeframe)
    if np.count_nonzero(off) > STRAY * len(times):
        raise _mismatch(times, off, timeframe, stated, label)
    if stated is not None:
        _check_evidence(np.diff(times[~off]), stated, label)
    return timeframe, off


def _commonest(spacings: Ints) -> int:
    """Return the most frequent spacing, the smallest of several."""
    if spacings.min() == spacings.max():
        return int(spacings[0])
    values, counts = np.unique(spacings, return_counts=True)
    return int(values[np.argmax(counts)])


def _believed(micros: int, label: str) -> Timeframe:
    found = next((timeframe for timeframe in USUAL if timeframe.micros == micros), None)
    if found is None:
        raise InvalidError(
            f"{label}: candles are mostly {_length(micros)} apart, which is no usual timeframe.",
            hint="State it with --timeframe.",
        )
    return found


def _off_grid(times: Ints, timeframe: Timeframe) -> Mask:
    phases: Ints = times % timeframe.micros
    if DAY % timeframe.micros == 0:
        return np.asarray(phases != 0)
    if not len(times):
        return np.zeros(0, np.bool_)
    # Weeks begin on a Monday, 1970 on a Thursday: the grid is where most candles are.
    values, counts = np.unique(phases, return_counts=True)
    return np.asarray(phases != values[np.argmax(counts)])


def _mismatch(
    times: Ints, off: Mask, timeframe: Timeframe, stated: Stated | None, label: str
) -> InvalidError:
    example = show(int(times[np.argmax(off)]))
    spacing = f"; they are mostly {_length(_commonest(np.diff(times)))} apart" * (len(times) > 1)
    if stated is None:
        said = f"candles seem to be of {timeframe}"
    else:
        said = f"{stated.by} says timeframe {timeframe}"
    return InvalidError(
        f"{label}: {said}, but {np.count_nonzero(off)} of {len(times)} do not open at a multiple"
        f" of it (such as {example}){spacing}.",
        hint="Check the time zone, and state the right one with --timeframe.",
    )


def _check_evidence(spacings: Ints, stated: Stated, label: str) -> None:
    """Refuse a timeframe finer than anything that the spacing shows.

    Bars below an hour are left out by some sources when nothing was traded, so for them it is
    enough that no coarser grid holds all times.
    """
    if len(spacings) < 2:  # noqa: PLR2004 - one spacing may be a gap
        return
    wanted, enough = stated.timeframe.micros, len(spacings) >= _ENOUGH
    if stated.timeframe.seconds < _HOUR:
        if not enough and spacings.min() != spacings.max():
            return
        shown = int(np.gcd.reduce(spacings))
    else:
        shown = _commonest(spacings) if enough else int(spacings.min())
    if shown != wanted:
        raise InvalidError(
            f"{label}: {stated.by} says timeframe {stated.timeframe}, but the candles are"
            f" {_length(shown)} apart.",
            hint="State the right one with --timeframe.",
        )


def _length(micros: int) -> str:
    if micros % 1_000_000:
        return f"{micros / 1_000_000:g} seconds"
    return str(Timeframe(micros // 1_000_000))
