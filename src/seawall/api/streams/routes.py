"""The two ways to listen: Server-Sent Events and WebSocket."""

from contextlib import suppress
from typing import Annotated

from fastapi import Header, Query, Request, Response, WebSocket
from starlette.websockets import WebSocketDisconnect

from seawall.api.callers import address_of
from seawall.api.deps import TheDesk, TheReader
from seawall.api.errors import answer, request_id_of
from seawall.api.operations import routes
from seawall.api.streams.guard import hold, require_own_origin, token_of
from seawall.api.streams.hub import hub_of
from seawall.api.streams.reader import End
from seawall.api.streams.sse import MEDIA_TYPE, EventStream
from seawall.api.streams.topics import parse_topics
from seawall.api.streams.ws import admit, is_accepted, refusal, request_of, serve
from seawall.core.errors import SeawallError

router = routes("/streams", "streams")
_EXAMPLE = """\
id: p1f0c3a52.1767225600000000.781-783-~u1f0c3a52.1767225600000000.781-783-
event: events
data: {"type":"events","id":"…","events":[{"topic":"prices:BTC","asset":"BTC","price_usd":87000.0}]}

"""
# OpenAPI 3.1 has no word for the items of a stream: its schema is that of one of them.
_EVENT = {
    "type": "object",
    "title": "StreamEvent",
    "description": "One event of the stream.",
    "properties": {
        "id": {"type": "string", "description": "Where to go on from, as Last-Event-ID."},
        "event": {
            "type": "string",
            "description": "ready, events, reset, heartbeat or closing, as `type` of the data too.",
        },
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "id": {"type": "string"},
                    "topics": {"type": "array", "items": {"type": "string"}},
                    "reason": {"type": "string"},
                    "retry_seconds": {"type": "number"},
                    "events": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"topic": {"type": "string"}},
                            "required": ["topic"],
                        },
                    },
                },
                "required": ["type"],
            },
        },
        "retry": {
            "type": "integer",
            "description": "Milliseconds to wait before asking again when it broke off.",
        },
    },
    "required": ["event", "data"],
}


@router.get(
    "/events",
    operation_id="streamEvents",
    response_class=Response,
    responses={
        200: {
            "description": "Events, for as long as both sides last.",
            "content": {MEDIA_TYPE: {"schema": _EVENT, "example": _EXAMPLE}},
        }
    },
)
async def stream_events(
    desk: TheDesk,
    caller: TheReader,
    request: Request,
    topics: Annotated[
        str,
        Query(
            max_length=4_000,
            description="What to listen to, with commas: prices:BTC, portfolio:{id}, risk:{id},"
            " alerts.",
            examples=["prices:BTC,alerts"],
        ),
    ],
    *,
    after: Annotated[
        str, Query(max_length=8_000, description="The id to go on from, as Last-Event-ID.")
    ] = "",
    once: Annotated[
        bool, Query(description="End with what there is now, or came since the id.")
    ] = False,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=8_000)] = None,
) -> Response:
    """Tell what changes, as Server-Sent Events."""
    require_own_origin(desk, request)
    wanted = parse_topics(topics.split(","))
    hub = hub_of(request.app)
    reader = await hub.open(await hold(desk, caller, token_of(request)), address_of(request))
    try:
        await hub.subscribe(reader, wanted, last_event_id or after)
    except BaseException:
        hub.close(reader)
        raise
    if once:
        reader.finish(End.DONE)
    return EventStream(hub, reader, request)


@router.websocket("/ws")
async def stream_socket(socket: WebSocket) -> None:
    """Tell what changes, over a WebSocket."""
    desk = socket.app.state.desk
    try:
        holder = await admit(socket, desk)
        socket.scope["user_id"] = str(holder.user_id)
        await serve(socket, hub_of(socket.app), holder)
    except WebSocketDisconnect:
        return
    except SeawallError as error:
        # Who is refused may have left by now.
        with suppress(OSError, RuntimeError, WebSocketDisconnect):
            if is_accepted(socket):
                await socket.send_text(refusal(error).text)
                await socket.close(End.SESSION.code, "not-let-in")
            else:
                told = answer(request_id_of(request_of(socket)), error)
                await socket.send_denial_response(told)
