"""Instants: always aware, always UTC."""

from datetime import UTC, date, datetime, time, timedelta

from seawall.core.errors import InvalidError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


def now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)


def parse_time(text: str, what: str = "time") -> datetime:
    """Read an ISO 8601 date or time; without an offset it is UTC, a bare date is its midnight.

    Raises:
        InvalidError: it is neither.
    """
    stripped = text.strip()
    # A long run of digits would be read as a year with more behind it.
    is_count = stripped.isdecimal() and len(stripped) != len("20241231")
    try:
        if not is_count:
            return as_utc(datetime.fromisoformat(stripped))
    except (ValueError, OverflowError):
        pass
    raise InvalidError(
        f"{what} {text!r} is not a date or time.",
        hint="Write it like 2024-12-31 or 2024-12-31T15:30:00Z.",
    )


def as_utc(moment: datetime) -> datetime:
    """Return the instant in UTC; a naive one is taken to be UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def to_micros(moment: datetime) -> int:
    """Count microseconds since 1970-01-01 UTC, exactly."""
    return (as_utc(moment) - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the instant that many microseconds after 1970-01-01 UTC."""
    return EPOCH + timedelta(microseconds=micros)


def midnight(day: date) -> datetime:
    """Return the instant at which a UTC day begins."""
    return datetime.combine(day, time(), tzinfo=UTC)


def iso(moment: datetime) -> str:
    """Write an instant in ISO 8601 with a Z, without needless fractions."""
    return as_utc(moment).isoformat().replace("+00:00", "Z")
