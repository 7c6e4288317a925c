"""HTTP, from whoever says what they want within a few seconds: others are hung up on.

A server waits for the head of a request as long as it takes, and a few hundred connections that say
nothing more would be all that it has.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_SECONDS = 10.0


class HurriedProtocol(HttpToolsProtocol):
    """uvicorn's own, with a limit for the head of each request."""

    head_seconds = HEAD_SECONDS
    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest, when a request has begun behind another."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle  # None until the first.
        is_waiting = cycle is None or cycle.response_complete
        # A connection that has become a WebSocket has another protocol now.
        if self._limit is None and is_waiting and self.transport.get_protocol() is self:
            self._wait()

    def on_headers_complete(self) -> None:
        """Wait no more: what follows has limits of its own."""
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._limit = self.loop.call_later(self.head_seconds, self._hang_up)

    def _stop(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _hang_up(self) -> None:
        self._limit = None
        if not self.transport.is_closing() and self.transport.get_protocol() is self:
            self.transport.close()
