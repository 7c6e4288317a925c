"""Of several customers and subscriptions the right one is opened, and none goes on unseen."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from seawall.core.errors import ConflictError, InvalidError, UnavailableError
from seawall.core.time import now
from seawall.db.database import Location, open_admin
from seawall.db.session import transaction, unbound_transaction
from seawall.identity import operators
from seawall.identity.billing import apply as billing
from seawall.identity.billing import asking
from seawall.identity.billing.pages import CLOSE
from seawall.identity.leaving import list_left, restore_left
from seawall.jobs.crew import Given
from seawall.workers import billing as workers

Paid = Any  # what the fixture is
StripeServer = Any  # the same
ADA, V1 = "ada@example.com", "/api/v1"
PLAN = {"tier": "pro", "interval": "monthly"}


async def _known(paid: Paid) -> tuple[Any, UUID]:
    client = await paid.known(ADA)
    return client, UUID((await client.get(f"{V1}/profile")).json()["id"])


async def _customer(client: Any, api: StripeServer) -> str:
    assert (await client.post(f"{V1}/billing/portal", json={})).status_code == 200
    return str(api.asked[-1][1]["customer"])


async def test_the_portal_is_of_the_customer_who_pays_else_of_the_newest(
    paid: Paid, api: StripeServer
) -> None:
    client, user = await _known(paid)
    moment = now()
    days = [int((moment - timedelta(days=days)).timestamp()) for days in range(4)]
    one = {"created": days[2]}
    two = {"id": "sub_2", "customer": "cus_2", "created": days[1]}
    three = {"id": "sub_3", "customer": "cus_3", "created": days[3]}

    async def tell(number: int, **more: Any) -> str:
        event = paid.event(f"evt_{number}", "updated", user, moment, **more)
        assert await paid.hear(event) == "applied"
        return await _customer(client, api)

    assert await tell(1, **one) == "cus_1"
    assert await tell(2, **two) == "cus_1", "that runs, and the other does not"
    assert await tell(3, **one, status="canceled") == "cus_2"
    assert await tell(4, **two, status="canceled") == "cus_2"
    assert await tell(5, **three, status="canceled") == "cus_2", "the newest begun, not heard of"
    assert await paid.hear(paid.customer_deleted("evt_6", "cus_2", moment)) == "applied"
    assert await _customer(client, api) == "cus_1"


async def test_no_account_is_deleted_while_any_subscription_goes_on(
    paid: Paid, problem: Any
) -> None:
    client, user = await _known(paid)
    moment, right = now(), {"password": paid.password}
    second = {"id": "sub_2", "customer": "cus_2", "price": "price_plus"}
    first = paid.event("evt_1", "created", user, moment, cancel_at_period_end=True)
    assert await paid.hear(first) == "applied"
    begun = moment + timedelta(seconds=1)
    assert await paid.hear(paid.event("evt_2", "created", user, begun, **second)) == "applied"
    assert (await paid.held(user))[1][1] == ("sub_2", "inactive", "plus")
    told = problem(await client.post(f"{V1}/account/deletion", json=right), 409, "conflict")
    assert told["detail"] == "sub_2 would go on to be paid for."
    with pytest.raises(ConflictError, match="sub_2 would go on"):
        await operators.delete_user(paid.desk, ADA)
    later = moment + timedelta(seconds=2)
    ended = paid.event("evt_3", "updated", user, later, cancel_at_period_end=True, **second)
    assert await paid.hear(ended) == "applied"
    assert (await client.post(f"{V1}/account/deletion", json=right)).status_code == 200


async def test_nobody_pays_on_a_page_after_the_account_is_deleted(
    paid: Paid, api: StripeServer, location: Location, problem: Any
) -> None:
    client, user = await _known(paid)
    await client.post(f"{V1}/billing/checkout", json=PLAN)
    whose = (str(user), None, str(UUID(int=1)), str(user))
    for number, each in enumerate(whose):
        metadata = {} if each is None else {"seawall_user": each}
        page = {"id": f"cs_{number}", "object": "checkout.session", "metadata": metadata}
        api.pages.append(page)
    # One that is asked for as the account goes is closed by itself.
    api.goes_on.clear()
    late = asyncio.create_task(client.post(f"{V1}/billing/checkout", json=PLAN))
    await api.is_busy.wait()
    right = {"password": paid.password}
    assert (await client.post(f"{V1}/account/deletion", json=right)).status_code == 200
    api.goes_on.set()
    problem(await late, 404, "not-found")
    assert api.expired == ["cs_1"]
    async with open_admin(location) as admin, admin.connect() as connection:
        queued = text("SELECT args FROM queue.procrastinate_jobs WHERE task_name = :name")
        (args,) = await connection.scalars(queued, {"name": CLOSE})
    given = Given(paid.worker, paid.desk.settings, 1)
    api.paid_on = {"cs_0"}
    with pytest.raises(UnavailableError):
        await workers.close_pages(given, **args)
    assert api.expired == ["cs_1", "cs_0", "cs_3"], "the others are closed nevertheless"
    listed = [path for path, *_ in api.asked if path.startswith("/v1/checkout/sessions?")]
    assert "status=open" in listed[0]
    assert len(listed) == 2
    # Every hour it is tried again, for as long as a page can be open.
    api.expired.clear()
    api.paid_on.clear()
    await workers.lapse(given)
    assert api.expired == ["cs_0", "cs_3"]
    # Who came back may pay again, and another's page is none of ours.
    (left,) = await list_left(paid.worker)
    await restore_left(paid.desk, left)
    api.expired.clear()
    await workers.close_pages(given, **args)
    await workers.lapse(given)
    assert api.expired == []


async def test_who_was_deleted_at_stripe_pays_as_a_new_customer(
    paid: Paid, api: StripeServer, problem: Any
) -> None:
    client, user = await _known(paid)
    moment = now()
    assert await paid.hear(paid.event("evt_1", "created", user, moment)) == "applied"
    ended = paid.event("evt_2", "deleted", user, moment, status="canceled")
    assert await paid.hear(ended) == "applied"
    named = {"Idempotency-Key": "first"}
    # Stripe knows that the customer is gone before anything of it is heard here.
    api.gone = {"cus_1"}
    problem(await client.post(f"{V1}/billing/portal", json={}), 404, "not-found")
    found = await client.post(f"{V1}/billing/checkout", json=PLAN, headers=named)
    assert found.status_code == 200, found.text
    keys = [each[2].get("Idempotency-Key") for each in api.asked[-2:]]
    names = (f"{user} first", f"{user} anew first")
    assert keys == [sha256(each.encode()).hexdigest() for each in names]
    assert await paid.hear(paid.customer_deleted("evt_3", "cus_1", moment)) == "applied"
    before = len(api.asked)
    assert (await client.post(f"{V1}/billing/checkout", json=PLAN)).status_code == 200
    ((_, asked, _),) = api.asked[before:]
    assert "customer" not in asked
    assert asked["customer_email"] == ADA
    assert "subscription_data[trial_period_days]" not in asked, "a trial is had once"
    problem(await client.post(f"{V1}/billing/portal", json={}), 404, "not-found")


async def test_a_customer_s_end_counts_also_when_it_is_heard_of_first(paid: Paid) -> None:
    _, user = await _known(paid)
    moment = now()
    gone = paid.customer_deleted("evt_2", "cus_1", moment)
    assert await paid.hear(gone) == "of nobody here"
    assert await paid.hear(paid.event("evt_1", "created", user, moment)) == "applied"
    assert await paid.held(user) == ("free", [("sub_1", "canceled", "pro")])


async def test_what_is_tied_is_asked_of_stripe(paid: Paid, api: StripeServer) -> None:
    _, user = await _known(paid)
    moment = now()
    told = [
        paid.event(f"evt_{name}", "updated", user, moment, status=status)
        for name, status in (("a", "past_due"), ("z", "active"))
    ]
    api.subscriptions["sub_1"] = paid.subscription(user, moment, status="past_due")
    for payload in (told[0], told[1], told[1], told[0]):
        await paid.tell(payload)
    assert await paid.apply("evt_a") == "applied"
    assert not api.asked, "nothing is asked while nothing is tied"
    assert await paid.apply("evt_z") == "applied"
    assert api.asked[0][0] == "/v1/subscriptions/sub_1"
    assert await paid.held(user) == ("pro", [("sub_1", "past_due", "pro")])
    later = paid.event("evt_0", "updated", user, moment + timedelta(seconds=1))
    assert await paid.hear(later) == "applied"
    assert await paid.held(user) == ("pro", [("sub_1", "active", "pro")])
    assert len(api.asked) == 1


async def test_who_writes_an_event_without_the_secret_is_given_nothing(paid: Paid) -> None:
    client, user = await _known(paid)
    await paid.tell(paid.event("evt_1", "created", user, now(), price="price_plus"))
    async with transaction(paid.worker, user) as session:
        query = "SELECT facts::text, proof FROM billing_events"
        facts, proof = (await session.execute(text(query))).one()
    forged = facts.replace("price_plus", "price_pro")
    assert forged != facts
    for id_, written, proven in (
        ("evt_2", forged, b""),
        ("evt_3", forged, proof),
        ("evt_4", facts, proof),
    ):
        async with unbound_transaction(paid.desk.engine) as session:
            await session.execute(
                text(
                    "INSERT INTO billing_events (id, type, facts, proof)"
                    " VALUES (:id, 'customer.subscription.created', CAST(:facts AS jsonb), :proof)"
                ),
                {"id": id_, "facts": written, "proof": proven},
            )
        with pytest.raises(InvalidError, match="with this webhook secret"):
            await paid.apply(id_)
        assert await paid.apply(id_) is None, "it was told once, and is passed over"
    assert await paid.held(user) == ("free", [])
    await billing.lapse(paid.worker, paid.settings)
    assert await paid.held(user) == ("plus", [("sub_1", "active", "plus")])
    assert (await client.get(f"{V1}/profile")).json()["tier"] == "plus"


async def test_nobody_waits_for_a_stripe_that_hangs(
    paid: Paid, api: StripeServer, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = await _known(paid)
    await client.post(f"{V1}/billing/checkout", json=PLAN)  # The library is there from now on.
    monkeypatch.setattr(asking, "PATIENCE", 60.0)
    monkeypatch.setattr(asking, "SECONDS", 60.0)
    api.goes_on.clear()
    hanging = [
        asyncio.create_task(client.post(f"{V1}/billing/checkout", json=PLAN)) for _ in range(40)
    ]
    await api.is_busy.wait()
    await paid.log_in(ADA)
    # Whatever the process has threads for goes on: names are looked up, answers compressed.
    assert await asyncio.to_thread(lambda: "done") == "done"
    assert (await client.get(f"{V1}/portfolios")).status_code == 200
    assert not any(each.done() for each in hanging)
    api.goes_on.set()
    assert {each.status_code for each in await asyncio.gather(*hanging)} == {200}
    api.goes_on.clear()
    monkeypatch.setattr(asking, "PATIENCE", 0.2)
    late = problem(await client.post(f"{V1}/billing/checkout", json=PLAN), 503, "unavailable")
    assert late["detail"] == "Stripe does not answer."
