"""Hearing what Stripe tells: kept by the API as it comes, and applied by a worker.

The API may keep an event, and change neither a subscription nor a tier. An event is applied only
with the proof that whoever kept it had the webhook's secret: being able to write to the database
is not enough to give somebody what they have not paid for.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from seawall.core.errors import InvalidError, SeawallError, UnavailableError
from seawall.core.settings import BillingSettings
from seawall.core.time import now
from seawall.db.session import transaction, unbound_transaction
from seawall.identity.billing import states
from seawall.identity.billing.asking import ask
from seawall.identity.billing.facts import (
    CUSTOMER_DELETED,
    CustomerGone,
    Fact,
    News,
    read_event,
    read_news,
    read_present,
    write_news,
)
from seawall.identity.billing.signature import is_proven, prove, require_signed
from seawall.identity.billing.states import Held, Terms
from seawall.identity.desk import Desk
from seawall.identity.store import billing as store
from seawall.identity.store import users
from seawall.identity.store.billing import KeptEvent
from seawall.identity.tiers import Tier
from seawall.jobs.defer import defer

APPLY, LAPSE = "billing.apply", "billing.lapse"
OF_NOBODY, NOT_PROVEN = "of nobody here", "not proven to be Stripe's"
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
    secret = _secret(desk.settings.billing)
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
    facts = write_news(news)
    kept = KeptEvent(id_, type_, facts, prove(secret, id_, facts))
    async with unbound_transaction(desk.engine) as session:
        if not await store.add_event(session, kept):
            return False
        await defer(session, APPLY, key=id_, event=id_)
    return True


def _secret(billing: BillingSettings) -> SecretStr:
    return billing.webhook_secret or SecretStr("")


async def apply(worker: AsyncEngine, billing: BillingSettings, event: str) -> str | None:
    """Apply an event that was kept; return what came of it, None when it was applied before.

    Of what is tied Stripe is asked, while no transaction waits.

    Raises:
        InvalidError: a subscription of ours is for a price that the settings do not name, or the
            event was not kept by whoever has the webhook's secret.
        UnavailableError: Stripe has to be asked, and does not answer.
    """
    news = await _read(worker, billing, event)
    if news is None:
        return None
    async with unbound_transaction(worker) as session:
        user = await _whose(session, news)
        if user is None:
            await store.mark_applied(session, event, OF_NOBODY)
            return OF_NOBODY
        told = await _told_of_customer(session, billing, news)
    tied = await _finish(worker, billing, event, user, [news, *told])
    if not isinstance(tied, Fact):
        return tied
    asked_at, id_ = now(), tied.subscription
    it = await ask(billing, lambda client: client.v1.subscriptions.retrieve(id_).to_dict())
    present = read_present(it, tied, asked_at)
    done = await _finish(worker, billing, event, user, [present, *told])
    assert not isinstance(done, Fact)  # noqa: S101 - what was asked is tied with nothing
    return done


async def _read(worker: AsyncEngine, billing: BillingSettings, event: str) -> News | None:
    async with unbound_transaction(worker) as session:
        kept = await store.find_event(session, event)
        is_right = kept is None or is_proven(_secret(billing), kept.id, kept.facts, kept.proof)
        if not is_right:
            await store.mark_applied(session, event, NOT_PROVEN)
    if not is_right:
        raise InvalidError(
            f"The event {event} was kept by nobody with this webhook secret, and is passed over.",
            hint="If the secret was not changed just now, find out who writes to the database.",
        )
    return None if kept is None else read_news(kept.facts)


async def _told_of_customer(
    session: AsyncSession, billing: BillingSettings, news: News
) -> list[News]:
    """Return what was heard of a customer's end, before anything of their subscription was."""
    if isinstance(news, CustomerGone):
        return []
    kept = await store.list_told_of(session, CUSTOMER_DELETED, news.customer)
    secret = _secret(billing)
    return [read_news(it.facts) for it in kept if is_proven(secret, it.id, it.facts, it.proof)]


async def _whose(session: AsyncSession, news: News) -> UUID | None:
    subscription = news.subscription if isinstance(news, Fact) else None
    found = await store.find_subscriber(session, subscription, news.customer)
    if found is None and isinstance(news, Fact):
        # What was written into the subscription when it was begun here; no client can.
        found = news.user
    return found


async def _finish(
    worker: AsyncEngine, billing: BillingSettings, event: str, user: UUID, heard: Sequence[News]
) -> Fact | str:
    """Apply what an event says, and note it; return what came of it, or what is tied."""
    async with transaction(worker, user) as session:
        # One event of a user at a time.
        if not await users.lock_user(session):
            outcome = OF_NOBODY
        else:
            held = await store.read_held(session)
            first = heard[0]
            if isinstance(first, Fact) and states.is_tied(held, first):
                return first
            outcome = await _apply(session, terms_of(billing), held, heard)
        await store.mark_applied(session, event, outcome)
    return outcome


async def _apply(session: AsyncSession, terms: Terms, held: Held, heard: Sequence[News]) -> str:
    known = held
    for news in heard:
        known = states.merge(known, news)
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
    told_at = datetime.fromtimestamp(fact.order[1], fact.begun.tzinfo)
    ended_at = fact.canceled_at or fact.customer_gone_at or told_at
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


async def _settle_bought(session: AsyncSession, held: Held, terms: Terms) -> None:
    """Settle a tier that a subscription gave; one that an operator gave stays."""
    bought = {terms.tiers.get(fact.price) for fact in held.values() if not fact.is_over}
    if Tier(await users.find_tier(session)) in bought:
        await _settle(session, held, terms)


async def lapse(worker: AsyncEngine, billing: BillingSettings) -> None:
    """Apply what could not be applied yet, and take the tier from whoever has not paid for long.

    Raises:
        SeawallError: something cannot be applied still, when all else is done.
    """
    if not billing.enabled:
        return
    async with unbound_transaction(worker) as session:
        waiting = await store.list_waiting(session)
        subscribers = await store.list_subscribers(session)
    refused: SeawallError | None = None
    for event in waiting:
        try:
            await apply(worker, billing, event)
        except (InvalidError, UnavailableError) as error:
            refused = error
    for user in subscribers:
        async with transaction(worker, user) as session:
            if await users.lock_user(session):
                await _settle_bought(session, await store.read_held(session), terms_of(billing))
    if refused is not None:
        raise refused
