"""Bringing what waits for a reader to it, until either of them is over."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from seawall.api.streams.line import Line
from seawall.api.streams.messages import Message, say
from seawall.api.streams.reader import End, Reader

FAREWELL_SECONDS = 2.0
RETRY_SECONDS = (1, 6)
"""Between these, at random, readers come again, so that not all do at once."""
Send = Callable[[Message], Awaitable[None]]


def retry_seconds() -> float:
    """Return after how long a reader is to come again."""
    return round(random.uniform(*RETRY_SECONDS), 2)  # noqa: S311 - no secret


def farewell(end: End) -> Message:
    """Say why a stream is over, and when to come again."""
    again = {"retry_seconds": retry_seconds()} if end.again else {}
    return say("closing", reason=end.word, **again)


async def drive(reader: Reader, send: Send, gone: Awaitable[None], line: Line | None) -> None:
    """Send what waits until the reader is over, or gone; then it is over in any case.

    One that does not take what it is sent is cut off.
    """
    if line is not None:
        line.narrow()
        line.on_stop = lambda: reader.finish(End.STOPPING)
    cutting: list[asyncio.TimerHandle] = []
    sending = asyncio.create_task(_send(reader, send))
    leaving = asyncio.ensure_future(gone)

    def cut(end: End) -> None:
        if end is not End.DONE:
            loop = asyncio.get_running_loop()
            cutting.append(loop.call_later(FAREWELL_SECONDS, _abort, line, sending))

    reader.on_end = cut
    if reader.end is not None:
        cut(reader.end)
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done():
            reader.finish(End.LEFT)
        await asyncio.wait({sending})
        if not sending.cancelled() and sending.exception() is not None:
            reader.finish(End.LEFT)
    finally:
        for each in (sending, leaving):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each
        for timer in cutting:
            timer.cancel()
        if line is not None:
            line.on_stop = None


def _abort(line: Line | None, sending: "asyncio.Task[None]") -> None:
    if not sending.done():
        if line is not None:
            line.abort()
        sending.cancel()


async def _send(reader: Reader, send: Send) -> None:
    while (message := await reader.take()) is not None:
        await send(message)
        reader.taken()
    if reader.end not in (End.LEFT, End.DONE, None):
        await send(farewell(reader.end))
