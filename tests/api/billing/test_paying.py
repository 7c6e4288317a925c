"""Tiers and paying for them: limits that hold, pages of Stripe's, and what it tells."""

import asyncio
import json
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.api.callers import A_KEY_OF_A_USER
from seawall.core.errors import InvalidError
from seawall.core.time import iso, now
from seawall.db.session import transaction
from seawall.identity.billing import apply as billing
from seawall.identity.operators import set_tier
from seawall.identity.store import users
from seawall.identity.tables import Subscription
from seawall.identity.tiers import EVERYTHING, TIERS, Tier

Web = Any  # what the fixture is
Paid = Any  # the same
StripeServer = Any  # the same
ADA, BOB, V1 = "ada@example.com", "bob@example.com", "/api/v1"


async def test_without_billing_everybody_has_everything(web: Web, problem: Any) -> None:
    client = await web.known(ADA)
    told = (await client.get(f"{V1}/account/entitlements")).json()
    assert told["billing"] is False
    assert told["limits"]["portfolios"] is None
    assert told["limits"]["requests_a_minute"] == EVERYTHING.requests_a_minute
    for number in range(TIERS[Tier.FREE].portfolios or 0):
        await client.post(f"{V1}/portfolios", json={"name": f"{number}"})
    made = await client.post(f"{V1}/portfolios", json={"name": "more"})
    assert made.status_code == 201
    problem(await client.post(f"{V1}/billing/portal", json={}), 404, "not-found")
    plan = {"tier": "pro", "interval": "monthly"}
    problem(await client.post(f"{V1}/billing/checkout", json=plan), 404, "not-found")
    problem(await web.client().post(f"{V1}/billing/webhook", content=b"{}"), 404, "not-found")


async def test_a_tier_limits_portfolios_and_the_rate(
    paid: Paid, worker: AsyncEngine, problem: Any
) -> None:
    client = await paid.known(ADA)
    told = (await client.get(f"{V1}/account/entitlements")).json()
    assert (told["tier"], told["billing"], told["used"]) == ("free", True, {"portfolios": 0})
    made = await asyncio.gather(
        *(client.post(f"{V1}/portfolios", json={"name": f"{n}"}) for n in range(4))
    )
    assert sorted(each.status_code for each in made) == [201, 201, 403, 403]
    refused = next(each for each in made if each.status_code == 403)
    said = problem(refused, 403, "limit-reached")
    assert said["detail"] == "The tier free has 2 portfolios."
    assert said["hint"] == "The tier plus has 5 portfolios."
    assert made[0].headers["ratelimit-limit"] == str(TIERS[Tier.FREE].requests_a_minute)
    user = UUID((await client.get(f"{V1}/profile")).json()["id"])
    await set_tier(worker, user, "pro")
    # A session that is known from before has the new tier as soon as the cache hears of it.
    again = paid.client((await paid.log_in(ADA))["access_token"])
    more = await again.post(f"{V1}/portfolios", json={"name": "more"})
    assert more.status_code == 201
    assert more.headers["ratelimit-limit"] == str(TIERS[Tier.PRO].requests_a_minute)
    key = await again.post(f"{V1}/api-keys", json={"name": "bot", "scopes": ["read"]})
    found = await paid.client(key.json()["key"]).get(f"{V1}/tiers")
    share = int(TIERS[Tier.PRO].requests_a_minute * A_KEY_OF_A_USER)
    assert found.headers["ratelimit-limit"] == str(share)
    assert [each["tier"] for each in found.json()["items"]] == [each.value for each in Tier]
    assert found.json()["items"][2]["intervals"] == ["monthly"]


async def test_a_tier_reaches_back_so_far(paid: Paid, worker: AsyncEngine, problem: Any) -> None:
    user = (await paid.user(ADA)).id
    client = paid.client((await paid.log_in(ADA))["access_token"])
    path = f"{V1}/assets/999999/prices"

    async def ask(who: Any, days: int) -> Any:
        return await who.get(path, params={"since": iso(now() - timedelta(days=days))})

    said = problem(await ask(client, 366), 403, "limit-reached")
    assert said["hint"] == "The tier plus has 1095 days of history."
    for reaches in (await ask(client, 364), await client.get(path)):
        problem(reaches, 404, "not-found")
    await set_tier(worker, user, "power-trader")
    again = paid.client((await paid.log_in(ADA))["access_token"])
    problem(await ask(again, 5_000), 404, "not-found")


