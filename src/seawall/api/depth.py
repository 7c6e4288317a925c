"""How far back is told what is not a user's own record, by the tier of whoever asks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request

from seawall.api.bodies import Instant
from seawall.core.errors import InvalidError
from seawall.identity.desk import Desk
from seawall.identity.tiers import Tier, entitlements, require_depth

TIER = "tier"
"""Under which name a request's scope has the caller's tier."""


def within_history(request: Request, since: datetime | None) -> datetime | None:
    """Return since when a caller is told: what was asked for, else as far back as they may see.

    Raises:
        LimitReachedError: it is further back.
    """
    desk: Desk = request.app.state.desk
    billing = desk.settings.billing
    tier = request.scope.get(TIER, Tier.FREE)
    days = entitlements(billing, tier).history_days
    if days is None:
        return since
    if since is None:
        return desk.clock() - timedelta(days=days)
    require_depth(billing, tier, desk.clock() - since)
    return since


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of when something is wanted: from `since` to before `until`."""

    since: datetime | None
    until: datetime | None


def read_stretch(request: Request, since: datetime | None, until: datetime | None) -> Stretch:
    """Read of when something is wanted, as far back as the caller may see.

    Raises:
        InvalidError: it ends before it begins.
        LimitReachedError: it is further back.
    """
    if since is not None and until is not None and since > until:
        raise InvalidError("The range ends before it begins.", hint="Turn since and until round.")
    return Stretch(within_history(request, since), until)


async def _stretch(request: Request, since: Instant = None, until: Instant = None) -> Stretch:
    return read_stretch(request, since, until)


async def _as_of(request: Request, as_of: Instant = None) -> datetime | None:
    require_history(request, as_of)
    return as_of


def require_history(request: Request, as_of: datetime | None) -> None:
    """Check that a caller may be told of an instant; now always may be.

    Raises:
        LimitReachedError: it is further back.
    """
    if as_of is not None:
        within_history(request, as_of)


Stretched = Annotated[Stretch, Depends(_stretch)]
"""A range of a query, by `since` and `until`."""
AsOf = Annotated[datetime | None, Depends(_as_of)]
"""An instant of a query, by `as_of`; None for now."""
