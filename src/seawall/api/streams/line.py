"""The connection under a stream, for servers that give it away: to cut it, and to hear of the end.

ASGI has no word for either. A reader that does not read would otherwise hold its connection, and a
server that stops would wait for streams that never end.
"""

import socket
from asyncio import Transport
from collections.abc import Callable
from typing import Any

KEY = "seawall.line"
KERNEL_BYTES = 1 << 17
"""What the system keeps for a reader that does not read."""


class Line:
    """One connection; `on_stop` is called when the server stops."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.on_stop: Callable[[], None] | None = None

    def abort(self) -> None:
        """Drop it, with whatever was not read."""
        self._transport.abort()

    def narrow(self) -> None:
        """Let the system buffer little."""
        found = self._transport.get_extra_info("socket")
        # Whoever asked may have hung up before the answer begins.
        if found is not None and not self._transport.is_closing():
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)

    def stop(self) -> bool:
        """Ask a stream to end; False when there is none."""
        if self.on_stop is None:
            return False
        self.on_stop()
        return True


def line_of(scope: Any) -> Line | None:
    """Return the line of a request, where the server tells."""
    found: Line | None = (scope.get("extensions") or {}).get(KEY)
    return found
