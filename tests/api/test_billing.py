"""Tiers and paying for them: limits that hold, pages of Stripe's, and what it tells."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import pytest
import stripe
from pydantic import SecretStr
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.api.app import build_app
from seawall.api.callers import A_KEY_OF_A_USER
from seawall.core.errors import InvalidError
from seawall.core.settings import BillingSettings
from seawall.core.time import iso, now
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.session import transaction
from seawall.identity.billing import apply as billing
from seawall.identity.desk import Desk
from seawall.identity.operators import set_tier
from seawall.identity.tables import Subscription, User
from seawall.identity.tiers import EVERYTHING, TIERS, Tier

Web = Any  # what the fixture is
ADA, BOB, V1 = "ada@example.com", "bob@example.com", "/api/v1"
SECRET, KEY = "whsec_of_the_tests", "sk_test_of_the_tests"
PRICES: Any = {"plus": {"monthly": "price_plus"}, "pro": {"monthly": "price_pro"}}
DAY = 86_400


class Stripe:
    """A server that answers as Stripe's API does, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.status = 200
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                given = {name: each for name, (each,) in parse_qs(body).items()}
                stub.asked.append((self.path, given, dict(self.headers)))
                page = {"id": "cs_1", "object": "checkout.session", "url": "https://pay.test/1"}
                wrong = {"error": {"type": "invalid_request_error", "message": f"{KEY} is wrong"}}
                content = json.dumps(page if stub.status == 200 else wrong).encode()
                self.send_response(stub.status)
                self.send_header("content-type", "application/json")
                self.send_header("request-id", "req_1")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def api() -> Iterator[Stripe]:
    """Stripe's API."""
    made = Stripe()
    yield made
    made.close()


@pytest.fixture
def paid(desk: Desk, web: Web, api: Stripe) -> Web:
    """The app of an installation where users pay, whose clock runs."""
    settings = BillingSettings(
        enabled=True,
        secret_key=SecretStr(KEY),
        webhook_secret=SecretStr(SECRET),
        prices=PRICES,
        trial_days=14,
        api_url=api.url,
    )
    web.desk = replace(desk, settings=desk.settings.model_copy(update={"billing": settings}))
    web.app = build_app(web.desk)
    return web