async def test_what_was_measured_is_told_as_far_back_as_prices_and_a_ledger_whole(
    paid: Paid, worker: AsyncEngine, problem: Any
) -> None:
    user = (await paid.user(ADA)).id
    client = paid.client((await paid.log_in(ADA))["access_token"])
    made = await client.post(f"{V1}/portfolios", json={"name": "Main"})
    path = f"{V1}/portfolios/{made.json()['id']}"
    row = {"time": "2020-01-01T00:00:00Z", "type": "deposit", "asset": "USD", "quantity": "1"}
    await client.post(f"{path}/transactions", json={"transactions": [row]})
    long_ago, lately = (iso(now() - timedelta(days=days)) for days in (366, 364))
    question = {"as_of": long_ago}
    for name in ("snapshots", "risk/history"):
        params = {"since": long_ago}
        problem(await client.get(f"{path}/{name}", params=params), 403, "limit-reached")
        for asked in ({"since": lately}, {"until": long_ago}, {}):
            assert (await client.get(f"{path}/{name}", params=asked)).json()["items"] == []
        turned = {"since": lately, "until": long_ago}
        problem(await client.get(f"{path}/{name}", params=turned), 422, "invalid")
    for name in (f"{path}/performance", f"{path}/risk/attribution", f"{V1}/risk/scores"):
        problem(await client.get(name, params=question), 403, "limit-reached")
    trades = {"trades": [{"side": "buy", "asset": "BTC", "quantity": "1"}]}
    scenarios = {"scenarios": [{"kind": "historical", "event": "ftx-2022-11"}]}
    asked_of = {"what-if": trades, "reports/now": {}, "stress-tests": scenarios}
    for name, body in asked_of.items():
        said = await client.post(f"{path}/risk/{name}", json=body | question)
        problem(said, 403, "limit-reached")
    # What is one's own is told whole.
    assert (await client.get(f"{path}/performance")).status_code == 200
    whole = await client.get(f"{path}/transactions", params={"since": "2019-01-01T00:00:00Z"})
    assert len(whole.json()["items"]) == 1
    await set_tier(worker, user, "power-trader")
    again = paid.client((await paid.log_in(ADA))["access_token"])
    assert (await again.get(f"{path}/performance", params=question)).status_code == 200


async def test_a_checkout_says_whose_it_is_and_comes_back_here(
    paid: Paid, api: StripeServer, problem: Any
) -> None:
    client = await paid.known(ADA)
    user = (await client.get(f"{V1}/profile")).json()["id"]
    plan = {"tier": "pro", "interval": "monthly", "return_to": "/account?paid=1"}
    named = {"Idempotency-Key": "first"}
    found = await client.post(f"{V1}/billing/checkout", json=plan, headers=named)
    assert found.json() == {"url": "https://pay.test/1"}
    ((path, asked, headers),) = api.asked
    assert path == "/v1/checkout/sessions"
    assert asked["line_items[0][price]"] == "price_pro"
    assert asked["subscription_data[metadata][seawall_user]"] == user
    assert asked["subscription_data[trial_period_days]"] == "14"
    assert asked["customer_email"] == ADA
    assert asked["success_url"] == "http://localhost:8000/account?paid=1"
    assert headers["Authorization"] == f"Bearer {paid.key}"
    assert headers["Idempotency-Key"] == sha256(f"{user} first".encode()).hexdigest()
    for path in (
        "//evil.test",
        "https://evil.test",
        "@evil.test",
        "/\\evil.test",
        ".evil.test",
        "",
    ):
        wrong = await client.post(f"{V1}/billing/checkout", json=plan | {"return_to": path})
        problem(wrong, 422, "invalid")
    yearly = await client.post(f"{V1}/billing/checkout", json=plan | {"interval": "yearly"})
    problem(yearly, 422, "invalid")
    problem(await client.post(f"{V1}/billing/portal", json={}), 404, "not-found")
    assert len(api.asked) == 1
    api.status = 400
    told = problem(await client.post(f"{V1}/billing/checkout", json=plan), 503, "unavailable")
    assert paid.key not in json.dumps(told)
    assert "req_1" in told["detail"]


