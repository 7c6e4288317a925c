"""Events in Stripe's shapes, as docs.stripe.com has them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

BEGUN = 1_714_996_800  # 2024-05-06 12:00 UTC
DAY = 86_400
Event = dict[str, Any]


def _subscription(user: UUID | None, **changes: Any) -> Event:
    period = {
        "current_period_start": changes.pop("start", BEGUN),
        "current_period_end": changes.pop("end", BEGUN + 30 * DAY),
    }
    price = {"id": changes.pop("price", "price_pro"), "recurring": {"interval": "month"}}
    return {
        "id": "sub_1",
        "object": "subscription",
        "customer": "cus_1",
        "status": "active",
        "created": BEGUN,
        "cancel_at_period_end": False,
        "cancel_at": None,
        "canceled_at": None,
        "ended_at": None,
        "trial_start": None,
        "trial_end": None,
        "metadata": {} if user is None else {"seawall_user": str(user)},
        "items": {"object": "list", "data": [{"id": "si_1", "price": price} | period]},
    } | changes


@pytest.fixture(scope="session")
def subscribed() -> Callable[..., Event]:
    """Make an event about a subscription."""

    def make(id_: str, kind: str, at: int, user: UUID | None = None, **changes: Any) -> Event:
        return {
            "id": id_,
            "object": "event",
            "type": f"customer.subscription.{kind}",
            "created": BEGUN + at,
            "livemode": False,
            "data": {"object": _subscription(user, **changes)},
        }

    return make
