"""What a user has paid for, by everything that was heard: the same in whatever order it came.

Stripe sends events more than once and not in their order. Each tells the whole subscription as it
was then, so the newest alone counts. Which is newest has to be the same whoever came first, so it
is by one order of all events: an ended subscription never comes back, so what says that it ended is
newer than all else; then the second in which the event was made; in the same second what was made
comes before what was changed, and that before what was ended. Of two changes within one second no
event says which was the later: they are tied, and Stripe is asked how the subscription is now. For
what is tied and says the same, the later period and the event's id make the order whole. Keeping
the greatest of a set is the same in every order, however often each is repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from seawall.identity.billing.facts import ASKED, CHANGED, CustomerGone, Fact, News
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
            if fact.customer == news.customer:
                known[id_] = replace(fact, customer_gone_at=news.at)
        return known
    before = known.get(news.subscription)
    if before is None:
        known[news.subscription] = news
    elif before.order < news.order:
        known[news.subscription] = replace(news, customer_gone_at=before.customer_gone_at)
    return known


def is_tied(held: Held, news: News) -> bool:
    """Tell whether nobody but Stripe knows which is the later: what is held, or what is heard."""
    if isinstance(news, CustomerGone):
        return False
    before = held.get(news.subscription)
    if before is None or before.is_over or news.is_over or before.order[1] != news.order[1]:
        return False
    changes = news.order[2] == CHANGED and before.order[2] in {CHANGED, ASKED}
    return changes and replace(before, order=news.order) != news


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
    return "canceled" if fact.is_over else _RUNNING.get(fact.status, "inactive")


def customer_of(held: Held) -> str | None:
    """Return the customer of the subscription that runs, else the newest who is still there."""
    found = statuses(held)
    there = [fact for fact in held.values() if fact.customer_gone_at is None]
    there.sort(key=lambda fact: (found[fact.subscription] in _RUNNING, fact.begun, fact.customer))
    return there[-1].customer if there else None


def going_on(held: Held) -> list[str]:
    """Name the subscriptions that would go on to be paid for, whether or not they give a tier."""
    return sorted(
        id_ for id_, fact in held.items() if not fact.is_over and not fact.cancel_at_period_end
    )


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