async def test_what_stripe_tells_is_what_a_user_has(
    paid: Paid, worker: AsyncEngine, api: StripeServer, problem: Any
) -> None:
    client = await paid.known(ADA)
    user = UUID((await client.get(f"{V1}/profile")).json()["id"])
    moment = now()
    made = paid.event("evt_1", "created", user, moment)
    assert (await paid.tell(made)).json() == {"heard": True}
    assert (await paid.tell(made)).json() == {"heard": False}, "the same again"
    assert await paid.held(user) == ("free", []), "only a worker says what is paid for"
    assert await paid.apply("evt_1") == "applied"
    assert await paid.apply("evt_1") is None
    assert await paid.held(user) == ("pro", [("sub_1", "active", "pro")])
    told = (await client.get(f"{V1}/billing/subscription")).json()["subscription"]
    assert (told["tier"], told["status"], told["billing_interval"]) == ("pro", "active", "monthly")
    plan = {"tier": "pro", "interval": "monthly"}
    problem(await client.post(f"{V1}/billing/checkout", json=plan), 409, "conflict")
    opened = await client.post(f"{V1}/billing/portal", json={"return_to": "/account"})
    assert opened.json() == {"url": "https://pay.test/1"}
    assert api.asked[-1][:2] == (
        "/v1/billing_portal/sessions",
        {"customer": "cus_1", "return_url": "http://localhost:8000/account"},
    )
    right = {"password": paid.password}
    problem(await client.post(f"{V1}/account/deletion", json=right), 409, "conflict")
    # Metadata that say another user change nothing: the subscription is known.
    stranger = (await paid.user(BOB)).id
    ending = moment + timedelta(seconds=5)
    changed = paid.event("evt_2", "updated", stranger, ending, cancel_at_period_end=True)
    assert await paid.hear(changed) == "applied"
    assert await paid.held(stranger) == ("free", [])
    older = paid.event("evt_3", "updated", user, moment - timedelta(seconds=9), status="past_due")
    assert await paid.hear(older) == "older than what is known"
    told = (await client.get(f"{V1}/billing/subscription")).json()["subscription"]
    assert (told["status"], told["cancel_at_period_end"]) == ("active", True)
    over = paid.event("evt_4", "deleted", None, moment + timedelta(days=30), status="canceled")
    assert await paid.hear(over) == "applied"
    assert await paid.held(user) == ("free", [("sub_1", "canceled", "pro")])
    again = paid.event("evt_5", "updated", user, moment + timedelta(days=60))
    assert await paid.hear(again) == "older than what is known"
    another = paid.event("evt_6", "created", user, moment, id="sub_2", price="price_plus")
    assert await paid.hear(another) == "applied"
    assert (await paid.held(user))[0] == "plus"
    async with transaction(worker, user) as session:
        entries = text("SELECT count(*) FROM audit_logs WHERE table_name = 'subscriptions'")
        assert int(await session.scalar(entries) or 0) > 0


async def test_the_same_request_has_the_same_answer_whatever_is_paid_meanwhile(
    paid: Paid, api: StripeServer, problem: Any
) -> None:
    client = await paid.known(ADA)
    user = UUID((await client.get(f"{V1}/profile")).json()["id"])
    plan = {"tier": "pro", "interval": "monthly"}

    async def ask(page: str, key: str, **body: Any) -> Any:
        path = f"{V1}/billing/{page}"
        return await client.post(path, json=body, headers={"Idempotency-Key": key})

    # At once Stripe may be asked by both, and both are told the same.
    first, twin = await asyncio.gather(*(ask("checkout", "first", **plan) for _ in range(2)))
    assert (first.status_code, twin.json()) == (200, first.json())
    assert await paid.hear(paid.event("evt_1", "created", user, now())) == "applied"
    opened = await ask("portal", "second")
    moved = {"id": "sub_2", "customer": "cus_2"}
    ended = paid.event("evt_2", "deleted", user, now(), status="canceled")
    assert await paid.hear(ended) == "applied"
    later = paid.event("evt_3", "created", user, now() + timedelta(seconds=1), **moved)
    assert await paid.hear(later) == "applied"
    before = len(api.asked)
    for page, key, body, told in (
        ("checkout", "first", plan, first),
        ("portal", "second", {}, opened),
    ):
        again = await ask(page, key, **body)
        assert (again.status_code, again.json()) == (200, told.json())
        assert again.headers["idempotency-replayed"] == "true"
    problem(await ask("portal", "first"), 409, "conflict")
    problem(await ask("checkout", "first", **plan, return_to="/other"), 409, "conflict")
    problem(await ask("checkout", "third", **plan), 409, "conflict")
    assert len(api.asked) == before
    async with transaction(paid.desk.engine, user) as session:
        kept = await session.scalars(text("SELECT response::text FROM idempotency_keys"))
        assert not [each for each in kept if "pay.test" in each]


