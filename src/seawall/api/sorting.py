"""Sorted lists: by which names, and cursors that belong to the order they were made in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from seawall.api.bodies import Told
from seawall.api.paging import Asked, Page, cut, write_cursor, wrong_cursor
from seawall.core.errors import InvalidError
from seawall.core.time import to_micros
from seawall.db.paging import LAST, Order, Span

M = TypeVar("M", bound=Told)
Sorts = Mapping[str, Mapping[str, Callable[[Any], Any]]]
"""By the name of each order: the attributes of a row's place in it, and how a cursor's are read."""
_MOST = 1 << 63


def read_text(value: Any) -> str:
    """Read a text of a cursor.

    Raises:
        InvalidError: it is none.
    """
    if not isinstance(value, str) or "\x00" in value:
        raise wrong_cursor()
    return value


def read_integer(value: Any) -> int:
    """Read a number of a cursor.

    Raises:
        InvalidError: it is none, or none that the database knows.
    """
    if not isinstance(value, int) or abs(value) >= _MOST:
        raise wrong_cursor()
    return value


def read_small(value: Any) -> int:
    """Read a number of four bytes of a cursor, as `read_integer`."""
    if abs(read_integer(value)) > LAST:
        raise wrong_cursor()
    return int(value)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list was asked for: its page, its order, and the orders that there are."""

    asked: Asked
    sort: str
    sorts: Sorts

    def span(self) -> Span:
        """Return which rows the page needs: one more than it shows, after the last one's end.

        Raises:
            InvalidError: the cursor is none, or of another order.
        """
        order = Order(self.sort.removeprefix("-"), self.sort.startswith("-"))
        after = None
        if self.asked.after is not None:
            parts = self.sorts[order.by]
            if self.asked.after[:1] != (self.sort,):
                raise InvalidError(
                    "This cursor is of a list that is sorted otherwise.", hint="Begin without one."
                )
            _, *values = self.asked.place(1 + len(parts))
            after = tuple(read(value) for read, value in zip(parts.values(), values, strict=True))
        return Span(order, self.asked.limit + 1, after)

    async def page(
        self, model: type[M], rows: Sequence[Any], count: Callable[[], Awaitable[int]]
    ) -> Page[M]:
        """Show the rows of a page and where the next begins, and count all where that is asked."""
        shown, more = cut(rows, self.asked.limit)
        cursor = None
        if more:
            names = self.sorts[self.sort.removeprefix("-")]
            place = (_placed(getattr(shown[-1], name)) for name in names)
            cursor = write_cursor(self.sort, *place)
        return Page(
            items=[model.model_validate(each) for each in shown],
            next_cursor=cursor,
            total=await count() if self.asked.total else None,
        )


def _placed(value: Any) -> str | int:
    match value:
        case None:
            return LAST
        case datetime():
            return to_micros(value)
        case UUID():
            return str(value)
        case str() | int():
            return value
    raise TypeError(value)
