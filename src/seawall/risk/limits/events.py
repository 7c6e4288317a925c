"""The events of broken limits: one while it lasts, worse when it worsens, over when it is cured."""

import math
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from seawall.core.errors import ConflictError, NotFoundError
from seawall.core.money import plain
from seawall.core.time import iso
from seawall.db.locks import clock, lock_chain
from seawall.risk.limits import store
from seawall.risk.limits.schemas import (
    RULES,
    Amount,
    Checked,
    Event,
    LimitName,
    Limits,
    LimitUnit,
    Severity,
    Use,
    severity_of,
)

BREACH = "limit_breach"
_ORDER = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


async def settle(
    session: AsyncSession, limits: Iterable[Limits], uses: Iterable[Use], as_of: datetime
) -> Checked:
    """Make the unresolved events of these limits those of what is broken.

    A broken limit has one event, which keeps the worst that it was: it is written again only when
    that grew by a hundredth of the limit, or a severity. A limit that is kept, or no longer set,
    has none; of one that cannot be told the event stays. The caller has locked the limits.
    """
    used = tuple(uses)
    limit_ids = [each.id for each in limits]
    unresolved = await store.list_events(session, limit_ids=limit_ids, unresolved=True)
    open_events = {(each.limit_id, each.limit_name): each for each in unresolved}
    breaches, resolved = [], []
    for use in used:
        event = open_events.pop((use.limits.id, use.name), None)
        if use.is_broken:
            breaches.append(await _keep(session, use, event, as_of))
        elif event is not None:
            if use.is_kept and as_of >= event.triggered_at:
                resolved.append(await store.resolve_event(session, event.id, as_of, None))
            elif not use.is_kept:
                breaches.append(event)
    # What is left is of limits that are set no longer.
    resolved += await _end(session, open_events.values())
    return Checked(used, tuple(breaches), (*resolved, *await end_orphans(session)))


async def end_orphans(session: AsyncSession) -> list[Event]:
    """Resolve the events of limits that are gone, or whose portfolio or account is."""
    return await _end(session, await store.list_orphans(session))


async def _end(session: AsyncSession, events: Iterable[Event]) -> list[Event]:
    now = await clock(session)
    return [await store.resolve_event(session, event.id, now, None) for event in events]


async def _keep(session: AsyncSession, use: Use, event: Event | None, as_of: datetime) -> Event:
    ratio = use.ratio
    assert ratio is not None  # noqa: S101 - it is broken, so it is known
    severity = severity_of(ratio)
    percent = math.floor(100 * ratio) if math.isfinite(ratio) else None
    values = {
        "severity": severity.value,
        "description": describe(use),
        "details": {
            "limit": _packed(use.allowed),
            "used": _packed(use.used.value),
            "percent_of_limit": percent,
            "about": use.used.about,
            "as_of": iso(as_of),
        },
    }
    if event is None:
        return await store.add_event(
            session,
            values
            | {
                "limit_id": use.limits.id,
                "limit_name": use.name.value,
                "event_type": BREACH,
                "triggered_at": as_of,
            },
        )
    before = event.details.get("percent_of_limit")
    is_worse = isinstance(before, int) and (percent is None or percent > before)
    escalates = _ORDER.index(severity) > _ORDER.index(event.severity)
    if not (is_worse or escalates):
        return event
    if not escalates:
        values["severity"] = event.severity.value
    return await store.worsen_event(session, event.id, values)


def _packed(value: Amount | None) -> object:
    return value if isinstance(value, int | float | None) else plain(value)


def describe(use: Use) -> str:
    """Say of a broken limit what is used and what is allowed."""
    rule = RULES[use.name]
    about = f" ({use.used.about})" if use.used.about else ""
    return (
        f"{rule.title}{about} is {shown(use.name, use.used.value)};"
        f" allowed is {shown(use.name, use.allowed)}."
    )


def shown(name: LimitName, value: Amount | None) -> str:
    """Write an amount of a limit for people."""
    if value is None:
        return "-"
    match RULES[name].unit:
        case LimitUnit.USD:
            return f"{value:,.2f} USD"
        case LimitUnit.FRACTION:
            return f"{value:.2%}"
        case LimitUnit.MULTIPLE:
            return f"{value:.2f}x"
        case LimitUnit.COUNT:
            return f"{value:,}"


async def resolve(session: AsyncSession, event_id: UUID, user_id: UUID) -> Event:
    """Let the user resolve an event; while its limit is still broken, the next check opens another.

    Raises:
        NotFoundError: there is no such event.
        ConflictError: it is resolved already.
    """
    await lock_chain(session)
    event = await store.find_event(session, event_id)
    if event is None:
        raise NotFoundError(
            "There is no such risk event.", hint="List the events to see their ids."
        )
    if event.resolved_at is not None:
        raise ConflictError(
            f"The risk event {event_id} was resolved at {iso(event.resolved_at)}.",
            hint="An event is resolved once.",
        )
    return await store.resolve_event(session, event_id, await clock(session), user_id)
