"""What a user has paid for, by everything that was heard: the same in whatever order it came.

Stripe sends events more than once and not in their order. Each tells the whole subscription as it
was then, so the newest alone counts, and nothing has to be asked of Stripe. Which is newest has to
be the same whoever came first, so it is by one order of all events: an ended subscription never
comes back, so what says that it ended is newer than all else; then the second in which the event
was made; in the same second what was made comes before what was changed, and that before what was
ended; then the later period; then the event's id. Keeping the greatest of a set is the same in
every order, however often each is repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from seawall.identity.billing.facts import CUSTOMER_GONE, ENDED, CustomerGone, Fact, News
from seawall.identity.tiers import Tier

Held = Mapping[str, Fact]
"""The newest of each subscription of a user, by its id."""
_RUNNING = {"active": "active", "trialing": "trialing", "past_due": "past_due"}


@dataclass(frozen=True, slots=True)
class Terms:
    """Which tier each price buys, and for how long a tier stays when no money comes."""

    tiers: Mapping[str, Tier]
    grace: timedelta


def merge(held: Held, news: News) -> dict[str, Fact]:
    """Return what is known when something is heard."""
    known = dict(held)
    if isinstance(news, CustomerGone):
        for id_, fact in held.items():
            if fact.customer == news.customer and fact.order < news.order:
                known[id_] = replace(fact, status="canceled", canceled_at=news.at, order=news.order)
        return known
    before = known.get(news.subscription)
    if before is None or before.order < news.order:
        known[news.subscription] = news
    return known


def statuses(held: Held) -> dict[str, str]:
    """Return what each subscription is here: of several that run, the first begun is the one.

    One that is inactive gives nothing: it was never paid, is paused or given up, or runs beside
    another.
    """
    found = {id_: _status(fact) for id_, fact in held.items()}
    running = [fact for id_, fact in held.items() if found[id_] in _RUNNING]
    running.sort(key=lambda fact: (fact.begun, fact.subscription))
    for fact in running[1:]:
        found[fact.subscription] = "inactive"
    return found


def _status(fact: Fact) -> str:
    if fact.order[0] in {CUSTOMER_GONE, ENDED}:
        return "canceled"
    return _RUNNING.get(fact.status, "inactive")


def tier_of(held: Held, terms: Terms, moment: datetime) -> Tier:
    """Return what a user may use at a moment."""
    for id_, status in statuses(held).items():
        fact = held[id_]
        if status in _RUNNING and moment < _until(fact, terms.grace):
            return terms.tiers.get(fact.price, Tier.FREE)
    return Tier.FREE


def _until(fact: Fact, grace: timedelta) -> datetime:
    """Return until when a running subscription is good, if nothing more is heard."""
    far = datetime.max.replace(tzinfo=fact.begun.tzinfo) - timedelta(days=366)
    # When a payment fails, the period that it was for has begun already.
    end = fact.period_start if fact.status == "past_due" else fact.period_end
    return (end or far) + grace
