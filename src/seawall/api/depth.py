"""How far back market data is told, by the tier of whoever asks."""

from datetime import datetime, timedelta

from fastapi import Request

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
