"""Stretches of a series: which is asked for, and the answer with where the next one begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from pydantic import Field

from seawall.api.bodies import Time, Told
from seawall.api.columns import Columns, choose, write
from seawall.api.fields import CHOSEN, chosen_of
from seawall.api.v1.market.asked import KnownAt, Ranged
from seawall.core.time import iso
from seawall.db.bulk import Column, Records, instant
from seawall.db.paging import Order, Span
from seawall.market.browse.schemas import Within

MOST = 50_000
"""How many rows an answer has at most: 30 days of minutes are 43,200."""
_TIME = "time"


class Shown(Told):
    """A stretch of a series, and from where on or until when the rest of it is asked for."""

    since: Time | None
    until: Time | None
    known_at: Time | None
    rows: int
    next_since: Time | None = Field(
        description="Ask for the rest with it as `since`; null when this is all."
    )
    next_until: Time | None = Field(
        description="With the newest first: ask for the rest with it as `until`."
    )


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is asked of a series."""

    within: Within
    span: Span
    fields: str | None

    def columns(self, held: Sequence[Column]) -> tuple[list[Column], list[Column]]:
        """Return the columns that are shown, and those that are read for it: the time as well.

        Raises:
            InvalidError: there is no such column.
        """
        names = chosen_of(self.fields, [each.name for each in held])
        read = [each for each in held if each.name in names or each.name == _TIME]
        return [each for each in held if each.name in names], read


async def _read_stretch(
    range_: Ranged,
    known_at: KnownAt = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many rows at most.")] = MOST,
    fields: Annotated[
        str | None,
        Query(description="Which columns are shown, by commas.", examples=["time,close"]),
    ] = None,
) -> Stretch:
    span = Span(Order(_TIME, range_.sort == "-time"), limit + 1)
    return Stretch(Within(range_.since, range_.until, known_at), span, fields)


Stretched = Annotated[Stretch, Depends(_read_stretch)]


async def respond(
    request: Request,
    asked: Stretch,
    read: Records,
    shown: Sequence[Column],
    about: Mapping[str, Any],
) -> Response:
    """Answer with the rows of a stretch, of which one more was read, in the type that is wanted.

    Raises:
        NotAcceptableError: in none of those that there are.
    """
    kind = choose(request)
    request.scope[CHOSEN] = True
    rows, since, until = read[: asked.span.limit - 1], None, None
    if len(read) > len(rows):
        if asked.span.order.descending:
            until = instant(rows[_TIME][-1])
        else:
            since = instant(read[_TIME][-1])
    told = {
        **about,
        "since": _iso(asked.within.since),
        "until": _iso(asked.within.until),
        "known_at": _iso(asked.within.known_at),
        "rows": len(rows),
        "next_since": _iso(since),
        "next_until": _iso(until),
    }
    link = None
    if since is not None or until is not None:
        bound = {"since": iso(since)} if since is not None else {"until": _iso(until)}
        query = urlencode({**request.query_params, **bound})
        link = f"{request.url.path}?{query}"
    return await write(Columns(rows, shown, told, link), kind)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
