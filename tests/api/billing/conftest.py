"""An installation where users pay, a server that answers as Stripe's does, and what it tells."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest
import stripe
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from seawall.api.app import build_app
from seawall.core.settings import BillingSettings
from seawall.core.time import now
from seawall.db.database import Location
from seawall.db.engine import WORKER_ROLE, create_engine
from seawall.db.session import transaction
from seawall.identity.billing import apply as billing
from seawall.identity.desk import Desk
from seawall.identity.tables import Subscription, User

Web = Any  # what the fixture is
SECRET, KEY = "whsec_of_the_tests", "sk_test_of_the_tests"
PRICES: Any = {"plus": {"monthly": "price_plus"}, "pro": {"monthly": "price_pro"}}
DAY, V1 = 86_400, "/api/v1"


class StripeServer:
    """A server that answers as Stripe's API does, and what it was asked.

    It knows no customer in `gone`, closes no page in `paid_on`, and says nothing while it hangs.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.status = 200
        self.gone: set[str] = set()
        self.paid_on: set[str] = set()
        self.subscriptions: dict[str, Any] = {}
        self.pages: list[dict[str, Any]] = []
        self.expired: list[str] = []
        self.goes_on, self.is_busy = threading.Event(), asyncio.Event()
        self.goes_on.set()
        stub, loop = self, asyncio.get_running_loop()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                given = {name: each for name, (each,) in parse_qs(body).items()}
                stub.asked.append((self.path, given, dict(self.headers)))
                if not stub.goes_on.is_set():
                    loop.call_soon_threadsafe(stub.is_busy.set)
                stub.goes_on.wait(60)
                wrong = {"type": "invalid_request_error", "message": f"{KEY} is wrong"}
                page = {"id": "cs_1", "object": "checkout.session", "url": "https://pay.test/1"}
                *_, name, last = self.path.split("/")
                if last == "expire":
                    stub.expired.append(name)
                if given.get("customer") in stub.gone:
                    missing = {"code": "resource_missing", "param": "customer"}
                    self._say(400, {"error": wrong | missing})
                elif stub.status != 200 or name in stub.paid_on:
                    self._say(max(stub.status, 400), {"error": wrong})
                else:
                    self._say(200, page)

            def do_GET(self) -> None:
                stub.asked.append((self.path, {}, dict(self.headers)))
                path, _, query = self.path.partition("?")
                if path == "/v1/checkout/sessions":
                    # Two at once, so that there is another page of the list.
                    (after,) = parse_qs(query).get("starting_after", [""])
                    start = ["", *(each["id"] for each in stub.pages)].index(after)
                    told = {"object": "list", "url": path, "has_more": len(stub.pages) > start + 2}
                    self._say(200, told | {"data": stub.pages[start : start + 2]})
                    return
                self._say(200, stub.subscriptions[self.path.rpartition("/")[2]])

            def _say(self, status: int, told: Any) -> None:
                content = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("request-id", "req_1")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop."""
        self.goes_on.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Paid:
    """The app of an installation where users pay, and a worker of it."""

    key, prices = KEY, PRICES

    def __init__(self, web: Web, worker: AsyncEngine) -> None:
        self.web, self.worker = web, worker
        self.settings: BillingSettings = web.desk.settings.billing

    def __getattr__(self, name: str) -> Any:
        """Return what the app's fixture has."""
        return getattr(self.web, name)

    def event(self, id_: str, kind: str, user: UUID | None, at: datetime, **changes: Any) -> bytes:
        """Write what Stripe tells of a subscription."""
        second = int(at.timestamp())
        it = self.subscription(user, at, **changes)
        event = {"id": id_, "type": f"customer.subscription.{kind}", "created": second}
        return json.dumps(event | {"data": {"object": it}}).encode()

    def subscription(self, user: UUID | None, at: datetime, **changes: Any) -> dict[str, Any]:
        """Return a subscription as Stripe writes it."""
        second = int(at.timestamp())
        price = {"id": changes.pop("price", "price_pro"), "recurring": {"interval": "month"}}
        period = {"current_period_start": second, "current_period_end": second + 30 * DAY}
        return {
            "id": "sub_1",
            "object": "subscription",
            "customer": "cus_1",
            "status": "active",
            "created": second,
            "metadata": {} if user is None else {"seawall_user": str(user)},
            "items": {"object": "list", "data": [{"id": "si_1", "price": price} | period]},
        } | changes

    def customer_deleted(self, id_: str, customer: str, at: datetime) -> bytes:
        """Write that a customer was deleted."""
        event = {"id": id_, "type": "customer.deleted", "created": int(at.timestamp())}
        return json.dumps(event | {"data": {"object": {"id": customer}}}).encode()

    async def tell(self, payload: bytes, **wrong: Any) -> Any:
        """Send what Stripe tells, signed by its own library."""
        stamp = int(wrong.get("at", now()).timestamp())
        signed = wrong.get("signed", payload).decode()
        signature = stripe.WebhookSignature._compute_signature(
            f"{stamp}.{signed}", wrong.get("secret", SECRET)
        )
        headers = {"Stripe-Signature": wrong.get("header", f"t={stamp},v1={signature},v0=x")}
        path = f"{V1}/billing/webhook"
        return await self.web.client().post(path, content=payload, headers=headers)

    async def apply(self, id_: str) -> str | None:
        """Have a worker apply an event."""
        return await billing.apply(self.worker, self.settings, id_)

    async def hear(self, payload: bytes) -> str | None:
        """Send what Stripe tells, and have a worker apply it."""
        told = await self.tell(payload)
        assert told.status_code == 200, told.text
        return await self.apply(json.loads(payload)["id"])

    async def held(self, user: UUID) -> tuple[str, list[tuple[str, str, str]]]:
        """Return a user's tier, and what their subscriptions are."""
        async with transaction(self.web.desk.engine, user) as session:
            tier = await session.scalar(select(User.tier))
            query = select(
                Subscription.stripe_subscription_id, Subscription.status, Subscription.tier
            ).order_by(Subscription.stripe_subscription_id)
            rows = await session.execute(query)
            return str(tier), [(str(id_), status, had) for id_, status, had in rows]


@pytest.fixture
async def api() -> AsyncIterator[StripeServer]:
    """Stripe's API."""
    made = StripeServer()
    yield made
    made.close()


@pytest.fixture
async def worker(location: Location) -> AsyncIterator[AsyncEngine]:
    """An engine that acts as a worker."""
    made = create_engine(location.admin_url, role=WORKER_ROLE)
    yield made
    await made.dispose()


@pytest.fixture
def paid(desk: Desk, web: Web, api: StripeServer, worker: AsyncEngine) -> Paid:
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
    return Paid(web, worker)
