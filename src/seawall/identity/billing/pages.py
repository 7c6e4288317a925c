"""What Stripe is asked: a page to pay on, and one to manage what is paid for."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from seawall.db.session import transaction
from seawall.identity.billing.facts import USER
from seawall.identity.desk import Desk
from seawall.identity.schemas import UserRecord
from seawall.identity.store import billing as store
from seawall.identity.tables import Subscription

SECONDS = 10.0
_LIBRARY_MISSING = "Billing needs the library of Stripe, which is not installed."


def require_billing(desk: Desk) -> None:
    """Check that users can pay here.

    Raises:
        NotFoundError: they cannot, and may use everything.
    """
    if not desk.settings.billing.enabled:
        raise NotFoundError("Nobody pays here: everybody may use everything.")


def return_address(desk: Desk, path: str) -> str:
    """Return the address that Stripe sends a user back to: one of ours, whatever the path.

    Raises:
        InvalidError: it is not a path.
    """
    base = desk.settings.api.public_url.rstrip("/")
    address = base + path
    ours, theirs = urlsplit(base), urlsplit(address)
    is_path = path.startswith("/") and not path.startswith("//") and "\\" not in path
    if not (is_path and path.isascii() and path.isprintable() and " " not in path) or (
        (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc)
    ):
        raise InvalidError(f"{path[:100]!r} is not a path of this installation.")
    return address


async def begin_checkout(
    desk: Desk, user: UserRecord, plan: tuple[str, str], path: str, key: str | None
) -> str:
    """Return the address of a page on which a user can pay for a tier and an interval.

    Raises:
        ConflictError: a subscription runs already.
        InvalidError: there is no such plan, or the path is none.
        UnavailableError: Stripe does not answer.
    """
    require_billing(desk)
    back = return_address(desk, path)
    tier, interval = plan
    billing = desk.settings.billing
    price = dict(dict(billing.prices).get(tier, {})).get(interval)  # type: ignore[call-overload]
    if price is None:
        raise InvalidError(f"The tier {tier} cannot be had {interval} here.")
    async with transaction(desk.engine, user.id) as session:
        if await store.find_running(session) is not None:
            raise ConflictError(
                "A subscription runs already.", hint="Change it at POST /api/v1/billing/portal."
            )
        customer = await store.find_customer(session)
    whose = {USER: str(user.id)}
    data: dict[str, Any] = {"metadata": whose}
    if billing.trial_days and customer is None:
        data["trial_period_days"] = billing.trial_days
    known = {"customer_email": user.email} if customer is None else {"customer": customer}
    params = known | {
        "mode": "subscription",
        "line_items": [{"price": price, "quantity": 1}],
        "subscription_data": data,
        "metadata": whose,
        "success_url": back,
        "cancel_url": back,
    }
    options = {} if key is None else {"idempotency_key": f"{user.id} {key}"[:255]}
    return await _ask(desk, lambda client: client.v1.checkout.sessions.create(params, options))


async def open_portal(desk: Desk, user_id: UUID, path: str) -> str:
    """Return the address of the page on which a user manages what they pay for.

    Raises:
        NotFoundError: they have never paid.
        UnavailableError: Stripe does not answer.
    """
    require_billing(desk)
    back = return_address(desk, path)
    async with transaction(desk.engine, user_id) as session:
        customer = await store.find_customer(session)
    if customer is None:
        raise NotFoundError("There is no subscription.")
    params = {"customer": customer, "return_url": back}
    return await _ask(desk, lambda client: client.v1.billing_portal.sessions.create(params))


async def _ask(desk: Desk, question: Callable[[Any], Any]) -> str:
    billing = desk.settings.billing
    secret = billing.secret_key
    assert secret is not None  # noqa: S101 - the settings require it

    def ask() -> str:
        try:
            import stripe  # noqa: PLC0415 - an extra, and slow to import
        except ImportError:
            raise UnavailableError(
                _LIBRARY_MISSING, hint="Install seawall with the extra `billing`."
            ) from None
        client = stripe.StripeClient(
            secret.get_secret_value(),
            base_addresses={"api": billing.api_url},
            http_client=stripe.RequestsClient(timeout=SECONDS),
            max_network_retries=1,
        )
        try:
            return str(question(client).url)
        except stripe.StripeError as error:
            # What it says may repeat what was sent; the kind is enough, and the id finds the rest.
            raise UnavailableError(
                f"Stripe refused this or did not answer: {type(error).__name__}"
                f" (request {error.request_id}).",
                hint="Try again; if it stays, the log at Stripe tells why.",
            ) from None

    return await asyncio.to_thread(ask)


async def find_subscription(session: AsyncSession) -> Subscription | None:
    """Return the bound user's running subscription."""
    return await store.find_running(session)
