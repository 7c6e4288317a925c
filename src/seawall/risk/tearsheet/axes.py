"""Scales and their ticks: from values and days to places in a drawing."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from seawall.core.time import DAY

_NICE = (1.0, 2.0, 5.0, 10.0)
_MOST_DAYS = 5
_DAY_STEPS = (1, 2, 7, 14)
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120, 240)
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values between `low` and `high` to places between `start` and `stop`."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Return the place of a value."""
        span = self.high - self.low
        part = (value - self.low) / span if span else 0.5
        return self.start + part * (self.stop - self.start)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """List about so many round values between two."""
    span = high - low
    if not span > 0:
        return [low]
    rough = span / count
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * unit for nice in _NICE if nice * unit >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [each * step for each in range(first, last + 1)]


def percent_label(value: float, step: float) -> str:
    """Write a fraction as a percentage, with the digits that tell one step from the next."""
    digits = max(0, -math.floor(math.log10(step * 100) + 1e-9)) if step > 0 else 1
    return f"{value:.{min(digits, 4)}%}".replace("-", "\u2212")


def time_ticks(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    """List a few days between two, by the day, month or year, with what to call them."""
    days = (last - first) // DAY
    for step in _DAY_STEPS:
        if days / step <= _MOST_DAYS:
            start = first.replace(hour=0, minute=0, second=0, microsecond=0)
            each = [start + at * step * DAY for at in range(days // step + 2)]
            return [(day, f"{day.day} {day:%b}") for day in each if first <= day <= last]
    months = (last.year - first.year) * _MONTHS + last.month - first.month
    step = next((each for each in _MONTH_STEPS if months / each <= _MOST_DAYS), _MONTH_STEPS[-1])
    begin = first.year * _MONTHS + first.month - 1
    found = []
    for at in range(-(-begin // step) * step, begin + months + 1, step):
        day = first.replace(at // _MONTHS, at % _MONTHS + 1, 1) - timedelta(
            hours=first.hour, minutes=first.minute
        )
        if first <= day <= last:
            found.append((day, f"{day:%Y}" if step >= _MONTHS else f"{day:%b %y}"))
    return found
