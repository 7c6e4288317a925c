"""How long a request may take: one that takes longer is answered, ended, and undone.

The answer is sent from beside the request, which may be waiting for something that never comes, and
may take its time to end too. What has begun to be answered, as streams are, is not cut here.
"""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seawall.api.errors import TooSlowError, answer
from seawall.core.errors import SeawallError, UnavailableError
from seawall.core.settings import ApiSettings
from seawall.db.watch import Watch

# A transaction that was being committed when it was ended may have been.
_ASK_AGAIN = "What was to be changed may have been: ask again with the same Idempotency-Key."
_WITHOUT_DATABASE = frozenset({"/healthz", "/readyz", "/metrics"})


class Deadline:
    """Stands before the app, and after what gives requests their ids."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and end it when its time is over."""
        if scope["type"] != "http" or scope["path"] in _WITHOUT_DATABASE:
            await self._app(scope, receive, send)
            return
        state = scope["app"].state
        watch: Watch | None = getattr(state, "watch", None)
        if watch is not None and watch.is_down:
            await answer(scope["request_id"], _away())(scope, receive, send)
            return
        settings: ApiSettings = state.desk.settings.api
        await self._pass(_Timed(scope, receive, send), settings, watch)

    async def _pass(self, timed: "_Timed", settings: ApiSettings, watch: Watch | None) -> None:
        loop = asyncio.get_running_loop()
        body, whole = settings.body_seconds, settings.request_seconds
        limits = [
            loop.call_later(body, timed.expect_body, body),
            loop.call_later(whole, lambda: timed.end(_too_long(whole))),
        ]
        stop: Callable[[], None] | None = None
        if watch is not None:
            stop = watch.when_down(lambda: timed.end(_away()))
        try:
            await self._app(timed.scope, timed.receive, timed.send)
        except asyncio.CancelledError:
            if timed.ended is None:
                raise
        except Exception:
            # What comes of being ended is not to be answered a second time.
            if timed.ended is None:
                raise
        finally:
            for each in limits:
                each.cancel()
            if stop is not None:
                stop()
        if timed.ended is not None:
            await timed.settle()


class _Timed:
    """A request, until it is answered by itself or by the clock."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._task = asyncio.current_task()
        self._begun = False
        self._has_body = False
        self.ended: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        """Return what the request brings next."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._has_body = True
        return message

    async def send(self, message: Message) -> None:
        """Pass the answer on; what comes after the clock's own is dropped."""
        if self.ended is None:
            self._begun = True
            await self._send(message)

    def expect_body(self, seconds: float) -> None:
        """End the request when its body has not come."""
        # Nobody waits for the body of a request that has none, and it is not read to its end.
        headers = dict(self.scope["headers"])
        brings = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        if brings and not self._has_body:
            self.end(TooSlowError(f"The request did not come within {seconds:g} seconds."))

    def end(self, error: SeawallError) -> None:
        """Answer with an error, and cancel what is under way, which undoes its transaction."""
        if self.ended is None and not self._begun:
            self.ended = asyncio.ensure_future(self._end(error))

    async def _end(self, error: SeawallError) -> None:
        told = answer(self.scope["request_id"], error)
        told.headers["connection"] = "close"
        await told(self.scope, self._receive, self._send)
        if self._task is not None:
            self._task.cancel()

    async def settle(self) -> None:
        """Wait until the clock's answer is sent; the request goes on as one that was answered."""
        assert self.ended is not None  # noqa: S101 - whoever calls has looked
        if self._task is not None:
            while self._task.uncancel():
                pass
        await self.ended


def _too_long(seconds: float) -> UnavailableError:
    return UnavailableError(
        f"This took longer than {seconds:g} seconds, and was ended.", hint=_ASK_AGAIN
    )


def _away() -> UnavailableError:
    return UnavailableError("The database does not answer.", hint=_ASK_AGAIN)