async def test_two_that_run_are_one_and_who_does_not_pay_loses_the_tier(
    paid: Paid, worker: AsyncEngine
) -> None:
    user = (await paid.user(ADA)).id
    moment = now()
    second = paid.event("evt_2", "created", user, moment, id="sub_2", price="price_plus")
    first = paid.event("evt_1", "created", user, moment - timedelta(seconds=1))
    assert await paid.hear(second) == "applied"
    assert await paid.hear(first) == "applied"
    assert await paid.held(user) == (
        "pro",
        [("sub_1", "active", "pro"), ("sub_2", "inactive", "plus")],
    )
    ended = paid.event("evt_3", "deleted", user, moment, status="canceled")
    assert await paid.hear(ended) == "applied"
    assert await paid.held(user) == (
        "plus",
        [("sub_1", "canceled", "pro"), ("sub_2", "active", "plus")],
    )
    late = {"status": "past_due", "id": "sub_2", "price": "price_plus"}
    owed = paid.event("evt_4", "updated", user, moment - timedelta(days=7, seconds=-2), **late)
    assert await paid.hear(owed) == "older than what is known"
    settings = paid.desk.settings.billing
    await billing.lapse(worker, settings)
    assert (await paid.held(user))[0] == "plus"
    owed = paid.event("evt_5", "updated", user, moment + timedelta(seconds=1), **late)
    assert await paid.hear(owed) == "applied"
    await billing.lapse(worker, settings.model_copy(update={"grace_days": 7}))
    assert (await paid.held(user))[0] == "plus", "the grace"
    await billing.lapse(worker, settings.model_copy(update={"grace_days": -1}))
    assert (await paid.held(user))[0] == "free"
    # What an operator gives stays until the subscription changes.
    async with transaction(worker, user) as session:
        await users.change_user(session, tier="pro")
    await billing.lapse(worker, settings)
    assert (await paid.held(user))[0] == "pro"


async def test_who_cannot_sign_is_not_heard(paid: Paid, problem: Any) -> None:
    payload = paid.event("evt_1", "created", uuid4(), now())
    for wrong in (
        {"secret": "whsec_of_another"},
        {"signed": b'{"id": "evt_2"}'},
        {"header": ""},
        {"header": "t=1,v1="},
        {"header": "v1=abc"},
        {"header": "t=" + "9" * 400},
        {"at": now() - timedelta(minutes=6)},
        {"at": now() + timedelta(minutes=6)},
    ):
        problem(await paid.tell(payload, **wrong), 422, "invalid")
    assert (await paid.tell(payload)).json() == {"heard": True}


async def test_what_is_of_nobody_or_no_subscription_is_taken_and_passed_over(
    paid: Paid, worker: AsyncEngine, problem: Any
) -> None:
    for payload in (b'{"id": "evt_0", "type": "charge.refunded", "data": {"object": {}}}',):
        assert (await paid.tell(payload)).json() == {"heard": False}
    for payload in (b"[]", b"{", b'{"id": 5, "type": "x"}', b"\xff"):
        signed = {"signed": payload} if payload != b"\xff" else {"signed": b"x"}
        problem(await paid.tell(payload, **signed), 422, "invalid")
    assert await paid.hear(paid.event("evt_1", "created", None, now())) == "of nobody here"
    unknown = paid.event("evt_2", "created", uuid4(), now())
    assert await paid.hear(unknown) == "of nobody here"
    user = (await paid.user(ADA)).id
    strange = paid.event("evt_3", "created", user, now(), price="price_of_something_else")
    with pytest.raises(InvalidError, match="buys no tier"):
        await paid.hear(strange)
    assert await paid.held(user) == ("free", [])
    settings = paid.desk.settings.billing
    with pytest.raises(InvalidError, match="buys no tier"):
        await billing.lapse(worker, settings)
    prices = paid.prices | {"plus": {"monthly": "price_of_something_else"}}
    await billing.lapse(worker, settings.model_copy(update={"prices": prices}))
    assert await paid.held(user) == ("plus", [("sub_1", "active", "plus")])


async def test_the_application_writes_nothing_of_what_is_paid_for(paid: Paid) -> None:
    user = (await paid.user(ADA)).id
    for statement in (
        "INSERT INTO subscriptions (tier) VALUES ('pro')",
        "UPDATE subscriptions SET tier = 'pro'",
        "SELECT count(*) FROM billing_events",
        "UPDATE billing_events SET outcome = NULL",
    ):
        with pytest.raises(Exception, match="permission denied"):
            async with transaction(paid.desk.engine, user) as session:
                await session.execute(text(statement))
    async with transaction(paid.desk.engine, user) as session:
        assert await session.scalar(select(func.count()).select_from(Subscription)) == 0
