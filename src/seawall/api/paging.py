"""Pages: how many, from where on, and how the next one is asked for."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import orjson
from fastapi import Depends, Query
from pydantic import Field

from seawall.api.bodies import Told
from seawall.core.errors import InvalidError
from seawall.core.time import from_micros

T = TypeVar("T")
MOST = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """How many rows are wanted, after which, and whether they are to be counted."""

    limit: int
    after: tuple[Any, ...] | None
    total: bool

    def place(self, length: int) -> tuple[Any, ...]:
        """Return where the page begins, of so many values.

        Raises:
            InvalidError: the cursor is of another list.
        """
        if self.after is None or len(self.after) != length:
            raise wrong_cursor()
        return self.after


async def _read(
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = 50,
    cursor: Annotated[
        str | None,
        Query(max_length=500, description="Where the last page said that the next begins."),
    ] = None,
    total: Annotated[bool, Query(description="Whether to count them all.")] = False,  # noqa: FBT002 - a query's parameter
) -> Asked:
    return Asked(limit, None if cursor is None else read_cursor(cursor), total)


Paged = Annotated[Asked, Depends(_read)]


class Page(Told, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = Field(
        default=None, description="Asks for the next page; null on the last."
    )
    total: int | None = Field(default=None, description="How many there are, where it was asked.")


def write_cursor(*place: Any) -> str:
    """Write where a page ends: the values that it is sorted by."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[Any, ...]:
    """Read where a page begins; whoever lies in it only moves among their own rows.

    Raises:
        InvalidError: it is none.
    """
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        found = orjson.loads(raw)
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, list) or not all(type(each) in {str, int} for each in found):
        raise wrong_cursor()
    return tuple(found)


def wrong_cursor() -> InvalidError:
    """Return the error of a cursor that is none."""
    return InvalidError("This is not a cursor.", hint="Begin without one.")


def read_time(value: Any) -> datetime:
    """Read an instant of a cursor.

    Raises:
        InvalidError: it is none.
    """
    try:
        return from_micros(int(value))
    except (ValueError, OverflowError):
        raise wrong_cursor() from None


def read_id(value: Any) -> UUID:
    """Read an id of a cursor.

    Raises:
        InvalidError: it is none.
    """
    try:
        return UUID(str(value))
    except ValueError:
        raise wrong_cursor() from None


def cut(rows: Sequence[T], limit: int) -> tuple[list[T], bool]:
    """Return the rows of a page, of which one more was read, and whether there are more."""
    return list(rows[:limit]), len(rows) > limit
