"""What operations on market data are asked with: ids, names, and stretches of time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request

from seawall.api.bodies import Utc
from seawall.api.depth import read_stretch
from seawall.core.errors import NotFoundError
from seawall.db.engine import TenantConnection
from seawall.db.paging import LAST
from seawall.market.browse.schemas import AssetFacts, SymbolFacts
from seawall.market.browse.store import pages

# Ids of shared things count up from 1; one that no column can hold is not an id.
Id = Annotated[int, Path(ge=1, le=LAST, examples=[1])]
Name = Annotated[str | None, Query(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Instant = Annotated[Utc | None, Query(examples=["2026-01-31T00:00:00Z"])]
KnownAt = Annotated[
    Utc | None,
    Query(description="As it was known at this instant; without it, as it is known now."),
]
Way = Literal["time", "-time"]
By = Annotated[Way, Query(description="Whether the oldest comes first, or the newest.")]


@dataclass(frozen=True, slots=True)
class Range:
    """Of when something is wanted: from `since` to before `until`, and in which order."""

    since: datetime | None
    until: datetime | None
    sort: Way


async def _read_range(
    request: Request, since: Instant = None, until: Instant = None, sort: By = "time"
) -> Range:
    asked = read_stretch(request, since, until)
    return Range(asked.since, asked.until, sort)


Ranged = Annotated[Range, Depends(_read_range)]


async def find_asset(connection: TenantConnection, asset_id: int) -> AssetFacts:
    """Return an asset.

    Raises:
        NotFoundError: there is none.
    """
    found = await pages.read_asset(connection, asset_id)
    if found is None:
        raise NotFoundError("There is no such asset.")
    return found


async def find_symbol(connection: TenantConnection, symbol_id: int) -> SymbolFacts:
    """Return a pair.

    Raises:
        NotFoundError: there is none.
    """
    found = await pages.read_symbol(connection, symbol_id)
    if found is None:
        raise NotFoundError("There is no such symbol.")
    return found
