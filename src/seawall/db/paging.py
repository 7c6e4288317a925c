"""Pages of rows: in an order in which no row changes its place, from one place on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVarTuple

from sqlalchemy import Select, tuple_

Ts = TypeVarTuple("Ts")
LAST = (1 << 31) - 1
"""What stands for the null of an integer, so that it comes after all others."""


@dataclass(frozen=True, slots=True)
class Order:
    """What rows are sorted by, by its name, and which way; the last of its columns is unique."""

    by: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """How many rows are wanted, in which order, after which place."""

    order: Order
    limit: int
    after: tuple[Any, ...] | None = None


def page(query: Select[*Ts], columns: Sequence[Any], span: Span) -> Select[*Ts]:
    """Sort a query's rows by columns, of which none may be null, and take those of a page.

    A place has the value of each column; together they are unique.
    """
    if span.after is not None:
        here = tuple_(*columns)
        query = query.where(here < span.after if span.order.descending else here > span.after)
    ways = [each.desc() if span.order.descending else each for each in columns]
    return query.order_by(*ways).limit(span.limit)
