"""Operations that will go: the schema says so, and so does every answer of theirs.

Sources: RFC 9745 (Deprecation), RFC 8594 (Sunset), RFC 8288 (Link).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from starlette.types import Scope

from seawall.core.errors import InvalidError
from seawall.core.time import as_utc, iso

_SINCE, _SUNSET, _LINK = "x-deprecated-at", "x-sunset", "x-deprecation-link"


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when an operation is not to be used any more, until when it works, and what says why.

    Raises:
        InvalidError: it ends before it is deprecated.
    """

    since: datetime
    sunset: datetime
    link: str

    def __post_init__(self) -> None:
        if as_utc(self.sunset) < as_utc(self.since):
            raise InvalidError("An operation cannot end before it is deprecated.")

    @property
    def marks(self) -> dict[str, Any]:
        """What a route is given with `**` to be deprecated."""
        extra = {_SINCE: iso(self.since), _SUNSET: iso(self.sunset), _LINK: self.link}
        return {"deprecated": True, "openapi_extra": extra}


def announced(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request's answer that say so, once it has found its operation."""
    marks = getattr(scope.get("route"), "openapi_extra", None)
    if not marks or _SINCE not in marks:
        return []
    since = int(datetime.fromisoformat(marks[_SINCE]).timestamp())
    sunset = datetime.fromisoformat(marks[_SUNSET]).astimezone(UTC)
    link = marks[_LINK]
    links = f'<{link}>; rel="deprecation", <{link}>; rel="sunset"'
    return [
        (b"deprecation", f"@{since}".encode()),
        (b"sunset", format_datetime(sunset, usegmt=True).encode()),
        (b"link", links.encode()),
    ]
