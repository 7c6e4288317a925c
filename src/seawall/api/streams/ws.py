"""WebSocket: topics come and go on one connection, in JSON."""

import asyncio
from collections import Counter, deque
from contextlib import suppress
from datetime import timedelta
from time import monotonic
from typing import Any

import orjson
from fastapi import Request, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from seawall.api.callers import SESSION_COOKIE, address_of, limit_refused
from seawall.api.errors import slug_of
from seawall.api.metrics import STREAMS
from seawall.api.streams.drive import FAREWELL_SECONDS, drive
from seawall.api.streams.guard import let_in, require_own_origin
from seawall.api.streams.hub import Hub
from seawall.api.streams.line import line_of
from seawall.api.streams.messages import Message, say
from seawall.api.streams.reader import End, Holder, Reader
from seawall.api.streams.topics import parse_topics
from seawall.core.asking import REQUEST_ID
from seawall.core.errors import InvalidError, SeawallError, UnavailableError
from seawall.identity.desk import Desk
from seawall.identity.errors import NotAuthenticatedError, TooManyRequestsError

MOST_BYTES = 16_384
"""Of a message; a server that knows it refuses longer ones before they are read."""
MOST_MESSAGES, PER_SECONDS = 30, 10.0
AUTHENTICATE_SECONDS = 10.0
MOST_STRANGERS, STRANGERS_OF_ONE = 100, 10
"""How many a process lets wait that have not said yet who they are, and of one address."""
_LATER = timedelta(seconds=AUTHENTICATE_SECONDS)
_strangers: Counter[str] = Counter()


def request_of(socket: WebSocket, token: str | None = None) -> Request:
    """Return the request that a WebSocket began with, maybe with a token that came later."""
    headers = socket.scope["headers"]
    if token is not None:
        headers = [each for each in headers if each[0] not in (b"authorization", b"cookie")]
        headers = [*headers, (b"authorization", f"Bearer {token}".encode(errors="replace"))]
    as_http = {"type": "http", "method": "GET", "headers": headers, "was_websocket": True}
    return Request({**socket.scope, **as_http})


async def admit(socket: WebSocket, desk: Desk) -> Holder:
    """Say who connects, by headers, or by the first message once the connection is accepted.

    Raises:
        SeawallError: they may not.
    """
    request = request_of(socket)
    if "authorization" in request.headers or SESSION_COOKIE in request.cookies:
        return await let_in(desk, request)
    require_own_origin(desk, request)
    # Whoever they are, they have cost something by then.
    await limit_refused(desk, request, "stranger")
    address = address_of(request)
    if _strangers[address] >= STRANGERS_OF_ONE:
        raise TooManyRequestsError(
            f"{STRANGERS_OF_ONE} of this address wait to say who they are.", desk.clock() + _LATER
        )
    if _strangers.total() >= MOST_STRANGERS:
        raise UnavailableError("Very many wait to say who they are.")
    _strangers[address] += 1
    try:
        await socket.accept()
        async with asyncio.timeout(AUTHENTICATE_SECONDS):
            told = _read(await _receive(socket))
    except TimeoutError:
        told = {}
    finally:
        _strangers[address] -= 1
        if not _strangers[address]:
            del _strangers[address]
    token = told.get("token")
    if told.get("type") != "authenticate" or not isinstance(token, str):
        raise NotAuthenticatedError(
            "Say who you are first.", hint='{"type": "authenticate", "token": "…"}'
        )
    return await let_in(desk, request_of(socket, token))


async def serve(socket: WebSocket, hub: Hub, holder: Holder) -> None:
    """Let somebody listen until either side is over.

    Raises:
        SeawallError: there are too many streams, or the session is over.
    """
    reader = await hub.open(holder, address_of(request_of(socket)))
    line, gauge = line_of(socket.scope), STREAMS.labels("websocket")
    gauge.inc()
    try:
        if not is_accepted(socket):
            await socket.accept()
        reader.put(say("ready", topics=[]))
        await drive(reader, _writer(socket), _obey(socket, hub, reader), line)
    finally:
        gauge.dec()
        hub.close(reader)
    end = reader.end or End.LEFT
    if end is End.LEFT:
        return
    try:
        async with asyncio.timeout(FAREWELL_SECONDS):
            await socket.close(end.code, end.word)
    except (TimeoutError, OSError, RuntimeError, WebSocketDisconnect):
        if line is not None:
            line.abort()


def is_accepted(socket: WebSocket) -> bool:
    """Say whether a refusal can no longer be an answer of HTTP."""
    return socket.application_state is not WebSocketState.CONNECTING


def _writer(socket: WebSocket) -> Any:
    async def write(message: Message) -> None:
        await socket.send({"type": "websocket.send", "text": message.text})

    return write


async def _receive(socket: WebSocket) -> str:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    text = message.get("text")
    return text if isinstance(text, str) else ""


def _read(text: str) -> dict[str, Any]:
    try:
        told = orjson.loads(text) if len(text) <= MOST_BYTES else None
    except orjson.JSONDecodeError:
        told = None
    return told if isinstance(told, dict) else {}


async def _obey(socket: WebSocket, hub: Hub, reader: Reader) -> None:
    """Do what the reader asks, until it has left."""
    lately: deque[float] = deque(maxlen=MOST_MESSAGES)
    connection, number = REQUEST_ID.get(), 0
    with suppress(WebSocketDisconnect):
        while reader.end is None:
            told = _read(await _receive(socket))
            now = monotonic()
            if len(lately) == MOST_MESSAGES and now - lately[0] < PER_SECONDS:
                reader.finish(End.POLICY)
                break
            lately.append(now)
            number += 1
            # What is logged of its work is of this message: this task has a context of its own.
            REQUEST_ID.set(f"{connection}.{number}")
            try:
                await _do(hub, reader, told)
            except SeawallError as error:
                reader.put(refusal(error, told.get("type")))
        # It is told so, and closes.
        while True:
            await _receive(socket)


async def _do(hub: Hub, reader: Reader, told: dict[str, Any]) -> None:
    match told:
        case {"type": "subscribe", "topics": list(topics), **more} if _are_texts(topics):
            after = more.get("after", "")
            if not isinstance(after, str):
                raise InvalidError("`after` is the id of an event.")
            wanted = parse_topics(topics)
            require_room(reader, {each.name for each in wanted})
            await hub.subscribe(reader, wanted, after)
            reader.put(say("subscribed", reader.id, topics=sorted(reader.topics)))
        case {"type": "unsubscribe", "topics": list(topics)} if _are_texts(topics):
            hub.unsubscribe(reader, parse_topics(topics))
            reader.put(say("subscribed", reader.id, topics=sorted(reader.topics)))
        case {"type": "ping"}:
            reader.put(say("pong"))
        case _:
            raise InvalidError(
                "This is not a message.", hint="Send subscribe, unsubscribe or ping, in JSON."
            )


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(each, str) for each in values)


def require_room(reader: Reader, names: set[str]) -> None:
    """Check that a reader has room for more topics.

    Raises:
        InvalidError: it has none.
    """
    parse_topics(reader.topics | names)


def refusal(error: SeawallError, to: object = None) -> Message:
    """Tell of an error as a problem, in the words that HTTP has."""
    about: dict[str, object] = {"to": to} if isinstance(to, str) else {}
    if error.hint:
        about["hint"] = error.hint
    slug, detail = slug_of(error)
    return say("problem", **about, problem=slug, detail=detail, instance=REQUEST_ID.get())
