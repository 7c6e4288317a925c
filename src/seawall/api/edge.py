"""What every request passes first and every answer last: id, size, headers, count, and the log."""

import logging
import re
from time import perf_counter
from typing import Any
from uuid import uuid4

import orjson
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from seawall.api.deprecation import announced
from seawall.api.errors import TooLargeError, answer, problem
from seawall.api.metrics import REQUESTS, SECONDS
from seawall.core.asking import REQUEST_ID

MOST_BYTES = 1 << 20
_log = logging.getLogger("seawall.access")
_LENGTH = re.compile(rb"\d{1,9}")
_GIVEN = re.compile(rb"[A-Za-z0-9_.-]{8,64}")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_RATE_LIMIT = (b"ratelimit-limit", b"ratelimit-remaining", b"ratelimit-reset")
SWITCHED = 101
"""The status of a WebSocket that was let in."""
_NOT_LET_IN, _LEFT = 403, 499
_BEGINNINGS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
_NO_STORE = (b"cache-control", b"no-store")


class Edge:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a WebSocket on with an id, unless it is too large."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _GIVEN.fullmatch(given) else uuid4().hex
        scope["request_id"] = request_id
        REQUEST_ID.set(request_id)
        start, status = perf_counter(), 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] in _BEGINNINGS:
                status = message.get("status", SWITCHED)
                message["headers"] = _with_ours(scope, message.get("headers", ()), request_id)
            elif message["type"] == "websocket.close" and status != SWITCHED:
                # The server answers so who is not let in.
                status = _NOT_LET_IN
            await send(message)

        length = headers.get(b"content-length", b"0")
        try:
            if scope["type"] == "websocket":
                await self._listen(scope, receive, send_on)
            elif not _LENGTH.fullmatch(length) or int(length) > MOST_BYTES:
                await answer(request_id, _too_large())(scope, receive, send_on)
            else:
                await self._pass(scope, _Limited(receive), send_on)
        except WebSocketDisconnect:
            status = status if status == SWITCHED else _LEFT
        finally:
            _note(scope, status, perf_counter() - start)

    async def _listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except WebSocketDisconnect:
            raise
        except Exception:
            _log.exception("%s: a bug", scope["request_id"])
            raise

    async def _pass(self, scope: Scope, limited: "_Limited", send: Send) -> None:
        begun = False

        async def send_on(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, limited, send_on)
        except Exception:
            _log.exception("%s: a bug", scope["request_id"])
            if begun:
                raise
            told = problem(scope["request_id"], 500, "bug", "This is a bug in Seawall.")
            await told(scope, limited, send)


class _Limited:
    """What a request brings, until it is too much."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > MOST_BYTES:
            # Of all errors of reading this one alone is passed on as it is.
            raise HTTPException(413, _too_large().message)
        return message


def _too_large() -> TooLargeError:
    return TooLargeError(f"A request has {MOST_BYTES:,} bytes at most.")


def _with_ours(scope: Scope, headers: Any, request_id: str) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in headers}
    ours = [*_HEADERS, (b"x-request-id", request_id.encode()), *announced(scope)]
    if scope["scheme"] in {"https", "wss"}:
        ours.append(_HSTS)
    ours.append(_NO_STORE)
    for name, value in zip(_RATE_LIMIT, scope.get("rate_limit", ()), strict=False):
        ours.append((name, str(value).encode()))
    return [*headers, *(each for each in ours if each[0] not in given)]


def _note(scope: Scope, status: int, seconds: float) -> None:
    # The operation and not the path: paths have ids in them, and are without end.
    route = scope.get("route")
    operation = getattr(route, "operation_id", None) or getattr(route, "name", "unknown")
    REQUESTS.labels(operation, status).inc()
    if not scope.get("is_stream") and status != SWITCHED:
        SECONDS.labels(operation).observe(seconds)
    if _log.isEnabledFor(logging.INFO):
        line = {
            "request_id": scope["request_id"],
            "operation": operation,
            "status": status,
            "ms": round(seconds * 1_000, 2),
            "user": scope.get("user_id"),
        }
        _log.info(orjson.dumps(line).decode())
