"""What each tier may use: the one table of it, and what is refused by it.

Without billing nobody pays, and everybody may use everything.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from seawall.core.errors import ForbiddenError
from seawall.core.settings import BillingSettings


class Tier(StrEnum):
    """What a user pays for, the least first."""

    FREE = "free"
    PLUS = "plus"
    PRO = "pro"
    POWER_TRADER = "power-trader"


@dataclass(frozen=True, slots=True)
class Entitlements:
    """How much a user may use; None is without limit.

    `history_days` is how far back figures and prices are given, `backtest_minutes` how long
    backtests may run in a month.
    """

    portfolios: int | None
    alerts: int | None
    history_days: int | None
    requests_a_minute: int
    backtest_minutes: int | None


TIERS: dict[Tier, Entitlements] = {
    Tier.FREE: Entitlements(2, 5, 365, 60, 0),
    Tier.PLUS: Entitlements(5, 25, 3 * 365, 120, 60),
    Tier.PRO: Entitlements(25, 200, 10 * 365, 300, 600),
    Tier.POWER_TRADER: Entitlements(None, None, None, 600, 6_000),
}
EVERYTHING = Entitlements(None, None, None, 600, None)
"""The rate protects the installation, whoever pays."""
_NAMES = {
    "portfolios": "{} portfolios",
    "alerts": "{} alerts",
    "history_days": "{} days of history",
    "backtest_minutes": "{} minutes of backtests a month",
}


class LimitReachedError(ForbiddenError):
    """The tier does not go that far."""


def entitlements(billing: BillingSettings, tier: str) -> Entitlements:
    """Return what a user of a tier may use in this installation."""
    return TIERS[Tier(tier)] if billing.enabled else EVERYTHING


def require_room(billing: BillingSettings, tier: str, name: str, used: int) -> None:
    """Check that a user may have one more of what a limit is named after.

    Raises:
        LimitReachedError: they have as many as their tier allows.
    """
    most = getattr(entitlements(billing, tier), name)
    if most is not None and used >= most:
        raise _reached(Tier(tier), name, most)


def require_depth(billing: BillingSettings, tier: str, age: timedelta) -> None:
    """Check that a user may be told of what is so old.

    Raises:
        LimitReachedError: it is older than their tier allows.
    """
    most = entitlements(billing, tier).history_days
    if most is not None and age > timedelta(days=most):
        raise _reached(Tier(tier), "history_days", most)


def _reached(tier: Tier, name: str, most: int) -> LimitReachedError:
    said = _NAMES[name]
    following = [(each, getattr(it, name)) for each, it in TIERS.items()]
    after = following[[each for each, _ in following].index(tier) + 1 :]
    more = next(((each, it) for each, it in after if it is None or it > most), None)
    hint = "No tier has more."
    if more is not None:
        amount = "any number of" if more[1] is None else more[1]
        hint = f"The tier {more[0]} has {said.format(amount)}."
    return LimitReachedError(f"The tier {tier} has {said.format(most)}.", hint=hint)
