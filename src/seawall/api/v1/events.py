"""The events of broken limits: paged, told one by one, and resolved."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import Field

from seawall.api.bodies import Time, Told
from seawall.api.deps import IdempotencyKey, Manager, Reader
from seawall.api.once import Asked, once
from seawall.api.operations import routes
from seawall.api.paging import Page, Paged, cut, read_id, read_time, write_cursor
from seawall.core.errors import NotFoundError
from seawall.core.time import to_micros
from seawall.risk.limits import events, store
from seawall.risk.limits.schemas import Event, EventFilter, LimitName, Severity

router = routes("/risk/events", "limits")


class RiskEvent(Told):
    """Something that went beyond what is allowed; it has one event while it lasts."""

    id: UUID
    limit_id: UUID | None
    limit_name: LimitName | None
    event_type: str = Field(examples=[events.BREACH])
    severity: Severity
    description: str
    details: dict[str, Any]
    triggered_at: Time
    resolved_at: Time | None
    resolved_by: UUID | None = Field(description="Null: it was over by itself.")


@router.get("", operation_id="listRiskEvents")
async def list_events(
    bound: Reader,
    asked: Paged,
    *,
    unresolved: Annotated[bool, Query(description="Only those that are not over.")] = False,
    severity: Severity | None = None,
    portfolio_id: Annotated[UUID | None, Query(description="Only of its own limits.")] = None,
) -> Page[RiskEvent]:
    """List the events, the newest first."""
    before = None
    if asked.after is not None:
        time, id_ = asked.place(2)
        before = (read_time(time), read_id(id_))
    wanted = EventFilter(unresolved, severity, portfolio_id)
    rows = await store.page_events(bound.session, asked.limit + 1, before, wanted)
    shown, more = cut(rows, asked.limit)
    return Page(
        items=[RiskEvent.model_validate(each) for each in shown],
        next_cursor=_place(shown[-1]) if more else None,
    )


def _place(event: Event) -> str:
    return write_cursor(to_micros(event.triggered_at), str(event.id))


@router.get("/{event_id}", operation_id="getRiskEvent")
async def get(bound: Reader, event_id: UUID) -> RiskEvent:
    """Tell of an event."""
    found = await store.read_event(bound.session, event_id)
    if found is None:
        raise NotFoundError("There is no such risk event.")
    return RiskEvent.model_validate(found)


@router.post("/{event_id}/resolution", operation_id="resolveRiskEvent", response_model=RiskEvent)
async def resolve(
    bound: Manager, request: Request, event_id: UUID, key: IdempotencyKey = None
) -> Response:
    """Resolve an event; while its limit is still broken, the next check opens another."""

    async def work() -> Told:
        done = await events.resolve(bound.session, event_id, bound.caller.user_id)
        return RiskEvent.model_validate(done)

    return await once(bound, Asked(request, key), work, 200)
