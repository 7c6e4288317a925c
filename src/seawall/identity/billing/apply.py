"""Hearing what Stripe tells: kept by the API as it comes, and applied by a worker.

The API may keep an event, and change neither a subscription nor a tier. It cannot be made to give
somebody what they have not paid for by writing to either.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError
from seawall.core.settings import BillingSettings
from seawall.core.time import now
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.billing import states
from seawall.identity.billing.facts import Fact, News, read_event, read_news, write_news
from seawall.identity.billing.signature import require_signed
from seawall.identity.billing.states import Held, Terms
from seawall.identity.desk import Desk
from seawall.identity.store import billing as store
from seawall.identity.store import users
from seawall.identity.tiers import Tier
from seawall.jobs.defer import defer

APPLY, LAPSE = "billing.apply", "billing.lapse"
_LONGEST_TYPE = 100


def terms_of(billing: BillingSettings) -> Terms:
    """Return which tier each price buys."""
    tiers = {
        price: Tier(tier) for tier, prices in billing.prices.items() for price in prices.values()
    }
    return Terms(tiers, timedelta(days=billing.grace_days))


async def hear(desk: Desk, payload: bytes, signature: str | None) -> bool:
    """Keep what Stripe tells, and queue its application; False when it says nothing new for us.

    Raises:
        InvalidError: it is not signed by Stripe, not of now, or not an event.
    """
    secret = desk.settings.billing.webhook_secret or SecretStr("")
    require_signed(payload, signature, secret, desk.clock())
    try:
        event = orjson.loads(payload)
        id_, type_ = event["id"], event["type"]
    except (ValueError, KeyError, TypeError):
        raise InvalidError("This is not an event of Stripe's.") from None
    if not isinstance(id_, str) or not isinstance(type_, str) or len(type_) > _LONGEST_TYPE:
        raise InvalidError("This is not an event of Stripe's.")
    news = read_event(event)
    if news is None:
        return False
    async with unbound_transaction(desk.engine) as session:
        facts = orjson.dumps(write_news(news)).decode()
        if not await store.add_event(session, id_, type_, facts):
            return False
        await defer(session, APPLY, key=id_, event=id_)
    return True


async def apply(worker: AsyncEngine, billing: BillingSettings, event: str) -> str | None:
    """Apply an event that was kept; return what came of it, None when it was applied before.

    Raises:
        InvalidError: a subscription of ours is for a price that the settings do not name.
    """
    async with unbound_transaction(worker) as session:
        facts = await store.find_event(session, event)
        if facts is None:
            return None
        news = read_news(facts)
        user = await _whose(session, news)
    if user is None:
        async with unbound_transaction(worker) as session:
            await store.mark_applied(session, event, "of nobody here")
        return "of nobody here"
    terms = terms_of(billing)
    async with transaction(worker, user) as session:
        outcome = await _apply(session, terms, news)
        await store.mark_applied(session, event, outcome)
    return outcome


async def _whose(session: AsyncSession, news: News) -> UUID | None:
    subscription = news.subscription if isinstance(news, Fact) else None
    found = await store.find_subscriber(session, subscription, news.customer)
    if found is None and isinstance(news, Fact):
        # What was written into the subscription when it was begun here; no client can.
        found = news.user
    return found


async def _apply(session: AsyncSession, terms: Terms, news: News) -> str:
    # One event of a user at a time.
    if not await users.lock_user(session):
        return "of nobody here"
    held = await store.read_held(session)
    known = states.merge(held, news)
    if known == held:
        return "older than what is known"
    _require_known_prices(known, terms)
    await _write(session, known, terms)
    await _settle(session, known, terms)
    return "applied"


def _require_known_prices(held: Held, terms: Terms) -> None:
    for id_, status in states.statuses(held).items():
        if held[id_].price not in terms.tiers and status not in {"canceled", "inactive"}:
            raise InvalidError(
                f"The subscription {id_} is for the price {held[id_].price}, which buys no tier.",
                hint="Name it in SEAWALL_BILLING__PRICES; within an hour it is tried again.",
            )


async def _write(session: AsyncSession, held: Held, terms: Terms) -> None:
    statuses = states.statuses(held)
    await store.release_running(session)
    if any(status not in {"canceled", "inactive"} for status in statuses.values()):
        await store.end_granted(session)
    for id_, fact in sorted(held.items()):
        await store.put_subscription(session, id_, _columns(fact, statuses[id_], terms))


def _columns(fact: Fact, status: str, terms: Terms) -> Mapping[str, Any]:
    period = _stretch(fact.period_start, fact.period_end)
    trial = _stretch(fact.trial_start, fact.trial_end)
    ended_at = fact.canceled_at or datetime.fromtimestamp(fact.order[1], fact.begun.tzinfo)
    return {
        "tier": terms.tiers.get(fact.price, Tier.FREE),
        "status": status,
        "stripe_customer_id": fact.customer,
        "stripe_price_id": fact.price,
        "billing_interval": fact.interval,
        "current_period_start": period[0],
        "current_period_end": period[1],
        "cancel_at_period_end": fact.cancel_at_period_end,
        "trial_start": trial[0],
        "trial_end": trial[1] or (period[1] if status == "trialing" else None),
        "canceled_at": ended_at if status == "canceled" else fact.canceled_at,
        "stripe_state": write_news(fact),
    }


def _stretch(
    start: datetime | None, end: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Return a stretch of time; a subscription that ended as it began has none."""
    return (start, end) if start is None or end is None or start < end else (None, None)


async def _settle(session: AsyncSession, held: Held, terms: Terms) -> None:
    """Have the bound user's tier be what they have paid for now."""
    tier = states.tier_of(held, terms, now())
    if await users.find_tier(session) != tier:
        await users.change_user(session, tier=tier)


async def lapse(worker: AsyncEngine, billing: BillingSettings) -> None:
    """Apply what could not be applied yet, and take the tier from whoever has not paid for long.

    Raises:
        InvalidError: something cannot be applied still, when all else is done.
    """
    if not billing.enabled:
        return
    async with unbound_transaction(worker) as session:
        waiting = await store.list_waiting(session)
        subscribers = await store.list_subscribers(session)
    refused = None
    for event in waiting:
        try:
            await apply(worker, billing, event)
        except InvalidError as error:
            refused = error
    for user in subscribers:
        async with transaction(worker, user) as session:
            if await users.lock_user(session) and (held := await store.read_held(session)):
                await _settle(session, held, terms_of(billing))
    if refused is not None:
        raise refused
