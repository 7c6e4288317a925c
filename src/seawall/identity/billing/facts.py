"""What Stripe's messages say of a subscription, and nothing else of them.

Fields are those of Stripe's objects: https://docs.stripe.com/api/subscriptions/object.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from seawall.core.errors import InvalidError

USER = "seawall_user"
"""Under which name a subscription that was begun here knows whose it is."""
_RANKS = {"customer.subscription.created": 0, "customer.subscription.deleted": 2}
LIVE, CUSTOMER_GONE, ENDED = 0, 1, 2
_LONGEST_ID = 100
_ENDED = {"canceled", "incomplete_expired"}

Order = tuple[int, int, int, int, str]
"""How news is sorted, the newest last; see `states`."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A subscription as it was when Stripe wrote of it; `begun` is when it was made."""

    subscription: str
    customer: str
    status: str
    price: str
    interval: str | None
    begun: datetime
    period_start: datetime | None
    period_end: datetime | None
    cancel_at_period_end: bool
    trial_start: datetime | None
    trial_end: datetime | None
    canceled_at: datetime | None
    user: UUID | None
    order: Order


@dataclass(frozen=True, slots=True)
class CustomerGone:
    """A customer was deleted, and with them every subscription."""

    customer: str
    at: datetime
    order: Order


News = Fact | CustomerGone
_READER: TypeAdapter[News] = TypeAdapter(News)


def read_event(event: Mapping[str, Any]) -> News | None:
    """Return what an event says of a subscription; None when it says nothing of one.

    Raises:
        InvalidError: it is not what Stripe sends.
    """
    kind = event.get("type")
    try:
        if kind == "customer.deleted":
            return _gone(event)
        if isinstance(kind, str) and kind.startswith("customer.subscription."):
            return _fact(event)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise InvalidError(f"This is not an event of Stripe's: {type(error).__name__}.") from None
    return None


def _gone(event: Mapping[str, Any]) -> CustomerGone:
    at = int(event["created"])
    order = (CUSTOMER_GONE, at, 0, 0, str(event["id"]))
    return CustomerGone(_id(event["data"]["object"]["id"]), _instant(at), order)


def _fact(event: Mapping[str, Any]) -> Fact:
    it = event["data"]["object"]
    item = it["items"]["data"][0]
    # Of an item since 2025, of the subscription before.
    start = item.get("current_period_start", it.get("current_period_start"))
    end = item.get("current_period_end", it.get("current_period_end"))
    recurring = item["price"].get("recurring") or {}
    status = str(it["status"])
    at = int(event["created"])
    rank = _RANKS.get(event["type"], 1)
    user = (it.get("metadata") or {}).get(USER)
    return Fact(
        subscription=_id(it["id"]),
        customer=_id(it["customer"]),
        status=status,
        price=_id(item["price"]["id"]),
        interval={"month": "monthly", "year": "yearly"}.get(str(recurring.get("interval"))),
        begun=_instant(it["created"]),
        period_start=_maybe(start),
        period_end=_maybe(end),
        cancel_at_period_end=bool(it.get("cancel_at_period_end") or it.get("cancel_at")),
        trial_start=_maybe(it.get("trial_start")),
        trial_end=_maybe(it.get("trial_end")),
        canceled_at=_maybe(it.get("ended_at") or it.get("canceled_at")),
        user=None if user is None else UUID(user),
        order=(ENDED if status in _ENDED else LIVE, at, rank, int(end or 0), str(event["id"])),
    )


def _id(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_ID:
        raise TypeError(value)
    return value


def _instant(seconds: object) -> datetime:
    return datetime.fromtimestamp(int(str(seconds)), UTC)


def _maybe(seconds: object) -> datetime | None:
    return None if seconds is None else _instant(seconds)


def write_news(news: News) -> dict[str, Any]:
    """Write news as JSON."""
    written: dict[str, Any] = _READER.dump_python(news, mode="json")
    return written


def read_news(written: Mapping[str, Any]) -> News:
    """Read what `write_news` wrote."""
    return _READER.validate_python(dict(written))
