"""Server-Sent Events: one long answer, which a browser's EventSource asks for again by itself."""

import asyncio
from contextlib import suppress
from typing import Any

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from seawall.api.metrics import STREAMS
from seawall.api.streams.drive import FAREWELL_SECONDS, drive, retry_seconds
from seawall.api.streams.hub import Hub
from seawall.api.streams.line import Line, line_of
from seawall.api.streams.messages import Message, say
from seawall.api.streams.reader import End, Reader

MEDIA_TYPE = "text/event-stream"
_HEADERS = {
    "Cache-Control": "no-store, no-transform",
    # Proxies that buffer answers would hold events back.
    "X-Accel-Buffering": "no",
}


class EventStream(Response):
    """An answer that goes on for as long as its reader does."""

    media_type = MEDIA_TYPE
    charset = "utf-8"

    def __init__(self, hub: Hub, reader: Reader, request: Request) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._hub, self._reader = hub, reader
        self._topics = sorted(reader.topics)
        # Its length is no measure of how fast answers are.
        request.scope["is_stream"] = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until either side is over."""
        line = line_of(scope)
        gauge = STREAMS.labels("sse")
        gauge.inc()
        try:
            await self._begin(send)
            await drive(self._reader, _writer(send), _left(receive), line)
        finally:
            gauge.dec()
            self._hub.close(self._reader)
        await _end(self._reader, receive, send, line)

    async def _begin(self, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": list(self.raw_headers)}
        )
        ready = say("ready", topics=self._topics)
        retry = f"retry: {int(retry_seconds() * 1_000)}\n".encode()
        await send({"type": "http.response.body", "body": retry + ready.event, "more_body": True})


def _writer(send: Send) -> Any:
    async def write(message: Message) -> None:
        await send({"type": "http.response.body", "body": message.event, "more_body": True})

    return write


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(reader: Reader, receive: Receive, send: Send, line: Line | None) -> None:
    if reader.end is End.LEFT:
        return
    try:
        async with asyncio.timeout(FAREWELL_SECONDS):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except (TimeoutError, OSError):
        if line is not None:
            line.abort()
            # Until the server has seen it, it would take the answer for one that was forgotten.
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await _left(receive)
