"""What Stripe is asked: a page to pay on, and one to manage what is paid for."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from seawall.core.settings import BillingSettings
from seawall.core.time import now
from seawall.db.session import transaction
from seawall.identity.billing import states
from seawall.identity.billing.asking import NoCustomerError, ask
from seawall.identity.billing.facts import USER
from seawall.identity.desk import Desk
from seawall.identity.schemas import UserRecord
from seawall.identity.store import billing as store
from seawall.identity.store import users
from seawall.identity.tables import Subscription

CLOSE = "billing.close_pages"
OPEN_FOR = timedelta(hours=24)
"""A page to pay on is open no longer, whatever was asked."""


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
        ConflictError: a subscription runs already, or the key was used for something else.
        InvalidError: there is no such plan, or the path is none.
        NotFoundError: nobody pays here, or the user has left meanwhile.
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
        held = await store.read_held(session)
    whose = {USER: str(user.id)}
    data: dict[str, Any] = {"metadata": whose}
    if billing.trial_days and not held:
        data["trial_period_days"] = billing.trial_days
    params = {
        "mode": "subscription",
        "line_items": [{"price": price, "quantity": 1}],
        "subscription_data": data,
        "metadata": whose,
        "success_url": back,
        "cancel_url": back,
    }
    customer, as_new = states.customer_of(held), {"customer_email": user.email}
    if customer is not None:
        try:
            known = params | {"customer": customer}
            return await _open_checkout(desk, user.id, known, _named(user.id, key))
        except NoCustomerError:
            # Deleted at Stripe, of which nothing was heard here: they pay as a new one.
            key = None if key is None else f"anew {key}"
    return await _open_checkout(desk, user.id, params | as_new, _named(user.id, key))


def _named(user_id: UUID, key: str | None) -> dict[str, Any]:
    # Stripe takes 255 characters, and a key of ours may have as many.
    if key is None:
        return {}
    return {"idempotency_key": hashlib.sha256(f"{user_id} {key}".encode()).hexdigest()}


async def _open_checkout(
    desk: Desk, user_id: UUID, params: dict[str, Any], options: dict[str, Any]
) -> str:
    billing = desk.settings.billing
    page = await ask(billing, lambda client: client.v1.checkout.sessions.create(params, options))
    async with transaction(desk.engine, user_id) as session:
        is_here = await users.find_user(session) is not None
    if not is_here:
        # What closes the pages of who leaves may have looked before this one was there.
        await ask(billing, _closing(page.id))
        raise NotFoundError("There is no such user.")
    return str(page.url)


async def close_pages(
    worker: AsyncEngine, billing: BillingSettings, user_id: UUID | None = None
) -> int:
    """Close the pages on which a user who has left, or any, could still pay; return how many.

    Raises:
        UnavailableError: Stripe does not answer, or one was paid on at this moment; all the others
            are closed.
    """
    if not billing.enabled:
        return 0
    closed, refused = 0, None
    for whose, pages in (await ask(billing, _list_open)).items():
        if user_id not in (None, whose) or not await _has_left(worker, whose):
            continue
        for id_ in pages:
            try:
                await ask(billing, _closing(id_))
            except UnavailableError as error:
                refused = error
            else:
                closed += 1
    if refused is not None:
        raise refused
    return closed


def _closing(id_: str) -> Callable[[Any], Any]:
    return lambda client: client.v1.checkout.sessions.expire(id_)


def _list_open(client: Any) -> dict[UUID, list[str]]:
    since = int((now() - OPEN_FOR).timestamp())
    asked = {"status": "open", "created": {"gte": since}, "limit": 100}
    found: dict[UUID, list[str]] = {}
    for each in client.v1.checkout.sessions.list(asked).auto_paging_iter():
        page = each.to_dict()
        # Whoever else sells at this account of Stripe may write there what they like.
        with suppress(ValueError):
            whose = UUID(str((page.get("metadata") or {}).get(USER)))
            found.setdefault(whose, []).append(page["id"])
    return found


async def _has_left(worker: AsyncEngine, user_id: UUID) -> bool:
    # Asked after the pages: one that was opened by who came back is not among them. Who was never
    # here may be of another installation that sells at the same account.
    async with transaction(worker, user_id) as session:
        return await users.find_deleted(session) is not None


async def open_portal(desk: Desk, user_id: UUID, path: str, key: str | None = None) -> str:
    """Return the address of the page on which a user manages what they pay for.

    Raises:
        NotFoundError: they have never paid, or Stripe knows them no more.
        UnavailableError: Stripe does not answer.
    """
    require_billing(desk)
    back = return_address(desk, path)
    async with transaction(desk.engine, user_id) as session:
        customer = states.customer_of(await store.read_held(session))
    if customer is None:
        raise _no_subscription()
    params, options = {"customer": customer, "return_url": back}, _named(user_id, key)
    try:
        return await ask(
            desk.settings.billing,
            lambda client: str(client.v1.billing_portal.sessions.create(params, options).url),
        )
    except NoCustomerError:
        raise _no_subscription() from None


def _no_subscription() -> NotFoundError:
    return NotFoundError("There is no subscription.")


async def find_subscription(session: AsyncSession) -> Subscription | None:
    """Return the bound user's running subscription."""
    return await store.find_running(session)