@pytest.fixture
async def worker(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine that acts as a worker."""
    made = create_engine(location.admin_url, role=WORKER_ROLE)
    yield made
    await made.dispose()


def _event(id_: str, kind: str, user: UUID | None, at: datetime, **changes: Any) -> bytes:
    second = int(at.timestamp())
    price = {"id": changes.pop("price", "price_pro"), "recurring": {"interval": "month"}}
    period = {"current_period_start": second, "current_period_end": second + 30 * DAY}
    it = {
        "id": "sub_1",
        "customer": "cus_1",
        "status": "active",
        "created": second,
        "metadata": {} if user is None else {"seawall_user": str(user)},
        "items": {"data": [{"price": price} | period]},
    }
    event = {"id": id_, "type": f"customer.subscription.{kind}", "created": second}
    return json.dumps(event | {"data": {"object": it | changes}}).encode()


async def _tell(web: Web, payload: bytes, **wrong: Any) -> Any:
    stamp = int(wrong.get("at", now()).timestamp())
    signed = wrong.get("signed", payload).decode()
    # By Stripe's own library, which knows nothing of ours.
    signature = stripe.WebhookSignature._compute_signature(
        f"{stamp}.{signed}", wrong.get("secret", SECRET)
    )
    headers = {"Stripe-Signature": wrong.get("header", f"t={stamp},v1={signature},v0=x")}
    return await web.client().post(f"{V1}/billing/webhook", content=payload, headers=headers)


async def _apply(web: Web, worker: AsyncEngine, id_: str) -> str | None:
    return await billing.apply(worker, web.desk.settings.billing, id_)


async def _hear(web: Web, worker: AsyncEngine, payload: bytes) -> str | None:
    told = await _tell(web, payload)
    assert told.status_code == 200, told.text
    return await _apply(web, worker, json.loads(payload)["id"])


async def _held(web: Web, user: UUID) -> tuple[str, list[tuple[str, str, str]]]:
    async with transaction(web.desk.engine, user) as session:
        tier = await session.scalar(select(User.tier))
        query = select(
            Subscription.stripe_subscription_id, Subscription.status, Subscription.tier
        ).order_by(Subscription.stripe_subscription_id)
        rows = await session.execute(query)
        return str(tier), [(str(id_), status, had) for id_, status, had in rows]


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
    problem(await _tell(web, b"{}"), 404, "not-found")


async def test_a_tier_limits_portfolios_and_the_rate(
    paid: Web, worker: AsyncEngine, problem: Any
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


async def test_a_tier_reaches_back_so_far(paid: Web, worker: AsyncEngine, problem: Any) -> None:
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


async def test_a_checkout_says_whose_it_is_and_comes_back_here(
    paid: Web, api: Stripe, problem: Any
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
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Idempotency-Key"] == f"{user} first"
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
    assert KEY not in json.dumps(told)
    assert "req_1" in told["detail"]


async def test_what_stripe_tells_is_what_a_user_has(
    paid: Web, worker: AsyncEngine, api: Stripe, problem: Any
) -> None:
    client = await paid.known(ADA)
    user = UUID((await client.get(f"{V1}/profile")).json()["id"])
    moment = now()
    made = _event("evt_1", "created", user, moment)
    assert (await _tell(paid, made)).json() == {"heard": True}
    assert (await _tell(paid, made)).json() == {"heard": False}, "the same again"
    assert await _held(paid, user) == ("free", []), "only a worker says what is paid for"
    assert await _apply(paid, worker, "evt_1") == "applied"
    assert await _apply(paid, worker, "evt_1") is None
    assert await _held(paid, user) == ("pro", [("sub_1", "active", "pro")])
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
    changed = _event("evt_2", "updated", stranger, ending, cancel_at_period_end=True)
    assert await _hear(paid, worker, changed) == "applied"
    assert await _held(paid, stranger) == ("free", [])
    older = _event("evt_3", "updated", user, moment - timedelta(seconds=9), status="past_due")
    assert await _hear(paid, worker, older) == "older than what is known"
    told = (await client.get(f"{V1}/billing/subscription")).json()["subscription"]
    assert (told["status"], told["cancel_at_period_end"]) == ("active", True)
    over = _event("evt_4", "deleted", None, moment + timedelta(days=30), status="canceled")
    assert await _hear(paid, worker, over) == "applied"
    assert await _held(paid, user) == ("free", [("sub_1", "canceled", "pro")])
    again = _event("evt_5", "updated", user, moment + timedelta(days=60))
    assert await _hear(paid, worker, again) == "older than what is known"
    another = _event("evt_6", "created", user, moment, id="sub_2", price="price_plus")
    assert await _hear(paid, worker, another) == "applied"
    assert (await _held(paid, user))[0] == "plus"
    async with transaction(worker, user) as session:
        entries = text("SELECT count(*) FROM audit_logs WHERE table_name = 'subscriptions'")
        assert int(await session.scalar(entries) or 0) > 0


async def test_two_that_run_are_one_and_who_does_not_pay_loses_the_tier(
    paid: Web, worker: AsyncEngine
) -> None:
    user = (await paid.user(ADA)).id
    moment = now()
    second = _event("evt_2", "created", user, moment, id="sub_2", price="price_plus")
    first = _event("evt_1", "created", user, moment - timedelta(seconds=1))
    assert await _hear(paid, worker, second) == "applied"
    assert await _hear(paid, worker, first) == "applied"
    assert await _held(paid, user) == (
        "pro",
        [("sub_1", "active", "pro"), ("sub_2", "inactive", "plus")],
    )
    ended = _event("evt_3", "deleted", user, moment, status="canceled")
    assert await _hear(paid, worker, ended) == "applied"
    assert await _held(paid, user) == (
        "plus",
        [("sub_1", "canceled", "pro"), ("sub_2", "active", "plus")],
    )
    late = {"status": "past_due", "id": "sub_2", "price": "price_plus"}
    owed = _event("evt_4", "updated", user, moment - timedelta(days=7, seconds=-2), **late)
    assert await _hear(paid, worker, owed) == "older than what is known"
    settings = paid.desk.settings.billing
    await billing.lapse(worker, settings)
    assert (await _held(paid, user))[0] == "plus"
    owed = _event("evt_5", "updated", user, moment + timedelta(seconds=1), **late)
    assert await _hear(paid, worker, owed) == "applied"
    await billing.lapse(worker, settings.model_copy(update={"grace_days": 7}))
    assert (await _held(paid, user))[0] == "plus", "the grace"
    await billing.lapse(worker, settings.model_copy(update={"grace_days": -1}))
    assert (await _held(paid, user))[0] == "free"


async def test_who_cannot_sign_is_not_heard(paid: Web, problem: Any) -> None:
    payload = _event("evt_1", "created", uuid4(), now())
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
        problem(await _tell(paid, payload, **wrong), 422, "invalid")
    assert (await _tell(paid, payload)).json() == {"heard": True}


async def test_what_is_of_nobody_or_no_subscription_is_taken_and_passed_over(
    paid: Web, worker: AsyncEngine, problem: Any
) -> None:
    for payload in (b'{"id": "evt_0", "type": "charge.refunded", "data": {"object": {}}}',):
        assert (await _tell(paid, payload)).json() == {"heard": False}
    for payload in (b"[]", b"{", b'{"id": 5, "type": "x"}', b"\xff"):
        signed = {"signed": payload} if payload != b"\xff" else {"signed": b"x"}
        problem(await _tell(paid, payload, **signed), 422, "invalid")
    assert await _hear(paid, worker, _event("evt_1", "created", None, now())) == "of nobody here"
    unknown = _event("evt_2", "created", uuid4(), now())
    assert await _hear(paid, worker, unknown) == "of nobody here"
    user = (await paid.user(ADA)).id
    strange = _event("evt_3", "created", user, now(), price="price_of_something_else")
    with pytest.raises(InvalidError, match="buys no tier"):
        await _hear(paid, worker, strange)
    assert await _held(paid, user) == ("free", [])
    settings = paid.desk.settings.billing
    with pytest.raises(InvalidError, match="buys no tier"):
        await billing.lapse(worker, settings)
    prices = PRICES | {"plus": {"monthly": "price_of_something_else"}}
    await billing.lapse(worker, settings.model_copy(update={"prices": prices}))
    assert await _held(paid, user) == ("plus", [("sub_1", "active", "plus")])


async def test_the_application_writes_nothing_of_what_is_paid_for(paid: Web) -> None:
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
