"""Whatever the order in which Stripe's events come, and however often, they end in the same."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.core.errors import InvalidError
from seawall.identity.billing import states
from seawall.identity.billing.facts import (
    CustomerGone,
    Fact,
    News,
    read_event,
    read_news,
    read_present,
    write_news,
)
from seawall.identity.billing.states import Held, Terms
from seawall.identity.tiers import Tier

Subscribed = Callable[..., dict[str, Any]]
BEGUN, DAY = 1_714_996_800, 86_400
TERMS = Terms({"price_plus": Tier.PLUS, "price_pro": Tier.PRO}, timedelta(days=7))


def _at(days: float) -> datetime:
    return datetime.fromtimestamp(BEGUN, UTC) + timedelta(days=days)


def _news(event: dict[str, Any]) -> News:
    found = read_event(event)
    assert found is not None
    assert read_news(write_news(found)) == found
    return found


def _hear(events: Sequence[dict[str, Any]]) -> Held:
    held: Held = {}
    gone: list[CustomerGone] = []
    for event in events:
        news = _news(event)
        held = states.merge(held, news)
        if isinstance(news, CustomerGone):
            gone.append(news)
        # A worker looks up what was heard of a customer's end.
        for each in gone:
            held = states.merge(held, each)
    return held


def _story(subscribed: Subscribed) -> list[dict[str, Any]]:
    """A trial that is paid for, fails once, is changed, cancelled, and followed by another."""
    second = {"id": "sub_2", "created": BEGUN + 70 * DAY, "price": "price_plus"}
    later = {"start": BEGUN + 30 * DAY, "end": BEGUN + 60 * DAY}
    return [
        subscribed("evt_1", "created", 0, status="incomplete"),
        subscribed(
            "evt_2", "updated", 0, status="trialing", trial_start=BEGUN, trial_end=BEGUN + 9
        ),
        subscribed("evt_3", "updated", 9, status="active"),
        subscribed("evt_4", "updated", 30 * DAY, status="past_due", **later),
        subscribed("evt_5", "updated", 31 * DAY, status="active", **later),
        subscribed("evt_6", "updated", 31 * DAY, status="active", price="price_plus", **later),
        subscribed("evt_7", "updated", 40 * DAY, cancel_at_period_end=True, **later),
        subscribed("evt_8", "deleted", 60 * DAY, status="canceled", ended_at=BEGUN + 60 * DAY),
        {
            "id": "evt_9",
            "type": "customer.deleted",
            "created": BEGUN + 60 * DAY,
            "data": {"object": {"id": "cus_1", "object": "customer"}},
        },
        subscribed("evt_a", "created", 70 * DAY, customer="cus_2", **second),
        subscribed("evt_b", "updated", 75 * DAY, customer="cus_2", **second, status="past_due"),
    ]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_order_and_any_repetition_end_in_the_same(
    subscribed: Subscribed, data: st.DataObject
) -> None:
    story = _story(subscribed)
    expected = _hear(story)
    twice = data.draw(st.lists(st.sampled_from(range(len(story))), max_size=10))
    order = data.draw(st.permutations([*range(len(story)), *twice]))
    found = _hear([story[number] for number in order])
    assert found == expected
    assert states.statuses(found) == {"sub_1": "canceled", "sub_2": "past_due"}
    for days in (71, 76, 82, 130):
        moment = _at(days)
        assert states.tier_of(found, TERMS, moment) == states.tier_of(expected, TERMS, moment)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_newest_half_is_enough(subscribed: Subscribed, data: st.DataObject) -> None:
    # What was never heard before the end is as good as what was heard in between.
    story = _story(subscribed)
    kept = data.draw(st.lists(st.booleans(), min_size=len(story), max_size=len(story)))
    some = [event for event, keep in zip(story, kept, strict=True) if keep]
    assert states.statuses(_hear([*some, story[7], story[10]])) == {
        "sub_1": "canceled",
        "sub_2": "past_due",
    }


@pytest.mark.parametrize(
    ("changes", "days", "tier"),
    [
        ({}, 29, Tier.PRO),
        ({}, 36.9, Tier.PRO),
        ({}, 37.1, Tier.FREE),
        ({"status": "trialing"}, 1, Tier.PRO),
        ({"cancel_at_period_end": True}, 29, Tier.PRO),
        ({"status": "past_due"}, 6.9, Tier.PRO),
        ({"status": "past_due"}, 7.1, Tier.FREE),
        ({"status": "unpaid"}, 1, Tier.FREE),
        ({"status": "paused"}, 1, Tier.FREE),
        ({"status": "incomplete"}, 1, Tier.FREE),
        ({"status": "incomplete_expired"}, 1, Tier.FREE),
        ({"status": "something new"}, 1, Tier.FREE),
        ({"status": "canceled"}, 1, Tier.FREE),
    ],
)
def test_a_tier_is_what_is_paid_for_and_a_grace_after_it(
    subscribed: Subscribed, changes: dict[str, Any], days: float, tier: Tier
) -> None:
    held = _hear([subscribed("evt_1", "updated", 0, **changes)])
    assert states.tier_of(held, TERMS, _at(days)) == tier


def test_of_two_that_run_the_first_begun_is_the_one_until_it_ends(subscribed: Subscribed) -> None:
    first = subscribed("evt_1", "created", 0)
    second = subscribed("evt_2", "created", 1, id="sub_2", created=BEGUN + 1, price="price_plus")
    ended = subscribed("evt_3", "deleted", 2, status="canceled")
    for events in ([first, second], [second, first]):
        assert states.statuses(_hear(events)) == {"sub_1": "active", "sub_2": "inactive"}
    held = _hear([ended, second, first])
    assert states.statuses(held) == {"sub_1": "canceled", "sub_2": "active"}
    assert states.tier_of(held, TERMS, _at(1)) == Tier.PLUS


def test_a_customer_who_is_gone_pays_no_more(subscribed: Subscribed) -> None:
    gone = {
        "id": "evt_9",
        "type": "customer.deleted",
        "created": BEGUN + 5,
        "data": {"object": {"id": "cus_1"}},
    }
    made, other = subscribed("evt_1", "created", 0), subscribed("evt_2", "updated", 9)
    held = _hear([made, gone, other])
    assert states.statuses(held) == {"sub_1": "canceled"}
    (fact,) = held.values()
    assert fact.customer_gone_at == datetime.fromtimestamp(BEGUN + 5, UTC)
    assert states.customer_of(held) is None
    assert states.going_on(held) == []
    assert _hear([gone, made, other]) == held


def test_periods_of_older_versions_are_read(subscribed: Subscribed) -> None:
    event = subscribed("evt_1", "created", 0)
    (item,) = event["data"]["object"]["items"]["data"]
    old = {name: item.pop(name) for name in ("current_period_start", "current_period_end")}
    event["data"]["object"] |= old
    fact = _news(event)
    assert isinstance(fact, Fact)
    assert fact.period_end == _at(30)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "customer.subscription.updated"},
        {"id": "evt_1", "type": "customer.subscription.updated", "created": 1, "data": {}},
        {"type": "customer.deleted", "id": "evt_1", "created": 1, "data": {"object": {"id": 5}}},
        {
            "type": "customer.deleted",
            "id": "evt_1",
            "created": "x",
            "data": {"object": {"id": "c"}},
        },
    ],
)
def test_what_stripe_would_not_send_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        read_event(event)


@pytest.mark.parametrize("kind", ["invoice.paid", "charge.refunded", "checkout.session.completed"])
def test_what_says_nothing_of_a_subscription_is_passed_over(kind: str) -> None:
    assert read_event({"id": "evt_1", "type": kind, "data": {"object": {}}}) is None


_CHANGES = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["active", "past_due", "unpaid"]),
        "price": st.sampled_from(["price_plus", "price_pro"]),
        "cancel_at_period_end": st.booleans(),
        "end": st.sampled_from([BEGUN + 30 * DAY, BEGUN + 60 * DAY]),
    }
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_changes_within_one_second_end_in_what_stripe_has(
    subscribed: Subscribed, data: st.DataObject
) -> None:
    """Each is told after it was made, late, in any order and maybe twice; Stripe is asked of ties.

    Whichever of the events has the greater id, what is known in the end is the last that was made.
    """
    changes = data.draw(st.lists(_CHANGES, min_size=1, max_size=5), "changes")
    seconds = sorted(data.draw(st.lists(st.integers(0, 2), min_size=len(changes), max_size=5)))
    names = data.draw(st.permutations("abcde"), "ids")
    made = [
        subscribed(f"evt_{name}", "updated", second, **change)
        for name, second, change in zip(names, seconds, changes, strict=False)
    ]
    told = data.draw(
        st.lists(st.sampled_from(range(len(made))), max_size=4).map(
            lambda again: [*range(len(made)), *again]
        ),
        "told",
    )
    delays = data.draw(st.lists(st.integers(0, 6), min_size=len(told), max_size=len(told)), "late")
    held: Held = {}
    for count, (moment, number) in enumerate(
        sorted((number + late, number) for number, late in zip(told, delays, strict=True))
    ):
        news = _news(made[number])
        assert isinstance(news, Fact)
        if states.is_tied(held, news):
            present = made[min(moment, len(made) - 1)]["data"]["object"]
            news = read_present(present, news, _at(count))
            assert not states.is_tied(held, news)
        held = states.merge(held, news)
    last = _news(made[-1])
    assert isinstance(last, Fact)
    assert replace(held["sub_1"], order=last.order) == last


def test_an_end_is_tied_with_nothing(subscribed: Subscribed) -> None:
    active = subscribed("evt_z", "updated", 0)
    for other in (
        subscribed("evt_a", "deleted", 0, status="canceled"),
        subscribed("evt_a", "updated", 0, status="canceled"),
        subscribed("evt_a", "created", 0, status="incomplete"),
        subscribed("evt_a", "updated", 1, status="past_due"),
        subscribed("evt_a", "updated", 0, id="sub_2", status="past_due"),
        subscribed("evt_a", "updated", 0),
    ):
        for first, second in ((active, other), (other, active)):
            assert not states.is_tied(_hear([first]), _news(second))
    assert states.is_tied(
        _hear([active]), _news(subscribed("evt_a", "updated", 0, status="paused"))
    )
    tied = _news(active)
    assert isinstance(tied, Fact)
    with pytest.raises(InvalidError, match="no subscription"):
        read_present({}, tied, _at(0))
