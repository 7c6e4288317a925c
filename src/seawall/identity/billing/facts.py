"""What Stripe's messages say of a subscription, and nothing else of them.

Fields are those of Stripe's objects: https://docs.stripe.com/api/subscriptions/object.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from seawall.core.errors import InvalidError

USER = "seawall_user"
"""Under which name a subscription that was begun here knows whose it is."""
CUSTOMER_DELETED = "customer.deleted"
MADE, CHANGED, DELETED, ASKED = range(4)
_RANKS = {"customer.subscription.created": MADE, "customer.subscription.deleted": DELETED}
LIVE, ENDED = 0, 1
_LONGEST_ID = 100
_ENDED = {"canceled", "incomplete_expired"}
_WRONG = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)

Order = tuple[int, int, int, int, str]
"""How news is sorted, the newest last; see `states`."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A subscription as it was when Stripe wrote of it; `begun` is when it was made.

    That its customer was deleted is told apart from it, and stays.
    """

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
    customer_gone_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, which is for good."""
        return self.order[0] == ENDED or self.customer_gone_at is not None


@dataclass(frozen=True, slots=True)
class CustomerGone:
    """A customer was deleted, and with them every subscription."""

    customer: str
    at: datetime


News = Fact | CustomerGone
_READER: TypeAdapter[News] = TypeAdapter(News)


def read_event(event: Mapping[str, Any]) -> News | None:
    """Return what an event says of a subscription; None when it says nothing of one.

    Raises:
        InvalidError: it is not what Stripe sends.
    """
    kind = event.get("type")
    try:
        if kind == CUSTOMER_DELETED:
            customer = _id(event["data"]["object"]["id"])
            return CustomerGone(customer, _instant(event["created"]))
        if isinstance(kind, str) and kind.startswith("customer.subscription."):
            at, rank = int(event["created"]), _RANKS.get(kind, CHANGED)
            return _fact(event["data"]["object"], at, rank, str(event["id"]))
    except _WRONG as error:
        raise InvalidError(f"This is not an event of Stripe's: {type(error).__name__}.") from None
    return None


def read_present(it: Mapping[str, Any], tied: Fact, asked_at: datetime) -> Fact:
    """Return a subscription as Stripe says that it is, asked at a time since news was tied.

    It counts for more than all news of the second in which that was made, and less than what comes
    later, which may have been made after it was asked.

    Raises:
        InvalidError: it is not what Stripe sends.
    """
    _, second, *_, id_ = tied.order
    try:
        found = _fact(it, second, ASKED, id_)
    except _WRONG as error:
        raise InvalidError(
            f"This is no subscription of Stripe's: {type(error).__name__}."
        ) from None
    micros = int(asked_at.timestamp() * 1_000_000)
    return replace(found, order=(found.order[0], second, ASKED, micros, id_))


def _fact(it: Mapping[str, Any], at: int, rank: int, id_: str) -> Fact:
    item = it["items"]["data"][0]
    # Of an item since 2025, of the subscription before.
    start = item.get("current_period_start", it.get("current_period_start"))
    end = item.get("current_period_end", it.get("current_period_end"))
    recurring = item["price"].get("recurring") or {}
    status = str(it["status"])
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
        order=(ENDED if status in _ENDED else LIVE, at, rank, int(end or 0), id_),
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
