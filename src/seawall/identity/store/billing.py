"""The SQL of what Stripe tells, and of what users have paid for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from seawall.identity.billing.facts import Fact, read_news
from seawall.identity.tables import BillingEvent, Subscription

_RUNNING = Subscription.status.not_in(("canceled", "inactive"))
_KEPT = (BillingEvent.id, BillingEvent.type, BillingEvent.facts, BillingEvent.proof)
_ADD_EVENT = text(
    "INSERT INTO billing_events (id, type, facts, proof)"
    " VALUES (:id, :type, CAST(:facts AS jsonb), :proof) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event as it was kept, and the proof that it was heard."""

    id: str
    type: str
    facts: Mapping[str, Any]
    proof: bytes


async def add_event(session: AsyncSession, event: KeptEvent) -> bool:
    """Keep an event; False when it is there already. The session is unbound."""
    facts = orjson.dumps(event.facts).decode()
    values = {"id": event.id, "type": event.type, "facts": facts, "proof": event.proof}
    done = await session.execute(_ADD_EVENT, values)
    return bool(done.rowcount)  # type: ignore[attr-defined]


async def find_event(session: AsyncSession, id_: str) -> KeptEvent | None:
    """Return an event that is not applied yet; a worker's session alone may ask."""
    query = select(*_KEPT).where(BillingEvent.id == id_, BillingEvent.applied_at.is_(None))
    row = (await session.execute(query)).one_or_none()
    return None if row is None else KeptEvent(*row)


async def list_told_of(session: AsyncSession, type_: str, customer: str) -> list[KeptEvent]:
    """Return events of a type about a customer; a worker's session alone may ask."""
    query = select(*_KEPT).where(
        BillingEvent.type == type_, BillingEvent.facts["customer"].as_string() == customer
    )
    return [KeptEvent(*row) for row in await session.execute(query)]


async def list_waiting(session: AsyncSession) -> Sequence[str]:
    """Return the events that are not applied, the first that came first."""
    query = select(BillingEvent.id).where(BillingEvent.applied_at.is_(None))
    return (await session.scalars(query.order_by(BillingEvent.created_at, BillingEvent.id))).all()


async def mark_applied(session: AsyncSession, id_: str, outcome: str) -> None:
    """Note what came of an event."""
    await session.execute(
        update(BillingEvent)
        .where(BillingEvent.id == id_, BillingEvent.applied_at.is_(None))
        .values(applied_at=func.now(), outcome=outcome)
    )


async def find_subscriber(
    session: AsyncSession, subscription: str | None, customer: str
) -> UUID | None:
    """Return whose a subscription or a customer is; a worker's session alone may ask."""
    found: UUID | None = await session.scalar(select(func.find_subscriber(subscription, customer)))
    return None if found is None else UUID(str(found))


async def list_subscribers(session: AsyncSession) -> Sequence[UUID]:
    """Return who has a running subscription; a worker's session alone may ask."""
    return (await session.scalars(select(func.list_subscribers()))).all()


async def read_held(session: AsyncSession) -> dict[str, Fact]:
    """Return the newest that is known of each of the bound user's subscriptions."""
    query = select(Subscription.stripe_subscription_id, Subscription.stripe_state)
    found: dict[str, Fact] = {}
    for id_, state in await session.execute(query.where(Subscription.stripe_state.is_not(None))):
        news = read_news(state)
        if isinstance(news, Fact):
            found[id_] = news
    return found


async def release_running(session: AsyncSession) -> None:
    """Let none of the bound user's subscriptions of Stripe run, so that another one may."""
    await session.execute(
        update(Subscription)
        .where(Subscription.stripe_state.is_not(None), _RUNNING)
        .values(status="inactive")
    )


async def put_subscription(session: AsyncSession, id_: str, values: Mapping[str, Any]) -> None:
    """Add or change one of the bound user's subscriptions of Stripe."""
    statement = upsert(Subscription).values(stripe_subscription_id=id_, **values)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["stripe_subscription_id"], set_=values)
    )


async def end_granted(session: AsyncSession) -> None:
    """End the bound user's subscriptions that Stripe knows nothing of."""
    await session.execute(
        update(Subscription)
        .where(Subscription.stripe_state.is_(None), _RUNNING)
        .values(status="canceled", canceled_at=func.now())
    )


async def find_running(session: AsyncSession) -> Subscription | None:
    """Return the bound user's running subscription."""
    found: Subscription | None = await session.scalar(select(Subscription).where(_RUNNING))
    return found
