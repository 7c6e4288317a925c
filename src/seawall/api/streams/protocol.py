"""uvicorn's protocols, with the connection given to streams."""

from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from seawall.api.protocol import HurriedProtocol
from seawall.api.streams.line import KEY, Line


class Http(HurriedProtocol):
    """HTTP, of which Server-Sent Events are long answers."""

    _line: Line | None = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        if self._line is None:
            self._line = Line(self.transport)
        cast("dict[str, Any]", self.scope)["extensions"] = {KEY: self._line}

    def shutdown(self) -> None:
        """Stop: an answer that would go on for ever is ended first."""
        if self._line is not None:
            self._line.stop()
        super().shutdown()


class WebSocket(WebSocketsSansIOProtocol):
    """WebSockets, which end themselves when the server stops."""

    _line: Line | None = None

    def handle_connect(self, event: Request) -> None:
        """Begin a WebSocket; the app runs when this is over."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            self._line = Line(self.transport)
            cast("dict[str, Any]", self.scope)["extensions"][KEY] = self._line

    async def send(self, message: ASGISendEvent) -> None:
        """Send; one that was refused with an answer of HTTP is no bug of the app's."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def shutdown(self) -> None:
        """Stop: who listens is told so."""
        if self._line is None or self.close_sent or not self._line.stop():
            super().shutdown()
